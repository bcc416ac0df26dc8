//! A message that a person hands over inside the server: what the webmail sends.

use bytes::Bytes;
use mailstore::AccountId;
use smtp_proto::{ForwardPath, Reply, ReversePath};
use tracing::info;

use super::author::Authors;
use super::delivery::{Parcel, deliver, local_recipient};
use super::incoming::{Incoming, Trace, now};
use super::{Recipient, queue_id};
use crate::metrics::count;
use crate::server::Shared;

/// Delivers it here and queues it for elsewhere: a reply for each path, in their order. A positive one
/// says that the message is on stable storage.
pub(crate) async fn submit(
    shared: &Shared,
    owner: AccountId,
    account: &str,
    reverse_path: ReversePath,
    paths: Vec<ForwardPath>,
    message: Bytes,
) -> mailstore::Result<Vec<Reply>> {
    let id = queue_id();
    let mut replies: Vec<Option<Reply>> = Vec::new();
    let mut recipients = Vec::new();
    for path in &paths {
        let elsewhere = path
            .mailbox()
            .filter(|m| !shared.config.is_local(m.domain()));
        if let Some(mailbox) = elsewhere {
            recipients.push(Recipient::Elsewhere(mailbox.clone()));
            replies.push(None);
            continue;
        }
        replies.push(match local_recipient(shared, path).await? {
            Some((local, quota)) if quota.admits(message.len() as u64, 1) => {
                recipients.push(Recipient::Here(local));
                None
            }
            Some(_) => Some(Reply::new(452, "4.2.2", "Mailbox full")),
            None => Some(Reply::new(550, "5.1.1", "No such mailbox here")),
        });
    }
    let is_here = |one: &Recipient| matches!(one, Recipient::Here(_));
    let here: Vec<bool> = recipients.iter().map(is_here).collect();
    let hostname = shared.config.hostname.clone();
    let trace = Trace {
        return_path: reverse_path.to_string(),
        received: format!(
            "Received: by {hostname} with HTTP id {id};\r\n\t{}\r\n",
            now()
        ),
        complete: true,
        authors: Authors::of_account(&shared.config, account),
        hostname,
        id: id.clone(),
    };
    let outcome = if recipients.is_empty() {
        Vec::new()
    } else {
        let (any_here, any_elsewhere) = (here.contains(&true), here.contains(&false));
        let mut incoming = Incoming::begin(&*shared.store, any_here, any_elsewhere, trace).await?;
        incoming.chunk(message).await;
        match incoming.finish().await {
            Ok(arrived) => {
                count(&shared.metrics.messages_received_total);
                info!(id, "message from the webmail");
                let smtputf8 = paths
                    .iter()
                    .filter_map(ForwardPath::mailbox)
                    .any(smtp_proto::Mailbox::is_international);
                let parcel = Parcel {
                    arrived,
                    reverse_path,
                    smtputf8,
                    recipients,
                    id,
                    owner,
                };
                deliver(shared, parcel, true).await
            }
            Err(failure) => vec![failure.reply(); here.len()],
        }
    };
    // One for each that is here, when the queue took the others; else one for all.
    let queued = outcome.len() == here.iter().filter(|is| **is).count();
    let mut outcome = outcome.into_iter();
    let accepted = Reply::new(250, "2.0.0", "Queued");
    let mut of = here.into_iter().map(|is_here| match (is_here, queued) {
        (false, true) => Some(accepted.clone()),
        _ => outcome.next(),
    });
    let lost = Reply::new(451, "4.3.0", "Try again later");
    Ok(replies
        .into_iter()
        .map(|known| {
            known
                .or_else(|| of.next().flatten())
                .unwrap_or_else(|| lost.clone())
        })
        .collect())
}
