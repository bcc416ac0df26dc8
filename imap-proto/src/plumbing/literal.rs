//! Where a command that is sent has to wait: behind each synchronizing literal (RFC 9051 §4.3, 7888).

use alloc::collections::VecDeque;
use bytes::{Buf as _, Bytes, BytesMut};
use hikyaku_wire::Output;

use crate::Tagged;

/// What a server can do about literals ([`client::Capabilities::literals`](crate::client::Capabilities::literals)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Literals {
    /// Each waits for `+`.
    #[default]
    Synchronizing,
    /// LITERAL-: short ones do not wait.
    Short,
    /// LITERAL+: none waits.
    NonSynchronizing,
}

/// RFC 7888 §5: the longest one that LITERAL- lets go.
const SHORT: u64 = 4096;

impl Literals {
    /// Whether a literal of so many octets waits for `+`.
    #[must_use]
    pub fn waits(self, octets: u64) -> bool {
        match self {
            Self::Synchronizing => true,
            Self::Short => octets > SHORT,
            Self::NonSynchronizing => false,
        }
    }
}

/// Cuts a command as [`Tagged::encode`](crate::Tagged::encode) writes it into the pieces between which
/// the client waits. `None` when it is no single command: an argument holds NUL, or CR or LF outside
/// of a literal.
pub(crate) fn pieces(command: &Bytes, literals: Literals) -> Option<VecDeque<Bytes>> {
    if literals == Literals::Synchronizing {
        return slices(command);
    }
    let mut pieces = VecDeque::new();
    let mut piece = BytesMut::with_capacity(command.len() + 16);
    let mut rest = &command[..];
    loop {
        let end = memchr::memchr2(b'\r', b'\n', rest)?;
        let (line, tail) = rest.split_at(end);
        if memchr::memchr(0, line).is_some() {
            return None;
        }
        let tail = tail.strip_prefix(b"\r\n")?;
        piece.extend_from_slice(line);
        if tail.is_empty() {
            piece.extend_from_slice(b"\r\n");
            pieces.push_back(piece.freeze());
            return Some(pieces);
        }
        let (any, octets) = announced(line)?;
        let (literal, tail) = tail.split_at_checked(octets)?;
        if !any && memchr::memchr(0, literal).is_some() {
            return None;
        }
        if literals.waits(octets as u64) {
            piece.extend_from_slice(b"\r\n");
            pieces.push_back(piece.split().freeze());
        } else {
            piece.truncate(piece.len().saturating_sub(1));
            piece.extend_from_slice(b"+}\r\n");
        }
        piece.extend_from_slice(literal);
        rest = tail;
    }
}

/// The same where every literal waits: nothing is written anew.
fn slices(command: &Bytes) -> Option<VecDeque<Bytes>> {
    let mut pieces = VecDeque::new();
    let (mut start, mut at) = (0, 0);
    loop {
        let rest = command.get(at..)?;
        let (line, tail) = rest.split_at(memchr::memchr2(b'\r', b'\n', rest)?);
        if memchr::memchr(0, line).is_some() {
            return None;
        }
        let tail = tail.strip_prefix(b"\r\n")?;
        at += line.len() + 2;
        pieces.push_back(command.slice(start..at));
        if tail.is_empty() {
            return Some(pieces);
        }
        let (any, octets) = announced(line)?;
        let literal = tail.get(..octets)?;
        if !any && memchr::memchr(0, literal).is_some() {
            return None;
        }
        (start, at) = (at, at + octets);
    }
}

/// Whether a literal8 is announced, and how many octets a literal has.
fn announced(line: &[u8]) -> Option<(bool, usize)> {
    let inner = line.strip_suffix(b"}")?;
    let digits = inner.iter().rev().take_while(|o| o.is_ascii_digit());
    let at = inner.len() - digits.count();
    let (head, digits) = inner.split_at(at);
    let head = head.strip_suffix(b"{")?;
    let octets = core::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((head.ends_with(b"~"), octets))
}

/// What may be sent of a command before each `+`: one piece, and one more behind each literal that waits.
///
/// A piece that another follows ends with the announcement of a synchronizing literal, and the next one begins with its
/// octets. Literals that need not wait are announced as non-synchronizing ones, literal8 too (RFC 7888). When the server
/// answers with a tagged NO or BAD in place of `+`, what is left of the command is not sent.
///
/// ```
/// use hikyaku_imap_proto::{Command, Fragments, Literals, Tagged};
///
/// let command = Command::Login { name: "j\u{f6}rg".into(), password: b"secret".to_vec().into() };
/// let login = Tagged { tag: "a1".into(), command };
/// let fragments = Fragments::of(&login, Literals::Synchronizing).unwrap();
/// assert!(fragments.eq(["a1 LOGIN {5}\r\n", "j\u{f6}rg secret\r\n"]));
///
/// // LITERAL+, LITERAL- and IMAP4rev2 let a literal go at once, the latter two up to 4 096 octets.
/// let fragments = Fragments::of(&login, Literals::Short).unwrap();
/// assert!(fragments.eq(["a1 LOGIN {5+}\r\nj\u{f6}rg secret\r\n"]));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Fragments(VecDeque<Bytes>);

impl Fragments {
    /// Those of a command. `None` when it cannot be sent as it is: an argument holds what may not stand there.
    #[must_use]
    pub fn of(command: &Tagged, literals: Literals) -> Option<Self> {
        let mut output = Output::new();
        command.encode(&mut output);
        if output.has_replaced() {
            return None;
        }
        Self::new(&output.copy_to_bytes(output.len()), literals)
    }

    /// Those of a command as [`Tagged::encode`] writes it: synchronizing literals, CRLF at its end.
    #[must_use]
    pub fn new(command: &Bytes, literals: Literals) -> Option<Self> {
        pieces(command, literals).map(Self)
    }

    /// Octets that are left.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// With a message announced at the end of the command, which is one up to its literal.
    #[cfg(feature = "codec")]
    pub(crate) fn announcing(mut self, octets: u64, waits: bool) -> Self {
        if let Some(last) = self.0.pop_back() {
            let mut line = Output::new();
            line.write(last.strip_suffix(b"\r\n").unwrap_or(&last));
            line.write(b"{");
            line.write_number(octets);
            line.write(if waits { b"}\r\n" } else { b"+}\r\n" });
            self.0.push_back(line.copy_to_bytes(line.len()));
        }
        self
    }
}

impl Iterator for Fragments {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.0.pop_front()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}

impl ExactSizeIterator for Fragments {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn cut(command: &str, literals: Literals) -> Option<Vec<Bytes>> {
        pieces(&Bytes::copy_from_slice(command.as_bytes()), literals).map(Into::into)
    }

    #[test]
    fn a_command_is_cut_where_it_waits() {
        // The literal ends in CRLF itself.
        let command = "a LOGIN {3}\r\nx\r\n \"{9}\"\r\n";
        let whole = vec![
            Bytes::from("a LOGIN {3}\r\n"),
            Bytes::from("x\r\n \"{9}\"\r\n"),
        ];
        assert_eq!(cut(command, Literals::Synchronizing), Some(whole));
        let one = vec![Bytes::from("a LOGIN {3+}\r\nx\r\n \"{9}\"\r\n")];
        assert_eq!(cut(command, Literals::Short), Some(one));
        let long = std::format!("a X {{4097}}\r\n{}\r\n", "y".repeat(4097));
        assert_eq!(cut(&long, Literals::Short).unwrap().len(), 2);
        assert_eq!(cut(&long, Literals::NonSynchronizing).unwrap().len(), 1);
    }

    #[test]
    fn nothing_is_smuggled() {
        for bad in [
            "a ENABLE X\r\nb LOGOUT\r\n",
            "a ENABLE X\nb\r\n",
            "a ENABLE X\rb\r\n",
            "a ENABLE {9}\r\nb\r\n",
            "a X \0\r\n",
            "a X",
        ] {
            assert_eq!(cut(bad, Literals::Synchronizing), None, "{bad:?}");
        }
    }
}
