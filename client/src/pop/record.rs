//! What is remembered of a message that was brought, and how it is recognised.
//!
//! A unique-id is not enough: servers use them again, give message numbers for them, give one to two
//! messages, or other ones in each session. So a message is what its octets are ([`Print`]); its id, its
//! size and its number only say whether it is worth a look.

use bytes::{Bytes, BytesMut};
use hikyaku_mailstore::Operation;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The account's properties in which records lie, each under its origin.
const PREFIX: &str = "pop/";
const VERSION: u8 = 2;
/// The longest header section that is looked at as one, in octets.
const HEADER: usize = 1024 * 1024;
/// Fields that servers write into what they keep, so that the same message differs from session to session.
const VOLATILE: [&[u8]; 8] = [
    b"status",
    b"x-status",
    b"x-keywords",
    b"x-uid",
    b"x-uidl",
    b"x-imap",
    b"x-imapbase",
    b"content-length",
];

/// A SHA-256.
pub(super) type Hash = [u8; 32];

pub(super) fn hash(octets: &[u8]) -> Hash {
    Sha256::digest(octets).into()
}

/// What a message's octets say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Print {
    /// Of the header section, without what servers add.
    pub(super) header: Hash,
    /// Of all of it, without what servers add to the header section.
    pub(super) content: Hash,
    /// The header section has something that no other message's has.
    pub(super) is_distinct: bool,
}

/// Works out a [`Print`] while the octets pass.
#[derive(Debug, Clone, Default)]
pub(super) struct Printer {
    header: BytesMut,
    body: Option<(Print, Sha256)>,
}

impl Printer {
    pub(super) fn feed(&mut self, octets: &[u8]) {
        if let Some((_, body)) = &mut self.body {
            return body.update(octets);
        }
        // The empty line may lie across pieces.
        let from = self.header.len().saturating_sub(3);
        self.header.extend_from_slice(octets);
        let end = match self.header.get(..2) {
            Some(b"\r\n") => Some(2),
            _ => end_of_header(&self.header, from),
        };
        let end = end.filter(|&end| end <= HEADER);
        if let Some(end) = end.or((self.header.len() > HEADER).then_some(HEADER)) {
            let rest = self.header.split_off(end);
            self.body = Some(begun(&std::mem::take(&mut self.header), &rest));
        }
    }

    pub(super) fn finish(self) -> Print {
        let (print, all) = self.body.unwrap_or_else(|| begun(&self.header, &[]));
        Print {
            content: all.finalize().into(),
            ..print
        }
    }
}

/// What the header section says, and the hash of all of it with the beginning of the body.
fn begun(header: &[u8], body: &[u8]) -> (Print, Sha256) {
    let (mut of_header, mut is_distinct) = (Sha256::new(), false);
    let mut kept = true;
    for line in header.split_inclusive(|&octet| octet == b'\n') {
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            let name = line.split(|&octet| octet == b':').next().unwrap_or(line);
            let is = |wanted: &[u8]| name.trim_ascii_end().eq_ignore_ascii_case(wanted);
            kept = !VOLATILE.iter().any(|field| is(field));
            is_distinct |= is(b"message-id") || is(b"received");
        }
        if kept {
            of_header.update(line);
        }
    }
    let mut all = of_header.clone();
    all.update(body);
    let print = Print {
        header: of_header.finalize().into(),
        content: [0; 32],
        is_distinct,
    };
    (print, all)
}

/// Where the header section ends, its empty line included.
fn end_of_header(octets: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(newline) = memchr::memchr(b'\n', octets.get(at..)?) {
        at += newline + 1;
        match octets.get(at..)? {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// How much a record's id is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Doubt {
    /// As much as the server keeps its word.
    None,
    /// QUIT was not answered, or the message was not listed lately: its header section decides.
    Unsure,
    /// The server said that it is deleted: only the same octets are the same message.
    Deleted,
    /// The server kept it although it had said that it is deleted.
    Kept,
    /// The server broke off right after it, so that it may not be whole: only the same octets, and an
    /// answer after them, make it so.
    Broken,
}

/// A message that was brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Of the unique-id, where the message had one for itself.
    pub(super) id: Option<Hash>,
    /// As LIST had it.
    pub(super) octets: Option<u64>,
    /// Its number in the last session; a message's number never grows.
    pub(super) number: u32,
    /// `None` of a message that was brought before this was kept, and is here no more.
    pub(super) print: Option<Print>,
    /// When it was brought, in seconds since 1970.
    pub(super) at: i64,
    /// Which message it became; 0 when that is not known yet.
    pub(super) email: u64,
    pub(super) doubt: Doubt,
    /// Since when the server does not list it; 0 while it does.
    pub(super) missing: i64,
}

impl Record {
    /// The property that keeps it.
    pub(super) fn keep(&self, origin: &Bytes) -> Operation {
        let value = postcard::to_extend(self, vec![VERSION]).ok();
        Operation::SetProperty {
            key: key(origin),
            value: value.map(Bytes::from),
        }
    }

    /// Reads a property; `None` when it is none of these.
    pub(super) fn read(key: &str, value: &[u8]) -> Option<(Bytes, Self)> {
        let origin = key.strip_prefix(PREFIX)?;
        let name = Bytes::copy_from_slice(origin.as_bytes());
        if let Some(id) = unhex(origin) {
            // As it was kept once: the id's hash was the name, and nothing else was known.
            let (at, email) = postcard::from_bytes(value).ok()?;
            let record = Self {
                id: Some(id),
                octets: None,
                number: u32::MAX,
                print: None,
                at,
                email,
                doubt: Doubt::None,
                missing: 0,
            };
            return Some((name, record));
        }
        let (version, rest) = value.split_first()?;
        (*version == VERSION).then_some(())?;
        Some((name, postcard::from_bytes(rest).ok()?))
    }
}

/// The property of the record of that origin.
pub(super) fn key(origin: &Bytes) -> String {
    format!("{PREFIX}{}", String::from_utf8_lossy(origin))
}

/// A name for a record and the message that it is of; no two are alike.
pub(super) fn origin(print: &Print) -> Bytes {
    use std::fmt::Write as _;
    use std::hash::{BuildHasher as _, RandomState};
    let mut all = Sha256::new_with_prefix(print.content);
    for _ in 0..2 {
        let now = std::time::SystemTime::now();
        all.update(RandomState::new().hash_one(now).to_be_bytes());
    }
    let hex = |mut hex: String, octet: &u8| {
        let _ = write!(hex, "{octet:02x}");
        hex
    };
    let all: Hash = all.finalize().into();
    all.iter().take(16).fold(String::new(), hex).into()
}

/// The octets of a hash in hexadecimal digits.
fn unhex(text: &str) -> Option<Hash> {
    let digits = text.as_bytes();
    let mut all = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (octet, pair) in all.iter_mut().zip(digits.chunks(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(all)
}

/// Whether an id may be made of the message's number: then it says nothing of the message.
pub(super) fn is_of_number(id: &[u8], number: u32) -> bool {
    id.split(|octet| !octet.is_ascii_digit())
        .filter(|run| !run.is_empty())
        .filter_map(|run| std::str::from_utf8(run).ok()?.parse::<u32>().ok())
        .any(|run| run == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(message: &str, step: usize) -> Print {
        let mut printer = Printer::default();
        for piece in message.as_bytes().chunks(step) {
            printer.feed(piece);
        }
        printer.finish()
    }

    #[test]
    fn what_servers_write_into_a_message_does_not_change_it() {
        let message =
            "Received: x\r\n y\r\nStatus: RO\r\nX-UIDL: 7\r\n\t8\r\nSubject: a\r\n\r\nbody\r\n";
        let bare = "Received: x\r\n y\r\nSubject: a\r\n\r\nbody\r\n";
        for step in 1..20 {
            assert_eq!(print(message, step), print(bare, 9), "{step}");
        }
        assert!(print(bare, 3).is_distinct);
        let other = print("Received: x\r\n y\r\nSubject: a\r\n\r\nBody\r\n", 5);
        assert_eq!(other.header, print(bare, 2).header);
        assert_ne!(other.content, print(bare, 2).content);
        // What TOP gives: the header section, with its empty line or without a body.
        let top = print("Received: x\r\n y\r\nSubject: a\r\n\r\n", 4);
        assert_eq!(top.header, print(bare, 8).header);
    }

    #[test]
    fn a_message_of_any_form_has_a_print() {
        for message in ["", "\r\nbody", "no header", "a: b\n\nbare", "a: b\r\n"] {
            for step in 1..5 {
                assert_eq!(print(message, step), print(message, 100), "{message:?}");
            }
        }
        assert_ne!(print("\r\na", 1).content, print("\r\nb", 1).content);
        assert!(!print("Subject: received: x\r\n\r\n", 9).is_distinct);
    }

    #[test]
    fn a_record_is_read_as_it_was_kept() {
        let record = Record {
            id: Some(hash(b"1")),
            octets: Some(9),
            number: 3,
            print: Some(print("a: b\r\n\r\n", 9)),
            at: 7,
            email: 8,
            doubt: Doubt::Deleted,
            missing: 0,
        };
        let origin = Bytes::from_static(b"00ff");
        let Operation::SetProperty { key, value } = record.keep(&origin) else {
            panic!()
        };
        assert_eq!(Record::read(&key, &value.unwrap()), Some((origin, record)));
        // The form before.
        let name: String = hash(b"id").iter().map(|o| format!("{o:02x}")).collect();
        let old = postcard::to_allocvec(&(5_i64, 6_u64)).unwrap();
        let (_, old) = Record::read(&format!("{PREFIX}{name}"), &old).unwrap();
        assert_eq!((old.id, old.at, old.email), (Some(hash(b"id")), 5, 6));
        assert_eq!(Record::read("else/x", b""), None);
    }

    #[test]
    fn ids_that_may_be_numbers_are_seen() {
        for id in ["7", "0007", "msg-7", "7.1606500000", "<7@x>"] {
            assert!(is_of_number(id.as_bytes(), 7), "{id}");
        }
        for id in ["17", "a7b1".trim_end_matches("7b1"), "", "77777777777777"] {
            assert!(!is_of_number(id.as_bytes(), 7), "{id}");
        }
    }
}
