//! A message in a list.

use mailstore::message::{Envelope, decode_header, parse_date};
use mailstore::{BodyRef, Flags, MailboxId, Uid};

use crate::show;

/// A message in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it is shown.
    pub mailbox: String,
    /// The name commands know it by: mailbox and UID.
    pub name: String,
    /// Its flags.
    pub flags: Flags,
    /// Octets of all of it.
    pub octets: u64,
    /// When it came, in seconds since 1970.
    pub received: i64,
    /// What its header says.
    pub envelope: Envelope,
    /// Whether it is a multipart/mixed: most likely with attachments.
    pub mixed: bool,
    pub(crate) id: MailboxId,
    pub(crate) uid: Uid,
    pub(crate) body: BodyRef,
}

impl Message {
    /// The subject, decoded.
    #[must_use]
    pub fn subject(&self) -> String {
        decode_header(self.envelope.subject.as_deref().unwrap_or(b""))
    }

    /// Who wrote it, for people: the name, or the address.
    #[must_use]
    pub fn from(&self) -> String {
        self.envelope
            .from
            .first()
            .map_or_else(String::new, show::person)
    }

    /// Its UID in the mailbox where it is shown; none yet, where it is to come there with the next sync.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        let (home, _) = self.name.rsplit_once('/')?;
        (home == self.mailbox).then(|| self.uid.get())
    }

    /// When it was written, as its Date field says; when it came, where that says nothing.
    #[must_use]
    pub fn date(&self) -> i64 {
        let date = self.envelope.date.as_deref().and_then(parse_date);
        date.map_or(self.received, |date| date.seconds)
    }
}
