//! Into mailboxes here: what waits because a mailbox was full, and notifications.

use bytes::Bytes;
use mailstore::{Error, QueueEntry};
use std::sync::Arc;

use super::{Envelope, Fate};
use crate::server::Shared;

/// Into mailboxes here, once more. The origin keeps a repeated attempt from doubling it.
pub(super) async fn local(
    shared: &Arc<Shared>,
    entry: &QueueEntry,
    envelope: &Envelope,
) -> Vec<Fate> {
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

pub(super) async fn inbox(
    shared: &Arc<Shared>,
    address: &str,
) -> Result<Option<mailstore::MailboxId>, Error> {
    let Ok(mailbox) = smtp_proto::Mailbox::parse(address.as_bytes()) else {
        return Ok(None);
    };
    let path = smtp_proto::ForwardPath::Mailbox(mailbox);
    let found = crate::smtp::local_recipient(shared, &path).await?;
    Ok(found.map(|(local, _)| local.mailbox))
}

pub(super) async fn append(
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
