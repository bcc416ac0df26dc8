//! Work that waits for its turn.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What is sent and saved one after the other: forms of the same name.
#[derive(Default)]
pub(crate) struct InTurn(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl InTurn {
    pub(super) fn of(&self, key: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = all.get(key).and_then(Weak::upgrade) {
            return one;
        }
        all.retain(|_, one| one.strong_count() > 0);
        let one = Arc::default();
        all.insert(key.to_owned(), Arc::downgrade(&one));
        one
    }
}
