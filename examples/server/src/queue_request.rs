//! What `mailserver queue` asks for, and what it is answered: JSON, over the control socket or in one process.

use hikyaku_mailstore::{Error, QueueId, Store};
use hikyaku_relay::{NextHost, Order, Pick, Queued, Relay, Status, list};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::SystemTime;

use crate::relaying::RelayError;

/// Messages of one answer, and about how many octets it has: it is asked for the rest.
const PAGE: usize = 500;
const OCTETS: usize = 1 << 20;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueRequest {
    /// Some of the messages. The answer is a [`Page`].
    List {
        /// The messages it concerns.
        pick: Picked,
        /// Where they begin.
        after: Option<u64>,
    },
    /// To do something with some of them. The answer is [`Done`].
    Operate {
        /// The messages it concerns.
        pick: Picked,
        /// What is done.
        order: Ordered,
        /// Where they begin.
        after: Option<u64>,
    },
    /// Octets of a message, from there. The answer is what there is of them, and empty at the end.
    Body {
        /// The entry of the queue.
        entry: u64,
        /// Where they begin.
        from: u64,
    },
}

/// [`Pick`], as it is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of Pick")]
pub struct Picked {
    pub id: Option<String>,
    pub to: Option<String>,
    pub from: Option<String>,
    pub held: bool,
}

/// [`Order`], as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names are those of Order")]
pub enum Ordered {
    Retry,
    Hold,
    Release,
    Cancel { notify: bool },
    Route(String),
    RouteByDefault,
}

/// Some messages, and where the next ones begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The messages.
    pub messages: Vec<Listed>,
    /// Where the next ones begin; `None` at the end.
    pub next: Option<u64>,
}

/// A message that waits for one next hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The message's name.
    pub id: String,
    /// The entry of the queue.
    pub entry: u64,
    /// `under way`, `due`, `waiting` or `held`.
    pub status: String,
    /// The next attempt of what waits, in seconds since 1970.
    pub next_attempt: Option<i64>,
    /// A domain, or `@local` for mailboxes here.
    pub next_hop: String,
    /// Where an operator sends it instead.
    pub route: Option<String>,
    /// The size of the message.
    pub octets: u64,
    /// When it was queued, in seconds since 1970.
    pub queued: i64,
    /// How often it was tried.
    pub attempts: u32,
    /// Who is notified of failures, or `<>`.
    pub sender: String,
    /// The line of MAIL.
    pub mail: String,
    /// Who does not have it yet.
    pub recipients: Vec<ListedRecipient>,
}

/// A recipient that does not have it yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedRecipient {
    /// The address.
    pub address: String,
    /// The line of RCPT.
    pub rcpt: String,
    /// The reply that deferred it last.
    pub last_reply: String,
    /// The sender was notified that it is late.
    pub delay_reported: bool,
}

/// What an order came to, so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Entries that were changed.
    pub changed: u64,
    /// Entries that were under way.
    pub under_way: u64,
    /// Entries that were left as they are.
    pub unchanged: u64,
    /// Why the last one of these was.
    pub why: Option<String>,
    /// Where the next ones begin; `None` at the end.
    pub next: Option<u64>,
}

/// Why the queue did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The store.
    #[error(transparent)]
    Store(#[from] Error),
    /// The relay, as it is configured.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// The host that is to get it.
    #[error(transparent)]
    Host(#[from] hikyaku_relay::NotAHost),
    /// The entry.
    #[error("the message is in the queue no more")]
    Gone,
    /// A program of another version.
    #[error("the request cannot be read: is the server of another version?")]
    Unreadable,
}

impl From<&Picked> for Pick {
    fn from(picked: &Picked) -> Self {
        let mut pick = Self::default();
        pick.id.clone_from(&picked.id);
        pick.to.clone_from(&picked.to);
        pick.from.clone_from(&picked.from);
        pick.held = picked.held;
        pick
    }
}

impl TryFrom<&Ordered> for Order {
    type Error = hikyaku_relay::NotAHost;

    fn try_from(ordered: &Ordered) -> Result<Self, Self::Error> {
        Ok(match ordered {
            Ordered::Retry => Self::Retry,
            Ordered::Hold => Self::Hold,
            Ordered::Release => Self::Release,
            Ordered::Cancel { notify } => Self::Cancel { notify: *notify },
            Ordered::Route(host) => Self::Route(host.parse::<NextHost>()?),
            Ordered::RouteByDefault => Self::RouteByDefault,
        })
    }
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
}

impl From<Queued> for Listed {
    fn from(queued: Queued) -> Self {
        let (status, next_attempt) = match queued.status {
            Status::UnderWay => ("under way", None),
            Status::Held => ("held", None),
            Status::Waits(until) => ("waiting", Some(seconds(until))),
            _ => ("due", None),
        };
        let recipients = queued.recipients.into_iter();
        let recipients = recipients.map(|one| ListedRecipient {
            address: one.address,
            rcpt: one.rcpt,
            last_reply: one.last,
            delay_reported: one.delay_reported,
        });
        Self {
            id: queued.id,
            entry: queued.entry.0,
            status: status.into(),
            next_attempt,
            next_hop: queued.next_hop,
            route: queued.route,
            octets: queued.body.octets,
            queued: seconds(queued.queued),
            attempts: queued.attempts,
            sender: queued.sender.unwrap_or("<>".into()),
            mail: queued.mail,
            recipients: recipients.collect(),
        }
    }
}

impl QueueRequest {
    /// Does it. `relay` is asked for where something is to be changed.
    pub(crate) async fn perform(
        &self,
        store: &dyn Store,
        relay: impl FnOnce() -> Result<Arc<Relay>, RelayError>,
    ) -> Result<Vec<u8>, QueueError> {
        let json =
            |answer: Result<Vec<u8>, serde_json::Error>| answer.map_err(|_| QueueError::Unreadable);
        match self {
            Self::List { pick, after } => json(serde_json::to_vec(
                &page(store, &pick.into(), *after).await?,
            )),
            Self::Operate { pick, order, after } => {
                let order = Order::try_from(order)?;
                let after = after.map(QueueId);
                let operated = relay()?.operate(&pick.into(), &order, after).await?;
                json(serde_json::to_vec(&Done {
                    changed: operated.changed,
                    under_way: operated.under_way,
                    unchanged: operated.unchanged,
                    why: operated.why.map(Into::into),
                    next: operated.next.map(|next| next.0),
                }))
            }
            Self::Body { entry, from } => {
                let before = entry.checked_sub(1).map(QueueId);
                let found = store.queue(before, 1).await?.pop();
                let found = found.filter(|found| found.id == QueueId(*entry));
                let body = found.ok_or(QueueError::Gone)?.body;
                let until = from.saturating_add(OCTETS as u64).min(body.octets);
                let octets = store.read(&body, *from..until).await?;
                Ok(octets.to_vec())
            }
        }
    }
}

/// As many messages as one answer takes.
async fn page(store: &dyn Store, pick: &Pick, after: Option<u64>) -> Result<Page, Error> {
    let found = list(store, pick, after.map(QueueId), PAGE).await?;
    let mut page = Page {
        messages: Vec::new(),
        next: found.next.map(|next| next.0),
    };
    let mut octets = 0;
    let mut messages = found.messages.into_iter().map(Listed::from).peekable();
    while let Some(message) = messages.next() {
        let recipients = message.recipients.iter();
        let texts = recipients.map(|one| one.address.len() + one.rcpt.len() + one.last_reply.len());
        octets += 500 + message.mail.len() + texts.map(|octets| octets + 100).sum::<usize>();
        let entry = message.entry;
        page.messages.push(message);
        if octets >= OCTETS && messages.peek().is_some() {
            page.next = Some(entry);
            break;
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_mailstore::{AccountId, Memory, Transaction};
    use hikyaku_relay::Entry;
    use hikyaku_smtp_proto::ReversePath;

    #[tokio::test]
    async fn pages_of_messages_with_many_recipients_are_bounded_and_lead_on() {
        let store = Memory::new();
        let mut stage = store.stage().await.unwrap();
        stage.write("x".into()).await.unwrap();
        let body = stage.finish().await.unwrap();
        for id in 0..40 {
            let to = (0..1000).map(|n| format!("recipient{n}@example.test"));
            let entry = Entry::new(id.to_string(), ReversePath(None), to);
            let enqueue = entry.enqueue("example.test", body.clone());
            let transaction = Transaction::new(AccountId::SYSTEM).with(enqueue);
            store.commit(transaction).await.unwrap();
        }
        let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let pick = Picked::default();
            let request = QueueRequest::List { pick, after };
            let none = || unreachable!("nothing is changed");
            let answer = request.perform(&store, none).await.unwrap();
            assert!(answer.len() < 2 * OCTETS, "{}", answer.len());
            let page: Page = serde_json::from_slice(&answer).unwrap();
            seen.extend(page.messages.into_iter().map(|one| one.id));
            pages += 1;
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert!(pages > 2, "{pages}");
        assert_eq!(seen, (0..40).map(|id| id.to_string()).collect::<Vec<_>>());
    }
}
