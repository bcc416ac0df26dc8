//! The queue: mail for other domains waits here, is handed on, tried again, and given up in the end.
//!
//! The loop claims what is due, a few entries for each next hop, and `destinations` counts what is under way, so that
//! no destination has all of the connections, however much waits for it and whatever it does.

use bytes::Bytes;
use hikyaku_mailstore::{AccountId, Claim, Error, Operation, QueueEntry, Scope, Transaction};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tracing::{Instrument as _, info, warn};

use crate::dsn::send::{News, Notice, send};
use crate::envelope::{Envelope, HERE, Waiting};
use crate::fate::Fate;
use crate::jitter::sooner;
use crate::local;
use crate::options::{Happened, Step};
use crate::relay::{LOOKUPS, Relay};
use crate::traced::What;
use crate::transport::{self, HandedOn};
use crate::trip::{Stage, Trip};
use crate::upkeep::Upkeep;
use hikyaku_mailstore::unix_now;

/// The owner of all claims, for the store. One server has it at a time: what was claimed before this one started is nobody's.
pub(crate) const OWNER: u32 = 1;
/// How long a claim holds: longer than any attempt takes.
const CLAIM: Duration = Duration::from_secs(20 * 60);
/// How often the queue is looked at, for what has become due.
const LOOK: Duration = Duration::from_millis(500);
/// How often it is made sure that nothing is due later than it ever should be.
const CLAMP: Duration = Duration::from_secs(60);
/// How long DNS is waited for when all places are taken and others wait: then the entry makes room.
const DNS_PATIENCE: Duration = Duration::from_secs(2);
/// How long the first words of a host are waited for when all places are taken and others wait.
const HOST_PATIENCE: Duration = Duration::from_secs(2);
/// How long attempts under way may continue after the stop begins. The rest is tried again at the next start.
const STOP: Duration = Duration::from_secs(3);
/// How soon the outcome of an attempt is stored again, when the store could not take it.
const SETTLE_AGAIN: Duration = Duration::from_secs(2);

/// What became of the recipients of one attempt.
#[derive(Default)]
struct Sorted {
    waiting: Vec<Waiting>,
    failed: Vec<Waiting>,
    news: News,
}

impl Relay {
    /// Hands on what waits, until `stop` resolves. Attempts under way then have a few seconds to end; what they do
    /// not settle goes out after the next start.
    pub async fn run(self: Arc<Self>, stop: impl Future<Output = ()> + Send) {
        let relay = self;
        let mut stop = pin!(stop);
        let mut watch = relay.store.watch(Scope::Queue);
        let mut attempts = JoinSet::new();
        tokio::select! {
            () = relay.recover() => {}
            () = &mut stop => return,
        }
        let upkeep = Upkeep::begin(&relay);
        let mut clamped = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = std::future::ready(()) => {}
            }
            while attempts.try_join_next().is_some() {}
            relay.pool.sweep();
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
                    () = &mut stop => break,
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
        relay.pool.close();
        upkeep.end().await;
        let given_back = relay.store.release_claims(OWNER, SystemTime::now()).await;
        if let Err(error) = given_back {
            warn!(%error, "claims are not given back");
        }
    }

    /// What an earlier server held when it died is due now, and what was put off by a clock that was wrong soon.
    async fn recover(&self) {
        loop {
            let now = SystemTime::now();
            match self.store.release_claims(OWNER, now).await {
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
            tokio::time::sleep(SETTLE_AGAIN).await;
        }
        self.clamp(self.longest_step()).await;
    }

    async fn clamp(&self, longest: Duration) {
        let latest = SystemTime::now() + longest;
        match self.store.clamp_due(latest).await {
            Ok(0) => {}
            Ok(clamped) => warn!(clamped, "due too far in the future: the clock was wrong"),
            Err(error) => warn!(%error, "the queue cannot be looked through"),
        }
    }

    /// How long a message waits at most between two attempts.
    fn longest_step(&self) -> Duration {
        let retry = self.options.retry.iter();
        retry.copied().max().unwrap_or(CLAIM)
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
        let claimed = self.store.claim(&claim).await;
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
        if let Some(due) = envelope.waits_until(SystemTime::now()) {
            let again = Some((due, entry.envelope.clone()));
            let _ = self.settle(trip, &entry, again, Vec::new()).await;
            return;
        }
        let attempt = async {
            match envelope.is_too_late() {
                true => {
                    let late = Fate::Failed("550 5.4.7 The time for its delivery is over".into());
                    Some(vec![(late, None); envelope.recipients.len()])
                }
                false => self.attempt(trip, lookup, &entry, &envelope).await,
            }
        };
        let Some(fates) = attempt.await else {
            let again = Some((SystemTime::now(), entry.envelope.clone()));
            let _ = self.settle(trip, &entry, again, Vec::new()).await;
            return;
        };
        envelope.attempts = envelope.attempts.saturating_add(1);
        let Sorted {
            mut waiting,
            mut failed,
            news,
        } = self.sorted(&entry, &mut envelope, fates);
        let mut notifications = Vec::new();
        match self.notify(&entry, &envelope, &failed, &news).await {
            Ok(enqueue) => notifications = enqueue,
            Err(error) => {
                // The store does not take it: nothing may be forgotten before the sender is notified.
                warn!(%error, "notification");
                waiting.append(&mut failed);
            }
        }
        let mut again = self.again(&mut envelope, waiting);
        self.trace_deferred(&entry, &envelope, again.as_ref().map(|(due, _)| *due));
        if !notifications.is_empty() {
            let settled = self.settle(trip, &entry, again, notifications).await;
            let Err(error) = settled else { return };
            // What was handed on is noted all the same, and the rest is given up when there is room.
            warn!(%error, "notification");
            let mut waiting = std::mem::take(&mut envelope.recipients);
            waiting.append(&mut failed);
            again = self.again(&mut envelope, waiting);
        }
        let _ = self.settle(trip, &entry, again, Vec::new()).await;
    }

    /// What became of each recipient, and the host that decided it; `None` when nothing was tried.
    async fn attempt(
        self: &Arc<Self>,
        trip: &Trip,
        lookup: OwnedSemaphorePermit,
        entry: &QueueEntry,
        envelope: &Envelope,
    ) -> Option<Vec<(Fate, Option<String>)>> {
        if let Some(fate) = local::known(&entry.next_hop) {
            return Some(vec![(fate, None); envelope.recipients.len()]);
        }
        if entry.next_hop == HERE {
            trip.waits_for(Stage::Conversation);
            let fates = local::local(self, entry, envelope).await;
            return Some(fates.into_iter().map(|fate| (fate, None)).collect());
        }
        match transport::hand_on(self, trip, lookup, entry, envelope).await {
            HandedOn::Fates(fates) => Some(fates),
            HandedOn::NotNow => None,
        }
    }

    /// Takes the recipients out of an envelope: those that are tried again, those that are given up, and what the sender
    /// is to hear of.
    fn sorted(
        &self,
        entry: &QueueEntry,
        envelope: &mut Envelope,
        fates: Vec<(Fate, Option<String>)>,
    ) -> Sorted {
        let expired = self.is_expired(envelope);
        let late = self.is_late(envelope);
        let mut sorted = Sorted::default();
        for (mut recipient, (fate, host)) in envelope.recipients.drain(..).zip(fates) {
            recipient.host = host;
            info!(to = recipient.address(), ?fate, "attempt");
            match fate {
                Fate::Delivered(taken) if local::known(&entry.next_hop).is_some() => {
                    sorted.news.taken(&recipient, &taken);
                }
                Fate::Delivered(taken) => {
                    self.happened(match entry.next_hop == HERE {
                        true => Happened::Delivered,
                        false => Happened::Relayed,
                    });
                    let age = unix_now().saturating_sub(envelope.queued);
                    let age = Duration::from_secs(u64::try_from(age).unwrap_or(0));
                    self.happened(Happened::Took(Step::Queue, age));
                    let what = What::Delivered {
                        to: &recipient.address(),
                        host: taken.host.as_deref(),
                        reply: &taken.reply,
                    };
                    self.trace(&envelope.id, &entry.next_hop, what);
                    sorted.news.taken(&recipient, &taken);
                }
                Fate::Deferred(why) if !expired => {
                    recipient.last = why;
                    self.happened(Happened::Deferred);
                    if late && !recipient.delay_reported {
                        recipient.delay_reported = true;
                        self.happened(Happened::Late);
                        sorted.news.delayed(&recipient);
                    }
                    sorted.waiting.push(recipient);
                }
                Fate::Deferred(why) | Fate::Failed(why) => {
                    recipient.last = why;
                    let (to, why) = (&recipient.address(), &recipient.last[..]);
                    let what = What::Failed { to, why };
                    self.trace(&envelope.id, &entry.next_hop, what);
                    sorted.news.failed(&recipient);
                    sorted.failed.push(recipient);
                }
            }
        }
        sorted
    }

    /// Notifies the sender. Returns the notifications that are to be queued.
    pub(crate) async fn notify(
        &self,
        entry: &QueueEntry,
        envelope: &Envelope,
        failed: &[Waiting],
        news: &News,
    ) -> Result<Vec<Operation>, Error> {
        let notice = send(self, entry, envelope, news, self.options.expire).await?;
        let given_up = failed.len();
        for _ in failed {
            self.happened(Happened::GivenUp);
        }
        let sender = envelope.sender();
        let notified = |how: &str| {
            let to = sender.as_deref().unwrap_or("<>");
            let what = What::Notified { to, how };
            self.trace(&envelope.id, &entry.next_hop, what);
        };
        match notice {
            Notice::Nothing => {}
            Notice::Delivered => notified("in the mailbox"),
            Notice::Queued(enqueue) => {
                notified("queued");
                return Ok(enqueue);
            }
            // Of what is late or delivered nobody has to hear.
            Notice::Dropped(_) if failed.is_empty() => {}
            Notice::Dropped(why) => {
                notified(&format!("not at all: {why}"));
                self.happened(Happened::NotificationDropped);
                let from = envelope.sender();
                warn!(why, from, given_up, "no notification");
            }
        }
        Ok(Vec::new())
    }

    /// Reports who is tried again, and when.
    fn trace_deferred(&self, entry: &QueueEntry, envelope: &Envelope, next: Option<SystemTime>) {
        let Some(next) = next.filter(|_| self.options.trace.is_some()) else {
            return;
        };
        for recipient in &envelope.recipients {
            let (to, why) = (&recipient.address(), &recipient.last[..]);
            let what = What::Deferred { to, why, next };
            self.trace(&envelope.id, &entry.next_hop, what);
        }
    }

    /// When the recipients that are left are tried again, and the envelope for them.
    fn again(&self, envelope: &mut Envelope, left: Vec<Waiting>) -> Option<(SystemTime, Bytes)> {
        envelope.recipients = left;
        let is_left = !envelope.recipients.is_empty();
        is_left.then(|| {
            let wait = sooner(self.step(envelope.attempts));
            (SystemTime::now() + wait, envelope.encode())
        })
    }

    /// Returns how long a message waits after that many attempts.
    fn step(&self, attempts: u32) -> Duration {
        let retry = &self.options.retry;
        let step = usize::try_from(attempts).unwrap_or(usize::MAX);
        let step = retry.get(step.saturating_sub(1)).or(retry.last());
        step.copied().unwrap_or(Duration::from_secs(300))
    }

    /// Returns whether it is given up. A clock that jumped, and a server that was off for a week, make nothing old:
    /// it was tried as often as there are different steps.
    fn is_expired(&self, envelope: &mut Envelope) -> bool {
        let now = unix_now();
        envelope.queued = envelope.queued.min(now);
        let expire = i64::try_from(self.options.expire.as_millis()).unwrap_or(i64::MAX) / 1000;
        let attempts = usize::try_from(envelope.attempts).unwrap_or(usize::MAX);
        now - envelope.queued >= expire && attempts >= self.options.retry.len()
    }

    /// Returns whether the sender is to be notified that it takes long.
    fn is_late(&self, envelope: &Envelope) -> bool {
        let delay = i64::try_from(self.options.delay.as_secs()).unwrap_or(i64::MAX);
        unix_now().saturating_sub(envelope.queued) >= delay
            && self.options.delay < self.options.expire
    }

    /// Notes the outcome of an attempt, together with the notifications of it. A store that cannot take it is asked again,
    /// for as long as the claim holds: handed on is handed on.
    ///
    /// # Errors
    /// There is no room for the notification: nothing was noted.
    async fn settle(
        &self,
        trip: &Trip,
        entry: &QueueEntry,
        again: Option<(SystemTime, Bytes)>,
        mut notifications: Vec<Operation>,
    ) -> Result<(), Error> {
        loop {
            let token = trip.token();
            let mut transaction = Transaction::new(AccountId::SYSTEM).with(Operation::Settle {
                id: entry.id,
                token,
                again: again.clone(),
            });
            transaction.operations.extend(notifications.clone());
            match self.store.commit(transaction).await {
                Err(Error::Closed) => return Ok(()),
                // Where it is due again the loop may have claimed it already: then it is given back.
                Ok(_) if again.is_none() || self.trips.end(entry.id, trip, Some(token)) => {
                    return Ok(());
                }
                Ok(_) => notifications.clear(),
                Err(error @ Error::StorageFull) if !notifications.is_empty() => return Err(error),
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
                    tokio::time::sleep(SETTLE_AGAIN).await;
                }
            }
        }
    }
}
