//! What is counted, for each day and each domain that mail went to (RFC 8460 §4.2, §4.3).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing::{info, warn};

use super::result_type::ResultType;
use crate::clock::Clock;
use crate::whole_file;

/// Seconds of a day.
pub(super) const DAY: i64 = 24 * 60 * 60;
/// Domains of a day. Sessions with further ones are not counted.
const DOMAINS: usize = 10_000;
/// Policies of a domain, on one day.
const POLICIES: usize = 16;
/// Kinds of failures of a policy, on one day. Further ones are in the sum.
const DETAILS: usize = 64;
/// What all of it takes in memory, in octets.
const OCTETS: usize = 32 * 1024 * 1024;
/// What a domain, a policy or a failure takes at least.
const LEAST: usize = 256;
/// Octets of a policy that a report repeats.
const POLICY: usize = 8 * 1024;
/// The longest reason that a report repeats, in characters.
const REASON: usize = 200;
/// How long a report is tried to be sent after its time (§5.5), in seconds.
const TRIED: i64 = DAY;
/// How long to wait after the first failure, and at most, in seconds.
const FIRST: i64 = 5 * 60;
const LONGEST: i64 = 4 * 60 * 60;
/// Days that are kept at a time: today, yesterday, and what a server that was off has left.
const DAYS: usize = 4;

/// The kind of a policy (§4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Tlsa,
    Sts,
    NoPolicyFound,
}

/// A policy as it was applied to sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Applied {
    pub(crate) kind: Kind,
    /// The TLSA records, or the lines of the policy (§4.5).
    lines: Vec<String>,
    /// The domain that it is of: for TLSA the base domain.
    pub(crate) domain: String,
    /// The patterns of hosts.
    pub(crate) hosts: Vec<String>,
}

impl Applied {
    /// Creates one. Of a long policy, the first lines are reported.
    pub(crate) fn new(
        kind: Kind,
        domain: &str,
        lines: impl IntoIterator<Item = String>,
        hosts: impl IntoIterator<Item = String>,
    ) -> Self {
        Self {
            kind,
            lines: some(lines),
            domain: domain.to_owned(),
            hosts: some(hosts),
        }
    }

    pub(super) fn lines(&self) -> &[String] {
        &self.lines
    }

    fn octets(&self) -> usize {
        let texts = self.lines.iter().chain(&self.hosts);
        LEAST + self.domain.len() + texts.map(|text| text.len() + 24).sum::<usize>()
    }
}

fn some(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut octets = 0;
    let texts = texts.into_iter().take_while(|text| {
        octets += text.len();
        octets <= POLICY
    });
    texts.collect()
}

/// A failure that may have come about more than once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) result: ResultType,
    /// The host, where one was asked.
    pub(crate) host: Option<String>,
    pub(crate) address: Option<IpAddr>,
    /// Where this server asked from.
    pub(crate) source: Option<IpAddr>,
    /// What happened, in words.
    pub(crate) reason: Option<String>,
}

impl Failure {
    fn octets(&self) -> usize {
        let texts = self.host.iter().chain(&self.reason);
        LEAST + texts.map(String::len).sum::<usize>()
    }
}

/// What is counted.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// A session with TLS, as the policy demands it.
    Success,
    /// A session without.
    Failure(Failure),
    /// Something about the policy, whatever the session was.
    Remark(Failure),
}

/// How often a policy was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OfPolicy {
    pub(super) policy: Applied,
    pub(super) successes: u64,
    pub(super) failures: u64,
    pub(super) details: Vec<(Failure, u64)>,
}

/// What one domain is to have a report of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OfDomain {
    pub(super) policies: Vec<OfPolicy>,
    /// When the report is due, once the day is over.
    #[serde(skip)]
    due: Option<i64>,
    #[serde(skip)]
    tries: u32,
}

impl OfPolicy {
    fn octets(&self) -> usize {
        let details = self.details.iter().map(|(failure, _)| failure.octets());
        self.policy.octets() + details.sum::<usize>()
    }
}

impl OfDomain {
    fn octets(&self, name: &str) -> usize {
        let policies = self.policies.iter().map(OfPolicy::octets);
        LEAST + name.len() + policies.sum::<usize>()
    }
}

/// A day, counted from 1970 on, and a domain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) day: i64,
    pub(super) domain: String,
}

#[derive(Default)]
struct Days {
    days: BTreeMap<i64, BTreeMap<String, OfDomain>>,
    /// What was counted takes that.
    octets: usize,
    /// Days of which the files are behind.
    changed: Vec<i64>,
    random: fastrand::Rng,
}

/// All that is counted.
pub(crate) struct Tallies {
    clock: Clock,
    folder: Option<PathBuf>,
    spread: i64,
    days: Mutex<Days>,
}

impl Tallies {
    /// Reads what a folder has. A file that cannot be read is none.
    pub(crate) fn open(clock: Clock, folder: Option<PathBuf>, spread: Duration) -> Self {
        let mut days = Days::default();
        if let Some(folder) = &folder {
            for name in whole_file::names(folder, 100) {
                let day = name.strip_suffix(".json").and_then(|day| day.parse().ok());
                let octets = whole_file::read(&folder.join(&name), 4 * OCTETS as u64);
                let read = octets
                    .ok()
                    .and_then(|octets| serde_json::from_slice(&octets).ok());
                match (day, read) {
                    (Some(day), Some(read)) => days.take_in(day, read),
                    _ => warn!(name, "counts for TLS reports cannot be read"),
                }
            }
        }
        Self {
            clock,
            folder,
            spread: i64::try_from(spread.as_secs()).unwrap_or(DAY).min(DAY),
            days: Mutex::new(days),
        }
    }

    fn days(&self) -> MutexGuard<'_, Days> {
        self.days.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts something about mail for a domain.
    pub(crate) fn count(&self, domain: &str, policy: &Applied, outcome: Outcome) {
        let day = self.clock.seconds().div_euclid(DAY);
        self.days().count(day, domain, policy, outcome);
    }

    /// Takes the reports that are due, up to a number. Each is due once until it is [settled](Self::settle).
    pub(super) fn due(&self, most: usize) -> Vec<(Key, OfDomain)> {
        let now = self.clock.seconds();
        self.days().due(now, self.spread, most)
    }

    /// Notes that a report was sent, or is not wanted; or that it could not be sent, and is tried again.
    pub(super) fn settle(&self, key: &Key, is_done: bool) {
        let now = self.clock.seconds();
        self.days().settle(key, is_done, now, self.spread);
    }

    /// Brings the files up to what was counted.
    pub(crate) fn save(&self) {
        let Some(folder) = &self.folder else { return };
        let mut texts = Vec::new();
        {
            let mut days = self.days();
            for day in std::mem::take(&mut days.changed) {
                let counted = days.days.get(&day);
                texts.push((day, counted.map(serde_json::to_vec)));
            }
        }
        for (day, text) in texts {
            let name = format!("{day}.json");
            let done = match text {
                Some(Ok(octets)) => whole_file::write(folder, &name, &octets),
                Some(Err(error)) => Err(error.into()),
                None => match std::fs::remove_file(folder.join(&name)) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                    _ => Ok(()),
                },
            };
            if let Err(error) = done {
                warn!(%error, name, "counts for TLS reports are not kept");
                self.days().changes(day);
            }
        }
    }
}

impl Days {
    fn changes(&mut self, day: i64) {
        if !self.changed.contains(&day) {
            self.changed.push(day);
        }
    }

    /// Takes in what a file has.
    fn take_in(&mut self, day: i64, read: BTreeMap<String, OfDomain>) {
        for (domain, counted) in read.into_iter().take(DOMAINS) {
            self.octets += counted.octets(&domain);
            self.days.entry(day).or_default().insert(domain, counted);
        }
    }

    fn count(&mut self, day: i64, domain: &str, policy: &Applied, outcome: Outcome) {
        if !self.days.contains_key(&day) && self.days.len() >= DAYS {
            self.forget_oldest();
        }
        let is_full = self.octets >= OCTETS;
        if is_full && !self.days.contains_key(&day) {
            return;
        }
        let of_day = self.days.entry(day).or_default();
        if !of_day.contains_key(domain) {
            if of_day.len() >= DOMAINS || is_full {
                return;
            }
            self.octets += LEAST + domain.len();
            of_day.insert(domain.to_owned(), OfDomain::default());
        }
        let Some(of_domain) = of_day.get_mut(domain) else {
            return;
        };
        let policies = &mut of_domain.policies;
        let nth = policies.iter().position(|one| one.policy == *policy);
        let nth = match nth {
            Some(nth) => nth,
            None if policies.len() >= POLICIES || is_full => return,
            None => {
                self.octets += policy.octets();
                policies.push(OfPolicy {
                    policy: policy.clone(),
                    successes: 0,
                    failures: 0,
                    details: Vec::new(),
                });
                policies.len() - 1
            }
        };
        let Some(one) = policies.get_mut(nth) else {
            return;
        };
        let mut failure = match outcome {
            Outcome::Success => {
                one.successes += 1;
                self.changes(day);
                return;
            }
            Outcome::Failure(failure) => {
                one.failures += 1;
                failure
            }
            Outcome::Remark(failure) => failure,
        };
        failure.reason = failure.reason.map(|reason| clean(&reason));
        let has_room = one.details.len() < DETAILS && !is_full;
        let known = one.details.iter_mut().find(|(other, _)| *other == failure);
        if let Some((_, count)) = known {
            *count += 1;
        } else if has_room {
            self.octets += failure.octets();
            one.details.push((failure, 1));
        }
        self.changes(day);
    }

    /// A clock that jumps begins many days.
    fn forget_oldest(&mut self) {
        if let Some((day, domains)) = self.days.pop_first() {
            let all = domains.iter().map(|(name, counted)| counted.octets(name));
            self.octets -= all.sum::<usize>();
            self.changes(day);
        }
    }

    fn due(&mut self, now: i64, spread: i64, most: usize) -> Vec<(Key, OfDomain)> {
        let today = now.div_euclid(DAY);
        let mut all = Vec::new();
        for (&day, domains) in self.days.range_mut(..today) {
            for (domain, counted) in domains {
                let over = (day + 1) * DAY;
                let random = &mut self.random;
                let due = *counted
                    .due
                    .get_or_insert_with(|| over + random.i64(0..=spread));
                if due <= now && all.len() < most {
                    // Until it is settled.
                    counted.due = Some(i64::MAX);
                    let domain = domain.clone();
                    all.push((Key { day, domain }, counted.clone()));
                }
            }
        }
        all
    }

    fn settle(&mut self, key: &Key, is_done: bool, now: i64, spread: i64) {
        let Some(of_day) = self.days.get_mut(&key.day) else {
            return;
        };
        let Some(counted) = of_day.get_mut(&key.domain) else {
            return;
        };
        let last = (key.day + 1) * DAY + spread + TRIED;
        if !is_done && now < last {
            let doubled = FIRST.saturating_mul(1 << counted.tries.min(16));
            counted.due = Some(now + doubled.min(LONGEST));
            counted.tries += 1;
            return;
        }
        if !is_done {
            info!(domain = key.domain, "a TLS report was given up");
        }
        self.octets -= counted.octets(&key.domain);
        of_day.remove(&key.domain);
        if of_day.is_empty() {
            self.days.remove(&key.day);
        }
        self.changes(key.day);
    }
}

/// On one line, and no longer than it helps.
fn clean(text: &str) -> String {
    let kept = text.chars().take(REASON);
    kept.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::SystemTime;

    fn clock() -> (Arc<AtomicI64>, Clock) {
        let seconds = Arc::new(AtomicI64::new(0));
        let shown = Arc::clone(&seconds);
        let clock = Clock::new(move || {
            let seconds = u64::try_from(shown.load(Ordering::SeqCst)).unwrap();
            SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
        });
        (seconds, clock)
    }

    fn policy(n: usize) -> Applied {
        let lines = [format!("mx: {n}.test")];
        Applied::new(Kind::Sts, "a.test", lines, [])
    }

    fn failure(n: usize) -> Failure {
        Failure {
            result: ResultType::CertificateExpired,
            host: Some(format!("mx{n}.a.test")),
            address: Some("192.0.2.1".parse().unwrap()),
            source: None,
            reason: Some("it\r\nhas expired".into()),
        }
    }

    fn keys(due: &[(Key, OfDomain)]) -> Vec<(i64, &str)> {
        let keys = due.iter().map(|(key, _)| (key.day, key.domain.as_str()));
        keys.collect()
    }

    #[test]
    fn days_are_those_of_utc_and_reports_are_due_after_them() {
        let (now, clock) = clock();
        let tallies = Tallies::open(clock, None, Duration::from_secs(3600));
        now.store(DAY - 1, Ordering::SeqCst);
        tallies.count("a.test", &policy(1), Outcome::Success);
        now.store(DAY, Ordering::SeqCst);
        tallies.count("a.test", &policy(1), Outcome::Success);
        tallies.count("b.test", &policy(1), Outcome::Success);
        // Each at its own time within an hour.
        let mut times = Vec::new();
        for second in 0..=3600 {
            now.store(2 * DAY + second, Ordering::SeqCst);
            times.extend(tallies.due(9).into_iter().map(|(key, _)| (second, key)));
        }
        let mut all: Vec<_> = times
            .iter()
            .map(|(_, key)| (key.day, &key.domain[..]))
            .collect();
        all.sort_unstable();
        assert_eq!(all, [(0, "a.test"), (1, "a.test"), (1, "b.test")]);
        assert!(tallies.due(9).is_empty(), "each is due once");
    }

    #[test]
    fn what_cannot_be_sent_is_tried_again_for_a_day() {
        let (now, clock) = clock();
        let tallies = Tallies::open(clock, None, Duration::ZERO);
        tallies.count("a.test", &policy(1), Outcome::Success);
        let mut times = Vec::new();
        for minute in 0..2 * 24 * 60 {
            now.store(DAY + minute * 60, Ordering::SeqCst);
            for (key, _) in tallies.due(9) {
                tallies.settle(&key, false);
                times.push(minute);
            }
        }
        assert_eq!(times[..5], [0, 5, 15, 35, 75]);
        assert!(
            times
                .last()
                .is_some_and(|last| (20 * 60..=28 * 60).contains(last)),
            "{times:?}"
        );
        let days = tallies.days();
        assert_eq!((days.octets, days.days.len()), (0, 0));
    }

    #[test]
    fn counts_outlive_a_restart() {
        let home = tempfile::tempdir().unwrap();
        let folder = Some(home.path().join("reports"));
        let (now, clock) = clock();
        let open = || Tallies::open(clock.clone(), folder.clone(), Duration::ZERO);
        let first = open();
        for _ in 0..3 {
            first.count("a.test", &policy(1), Outcome::Success);
            first.count("a.test", &policy(1), Outcome::Failure(failure(1)));
        }
        first.count("a.test", &policy(1), Outcome::Remark(failure(2)));
        first.save();
        std::fs::write(home.path().join("reports/7.json"), "{").unwrap();
        let second = open();
        let octets = first.days().octets;
        assert_eq!(second.days().octets, octets);
        second.count("a.test", &policy(1), Outcome::Success);
        now.store(DAY, Ordering::SeqCst);
        let due = second.due(9);
        assert_eq!(keys(&due), [(0, "a.test")]);
        let [of_policy] = &due[0].1.policies[..] else {
            panic!("{due:?}")
        };
        assert_eq!((of_policy.successes, of_policy.failures), (4, 3));
        let details: Vec<_> = of_policy.details.iter().map(|(_, count)| *count).collect();
        assert_eq!(details, [3, 1]);
        assert_eq!(
            of_policy.details[0].0.reason.as_deref(),
            Some("it  has expired")
        );
        second.settle(&due[0].0, true);
        second.save();
        assert!(!home.path().join("reports/0.json").exists());
    }

    #[test]
    fn nobody_fills_the_memory() {
        let (now, clock) = clock();
        let tallies = Tallies::open(clock, None, Duration::ZERO);
        for n in 0..DOMAINS + 9 {
            tallies.count(&format!("{n}.test"), &policy(1), Outcome::Success);
        }
        for n in 0..POLICIES + 9 {
            tallies.count("1.test", &policy(n), Outcome::Success);
        }
        for n in 0..DETAILS + 9 {
            tallies.count("1.test", &policy(1), Outcome::Failure(failure(n)));
        }
        {
            let days = tallies.days();
            let of_domain = &days.days[&0]["1.test"];
            assert_eq!(
                (days.days[&0].len(), of_domain.policies.len()),
                (DOMAINS, POLICIES)
            );
            let one = &of_domain.policies[0];
            assert_eq!(
                (one.failures, one.details.len()),
                (DETAILS as u64 + 9, DETAILS)
            );
        }
        // Long policies.
        let long = |n: usize| {
            let lines = (0..2000).map(|line| format!("mx: host-{n}-{line}.test"));
            Applied::new(Kind::Sts, "a.test", lines, [])
        };
        for n in 0..DOMAINS {
            tallies.count(&format!("{n}.test"), &long(n), Outcome::Success);
        }
        assert!(tallies.days().octets < OCTETS + 64 * 1024);
        // They have room again when their reports are sent.
        now.store(DAY, Ordering::SeqCst);
        tallies.count("a.test", &policy(1), Outcome::Success);
        assert_eq!(tallies.days().days.len(), 1);
        for (key, _) in tallies.due(usize::MAX) {
            tallies.settle(&key, true);
        }
        assert_eq!(tallies.days().octets, 0);
        for day in 1..20 {
            now.store(day * DAY, Ordering::SeqCst);
            tallies.count("a.test", &policy(1), Outcome::Success);
        }
        assert_eq!(tallies.days().days.len(), DAYS);
        for (key, _) in tallies.due(usize::MAX) {
            tallies.settle(&key, true);
        }
        // Today's is left.
        assert_eq!(tallies.days().days.len(), 1);
        assert!(tallies.days().octets < 2000);
    }
}
