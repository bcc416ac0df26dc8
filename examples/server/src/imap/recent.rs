//! `\Recent`: a session is told so of messages that it is the first to be told of (RFC 3501 §2.3.2).
//!
//! One UID a mailbox says what was told: in memory, where sessions take messages for themselves one
//! after the other, and as a property of the account, so that it outlives the server.

use bytes::Bytes;
use mailstore::{Mailbox, MailboxId, Operation, Uid, Want, Which};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tracing::warn;

use super::{End, Session};

/// The first UID of each mailbox that no session was told of, as far as it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Untold(Mutex<HashMap<MailboxId, u32>>);

impl Untold {
    fn get(&self, mailbox: MailboxId) -> Option<u32> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&mailbox).copied()
    }

    /// Takes all below `up_to` for one session: those from the answer on are its own.
    fn take(&self, mailbox: MailboxId, kept: u32, up_to: u32) -> u32 {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let untold = all.entry(mailbox).or_insert(kept);
        std::mem::replace(untold, up_to.max(*untold))
    }
}

fn property(mailbox: MailboxId) -> String {
    format!("recent-from-{}", mailbox.number)
}

impl Session<'_> {
    /// The first UID that no session was told of.
    async fn untold(&mut self, mailbox: MailboxId) -> Result<u32, End> {
        if let Some(untold) = self.shared.untold.get(mailbox) {
            return Ok(untold);
        }
        let account = self.shared.store.account_by_id(mailbox.account).await?;
        let kept = account.and_then(|account| account.properties.get(&property(mailbox)).cloned());
        let kept = kept.and_then(|octets| std::str::from_utf8(&octets).ok()?.parse().ok());
        Ok(kept.unwrap_or(1))
    }

    /// Where `\Recent` begins for a session that is told of all below `up_to`. EXAMINE takes it from
    /// nobody.
    pub(super) async fn recent_from(
        &mut self,
        mailbox: MailboxId,
        up_to: u32,
        read_only: bool,
    ) -> Result<u32, End> {
        let kept = self.untold(mailbox).await?;
        if read_only {
            return Ok(kept);
        }
        let from = self.shared.untold.take(mailbox, kept, up_to);
        if up_to > from {
            let keep = Operation::SetProperty {
                key: property(mailbox),
                value: Some(Bytes::from(up_to.to_string())),
            };
            // Only for after a restart: what cannot be kept is told once more then.
            if self.commit(mailbox.account, keep).await.is_err() {
                warn!("what was told could not be kept");
            }
        }
        Ok(from)
    }

    /// How many messages no session was told of.
    pub(super) async fn count_recent(&mut self, mailbox: &Mailbox) -> Result<u64, End> {
        let mut after = Uid::new(self.untold(mailbox.id).await?.saturating_sub(1));
        let mut count = 0;
        loop {
            let which = Which::After(after);
            let page = self
                .shared
                .store
                .messages(mailbox.id, &which, Want::ROW, 1000)
                .await?;
            count += page.rows.len() as u64;
            after = page.rows.last().map(|row| row.uid).or(after);
            if !page.more {
                return Ok(count);
            }
        }
    }
}
