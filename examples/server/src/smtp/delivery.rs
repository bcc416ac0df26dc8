//! Where an accepted message goes: into mailboxes here, and into the queue for other domains.

use mailstore::{
    AccountId, Error, MailboxId, Operation, Outcome, Quota, Recipient as Into_, Transaction,
};
use smtp_proto::{ForwardPath, Reply, ReversePath};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::{info, warn};

use super::Recipient;
use super::incoming::Arrived;
use crate::Accounts;
use crate::metrics::count;
use crate::queue::{Envelope, LOCAL, Waiting};
use crate::server::Shared;

/// A mailbox here that a message goes into.
pub(crate) struct Local {
    pub(crate) address: String,
    pub(crate) mailbox: MailboxId,
}

/// The INBOX that a path of a local domain means, and what its account may hold still.
pub(crate) async fn local_recipient(
    shared: &Shared,
    path: &ForwardPath,
) -> Result<Option<(Local, Quota)>, Error> {
    let first = shared.config.domains.first().map_or("", |domain| domain);
    let (local_part, domain) = match path.mailbox() {
        Some(mailbox) => (mailbox.local_part(), mailbox.domain()),
        None => ("postmaster", first),
    };
    let mut name = Accounts::name_of(local_part, domain);
    let mut found = shared.store.find(&name, "INBOX").await?;
    if found.is_none() && local_part.eq_ignore_ascii_case("postmaster") {
        // RFC 5321 §4.5.1: a postmaster there always is: without an own account, the first one.
        if let Some(first) = shared.store.accounts("", 1).await?.pop() {
            name = first.name;
            found = shared.store.find(&name, "INBOX").await?;
        }
    }
    Ok(found.map(|(account, inbox)| {
        let local = Local {
            address: name,
            mailbox: inbox.id,
        };
        (local, account.quota)
    }))
}

/// A message that has arrived.
pub(crate) struct Parcel {
    pub(crate) arrived: Arrived,
    pub(crate) reverse_path: ReversePath,
    pub(crate) smtputf8: bool,
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) id: String,
    pub(crate) owner: AccountId,
}

/// INTERNALDATE: now.
pub(crate) fn received_now() -> (i64, i16) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = since
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok());
    (seconds.unwrap_or(0), 0)
}

/// Puts it on stable storage, everywhere it goes, and says so: one reply for each recipient with
/// LMTP, else one for all.
pub(crate) async fn deliver(shared: &Shared, parcel: Parcel, lmtp: bool) -> Vec<Reply> {
    let (mut here, mut domains) = (Vec::new(), BTreeMap::<String, Vec<String>>::new());
    for recipient in &parcel.recipients {
        match recipient {
            Recipient::Here(local) => here.push(local),
            Recipient::Elsewhere(mailbox) => {
                let next_hop = mailbox.domain().to_lowercase();
                domains
                    .entry(next_hop)
                    .or_default()
                    .push(mailbox.to_string());
            }
        }
    }
    let into: Vec<Into_> = here
        .iter()
        .map(|local| Into_ {
            mailbox: local.mailbox,
            origin: None,
        })
        .collect();
    let id = &parcel.id;
    // The queue first: what it refuses is refused whole, before anybody has it.
    if let Err(error) = enqueue(shared, &parcel, domains).await {
        warn!(%error, id, "queue");
        return vec![reply_of(&error); parcel.recipients.len().max(1)];
    }
    let delivered = match &parcel.arrived.local {
        Some((body, summary)) => {
            mailstore::deliver(&*shared.store, body, summary, received_now(), &into).await
        }
        None => Vec::new(),
    };
    let mut failed = Vec::new();
    let mut replies = Vec::new();
    for (local, outcome) in here.iter().zip(delivered) {
        match outcome {
            Ok(Outcome::Appended { uid, .. } | Outcome::Existed { uid, .. }) => {
                count(&shared.metrics.messages_delivered_total);
                info!(id, to = local.address, %uid, "delivered");
                replies.push(Reply::new(
                    250,
                    "2.0.0",
                    format!("Delivered as {id}").into_bytes(),
                ));
            }
            Ok(_) => replies.push(Reply::new(451, "4.3.0", "Try again later")),
            Err(error) => {
                info!(id, to = local.address, %error, "not delivered");
                replies.push(reply_of(&error));
                failed.push(local.address.clone());
            }
        }
    }
    if lmtp {
        return replies;
    }
    let all_failed = !failed.is_empty() && failed.len() == parcel.recipients.len();
    if all_failed {
        replies.truncate(1);
        return replies;
    }
    if !failed.is_empty() {
        // Some have it: refusing would double it for them. The rest waits in the queue.
        let rest = BTreeMap::from([(LOCAL.to_owned(), failed)]);
        if let Err(error) = enqueue_patiently(shared, &parcel, rest).await {
            warn!(%error, id, "queue");
            return vec![reply_of(&error)];
        }
    }
    vec![Reply::new(
        250,
        "2.0.0",
        format!("Accepted as {id}").into_bytes(),
    )]
}

/// Gives a store whose disk has failed the time to recover.
async fn enqueue_patiently(
    shared: &Shared,
    parcel: &Parcel,
    next_hops: BTreeMap<String, Vec<String>>,
) -> Result<(), Error> {
    for pause in [200, 500, 1_000, 2_000, 4_000] {
        let done = enqueue(shared, parcel, next_hops.clone()).await;
        // What may be there already is not put there again.
        if matches!(done, Ok(()) | Err(Error::OutcomeUnknown)) {
            return done;
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    enqueue(shared, parcel, next_hops).await
}

async fn enqueue(
    shared: &Shared,
    parcel: &Parcel,
    next_hops: BTreeMap<String, Vec<String>>,
) -> Result<(), Error> {
    if next_hops.is_empty() {
        return Ok(());
    }
    let mut transaction = Transaction::new(parcel.owner);
    for (next_hop, recipients) in next_hops {
        let body = match (&parcel.arrived.remote, &parcel.arrived.local) {
            (_, Some((body, _))) if next_hop == LOCAL => body,
            (Some(body), _) => body,
            _ => return Err(Error::Damaged("no body to hand on")),
        };
        info!(
            id = parcel.id,
            next_hop,
            recipients = recipients.len(),
            "queued"
        );
        let envelope = Envelope {
            id: parcel.id.clone(),
            reverse_path: parcel.reverse_path.0.as_ref().map(ToString::to_string),
            smtputf8: parcel.smtputf8,
            recipients: recipients.into_iter().map(Waiting::new).collect(),
            queued: received_now().0,
            attempts: 0,
        };
        transaction = transaction.with(Operation::Enqueue {
            due: SystemTime::now(),
            next_hop,
            body: body.clone(),
            envelope: envelope.encode(),
        });
    }
    shared.store.commit(transaction).await?;
    Ok(())
}

/// How the store's answer reads in SMTP.
pub(crate) fn reply_of(error: &Error) -> Reply {
    match error {
        Error::OverQuota => Reply::new(452, "4.2.2", "Mailbox full"),
        Error::StorageFull => {
            Reply::new(452, "4.3.1", "The server's disk is full, try again later")
        }
        Error::NoSuchAccount | Error::NoSuchMailbox => {
            Reply::new(550, "5.1.1", "No such mailbox here")
        }
        Error::OutcomeUnknown => Reply::new(
            451,
            "4.3.0",
            "The disk has failed, it is unknown whether the message was stored",
        ),
        _ => Reply::new(451, "4.3.0", "Try again later"),
    }
}
