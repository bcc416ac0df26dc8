//! APPEND and REPLACE, whose messages stream (RFC 9051 §6.3.12, RFC 8508; several RFC 3502, put together
//! RFC 4469, UTF8 RFC 6855, literal8 RFC 3516).
//!
//! Such a command comes in segments: what stands before, between and behind the literals that stream.

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::plumbing::cursor::{Cursor, Result};
use crate::value::date::date_time;
use crate::value::flag::{flag_list, write_flags};
use crate::value::mailbox::mailbox;
use crate::value::sequence_set::own_set;
use crate::{DateTime, Flag, MailboxName, Numbers, SequenceSet};

/// Where a message goes, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Append {
    /// The mailbox it is added to.
    pub mailbox: MailboxName,
    /// Its flags.
    pub flags: Vec<Flag>,
    /// Its INTERNALDATE; now, when there is none.
    pub received: Option<DateTime>,
    /// REPLACE: which message it takes the place of, and what its number is.
    pub replaces: Option<(SequenceSet, Numbers)>,
    /// In a literal8: any octets.
    pub binary: bool,
    /// In `UTF8 (..)`: with UTF-8 in its header.
    pub utf8: bool,
}

impl Append {
    /// To that mailbox, without flags, received now.
    #[must_use]
    pub fn new(mailbox: MailboxName) -> Self {
        Self {
            mailbox,
            flags: Vec::new(),
            received: None,
            replaces: None,
            binary: false,
            utf8: false,
        }
    }

    /// Appends the command, up to the message's literal.
    pub(crate) fn encode(&self, output: &mut Output) {
        match &self.replaces {
            None => output.write(b"APPEND "),
            Some((set, numbers)) => {
                output.write(if numbers.is_uid() {
                    b"UID REPLACE "
                } else {
                    b"REPLACE "
                });
                set.encode(output);
                output.write(b" ");
            }
        }
        self.mailbox.encode(output);
        output.write(b" ");
        self.encode_message(output);
    }

    /// Appends what stands before a message's literal, behind the mailbox.
    pub(crate) fn encode_message(&self, output: &mut Output) {
        if !self.flags.is_empty() {
            write_flags(&self.flags, output);
            output.write(b" ");
        }
        if let Some(received) = self.received {
            received.encode(output);
            output.write(b" ");
        }
        output.write(match (self.utf8, self.binary) {
            (true, _) => b"UTF8 (~",
            (false, true) => b"~",
            (false, false) => b"",
        });
    }
}

/// What a segment says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A message: the literal behind the segment.
    Message(Append),
    /// A message that is put together of what follows.
    Catenate(Append),
    /// What that URL leads to.
    Url(Bytes),
    /// The literal behind the segment, with any octets when `true`.
    Text(bool),
}

/// Where in the command a segment begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// At its name.
    #[default]
    Name,
    /// Behind a message's literal.
    Message,
    /// Behind the literal of `UTF8 (..)`.
    Utf8,
    /// Behind a literal of CATENATE.
    Catenate,
}

/// Whether the command, without its tag, is one of these.
pub(crate) fn is_append(command: &[u8]) -> bool {
    let begins = |name: &[u8]| {
        let head = command.get(..name.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(name))
    };
    [&b"APPEND "[..], b"REPLACE ", b"UID REPLACE "]
        .iter()
        .any(|name| begins(name))
}

/// Whether a literal behind this is an argument, and held: a mailbox or a URL.
pub(crate) fn is_argument(head: &[u8]) -> bool {
    let ends = |name: &[u8]| {
        let tail = head.len().checked_sub(name.len());
        let tail = tail.and_then(|at| head.get(at..));
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(name))
    };
    if ends(b"APPEND ") || ends(b" URL ") || ends(b"(URL ") {
        return true;
    }
    // REPLACE n
    let mut words = head.split(|&o| o == b' ').rev();
    let (end, number, name) = (words.next(), words.next(), words.next());
    let digits = |word: &[u8]| word == b"*" || word.iter().all(u8::is_ascii_digit);
    end == Some(b"")
        && number.is_some_and(digits)
        && name.is_some_and(|name| name.eq_ignore_ascii_case(b"REPLACE"))
}

/// Reads a segment; `literal` says whether one that streams stands behind it. What was `before`: the
/// command's mailbox, and whether it is REPLACE, which has one message.
pub(crate) fn segment(
    cursor: &mut Cursor<'_>,
    place: &mut Place,
    before: Option<(&MailboxName, bool)>,
    literal: bool,
) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut append = Append::new(match before {
        Some((mailbox, _)) => mailbox.clone(),
        None => MailboxName::new(""),
    });
    let mut only_one = before.is_some_and(|(_, replaces)| replaces);
    match *place {
        Place::Name => {
            let uid = cursor.eat_prefix("UID ");
            if cursor.eat_prefix("REPLACE ") {
                let start = cursor.clone();
                let set = own_set(cursor)?;
                if !set.is_single() {
                    return start.fail("one number");
                }
                append.replaces = Some((set, Numbers::uids(uid)));
                only_one = true;
                cursor.sp()?;
            } else if uid || !cursor.eat_prefix("APPEND ") {
                return cursor.fail("APPEND or REPLACE");
            }
            append.mailbox = mailbox(cursor)?;
        }
        Place::Message => {}
        Place::Utf8 => cursor.expect(b')', "\")\"")?,
        Place::Catenate => {
            if cursor.eat(b')') {
                *place = Place::Message;
            } else {
                cursor.sp()?;
                if parts(cursor, &mut pieces, literal)? {
                    return Ok(pieces);
                }
                *place = Place::Message;
            }
        }
    }
    loop {
        if *place != Place::Name {
            if !literal && cursor.is_at_end() {
                return Ok(pieces);
            }
            if only_one {
                return cursor.fail("the end of the command");
            }
        }
        cursor.sp()?;
        if *place == Place::Message {
            // IMAPClient 3 has a blank too many between two messages.
            cursor.eat(b' ');
        }
        let mut next = append.clone();
        if cursor.peek() == Some(b'(') {
            next.flags = flag_list(cursor)?;
            cursor.sp()?;
        }
        if cursor.peek() == Some(b'"') {
            next.received = Some(date_time(cursor)?);
            cursor.sp()?;
        }
        if cursor.eat_prefix("CATENATE (") {
            pieces.push(Piece::Catenate(next));
            if parts(cursor, &mut pieces, literal)? {
                *place = Place::Catenate;
                return Ok(pieces);
            }
            *place = Place::Message;
            continue;
        }
        next.utf8 = cursor.eat_prefix("UTF8 (");
        next.binary = cursor.eat(b'~');
        if !literal || !cursor.is_at_end() || (next.utf8 && !next.binary) {
            return cursor.fail("a message");
        }
        *place = if next.utf8 {
            Place::Utf8
        } else {
            Place::Message
        };
        pieces.push(Piece::Message(next));
        return Ok(pieces);
    }
}

/// Parts of CATENATE, up to a literal (`true`) or the parenthesis that closes it.
fn parts(cursor: &mut Cursor<'_>, pieces: &mut Vec<Piece>, literal: bool) -> Result<bool> {
    loop {
        if cursor.eat_prefix("URL ") {
            pieces.push(Piece::Url(cursor.astring()?));
        } else if cursor.eat_prefix("TEXT ") {
            let binary = cursor.eat(b'~');
            if !literal || !cursor.is_at_end() {
                return cursor.fail("a literal");
            }
            pieces.push(Piece::Text(binary));
            return Ok(true);
        } else {
            return cursor.fail("URL or TEXT");
        }
        if cursor.eat(b')') {
            return Ok(false);
        }
        cursor.sp()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    fn read(text: &'static str, place: Place, literal: bool) -> (Result<Vec<Piece>>, Place) {
        let unit = Bytes::from(text);
        let mut cursor = Cursor::new(&unit);
        let mut place = place;
        let name = MailboxName::new("x");
        let before = (place != Place::Name).then_some((&name, false));
        let pieces = segment(&mut cursor, &mut place, before, literal);
        (pieces, place)
    }

    #[test]
    fn segments() {
        use Place as P;
        for (text, from, literal, pieces, to) in [
            ("APPEND x ", P::Name, true, 1, P::Message),
            ("append x (\\Seen) ~", P::Name, true, 1, P::Message),
            ("APPEND x UTF8 (~", P::Name, true, 1, P::Utf8),
            (
                "APPEND x CATENATE (URL a URL b)",
                P::Name,
                false,
                3,
                P::Message,
            ),
            (
                "APPEND x CATENATE (URL a TEXT ",
                P::Name,
                true,
                3,
                P::Catenate,
            ),
            ("UID REPLACE 4 x ", P::Name, true, 1, P::Message),
            ("", P::Message, false, 0, P::Message),
            (" (\\Seen) ", P::Message, true, 1, P::Message),
            (")", P::Utf8, false, 0, P::Utf8),
            (" URL a)", P::Catenate, false, 1, P::Message),
            (")", P::Catenate, false, 0, P::Message),
            (") ", P::Catenate, true, 1, P::Message),
            (" TEXT ", P::Catenate, true, 1, P::Catenate),
        ] {
            let (read, place) = read(text, from, literal);
            assert_eq!(read.map(|all| all.len()), Ok(pieces), "{text:?}");
            // Behind CATENATE's last part what follows is as behind a message.
            assert_eq!(format!("{place:?}"), format!("{to:?}"), "{text:?}");
        }
        for (text, from, literal) in [
            ("APPEND x", P::Name, false),
            ("APPEND x ", P::Name, false),
            ("APPEND x \"hello\"", P::Name, false),
            ("APPEND x UTF8 (", P::Name, true),
            ("APPEND x CATENATE (", P::Name, true),
            ("APPEND x CATENATE ()", P::Name, false),
            ("APPEND x CATENATE (TEXT \"a\")", P::Name, false),
            ("UID APPEND x ", P::Name, true),
            ("REPLACE 4:5 x ", P::Name, true),
            ("REPLACE $ x ", P::Name, true),
            ("", P::Utf8, false),
            ("", P::Catenate, false),
            ("x", P::Message, false),
        ] {
            assert!(read(text, from, literal).0.is_err(), "{text:?}");
        }
    }

    #[test]
    fn which_literals_are_held() {
        for head in ["a APPEND ", "a append x CATENATE (URL ", "a UID REPLACE 7 "] {
            assert!(is_argument(head.as_bytes()), "{head}");
        }
        for head in [
            "a APPEND x ",
            "a APPEND x CATENATE (TEXT ",
            "a APPEND x (\\Seen) ",
        ] {
            assert!(!is_argument(head.as_bytes()), "{head}");
        }
    }
}
