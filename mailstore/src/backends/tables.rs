//! What the meaning of a transaction needs of a backend: rows, found by key.

use bytes::Bytes;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{
    AccountId, BodyRef, Mailbox, MailboxId, ModSeq, QueueEntry, QueueId, Quota, Result, Row,
    Staged, Uid, UidSet,
};

/// The row of an account: its counters.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
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

impl AccountRow {
    /// Creates the row of a new account. UIDVALIDITYs begin at the present second.
    #[must_use]
    pub fn new(id: AccountId) -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            id,
            at: ModSeq(0),
            last_mailbox: 0,
            last_uid_validity: u32::try_from(now.as_secs()).unwrap_or(1),
            last_email: 0,
            quota: Quota::default(),
        }
    }
}

/// Rows by key, within one transaction of the backend's own.
///
/// [`engine::apply`](crate::backends::engine::apply) carries a [`Transaction`](crate::Transaction) out over it, the same
/// for every backend. What one method wrote, the next one reads. The backend undoes what a failed transaction
/// wrote, and knows nothing of mail: counters, mod-sequences and quota come written in the rows.
///
/// A backend has a row for [`AccountId::SYSTEM`] from the beginning ([`AccountRow::new`]): queue entries of the
/// server belong to it. Methods that come later will have a default.
pub trait Tables {
    /// Returns an account's row.
    fn account(&mut self, id: AccountId) -> Result<Option<AccountRow>>;
    /// Adds an account's row, or writes it back.
    fn put_account(&mut self, row: &AccountRow) -> Result<()>;
    /// Removes the row of an account, its name, its properties and subscriptions.
    fn delete_account(&mut self, id: AccountId) -> Result<()>;
    /// Returns a mailbox's row, without its properties.
    fn mailbox(&mut self, id: MailboxId) -> Result<Option<Mailbox>>;
    /// Returns the mailbox of that name.
    fn mailbox_named(&mut self, account: AccountId, name: &str) -> Result<Option<Mailbox>>;
    /// Returns all mailboxes of an account whose name begins with `prefix`; all of them, for `""`.
    fn mailboxes_below(&mut self, account: AccountId, prefix: &str) -> Result<Vec<Mailbox>>;
    /// Adds a mailbox, or writes it back; its properties are left as they are.
    fn put_mailbox(&mut self, mailbox: &Mailbox) -> Result<()>;
    /// Removes the row of a mailbox and what belongs to it: messages, removals, origins, properties. The bodies
    /// were released before.
    fn delete_mailbox(&mut self, id: MailboxId) -> Result<()>;
    /// Returns the messages of those UIDs, ascending, without summaries.
    fn rows(&mut self, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Row>>;
    /// Adds a message when it is `new`, or writes back its flags and mod-sequence.
    fn put_row(&mut self, mailbox: MailboxId, row: &Row, new: bool) -> Result<()>;
    /// Removes a message and remembers when, for [`Store::changes`](crate::Store::changes).
    fn delete_row(&mut self, mailbox: MailboxId, uid: Uid, at: ModSeq) -> Result<()>;
    /// Forgets all but the latest `keep` removals of a mailbox, with their origins if it likes. Returns the
    /// mod-sequence of the last removal forgotten: changes up to there are too old from then on.
    fn forget(&mut self, mailbox: MailboxId, keep: usize) -> Result<Option<ModSeq>>;
    /// Returns the UID that an origin got.
    fn origin(&mut self, mailbox: MailboxId, origin: &[u8]) -> Result<Option<Uid>>;
    /// Remembers the UID that an origin got.
    fn put_origin(&mut self, mailbox: MailboxId, origin: &[u8], uid: Uid) -> Result<()>;
    /// Adds a reference to a body. The first one stores the body; the first summary that is not empty stays with it.
    fn hold(&mut self, body: &Staged, summary: &Bytes) -> Result<()>;
    /// Adds a reference to a body that has some.
    fn hold_again(&mut self, body: BodyRef) -> Result<()>;
    /// Removes a reference. After the last one and a grace time the body is freed; until then it can be read, and
    /// held again.
    fn release(&mut self, body: BodyRef) -> Result<()>;
    /// Adds or removes a subscription.
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
    /// Adds a queue entry, which gets a number that no entry had before. Its token is 0: nobody has claimed it.
    fn enqueue(
        &mut self,
        account: AccountId,
        next_hop: &str,
        body: BodyRef,
        envelope: &Bytes,
        due: SystemTime,
    ) -> Result<QueueId>;
    /// Returns the queue entry of that number.
    fn queued(&mut self, id: QueueId) -> Result<Option<QueueEntry>>;
    /// Returns all queue entries of an account.
    fn queue_of(&mut self, account: AccountId) -> Result<Vec<QueueEntry>>;
    /// Ends the claim of an entry and gives it a new time and envelope, or removes it.
    fn settle(&mut self, id: QueueId, again: Option<(SystemTime, &Bytes)>) -> Result<()>;
}
