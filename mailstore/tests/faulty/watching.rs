//! Faults of watchers.

use hikyaku_mailstore::*;
use std::future::pending;

use super::fault::Fault;
use super::store::Faulty;

struct Watching {
    store: Faulty,
    scope: Scope,
    watch: Box<dyn Watch>,
    /// Which of the watchers of its scope it is.
    number: u64,
    /// A wait was dropped before it ended.
    dropped: bool,
}

impl Watch for Watching {
    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.wait())
    }
}

impl Watching {
    async fn wait(&mut self) {
        let has = |fault| self.store.has(fault);
        if has(Fault::WatchersNeverRest) {
            return;
        }
        let of_queue = self.scope == Scope::Queue;
        if has(Fault::AccountsNeverWake) && !of_queue || has(Fault::QueueNeverWakes) && of_queue {
            pending::<()>().await;
        }
        let key = format!("{:?}", self.scope);
        if has(Fault::NewestWatcherAlone)
            && self.store.memo().watchers.get(&key) != Some(&self.number)
        {
            pending::<()>().await;
        }
        if has(Fault::EarlierIsLost) {
            self.watch = self.store.inner.watch(self.scope);
        }
        if has(Fault::DroppedWaitLoses) && std::mem::replace(&mut self.dropped, true) {
            self.watch.changed().await;
        }
        loop {
            self.watch.changed().await;
            let Scope::Account(id) = self.scope else {
                break;
            };
            if !self.store.memo().quiet.remove(&id) {
                break;
            }
        }
        self.dropped = false;
    }
}

impl Faulty {
    pub(super) fn watching(&self, scope: Scope) -> Box<dyn Watch> {
        let mut memo = self.memo();
        let number = memo.watchers.entry(format!("{scope:?}")).or_default();
        *number += 1;
        let number = *number;
        drop(memo);
        Box::new(Watching {
            store: self.clone(),
            scope,
            watch: self.inner.watch(scope),
            number,
            dropped: false,
        })
    }
}
