//! A message in a list.

use hikyaku_mailstore::{BodyRef, Flags, MailboxId, Uid};
use hikyaku_message::{Envelope, decode_header, parse_date};

use crate::show;

/// A message in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The mailbox that it is shown in.
    pub mailbox: String,
    /// The name for commands: mailbox and UID, such as `INBOX/7`.
    pub name: String,
    /// Its flags.
    pub flags: Flags,
    /// The size of the whole message, in octets.
    pub octets: u64,
    /// When it was received, in seconds since 1970.
    pub received: i64,
    /// Its envelope.
    pub envelope: Envelope,
    /// Whether it is a multipart/mixed, which most likely has attachments.
    pub mixed: bool,
    pub(crate) id: MailboxId,
    pub(crate) uid: Uid,
    pub(crate) body: BodyRef,
}

impl Message {
    /// Returns the subject, decoded.
    #[must_use]
    pub fn subject(&self) -> String {
        decode_header(self.envelope.subject.as_deref().unwrap_or(b""))
    }

    /// Returns the author for display: the name, or else the address.
    #[must_use]
    pub fn from(&self) -> String {
        self.envelope
            .from
            .first()
            .map_or_else(String::new, show::person)
    }

    /// Returns its UID in the mailbox that it is shown in; `None` until the next sync puts it there.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        let (home, _) = self.name.rsplit_once('/')?;
        (home == self.mailbox).then(|| self.uid.get())
    }

    /// Returns when it was written, by its Date field, or else when it was received.
    #[must_use]
    pub fn date(&self) -> i64 {
        let date = self.envelope.date.as_deref().and_then(parse_date);
        date.map_or(self.received, |date| date.seconds)
    }
}
