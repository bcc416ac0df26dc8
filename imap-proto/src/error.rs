//! What is wrong with a command.

use bytes::Bytes;
use hikyaku_wire::Excerpt;
use nom::error::{ErrorKind, ParseError};

/// A command that does not follow the grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at octet {offset}, found {found}")]
#[non_exhaustive]
pub struct SyntaxError {
    /// Its tag, when that could be read.
    pub tag: Option<Bytes>,
    /// Where, from the first octet of the command.
    pub offset: usize,
    /// What had to stand there.
    pub expected: &'static str,
    /// The first octets of what stands there; nothing of a command that may hold a password.
    pub found: Excerpt,
}

/// The same before it is reported: small, since every parser's result has room for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) offset: usize,
    pub(crate) expected: &'static str,
}

impl Fault {
    /// In a command, with its tag.
    pub(crate) fn of_command(self, tag: Option<Bytes>, unit: &[u8]) -> SyntaxError {
        let Self { offset, expected } = self;
        SyntaxError {
            tag,
            offset,
            expected,
            found: Excerpt::of_command(unit, offset),
        }
    }

    /// In anything else.
    pub(crate) fn of(self, unit: &[u8]) -> SyntaxError {
        let Self { offset, expected } = self;
        SyntaxError {
            tag: None,
            offset,
            expected,
            found: Excerpt::of(unit.get(offset..).unwrap_or(&[])),
        }
    }
}

/// The error of the token parsers: what was left over names the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected<'a> {
    pub(crate) rest: &'a [u8],
    pub(crate) what: &'static str,
}

pub(crate) type IResult<'a, T> = nom::IResult<&'a [u8], T, Expected<'a>>;

impl<'a> ParseError<&'a [u8]> for Expected<'a> {
    fn from_error_kind(rest: &'a [u8], _: ErrorKind) -> Self {
        Self {
            rest,
            what: "something else",
        }
    }
    fn append(_: &'a [u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// Fails at `rest`.
pub(crate) fn expected<'a, T>(rest: &'a [u8], what: &'static str) -> IResult<'a, T> {
    Err(nom::Err::Error(Expected { rest, what }))
}
