//! `\Recent`: a session is told so of messages that it is the first to be told of (RFC 3501 §2.3.2).
//!
//! What was told is kept as one UID a mailbox, a property of the account. It is written where there is
//! something new only; two sessions that open a mailbox at the same moment may both be told.

use bytes::Bytes;
use mailstore::{Mailbox, MailboxId, Operation, Uid, Want, Which};

use super::{End, Session};

fn property(mailbox: MailboxId) -> String {
    format!("recent-from-{}", mailbox.number)
}

impl Session<'_> {
    /// The first UID that no session was told of.
    async fn untold(&mut self, mailbox: &Mailbox) -> Result<u32, End> {
        let account = self.shared.store.account_by_id(self.account).await?;
        let kept =
            account.and_then(|account| account.properties.get(&property(mailbox.id)).cloned());
        let kept = kept.and_then(|octets| std::str::from_utf8(&octets).ok()?.parse().ok());
        Ok(kept.unwrap_or(1))
    }

    /// Where `\Recent` begins for a session that opens the mailbox. EXAMINE takes it from nobody.
    pub(super) async fn recent_from(
        &mut self,
        mailbox: &Mailbox,
        read_only: bool,
    ) -> Result<u32, End> {
        let from = self.untold(mailbox).await?;
        if !read_only {
            self.told_up_to(mailbox.id, from, mailbox.uid_next).await?;
        }
        Ok(from)
    }

    /// The messages below `uid_next` were told to this session.
    pub(super) async fn told_up_to(
        &mut self,
        mailbox: MailboxId,
        from: u32,
        uid_next: u32,
    ) -> Result<(), End> {
        if uid_next > from {
            self.commit(Operation::SetProperty {
                key: property(mailbox),
                value: Some(Bytes::from(uid_next.to_string())),
            })
            .await?;
        }
        Ok(())
    }

    /// How many messages no session was told of.
    pub(super) async fn count_recent(&mut self, mailbox: &Mailbox) -> Result<u64, End> {
        let mut after = Uid::new(self.untold(mailbox).await?.saturating_sub(1));
        let mut count = 0;
        loop {
            let page = self
                .shared
                .store
                .messages(mailbox.id, &Which::After(after), Want::ROW, 1000)
                .await?;
            count += page.rows.len() as u64;
            after = page.rows.last().map(|row| row.uid).or(after);
            if !page.more {
                return Ok(count);
            }
        }
    }
}
