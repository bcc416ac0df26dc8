//! What the client knows of other mailboxes.

use hikyaku_mailstore::{Mailbox, MailboxId};
use std::collections::{BTreeMap, BTreeSet};

use super::entries::Entries;

/// A mailbox as the client knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) own: bool,
    pub(super) mailbox: Mailbox,
    pub(super) entries: Entries,
}

/// What the client knows.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) mailboxes: BTreeMap<MailboxId, Known>,
    pub(super) subscribed: Vec<String>,
    pub(super) server: Entries,
    /// Names that this client itself has made, removed or (un)subscribed: not sent.
    pub(super) own: BTreeSet<String>,
}
