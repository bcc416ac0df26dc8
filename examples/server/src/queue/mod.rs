//! The queue: mail for other domains waits here, is handed on, tried again, and given up in the end.

mod dns;
mod dsn;
mod transport;

use bytes::Bytes;
use mailstore::{Claim, Error, Operation, QueueEntry, Scope, Transaction};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{Instrument as _, info, warn};

use crate::metrics::count;
use crate::server::Shared;
use dns::Dns;

/// The next hop of mail for mailboxes here that could not take it at once.
pub(crate) const LOCAL: &str = "@local";

/// So many connections to other servers at a time.
const CONNECTIONS: usize = 20;
/// So long a claim holds: longer than any attempt takes. What a server had claimed that died is tried
/// again after it.
const CLAIM: Duration = Duration::from_secs(20 * 60);
/// An attempt ends after so long, whatever the other server does.
const ATTEMPT: Duration = Duration::from_secs(18 * 60);
/// The queue is looked at so often, for what has become due.
const LOOK: Duration = Duration::from_millis(500);

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
    /// What the last attempt came to.
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

/// Begins handing on what waits.
pub(crate) fn start(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) -> Result<(), String> {
    let dns = Arc::new(Dns::new(&shared.config.relay)?);
    tasks.spawn(run(Arc::clone(shared), dns));
    Ok(())
}

async fn run(shared: Arc<Shared>, dns: Arc<Dns>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let mut watch = shared.store.watch(Scope::Queue);
    let mut attempts = JoinSet::new();
    loop {
        while attempts.try_join_next().is_some() {}
        let free = permits.available_permits();
        let claimed = if free == 0 {
            Ok(Vec::new())
        } else {
            let claim = Claim::new(SystemTime::now(), free, CLAIM);
            shared.store.claim(&claim).await
        };
        let claimed = claimed.unwrap_or_else(|error| {
            warn!(%error, "the queue cannot be read");
            Vec::new()
        });
        let none = claimed.is_empty();
        for entry in claimed {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            let (shared, dns) = (Arc::clone(&shared), Arc::clone(&dns));
            let span = tracing::info_span!("queue", id = entry.id.0, next_hop = entry.next_hop);
            attempts.spawn(
                async move {
                    let _permit = permit;
                    handle(&shared, &dns, entry).await;
                }
                .instrument(span),
            );
        }
        if none {
            tokio::select! {
                () = shared.stopping() => break,
                _ = tokio::time::timeout(LOOK, watch.changed()) => {}
            }
        } else if shared.is_stopping() {
            break;
        }
    }
    // What is under way may end; what does not is tried again when its claim has run out.
    while attempts.join_next().await.is_some() {}
}

async fn handle(shared: &Arc<Shared>, dns: &Dns, entry: QueueEntry) {
    let Some(mut envelope) = Envelope::decode(&entry.envelope) else {
        warn!("a queue entry that cannot be read is left for later");
        return;
    };
    let fates = if entry.next_hop == LOCAL {
        local(shared, &entry, &envelope).await
    } else {
        let attempt = transport::hand_on(shared, dns, &entry, &envelope);
        match tokio::time::timeout(ATTEMPT, attempt).await {
            Ok(fates) => fates,
            Err(_) => {
                vec![Fate::Deferred("the attempt took too long".into()); envelope.recipients.len()]
            }
        }
    };
    envelope.attempts += 1;
    let now = crate::unix_now();
    let expire = i64::try_from(shared.config.relay.expire.0.as_millis()).unwrap_or(i64::MAX) / 1000;
    let expired = now - envelope.queued >= expire;
    let (mut waiting, mut failed) = (Vec::new(), Vec::new());
    for (mut recipient, fate) in envelope.recipients.drain(..).zip(fates) {
        info!(to = recipient.address, ?fate, "attempt");
        match fate {
            Fate::Delivered => count(&shared.metrics.messages_relayed_total),
            Fate::Deferred(why) => {
                recipient.last = why;
                if expired {
                    failed.push(recipient);
                } else {
                    count(&shared.metrics.messages_deferred_total);
                    waiting.push(recipient);
                }
            }
            Fate::Failed(why) => {
                recipient.last = why;
                failed.push(recipient);
            }
        }
    }
    if !failed.is_empty() {
        shared
            .metrics
            .messages_bounced_total
            .fetch_add(failed.len() as u64, std::sync::atomic::Ordering::Relaxed);
        if let Err(error) = dsn::send(shared, &entry, &envelope, &failed).await {
            // Nothing may be forgotten before the sender was told.
            warn!(%error, "notification");
            waiting.append(&mut failed);
        }
    }
    let again = (!waiting.is_empty()).then(|| {
        let retry = &shared.config.relay.retry;
        let step = usize::try_from(envelope.attempts)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        let wait = retry
            .get(step)
            .or(retry.last())
            .map_or(Duration::from_secs(300), |span| span.0);
        envelope.recipients = waiting;
        (SystemTime::now() + wait, envelope.encode())
    });
    let settle = Operation::Settle {
        id: entry.id,
        token: entry.token,
        again,
    };
    if let Err(error) = shared
        .store
        .commit(Transaction::new(entry.account).with(settle))
        .await
    {
        warn!(%error, "settling");
    }
}

/// Into mailboxes here, once more. The origin keeps a repeated attempt from doubling it.
async fn local(shared: &Arc<Shared>, entry: &QueueEntry, envelope: &Envelope) -> Vec<Fate> {
    let mut fates = Vec::new();
    for recipient in &envelope.recipients {
        let fate = match deliver_local(shared, entry, &recipient.address).await {
            Ok(true) => Fate::Delivered,
            Ok(false) => Fate::Failed("550 5.1.1 No such mailbox here".into()),
            Err(Error::OverQuota) => Fate::Deferred("452 4.2.2 Mailbox full".into()),
            Err(error) => Fate::Deferred(format!("451 4.3.0 {error}")),
        };
        fates.push(fate);
    }
    fates
}

async fn deliver_local(
    shared: &Arc<Shared>,
    entry: &QueueEntry,
    address: &str,
) -> Result<bool, Error> {
    let Some(inbox) = inbox(shared, address).await? else {
        return Ok(false);
    };
    let mut stage = shared.store.stage().await?;
    let mut scanner = mailstore::message::Scanner::default();
    let mut at = 0;
    while at < entry.body.octets {
        let piece = shared.store.read(&entry.body, at..at + 65_536).await?;
        if piece.is_empty() {
            return Err(Error::Damaged("a body that is too short"));
        }
        at += piece.len() as u64;
        scanner.feed(&piece);
        stage.write(piece).await?;
    }
    let body = stage.finish().await?;
    let origin = Bytes::from(format!("queue-{}-{}", entry.id, entry.body.id));
    append(shared, inbox, body, scanner.finish().encode(), origin).await?;
    Ok(true)
}

async fn inbox(shared: &Arc<Shared>, address: &str) -> Result<Option<mailstore::MailboxId>, Error> {
    let Ok(mailbox) = smtp_proto::Mailbox::parse(address.as_bytes()) else {
        return Ok(None);
    };
    let path = smtp_proto::ForwardPath::Mailbox(mailbox);
    let found = crate::smtp::local_recipient(shared, &path).await?;
    Ok(found.map(|(local, _)| local.mailbox))
}

async fn append(
    shared: &Arc<Shared>,
    mailbox: mailstore::MailboxId,
    body: mailstore::Staged,
    summary: Bytes,
    origin: Bytes,
) -> Result<(), Error> {
    let to = [mailstore::Recipient {
        mailbox,
        origin: Some(origin),
    }];
    let when = (crate::unix_now(), 0);
    let mut outcomes = mailstore::deliver(&*shared.store, &body, &summary, when, &to).await;
    match outcomes.pop() {
        Some(outcome) => outcome.map(|_| ()),
        None => Err(Error::Closed),
    }
}
