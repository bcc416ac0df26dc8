//! The policies that are known: in memory, and in files that outlive a restart (RFC 8461 §5.1, §10.2).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::warn;

use super::policy::{Mode, Policy, SIZE};
use crate::whole_file;

/// Octets of all policies that are in memory. One may have 64 KiB.
const OCTETS: usize = 32 * 1024 * 1024;
/// What a policy takes in memory at least.
const LEAST: usize = 512;
/// How long any policy holds, in seconds: one that is over at once would be fetched for each message.
const SHORTEST: i64 = 60;
/// A policy that was fetched this many seconds ago is due to be fetched again (§3.3), and not before the other has
/// passed since the last time.
const FRESH: i64 = 24 * 60 * 60;
const AGAIN: i64 = 60 * 60;
/// How long a policy is kept fresh that nobody uses, in seconds.
const UNUSED: i64 = 30 * 24 * 60 * 60;
/// The first line of a file.
const FORM: &str = "mta-sts 1";
/// The longest head of a file, in octets.
const HEAD: usize = 256;

/// A policy that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) policy: Arc<Policy>,
    /// The id that the TXT record had.
    pub(crate) id: String,
    /// When it was fetched, in seconds since 1970.
    pub(crate) fetched: i64,
}

impl Held {
    pub(crate) fn is_none(&self) -> bool {
        self.policy.mode() == Mode::None
    }

    fn holds(&self, now: i64) -> bool {
        let longest = i64::from(self.policy.max_age()).max(SHORTEST);
        now.saturating_sub(self.fetched) <= longest
    }

    /// The file that keeps it: when it was fetched and what it was called, an empty line, the policy.
    fn encode(&self) -> Vec<u8> {
        let (fetched, id, text) = (self.fetched, &self.id, self.policy.text());
        format!("{FORM}\nfetched: {fetched}\nid: {id}\n\n{text}").into_bytes()
    }

    fn decode(octets: &[u8], now: i64) -> Option<Self> {
        let text = std::str::from_utf8(octets).ok()?;
        let (head, policy) = text.split_once("\n\n")?;
        let mut lines = head.lines();
        if lines.next()? != FORM {
            return None;
        }
        let fetched: i64 = lines.next()?.strip_prefix("fetched: ")?.parse().ok()?;
        let id = lines.next()?.strip_prefix("id: ")?.to_owned();
        Some(Self {
            policy: Arc::new(Policy::parse(policy.as_bytes()).ok()?),
            id,
            // A clock that was wrong makes no policy hold for longer.
            fetched: fetched.min(now),
        })
    }
}

struct Entry {
    held: Held,
    used: i64,
    /// When it was last asked for anew.
    tried: i64,
}

impl Entry {
    fn octets(&self) -> usize {
        LEAST + 2 * self.held.policy.text().len()
    }
}

#[derive(Default)]
struct Table {
    entries: HashMap<String, Entry>,
    /// What they take in memory.
    octets: usize,
}

impl Table {
    fn insert(&mut self, domain: &str, entry: Entry) {
        self.octets += entry.octets();
        if let Some(before) = self.entries.insert(domain.to_owned(), entry) {
            self.octets -= before.octets();
        }
    }

    fn remove(&mut self, domain: &str) {
        if let Some(entry) = self.entries.remove(domain) {
            self.octets -= entry.octets();
        }
    }

    fn is_over(&self, most: usize) -> bool {
        self.entries.len() > most || self.octets > OCTETS
    }
}

/// All policies that are known.
pub(crate) struct Cache {
    folder: Option<PathBuf>,
    most: usize,
    table: Mutex<Table>,
}

impl Cache {
    /// Reads what a folder has. Files that cannot be read, and policies that are over, are none.
    pub(crate) fn open(folder: Option<PathBuf>, most: usize, now: i64) -> Self {
        let most = most.max(1);
        let cache = Self {
            folder,
            most,
            table: Mutex::default(),
        };
        if let Some(folder) = &cache.folder {
            let longest = u64::try_from(SIZE + HEAD).unwrap_or(u64::MAX);
            // More than there may be: those that are over make no room.
            for name in whole_file::names(folder, most.saturating_mul(2)) {
                let octets = whole_file::read(&folder.join(&name), longest);
                let held = octets.ok().and_then(|octets| Held::decode(&octets, now));
                match held {
                    Some(held) if held.holds(now) => {
                        for other in cache.insert(&name, held, now) {
                            let _ = std::fs::remove_file(folder.join(other));
                        }
                    }
                    Some(_) => drop(std::fs::remove_file(folder.join(name))),
                    None => warn!(name, "a policy in the cache cannot be read"),
                }
            }
        }
        cache
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The policy of a domain that holds now.
    pub(crate) fn get(&self, domain: &str, now: i64) -> Option<Held> {
        let mut table = self.table();
        let entry = table.entries.get_mut(domain)?;
        entry.used = now;
        entry.held.holds(now).then(|| entry.held.clone())
    }

    /// The same, for nobody's use.
    pub(crate) fn peek(&self, domain: &str, now: i64) -> Option<Held> {
        let table = self.table();
        let entry = table.entries.get(domain)?;
        entry.held.holds(now).then(|| entry.held.clone())
    }

    /// Keeps a policy, in memory at once and in its file as soon as that is written.
    pub(crate) async fn put(&self, domain: &str, held: Held, now: i64) {
        let octets = held.encode();
        let left = self.insert(domain, held, now);
        let Some(folder) = self.folder.clone() else {
            return;
        };
        let name = domain.to_owned();
        let write = tokio::task::spawn_blocking(move || {
            for other in left {
                let _ = std::fs::remove_file(folder.join(other));
            }
            whole_file::write(&folder, &name, &octets)
        });
        if let Ok(Err(error)) = write.await {
            warn!(%error, domain, "the policy is not kept on disk");
        }
    }

    /// Returns the domains that made room.
    fn insert(&self, domain: &str, held: Held, now: i64) -> Vec<String> {
        let mut table = self.table();
        let used = table.entries.get(domain).map_or(now, |before| before.used);
        let tried = held.fetched;
        let entry = Entry { held, used, tried };
        table.insert(domain, entry);
        if !table.is_over(self.most) {
            return Vec::new();
        }
        let others = table.entries.iter().filter(|(name, _)| *name != domain);
        let others = others.map(|(name, entry)| (entry.held.holds(now), entry.used, name.clone()));
        let mut others: Vec<(bool, i64, String)> = others.collect();
        others.sort_unstable();
        let mut left = Vec::new();
        for (_, _, name) in others {
            if !table.is_over(self.most) {
                break;
            }
            table.remove(&name);
            left.push(name);
        }
        left
    }

    /// Takes the domains whose policies are to be fetched again before they are over, up to a number.
    pub(crate) fn stale(&self, now: i64, most: usize) -> Vec<(String, Held)> {
        let mut table = self.table();
        let due = table.entries.iter_mut().filter(|(_, entry)| {
            let half = i64::from(entry.held.policy.max_age()) / 2;
            let age = now.saturating_sub(entry.held.fetched);
            age >= FRESH.min(half)
                && now.saturating_sub(entry.tried) >= AGAIN
                && now.saturating_sub(entry.used) <= UNUSED
                && entry.held.holds(now)
        });
        let taken = due.take(most).map(|(name, entry)| {
            entry.tried = now;
            (name.clone(), entry.held.clone())
        });
        taken.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(max_age: u32, fetched: i64) -> Held {
        let text =
            format!("version: STSv1\r\nmode: enforce\r\nmx: a.test\r\nmax_age: {max_age}\r\n");
        Held {
            policy: Arc::new(Policy::parse(text.as_bytes()).unwrap()),
            id: "7".into(),
            fetched,
        }
    }

    #[tokio::test]
    async fn a_policy_outlives_a_restart_until_it_is_over() {
        let home = tempfile::tempdir().unwrap();
        let folder = Some(home.path().join("sts"));
        let cache = Cache::open(folder.clone(), 9, 1000);
        cache.put("a.test", held(600, 1000), 1000).await;
        cache.put("b.test", held(60, 1000), 1000).await;
        let again = Cache::open(folder.clone(), 9, 1500);
        assert_eq!(again.get("a.test", 1600), Some(held(600, 1000)));
        assert_eq!(again.get("a.test", 1601), None);
        assert_eq!(again.get("b.test", 1500), None);
        // Nothing is left of one that is over.
        assert!(!home.path().join("sts/b.test").exists());
        // A clock that was ahead.
        let earlier = Cache::open(folder, 9, 500);
        assert_eq!(earlier.get("a.test", 500), Some(held(600, 500)));
    }

    #[tokio::test]
    async fn files_that_cannot_be_read_are_none() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().to_owned();
        let right = held(600, 1000).encode();
        let right = String::from_utf8(right).unwrap();
        for (name, octets) in [
            ("empty.test", String::new()),
            ("form.test", right.replace("mta-sts 1", "mta-sts 2")),
            ("time.test", right.replace("1000", "soon")),
            ("mode.test", right.replace("enforce", "force")),
            ("cut.test", right[..right.len() / 2].to_owned()),
            ("long.test", "x".repeat(SIZE + HEAD + 1)),
        ] {
            std::fs::write(folder.join(name), octets).unwrap();
        }
        std::fs::write(folder.join("binary.test"), [0xff; 100]).unwrap();
        std::fs::write(folder.join("right.test"), &right).unwrap();
        let cache = Cache::open(Some(folder), 99, 1000);
        assert_eq!(
            cache.table().entries.keys().collect::<Vec<_>>(),
            ["right.test"]
        );
    }

    #[tokio::test]
    async fn the_number_is_bounded_and_those_in_use_stay() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(home.path().to_owned()), 3, 0);
        for (n, name) in (0..).zip(["a", "b", "c"]) {
            cache.put(name, held(600, n), n).await;
        }
        cache.get("a", 10);
        cache.put("d", held(600, 11), 11).await;
        let mut kept = whole_file::names(home.path(), 9);
        kept.sort();
        assert_eq!(kept, ["a", "c", "d"]);
        let fewer = tempfile::tempdir().unwrap();
        for name in &kept {
            std::fs::copy(home.path().join(name), fewer.path().join(name)).unwrap();
        }
        Cache::open(Some(fewer.path().to_owned()), 2, 12);
        assert_eq!(whole_file::names(fewer.path(), 9).len(), 2);
        assert_eq!(cache.get("b", 12), None);
        // One that is over goes before one that was not used for long.
        cache.put("e", held(60, 700), 700).await;
        assert!(cache.get("e", 700).is_some() && cache.table().entries.len() == 3);
    }

    #[test]
    fn policies_are_fetched_again_before_they_are_over() {
        let day = 24 * 60 * 60;
        let cache = Cache::open(None, 9, 0);
        cache.insert("long", held(30 * 86_400, 0), 0);
        cache.insert("short", held(3 * 60 * 60, 0), 0);
        let names = |now| {
            let stale = cache.stale(now, 9).into_iter();
            stale.map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(names(60 * 60), Vec::<String>::new());
        assert_eq!(names(2 * 60 * 60), ["short"]);
        // It was tried, and is not tried again at once.
        assert_eq!(names(2 * 60 * 60 + 60), Vec::<String>::new());
        assert_eq!(names(day), ["long"]);
        assert_eq!(names(day + AGAIN), ["long"]);
        cache.get("long", day);
        assert_eq!(names(31 * day + 1), Vec::<String>::new());
    }
}
