//! Where a command that is sent has to wait: behind each synchronizing literal (RFC 9051 §4.3, 7888).

use alloc::collections::VecDeque;
use bytes::{Bytes, BytesMut};

/// What the server can do about literals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Literals {
    /// Each waits for `+`.
    #[default]
    Synchronizing,
    /// LITERAL-: short ones do not wait.
    Short,
    /// LITERAL+: none waits.
    NonSynchronizing,
}

/// RFC 7888 §5: the longest one that LITERAL- lets go.
pub(crate) const SHORT: u64 = 4096;

impl Literals {
    pub(crate) fn waits(self, octets: u64) -> bool {
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
