//! Reports are sent, each within some hours after its day (RFC 8460 §4.1, §5.4, §5.5).

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hikyaku_mailstore::{AccountId, Transaction};
use hikyaku_smtp_proto::{MailParameters, Mailbox, Notify, RcptParameters, ReversePath};
use hyper::header::CONTENT_TYPE;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{info, warn};

use super::record::{Place, places};
use super::reports::Reports;
use super::tally::{Key, OfDomain};
use super::{json, message};
use crate::envelope::{Entry, HERE, TLS_REPORT};
use crate::https::HttpsError;
use crate::relay::Relay;

/// Reports that are sent at a time.
const AT_A_TIME: usize = 16;
/// How long a server may take to accept one.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest answer of a server that is read.
const ANSWER: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Lookup(#[from] crate::dns::LookupError),
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the queue: {0}")]
    Store(#[from] hikyaku_mailstore::Error),
    #[error(transparent)]
    Https(#[from] HttpsError),
    #[error("no answer within {} seconds", PATIENCE.as_secs())]
    Silent,
    #[error("no trusted roots are configured")]
    NoRoots,
    #[error("\"{0}\" is no address")]
    Address(String),
}

/// Sends the reports that are due. Returns whether there were any.
pub(crate) async fn send_due(relay: &Arc<Relay>, reports: &Arc<Reports>) -> bool {
    let mut sending = JoinSet::new();
    for (key, counted) in reports.tallies.due(AT_A_TIME) {
        let (relay, reports) = (Arc::clone(relay), Arc::clone(reports));
        sending.spawn(async move {
            let sent = send(&relay, &reports, &key, &counted).await;
            if let Err(error) = &sent {
                warn!(domain = key.domain, %error, "a TLS report is not sent");
            }
            reports.tallies.settle(&key, sent.is_ok());
        });
    }
    let is_any = !sending.is_empty();
    while sending.join_next().await.is_some() {}
    is_any
}

/// Sends one report to each place that its domain names. One that takes it is enough (§3).
async fn send(
    relay: &Relay,
    reports: &Reports,
    key: &Key,
    counted: &OfDomain,
) -> Result<(), SendError> {
    let name = format!("_smtp._tls.{}", key.domain);
    let answer = relay.dns.txt(&name).await?;
    let places = places(&answer.records);
    if places.is_empty() {
        return Ok(());
    }
    let json = json::write(key, counted, &reports.settings)?;
    let compressed = compressed(&json)?;
    let (mut is_sent, mut last) = (false, None);
    for place in places {
        let done = match &place {
            Place::Mailbox(to) => queue(relay, reports, key, &compressed, to).await,
            Place::Web { host, port, path } => {
                let to = (host.as_str(), *port);
                post(reports, to, path, &compressed).await
            }
        };
        match done {
            Ok(()) => {
                info!(domain = key.domain, to = ?place, "a TLS report is sent");
                is_sent = true;
            }
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) if !is_sent => Err(error),
        _ => Ok(()),
    }
}

fn compressed(json: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(json)?;
    Ok(encoder.finish()?.into())
}

async fn post(
    reports: &Reports,
    to: (&str, Option<u16>),
    path: &str,
    compressed: &Bytes,
) -> Result<(), SendError> {
    let https = reports.https.as_ref().ok_or(SendError::NoRoots)?;
    let kind = (CONTENT_TYPE, "application/tlsrpt+gzip");
    let posted = https.post(to, path, kind, compressed.clone(), ANSWER);
    timeout(PATIENCE, posted)
        .await
        .map_err(|_| SendError::Silent)??;
    Ok(())
}

/// Puts a report into the queue. It comes from nobody, so that nobody hears of one that cannot be delivered.
async fn queue(
    relay: &Relay,
    reports: &Reports,
    key: &Key,
    compressed: &[u8],
    to: &str,
) -> Result<(), SendError> {
    let mailbox = Mailbox::parse(to.as_bytes());
    let mailbox = mailbox.map_err(|_| SendError::Address(to.to_owned()))?;
    let now = relay.options.clock.seconds();
    let mut message = message::write(key, compressed, to, &reports.settings, now);
    if let Some(seal) = &reports.settings.seal {
        message = seal(message);
    }
    let mut stage = relay.store.stage().await?;
    stage.write(message.into()).await?;
    let body = stage.finish().await?;
    let mut rcpt = RcptParameters::default();
    rcpt.notify = Some(Notify::NEVER);
    let id = format!("{TLS_REPORT}{}", json::report_id(key, &reports.settings));
    let to = [(to.to_owned(), rcpt)];
    let entry = Entry::asking(id, ReversePath(None), MailParameters::default(), to);
    let next_hop = match relay.here.is_here(mailbox.domain()) {
        true => HERE.to_owned(),
        false => mailbox.domain().to_lowercase(),
    };
    let enqueue = entry.enqueue(next_hop, body);
    let transaction = Transaction::new(AccountId::SYSTEM).with(enqueue);
    relay.store.commit(transaction).await?;
    Ok(())
}
