//! The queue: mail for other domains waits here, is handed on, tried again, and given up in the end.
//!
//! The loop claims what is due, a few entries for each next hop, and [`destinations`] counts what is under way, so that
//! no destination has all of the connections, however much waits for it and whatever it does.

mod conversation;
mod destinations;
mod dns;
mod dsn;
mod local;
mod opportunistic_tls;
mod transport;
mod trip;

use bytes::Bytes;
use mailstore::{AccountId, Claim, Error, Operation, QueueEntry, Scope, Transaction};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tracing::{Instrument as _, info, warn};

use crate::metrics::count;
use crate::server::Shared;
use destinations::Destinations;
use dns::Dns;
use dsn::Notice;
use transport::HandedOn;
use trip::{Stage, Trip, Trips};

/// The next hop of mail for mailboxes here that could not take it at once.
pub(crate) const LOCAL: &str = "@local";

/// The owner of all claims, for the store. One server has it at a time: what was claimed before this one started is nobody's.
const OWNER: u32 = 1;
/// How long a claim holds: longer than any attempt takes.
const CLAIM: Duration = Duration::from_secs(20 * 60);
/// How often the queue is looked at, for what has become due.
const LOOK: Duration = Duration::from_millis(500);
/// How often it is made sure that nothing is due later than it ever should be.
const CLAMP: Duration = Duration::from_secs(60);
/// Entries whose next hop is being looked up, at a time. They have places of their own.
const LOOKUPS: usize = 128;
/// How long DNS is waited for when all places are taken and others wait: then the entry makes room.
const DNS_PATIENCE: Duration = Duration::from_secs(2);
/// The same for the first words of a host.
const HOST_PATIENCE: Duration = Duration::from_secs(2);
/// How long attempts may go on when the server stops. The rest is tried again by the next start.
const STOP: Duration = Duration::from_secs(3);
/// How soon the outcome of an attempt is noted again, when the store could not take it.
const SETTLE_AGAIN: Duration = Duration::from_secs(2);

/// What the queue knows of a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) id: String,
    /// `None`: a notification, which is never answered by one.
    pub(crate) reverse_path: Option<String>,
    pub(crate) smtputf8: bool,
    pub(crate) recipients: Vec<Waiting>,
    /// Seconds since 1970.
    pub(crate) queued: i64,
    pub(crate) attempts: u32,
}

/// A recipient that does not have it yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) address: String,
    /// The reply that deferred it last.
    pub(crate) last: String,
}

impl Waiting {
    pub(crate) fn new(address: String) -> Self {
        let last = String::new();
        Self { address, last }
    }
}

impl Envelope {
    pub(crate) fn encode(&self) -> Bytes {
        // Version 1, then the fields.
        postcard::to_extend(self, vec![1_u8]).map_or_else(|_| Bytes::new(), Bytes::from)
    }

    fn decode(octets: &[u8]) -> Option<Self> {
        let (version, rest) = octets.split_first()?;
        (*version == 1).then(|| postcard::from_bytes(rest).ok())?
    }
}

/// What became of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered,
    /// Try again: why.
    Deferred(String),
    /// Never: why.
    Failed(String),
}

/// Whether mail can be handed on with that configuration.
pub(crate) fn check(config: &crate::Config) -> Result<(), String> {
    Dns::new(&config.relay).map(drop)
}

/// Connections to other servers at a time: one at least, and as many as can be counted at most.
fn connections(configured: usize) -> usize {
    configured.clamp(1, Semaphore::MAX_PERMITS)
}

/// Begins handing on what waits.
pub(crate) fn start(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) -> Result<(), String> {
    let config = &shared.config.relay;
    let retry = config.retry.iter().map(|span| span.0).collect();
    let connections = connections(config.connections);
    let share = match config.smarthost {
        // There is one destination, and it is ours.
        Some(_) => connections,
        None => config.connections_per_destination.min(connections),
    };
    let relay = Arc::new(Relay {
        shared: Arc::clone(shared),
        dns: Dns::new(config)?,
        destinations: Destinations::new(share, retry),
        trips: Arc::default(),
        lookups: Arc::new(Semaphore::new(LOOKUPS)),
        connections: Arc::new(Semaphore::new(connections)),
        connection_count: connections,
    });
    tasks.spawn(run(relay));
    Ok(())
}

/// What hands on has at hand.
struct Relay {
    shared: Arc<Shared>,
    dns: Dns,
    destinations: Arc<Destinations>,
    trips: Arc<Trips>,
    lookups: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    connection_count: usize,
}

async fn run(relay: Arc<Relay>) {
    let shared = &relay.shared;
    let mut watch = shared.store.watch(Scope::Queue);
    let mut attempts = JoinSet::new();
    relay.recover().await;
    let mut clamped = Instant::now();
    while !shared.is_stopping() {
        while attempts.try_join_next().is_some() {}
        if clamped.elapsed() > CLAMP {
            clamped = Instant::now();
            relay.clamp(CLAIM.max(relay.longest_step())).await;
        }
        relay.make_room();
        let claimed = relay.claim().await;
        let none = claimed.is_empty();
        for entry in claimed {
            let Some((trip, ends)) = relay.trips.begin(&entry) else {
                continue;
            };
            // A claim is for no more than there are.
            let Ok(lookup) = Arc::clone(&relay.lookups).acquire_owned().await else {
                return;
            };
            let next_hop = &entry.next_hop[..];
            let under_way = relay.destinations.begin(next_hop, Instant::now());
            let span = tracing::info_span!("queue", id = entry.id.0, next_hop);
            let relay = Arc::clone(&relay);
            attempts.spawn(
                async move {
                    let _under_way = (ends, under_way);
                    relay.handle(&trip, lookup, entry).await;
                }
                .instrument(span),
            );
        }
        if none {
            tokio::select! {
                () = shared.stopping() => {}
                () = watch.changed() => {}
                () = relay.destinations.freed.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
    // What is under way may end. What does not is given back, and goes out after the next start.
    let all = async { while attempts.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP, all).await.is_err() {
        attempts.shutdown().await;
    }
    let given_back = shared.store.release_claims(OWNER, SystemTime::now()).await;
    if let Err(error) = given_back {
        warn!(%error, "claims are not given back");
    }
}

impl Relay {
    /// What an earlier server held when it died is due now, and what was put off by a clock that was wrong soon.
    async fn recover(&self) {
        loop {
            let now = SystemTime::now();
            match self.shared.store.release_claims(OWNER, now).await {
                Ok(0) => break,
                Ok(released) => {
                    info!(
                        released,
                        "an earlier server had claimed these: they are due now"
                    );
                    break;
                }
                Err(error) => warn!(%error, "claims of an earlier server"),
            }
            tokio::select! {
                () = self.shared.stopping() => return,
                () = tokio::time::sleep(SETTLE_AGAIN) => {}
            }
        }
        self.clamp(self.longest_step()).await;
    }

    async fn clamp(&self, longest: Duration) {
        let latest = SystemTime::now() + longest;
        match self.shared.store.clamp_due(latest).await {
            Ok(0) => {}
            Ok(clamped) => warn!(clamped, "due too far in the future: the clock was wrong"),
            Err(error) => warn!(%error, "the queue cannot be looked through"),
        }
    }

    /// How long a message waits at most between two attempts.
    fn longest_step(&self) -> Duration {
        let retry = self.shared.config.relay.retry.iter();
        retry.map(|span| span.0).max().unwrap_or(CLAIM)
    }

    /// Entries that wait in vain for a server that says nothing give way, when all places are taken and others wait: a
    /// quarter of them at a time, those first that have waited longest.
    fn make_room(&self) {
        if self.lookups.available_permits() == 0 {
            let cut = self.trips.cut(Stage::Lookup, DNS_PATIENCE, LOOKUPS / 4);
            if cut > 0 {
                info!(cut, "lookups make room");
            }
        }
        if self.connections.available_permits() == 0 {
            let most = self.connection_count.div_ceil(4);
            let waiting = self.trips.count(Stage::Room).min(most);
            let cut = self.trips.cut(Stage::Greeting, HOST_PATIENCE, waiting);
            if cut > 0 {
                info!(cut, "connections make room");
            }
        }
    }

    async fn claim(&self) -> Vec<QueueEntry> {
        let free = self.lookups.available_permits();
        if free == 0 {
            return Vec::new();
        }
        let claim = Claim::new(SystemTime::now(), free, CLAIM).owner(OWNER);
        let claim = self.destinations.share_out(claim, Instant::now());
        let claimed = self.shared.store.claim(&claim).await;
        claimed.unwrap_or_else(|error| {
            warn!(%error, "the queue cannot be read");
            Vec::new()
        })
    }

    async fn handle(
        self: &Arc<Self>,
        trip: &Trip,
        lookup: OwnedSemaphorePermit,
        entry: QueueEntry,
    ) {
        let Some(mut envelope) = Envelope::decode(&entry.envelope) else {
            warn!("a queue entry that cannot be read is left for later");
            return;
        };
        let Some(fates) = self.attempt(trip, lookup, &entry, &envelope).await else {
            let again = Some((SystemTime::now(), entry.envelope.clone()));
            let _ = self.settle(trip, &entry, again, None).await;
            return;
        };
        envelope.attempts = envelope.attempts.saturating_add(1);
        let (mut waiting, mut failed) = self.sorted(&entry, &mut envelope, fates);
        let mut notification = None;
        if !failed.is_empty() {
            match self.notify(&entry, &envelope, &failed).await {
                Ok(enqueue) => notification = enqueue,
                Err(error) => {
                    // The store does not take it: nothing may be forgotten before the sender is notified.
                    warn!(%error, "notification");
                    waiting.append(&mut failed);
                }
            }
        }
        let mut again = self.again(&mut envelope, waiting);
        if let Some(enqueue) = notification {
            let settled = self.settle(trip, &entry, again, Some(enqueue)).await;
            let Err(error) = settled else { return };
            // What was handed on is noted all the same, and the rest is given up when there is room.
            warn!(%error, "notification");
            let mut waiting = std::mem::take(&mut envelope.recipients);
            waiting.append(&mut failed);
            again = self.again(&mut envelope, waiting);
        }
        let _ = self.settle(trip, &entry, again, None).await;
    }

    /// What became of each recipient; `None` when nothing was tried.
    async fn attempt(
        self: &Arc<Self>,
        trip: &Trip,
        lookup: OwnedSemaphorePermit,
        entry: &QueueEntry,
        envelope: &Envelope,
    ) -> Option<Vec<Fate>> {
        if entry.next_hop == LOCAL {
            trip.waits_for(Stage::Conversation);
            return Some(local::local(&self.shared, entry, envelope).await);
        }
        match transport::hand_on(self, trip, lookup, entry, envelope).await {
            HandedOn::Fates(fates) => Some(fates),
            HandedOn::NotNow => None,
        }
    }

    /// Takes the recipients out of an envelope: those that are tried again, and those that are given up.
    fn sorted(
        &self,
        entry: &QueueEntry,
        envelope: &mut Envelope,
        fates: Vec<Fate>,
    ) -> (Vec<Waiting>, Vec<Waiting>) {
        let metrics = &self.shared.metrics;
        let expired = self.is_expired(envelope);
        let (mut waiting, mut failed) = (Vec::new(), Vec::new());
        for (mut recipient, fate) in envelope.recipients.drain(..).zip(fates) {
            info!(to = recipient.address, ?fate, "attempt");
            match fate {
                Fate::Delivered if entry.next_hop == LOCAL => {
                    count(&metrics.messages_delivered_total);
                }
                Fate::Delivered => count(&metrics.messages_relayed_total),
                Fate::Deferred(why) => {
                    recipient.last = why;
                    if expired {
                        failed.push(recipient);
                    } else {
                        count(&metrics.messages_deferred_total);
                        waiting.push(recipient);
                    }
                }
                Fate::Failed(why) => {
                    recipient.last = why;
                    failed.push(recipient);
                }
            }
        }
        (waiting, failed)
    }

    /// Notifies the sender of what is given up. Returns a notification that is to be queued.
    async fn notify(
        &self,
        entry: &QueueEntry,
        envelope: &Envelope,
        failed: &[Waiting],
    ) -> Result<Option<Operation>, Error> {
        let metrics = &self.shared.metrics;
        let notice = dsn::send(&self.shared, entry, envelope, failed).await?;
        let given_up = failed.len() as u64;
        metrics
            .messages_bounced_total
            .fetch_add(given_up, Ordering::Relaxed);
        match notice {
            Notice::Delivered => {}
            Notice::Queued(enqueue) => return Ok(Some(*enqueue)),
            Notice::Dropped(why) => {
                count(&metrics.notifications_dropped_total);
                let from = envelope.reverse_path.as_deref();
                warn!(why, from, given_up, "no notification");
            }
        }
        Ok(None)
    }

    /// When the recipients that are left are tried again, and the envelope for them.
    fn again(&self, envelope: &mut Envelope, left: Vec<Waiting>) -> Option<(SystemTime, Bytes)> {
        envelope.recipients = left;
        let is_left = !envelope.recipients.is_empty();
        is_left.then(|| {
            let wait = self.step(envelope.attempts);
            (SystemTime::now() + wait, envelope.encode())
        })
    }

    /// How long a message waits after so many attempts.
    fn step(&self, attempts: u32) -> Duration {
        let retry = &self.shared.config.relay.retry;
        let step = usize::try_from(attempts).unwrap_or(usize::MAX);
        let step = retry.get(step.saturating_sub(1)).or(retry.last());
        step.map_or(Duration::from_secs(300), |span| span.0)
    }

    /// Whether it is given up. A clock that jumped, and a server that was off for a week, make nothing old: it was
    /// tried as often as there are different steps.
    fn is_expired(&self, envelope: &mut Envelope) -> bool {
        let relay = &self.shared.config.relay;
        let now = crate::unix_now();
        envelope.queued = envelope.queued.min(now);
        let expire = i64::try_from(relay.expire.0.as_millis()).unwrap_or(i64::MAX) / 1000;
        let attempts = usize::try_from(envelope.attempts).unwrap_or(usize::MAX);
        now - envelope.queued >= expire && attempts >= relay.retry.len()
    }

    /// Notes the outcome of an attempt, together with the notification of it. A store that cannot take it is asked again,
    /// for as long as the claim holds: handed on is handed on.
    ///
    /// # Errors
    /// There is no room for the notification: nothing was noted.
    async fn settle(
        &self,
        trip: &Trip,
        entry: &QueueEntry,
        again: Option<(SystemTime, Bytes)>,
        notification: Option<Operation>,
    ) -> Result<(), Error> {
        loop {
            let token = trip.token();
            let mut transaction = Transaction::new(AccountId::SYSTEM).with(Operation::Settle {
                id: entry.id,
                token,
                again: again.clone(),
            });
            transaction.operations.extend(notification.clone());
            match self.shared.store.commit(transaction).await {
                Ok(_) | Err(Error::Closed) => return Ok(()),
                Err(error @ Error::StorageFull) if notification.is_some() => return Err(error),
                // A clock that jumped: the entry was claimed a second time, and the loop is about to note it.
                Err(Error::Conflict(_)) if trip.began.elapsed() < CLAIM => {
                    tokio::time::sleep(LOOK).await;
                    if trip.token() == token {
                        info!("it is in the queue no more, or others hold it");
                        return Ok(());
                    }
                }
                Err(error) => {
                    warn!(%error, "settling");
                    if trip.began.elapsed() >= CLAIM {
                        return Ok(());
                    }
                    tokio::select! {
                        () = self.shared.stopping() => return Ok(()),
                        () = tokio::time::sleep(SETTLE_AGAIN) => {}
                    }
                }
            }
        }
    }
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
