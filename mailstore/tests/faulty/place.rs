//! Where a wrong store lies: a `Memory` that outlives it, so that it is durable for as long as the test runs.

use hikyaku_mailstore::conformance::{Place, Subject};
use hikyaku_mailstore::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::fault::Fault;
use super::store::{Faulty, Life, Memo};

/// A backend with those faults.
pub(super) struct With<'a>(pub(super) &'a [Fault]);

impl Subject for With<'_> {
    fn place(&self) -> Box<dyn Place> {
        Box::new(Kept {
            store: Faulty {
                inner: Arc::new(Memory::new()),
                faults: self.0.into(),
                memo: Arc::new(Mutex::new(Memo::default())),
                life: Life::First,
                alive: Arc::new(()),
            },
            opened: AtomicBool::new(false),
        })
    }
}

struct Kept {
    store: Faulty,
    opened: AtomicBool,
}

impl Kept {
    /// The store of another life.
    fn again(&self, life: Life) -> Faulty {
        let mut store = Faulty {
            life,
            alive: Arc::new(()),
            ..self.store.clone()
        };
        let empties = match life {
            Life::First => false,
            Life::Reopened => store.has(Fault::DurableFalsely),
            Life::Killed => store.has(Fault::KillLosesAll),
        };
        if empties {
            store.inner = Arc::new(Memory::new());
        }
        store
    }
}

impl Place for Kept {
    fn open(&self) -> Result<Arc<dyn Store>> {
        let life = match (self.opened.swap(true, Ordering::Relaxed), self.store.life) {
            (true, Life::First) => Life::Reopened,
            (_, life) => life,
        };
        if life == Life::Reopened && self.store.has(Fault::CannotBeReopened) {
            return Err(Error::Closed);
        }
        Ok(Arc::new(self.again(life)))
    }

    fn after_kill(&self) -> Option<Box<dyn Place>> {
        Some(Box::new(Self {
            store: self.again(Life::Killed),
            opened: AtomicBool::new(false),
        }))
    }

    fn pass_grace(&self) -> bool {
        if !self.store.has(Fault::BodiesStay) {
            let named = block_on(self.store.named());
            let mut memo = self.store.memo();
            let unnamed: Vec<_> = memo.committed.difference(&named).copied().collect();
            memo.freed.extend(unnamed);
        }
        true
    }
}
