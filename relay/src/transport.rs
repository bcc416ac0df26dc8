//! One attempt to hand a message on: from host to host, until each recipient has its answer (RFC 5321 §5.1).

use hikyaku_mailstore::{Pieces, QueueEntry, unix_now};
use hikyaku_smtp_proto::DeliverBy;
use hikyaku_smtp_proto::client::{Recipient, Survey};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::time::{timeout, timeout_at};
use tracing::info;

use crate::candidate::Candidate;
use crate::conversation::{Conversation, Letter, Reached, Verdict};
use crate::destinations::{Entrance, Slot};
use crate::dial::dial;
use crate::dns::NoRoute;
use crate::envelope::{Envelope, Waiting};
use crate::failure::Failure;
use crate::fate::Fate;
use crate::options::{Happened, Step};
use crate::pool::Terms;
use crate::relay::Relay;
use crate::routing::candidates;
use crate::security::Wire;
use crate::trip::{Stage, Trip};

/// The longest that an attempt takes, whatever the other servers do.
const ATTEMPT: Duration = Duration::from_secs(18 * 60);
/// How long a place among the connections is waited for: then the attempt has its time still, and is not made. The entry is
/// due again at once, so that the hosts are looked up anew.
const ROOM: Duration = Duration::from_secs(2 * 60);
/// Addresses that are tried in one attempt.
const TRIES: usize = 10;
/// The longest wait for the first words of a host, RFC 5321 §4.5.3.2.1.
const GREETING: Duration = Duration::from_secs(5 * 60);

/// What became of an attempt.
pub(crate) enum HandedOn {
    /// What became of each recipient, and the host whose words decided it, where there is one.
    Fates(Vec<(Fate, Option<String>)>),
    /// Nothing was tried: enough is under way to where it goes. It is due as before.
    NotNow,
}

/// What is known of each recipient so far.
struct Fates {
    last: Vec<Option<Fate>>,
    is_final: Vec<bool>,
    /// The host that the last word is from.
    hosts: Vec<Option<String>>,
}

impl Fates {
    fn new(count: usize) -> Self {
        Self {
            last: vec![None; count],
            is_final: vec![false; count],
            hosts: vec![None; count],
        }
    }

    /// Those for which the next host is asked.
    fn open(&self) -> Vec<usize> {
        let all = self.is_final.iter().enumerate();
        all.filter_map(|(nth, is_final)| (!is_final).then_some(nth))
            .collect()
    }

    fn take(&mut self, nth: usize, verdict: Verdict, by: Option<&str>) {
        let (Some(last), Some(is_final), Some(host)) = (
            self.last.get_mut(nth),
            self.is_final.get_mut(nth),
            self.hosts.get_mut(nth),
        ) else {
            return;
        };
        match verdict {
            Verdict::Final(fate) => (*last, *is_final) = (Some(fate), true),
            // As long as one host may take it later, it is not given up.
            Verdict::Elsewhere(Fate::Failed(_)) if matches!(last, Some(Fate::Deferred(_))) => {
                return;
            }
            Verdict::Elsewhere(fate) => *last = Some(fate),
        }
        *host = by.map(str::to_owned);
    }

    fn take_open(&mut self, verdict: &Verdict) {
        for nth in self.open() {
            self.take(nth, verdict.clone(), None);
        }
    }

    fn end(self, otherwise: &str) -> Vec<(Fate, Option<String>)> {
        let fates = self.last.into_iter();
        fates
            .map(|fate| fate.unwrap_or_else(|| Fate::Deferred(otherwise.to_owned())))
            .zip(self.hosts)
            .collect()
    }
}

/// Hands an entry on. `lookup` is a place among those that ask DNS; it is given back when that is answered.
pub(crate) async fn hand_on(
    relay: &Arc<Relay>,
    trip: &Trip,
    lookup: OwnedSemaphorePermit,
    entry: &QueueEntry,
    envelope: &Envelope,
) -> HandedOn {
    let all = |fate: Fate| HandedOn::Fates(vec![(fate, None); envelope.recipients.len()]);
    let toward = envelope.route.as_deref().unwrap_or(&entry.next_hop);
    let hosts = match look_up(relay, trip, toward, envelope).await {
        Ok(hosts) => hosts,
        Err(fate) => return all(fate),
    };
    trip.waits_for(Stage::Room);
    let Some(_connection) = place(&relay.connections).await else {
        return HandedOn::NotNow;
    };
    drop(lookup);
    relay.destinations.freed.notify_one();
    trip.waits_for(Stage::Conversation);
    let attempt = Attempt {
        relay,
        trip,
        entry,
        envelope,
        deadline: tokio::time::Instant::from_std(trip.began + ATTEMPT),
        fates: Fates::new(envelope.recipients.len()),
    };
    attempt.run(&hosts).await
}

/// A place among the connections; `None` when none becomes free in time.
async fn place(connections: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    let place = timeout(ROOM, Arc::clone(connections).acquire_owned()).await;
    place.ok()?.ok()
}

/// A host that may be asked.
struct Reachable<'h> {
    host: &'h Candidate,
    slot: Slot,
    /// The connection to it, where it was made among others.
    connected: Option<Box<dyn Wire>>,
}

/// What goes from host to host.
struct Attempt<'a> {
    relay: &'a Arc<Relay>,
    trip: &'a Trip,
    entry: &'a QueueEntry,
    envelope: &'a Envelope,
    deadline: tokio::time::Instant,
    fates: Fates,
}

impl Attempt<'_> {
    async fn run(mut self, hosts: &[Candidate]) -> HandedOn {
        let (relay, next_hop) = (self.relay, &self.entry.next_hop);
        let (reverse_path, mut parameters) = self.envelope.asked();
        // Times count from the arrival (RFC 2852 §4.1, RFC 4865 §4).
        parameters.size = None;
        if let Some(further) = &mut parameters.further {
            further.hold = None;
            further.by = further.by.and_then(|by| left(by, self.envelope.queued));
        }
        let (mut letter, mut tries) = (None, 0);
        // Hosts of a preference whose share is used up; those behind it are for when it fails.
        let mut full = None;
        let mut waiting: VecDeque<&Candidate> = hosts.iter().collect();
        while let Some(host) = waiting.pop_front() {
            if full.is_some_and(|preference| preference != host.preference) {
                break;
            }
            let now = Instant::now();
            let slot = match relay.destinations.enter(&host.peer, next_hop, now) {
                Entrance::Open(slot) => slot,
                Entrance::Full => {
                    full = Some(host.preference);
                    continue;
                }
                Entrance::Closed(why) => {
                    let closed = Verdict::Elsewhere(Fate::Deferred(why));
                    self.fates.take_open(&closed);
                    continue;
                }
            };
            full = None;
            let letter = match &letter {
                Some(letter) => letter,
                None => match survey(relay, self.entry).await {
                    Ok(survey) => letter.insert(Letter {
                        relay,
                        entry: self.entry,
                        reverse_path: reverse_path.clone(),
                        parameters: parameters.clone(),
                        recipients: self.envelope.recipients.iter().map(asked).collect(),
                        survey,
                        encoded: OnceCell::new(),
                    }),
                    Err(error) => {
                        let why = format!("451 4.3.0 the message cannot be read: {error}");
                        let fate = (Fate::Deferred(why), None);
                        let all = vec![fate; self.envelope.recipients.len()];
                        return HandedOn::Fates(all);
                    }
                },
            };
            tries += 1;
            let is_over = match self.reach(host, slot, &mut waiting).await {
                Some(reached) => self.ask(letter, reached).await,
                None => false,
            };
            if self.fates.open().is_empty() || is_over || tries == TRIES {
                break;
            }
        }
        if full.is_some() {
            if tries == 0 {
                return HandedOn::NotNow;
            }
            let why = "451 4.4.5 enough is under way to this host".to_owned();
            let waits = Verdict::Elsewhere(Fate::Deferred(why));
            self.fates.take_open(&waits);
        }
        let otherwise = format!("451 4.4.4 no host for {next_hop}");
        HandedOn::Fates(self.fates.end(&otherwise))
    }

    /// Connects to a host that has further addresses, the first of `waiting`: to the one that answers first. Those that
    /// refuse are waited for no more. `None` when none answers.
    async fn reach<'h>(
        &mut self,
        host: &'h Candidate,
        slot: Slot,
        waiting: &mut VecDeque<&'h Candidate>,
    ) -> Option<Reachable<'h>> {
        let relay = self.relay;
        let patience = patience(relay.options.patience, slot.failures);
        let now = Instant::now();
        let mut entered = vec![(host, slot)];
        if !relay.pool.has(&Terms::of(host)) {
            let others = waiting.iter().take_while(|other| host.is_too(other));
            entered.extend(others.filter_map(|other| {
                let next_hop = &self.entry.next_hop;
                let slot = relay.destinations.enter_too(&other.peer, next_hop, now);
                slot.map(|slot| (*other, slot))
            }));
        }
        if entered.len() == 1 {
            let (host, slot) = entered.pop()?;
            let connected = None;
            return Some(Reachable {
                host,
                slot,
                connected,
            });
        }
        let peers = entered.iter().map(|(host, _)| host.peer.clone()).collect();
        let cut = self.trip.waits_for(Stage::Greeting);
        let dialed = tokio::select! {
            dialed = timeout(patience, dial(peers)) => dialed.map_err(|_| Failure::Silent(patience)),
            () = cut.notified() => Err(Failure::Cut),
        };
        let mut answered = None;
        let mut failed = Vec::new();
        match dialed {
            Ok(dialed) => {
                answered = dialed.answered;
                let refused = dialed.refused.into_iter();
                failed.extend(refused.map(|(nth, error)| (nth, Failure::Connect(error))));
            }
            Err(error) => {
                let again = || match &error {
                    Failure::Cut => Failure::Cut,
                    _ => Failure::Silent(patience),
                };
                failed.extend((0..entered.len()).map(|nth| (nth, again())));
            }
        }
        for (nth, error) in failed {
            let Some((host, slot)) = entered.get(nth) else {
                continue;
            };
            let why = words(host, &error);
            slot.failed(Instant::now(), why.clone());
            self.fates
                .take_open(&Verdict::Elsewhere(Fate::Deferred(why)));
            waiting.retain(|other| other.peer != host.peer);
        }
        let (nth, wire) = answered?;
        let (host, slot) = entered.swap_remove(nth);
        waiting.retain(|other| other.peer != host.peer);
        let connected = Some(wire);
        Some(Reachable {
            host,
            slot,
            connected,
        })
    }

    /// Asks one host to take it, for the recipients that are open. Returns whether the attempt's time is over.
    async fn ask(&mut self, letter: &Letter<'_>, reachable: Reachable<'_>) -> bool {
        let Reachable {
            host,
            slot,
            connected,
        } = reachable;
        let recipients = self.fates.open();
        let mut conversation = Conversation::new(letter, host, &recipients);
        conversation.may_reuse = connected.is_none();
        conversation.connected = connected;
        let first = self.relay.options.patience;
        let patience = patience(first, slot.failures);
        let talk = talk(&mut conversation, self.trip, host, patience);
        let done = timeout_at(self.deadline, talk).await;
        let is_over = done.is_err();
        let done = done.unwrap_or(Err(Failure::Silent(ATTEMPT)));
        conversation.report(self.envelope, &done);
        report(&slot, &conversation, host, &done);
        drop(slot);
        let left = match done {
            Ok(()) => "451 4.4.2 not answered".to_owned(),
            Err(error) => words(host, &error),
        };
        // A host that was sent all of it may have it, and another one would double it. Where that happens again,
        // repeating it there doubles it as well, and does not bring it on its way.
        let otherwise = match conversation.reached {
            Reached::End if self.envelope.attempts == 0 => Verdict::Final(Fate::Deferred(left)),
            _ => Verdict::Elsewhere(Fate::Deferred(left)),
        };
        for (nth, verdict) in recipients.iter().zip(conversation.verdicts) {
            let verdict = verdict.unwrap_or_else(|| otherwise.clone());
            self.fates.take(*nth, verdict, Some(&host.name));
        }
        is_over
    }
}

/// Where mail for a next hop goes; else what becomes of it.
async fn look_up(
    relay: &Arc<Relay>,
    trip: &Trip,
    next_hop: &str,
    envelope: &Envelope,
) -> Result<Vec<Candidate>, Fate> {
    let began = Instant::now();
    if let Some(why) = relay.destinations.lookup_trouble(next_hop, began) {
        return Err(Fate::Deferred(why));
    }
    let cut = trip.waits_for(Stage::Lookup);
    let found = tokio::select! {
        found = candidates(relay, next_hop, envelope) => found,
        () = cut.notified() => {
            let why = format!("451 4.4.3 {next_hop}: no answer from DNS yet, and others wait");
            Err(NoRoute::Temporary(why))
        }
    };
    let (found, failed) = match found {
        Ok(hosts) => (Ok(hosts), None),
        Err(NoRoute::Permanent(why)) => (Err(Fate::Failed(why)), None),
        Err(NoRoute::Temporary(why)) => (Err(Fate::Deferred(why.clone())), Some(why)),
    };
    let now = Instant::now();
    relay.happened(Happened::Took(Step::Lookup, now - began));
    relay.destinations.looked_up(next_hop, began, now, failed);
    found
}

/// How long a host may take for its first words: longer each time that it failed, up to what the RFC asks for. So a
/// slow one gets its mail, and a dead one holds a connection for a moment.
fn patience(first: Duration, failures: u32) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(failures.min(16)));
    doubled.min(GREETING.max(first))
}

/// Has the conversation; once more where TLS or PIPELINING were announced and do not work.
async fn talk(
    conversation: &mut Conversation<'_>,
    trip: &Trip,
    host: &Candidate,
    patience: Duration,
) -> Result<(), Failure> {
    let mut done = conversation.run(trip, patience).await;
    let undecided = conversation.verdicts.iter().all(Option::is_none);
    if conversation.is_reused && undecided && !conversation.has_begun && done.is_err() {
        // The host had closed it: that says nothing of the host.
        conversation.may_reuse = false;
        done = conversation.run(trip, patience).await;
    }
    if let Err(Failure::Tls(error)) = &done
        && !host.security.is_required()
    {
        // Opportunistic (RFC 7435): where TLS does not come about, once more without.
        info!(%error, host = host.name, "no TLS");
        conversation.starttls = false;
        done = conversation.run(trip, patience).await;
    }
    let undecided = !conversation.has_begun && conversation.verdicts.iter().all(Option::is_none);
    if conversation.is_pipelined && undecided && matches!(done, Err(Failure::Drive(_))) {
        // Proxies are known that pass PIPELINING on and do not have it.
        info!(host = host.name, "no PIPELINING");
        conversation.one_by_one = true;
        done = conversation.run(trip, patience).await;
    }
    done
}

fn words(host: &Candidate, error: &Failure) -> String {
    let status = error.status();
    let demand = match error {
        Failure::Tls(_) => host.demand.unwrap_or_default(),
        _ => "",
    };
    format!(
        "451 {status} {} [{}]: {error}{demand}",
        host.name, host.peer
    )
}

/// What other mail for the host is to know: that it works, or that it does not.
fn report(
    slot: &Slot,
    conversation: &Conversation<'_>,
    host: &Candidate,
    done: &Result<(), Failure>,
) {
    use hikyaku_wire::drive::DriveError;
    let now = Instant::now();
    match done {
        // Nothing of what it did.
        Err(Failure::Store(_) | Failure::Misuse(_) | Failure::Body(_)) => {}
        // Silent, or slower than the RFC allows.
        Err(
            error @ (Failure::Connect(_)
            | Failure::Silent(_)
            | Failure::Cut
            | Failure::Drive(DriveError::TimedOut)),
        ) => slot.failed(now, words(host, error)),
        Err(error) if conversation.reached == Reached::Nothing => {
            slot.failed(now, words(host, error));
        }
        Ok(()) if conversation.reached == Reached::Nothing => {
            // 421 or another 4yz for a greeting: it is not at work for anybody. 5yz is an answer.
            let said = conversation.verdicts.iter().flatten().next();
            if let Some(Verdict::Elsewhere(Fate::Deferred(why))) = said {
                slot.failed(now, why.clone());
            }
        }
        _ if conversation.reached >= Reached::Answer => slot.answered(now),
        _ => {}
    }
}

/// What the message asks of a server.
async fn survey(relay: &Relay, entry: &QueueEntry) -> hikyaku_mailstore::Result<Survey> {
    let mut survey = Survey::new();
    let mut pieces = Pieces::whole(&*relay.store, &entry.body);
    while let Some(piece) = pieces.next().await? {
        survey.feed(&piece);
    }
    Ok(survey)
}

/// A recipient as it is asked for.
fn asked(waiting: &Waiting) -> Recipient {
    let (forward_path, parameters) = waiting.asked();
    let mut recipient = Recipient::from(forward_path);
    recipient.parameters = parameters;
    recipient
}

/// What is left of the time that BY has named; `None` when it is over and the message would be returned for it.
fn left(by: DeliverBy, queued: i64) -> Option<DeliverBy> {
    let passed = unix_now().saturating_sub(queued);
    let seconds = i64::from(by.seconds).saturating_sub(passed);
    let seconds = i32::try_from(seconds).ok()?;
    let mut left = DeliverBy::new(seconds, by.mode)?;
    left.trace = by.trace;
    Some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered() -> Fate {
        Fate::Delivered(crate::fate::Taken::default())
    }

    fn deferred(why: &str) -> Fate {
        Fate::Deferred(why.into())
    }

    #[test]
    fn a_refusal_by_every_host_is_one_and_by_some_is_none() {
        let failed = |why: &str| Verdict::Elsewhere(Fate::Failed(why.into()));
        let later = |why: &str| Verdict::Elsewhere(deferred(why));
        for (verdicts, fate) in [
            (vec![failed("a"), failed("b")], Fate::Failed("b".into())),
            (vec![failed("a"), later("b")], deferred("b")),
            (vec![later("a"), failed("b")], deferred("a")),
            (vec![later("a"), later("b")], deferred("b")),
            (vec![later("a"), Verdict::Final(delivered())], delivered()),
            (
                vec![later("a"), Verdict::Final(Fate::Failed("no".into()))],
                Fate::Failed("no".into()),
            ),
            (vec![], deferred("no host")),
        ] {
            let mut fates = Fates::new(1);
            for verdict in &verdicts {
                assert_eq!(fates.open(), [0]);
                fates.take_open(verdict);
            }
            assert_eq!(fates.end("no host"), [(fate, None)], "{verdicts:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_not_waited_for_until_the_attempt_is_over() {
        let connections = Arc::new(Semaphore::new(1));
        let taken = place(&connections).await.unwrap();
        let began = tokio::time::Instant::now();
        assert!(place(&connections).await.is_none());
        assert!(began.elapsed() < ATTEMPT / 2, "{:?}", began.elapsed());
        drop(taken);
        assert!(place(&connections).await.is_some());
    }

    #[test]
    fn a_slow_host_is_given_longer_each_time() {
        let first = Duration::from_secs(30);
        let all = [0, 1, 2, 3, 4, u32::MAX].map(|failures| patience(first, failures).as_secs());
        assert_eq!(all, [30, 60, 120, 240, 300, 300]);
        let long = Duration::from_secs(600);
        assert_eq!(patience(long, 3), long);
    }
}
