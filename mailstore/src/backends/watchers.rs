//! Watchers of accounts and of the queue: they are woken, and look for themselves.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use crate::contract::store::{BoxFuture, Scope, Watch};
use crate::{Committed, Operation, Transaction};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who waits for what.
#[derive(Default)]
pub(crate) struct Watchers(Mutex<HashMap<Scope, Vec<Weak<Bell>>>>);

#[derive(Default)]
struct Bell {
    rung: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

/// One who waits.
pub(crate) struct Watching {
    bell: Arc<Bell>,
    heard: u64,
}

impl Watchers {
    pub(crate) fn watch(&self, scope: Scope) -> Watching {
        let bell = Arc::new(Bell::default());
        let mut all = lock(&self.0);
        let bells = all.entry(scope).or_default();
        bells.retain(|bell| bell.strong_count() > 0);
        bells.push(Arc::downgrade(&bell));
        Watching { bell, heard: 0 }
    }

    pub(crate) fn wake_all(&self, transaction: &Transaction, committed: &Committed) {
        self.wake(Scope::Account(transaction.account));
        for (account, _) in &committed.also {
            self.wake(Scope::Account(*account));
        }
        let queues = |operation: &Operation| matches!(operation, Operation::Enqueue { .. });
        if transaction.operations.iter().any(queues) {
            self.wake(Scope::Queue);
        }
    }

    pub(crate) fn wake(&self, scope: Scope) {
        let mut all = lock(&self.0);
        let Some(bells) = all.get_mut(&scope) else {
            return;
        };
        bells.retain(|bell| {
            let Some(bell) = bell.upgrade() else {
                return false;
            };
            bell.rung.fetch_add(1, Ordering::SeqCst);
            if let Some(waker) = lock(&bell.waker).take() {
                waker.wake();
            }
            true
        });
        if bells.is_empty() {
            all.remove(&scope);
        }
    }
}

impl Watch for Watching {
    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(Ring(self))
    }
}

struct Ring<'a>(&'a mut Watching);

impl Future for Ring<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // The waker first: a ring between the two looks is heard either way.
        *lock(&self.0.bell.waker) = Some(context.waker().clone());
        let rung = self.0.bell.rung.load(Ordering::SeqCst);
        if rung == self.0.heard {
            return Poll::Pending;
        }
        self.0.heard = rung;
        Poll::Ready(())
    }
}
