//! IMAP URLs of a message or a part of one (RFC 5092), as CATENATE has them: absolute paths on the server
//! that is spoken to.

use alloc::string::String;
use alloc::vec::Vec;
use bytes::{Buf as _, Bytes};
use core::fmt::{self, Write as _};

use crate::plumbing::cursor::Cursor;
use crate::value::section::section;
use crate::{MailboxName, Section, SectionText, SyntaxError, Uid};

/// A message, or a part of one.
///
/// ```
/// use hikyaku_imap_proto::MessageUrl;
/// let url = MessageUrl::parse(b"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=1.2/;partial=0.10").unwrap();
/// assert_eq!((url.mailbox.as_str(), url.uid.get()), ("Drafts", 20));
/// assert_eq!(url.section.part, [1, 2]);
/// assert_eq!(url.partial, Some((0, Some(10))));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageUrl {
    /// Where it is.
    pub mailbox: MailboxName,
    /// What UIDVALIDITY the UID is of.
    pub uid_validity: Option<u32>,
    /// The UID of the message.
    pub uid: Uid,
    /// What of it.
    pub section: Section,
    /// The first octet, and how many at most.
    pub partial: Option<(u32, Option<u32>)>,
}

impl MessageUrl {
    /// Reads an absolute path. URLs with a scheme and a host lead elsewhere, and are errors.
    ///
    /// # Errors
    /// [`SyntaxError`]
    pub fn parse(url: &[u8]) -> Result<Self, SyntaxError> {
        let fail = |expected| {
            let offset = 0;
            crate::error::Fault { offset, expected }.of(url)
        };
        let path = url.strip_prefix(b"/").ok_or(fail("an absolute path"))?;
        let at = find(path, b"/;UID=").ok_or(fail("a UID"))?;
        let (mailbox, rest) = path.split_at(at);
        let rest = rest.get(b"/;UID=".len()..).unwrap_or(&[]);
        let (mailbox, uid_validity) = match find(mailbox, b";UIDVALIDITY=") {
            None => (mailbox, None),
            Some(at) => {
                let (mailbox, validity) = mailbox.split_at(at);
                let validity = validity.get(b";UIDVALIDITY=".len()..).unwrap_or(&[]);
                (
                    mailbox,
                    Some(number(validity).ok_or(fail("a UIDVALIDITY"))?),
                )
            }
        };
        let mailbox = decoded(mailbox).ok_or(fail("an encoded mailbox name"))?;
        let mailbox = String::from_utf8(mailbox).map_err(|_| fail("a mailbox name in UTF-8"))?;
        let (uid, rest) = piece(rest);
        let uid = number(uid).and_then(Uid::new).ok_or(fail("a UID"))?;
        let (mut section_text, mut partial) = (Section::default(), None);
        let mut rest = rest;
        if let Some(text) = parameter(rest, b";SECTION=") {
            let (text, after) = piece(text);
            let mut text = decoded(text).ok_or(fail("an encoded section"))?;
            if text.is_empty() {
                return Err(fail("a section"));
            }
            text.push(b']');
            let text = Bytes::from(text);
            let mut cursor = Cursor::new(&text);
            let read = section(&mut cursor).and_then(|read| cursor.end().map(|()| read));
            section_text = read.map_err(|fault| fault.of(&text))?;
            rest = after;
        }
        if let Some(text) = parameter(rest, b";PARTIAL=") {
            let (text, after) = piece(text);
            let mut ends = text.splitn(2, |&octet| octet == b'.');
            let first = ends.next().and_then(zero).ok_or(fail("an offset"))?;
            let most = match ends.next() {
                None => None,
                Some(most) => Some(number(most).ok_or(fail("a length"))?),
            };
            partial = Some((first, most));
            rest = after;
        }
        if !rest.is_empty() {
            return Err(fail("the end of the URL"));
        }
        Ok(Self {
            mailbox: MailboxName::new(mailbox),
            uid_validity,
            uid,
            section: section_text,
            partial,
        })
    }
}

impl fmt::Display for MessageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('/')?;
        encode(self.mailbox.as_str().as_bytes(), f)?;
        if let Some(validity) = self.uid_validity {
            write!(f, ";UIDVALIDITY={validity}")?;
        }
        write!(f, "/;UID={}", self.uid)?;
        let whole = Section {
            part: Vec::new(),
            text: SectionText::Whole,
        };
        if self.section != whole {
            f.write_str("/;SECTION=")?;
            let mut text = hikyaku_wire::Output::new();
            self.section.encode(&mut text);
            let text = text.copy_to_bytes(text.len());
            let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or(&[]);
            encode(inner, f)?;
        }
        if let Some((first, most)) = self.partial {
            write!(f, "/;PARTIAL={first}")?;
            if let Some(most) = most {
                write!(f, ".{most}")?;
            }
        }
        Ok(())
    }
}

/// `bchar` (RFC 5092 §11); the rest is percent-encoded.
fn encode(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for &octet in octets {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => f.write_char(char::from(octet))?,
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'\'' | b'(' | b')' | b'*' | b'+' | b','
            | b'&' | b'=' | b':' | b'@' | b'/' => f.write_char(char::from(octet))?,
            _ => write!(f, "%{octet:02X}")?,
        }
    }
    Ok(())
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    let mut windows = text.windows(what.len());
    windows.position(|window| window.eq_ignore_ascii_case(what))
}

/// Up to the next `/`, and what begins with it.
fn piece(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|&octet| octet == b'/');
    text.split_at(end.unwrap_or(text.len()))
}

/// Behind `/;NAME=`, or `;NAME=`.
fn parameter<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let text = text.strip_prefix(b"/").unwrap_or(text);
    let (head, rest) = text.split_at_checked(name.len())?;
    head.eq_ignore_ascii_case(name).then_some(rest)
}

fn zero(digits: &[u8]) -> Option<u32> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = core::str::from_utf8(digits).ok().filter(|_| all)?;
    text.parse().ok()
}

fn number(digits: &[u8]) -> Option<u32> {
    zero(digits).filter(|&number| number > 0)
}

fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            decoded.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let hex = digits.iter().all(u8::is_ascii_hexdigit);
        let digits = core::str::from_utf8(digits).ok().filter(|_| hex)?;
        decoded.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_url_of_a_message() {
        for bad in [
            &b"imap://host/INBOX/;UID=1"[..],
            b"/INBOX",
            b"/INBOX/;UID=0",
            b"/INBOX/;UID=1x",
            b"/INBOX/;UID=4294967296",
            b"/INBOX/;UID=1/;SECTION=",
            b"/INBOX/;UID=1/;SECTION=0",
            b"/INBOX/;UID=1/;SECTION=FOO",
            b"/INBOX/;UID=1/;PARTIAL=1.0",
            b"/INBOX/;UID=1/;URLAUTH=anonymous",
            b"/IN%BOX/;UID=1",
            b"/%ff/;UID=1",
            b"",
        ] {
            assert!(MessageUrl::parse(bad).is_err(), "{}", bad.escape_ascii());
        }
        // RFC 4469 §5: the delimiter before a parameter may be left out.
        let url = MessageUrl::parse(b"/a%20b%E3%81%82/c/;uid=9/;SECTION=HEADER.FIELDS%20(To%20Cc)");
        let url = url.unwrap();
        assert_eq!(url.mailbox.as_str(), "a bあ/c");
        assert!(matches!(url.section.text, SectionText::HeaderFields { .. }));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(
            name in "[a-z/あ%; ]{1,8}[a-z]",
            (validity, uid) in (proptest::option::of(1..=u32::MAX), 1..=u32::MAX),
            part in proptest::collection::vec(1..=u32::MAX, 0..3),
            partial in proptest::option::of((any::<u32>(), proptest::option::of(1..=u32::MAX))),
        ) {
            let section = Section { part, text: SectionText::Header };
            let mailbox = MailboxName::new(name);
            let url = MessageUrl { mailbox, uid_validity: validity, uid: crate::tests::uid(uid), section, partial };
            prop_assert_eq!(MessageUrl::parse(url.to_string().as_bytes()), Ok(url));
        }

        #[test]
        fn anything_is_read_or_refused(octets: Vec<u8>) {
            let _ = MessageUrl::parse(&octets);
        }
    }
}
