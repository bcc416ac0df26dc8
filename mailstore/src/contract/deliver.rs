//! Delivery of one message to several recipients.

use bytes::Bytes;

use crate::{Append, MailboxId, Operation, Outcome, Result, Staged, Store, Transaction};

/// One recipient of a delivery.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "backends make it")]
pub struct Recipient {
    /// The mailbox it goes into.
    pub mailbox: MailboxId,
    /// What keeps a repeated delivery from doubling it.
    pub origin: Option<Bytes>,
}

/// Appends one staged body to each mailbox: a transaction each, all committed at the same time, so
/// that one flush serves them all and each recipient has an outcome of its own, in their order.
pub async fn deliver(
    store: &dyn Store,
    body: &Staged,
    summary: &Bytes,
    received: (i64, i16),
    recipients: &[Recipient],
) -> Vec<Result<Outcome>> {
    // All are handed over before the first is waited for.
    let begun: Vec<_> = recipients
        .iter()
        .map(|recipient| {
            let mut append = Append::new(recipient.mailbox, body.clone(), received);
            append.summary = summary.clone();
            append.origin = recipient.origin.clone();
            let append = Operation::Append(Box::new(append));
            store.commit(Transaction::new(recipient.mailbox.account).with(append))
        })
        .collect();
    let mut outcomes = Vec::with_capacity(begun.len());
    for commit in begun {
        let committed = commit.await;
        outcomes.push(committed.map(|mut done| done.outcomes.pop().unwrap_or(Outcome::Done)));
    }
    outcomes
}
