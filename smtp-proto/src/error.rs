//! What is wrong with a line.

use hikyaku_wire::Excerpt;

use nom::error::{ErrorKind, ParseError};

/// A command or reply that does not follow the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at octet {offset}, found {found}")]
#[non_exhaustive]
pub struct SyntaxError {
    /// Where, from the first octet of the line.
    pub offset: usize,
    /// What had to stand there.
    pub expected: &'static str,
    /// The first octets of what stands there; nothing of a line that may hold a password.
    pub found: Excerpt,
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

/// Fails at `rest`.
pub(crate) fn expected<'a, T>(rest: &'a [u8], what: &'static str) -> IResult<'a, T> {
    Err(nom::Err::Error(Expected { rest, what }))
}

/// The result of a parser that had to take all of `line`.
pub(crate) fn whole<'a, T>(line: &'a [u8], result: IResult<'a, T>) -> Result<T, SyntaxError> {
    let at = |rest: &[u8], expected| {
        let offset = line.len().saturating_sub(rest.len());
        SyntaxError {
            offset,
            expected,
            found: Excerpt::of_command(line, offset),
        }
    };
    match result {
        Ok(([], value)) => Ok(value),
        Ok((rest, _)) => Err(at(rest, "the end of the line")),
        Err(nom::Err::Error(e) | nom::Err::Failure(e)) => Err(at(e.rest, e.what)),
        Err(nom::Err::Incomplete(_)) => Err(at(&[], "more")),
    }
}
