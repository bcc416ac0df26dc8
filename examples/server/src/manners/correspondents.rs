//! Who has written before: that somebody else behind the same address looks for names does not keep them out.

use hikyaku_service::{Limiter, Rate};
use hikyaku_smtp_proto::ReversePath;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use webmail::neighbourhood;

use super::by_network::ByNetwork;
use super::cost::{ALL, HOUR, UNKNOWN};

/// How many are remembered, about 11 MiB with their mistakes; with more, whoever has not written for longest is forgotten.
const REMEMBERED: usize = 50_000;
/// Recipients that are not here, an hour, of each: more than somebody mistypes.
const MISTAKES: u32 = 3;

/// The network around a client, and its reverse-path.
type Key = (IpAddr, u64);

/// Reverse-paths that a message was accepted from, by network.
///
/// A provider says under whose name its users write, and a host of a scanner's own writes as whoever it likes. So each
/// may make few mistakes, and all of an address together as many as strangers there.
pub(super) struct Correspondents {
    hasher: RandomState,
    mistakes: ByNetwork,
    seen: Mutex<Seen>,
}

struct Seen {
    /// Each with the number of their last message.
    known: HashMap<Key, u64>,
    /// Messages, the oldest first; of each only the last one counts.
    order: VecDeque<(Key, u64)>,
    messages: u64,
    mistakes: Limiter<Key>,
}

impl Correspondents {
    /// `mistakes` is what those of an address may make together in an hour, in tenths; `None` for 0.
    pub(super) fn new(mistakes: u32) -> Option<Self> {
        let each = Rate::per(MISTAKES * UNKNOWN, HOUR)?;
        Some(Self {
            hasher: RandomState::new(),
            mistakes: ByNetwork::per(mistakes, HOUR)?,
            seen: Mutex::new(Seen {
                known: HashMap::new(),
                order: VecDeque::new(),
                messages: 0,
                mistakes: Limiter::new(each, REMEMBERED),
            }),
        })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notifications come from everywhere, and are nobody's.
    fn key(&self, of: IpAddr, from: &ReversePath) -> Option<Key> {
        let path = from.0.as_ref()?.to_string().to_lowercase();
        Some((neighbourhood(of), self.hasher.hash_one(path)))
    }

    /// Whether somebody has written before, and may make one more mistake.
    pub(super) fn has(&self, of: IpAddr, from: &ReversePath, now: Instant) -> bool {
        let Some(key) = self.key(of, from) else {
            return false;
        };
        let seen = self.seen();
        let free = |wait: Duration| wait.is_zero();
        seen.known.contains_key(&key)
            && free(seen.mistakes.wait(&key, UNKNOWN, now))
            && free(self.mistakes.wait(ALL, of, UNKNOWN, now))
    }

    /// Somebody named a recipient that is not here. Returns whether that was one of their mistakes.
    pub(super) fn mistake(&self, of: IpAddr, from: &ReversePath, now: Instant) -> bool {
        let key = self.key(of, from).filter(|_| self.has(of, from, now));
        let Some(key) = key else { return false };
        // Other connections may have made the last one meanwhile: it is owed.
        self.seen().mistakes.charge(&key, UNKNOWN, now);
        self.mistakes.charge(ALL, of, UNKNOWN, now);
        true
    }

    /// A message of somebody was accepted, for so many.
    pub(super) fn wrote(&self, of: IpAddr, from: &ReversePath, recipients: u32, now: Instant) {
        let Some(key) = self.key(of, from) else {
            return;
        };
        self.mistakes.give_back(ALL, of, recipients, now);
        let mut seen = self.seen();
        seen.mistakes.give_back(&key, recipients, now);
        seen.wrote(key);
    }
}

impl Seen {
    fn wrote(&mut self, key: Key) {
        self.messages += 1;
        self.known.insert(key, self.messages);
        self.order.push_back((key, self.messages));
        while self.known.len() > REMEMBERED
            && let Some((first, number)) = self.order.pop_front()
        {
            if self.known.get(&first) == Some(&number) {
                self.known.remove(&first);
            }
        }
        // Of whoever wrote again, earlier messages are still there: they go together, now and then.
        if self.order.len() > 2 * REMEMBERED {
            let known = &self.known;
            self.order
                .retain(|(key, number)| known.get(key) == Some(number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_smtp_proto::Mailbox;

    fn path(name: &str) -> ReversePath {
        ReversePath(Some(Mailbox::parse(name.as_bytes()).unwrap()))
    }

    #[test]
    fn whoever_wrote_before_may_mistype_a_few() {
        let (known, now) = (Correspondents::new(5 * UNKNOWN).unwrap(), Instant::now());
        let (at, near) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 200]));
        let (elsewhere, a, b) = (
            IpAddr::from([198, 51, 100, 1]),
            path("a@x.test"),
            path("b@x.test"),
        );
        assert!(!known.has(at, &a, now) && !known.mistake(at, &a, now));
        known.wrote(at, &a, 1, now);
        known.wrote(at, &ReversePath(None), 1, now);
        assert!(!known.has(at, &ReversePath(None), now), "nobody's");
        // A provider sends from several addresses.
        assert!(known.has(near, &path("A@X.test"), now));
        assert!(!known.has(elsewhere, &a, now) && !known.has(at, &b, now));
        for count in 1..6 {
            assert_eq!(known.mistake(at, &a, now), count <= 3, "{count}");
        }
        assert!(!known.has(at, &a, now) && known.has(at, &a, now + HOUR));
        // What is accepted gives back a tenth each.
        known.wrote(at, &a, 9, now);
        assert!(!known.has(at, &a, now));
        known.wrote(at, &a, 1, now);
        assert!(known.has(at, &a, now));
        // All there together.
        for name in ["c@x.test", "d@x.test"] {
            known.wrote(at, &path(name), 1, now);
        }
        let mut left = 0;
        while known.mistake(at, &path("c@x.test"), now) || known.mistake(at, &path("d@x.test"), now)
        {
            left += 1;
        }
        assert_eq!(left, 3, "of five and one given back");
        assert!(!known.has(at, &a, now) && known.has(near, &a, now));
    }

    #[test]
    fn memory_is_bounded() {
        let (known, now) = (Correspondents::new(UNKNOWN).unwrap(), Instant::now());
        let at = IpAddr::from([192, 0, 2, 1]);
        for number in 0..REMEMBERED + 2 {
            known.wrote(at, &path(&format!("a{number}@x.test")), 1, now);
            // Whoever writes again and again stays.
            known.wrote(at, &path("a0@x.test"), 1, now);
        }
        for _ in 0..3 * REMEMBERED {
            known.wrote(at, &path("a0@x.test"), 1, now);
        }
        let seen = known.seen();
        assert_eq!(seen.known.len(), REMEMBERED);
        assert!(seen.order.len() <= 2 * REMEMBERED);
        drop(seen);
        assert!(!known.has(at, &path("a2@x.test"), now));
        for name in ["a0@x.test", "a3@x.test"] {
            assert!(known.has(at, &path(name), now), "{name}");
        }
    }
}
