//! STATUS (RFC 9051 §6.3.11; HIGHESTMODSEQ RFC 7162, SIZE RFC 8438, DELETED RFC 9051 and 9208, MAILBOXID
//! RFC 8474, APPENDLIMIT RFC 7889).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::write_list;
use crate::plumbing::word::{write_atom, write_value, write_word};
use crate::value::object_id::object_id;

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
    /// `DELETED-STORAGE`: octets of what is `\Deleted`.
    DeletedStorage,
    /// `MAILBOXID`
    MailboxId,
    /// `APPENDLIMIT`
    AppendLimit,
    /// One of another extension: left out of what is sent.
    Other(Bytes),
}

/// An attribute and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusItem {
    /// A number.
    Number(StatusAttribute, u64),
    /// `MAILBOXID`: what it is called whatever its name is.
    MailboxId(Bytes),
    /// `APPENDLIMIT`: the most octets that a message may have; `None` where there is no limit.
    AppendLimit(Option<u64>),
    /// Something else, or of another extension: its name and its value as they were sent.
    Other(Bytes, Bytes),
}

impl StatusAttribute {
    const KNOWN: [Self; 11] = [
        Self::Messages,
        Self::Recent,
        Self::UidNext,
        Self::UidValidity,
        Self::Unseen,
        Self::Deleted,
        Self::Size,
        Self::HighestModSeq,
        Self::DeletedStorage,
        Self::MailboxId,
        Self::AppendLimit,
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
            Self::DeletedStorage => b"DELETED-STORAGE",
            Self::MailboxId => b"MAILBOXID",
            Self::AppendLimit => b"APPENDLIMIT",
            Self::Other(name) => name,
        }
    }
}

pub(crate) fn write_items(items: &[StatusItem], output: &mut Output) {
    write_list(items, output, |item, output| match item {
        StatusItem::Number(attribute, value) => {
            write_word(attribute.name(), output);
            output.write(b" ");
            output.write_number(*value);
        }
        StatusItem::MailboxId(id) => {
            output.write(b"MAILBOXID (");
            write_word(id, output);
            output.write(b")");
        }
        StatusItem::AppendLimit(None) => output.write(b"APPENDLIMIT NIL"),
        StatusItem::AppendLimit(Some(octets)) => {
            output.write(b"APPENDLIMIT ");
            output.write_number(*octets);
        }
        StatusItem::Other(name, value) => {
            write_word(name, output);
            output.write(b" ");
            write_value(value, output);
        }
    });
}

pub(crate) fn write_attributes(attributes: &[StatusAttribute], output: &mut Output) {
    write_list(attributes, output, |attribute, output| {
        write_atom(attribute.name(), output);
    });
}

/// What follows the mailbox in `STATUS`. A value that is no number is kept as it is.
pub(crate) fn items(cursor: &mut Cursor<'_>) -> Result<Vec<StatusItem>> {
    cursor.list(true, |cursor| {
        let name = cursor.atom()?;
        cursor.sp()?;
        let known = known(&name);
        let start = cursor.clone();
        let value = cursor.value()?;
        let mut again = start;
        let item = known.and_then(|attribute| typed(attribute, &mut again).ok());
        let whole = again.rest().len() == cursor.rest().len();
        Ok(match item.filter(|_| whole) {
            Some(item) => item,
            None => StatusItem::Other(name, value),
        })
    })
}

fn typed(attribute: StatusAttribute, cursor: &mut Cursor<'_>) -> Result<StatusItem> {
    Ok(match attribute {
        StatusAttribute::MailboxId => {
            cursor.expect(b'(', "\"(\"")?;
            let id = object_id(cursor)?;
            cursor.expect(b')', "\")\"")?;
            StatusItem::MailboxId(id)
        }
        StatusAttribute::AppendLimit if cursor.eat_word("NIL") => StatusItem::AppendLimit(None),
        StatusAttribute::AppendLimit => StatusItem::AppendLimit(Some(cursor.number64()?)),
        attribute => StatusItem::Number(attribute, cursor.number64()?),
    })
}

fn known(name: &[u8]) -> Option<StatusAttribute> {
    let mut known = StatusAttribute::KNOWN.into_iter();
    known.find(|attribute| name.eq_ignore_ascii_case(attribute.name()))
}

/// `"(" status-att *(SP status-att) ")"`
pub(crate) fn attributes(cursor: &mut Cursor<'_>) -> Result<Vec<StatusAttribute>> {
    cursor.list(false, |cursor| {
        let name = cursor.atom()?;
        Ok(known(&name).unwrap_or(StatusAttribute::Other(name)))
    })
}
