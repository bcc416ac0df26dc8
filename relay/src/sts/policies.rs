//! Which policy holds for a domain: the one that is known, or the one that it has now (RFC 8461 §3.3, §5.1).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, watch};
use tracing::{info, warn};

use super::cache::{Cache, Held};
use super::fetch::{FetchError, fetch};
use super::policy::Policy;
use super::record::Record;
use crate::clock::Clock;
use crate::dns::Dns;
use crate::https::Https;
use crate::tls_report::result_type::ResultType;

/// Policies that are fetched at a time.
const FETCHES: usize = 64;
/// Fetches that are under way or wait. Mail for further domains waits, and does not go out without its policy.
const WAITING: usize = 1024;
/// How long a fetch that failed is not repeated, in seconds (§3.3).
const FAILED: i64 = 5 * 60;
/// Failures that are remembered, at most.
const FAILURES: usize = 4096;
/// How long a policy is taken for the newest, in seconds: a name server that gives each answer another id would have it
/// fetched for each message.
const NEWEST: i64 = 60;
/// Policies that are fetched again at a time before they are over.
const REFRESHED: usize = 16;

/// What is known of a domain's policy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// The policy that holds.
    pub(crate) policy: Option<Arc<Policy>>,
    /// Why there is no newer one, where there should be one.
    pub(crate) trouble: Option<Trouble>,
}

/// Why a policy was not fetched.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) result: ResultType,
    pub(crate) words: String,
}

/// So many policies are being fetched that another one has to wait.
#[derive(Debug)]
pub(crate) struct Busy;

struct Failed {
    at: i64,
    trouble: Trouble,
}

/// Finds policies, and keeps them.
pub(crate) struct Policies {
    dns: Dns,
    https: Https,
    clock: Clock,
    cache: Cache,
    places: Semaphore,
    under_way: Mutex<HashMap<String, watch::Receiver<()>>>,
    failed: Mutex<HashMap<String, Failed>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Policies {
    pub(crate) fn new(dns: Dns, https: Https, clock: Clock, cache: Cache) -> Self {
        Self {
            dns,
            https,
            clock,
            cache,
            places: Semaphore::new(FETCHES),
            under_way: Mutex::default(),
            failed: Mutex::default(),
        }
    }

    /// Finds the policy of a domain. Waits for the policy host where the domain has one that is not known; a caller that
    /// waits no longer does not end the fetch.
    ///
    /// # Errors
    /// [`Busy`]. Nothing is known of a policy then.
    pub(crate) async fn of(self: &Arc<Self>, domain: &str) -> Result<Known, Busy> {
        let answer = self.dns.txt(&format!("_mta-sts.{domain}")).await;
        let now = self.clock.seconds();
        let held = self.cache.get(domain, now);
        let record = match answer {
            Ok(answer) => Record::of(&answer.records),
            Err(error) => {
                // §6: of a domain that has a policy, this is to be reported.
                let trouble = held.is_some().then(|| Trouble {
                    result: ResultType::StsPolicyFetchError,
                    words: error.to_string(),
                });
                return Ok(known(held, trouble));
            }
        };
        let Some(record) = record else {
            return Ok(known(held, None));
        };
        let is_newest = |held: &Held| held.id == record.id || now - held.fetched < NEWEST;
        if held.as_ref().is_some_and(is_newest) {
            return Ok(known(held, None));
        }
        if let Some(trouble) = self.trouble(domain, now) {
            return Ok(known(held, Some(trouble)));
        }
        let mut done = self.begin(domain, record.id).ok_or(Busy)?;
        // The sender is dropped when it is done.
        while done.changed().await.is_ok() {}
        let now = self.clock.seconds();
        let held = self.cache.get(domain, now);
        Ok(known(held, self.trouble(domain, now)))
    }

    /// Why the last fetch failed, as long as it is not to be repeated.
    fn trouble(&self, domain: &str, now: i64) -> Option<Trouble> {
        let failed = lock(&self.failed);
        let last = failed.get(domain)?;
        (now.abs_diff(last.at) < FAILED.unsigned_abs()).then(|| last.trouble.clone())
    }

    /// Begins to fetch a policy, unless that is under way. `None` when too much is.
    fn begin(self: &Arc<Self>, domain: &str, id: String) -> Option<watch::Receiver<()>> {
        let mut under_way = lock(&self.under_way);
        if let Some(receiver) = under_way.get(domain) {
            return Some(receiver.clone());
        }
        if under_way.len() >= WAITING {
            return None;
        }
        let (sender, receiver) = watch::channel(());
        under_way.insert(domain.to_owned(), receiver.clone());
        let ends = Ends {
            policies: Arc::clone(self),
            domain: domain.to_owned(),
            _done: sender,
        };
        tokio::spawn(async move {
            let Ends {
                policies, domain, ..
            } = &ends;
            policies.fetch(domain, id).await;
        });
        Some(receiver)
    }

    async fn fetch(&self, domain: &str, id: String) {
        let Ok(_place) = self.places.acquire().await else {
            return;
        };
        let done = fetch(&self.https, domain).await;
        let now = self.clock.seconds();
        match done {
            Ok(policy) => {
                info!(domain, id, mode = ?policy.mode(), max_age = policy.max_age(), "MTA-STS policy");
                lock(&self.failed).remove(domain);
                let held = Held {
                    policy: Arc::new(policy),
                    id,
                    fetched: now,
                };
                self.cache.put(domain, held, now).await;
            }
            Err(error) => self.fails(domain, &error, now),
        }
    }

    fn fails(&self, domain: &str, error: &FetchError, now: i64) {
        // §10.2: repeated failures may be an attack. Of a domain that gives MTA-STS up they are none.
        match self.cache.peek(domain, now) {
            Some(held) if held.is_none() => {}
            held => {
                let is_held = held.is_some();
                warn!(domain, %error, is_held, "the MTA-STS policy cannot be fetched");
            }
        }
        let trouble = Trouble {
            result: error.result_type(),
            words: error.to_string(),
        };
        let mut failed = lock(&self.failed);
        if failed.len() >= FAILURES {
            failed.retain(|_, other| now.abs_diff(other.at) < FAILED.unsigned_abs());
        }
        if failed.len() < FAILURES {
            failed.insert(domain.to_owned(), Failed { at: now, trouble });
        }
    }

    /// Begins to fetch policies again that are not over and are old (§3.3, §10.2). Whether the domain still says that it
    /// has one does not matter.
    pub(crate) async fn refresh(self: &Arc<Self>) {
        let now = self.clock.seconds();
        for (domain, held) in self.cache.stale(now, REFRESHED) {
            let answer = self.dns.txt(&format!("_mta-sts.{domain}")).await;
            let record = answer.ok().and_then(|answer| Record::of(&answer.records));
            let id = record.map_or(held.id, |record| record.id);
            let _ = self.begin(&domain, id);
        }
    }
}

fn known(held: Option<Held>, trouble: Option<Trouble>) -> Known {
    let is_none = held.as_ref().is_some_and(Held::is_none);
    Known {
        policy: held.filter(|held| !held.is_none()).map(|held| held.policy),
        trouble: trouble.filter(|_| !is_none),
    }
}

/// Ends a fetch when it is dropped, however that comes about.
struct Ends {
    policies: Arc<Policies>,
    domain: String,
    _done: watch::Sender<()>,
}

impl Drop for Ends {
    fn drop(&mut self) {
        lock(&self.policies.under_way).remove(&self.domain);
    }
}
