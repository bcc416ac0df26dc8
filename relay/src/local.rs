//! Into mailboxes here: what waits because a mailbox was full, and notifications. What goes nowhere: only its sender is
//! notified.

use bytes::Bytes;
use hikyaku_mailstore::{Error, Pieces, QueueEntry};
use std::time::Instant;

use crate::envelope::{EXPANDED, Envelope, LOOPED, REDISTRIBUTED};
use crate::fate::{Fate, Taken};
use crate::options::{Happened, Step};
use crate::relay::Relay;
use hikyaku_mailstore::unix_now;

/// Into mailboxes here, once more. The origin keeps a repeated attempt from doubling it.
pub(crate) async fn local(relay: &Relay, entry: &QueueEntry, envelope: &Envelope) -> Vec<Fate> {
    let mut fates = Vec::new();
    for recipient in &envelope.recipients {
        let fate = match deliver_local(relay, entry, &recipient.address()).await {
            Ok(true) => Fate::Delivered(Taken {
                reply: "250 2.0.0 Delivered".into(),
                ..Taken::default()
            }),
            Ok(false) => Fate::Failed("550 5.1.1 No such mailbox here".into()),
            Err(Error::OverQuota(_)) => Fate::Deferred("452 4.2.2 Mailbox full".into()),
            Err(error) => Fate::Deferred(format!("451 4.3.0 {error}")),
        };
        fates.push(fate);
    }
    fates
}

/// What is known already of a message that goes nowhere; `None` where it goes somewhere.
pub(crate) fn known(next_hop: &str) -> Option<Fate> {
    let taken = |is_expanded: bool, reply: &str| {
        Fate::Delivered(Taken {
            is_expanded,
            reply: reply.into(),
            ..Taken::default()
        })
    };
    Some(match next_hop {
        EXPANDED => taken(true, "250 2.0.0 Passed on to several addresses"),
        REDISTRIBUTED => taken(false, "250 2.0.0 Passed on to the members of the list"),
        LOOPED => Fate::Failed(
            "554 5.4.6 Mail loop: this address has passed the message on already".into(),
        ),
        _ => return None,
    })
}

async fn deliver_local(relay: &Relay, entry: &QueueEntry, address: &str) -> Result<bool, Error> {
    let Some(inbox) = relay.here.inbox(address).await? else {
        return Ok(false);
    };
    let mut stage = relay.store.stage().await?;
    let mut scanner = hikyaku_message::Scanner::default();
    let mut pieces = Pieces::whole(&*relay.store, &entry.body);
    while let Some(piece) = pieces.next().await? {
        scanner.feed(&piece);
        stage.write(piece).await?;
    }
    let body = stage.finish().await?;
    let origin = Bytes::from(format!("queue-{}-{}", entry.id, entry.body.id));
    append(relay, inbox, body, scanner.finish().encode(), origin).await?;
    Ok(true)
}

pub(crate) async fn append(
    relay: &Relay,
    mailbox: hikyaku_mailstore::MailboxId,
    body: hikyaku_mailstore::Staged,
    summary: Bytes,
    origin: Bytes,
) -> Result<(), Error> {
    let to = [hikyaku_mailstore::Recipient {
        mailbox,
        origin: Some(origin),
    }];
    let when = (unix_now(), 0);
    let began = Instant::now();
    let mut outcomes = hikyaku_mailstore::deliver(&*relay.store, &body, &summary, when, &to).await;
    relay.happened(Happened::Took(Step::Mailbox, began.elapsed()));
    match outcomes.pop() {
        Some(outcome) => outcome.map(|_| ()),
        None => Err(Error::Closed),
    }
}
