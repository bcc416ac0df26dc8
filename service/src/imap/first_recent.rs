//! Which messages no session has seen yet, in memory.

use hikyaku_mailstore::MailboxId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The first UID of each mailbox that no session has seen, as far as it was asked for.
#[derive(Debug, Default)]
pub(crate) struct FirstRecent(Mutex<HashMap<MailboxId, u32>>);

impl FirstRecent {
    pub(super) fn get(&self, mailbox: MailboxId) -> Option<u32> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&mailbox).copied()
    }

    /// Takes all below `up_to` for one session: those from the answer on are its own.
    pub(super) fn take(&self, mailbox: MailboxId, kept: u32, up_to: u32) -> u32 {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first_recent = all.entry(mailbox).or_insert(kept);
        std::mem::replace(first_recent, up_to.max(*first_recent))
    }
}
