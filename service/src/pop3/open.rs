//! The maildrops that are open.

use hikyaku_mailstore::AccountId;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Maildrops that are open: one session each (RFC 1939 §4).
#[derive(Debug, Default)]
pub(crate) struct OpenMaildrops(Mutex<HashSet<AccountId>>);

/// A maildrop that this session holds.
pub(super) struct Lock<'a> {
    open: &'a OpenMaildrops,
    account: AccountId,
}

impl OpenMaildrops {
    /// Takes one for a session; `None` when another session holds it.
    pub(super) fn take(&self, account: AccountId) -> Option<Lock<'_>> {
        let free = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(account);
        free.then_some(Lock {
            open: self,
            account,
        })
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        self.open
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.account);
    }
}
