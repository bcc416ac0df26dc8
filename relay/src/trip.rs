//! Entries under way: what each is waiting for, so that those that wait in vain can make room for others.

use hikyaku_mailstore::{QueueEntry, QueueId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// What an entry under way is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// DNS.
    Lookup,
    /// A connection that is free.
    Room,
    /// The first words of a host.
    Greeting,
    /// The host has spoken: it is not disturbed.
    Conversation,
}

#[derive(Debug)]
struct Waiting {
    stage: Stage,
    since: Instant,
    cut: Arc<Notify>,
}

/// One entry under way.
#[derive(Debug)]
pub(crate) struct Trip {
    token: AtomicU64,
    pub(crate) began: Instant,
    waiting: Mutex<Waiting>,
}

/// All of them. An entry is under way once, even when a clock that jumped made the store give it out again.
#[derive(Debug, Default)]
pub(crate) struct Trips(Mutex<HashMap<QueueId, Arc<Trip>>>);

/// Ends a trip when it is dropped.
#[derive(Debug)]
pub(crate) struct Ends {
    trips: Arc<Trips>,
    trip: Arc<Trip>,
    id: QueueId,
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.trips.end(self.id, &self.trip, None);
    }
}

impl Trip {
    /// The proof of the last claim.
    pub(crate) fn token(&self) -> u64 {
        self.token.load(Ordering::SeqCst)
    }

    /// Waits for something else from now on. What is returned is notified when others are to have the place.
    pub(crate) fn waits_for(&self, stage: Stage) -> Arc<Notify> {
        let cut = Arc::new(Notify::new());
        *lock(&self.waiting) = Waiting {
            stage,
            since: Instant::now(),
            cut: Arc::clone(&cut),
        };
        cut
    }
}

impl Trips {
    fn all(&self) -> MutexGuard<'_, HashMap<QueueId, Arc<Trip>>> {
        lock(&self.0)
    }

    /// Begins one; `None` when the entry is under way already, which has the newer proof from now on.
    pub(crate) fn begin(self: &Arc<Self>, entry: &QueueEntry) -> Option<(Arc<Trip>, Ends)> {
        let mut all = self.all();
        if let Some(trip) = all.get(&entry.id) {
            trip.token.store(entry.token, Ordering::SeqCst);
            return None;
        }
        let now = Instant::now();
        let trip = Arc::new(Trip {
            token: AtomicU64::new(entry.token),
            began: now,
            waiting: Mutex::new(Waiting {
                stage: Stage::Lookup,
                since: now,
                cut: Arc::default(),
            }),
        });
        all.insert(entry.id, Arc::clone(&trip));
        let ends = Ends {
            trips: Arc::clone(self),
            trip: Arc::clone(&trip),
            id: entry.id,
        };
        Some((trip, ends))
    }

    /// Ends a trip whose entry was settled with that proof: from now on a claim of it begins another. Returns false when it was
    /// claimed again in the meantime: the trip goes on with the newer proof, since nobody else has it.
    pub(crate) fn end(&self, id: QueueId, trip: &Trip, settled: Option<u64>) -> bool {
        let mut all = self.all();
        if settled.is_some_and(|proof| proof != trip.token()) {
            return false;
        }
        if all
            .get(&id)
            .is_some_and(|one| std::ptr::eq(&raw const **one, trip))
        {
            all.remove(&id);
        }
        true
    }

    /// How many wait for that.
    pub(crate) fn count(&self, stage: Stage) -> usize {
        let all = self.all();
        let waiting = all
            .values()
            .filter(|trip| lock(&trip.waiting).stage == stage);
        waiting.count()
    }

    /// Ends the waiting of up to `count` that have waited for that longest, and for longer than `patience`.
    pub(crate) fn cut(&self, stage: Stage, patience: Duration, count: usize) -> usize {
        let mut waiting = Vec::new();
        for trip in self.all().values() {
            let one = lock(&trip.waiting);
            if one.stage == stage && one.since.elapsed() >= patience {
                waiting.push((one.since, Arc::clone(&one.cut)));
            }
        }
        waiting.sort_unstable_by_key(|(since, _)| *since);
        waiting.truncate(count);
        for (_, cut) in &waiting {
            cut.notify_one();
        }
        waiting.len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_mailstore::{AccountId, BodyId, BodyRef};

    fn entry(id: u64, token: u64) -> QueueEntry {
        let body = BodyRef {
            id: BodyId(1),
            octets: 0,
        };
        let (next_hop, due) = ("a.test".into(), std::time::SystemTime::UNIX_EPOCH);
        let mut entry = QueueEntry::new(QueueId(id), AccountId::SYSTEM, next_hop, body, due);
        entry.token = token;
        entry
    }

    #[test]
    fn an_entry_that_is_claimed_twice_is_under_way_once() {
        let trips = Arc::new(Trips::default());
        let (trip, ends) = trips.begin(&entry(1, 10)).unwrap();
        assert!(trips.begin(&entry(1, 20)).is_none());
        assert_eq!(trip.token(), 20);
        assert!(trips.begin(&entry(2, 30)).is_some());
        drop(ends);
        assert!(trips.begin(&entry(1, 40)).is_some());
    }

    #[test]
    fn an_entry_that_is_claimed_while_its_trip_ends_is_not_forgotten() {
        let trips = Arc::new(Trips::default());
        let (trip, ends) = trips.begin(&entry(1, 10)).unwrap();
        // It was settled with its first proof, and claimed before the trip was over.
        assert!(trips.begin(&entry(1, 20)).is_none());
        assert!(!trips.end(QueueId(1), &trip, Some(10)));
        // It is given back with the second one; what comes then is another trip, which the first one's end leaves alone.
        assert!(trips.end(QueueId(1), &trip, Some(trip.token())));
        let (second, _ends) = trips.begin(&entry(1, 30)).unwrap();
        drop(ends);
        assert!(trips.begin(&entry(1, 40)).is_none());
        assert_eq!(second.token(), 40);
    }

    #[tokio::test]
    async fn those_that_waited_longest_make_room_and_no_conversation_is_cut() {
        let trips = Arc::new(Trips::default());
        let begun: Vec<_> = (0..4)
            .map(|id| trips.begin(&entry(id, 1)).unwrap())
            .collect();
        let stages = [
            Stage::Greeting,
            Stage::Conversation,
            Stage::Greeting,
            Stage::Greeting,
        ];
        let mut cuts = Vec::new();
        for ((trip, _), stage) in begun.iter().zip(stages) {
            cuts.push(trip.waits_for(stage));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(trips.count(Stage::Greeting), 3);
        assert_eq!(trips.cut(Stage::Greeting, Duration::from_secs(9), 9), 0);
        assert_eq!(trips.cut(Stage::Greeting, Duration::ZERO, 2), 2);
        let mut were_cut = Vec::new();
        for cut in &cuts {
            let cut = tokio::time::timeout(Duration::from_millis(10), cut.notified());
            were_cut.push(cut.await.is_ok());
        }
        assert_eq!(were_cut, [true, false, true, false]);
    }
}
