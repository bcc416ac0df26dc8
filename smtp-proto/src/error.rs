//! What is wrong with a line.

use alloc::boxed::Box;
use hikyaku_wire::Excerpt;

use nom::error::{ErrorKind, ParseError};

/// A command or reply that does not follow the grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at octet {offset}, found {found}")]
#[non_exhaustive]
pub struct SyntaxError {
    /// Where, from the first octet of the line.
    pub offset: usize,
    /// What had to stand there.
    pub expected: &'static str,
    /// The first octets of what stands there; nothing of a line that may hold a password.
    pub found: Box<Excerpt>,
}

/// The error of the parsers inside: what was left over names the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected<'a> {
    rest: &'a [u8],
    what: &'static str,
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

/// Fails at `rest`, in a function that takes no more.
#[cold]
pub(crate) fn fails<'a, T>(
    rest: &'a [u8],
    what: &'static str,
) -> Result<T, nom::Err<Expected<'a>>> {
    Err(nom::Err::Error(Expected { rest, what }))
}

/// Fails unless all was taken.
#[inline]
pub(crate) fn end_of_line(rest: &[u8]) -> Result<(), nom::Err<Expected<'_>>> {
    match rest {
        [] => Ok(()),
        _ => fails(rest, "the end of the line"),
    }
}

/// The error of a parser that had to take all of `line`.
#[cold]
pub(crate) fn refused(line: &[u8], error: &nom::Err<Expected<'_>>) -> SyntaxError {
    let (rest, expected) = match error {
        nom::Err::Error(error) | nom::Err::Failure(error) => (error.rest, error.what),
        nom::Err::Incomplete(_) => (&[][..], "more"),
    };
    let offset = line.len().saturating_sub(rest.len());
    SyntaxError {
        offset,
        expected,
        found: Box::new(Excerpt::of_command(line, offset)),
    }
}

/// Fails at `rest`.
#[inline]
pub(crate) fn expected<'a, T>(rest: &'a [u8], what: &'static str) -> IResult<'a, T> {
    Err(nom::Err::Error(Expected { rest, what }))
}

/// The result of a parser that had to take all of `line`.
pub(crate) fn whole<'a, T>(line: &'a [u8], result: IResult<'a, T>) -> Result<T, SyntaxError> {
    let taken = result.and_then(|(rest, value)| end_of_line(rest).map(|()| value));
    taken.map_err(|error| refused(line, &error))
}
