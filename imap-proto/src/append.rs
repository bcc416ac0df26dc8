//! APPEND, up to its message, which streams (RFC 9051 §6.3.12).

use alloc::vec::Vec;

use crate::cursor::{Cursor, Result};
use crate::date::date_time;
use crate::flag::flag_list;
use crate::mailbox::mailbox;
use crate::{DateTime, Flag, MailboxName};

/// Where a message goes, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Where to.
    pub mailbox: MailboxName,
    /// Its flags.
    pub flags: Vec<Flag>,
    /// Its INTERNALDATE; now, when there is none.
    pub received: Option<DateTime>,
}

/// Behind `APPEND `, up to the message's literal.
pub(crate) fn append(cursor: &mut Cursor<'_>) -> Result<Append> {
    let mailbox = mailbox(cursor)?;
    cursor.sp()?;
    let mut append = Append {
        mailbox,
        flags: Vec::new(),
        received: None,
    };
    if cursor.peek() == Some(b'(') {
        append.flags = flag_list(cursor)?;
        cursor.sp()?;
    }
    if cursor.peek() == Some(b'"') {
        append.received = Some(date_time(cursor)?);
        cursor.sp()?;
    }
    Ok(append)
}
