//! Greylisting (RFC 6647): who is unknown is asked to come again, and is taken then. The time is passed in, in seconds
//! since 1970.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::time::Duration;

/// How long somebody has to come again.
const WINDOW: u64 = 2 * DAY;
/// How long somebody is known who came again, or who has sent messages, after the last time.
const KNOWN: u64 = 35 * DAY;
/// After as many messages a client is known, whoever its messages are from and for.
const MESSAGES: u32 = 5;
/// How many of each are remembered: about 5 MiB of memory, and 4 MiB of the file.
const MOST: usize = 50_000;
/// With more of these a network is a flood: large providers stay below.
const FLOOD: usize = MOST / 10;
const DAY: u64 = 86_400;

/// Who came, and who is known.
#[derive(Debug, Default)]
pub(super) struct Greylist {
    delay: u64,
    kept: Kept,
    /// Whether there is something to be kept.
    pub(super) is_changed: bool,
}

/// What is kept, each by a hash of what it is of.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Kept {
    attempts: HashMap<u64, Attempt>,
    clients: HashMap<u64, Client>,
}

/// From somebody, with a reverse-path, for a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Attempt {
    first: u64,
    last: u64,
    came_again: bool,
    /// The network that it came from, by a hash.
    #[serde(default)]
    network: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Client {
    messages: u32,
    last: u64,
}

/// Eight octets of a hash: that two are the same is as unlikely as harmless.
fn hash(parts: &[&str]) -> u64 {
    let mut digest = Sha256::new();
    for part in parts {
        let part = part.to_lowercase();
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let all: [u8; 32] = digest.finalize().into();
    all.iter()
        .take(8)
        .fold(0, |hash, octet| hash << 8 | u64::from(*octet))
}

impl Greylist {
    pub(super) fn new(delay: Duration) -> Self {
        Self {
            delay: delay.as_secs(),
            ..Self::default()
        }
    }

    /// Reads what was kept. What cannot be read is nothing.
    pub(super) fn read(&mut self, kept: &[u8]) {
        self.kept = serde_json::from_slice(kept).unwrap_or_default();
    }

    /// What is to be kept.
    pub(super) fn written(&self) -> Vec<u8> {
        serde_json::to_vec(&self.kept).unwrap_or_default()
    }

    /// Looks at a recipient: the error is when to come again. `who` is the client's `network`, or the domain that SPF passes
    /// for.
    pub(super) fn meet(
        &mut self,
        (who, network): (&str, &str),
        from: &str,
        to: &str,
        now: u64,
    ) -> Result<(), Duration> {
        let is_known = |client: &Client| client.messages >= MESSAGES && now <= client.last + KNOWN;
        if self.kept.clients.get(&hash(&[who])).is_some_and(is_known) {
            return Ok(());
        }
        let key = hash(&[who, from, to]);
        self.is_changed = true;
        self.make_room(now);
        let new = Attempt {
            first: now,
            last: now,
            came_again: false,
            network: u32::try_from(hash(&[network]) >> 32).unwrap_or_default(),
        };
        let attempt = self.kept.attempts.entry(key).or_insert(new);
        // One from the future is of a clock that was wrong.
        if attempt.is_over(now) || attempt.first > now {
            *attempt = new;
        }
        let may = attempt.first + self.delay;
        if !attempt.came_again && now < may {
            return Err(Duration::from_secs(may - now));
        }
        attempt.came_again = true;
        attempt.last = now;
        Ok(())
    }

    /// A message of that client's was accepted.
    pub(super) fn accepted(&mut self, who: &str, now: u64) {
        self.is_changed = true;
        let clients = &mut self.kept.clients;
        let key = hash(&[who]);
        if clients.len() >= MOST && !clients.contains_key(&key) {
            clients.retain(|_, one| now <= one.last + KNOWN);
            forget(clients, |one| (one.messages >= MESSAGES, one.last));
        }
        let client = clients.entry(key).or_default();
        if now > client.last + KNOWN {
            client.messages = 0;
        }
        client.messages = client.messages.saturating_add(1);
        client.last = now;
    }

    fn make_room(&mut self, now: u64) {
        let attempts = &mut self.kept.attempts;
        if attempts.len() >= MOST {
            attempts.retain(|_, one| !one.is_over(now));
            let mut flood: HashMap<u32, usize> = HashMap::new();
            for one in attempts.values().filter(|one| !one.came_again) {
                *flood.entry(one.network).or_default() += 1;
            }
            // Whoever came again stays, and a network that never does forgets its own: a flood makes nobody else wait twice.
            forget(attempts, |one| {
                let many = flood.get(&one.network).copied().unwrap_or_default();
                let is_flood = !one.came_again && many > FLOOD;
                (one.came_again, !is_flood, one.last)
            });
        }
    }
}

impl Attempt {
    fn is_over(&self, now: u64) -> bool {
        match self.came_again {
            true => now > self.last + KNOWN,
            false => now > self.first + WINDOW,
        }
    }
}

/// Forgets a tenth where there are still too many: those that come first in that order.
fn forget<T, O: Ord>(map: &mut HashMap<u64, T>, order: impl Fn(&T) -> O) {
    if map.len() < MOST {
        return;
    }
    let mut all: Vec<_> = map.iter().map(|(key, one)| (order(one), *key)).collect();
    all.sort_unstable();
    for (_, key) in all.into_iter().take(MOST / 10) {
        map.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;
    const DELAY: u64 = 300;

    fn greylist() -> Greylist {
        Greylist::new(Duration::from_secs(DELAY))
    }

    fn met(greylist: &mut Greylist, who: &str, from: &str, to: &str, at: u64) -> bool {
        greylist.meet((who, who), from, to, NOW + at).is_ok()
    }

    #[test]
    fn a_flood_makes_nobody_else_come_a_third_time() {
        let mut greylist = greylist();
        assert!(!met(&mut greylist, "honest", "a@x.test", "b@y.test", 0));
        for number in 0..MOST + MOST / 5 {
            let from = format!("r{number}@flood.test");
            assert!(!met(&mut greylist, "flood", &from, "b@y.test", 1));
        }
        assert!(greylist.kept.attempts.len() <= MOST);
        assert!(met(&mut greylist, "honest", "a@x.test", "b@y.test", DELAY));
    }

    #[test]
    fn who_comes_again_in_time_is_taken_from_then_on() {
        let mut greylist = greylist();
        let first = greylist.meet(("192.0.2.0", "192.0.2.0"), "a@x.test", "b@y.test", NOW);
        assert_eq!(first, Err(Duration::from_secs(DELAY)));
        assert_eq!(
            greylist.meet(
                ("192.0.2.0", "192.0.2.0"),
                "a@x.test",
                "b@y.test",
                NOW + 100
            ),
            Err(Duration::from_secs(200))
        );
        let mut met = |who, from, to, at| met(&mut greylist, who, from, to, at);
        for (who, from, to) in [
            ("192.0.3.0", "a@x.test", "b@y.test"),
            ("192.0.2.0", "c@x.test", "b@y.test"),
            ("192.0.2.0", "a@x.test", "c@y.test"),
            ("192.0.2.0", "a@x.testb", "@y.test"),
        ] {
            assert!(!met(who, from, to, DELAY), "{who} {from} {to} is another");
        }
        assert!(met("192.0.2.0", "A@x.test", "B@y.test", DELAY));
        assert!(met("192.0.2.0", "a@x.test", "b@y.test", 30 * DAY));
        assert!(met("192.0.2.0", "a@x.test", "b@y.test", 60 * DAY));
        assert!(!met(
            "192.0.2.0",
            "a@x.test",
            "b@y.test",
            60 * DAY + KNOWN + 1
        ));
        // Too late is as never.
        assert!(!met("192.0.9.0", "a@x.test", "b@y.test", 0));
        assert!(!met("192.0.9.0", "a@x.test", "b@y.test", WINDOW + 1));
        assert!(met("192.0.9.0", "a@x.test", "b@y.test", WINDOW + 1 + DELAY));
    }

    #[test]
    fn who_has_sent_some_messages_is_known() {
        let mut greylist = greylist();
        for nth in 0..MESSAGES {
            let from = format!("{nth}@x.test");
            assert!(!met(&mut greylist, "x.test", &from, "b@y.test", 0));
            greylist.accepted("x.test", NOW);
        }
        assert!(met(
            &mut greylist,
            "x.test",
            "new@x.test",
            "b@y.test",
            KNOWN
        ));
        assert!(!met(
            &mut greylist,
            "other.test",
            "new@x.test",
            "b@y.test",
            0
        ));
        assert!(!met(
            &mut greylist,
            "x.test",
            "newer@x.test",
            "b@y.test",
            KNOWN + 1
        ));
        greylist.accepted("x.test", NOW + KNOWN + 1);
        assert!(!met(
            &mut greylist,
            "x.test",
            "newest@x.test",
            "b@y.test",
            KNOWN + 2
        ));
    }

    #[test]
    fn nothing_is_forgotten_over_a_restart_and_memory_is_bounded() {
        let mut greylist = greylist();
        met(&mut greylist, "192.0.2.0", "a@x.test", "b@y.test", 0);
        assert!(met(
            &mut greylist,
            "192.0.2.0",
            "a@x.test",
            "b@y.test",
            DELAY
        ));
        let mut after = super::tests::greylist();
        after.read(&greylist.written());
        assert_eq!(after.kept, greylist.kept);
        after.read(b"no JSON");
        assert_eq!(after.kept, Kept::default());
        for number in 0..MOST + MOST / 2 {
            let who = number.to_string();
            met(&mut greylist, &who, "a@x.test", "b@y.test", DELAY + 1);
            greylist.accepted(&who, NOW);
            assert!(greylist.kept.attempts.len() <= MOST && greylist.kept.clients.len() <= MOST);
        }
        assert!(met(
            &mut greylist,
            "192.0.2.0",
            "a@x.test",
            "b@y.test",
            DELAY + 2
        ));
    }
}
