//! `\Recent`: a session has it on messages that it is the first to see (RFC 3501 §2.3.2).
//!
//! One UID a mailbox says what was seen: in memory, where sessions take messages for themselves one
//! after the other, and as a property of the account, so that it outlives the server.

use bytes::Bytes;
use hikyaku_mailstore::{Mailbox, MailboxId, Operation, Uid, Want, Which};
use tracing::warn;

use super::end::End;
use super::session::Session;

fn property(mailbox: MailboxId) -> String {
    format!("recent-from-{}", mailbox.number)
}

impl Session<'_> {
    /// The first UID that no session has seen.
    async fn first_recent(&mut self, mailbox: MailboxId) -> Result<u32, End> {
        if let Some(first_recent) = self.service.first_recent.get(mailbox) {
            return Ok(first_recent);
        }
        let account = self.service.store.account_by_id(mailbox.account).await?;
        let kept = account.and_then(|account| account.properties.get(&property(mailbox)).cloned());
        let kept = kept.and_then(|octets| std::str::from_utf8(&octets).ok()?.parse().ok());
        Ok(kept.unwrap_or(1))
    }

    /// Where `\Recent` begins for a session that sees all below `up_to`. EXAMINE takes it from
    /// nobody.
    pub(super) async fn recent_from(
        &mut self,
        mailbox: MailboxId,
        up_to: u32,
        read_only: bool,
    ) -> Result<u32, End> {
        let kept = self.first_recent(mailbox).await?;
        if read_only {
            return Ok(kept);
        }
        let from = self.service.first_recent.take(mailbox, kept, up_to);
        if up_to > from {
            let keep = Operation::SetProperty {
                key: property(mailbox),
                value: Some(Bytes::from(up_to.to_string())),
            };
            // Only for after a restart: what cannot be kept is recent once more then.
            if self.commit(mailbox.account, keep).await.is_err() {
                warn!("which messages are no longer recent could not be stored");
            }
        }
        Ok(from)
    }

    /// How many messages no session has seen.
    pub(super) async fn count_recent(&mut self, mailbox: &Mailbox) -> Result<u64, End> {
        let mut after = Uid::new(self.first_recent(mailbox.id).await?.saturating_sub(1));
        let mut count = 0;
        loop {
            let which = Which::After(after);
            let page = self
                .service
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
