//! Connections that wait for another message (RFC 5321 §4.5.4.1 speaks of the cost of one for each).

use hikyaku_smtp_proto::client::Connection;
use hikyaku_wire::drive::Driver;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::timeout;

use crate::candidate::{Candidate, Peer};
use crate::security::Wire;

/// A connection to a host, and the machine that speaks on it.
pub(crate) type Drives = Driver<Connection, Box<dyn Wire>>;

/// How long a connection waits for another message. Hosts are asked to keep it for much longer.
const KEPT: Duration = Duration::from_secs(3);
/// Connections that wait at a time, to all hosts.
const MOST: usize = 100;
/// Messages on one connection, whatever the host allows: so that the load moves on to hosts that come back.
const MESSAGES: u32 = 100;
/// How long QUIT is waited for.
const QUIT: Duration = Duration::from_secs(5);

/// What two messages must have in common to go over one connection: the host, and on which terms it is talked to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Terms {
    peer: Peer,
    /// TLS, its names or records, the login, the protocol.
    how: String,
}

impl Terms {
    pub(crate) fn of(host: &Candidate) -> Self {
        let user = host.login.as_ref().map(|login| &login.user);
        Self {
            peer: host.peer.clone(),
            how: format!(
                "{} {:?} {} {user:?} {}",
                host.name, host.security, host.implicit_tls, host.lmtp
            ),
        }
    }
}

struct Waiting {
    drives: Drives,
    since: Instant,
    messages: u32,
}

/// All connections that wait.
#[derive(Default)]
pub(crate) struct Pool(Mutex<HashMap<Terms, Vec<Waiting>>>);

impl Pool {
    fn all(&self) -> MutexGuard<'_, HashMap<Terms, Vec<Waiting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection on these terms, and how many messages it has carried. The youngest: the host is the least
    /// likely to have closed it.
    pub(crate) fn take(&self, terms: &Terms) -> Option<(Drives, u32)> {
        let mut all = self.all();
        let waiting = all.get_mut(terms)?;
        let one = waiting.pop();
        if waiting.is_empty() {
            all.remove(terms);
        }
        one.map(|one| (one.drives, one.messages))
    }

    /// Returns whether a connection waits on these terms.
    pub(crate) fn has(&self, terms: &Terms) -> bool {
        self.all().contains_key(terms)
    }

    /// Lets a connection wait that has carried so many messages, or ends it.
    pub(crate) fn put(&self, terms: Terms, drives: Drives, messages: u32) {
        let limits = drives.machine.capabilities().limits;
        let most = limits.mail_max.map_or(MESSAGES, |most| most.min(MESSAGES));
        let mut all = self.all();
        if messages >= most || all.values().map(Vec::len).sum::<usize>() >= MOST {
            drop(all);
            end(drives);
            return;
        }
        all.entry(terms).or_default().push(Waiting {
            drives,
            since: Instant::now(),
            messages,
        });
    }

    /// Ends those that have waited long enough.
    pub(crate) fn sweep(&self) {
        self.end_if(|one| one.since.elapsed() >= KEPT);
    }

    /// Ends all of them.
    pub(crate) fn close(&self) {
        self.end_if(|_| true);
    }

    fn end_if(&self, is_over: impl Fn(&Waiting) -> bool) {
        let mut all = self.all();
        for waiting in all.values_mut() {
            for one in waiting.extract_if(.., |one| is_over(one)) {
                end(one.drives);
            }
        }
        all.retain(|_, waiting| !waiting.is_empty());
    }
}

/// Ends a connection that is ready: says QUIT, and waits for the answer a while, beside everything else.
pub(crate) fn end(mut drives: Drives) {
    tokio::spawn(async move {
        let (machine, output) = drives.split();
        if machine.quit(output).is_ok() {
            let _ = timeout(QUIT, drives.next_async()).await;
        }
    });
}
