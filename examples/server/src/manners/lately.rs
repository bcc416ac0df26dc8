//! What was found out a moment ago.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long it holds: a client names many recipients.
const FRESH: Duration = Duration::from_secs(60);
/// How much is remembered; with more, all is found out anew.
const REMEMBERED: usize = 4_096;

/// What was found out, by what it is of.
pub(super) struct Lately<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for Lately<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Lately<K, V> {
    fn all(&self) -> MutexGuard<'_, HashMap<K, (Instant, V)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(&self, key: &K, now: Instant) -> Option<V> {
        let all = self.all();
        let (since, value) = all.get(key)?;
        (now.duration_since(*since) < FRESH).then(|| value.clone())
    }

    pub(super) fn put(&self, key: K, value: V, now: Instant) {
        let mut all = self.all();
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(key, (now, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fresh_for_a_minute_and_memory_is_bounded() {
        let (lately, now) = (Lately::default(), Instant::now());
        lately.put(1, "a", now);
        assert_eq!(lately.find(&1, now), Some("a"));
        assert_eq!(lately.find(&1, now + FRESH), None);
        for number in 0..3 * REMEMBERED {
            lately.put(number, "b", now);
        }
        assert!(lately.all().len() <= REMEMBERED);
    }
}
