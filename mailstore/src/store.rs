//! The traits: [`Store`] for who uses one, [`Engine`] and [`Read`] for who writes one that blocks.

use bytes::Bytes;
use std::any::Any;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use crate::{
    Account, AccountId, BodyId, BodyRef, Changes, Claim, Committed, Error, Health, Mailbox,
    MailboxId, Mailboxes, ModSeq, Page, QueueEntry, Result, Row, Transaction, Want, Which,
};

/// A boxed future: what makes [`Store`] object-safe.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a backend promises; tested to be honest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// What was committed survives the process and the power.
    pub durable: bool,
    /// Copy and Move may name a mailbox of another account.
    pub across_accounts: bool,
}

impl Capabilities {
    /// These.
    #[must_use]
    pub const fn new(durable: bool, across_accounts: bool) -> Self {
        Self {
            durable,
            across_accounts,
        }
    }
}

/// What to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All changes in an account.
    Account(AccountId),
    /// New entries in the relay queue.
    Queue,
}

/// Reads bodies where a [`Visitor`] works.
pub trait Bodies {
    /// As [`Store::read`].
    ///
    /// # Errors
    /// As there.
    fn read(&mut self, body: &BodyRef, range: Range<u64>) -> Result<Bytes>;
}

/// What is done with each row, beside the rows: a thousand rows need not be carried to who asks, and
/// bodies are read where they are. `false` ends it.
pub type Visitor = Box<dyn FnMut(&Row, &mut dyn Bodies) -> Result<bool> + Send>;

/// Mail at rest. Applications hold an `Arc<dyn Store>`.
///
/// Every read is short and says which state it is true at; every change is a [`Transaction`].
/// Dropping a future does not undo what it asked for: a commit may still happen.
pub trait Store: Send + Sync + 'static {
    /// What it promises.
    fn capabilities(&self) -> Capabilities;
    /// The account of that name.
    fn account<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Account>>>;
    /// The account of that number.
    fn account_by_id(&self, id: AccountId) -> BoxFuture<'_, Result<Option<Account>>>;
    /// Up to `limit` accounts by name, those behind `after`.
    fn accounts<'a>(&'a self, after: &'a str, limit: usize) -> BoxFuture<'a, Result<Vec<Account>>>;
    /// Makes an account, with an empty `INBOX`. Fails with `AlreadyExists`.
    fn create_account<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<AccountId>>;
    /// Removes an account and all it owns, its queue entries too.
    fn remove_account(&self, id: AccountId) -> BoxFuture<'_, Result<()>>;
    /// The mailboxes of an account; with `since`, only those with a later change.
    fn mailboxes(
        &self,
        account: AccountId,
        since: Option<ModSeq>,
    ) -> BoxFuture<'_, Result<Mailboxes>>;
    /// The mailbox of that name, as [`mailboxes`](Self::mailboxes) lists it. By default it is looked for there; a store
    /// that can find it without the others does so.
    fn mailbox<'a>(
        &'a self,
        account: AccountId,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Mailbox>>> {
        Box::pin(async move {
            let all = self.mailboxes(account, None).await?.mailboxes;
            Ok(all.into_iter().find(|mailbox| mailbox.name == name))
        })
    }
    /// An account by its name, and a mailbox of it by its name, in one step: what a delivery asks of each recipient.
    /// `None` when there is no such account, or not that mailbox in it.
    fn find<'a>(
        &'a self,
        account: &'a str,
        mailbox: &'a str,
    ) -> BoxFuture<'a, Result<Option<(Account, Mailbox)>>> {
        Box::pin(async move {
            let Some(found) = self.account(account).await? else {
                return Ok(None);
            };
            match self.mailbox(found.id, mailbox).await {
                // It was removed between the two.
                Err(Error::NoSuchAccount) => Ok(None),
                mailbox => Ok(mailbox?.map(|mailbox| (found, mailbox))),
            }
        })
    }
    /// Up to `limit` messages of a mailbox.
    fn messages<'a>(
        &'a self,
        mailbox: MailboxId,
        which: &'a Which,
        want: Want,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page<Row>>>;
    /// Shows a visitor the rows of a mailbox, in the order of [`messages`](Self::messages); where the store
    /// has threads of its own, in one of them, a few hundred rows at a time.
    fn visit(
        &self,
        mailbox: MailboxId,
        which: Which,
        want: Want,
        visitor: Visitor,
    ) -> BoxFuture<'_, Result<()>>;
    /// What came since; at most `limit` rows, `at` then names how far they lead.
    fn changes(
        &self,
        mailbox: MailboxId,
        since: ModSeq,
        want: Want,
        limit: usize,
    ) -> BoxFuture<'_, Result<Changes>>;
    /// Octets of a body; a range beyond its end is cut short. An answer may be shorter than asked
    /// for, but empty only at the end.
    fn read<'a>(&'a self, body: &'a BodyRef, range: Range<u64>) -> BoxFuture<'a, Result<Bytes>>;
    /// Begins a body.
    fn stage(&self) -> BoxFuture<'_, Result<Box<dyn Stage>>>;
    /// Does all of a transaction or nothing: `Ok` means that it is on stable storage.
    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Committed>>;
    /// Leases queue entries that are due, oldest first, to one caller each, and no more for a next hop than
    /// [`Claim::share_of`] says. Entries that are passed over cost little, however many they are.
    fn claim<'a>(&'a self, claim: &'a Claim) -> BoxFuture<'a, Result<Vec<QueueEntry>>>;
    /// Gives back all claims of an owner: their entries are due at `now`. Returns how many there were.
    ///
    /// Whoever claims calls this when it stops, and when it starts, for what it held when it died.
    fn release_claims(&self, owner: u32, now: SystemTime) -> BoxFuture<'_, Result<u64>>;
    /// Lets no entry be due later than `latest`, and no claim hold longer. Returns how many were brought forward.
    ///
    /// What was written while the clock was wrong would otherwise wait until then.
    fn clamp_due(&self, latest: SystemTime) -> BoxFuture<'_, Result<u64>>;
    /// All queue entries behind `after`, by number, whoever holds them.
    fn queue(
        &self,
        after: Option<crate::QueueId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<QueueEntry>>>;
    /// Reports changes.
    fn watch(&self, scope: Scope) -> Box<dyn Watch>;
    /// How it is now, without waiting. By default all is always well.
    fn health(&self) -> Health {
        Health::default()
    }
}

/// A body on its way in. Dropped unfinished it leaves nothing behind.
pub trait Stage: Send + Sync {
    /// Adds octets.
    fn write(&mut self, octets: Bytes) -> BoxFuture<'_, Result<()>>;
    /// Ends it: what it says can be committed, any number of times.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Staged>>;
}

/// A hint that something may have changed; [`Store::changes`] says what. Level-triggered: what
/// happens before `changed` is called wakes it at once.
pub trait Watch: Send + Sync {
    /// Waits for a change later than the one reported last.
    fn changed(&mut self) -> BoxFuture<'_, ()>;
}

/// A body that was staged and not committed yet.
#[derive(Clone)]
pub struct Staged {
    pub(crate) body: BodyRef,
    /// The octets, when they are few enough to lie in the database.
    pub(crate) octets: Option<Bytes>,
    /// What removes the file again when nothing was committed.
    #[cfg_attr(
        not(feature = "disk"),
        allow(dead_code, reason = "it is held, and only the disk's is looked at")
    )]
    pub(crate) file: Option<Arc<dyn Any + Send + Sync>>,
}

impl std::fmt::Debug for Staged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Staged").field(&self.body).finish()
    }
}

impl Staged {
    /// A body that the backend holds in memory until it is committed.
    #[must_use]
    pub fn in_memory(id: BodyId, octets: Bytes) -> Self {
        Self {
            body: BodyRef {
                id,
                octets: octets.len() as u64,
            },
            octets: Some(octets),
            file: None,
        }
    }

    /// A body that lies elsewhere; `guard` is dropped with the last clone.
    #[must_use]
    pub fn elsewhere(body: BodyRef, guard: Arc<dyn Any + Send + Sync>) -> Self {
        Self {
            body,
            octets: None,
            file: Some(guard),
        }
    }

    /// What it will be called.
    #[must_use]
    pub fn body(&self) -> BodyRef {
        self.body
    }

    /// Its octets, when it is held in memory.
    #[must_use]
    pub fn octets(&self) -> Option<&Bytes> {
        self.octets.as_ref()
    }
}

/// Says how a store is, from any thread.
pub type HealthProbe = Arc<dyn Fn() -> Health + Send + Sync>;

/// A backend that blocks; [`Blocking`](crate::Blocking) makes a [`Store`] of it.
pub trait Engine: Send + 'static {
    /// What reads beside the writer.
    type Reader: Read;
    /// What takes bodies in beside the writer.
    type Stager: Stager;
    /// What it promises.
    fn capabilities(&self) -> Capabilities;
    /// What [`Store::health`] asks. By default all is always well.
    fn health(&self) -> HealthProbe {
        Arc::new(Health::default)
    }
    /// A reader, for one thread.
    fn reader(&self) -> Result<Self::Reader>;
    /// The stager, for all threads.
    fn stager(&self) -> Self::Stager;
    /// Commits a batch: each transaction whole or not at all, then one flush for all of them.
    ///
    /// Returns one result for each transaction, in their order; each caller is answered with its own. When it returns,
    /// what succeeded is on stable storage, if the engine claims `durable`, and readers see it
    /// ([`contract`](crate::contract): R101 to R107, R111).
    fn commit(&mut self, batch: &[Transaction]) -> Vec<Result<Committed>>;
    /// As [`Store::create_account`].
    fn create_account(&mut self, name: &str) -> Result<AccountId>;
    /// As [`Store::remove_account`].
    fn remove_account(&mut self, id: AccountId) -> Result<()>;
    /// As [`Store::claim`].
    fn claim(&mut self, claim: &Claim) -> Result<Vec<QueueEntry>>;
    /// As [`Store::release_claims`].
    fn release_claims(&mut self, owner: u32, now: SystemTime) -> Result<u64>;
    /// As [`Store::clamp_due`].
    fn clamp_due(&mut self, latest: SystemTime) -> Result<u64>;
    /// Called when there is time, at least every few seconds: frees what nobody needs any more.
    fn tidy(&mut self) -> Result<()>;
}

/// The reading half of an engine.
pub trait Read: Send + 'static {
    /// As [`Store::account`].
    fn account(&mut self, name: &str) -> Result<Option<Account>>;
    /// As [`Store::account_by_id`].
    fn account_by_id(&mut self, id: AccountId) -> Result<Option<Account>>;
    /// As [`Store::accounts`].
    fn accounts(&mut self, after: &str, limit: usize) -> Result<Vec<Account>>;
    /// As [`Store::mailboxes`].
    fn mailboxes(&mut self, account: AccountId, since: Option<ModSeq>) -> Result<Mailboxes>;
    /// As [`Store::mailbox`].
    fn mailbox(&mut self, account: AccountId, name: &str) -> Result<Option<Mailbox>> {
        let all = self.mailboxes(account, None)?.mailboxes;
        Ok(all.into_iter().find(|mailbox| mailbox.name == name))
    }
    /// As [`Store::messages`].
    fn messages(
        &mut self,
        mailbox: MailboxId,
        which: &Which,
        want: Want,
        limit: usize,
    ) -> Result<Page<Row>>;
    /// As [`Store::changes`].
    fn changes(
        &mut self,
        mailbox: MailboxId,
        since: ModSeq,
        want: Want,
        limit: usize,
    ) -> Result<Changes>;
    /// As [`Store::read`].
    fn read(&mut self, body: &BodyRef, range: Range<u64>) -> Result<Bytes>;
    /// As [`Store::queue`].
    fn queue(&mut self, after: Option<crate::QueueId>, limit: usize) -> Result<Vec<QueueEntry>>;
}

/// The half of an engine that takes bodies in: called from many threads at a time.
pub trait Stager: Send + Sync + 'static {
    /// A large body being written.
    type Part: Send + Sync + 'static;
    /// Up to how many octets are handed over in one piece with [`small`](Self::small).
    fn small_limit(&self) -> usize;
    /// A small body.
    fn small(&self, octets: Bytes) -> Staged;
    /// Begins a large one.
    fn begin(&self) -> Result<Self::Part>;
    /// Adds to it.
    fn write(&self, part: &mut Self::Part, octets: &[u8]) -> Result<()>;
    /// Ends it: its octets are on stable storage now, its name need not be.
    fn finish(&self, part: Self::Part) -> Result<Staged>;
}
