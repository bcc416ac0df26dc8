//! The storage traits. Applications use [`Store`]; authors of a blocking backend implement [`Engine`] and [`Read`].

use bytes::Bytes;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use crate::{
    Account, AccountId, BodyRef, Changes, Claim, Committed, Error, Health, Mailbox, MailboxId,
    Mailboxes, ModSeq, Page, QueueEntry, QueueLength, Result, Row, Staged, Transaction, Want,
    Which,
};

/// A boxed future: what makes [`Store`] object-safe.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a backend promises. The conformance suite tests that it keeps the promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// What was committed survives a crash and a power failure.
    pub durable: bool,
    /// Copy and Move may name a mailbox of another account.
    pub across_accounts: bool,
}

impl Capabilities {
    /// Creates them from both promises.
    #[must_use]
    pub const fn new(durable: bool, across_accounts: bool) -> Self {
        Self {
            durable,
            across_accounts,
        }
    }
}

/// Queue entries that are read at a time to be counted.
const COUNTED: usize = 1000;

/// What to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// All changes in an account.
    Account(AccountId),
    /// New entries in the relay queue.
    Queue,
}

/// Bodies, as a [`Visitor`] reads them: beside the rows, without waiting.
pub trait Bodies {
    /// Reads octets of a body, as [`Store::read`] does, but blocks meanwhile.
    ///
    /// # Errors
    /// Those of [`Store::read`].
    fn read(&mut self, body: &BodyRef, range: Range<u64>) -> Result<Bytes>;
}

/// What is done with each row, beside the rows: a thousand rows need not be carried to the caller, and
/// bodies are read where they are. `false` ends it.
pub type Visitor = Box<dyn FnMut(&Row, &mut dyn Bodies) -> Result<bool> + Send>;

/// Mail at rest. Applications hold an `Arc<dyn Store>`.
///
/// Every read is short and names the state it is true at; every change is a [`Transaction`].
/// Work may begin when a method is called, before its future is polled: call it where the answer is wanted. Dropping a future
/// does not undo what it asked for: a commit may still happen.
pub trait Store: Send + Sync + 'static {
    /// Returns what the backend promises.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// assert!(!store.capabilities().durable);
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn capabilities(&self) -> Capabilities;
    /// Returns the account of that name.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// let account = store.account("alice@example.org").await?;
    /// assert_eq!(account.map(|account| account.id), Some(alice));
    /// assert!(store.account("bob@example.org").await?.is_none());
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn account<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Account>>>;
    /// Returns the account of that number.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// let account = store.account_by_id(alice).await?;
    /// assert_eq!(account.map(|account| account.name).as_deref(), Some("alice@example.org"));
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn account_by_id(&self, id: AccountId) -> BoxFuture<'_, Result<Option<Account>>>;
    /// Returns up to `limit` accounts whose names come after `after`, sorted by name.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// // A page at a time: the next one begins behind the last name.
    /// let names = store.accounts("", 100).await?;
    /// assert_eq!(names[0].name, "alice@example.org");
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn accounts<'a>(&'a self, after: &'a str, limit: usize) -> BoxFuture<'a, Result<Vec<Account>>>;
    /// Creates an account, with an empty `INBOX`. Fails with [`Error::AlreadyExists`].
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// let bob = store.create_account("bob@example.org").await?;
    /// assert!(store.mailbox(bob, "INBOX").await?.is_some());
    /// let again = store.create_account("bob@example.org").await;
    /// assert!(matches!(again, Err(Error::AlreadyExists(_))));
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn create_account<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<AccountId>>;
    /// Removes an account and all it owns, its queue entries too.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// store.remove_account(alice).await?;
    /// assert!(store.account_by_id(alice).await?.is_none());
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn remove_account(&self, id: AccountId) -> BoxFuture<'_, Result<()>>;
    /// Returns the mailboxes of an account; with `since`, only those with a later change.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// let all = store.mailboxes(alice, None).await?;
    /// assert_eq!((all.mailboxes[0].name.as_str(), all.mailboxes[0].messages), ("INBOX", 1));
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn mailboxes(
        &self,
        account: AccountId,
        since: Option<ModSeq>,
    ) -> BoxFuture<'_, Result<Mailboxes>>;
    /// Returns the mailbox of that name, as [`mailboxes`](Self::mailboxes) lists it. By default it is looked for
    /// there; a store that can find it without the others does so.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// let found = store.mailbox(alice, "INBOX").await?;
    /// assert_eq!(found.map(|mailbox| mailbox.id), Some(inbox.id));
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
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
    /// Returns an account by its name and a mailbox of it by its name, in one step: what a delivery asks of each
    /// recipient. `None` when there is no such account, or not that mailbox in it.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// let found = store.find("alice@example.org", "INBOX").await?;
    /// let (account, mailbox) = found.ok_or(Error::NoSuchMailbox(About::Nothing))?;
    /// assert_eq!((account.id, mailbox.id), (alice, inbox.id));
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
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
                Err(Error::NoSuchAccount(_)) => Ok(None),
                mailbox => Ok(mailbox?.map(|mailbox| (found, mailbox))),
            }
        })
    }
    /// Returns up to `limit` messages of a mailbox.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// let (mut after, mut count) = (None, 0);
    /// loop {
    ///     let page = store.messages(inbox.id, &Which::After(after), Want::ROW, 1000).await?;
    ///     count += page.rows.len();
    ///     after = page.rows.last().map(|row| row.uid).or(after);
    ///     if !page.more {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(count, 1);
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn messages<'a>(
        &'a self,
        mailbox: MailboxId,
        which: &'a Which,
        want: Want,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page<Row>>>;
    /// Shows a visitor the rows of a mailbox, in the order of [`messages`](Self::messages); where the store
    /// has threads of its own, in one of them, a few hundred rows at a time.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    /// let octets = Arc::new(AtomicU64::new(0));
    /// let counted = Arc::clone(&octets);
    /// let visitor: Visitor = Box::new(move |row, _| {
    ///     counted.fetch_add(row.body.octets, Ordering::Relaxed);
    ///     Ok(true)
    /// });
    /// store.visit(inbox.id, Which::After(None), Want::ROW, visitor).await?;
    /// assert_eq!(octets.load(Ordering::Relaxed), row.body.octets);
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn visit(
        &self,
        mailbox: MailboxId,
        which: Which,
        want: Want,
        visitor: Visitor,
    ) -> BoxFuture<'_, Result<()>>;
    /// Returns what has changed since a mod-sequence: at most `limit` rows, and `at` names the state they lead to.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// let since = inbox.highest;
    /// let read = Operation::Flags {
    ///     mailbox: inbox.id,
    ///     uids: row.uid.into(),
    ///     change: FlagChange::Add(Flags::SEEN),
    ///     unchanged_since: None,
    /// };
    /// store.commit(Transaction::new(alice).with(read)).await?;
    /// match store.changes(inbox.id, since, Want::ROW, 1000).await? {
    ///     Changes::Known { rows, .. } => assert!(rows[0].flags.contains(&Flags::SEEN)),
    ///     _ => panic!("it is too long ago: read all of it"),
    /// }
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn changes(
        &self,
        mailbox: MailboxId,
        since: ModSeq,
        want: Want,
        limit: usize,
    ) -> BoxFuture<'_, Result<Changes>>;
    /// Reads octets of a body; a range beyond its end is cut short. An answer may be shorter than asked
    /// for, but empty only at the end.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// let octets = store.read(&row.body, 0..12).await?;
    /// assert_eq!(octets, "Subject: tea");
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn read<'a>(&'a self, body: &'a BodyRef, range: Range<u64>) -> BoxFuture<'a, Result<Bytes>>;
    /// Begins a body, which [`Stage`] takes in as it comes.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// let mut stage = store.stage().await?;
    /// stage.write("Subject: hello\r\n\r\n".into()).await?;
    /// let body = stage.finish().await?;
    /// assert_eq!(body.body().octets, 18);
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn stage(&self) -> BoxFuture<'_, Result<Box<dyn Stage>>>;
    /// Commits all of a transaction or nothing: `Ok` means that it is on stable storage.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// let read = Operation::Flags {
    ///     mailbox: inbox.id,
    ///     uids: row.uid.into(),
    ///     change: FlagChange::Add(Flags::SEEN),
    ///     unchanged_since: None,
    /// };
    /// store.commit(Transaction::new(alice).with(read)).await?;
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Committed>>;
    /// Leases queue entries that are due, oldest first, to one caller each, and no more for a next hop than
    /// [`Claim::share_of`] says. Entries that are passed over cost little, however many they are. With
    /// [`Claim::only`], leases these instead.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// use std::time::{Duration, SystemTime};
    /// let claim = Claim::new(SystemTime::now(), 10, Duration::from_secs(60));
    /// assert!(store.claim(&claim).await?.is_empty());
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn claim<'a>(&'a self, claim: &'a Claim) -> BoxFuture<'a, Result<Vec<QueueEntry>>>;
    /// Gives back all claims of an owner: their entries are due at `now`. Returns how many there were.
    ///
    /// An owner calls this when it stops, and again when it starts, for the claims it held when it died.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// use std::time::SystemTime;
    /// assert_eq!(store.release_claims(1, SystemTime::now()).await?, 0);
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn release_claims(&self, owner: u32, now: SystemTime) -> BoxFuture<'_, Result<u64>>;
    /// Brings entries that are due later than `latest` forward, and claims that hold longer. Returns how many there
    /// were. Parked ones ([`never`](crate::never())) stay as they are.
    ///
    /// Entries written while the clock was wrong would otherwise wait until then.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// use std::time::{Duration, SystemTime};
    /// let latest = SystemTime::now() + Duration::from_secs(4 * 3600);
    /// assert_eq!(store.clamp_due(latest).await?, 0);
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn clamp_due(&self, latest: SystemTime) -> BoxFuture<'_, Result<u64>>;
    /// Returns up to `limit` queue entries behind `after`, by number, whoever holds them.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// assert!(store.queue(None, 100).await?.is_empty());
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn queue(
        &self,
        after: Option<crate::QueueId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<QueueEntry>>>;
    /// Counts the queue entries, as they are at that time. By default all are read, a page at a time; a store that can
    /// count them where they are does so.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// use std::time::SystemTime;
    /// let length = store.queue_length(SystemTime::now()).await?;
    /// assert_eq!((length.due, length.oldest), (0, None));
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn queue_length(&self, now: SystemTime) -> BoxFuture<'_, Result<QueueLength>> {
        Box::pin(async move {
            let (mut length, mut after) = (QueueLength::default(), None);
            loop {
                let page = self.queue(after, COUNTED).await?;
                page.iter().for_each(|entry| length.add(entry, now));
                match page.last() {
                    Some(last) if page.len() >= COUNTED => after = Some(last.id),
                    _ => return Ok(length),
                }
            }
        })
    }
    /// Watches for changes: [`Watch::changed`] reports them.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// let mut watch = store.watch(Scope::Account(alice));
    /// let create = Operation::Create { name: "Sent".into(), special_use: None, uid_validity: None };
    /// store.commit(Transaction::new(alice).with(create)).await?;
    /// watch.changed().await;
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn watch(&self, scope: Scope) -> Box<dyn Watch>;
    /// Returns the health of the store, without waiting. By default all is always well.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// assert!(store.health().is_well());
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn health(&self) -> Health {
        Health::default()
    }
}

/// A body on its way in. Dropped unfinished it leaves nothing behind.
///
/// ```
/// use hikyaku_mailstore::{Memory, Store, block_on};
/// # block_on(async {
/// let store = Memory::new();
/// let mut stage = store.stage().await?;
/// stage.write("Subject: Lunch\r\n\r\n".into()).await?;
/// stage.write("At noon?\r\n".into()).await?;
/// let staged = stage.finish().await?;
/// assert_eq!(staged.body().octets, 28);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub trait Stage: Send + Sync {
    /// Adds octets.
    fn write(&mut self, octets: Bytes) -> BoxFuture<'_, Result<()>>;
    /// Ends the body. It can then be committed, any number of times.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Staged>>;
}

/// A hint that something may have changed; [`Store::changes`] returns what. Level-triggered: what
/// happens before `changed` is called wakes it at once.
pub trait Watch: Send + Sync {
    /// Waits for a change later than the one reported last.
    fn changed(&mut self) -> BoxFuture<'_, ()>;
}

/// Returns the health of a store, from any thread.
pub type HealthProbe = Arc<dyn Fn() -> Health + Send + Sync>;

/// A backend that blocks; [`Blocking`](crate::Blocking) makes a [`Store`] of it.
///
/// Each of its methods, written: an engine that counts the batches of another one. The example `sorted` is one from the
/// ground up, over [`engine::apply`](crate::engine::apply).
///
/// ```
/// use hikyaku_mailstore::*;
/// # use std::time::SystemTime;
///
/// #[derive(Default)]
/// struct Counting(MemoryEngine, u64);
///
/// impl Engine for Counting {
///     type Reader = <MemoryEngine as Engine>::Reader;
///     type Stager = <MemoryEngine as Engine>::Stager;
///
///     fn capabilities(&self) -> Capabilities {
///         self.0.capabilities()
///     }
///     fn reader(&self) -> Result<Self::Reader> {
///         self.0.reader()
///     }
///     fn stager(&self) -> Self::Stager {
///         self.0.stager()
///     }
///     fn commit(&mut self, batch: &[Transaction]) -> Vec<Result<Committed>> {
///         self.1 += 1;
///         self.0.commit(batch)
///     }
///     // And so on.
/// #     fn create_account(&mut self, name: &str) -> Result<AccountId> { self.0.create_account(name) }
/// #     fn remove_account(&mut self, id: AccountId) -> Result<()> { self.0.remove_account(id) }
/// #     fn claim(&mut self, claim: &Claim) -> Result<Vec<QueueEntry>> { self.0.claim(claim) }
/// #     fn release_claims(&mut self, owner: u32, now: SystemTime) -> Result<u64> { self.0.release_claims(owner, now) }
/// #     fn clamp_due(&mut self, latest: SystemTime) -> Result<u64> { self.0.clamp_due(latest) }
/// #     fn tidy(&mut self) -> Result<()> { self.0.tidy() }
/// }
///
/// let store = Blocking::start(Counting::default())?;
/// block_on(store.create_account("alice@example.org"))?;
/// # Ok::<(), Error>(())
/// ```
pub trait Engine: Send + 'static {
    /// The type that reads beside the writer.
    type Reader: Read;
    /// The type that takes bodies in beside the writer.
    type Stager: Stager;
    /// Returns what the backend promises.
    fn capabilities(&self) -> Capabilities;
    /// Returns the probe that [`Store::health`] calls. By default all is always well.
    fn health(&self) -> HealthProbe {
        Arc::new(Health::default)
    }
    /// Creates a reader, for one thread.
    fn reader(&self) -> Result<Self::Reader>;
    /// Creates the stager, for all threads.
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
    /// Frees what nobody needs any more. Called when there is time, at least every few seconds.
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
    /// As [`Store::queue_length`].
    fn queue_length(&mut self, now: SystemTime) -> Result<QueueLength> {
        let mut length = QueueLength::default();
        let all = self.queue(None, usize::MAX)?;
        all.iter().for_each(|entry| length.add(entry, now));
        Ok(length)
    }
}

/// The half of an engine that takes bodies in: called from many threads at a time.
pub trait Stager: Send + Sync + 'static {
    /// A large body being written.
    type Part: Send + Sync + 'static;
    /// Returns the largest size, in octets, of a body that is handed over in one piece with [`small`](Self::small).
    fn small_limit(&self) -> usize;
    /// Stages a small body.
    fn small(&self, octets: Bytes) -> Staged;
    /// Begins a large one.
    fn begin(&self) -> Result<Self::Part>;
    /// Adds to it.
    fn write(&self, part: &mut Self::Part, octets: &[u8]) -> Result<()>;
    /// Ends it: its octets are on stable storage now, its name need not be.
    fn finish(&self, part: Self::Part) -> Result<Staged>;
}
