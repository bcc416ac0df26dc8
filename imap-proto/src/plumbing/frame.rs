//! Framing: where a command ends, with the literals in it (RFC 9051 §4.3, RFC 7888).
//!
//! No octet is looked at twice. Octets of a literal that was refused are never taken for commands.

use alloc::vec::Vec;
use bytes::{Buf as _, Bytes, BytesMut};

use crate::command::append::{is_append, is_argument};
use crate::plumbing::text;

/// What the framer found.
#[derive(Debug)]
pub(crate) enum Framed {
    /// A whole command, small literals inside, without its last CRLF.
    Unit(BytesMut),
    /// A synchronizing literal was announced: the client waits for `+`.
    Continue(Literal),
    /// A segment of an APPEND, and the literal behind it, which streams.
    Append(Bytes, Literal),
    /// Refused; the beginning, for its tag.
    Refused(Vec<u8>, Refusal),
}

/// A literal that is announced, `{n}` or `{n+}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Literal {
    /// How many octets it has.
    pub octets: u64,
    /// Whether its sender waits for `+` before it sends them.
    pub synchronizing: bool,
}

/// Why a command did not get through. It is read to its end and answered with BAD, and the connection goes on, unless its
/// end cannot be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It passes [`Limits::command`](crate::Limits::command).
    #[error("command too long")]
    TooLong,
    /// A literal in it passes [`Limits::literal`](crate::Limits::literal).
    #[error("literal too big")]
    LiteralTooBig,
    /// A literal of more than 63 bits: where the command ends cannot be known, and the connection has to end.
    #[error("literal of more than 63 bits")]
    LiteralEndless,
    /// CR or LF alone.
    #[error("bare CR or LF")]
    BareNewline,
    /// NUL in a message that is no literal8 (RFC 9051 §9).
    #[error("NUL in a literal")]
    Nul,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Skip {
    #[default]
    Nothing,
    Octets(u64),
    Line,
}

#[derive(Debug, Default)]
pub(crate) struct Framer {
    /// Where the line under way begins: behind the literals before it.
    line_start: usize,
    /// Up to here there is no line end.
    scanned: usize,
    /// Octets of a command up to a synchronizing literal that was announced last.
    announced: usize,
    skip: Skip,
}

/// `{n}` at the end of a line.
struct Announced {
    /// Where the brace stands.
    at: usize,
    /// `None` past 64 bits.
    octets: Option<u64>,
    synchronizing: bool,
}

impl Framer {
    /// `limit`: octets of a command; `literal`: of a literal in it. `in_append`: what comes is not the
    /// beginning of a command but goes on with an APPEND.
    pub(crate) fn next(
        &mut self,
        input: &mut BytesMut,
        limit: usize,
        literal: u64,
        in_append: bool,
    ) -> Option<Framed> {
        loop {
            if !self.skip(input) {
                return None;
            }
            let unseen = input.get(self.scanned..)?;
            let Some(lf) = memchr::memchr(b'\n', unseen).map(|at| at + self.scanned) else {
                if input.len() > limit {
                    return Some(self.too_long(input));
                }
                self.scanned = self.scanned.max(input.len());
                return None;
            };
            let line = input.get(self.line_start..lf).unwrap_or(&[]);
            let announced = line.strip_suffix(b"\r").and_then(announced);
            let bare =
                !line.ends_with(b"\r") || memchr::memchr(b'\r', line) != Some(line.len() - 1);
            if bare || lf >= limit {
                // Too long comes first: in other pieces it is known before the line end is there.
                let why = if lf >= limit {
                    Refusal::TooLong
                } else {
                    Refusal::BareNewline
                };
                return Some(self.refuse(input, lf, announced.as_ref(), why));
            }
            let Some(announced) = announced else {
                let mut unit = input.split_to(lf + 1);
                unit.truncate(lf - 1);
                self.reset();
                return Some(Framed::Unit(unit));
            };
            let Some(octets) = announced.octets else {
                return Some(self.refuse(input, lf, None, Refusal::LiteralEndless));
            };
            let synchronizing = announced.synchronizing;
            let head = input.get(..self.line_start + announced.at).unwrap_or(&[]);
            if (in_append || begins_append(head)) && !is_argument(head) {
                let length = head.len();
                let mut segment = input.split_to(lf + 1);
                segment.truncate(length);
                self.reset();
                let literal = Literal {
                    octets,
                    synchronizing,
                };
                return Some(Framed::Append(segment.freeze(), literal));
            }
            let end = usize::try_from(octets)
                .ok()
                .and_then(|octets| octets.checked_add(lf + 1));
            match end.filter(|&end| octets <= literal && end <= limit) {
                Some(end) => (self.line_start, self.scanned) = (end, end),
                None => {
                    return Some(self.refuse(input, lf, Some(&announced), Refusal::LiteralTooBig));
                }
            }
            if synchronizing {
                self.announced = lf + 1;
                return Some(Framed::Continue(Literal {
                    octets,
                    synchronizing,
                }));
            }
        }
    }

    /// Forgets a command whose synchronizing literal, announced last, was refused: its octets do not come.
    pub(crate) fn withdraw(&mut self, input: &mut BytesMut) {
        input.advance(self.announced.min(input.len()));
        self.reset();
    }

    /// How many octets of a command are there before the synchronizing literal that was announced last.
    pub(crate) fn announced(&self) -> usize {
        self.announced
    }

    /// Passes over a literal, and what follows it in its command.
    pub(crate) fn skip_octets(&mut self, octets: u64) {
        self.skip = Skip::Octets(octets);
    }

    /// Passes over the rest of the line under way, and what its literals hold.
    pub(crate) fn skip_line(&mut self) {
        self.reset();
        self.skip = Skip::Line;
    }

    /// Whether octets of a refused command are still being passed over.
    pub(crate) fn is_in_command(&self) -> bool {
        self.skip != Skip::Nothing || self.line_start > 0
    }

    fn reset(&mut self) {
        (self.line_start, self.scanned) = (0, 0);
    }

    fn refuse(
        &mut self,
        input: &mut BytesMut,
        lf: usize,
        announced: Option<&Announced>,
        why: Refusal,
    ) -> Framed {
        let head = beginning(input);
        input.advance(lf + 1);
        self.reset();
        // A synchronizing literal does not come: no `+` was said.
        if let Some(Announced {
            octets: Some(octets),
            synchronizing: false,
            ..
        }) = announced
        {
            self.skip = Skip::Octets(*octets);
        }
        Framed::Refused(head, why)
    }

    fn too_long(&mut self, input: &mut BytesMut) -> Framed {
        let head = beginning(input);
        // Lines before this one, and their literals, are no lines to be looked at again.
        input.advance(self.line_start.min(input.len()));
        self.reset();
        self.skip = Skip::Line;
        Framed::Refused(head, Refusal::TooLong)
    }

    /// `false` when there is more to pass over than there is.
    fn skip(&mut self, input: &mut BytesMut) -> bool {
        loop {
            match self.skip {
                Skip::Nothing => return true,
                Skip::Octets(left) => {
                    let some = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    input.advance(some);
                    let left = left - some as u64;
                    if left > 0 {
                        self.skip = Skip::Octets(left);
                        return false;
                    }
                    self.skip = Skip::Line;
                }
                Skip::Line => {
                    let Some(lf) = memchr::memchr(b'\n', input) else {
                        // The longest announcement is kept.
                        input.advance(input.len().saturating_sub(32));
                        return false;
                    };
                    let line = input.get(..lf).unwrap_or(&[]);
                    let announced = line.strip_suffix(b"\r").and_then(announced);
                    self.skip = match announced {
                        Some(Announced {
                            octets: Some(octets),
                            synchronizing: false,
                            ..
                        }) => Skip::Octets(octets),
                        _ => Skip::Nothing,
                    };
                    input.advance(lf + 1);
                }
            }
        }
    }
}

/// Enough of a command to read its tag.
fn beginning(input: &BytesMut) -> Vec<u8> {
    input.iter().copied().take(256).collect()
}

/// `{n}` or `{n+}` at the end of a line, given without its CRLF.
fn announced(line: &[u8]) -> Option<Announced> {
    let inner = line.strip_suffix(b"}")?;
    let (inner, synchronizing) = match inner.strip_suffix(b"+") {
        Some(inner) => (inner, false),
        None => (inner, true),
    };
    let digits = inner
        .iter()
        .rev()
        .take_while(|o| o.is_ascii_digit())
        .count();
    let at = inner.len() - digits;
    let (before, digits) = inner.split_at(at);
    let at = before.len().checked_sub(1)?;
    if digits.is_empty() || before.last() != Some(&b'{') {
        return None;
    }
    let value = digits.iter().try_fold(0_u64, |sum, digit| {
        sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    });
    Some(Announced {
        at,
        octets: value.filter(|&octets| octets <= i64::MAX as u64),
        synchronizing,
    })
}

/// Whether a command is one whose messages stream.
pub(crate) fn begins_append(command: &[u8]) -> bool {
    let space = memchr::memchr(b' ', command);
    let rest = space.and_then(|at| command.get(at + 1..));
    rest.is_some_and(is_append)
}

/// The tag at the beginning of what was refused.
pub(crate) fn tag_of(head: &[u8]) -> Option<Bytes> {
    let length = head.iter().take_while(|&&o| text::is_tag_char(o)).count();
    let whole = length > 0 && head.get(length) == Some(&b' ');
    whole.then(|| head.get(..length).map(Bytes::copy_from_slice))?
}
