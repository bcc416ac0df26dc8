//! What is known of a mailbox on the server, as of the last sync.

use bytes::Bytes;
use hikyaku_imap_proto::MailboxName;
use hikyaku_mailstore::Operation;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The state of a mirror.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mirror {
    /// Its name on the server, in Unicode, with the server's delimiter.
    pub remote: String,
    /// UIDVALIDITY; if it changes, the UIDs are void.
    pub uid_validity: u32,
    /// UIDs below this one are known.
    pub uid_next: u32,
    /// The mod-sequence that flags are known at; 0 where the server has none.
    pub modseq: u64,
}

impl Mirror {
    fn key(mailbox: &str) -> String {
        format!("mirror/{mailbox}")
    }

    /// A name on the server as it is kept: in Unicode; one that is no modified UTF-7, behind a NUL, an octet for
    /// each character.
    pub(crate) fn remote_of(name: &MailboxName) -> String {
        match name.raw() {
            Some(raw) => std::iter::once('\0')
                .chain(raw.iter().map(|&octet| char::from(octet)))
                .collect(),
            None => name.as_str().to_owned(),
        }
    }

    /// Returns its name on the server.
    #[must_use]
    pub fn name(&self) -> MailboxName {
        match self.remote.strip_prefix('\0') {
            Some(raw) => {
                let octets = raw.chars().map(|c| u8::try_from(c).unwrap_or(b'?'));
                MailboxName::decode(&octets.collect::<Vec<_>>()).as_it_came()
            }
            None => MailboxName::new(self.remote.as_str()),
        }
    }

    /// Reads the state of a mailbox from the properties of the account.
    #[must_use]
    pub fn of(properties: &BTreeMap<String, Bytes>, mailbox: &str) -> Option<Self> {
        postcard::from_bytes(properties.get(&Self::key(mailbox))?).ok()
    }

    /// The change that keeps it.
    pub(crate) fn keep(&self, mailbox: &str) -> Operation {
        let value = postcard::to_allocvec(self).ok().map(Bytes::from);
        Operation::SetProperty {
            key: Self::key(mailbox),
            value,
        }
    }

    /// The change that forgets it.
    pub(crate) fn forget(mailbox: &str) -> Operation {
        Operation::SetProperty {
            key: Self::key(mailbox),
            value: None,
        }
    }
}
