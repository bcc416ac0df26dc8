//! STATUS (RFC 9051 §6.3.11; HIGHESTMODSEQ RFC 7162, SIZE RFC 8438, DELETED RFC 9051 and 9208).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::cursor::{Cursor, Result};

/// What STATUS asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusAttribute {
    /// `MESSAGES`
    Messages,
    /// `RECENT` (RFC 3501)
    Recent,
    /// `UIDNEXT`
    UidNext,
    /// `UIDVALIDITY`
    UidValidity,
    /// `UNSEEN`
    Unseen,
    /// `DELETED`
    Deleted,
    /// `SIZE`
    Size,
    /// `HIGHESTMODSEQ`
    HighestModSeq,
    /// One of another extension: left out of what is told.
    Other(Bytes),
}

/// An attribute and its value.
pub type StatusItem = (StatusAttribute, u64);

impl StatusAttribute {
    const KNOWN: [Self; 8] = [
        Self::Messages,
        Self::Recent,
        Self::UidNext,
        Self::UidValidity,
        Self::Unseen,
        Self::Deleted,
        Self::Size,
        Self::HighestModSeq,
    ];

    fn name(&self) -> &[u8] {
        match self {
            Self::Messages => b"MESSAGES",
            Self::Recent => b"RECENT",
            Self::UidNext => b"UIDNEXT",
            Self::UidValidity => b"UIDVALIDITY",
            Self::Unseen => b"UNSEEN",
            Self::Deleted => b"DELETED",
            Self::Size => b"SIZE",
            Self::HighestModSeq => b"HIGHESTMODSEQ",
            Self::Other(name) => name,
        }
    }
}

pub(crate) fn write_items(items: &[StatusItem], output: &mut Output) {
    crate::text::write_list(items, output, |(attribute, value), output| {
        output.write(attribute.name());
        output.write(b" ");
        output.write_number(*value);
    });
}

/// `"(" status-att *(SP status-att) ")"`
pub(crate) fn attributes(cursor: &mut Cursor<'_>) -> Result<Vec<StatusAttribute>> {
    cursor.list(false, |cursor| {
        let name = cursor.atom()?;
        let mut known = StatusAttribute::KNOWN.into_iter();
        let known = known.find(|attribute| name.eq_ignore_ascii_case(attribute.name()));
        Ok(known.unwrap_or(StatusAttribute::Other(name)))
    })
}
