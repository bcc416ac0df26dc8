//! Delivers an accepted message: into mailboxes here, and into the queue for other domains.

use hikyaku_mailstore::{AccountId, Error, Outcome, Recipient as Into_, Transaction};
use hikyaku_smtp_proto::{MailParameters, Notify, Reply, ReversePath};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tracing::{info, warn};

use super::incoming::Arrived;
use super::recipient::{Local, Recipient};
use crate::options::{Happened, Step};
use crate::queue::{NextHop, Outgoing, OutgoingRecipient};
use crate::service::Service;
use crate::traced::{Client, What};
use hikyaku_mailstore::unix_now;

/// A message that has arrived.
pub(super) struct Parcel {
    pub(super) arrived: Arrived,
    pub(super) reverse_path: ReversePath,
    pub(super) parameters: MailParameters,
    pub(super) recipients: Vec<Recipient>,
    pub(super) id: String,
    pub(super) owner: AccountId,
    pub(super) client: Client,
}

/// Puts it on stable storage, everywhere it goes, and says so: one reply for each recipient with
/// LMTP, else one for all.
pub(super) async fn deliver(service: &Service, parcel: Parcel, lmtp: bool) -> Vec<Reply> {
    let (mut here, mut domains) = (Vec::new(), NextHops::new());
    for recipient in &parcel.recipients {
        match recipient {
            // The sender is to be notified: the queue delivers and does so.
            Recipient::Here(local) if is_reported(service, local) && !lmtp => {
                domains.entry(NextHop::Here).or_default().push(of(local));
            }
            Recipient::Here(local) => here.push(local),
            Recipient::Elsewhere(mailbox, parameters) => {
                let next_hop = NextHop::Domain(mailbox.domain().to_lowercase());
                let recipient = OutgoingRecipient {
                    address: mailbox.to_string(),
                    parameters: parameters.clone(),
                };
                domains.entry(next_hop).or_default().push(recipient);
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
    if let Err(error) = enqueue(service, &parcel, domains).await {
        warn!(%error, id, "the message could not be put into the queue");
        return vec![reply_of(&error); parcel.recipients.len().max(1)];
    }
    let delivered = match &parcel.arrived.local {
        Some((body, summary)) if !into.is_empty() => {
            let (began, when) = (Instant::now(), (unix_now(), 0));
            let store = &*service.store;
            let delivered = hikyaku_mailstore::deliver(store, body, summary, when, &into).await;
            service.happened(Happened::Took(Step::Mailbox, began.elapsed()));
            delivered
        }
        _ => Vec::new(),
    };
    let mut failed = Vec::new();
    let mut replies = Vec::new();
    for (local, outcome) in here.iter().zip(delivered) {
        match outcome {
            Ok(Outcome::Appended { uid, .. } | Outcome::Existed { uid, .. }) => {
                service.happened(Happened::Delivered);
                info!(id, to = local.address, %uid, "delivered");
                let to = &local.address[..];
                service.trace(id, &parcel.client, What::Delivered { to });
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
                failed.push(of(local));
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
        let rest = BTreeMap::from([(NextHop::Here, failed)]);
        if let Err(error) = enqueue_patiently(service, &parcel, rest).await {
            warn!(%error, id, "the message could not be put into the queue");
            return vec![reply_of(&error)];
        }
    }
    vec![Reply::new(
        250,
        "2.0.0",
        format!("Accepted as {id}").into_bytes(),
    )]
}

type NextHops = BTreeMap<NextHop, Vec<OutgoingRecipient>>;

/// Whether the sender asked to be notified when it is delivered (RFC 3461 §4.1).
fn is_reported(service: &Service, local: &Local) -> bool {
    let notify = local.parameters.notify;
    service.queue().is_some() && notify.is_some_and(|notify| notify.contains(Notify::SUCCESS))
}

fn of(local: &Local) -> OutgoingRecipient {
    OutgoingRecipient {
        address: local.address.clone(),
        parameters: local.parameters.clone(),
    }
}

/// Gives a store whose disk has failed the time to recover.
async fn enqueue_patiently(
    service: &Service,
    parcel: &Parcel,
    next_hops: NextHops,
) -> Result<(), Error> {
    for pause in [200, 500, 1_000, 2_000, 4_000] {
        let done = enqueue(service, parcel, next_hops.clone()).await;
        // What may be there already is not put there again.
        if matches!(done, Ok(()) | Err(Error::OutcomeUnknown)) {
            return done;
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    enqueue(service, parcel, next_hops).await
}

async fn enqueue(service: &Service, parcel: &Parcel, next_hops: NextHops) -> Result<(), Error> {
    if next_hops.is_empty() {
        return Ok(());
    }
    // Without a queue nobody is accepted for elsewhere. Who has no room here gets it when it comes again, and who had
    // room gets it twice: it is doubled, not lost.
    let queue = service
        .queue()
        .ok_or(Error::OverQuota(parcel.owner.into()))?;
    let mut transaction = Transaction::new(parcel.owner);
    let mut queued = Vec::new();
    for (next_hop, recipients) in next_hops {
        let body = match (&parcel.arrived.remote, &parcel.arrived.local) {
            (_, Some((body, _))) if next_hop == NextHop::Here => body,
            (Some(body), _) => body,
            _ => {
                return Err(Error::Damaged(
                    "no body to hand on",
                    hikyaku_mailstore::About::Nothing,
                ));
            }
        };
        let (id, count) = (&parcel.id, recipients.len());
        info!(id, ?next_hop, recipients = count, "queued");
        queued.push((next_hop.clone(), count));
        transaction = transaction.with(queue.enqueue(Outgoing {
            id: id.clone(),
            reverse_path: parcel.reverse_path.clone(),
            parameters: parcel.parameters.clone(),
            next_hop,
            recipients,
            body: body.clone(),
        }));
    }
    // Before it is committed: who hands it on may be quicker than this. What fails is answered so.
    for (next_hop, recipients) in &queued {
        let next_hop = match next_hop {
            NextHop::Here => None,
            NextHop::Domain(domain) => Some(&domain[..]),
        };
        let recipients = *recipients;
        let what = What::Queued {
            next_hop,
            recipients,
        };
        service.trace(&parcel.id, &parcel.client, what);
    }
    service.store.commit(transaction).await?;
    Ok(())
}

/// How the store's answer reads in SMTP.
pub(super) fn reply_of(error: &Error) -> Reply {
    match error {
        Error::OverQuota(_) => Reply::new(452, "4.2.2", "Mailbox full"),
        Error::StorageFull => {
            Reply::new(452, "4.3.1", "The server's disk is full, try again later")
        }
        Error::NoSuchAccount(_) | Error::NoSuchMailbox(_) => {
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
