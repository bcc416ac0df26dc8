//! What waits in the queue, as an operator sees it.

use hikyaku_mailstore::{BodyRef, QueueEntry, QueueId, QueueLength, Result, Store, unix_now};
use std::time::{Duration, SystemTime};

use crate::envelope::{Envelope, Waiting};

/// Entries that are read from the store at a time.
const READ: usize = 500;
/// Entries that are looked at for one page, however few of them fit.
const LOOKED_AT: usize = 10_000;

/// Which messages of the queue are meant: those for which all that is given holds. Nothing given means all of them.
///
/// ```
/// let mut pick = hikyaku_relay::Pick::default();
/// pick.to = Some("example.net".into());
/// pick.held = true;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pick {
    /// The name that the message has in its Received field, in the reply to its sender and in logs. It has an entry for
    /// each next hop, and all of them are meant.
    pub id: Option<String>,
    /// The domain of a recipient.
    pub to: Option<String>,
    /// The reverse-path: an address, `@` and a domain, or `<>`.
    pub from: Option<String>,
    /// Held back by an operator.
    pub held: bool,
}

impl Pick {
    pub(crate) fn fits(&self, envelope: &Envelope) -> bool {
        let is_id = |id: &String| *id == envelope.id;
        let is_to = |domain: &String| {
            let mut recipients = envelope.recipients.iter();
            recipients.any(|one| is_at(&one.address(), domain))
        };
        let is_from = |from: &String| match (envelope.sender(), from.strip_prefix('@')) {
            (None, _) => from == "<>",
            (Some(sender), Some(domain)) => is_at(&sender, domain),
            (Some(sender), None) => sender.eq_ignore_ascii_case(from),
        };
        self.id.as_ref().is_none_or(is_id)
            && (!self.held || envelope.held)
            && self.to.as_ref().is_none_or(is_to)
            && self.from.as_ref().is_none_or(is_from)
    }
}

fn is_at(address: &str, domain: &str) -> bool {
    let of = address.rsplit_once('@').map(|(_, domain)| domain);
    of.is_some_and(|of| of.eq_ignore_ascii_case(domain))
}

/// What becomes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It is under way.
    UnderWay,
    /// It is due.
    Due,
    /// It waits until then.
    Waits(SystemTime),
    /// An operator holds it back.
    Held,
}

/// A message that waits for one next hop.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Queued {
    /// The number of the entry in the store.
    pub entry: QueueId,
    /// The message's name ([`Pick::id`]).
    pub id: String,
    /// What becomes of it.
    pub status: Status,
    /// Where it goes: a domain, or [`HERE`](crate::HERE).
    pub next_hop: String,
    /// Where an operator sends it instead, as [`NextHost`](crate::NextHost) is written.
    pub route: Option<String>,
    /// The message.
    pub body: BodyRef,
    /// When it was queued.
    pub queued: SystemTime,
    /// How often it was tried.
    pub attempts: u32,
    /// Who is notified; `None`: nobody, it is a notification itself.
    pub sender: Option<String>,
    /// The line of MAIL that it came with, with all parameters.
    pub mail: String,
    /// Who does not have it yet.
    pub recipients: Vec<QueuedRecipient>,
}

/// A recipient that does not have it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueuedRecipient {
    /// The address.
    pub address: String,
    /// The line of RCPT that it came with, with all parameters.
    pub rcpt: String,
    /// The reply that deferred it last; empty before the first attempt.
    pub last: String,
    /// The sender was notified that it is late.
    pub delay_reported: bool,
}

impl Queued {
    pub(crate) fn new(entry: &QueueEntry, envelope: &Envelope) -> Self {
        let now = SystemTime::now();
        let status = match () {
            () if entry.token != 0 && entry.due > now => Status::UnderWay,
            () if envelope.held => Status::Held,
            () if entry.due <= now => Status::Due,
            () => Status::Waits(entry.due),
        };
        let seconds = u64::try_from(envelope.queued).unwrap_or(0);
        let recipient = |one: &Waiting| QueuedRecipient {
            address: one.address(),
            rcpt: one.line().to_owned(),
            last: one.last.clone(),
            delay_reported: one.delay_reported,
        };
        Self {
            entry: entry.id,
            id: envelope.id.clone(),
            status,
            next_hop: entry.next_hop.clone(),
            route: envelope.route.clone(),
            body: entry.body,
            queued: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            attempts: envelope.attempts,
            sender: envelope.sender(),
            mail: envelope.line().to_owned(),
            recipients: envelope.recipients.iter().map(recipient).collect(),
        }
    }
}

/// Some of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueuePage {
    /// The messages, those first that were queued first.
    pub messages: Vec<Queued>,
    /// Where the next page begins; `None` at the end of the queue.
    pub next: Option<QueueId>,
}

/// Lists the messages behind `after` that are meant, at most `limit` of them. A page may have fewer, or none, and not be
/// the last.
///
/// # Errors
/// The store's.
pub async fn list(
    store: &dyn Store,
    pick: &Pick,
    after: Option<QueueId>,
    limit: usize,
) -> Result<QueuePage> {
    let (found, next) = find(store, pick, after, limit).await?;
    let messages = found.iter();
    Ok(QueuePage {
        messages: messages
            .map(|(entry, envelope)| Queued::new(entry, envelope))
            .collect(),
        next,
    })
}

/// Counts what waits, and says how long the message has waited that was queued first of those that are not held.
///
/// # Errors
/// The store's.
pub async fn measure(store: &dyn Store) -> Result<(QueueLength, Option<Duration>)> {
    let length = store.queue_length(SystemTime::now()).await?;
    let Some(oldest) = length.oldest else {
        return Ok((length, None));
    };
    let before = oldest.0.checked_sub(1).map(QueueId);
    let first = store.queue(before, 1).await?.pop();
    let age = first
        .and_then(|entry| Envelope::decode(&entry.envelope))
        .map(|envelope| unix_now().saturating_sub(envelope.queued));
    let seconds = age.map(|age| u64::try_from(age).unwrap_or(0));
    Ok((length, seconds.map(Duration::from_secs)))
}

/// Finds the entries that are meant, and where the next page begins.
pub(crate) async fn find(
    store: &dyn Store,
    pick: &Pick,
    mut after: Option<QueueId>,
    limit: usize,
) -> Result<(Vec<(QueueEntry, Envelope)>, Option<QueueId>)> {
    let (mut found, mut looked_at) = (Vec::new(), 0);
    while looked_at < LOOKED_AT {
        let entries = store.queue(after, READ).await?;
        let is_last = entries.len() < READ;
        looked_at += entries.len();
        for entry in entries {
            if found.len() >= limit {
                return Ok((found, after));
            }
            after = Some(entry.id);
            if let Some(envelope) = Envelope::decode(&entry.envelope)
                && pick.fits(&envelope)
            {
                found.push((entry, envelope));
            }
        }
        if is_last {
            return Ok((found, None));
        }
    }
    Ok((found, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Entry;
    use hikyaku_mailstore::{AccountId, Memory, Transaction};
    use hikyaku_smtp_proto::{Mailbox, ReversePath};

    async fn enqueue(store: &Memory, id: &str, from: &str, next_hop: &str) {
        let mut stage = store.stage().await.unwrap();
        stage.write("Subject: x\r\n\r\n".into()).await.unwrap();
        let body = stage.finish().await.unwrap();
        let from = ReversePath(Mailbox::parse(from.as_bytes()).ok());
        let entry = Entry::new(id, from, [format!("x@{next_hop}")]);
        let enqueue = entry.enqueue(next_hop, body);
        let transaction = Transaction::new(AccountId::SYSTEM).with(enqueue);
        store.commit(transaction).await.unwrap();
    }

    async fn ids(store: &Memory, pick: &Pick) -> Vec<String> {
        let page = list(store, pick, None, 99).await.unwrap();
        page.messages.into_iter().map(|one| one.id).collect()
    }

    #[tokio::test]
    async fn messages_are_found_by_what_is_known_of_them() {
        let store = Memory::new();
        enqueue(&store, "1", "a@c.test", "D.test").await;
        enqueue(&store, "1", "a@c.test", "e.test").await;
        enqueue(&store, "2", "", "d.test").await;
        let mut pick = Pick::default();
        assert_eq!(ids(&store, &pick).await, ["1", "1", "2"]);
        pick.id = Some("1".into());
        assert_eq!(ids(&store, &pick).await, ["1", "1"]);
        pick.to = Some("d.TEST".into());
        assert_eq!(ids(&store, &pick).await, ["1"]);
        pick.id = None;
        assert_eq!(ids(&store, &pick).await, ["1", "2"]);
        for (from, expected) in [
            ("<>", &["2"][..]),
            ("A@C.test", &["1"]),
            ("@c.test", &["1"]),
            ("@test", &[]),
        ] {
            pick.from = Some(from.into());
            assert_eq!(ids(&store, &pick).await, expected, "{from}");
        }
        pick.from = None;
        pick.held = true;
        assert!(ids(&store, &pick).await.is_empty());
    }

    #[tokio::test]
    async fn pages_lead_through_the_queue() {
        let store = Memory::new();
        for id in 0..1203 {
            let hop = if id % 2 == 0 { "d.test" } else { "e.test" };
            enqueue(&store, &id.to_string(), "a@c.test", hop).await;
        }
        let pick = Pick {
            to: Some("e.test".into()),
            ..Pick::default()
        };
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = list(&store, &pick, after, 200).await.unwrap();
            assert!(page.messages.len() <= 200);
            seen.extend(page.messages.into_iter().map(|one| one.id));
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let odd: Vec<_> = (0..1203)
            .filter(|n| n % 2 == 1)
            .map(|n| n.to_string())
            .collect();
        assert_eq!(seen, odd);
        let (length, age) = measure(&store).await.unwrap();
        assert_eq!((length.due, length.parked), (1203, 0));
        assert!(age.unwrap() < Duration::from_secs(60));
    }
}
