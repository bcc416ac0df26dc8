//! What the semantics of a transaction need of a backend: rows, found by key.

use bytes::Bytes;
use std::time::SystemTime;

use crate::{
    AccountId, BodyRef, Mailbox, MailboxId, ModSeq, QueueEntry, QueueId, Quota, Result, Row,
    Staged, Uid, UidSet,
};

/// The row of an account: its counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Its number.
    pub id: AccountId,
    /// The last mod-sequence.
    pub at: ModSeq,
    /// The last mailbox number.
    pub last_mailbox: u32,
    /// The last UIDVALIDITY.
    pub last_uid_validity: u32,
    /// The last EMAILID or THREADID.
    pub last_email: u64,
    /// What it may hold and holds.
    pub quota: Quota,
}

/// Rows by key. [`Transaction`](crate::Transaction)s are carried out over it in one place, the same
/// for every backend that can offer it. The backend undoes what a failed transaction wrote.
pub trait Tables {
    /// An account's row.
    fn account(&mut self, id: AccountId) -> Result<Option<AccountRow>>;
    /// Writes it back.
    fn put_account(&mut self, row: &AccountRow) -> Result<()>;
    /// A mailbox's row, without its properties.
    fn mailbox(&mut self, id: MailboxId) -> Result<Option<Mailbox>>;
    /// The mailbox of that name.
    fn mailbox_named(&mut self, account: AccountId, name: &str) -> Result<Option<Mailbox>>;
    /// All mailboxes whose name begins so.
    fn mailboxes_below(&mut self, account: AccountId, prefix: &str) -> Result<Vec<Mailbox>>;
    /// Adds a mailbox, or writes it back.
    fn put_mailbox(&mut self, mailbox: &Mailbox) -> Result<()>;
    /// Removes the row of a mailbox, and what is remembered about it.
    fn delete_mailbox(&mut self, id: MailboxId) -> Result<()>;
    /// The messages of those UIDs, ascending, without summaries.
    fn rows(&mut self, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Row>>;
    /// Adds a message, or writes it back.
    fn put_row(&mut self, mailbox: MailboxId, row: &Row, new: bool) -> Result<()>;
    /// Removes a message and remembers when.
    fn delete_row(&mut self, mailbox: MailboxId, uid: Uid, at: ModSeq) -> Result<()>;
    /// Forgets all but the latest removals; the mod-sequence of the last one forgotten.
    fn forget(&mut self, mailbox: MailboxId, keep: usize) -> Result<Option<ModSeq>>;
    /// The UID that an origin got.
    fn origin(&mut self, mailbox: MailboxId, origin: &[u8]) -> Result<Option<Uid>>;
    /// Remembers it.
    fn put_origin(&mut self, mailbox: MailboxId, origin: &[u8], uid: Uid) -> Result<()>;
    /// One reference more; the first stores the body and its summary.
    fn hold(&mut self, body: &Staged, summary: &Bytes) -> Result<()>;
    /// One reference more to a body that has some.
    fn hold_again(&mut self, body: BodyRef) -> Result<()>;
    /// One reference less; after the last and its grace time the body is freed.
    fn release(&mut self, body: BodyRef) -> Result<()>;
    /// Notes or forgets a subscription.
    fn subscribe(&mut self, account: AccountId, name: &str, subscribed: bool) -> Result<()>;
    /// Sets or removes a property.
    fn set_property(&mut self, account: AccountId, key: &str, value: Option<&Bytes>) -> Result<()>;
    /// Sets or removes a property of a mailbox.
    fn set_mailbox_property(
        &mut self,
        mailbox: MailboxId,
        key: &str,
        value: Option<&Bytes>,
    ) -> Result<()>;
    /// Adds a queue entry, which gets its number.
    fn enqueue(
        &mut self,
        account: AccountId,
        next_hop: &str,
        body: BodyRef,
        envelope: &Bytes,
        due: SystemTime,
    ) -> Result<QueueId>;
    /// A queue entry.
    fn queued(&mut self, id: QueueId) -> Result<Option<QueueEntry>>;
    /// Ends its claim and gives it a new time and envelope, or removes it.
    fn settle(&mut self, id: QueueId, again: Option<(SystemTime, &Bytes)>) -> Result<()>;
}
