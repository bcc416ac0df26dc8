//! The relay: what it needs to hand mail on.

use hikyaku_mailstore::Store;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Semaphore;

use crate::destinations::Destinations;
use crate::dns::{Dns, DnsError};
use crate::here::Here;
use crate::https::Https;
use crate::jitter::sooner;
use crate::options::{Happened, Options};
use crate::pool::Pool;
use crate::sts::cache::Cache;
use crate::sts::policies::Policies;
use crate::tls_report::reports::Reports;
use crate::tls_report::tally::Tallies;
use crate::traced::{Traced, What};
use crate::trip::Trips;

/// Entries whose next hop is being looked up, at a time. They have places of their own.
pub(crate) const LOOKUPS: usize = 128;
/// Connections to other servers at a time: one at least, and as many as can be counted at most.
fn connections(configured: usize) -> usize {
    configured.clamp(1, Semaphore::MAX_PERMITS)
}

/// Hands on the messages that wait in a store's queue. There is one for each store, in one process.
pub struct Relay {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) here: Arc<dyn Here>,
    pub(crate) options: Options,
    pub(crate) dns: Dns,
    pub(crate) destinations: Arc<Destinations>,
    pub(crate) trips: Arc<Trips>,
    pub(crate) lookups: Arc<Semaphore>,
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) connection_count: usize,
    pub(crate) pool: Pool,
    /// `None`: MTA-STS is off.
    pub(crate) policies: Option<Arc<Policies>>,
    /// `None`: no TLS reports are sent.
    pub(crate) reports: Option<Arc<Reports>>,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Relay {
    /// Creates the relay of a store's queue. Nothing is handed on before [`run`](Self::run). Policies and counts that
    /// an earlier one has kept are read.
    ///
    /// # Errors
    /// [`DnsError`], when a DNS server has no address.
    pub fn new(
        store: Arc<dyn Store>,
        here: Arc<dyn Here>,
        options: Options,
    ) -> Result<Arc<Self>, DnsError> {
        let connections = connections(options.connections);
        let share = match options.smarthost {
            // There is one destination, and it is ours.
            Some(_) => connections,
            None => options.connections_per_destination.min(connections),
        };
        let dns = Dns::new(&options)?;
        Ok(Arc::new(Self {
            store,
            here,
            policies: policies(&options, &dns).map(Arc::new),
            reports: reports(&options, &dns).map(Arc::new),
            dns,
            destinations: Destinations::new(share, options.retry.clone(), sooner),
            trips: Arc::default(),
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
            connections: Arc::new(Semaphore::new(connections)),
            connection_count: connections,
            pool: Pool::default(),
            options,
        }))
    }

    /// Checks whether mail can be handed on with these options.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn check(options: &Options) -> Result<(), DnsError> {
        Dns::new(options).map(drop)
    }

    pub(crate) fn happened(&self, what: Happened) {
        (self.options.observe)(what);
    }

    /// Reports what happened to a message, where somebody wants to know it.
    pub(crate) fn trace(&self, id: &str, next_hop: &str, what: What<'_>) {
        if let Some(trace) = &self.options.trace {
            trace(&Traced { id, next_hop, what });
        }
    }
}

fn policies(options: &Options, dns: &Dns) -> Option<Policies> {
    let sts = options.mta_sts.as_ref()?;
    let roots = options.roots.as_ref().filter(|roots| !roots.is_empty())?;
    let https = Https::new(dns.clone(), roots, sts.port, sts.may_ask_private).ok()?;
    let now = options.clock.seconds();
    let cache = Cache::open(sts.folder.clone(), sts.policies, now);
    Some(Policies::new(
        dns.clone(),
        https,
        options.clock.clone(),
        cache,
    ))
}

fn reports(options: &Options, dns: &Dns) -> Option<Reports> {
    let settings = options.tls_reports.clone()?;
    let (port, may_ask_private) = (settings.port, settings.may_ask_private);
    let https = options.roots.as_ref().and_then(|roots| {
        let https = Https::new(dns.clone(), roots, port, may_ask_private);
        https.ok()
    });
    let clock = options.clock.clone();
    let tallies = Tallies::open(clock, settings.folder.clone(), settings.spread);
    Some(Reports {
        settings,
        tallies: Arc::new(tallies),
        https,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_connections_can_be_configured() {
        for configured in [0, 1, 200, usize::MAX] {
            let connections = connections(configured);
            assert!(connections >= 1 && Semaphore::new(connections).available_permits() >= 1);
        }
    }
}
