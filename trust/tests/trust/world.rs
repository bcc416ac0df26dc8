//! DNS for tests, as text: a line is a name, a kind and what it has. `TIMEOUT` instead of a kind: questions about the name
//! get no answer.

use hikyaku_trust::dns::{Answer, Ask, Asking, Family, Unanswered};
use hikyaku_trust::{Arrival, Checked, Checker};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub(crate) struct World {
    records: Mutex<BTreeMap<(String, String), Vec<String>>>,
    asked: AtomicUsize,
}

impl World {
    pub(crate) fn new(text: &str) -> Arc<Self> {
        let world = Arc::new(Self::default());
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
            let (kind, value) = rest.split_once(' ').unwrap_or((rest, ""));
            world.add(name, kind, value);
        }
        world
    }

    pub(crate) fn add(&self, name: &str, kind: &str, value: &str) {
        let key = (name.to_ascii_lowercase(), kind.to_owned());
        let mut records = self.records.lock().unwrap();
        records.entry(key).or_default().push(value.to_owned());
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn find<T>(
        &self,
        name: &str,
        kind: &str,
        read: impl Fn(&str) -> T,
    ) -> Result<Answer<T>, Unanswered> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let name = name.to_ascii_lowercase();
        let records = self.records.lock().unwrap();
        if records.contains_key(&(name.clone(), "TIMEOUT".to_owned())) {
            return Err(Unanswered::new(name));
        }
        let found = records.get(&(name.clone(), kind.to_owned()));
        Ok(Answer {
            records: found.into_iter().flatten().map(|one| read(one)).collect(),
            exists: records.keys().any(|(other, _)| *other == name),
        })
    }
}

/// The value with `\xNN` as the octet.
fn octets(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut octets = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        octets.push(u8::from_str_radix(digits, 16).unwrap());
        octets.extend_from_slice(rest.as_bytes());
    }
    octets
}

impl Ask for World {
    fn txt<'a>(&'a self, name: &'a str) -> Asking<'a, Vec<u8>> {
        Box::pin(async move { self.find(name, "TXT", octets) })
    }

    fn addresses<'a>(&'a self, name: &'a str, family: Family) -> Asking<'a, IpAddr> {
        let kind = if family == Family::V4 { "A" } else { "AAAA" };
        Box::pin(async move { self.find(name, kind, |text| text.parse().unwrap()) })
    }

    fn exchanges<'a>(&'a self, name: &'a str) -> Asking<'a, String> {
        Box::pin(async move { self.find(name, "MX", str::to_owned) })
    }

    fn names(&self, address: IpAddr) -> Asking<'_, String> {
        Box::pin(async move { self.find(&address.to_string(), "PTR", str::to_owned) })
    }
}

/// A checker of `mx.our.test`, whose domain is `our.test`.
pub(crate) fn checker(world: &Arc<World>) -> Checker {
    let dns = Arc::clone(world);
    Checker::new("mx.our.test", ["our.test"], dns).unwrap()
}

/// Checks a message to its end.
pub(crate) fn check(checker: &Checker, arrival: Arrival<'_>) -> Checked {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(checker.check(arrival))
}
