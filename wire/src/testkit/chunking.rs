//! The same octets in every chunking: what is decoded must not depend on the pieces in which they come.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{escape, unescape};

/// Cuts octets into pieces of those sizes, again and again. A size of 0 counts as 1.
///
/// ```
/// use hikyaku_wire::testkit::cut;
/// assert_eq!(cut(b"abcdefg", &[1, 3]), [&b"a"[..], b"bcd", b"e", b"fg"]);
/// ```
#[must_use]
pub fn cut<'a>(octets: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let (mut pieces, mut rest) = (Vec::new(), octets);
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (head, tail) = rest.split_at((*size).clamp(1, rest.len()));
        pieces.push(head);
        rest = tail;
    }
    pieces
}

/// Lines that say what was decoded. Octets that come in pieces are one line, however they were cut.
#[derive(Debug, Default)]
pub struct Log {
    lines: Vec<String>,
    octets: Vec<u8>,
}

impl Log {
    /// Adds octets of a message.
    pub fn chunk(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// Forgets octets that turned out to be void.
    pub fn void(&mut self) {
        self.octets.clear();
    }

    /// Adds a line, behind the octets before it.
    pub fn line(&mut self, line: String) {
        if !self.octets.is_empty() {
            let octets = core::mem::take(&mut self.octets);
            self.lines.push(format!("octets {}", escape(&octets)));
        }
        self.lines.push(line);
    }

    /// Adds the last line, and returns all of them.
    #[must_use]
    pub fn end(mut self, line: String) -> Vec<String> {
        self.line(line);
        self.lines
    }
}

/// Decodes octets whole, octet by octet, and in every split in two. Returns what came of them.
///
/// # Panics
/// When it is not always the same.
pub fn in_every_chunking(decode: impl Fn(&[&[u8]]) -> Vec<String>, octets: &[u8]) -> Vec<String> {
    let whole = decode(&[octets]);
    assert_eq!(decode(&cut(octets, &[1])), whole, "{}", escape(octets));
    for at in 1..octets.len() {
        let (head, tail) = octets.split_at(at);
        let split = decode(&[head, tail]);
        assert_eq!(split, whole, "{} at {at}", escape(octets));
    }
    whole
}

/// Decodes each row's octets, escaped as in a transcript, in every chunking; its lines begin as the row says.
///
/// # Panics
/// When they do not, or are more or fewer.
pub fn check_rows(decode: impl Fn(&[&[u8]]) -> Vec<String>, rows: &[(&str, &[&str])]) {
    for (octets, expected) in rows {
        let came = in_every_chunking(&decode, &unescape(octets));
        let begins = |(came, expected): (&String, &&str)| came.starts_with(*expected);
        let same = came.len() == expected.len() && came.iter().zip(*expected).all(begins);
        assert!(same, "{octets}\n{}", came.join("\n"));
    }
}
