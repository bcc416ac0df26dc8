//! Flags (RFC 9051 §2.3.2).

use bytes::Bytes;
use hikyaku_wire::Output;

use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::{is_atom_char, write_list};
use crate::plumbing::word::write_flag;

/// A flag of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Flag {
    /// `\Seen`
    Seen,
    /// `\Answered`
    Answered,
    /// `\Flagged`
    Flagged,
    /// `\Deleted`
    Deleted,
    /// `\Draft`
    Draft,
    /// `\Recent`: sent, never stored (RFC 3501 §2.3.2).
    Recent,
    /// `\*`: new keywords may be made (PERMANENTFLAGS).
    Any,
    /// Another one that begins with `\`, which stands in it.
    Extension(Bytes),
    /// A keyword.
    Keyword(Bytes),
}

impl Flag {
    /// As it is written.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Seen => b"\\Seen",
            Self::Answered => b"\\Answered",
            Self::Flagged => b"\\Flagged",
            Self::Deleted => b"\\Deleted",
            Self::Draft => b"\\Draft",
            Self::Recent => b"\\Recent",
            Self::Any => b"\\*",
            Self::Extension(name) | Self::Keyword(name) => name,
        }
    }

    /// Appends it.
    pub fn encode(&self, output: &mut Output) {
        write_flag(self.as_bytes(), output);
    }
}

pub(crate) fn write_flags(flags: &[Flag], output: &mut Output) {
    write_list(flags, output, Flag::encode);
}

/// A flag that a client sends.
pub(crate) fn flag(cursor: &mut Cursor<'_>) -> Result<Flag> {
    let start = cursor.clone();
    match response_flag(cursor)? {
        Flag::Any => start.fail("a flag"),
        flag => Ok(flag),
    }
}

/// A flag that a server sends.
pub(crate) fn response_flag(cursor: &mut Cursor<'_>) -> Result<Flag> {
    if cursor.peek() != Some(b'\\') {
        return cursor.atom().map(Flag::Keyword);
    }
    let start = cursor.rest();
    cursor.eat(b'\\');
    if cursor.eat(b'*') {
        return Ok(Flag::Any);
    }
    let name = cursor.word(is_atom_char, "a flag")?;
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    Ok(match name.len() {
        4 if is(b"Seen") => Flag::Seen,
        8 if is(b"Answered") => Flag::Answered,
        7 if is(b"Flagged") => Flag::Flagged,
        7 if is(b"Deleted") => Flag::Deleted,
        5 if is(b"Draft") => Flag::Draft,
        6 if is(b"Recent") => Flag::Recent,
        _ => {
            let whole = start.get(..=name.len()).unwrap_or(start);
            Flag::Extension(cursor.unit().slice_ref(whole))
        }
    })
}

/// `flag-list`, also an empty one.
pub(crate) fn flag_list(cursor: &mut Cursor<'_>) -> Result<alloc::vec::Vec<Flag>> {
    cursor.list(true, flag)
}

/// The flags that a server sends, with `\*` among them in PERMANENTFLAGS.
pub(crate) fn response_flags(cursor: &mut Cursor<'_>) -> Result<alloc::vec::Vec<Flag>> {
    cursor.list(true, response_flag)
}
