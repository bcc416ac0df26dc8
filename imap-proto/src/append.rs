//! APPEND, up to its message, which streams (RFC 9051 §6.3.12).

use alloc::vec::Vec;
use hikyaku_wire::Output;

use crate::cursor::{Cursor, Result};
use crate::date::date_time;
use crate::flag::{flag_list, write_flags};
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

impl Append {
    /// To that mailbox, without flags, received now.
    #[must_use]
    pub fn new(mailbox: MailboxName) -> Self {
        Self {
            mailbox,
            flags: Vec::new(),
            received: None,
        }
    }

    /// Appends what follows `APPEND `, up to the message's literal.
    pub(crate) fn encode(&self, output: &mut Output) {
        self.mailbox.encode(output);
        output.write(b" ");
        if !self.flags.is_empty() {
            write_flags(&self.flags, output);
            output.write(b" ");
        }
        if let Some(received) = self.received {
            received.encode(output);
            output.write(b" ");
        }
    }
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
