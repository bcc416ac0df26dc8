//! Faults of transactions: what is asked is altered before `Memory` has it, and its answer after.

use hikyaku_mailstore::*;
use std::sync::atomic::{AtomicBool, Ordering};

use super::asked::mailboxes;
use super::fault::Fault;
use super::store::Faulty;

/// Does half of a commit whose future is dropped.
pub(super) struct Half {
    store: Option<(Faulty, Transaction)>,
    done: AtomicBool,
}

impl Half {
    pub(super) fn done(&self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        if let Some((store, transaction)) = self.store.take()
            && !*self.done.get_mut()
        {
            drop(store.inner.commit(transaction));
        }
    }
}

impl Faulty {
    pub(super) fn half_when_dropped(&self, transaction: &Transaction) -> Half {
        let mut half = transaction.clone();
        half.operations.truncate(1);
        let dropped = self.has(Fault::DroppedDoneByHalf);
        Half {
            store: dropped.then(|| (self.clone(), half)),
            done: AtomicBool::new(false),
        }
    }

    pub(super) async fn committed(&self, asked: Transaction) -> Result<Committed> {
        let mut altered = asked.clone();
        for operation in &mut altered.operations {
            for mailbox in mailboxes(operation) {
                *mailbox = self.inward(*mailbox);
            }
            self.with_bodies(operation);
        }
        let first = altered.operations.first().cloned();
        for fault in &*self.faults {
            self.refuse(*fault, &altered).await?;
            self.alter(*fault, &mut altered).await?;
        }
        let before = self.before(&altered).await;
        let leaving = self.leaving(&altered).await;
        let count = asked.operations.len();
        let result = self.inner.commit(altered).await;
        let mut result = self.answer(&asked, result).await;
        match &mut result {
            Ok(done) => {
                if self.has(Fault::CopyNeedsNoRoom) && done.outcomes.len() > count {
                    done.outcomes.remove(0);
                }
                done.outcomes.truncate(count);
                if self.has(Fault::OperationsBackwards) {
                    done.outcomes.reverse();
                }
                self.memo().freed.extend(leaving);
                self.note(&asked, done, &before).await;
            }
            Err(_) => self.fail(&asked, first).await,
        }
        result
    }

    /// The names of all mailboxes that lie below others, before the commit.
    async fn before(&self, altered: &Transaction) -> Vec<Mailbox> {
        let all = self.inner.mailboxes(altered.account, None).await;
        all.map_or_else(|_| Vec::new(), |all| all.mailboxes)
    }

    /// The bodies of rows that are to go.
    async fn leaving(&self, altered: &Transaction) -> Vec<BodyId> {
        let mut leaving = Vec::new();
        for operation in &altered.operations {
            if let Operation::Expunge { mailbox, uids, .. } = operation
                && self.has(Fault::BodyGoesWithFirstRow)
            {
                let rows = self.rows(*mailbox, uids.clone()).await;
                leaving.extend(rows.into_iter().map(|row| row.body.id));
            }
        }
        leaving
    }
}
