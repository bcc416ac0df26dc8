//! Delivers an accepted message: into mailboxes here, and into the queue for other domains.

use hikyaku_mailstore::{AccountId, Error, MailboxId, Outcome, Recipient as Into_, Transaction};
use hikyaku_smtp_proto::{MailParameters, Notify, Reply, ReversePath};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use tracing::{info, warn};

use super::incoming::Arrived;
use super::post::Post;
use super::recipient::{Local, Recipient};
use crate::options::{Happened, Step};
use crate::queue::{Became, NextHop, Outgoing};
use crate::service::Service;
use crate::traced::{Client, What};
use hikyaku_mailstore::unix_now;

/// A message that has arrived.
pub(super) struct Parcel<'a> {
    pub(super) arrived: Arrived,
    pub(super) reverse_path: ReversePath,
    pub(super) parameters: MailParameters,
    pub(super) recipients: Vec<Recipient>,
    pub(super) id: String,
    pub(super) owner: AccountId,
    pub(super) client: &'a Client,
}

/// What became of the mailboxes here: nothing where it was delivered, else why not. Those that the queue delivers to are
/// not in it.
type Outcomes = HashMap<MailboxId, Option<Reply>>;

/// Puts it on stable storage, everywhere it goes, and answers: one reply for each recipient, or one for all.
///
/// Where each recipient has a reply, nothing of it is in the queue unless somebody else of those that it stands for has
/// the message.
pub(super) async fn deliver(service: &Service, parcel: Parcel<'_>, each: bool) -> Vec<Reply> {
    let (here, post) = sorted(service, &parcel, each);
    let id = &parcel.id;
    // The queue first: what it refuses is refused whole, before anybody has it.
    if !post.is_empty()
        && let Err(error) = Box::pin(enqueue(service, &parcel, &post)).await
    {
        warn!(%error, id, "the message could not be put into the queue");
        let replies = if each { parcel.recipients.len() } else { 1 };
        return vec![reply_of(&error); replies];
    }
    let outcomes = deliver_here(service, &parcel, &here).await;
    let recipients = parcel.recipients.iter();
    let mut answers: Vec<_> = recipients
        .map(|recipient| (recipient, answer(&parcel, recipient, &outcomes)))
        .collect();
    share(&mut answers, &outcomes);
    let any_taken = answers.iter().any(|(_, answer)| answer.is_ok());
    let mut rest = Post::default();
    for (recipient, answer) in &answers {
        // Somebody has it: refusing would double it for them. The rest waits in the queue.
        let is_taken = if each { answer.is_ok() } else { any_taken };
        if is_taken {
            wait(&mut rest, &parcel, recipient, &outcomes, each);
        }
    }
    if !rest.is_empty()
        && let Err(error) = Box::pin(enqueue_patiently(service, &parcel, &rest)).await
    {
        warn!(%error, id, "the message could not be put into the queue");
        let replies = if each { parcel.recipients.len() } else { 1 };
        return vec![reply_of(&error); replies];
    }
    let replies = answers.into_iter().map(|(_, answer)| answer);
    let replies: Vec<_> = replies
        .map(|answer| answer.unwrap_or_else(|refusal| refusal))
        .collect();
    if each {
        return replies;
    }
    if any_taken {
        let text = format!("Accepted as {id}").into_bytes();
        return vec![Reply::new(250, "2.0.0", text)];
    }
    // Whoever may get it later shall.
    let again = replies.iter().find(|reply| reply.is_transient());
    again.or(replies.first()).cloned().into_iter().collect()
}

/// Takes a recipient, too, whose mailbox gets the message later for another one's sake: a client that sent it again would
/// double it.
fn share(answers: &mut [(&Recipient, Result<Reply, Reply>)], outcomes: &Outcomes) {
    let has_failed = |mailbox: &MailboxId| outcomes.get(mailbox).is_some_and(Option::is_some);
    let taken = answers.iter().filter(|(_, answer)| answer.is_ok());
    let here = taken.flat_map(|(recipient, _)| &recipient.here);
    let later = here.map(|local| local.mailbox).filter(has_failed);
    let later: HashSet<_> = later.collect();
    for (recipient, answer) in answers {
        let mut here = recipient.here.iter();
        let is_later = answer.as_ref().is_err_and(Reply::is_transient);
        if is_later && here.any(|local| later.contains(&local.mailbox)) {
            *answer = Ok(Reply::new(250, "2.0.0", "Queued"));
        }
    }
}

/// Puts into the queue what is left of a recipient that was accepted, and what its sender is to hear.
fn wait(
    rest: &mut Post,
    parcel: &Parcel<'_>,
    recipient: &Recipient,
    outcomes: &Outcomes,
    each: bool,
) {
    if is_looped(parcel, recipient) {
        return rest.nowhere(Became::Looped, &recipient.address, &recipient.parameters);
    }
    for local in &recipient.here {
        if outcomes.get(&local.mailbox).is_some_and(Option::is_some) {
            rest.here(local);
        }
    }
    // Where each has a reply, whoever handed it over notifies.
    for report in recipient.reports.iter().filter(|_| !each) {
        rest.nowhere(report.became, &report.address, &report.parameters);
    }
}

/// What goes into mailboxes here at once, each once, and what goes into the queue.
fn sorted<'a>(service: &Service, parcel: &'a Parcel<'_>, each: bool) -> (Vec<&'a Local>, Post) {
    let (mut here, mut post) = (Vec::new(), Post::default());
    let mut inboxes = HashSet::new();
    // Whoever is named is served as such, also where an alias would have led there.
    let (plain, standing): (Vec<_>, Vec<_>) = parcel.recipients.iter().partition(|one| !one.stands);
    for recipient in plain.into_iter().chain(standing) {
        if is_looped(parcel, recipient) {
            continue;
        }
        for local in &recipient.here {
            match inboxes.insert(local.mailbox) {
                // The sender is to be notified: the queue delivers and does so.
                true if is_reported(service, local) && !each => post.here(local),
                true => here.push(local),
                false => {}
            }
        }
        for remote in &recipient.elsewhere {
            post.elsewhere(remote, recipient.stands);
        }
    }
    (here, post)
}

/// Whether the address has passed the message on already (RFC 5321 §6.3).
fn is_looped(parcel: &Parcel<'_>, recipient: &Recipient) -> bool {
    let been = &parcel.arrived.delivered_to;
    recipient.stands && been.contains(&recipient.address.to_lowercase())
}

async fn deliver_here(service: &Service, parcel: &Parcel<'_>, here: &[&Local]) -> Outcomes {
    let mut outcomes = Outcomes::new();
    let id = &parcel.id;
    for (form, (body, summary)) in parcel.arrived.bodies.iter().enumerate() {
        let of_form = here.iter().filter(|local| local.form == form);
        let of_form: Vec<_> = of_form.copied().collect();
        if of_form.is_empty() {
            continue;
        }
        let into: Vec<Into_> = of_form
            .iter()
            .map(|local| Into_ {
                mailbox: local.mailbox,
                origin: None,
            })
            .collect();
        let (began, when) = (Instant::now(), (unix_now(), 0));
        let store = &*service.store;
        let delivered = hikyaku_mailstore::deliver(store, body, summary, when, &into).await;
        service.happened(Happened::Took(Step::Mailbox, began.elapsed()));
        for (local, outcome) in of_form.into_iter().zip(delivered) {
            let failure = match outcome {
                Ok(Outcome::Appended { uid, .. } | Outcome::Existed { uid, .. }) => {
                    service.happened(Happened::Delivered);
                    info!(id, to = local.address, %uid, "delivered");
                    let to = &local.address[..];
                    service.trace(id, parcel.client, What::Delivered { to });
                    None
                }
                Ok(_) => Some(Reply::new(451, "4.3.0", "Try again later")),
                Err(error) => {
                    info!(id, to = local.address, %error, "not delivered");
                    Some(reply_of(&error))
                }
            };
            outcomes.insert(local.mailbox, failure);
        }
    }
    outcomes
}

/// What is answered for a recipient: it is taken when anybody that it stands for has it.
fn answer(parcel: &Parcel<'_>, recipient: &Recipient, outcomes: &Outcomes) -> Result<Reply, Reply> {
    if is_looped(parcel, recipient) {
        return Err(Reply::new(
            554,
            "5.4.6",
            "Mail loop: this address has passed the message on already",
        ));
    }
    let mut failure = None;
    let mut is_queued = !recipient.elsewhere.is_empty();
    for local in &recipient.here {
        match outcomes.get(&local.mailbox) {
            Some(None) => {
                let text = format!("Delivered as {}", parcel.id).into_bytes();
                return Ok(Reply::new(250, "2.0.0", text));
            }
            Some(Some(why)) => failure = failure.or(Some(why)),
            None => is_queued = true,
        }
    }
    match failure {
        Some(why) if !is_queued => Err(why.clone()),
        _ => Ok(Reply::new(250, "2.0.0", "Queued")),
    }
}

/// Whether the sender asked to be notified when it is delivered (RFC 3461 §4.1).
fn is_reported(service: &Service, local: &Local) -> bool {
    let notify = local.parameters.notify;
    service.queue().is_some() && notify.is_some_and(|notify| notify.contains(Notify::SUCCESS))
}

/// Gives a store whose disk has failed the time to recover.
async fn enqueue_patiently(
    service: &Service,
    parcel: &Parcel<'_>,
    post: &Post,
) -> Result<(), Error> {
    for pause in [200, 500, 1_000, 2_000, 4_000] {
        let done = enqueue(service, parcel, post).await;
        // What may be there already is not put there again.
        if matches!(done, Ok(()) | Err(Error::OutcomeUnknown)) {
            return done;
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    enqueue(service, parcel, post).await
}

async fn enqueue(service: &Service, parcel: &Parcel<'_>, post: &Post) -> Result<(), Error> {
    // Without a queue nobody is accepted for elsewhere. Who has no room here gets it when it comes again, and who had
    // room gets it twice: it is doubled, not lost.
    let queue = service
        .queue()
        .ok_or(Error::OverQuota(parcel.owner.into()))?;
    let mut transaction = Transaction::new(parcel.owner);
    let mut queued = Vec::new();
    for (batch, recipients) in post.batches() {
        let Some((body, _)) = parcel.arrived.bodies.get(batch.form) else {
            return Err(Error::Damaged(
                "no body to hand on",
                hikyaku_mailstore::About::Nothing,
            ));
        };
        let (id, count) = (&parcel.id, recipients.len());
        info!(id, next_hop = ?batch.next_hop, recipients = count, "queued");
        queued.push((batch.next_hop.clone(), count));
        let (reverse_path, parameters) =
            batch.envelope(&service.options, &parcel.reverse_path, &parcel.parameters);
        transaction = transaction.with(queue.enqueue(Outgoing {
            id: id.clone(),
            reverse_path,
            parameters,
            next_hop: batch.next_hop.clone(),
            recipients: recipients.to_vec(),
            body: body.clone(),
        }));
    }
    // Before it is committed: who hands it on may be quicker than this. What fails is answered so.
    for (next_hop, recipients) in &queued {
        let next_hop = match next_hop {
            NextHop::Here => None,
            NextHop::Domain(domain) => Some(&domain[..]),
            NextHop::Nowhere(_) => continue,
        };
        let recipients = *recipients;
        let what = What::Queued {
            next_hop,
            recipients,
        };
        service.trace(&parcel.id, parcel.client, what);
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
