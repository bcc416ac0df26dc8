//! What is wrong with a command.

use bytes::Bytes;
use nom::error::{ErrorKind, ParseError};

/// A command that does not follow the grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at octet {offset}")]
#[non_exhaustive]
pub struct SyntaxError {
    /// Its tag, when that could be read.
    pub tag: Option<Bytes>,
    /// Where, from the first octet of the command.
    pub offset: usize,
    /// What had to stand there.
    pub expected: &'static str,
}

/// The same before anybody is told of it: small, since every parser's result has room for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) offset: usize,
    pub(crate) expected: &'static str,
}

impl Fault {
    /// With the tag of the command that it is of.
    pub(crate) fn of(self, tag: Option<Bytes>) -> SyntaxError {
        let Self { offset, expected } = self;
        SyntaxError {
            tag,
            offset,
            expected,
        }
    }
}

impl From<Fault> for SyntaxError {
    fn from(fault: Fault) -> Self {
        fault.of(None)
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
