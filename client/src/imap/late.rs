//! Messages that come after later ones: a mirror with room made for them.
//!
//! A store's UIDs only ascend, since whoever reads a mailbox asks for what is past the last one (STORE's contract,
//! rule 2); a mirror's rows have the server's UIDs, which is what makes any table between the two needless. So a
//! message that the server left out, and gives once others above it are here, fits nowhere. To wait for it
//! would keep all later mail away for the sake of one message; to give it another UID would break every change
//! that is replayed by UID. The mirror is therefore written anew beside the old one, in the right order, and takes
//! its place in one commit. That costs a copy of the mailbox's header fields; it is rare, and all that came late
//! in a sync is put in at once.

use bytes::Bytes;
use hikyaku_mailstore::{
    Append, MailboxId, Operation, Outcome, Row, Transaction, Uid, Want, Which,
};
use std::collections::BTreeMap;

use super::arrived::Arrived;
use crate::local::{ANEW, mirrored};
use crate::{Local, Result};

/// How many rows are copied in one commit.
const BATCH: usize = 500;

/// Puts messages into a mirror, below what is there already. Changes its number.
pub(super) async fn insert(
    local: &Local,
    mailbox: &str,
    from: MailboxId,
    mut late: BTreeMap<u32, Arrived>,
) -> Result<()> {
    remove_leftover(local).await?;
    let special_use = local.mailbox(mailbox).await?.special_use;
    let create = Operation::Create {
        name: ANEW.to_owned(),
        special_use,
        uid_validity: None,
    };
    let made = local
        .commit(Transaction::new(local.account).with(create))
        .await?;
    let made = made.outcomes.into_iter().find_map(|outcome| match outcome {
        Outcome::Created { id, .. } => Some(id),
        _ => None,
    });
    let to = made.ok_or(hikyaku_mailstore::Error::NoSuchMailbox(
        local.account.into(),
    ))?;
    let mut after = None;
    loop {
        let which = Which::After(after);
        let rows = local
            .store
            .messages(from, &which, Want::SUMMARY, BATCH)
            .await?
            .rows;
        let last = rows.len() < BATCH;
        after = rows.last().map(|row| row.uid).or(after);
        let mut transaction = Transaction::new(local.account);
        for row in rows {
            let later = late.split_off(&row.uid.get());
            for (uid, arrived) in std::mem::replace(&mut late, later) {
                transaction = transaction.with(arrived.append(local, to, uid).await?);
            }
            // It came after all by another way.
            late.remove(&row.uid.get());
            transaction = transaction.with(copy(local, to, row).await?);
        }
        if last {
            for (uid, arrived) in std::mem::take(&mut late) {
                transaction = transaction.with(arrived.append(local, to, uid).await?);
            }
        }
        local.commit(transaction).await?;
        if last {
            break;
        }
    }
    let replace = Transaction::new(local.account)
        .with(Operation::Delete(from))
        .with(Operation::Rename {
            mailbox: to,
            to: mirrored(mailbox).to_owned(),
        });
    local.commit(replace).await?;
    Ok(())
}

/// What a program that was ended half-way left behind.
async fn remove_leftover(local: &Local) -> Result<()> {
    let all = local.store.mailboxes(local.account, None).await?.mailboxes;
    for left in all.into_iter().filter(|mailbox| mailbox.name == ANEW) {
        let delete = Operation::Delete(left.id);
        local
            .commit(Transaction::new(local.account).with(delete))
            .await?;
    }
    Ok(())
}

async fn copy(local: &Local, to: MailboxId, row: Row) -> Result<Operation> {
    let octets = local.octets(&row.body).await?;
    let mut append = Append::new(to, staged(local, octets).await?, row.received);
    append.summary = row.summary;
    append.flags = row.flags;
    append.uid = Some(row.uid);
    append.identity = Some((row.email, row.thread));
    Ok(Operation::Append(Box::new(append)))
}

pub(super) async fn staged(local: &Local, octets: Bytes) -> Result<hikyaku_mailstore::Staged> {
    let mut stage = local.store.stage().await?;
    stage.write(octets).await?;
    Ok(stage.finish().await?)
}

impl Arrived {
    /// The change that puts it into a mirror.
    pub(super) async fn append(self, local: &Local, to: MailboxId, uid: u32) -> Result<Operation> {
        let (octets, summary) = self.row();
        let mut append = Append::new(to, staged(local, octets).await?, self.received);
        append.summary = summary;
        append.flags = self.flags;
        append.uid = Uid::new(uid);
        Ok(Operation::Append(Box::new(append)))
    }
}
