//! [`Backend`]: a store as plain `async fn`s, for authors of a backend that does not block.

use bytes::Bytes;
use std::future::Future;
use std::ops::Range;
use std::time::SystemTime;

use crate::{
    Account, AccountId, Bodies, BodyRef, BoxFuture, Capabilities, Changes, Claim, Committed,
    Health, MailboxId, Mailboxes, ModSeq, Page, QueueEntry, QueueId, Result, Row, Scope, Stage,
    Store, Transaction, Visitor, Want, Watch, Which, block_on,
};

macro_rules! backend {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        /// The methods of [`Store`], to be written as `async fn`; every backend is a store.
        ///
        /// A backend that blocks, such as one over an embedded database, is an [`Engine`](crate::Engine)
        /// instead, and [`Blocking`](crate::Blocking) gives it its threads.
        ///
        /// Each of its methods, written: a store that counts what is committed to another one.
        ///
        /// ```
        /// use hikyaku_mailstore::*;
        /// use std::sync::atomic::{AtomicU64, Ordering};
        /// # use std::{ops::Range, time::SystemTime};
        /// # use bytes::Bytes;
        ///
        /// struct Counting(Memory, AtomicU64);
        ///
        /// impl Backend for Counting {
        ///     fn capabilities(&self) -> Capabilities {
        ///         self.0.capabilities()
        ///     }
        ///     async fn commit(&self, transaction: Transaction) -> Result<Committed> {
        ///         self.1.fetch_add(1, Ordering::Relaxed);
        ///         self.0.commit(transaction).await
        ///     }
        ///     async fn account(&self, name: &str) -> Result<Option<Account>> {
        ///         self.0.account(name).await
        ///     }
        ///     // And so on.
        /// #     fn watch(&self, scope: Scope) -> Box<dyn Watch> { self.0.watch(scope) }
        /// #     async fn account_by_id(&self, id: AccountId) -> Result<Option<Account>> { self.0.account_by_id(id).await }
        /// #     async fn accounts(&self, after: &str, limit: usize) -> Result<Vec<Account>> { self.0.accounts(after, limit).await }
        /// #     async fn create_account(&self, name: &str) -> Result<AccountId> { self.0.create_account(name).await }
        /// #     async fn remove_account(&self, id: AccountId) -> Result<()> { self.0.remove_account(id).await }
        /// #     async fn mailboxes(&self, account: AccountId, since: Option<ModSeq>) -> Result<Mailboxes> { self.0.mailboxes(account, since).await }
        /// #     async fn messages(&self, mailbox: MailboxId, which: &Which, want: Want, limit: usize) -> Result<Page<Row>> { self.0.messages(mailbox, which, want, limit).await }
        /// #     async fn changes(&self, mailbox: MailboxId, since: ModSeq, want: Want, limit: usize) -> Result<Changes> { self.0.changes(mailbox, since, want, limit).await }
        /// #     async fn read(&self, body: &BodyRef, range: Range<u64>) -> Result<Bytes> { self.0.read(body, range).await }
        /// #     async fn stage(&self) -> Result<Box<dyn Stage>> { self.0.stage().await }
        /// #     async fn claim(&self, claim: &Claim) -> Result<Vec<QueueEntry>> { self.0.claim(claim).await }
        /// #     async fn release_claims(&self, owner: u32, now: SystemTime) -> Result<u64> { self.0.release_claims(owner, now).await }
        /// #     async fn clamp_due(&self, latest: SystemTime) -> Result<u64> { self.0.clamp_due(latest).await }
        /// #     async fn queue(&self, after: Option<QueueId>, limit: usize) -> Result<Vec<QueueEntry>> { self.0.queue(after, limit).await }
        /// }
        ///
        /// let store: Box<dyn Store> = Box::new(Counting(Memory::new(), AtomicU64::new(0)));
        /// block_on(store.create_account("alice@example.org"))?;
        /// # Ok::<(), Error>(())
        /// ```
        pub trait Backend: Send + Sync + 'static {
            /// As [`Store::capabilities`].
            fn capabilities(&self) -> Capabilities;
            /// As [`Store::watch`].
            fn watch(&self, scope: Scope) -> Box<dyn Watch>;
            /// As [`Store::health`]. By default all is always well.
            fn health(&self) -> Health {
                Health::default()
            }
            $($(#[$doc])*
            fn $name(&self, $($argument: $kind),*) -> impl Future<Output = Result<$answer>> + Send;)*
        }
    };
}

backend! {
    /// As [`Store::account`].
    account(name: &str) -> Option<Account>;
    /// As [`Store::account_by_id`].
    account_by_id(id: AccountId) -> Option<Account>;
    /// As [`Store::accounts`].
    accounts(after: &str, limit: usize) -> Vec<Account>;
    /// As [`Store::create_account`].
    create_account(name: &str) -> AccountId;
    /// As [`Store::remove_account`].
    remove_account(id: AccountId) -> ();
    /// As [`Store::mailboxes`].
    mailboxes(account: AccountId, since: Option<ModSeq>) -> Mailboxes;
    /// As [`Store::messages`].
    messages(mailbox: MailboxId, which: &Which, want: Want, limit: usize) -> Page<Row>;
    /// As [`Store::changes`].
    changes(mailbox: MailboxId, since: ModSeq, want: Want, limit: usize) -> Changes;
    /// As [`Store::read`].
    read(body: &BodyRef, range: Range<u64>) -> Bytes;
    /// As [`Store::stage`].
    stage() -> Box<dyn Stage>;
    /// As [`Store::commit`].
    commit(transaction: Transaction) -> Committed;
    /// As [`Store::claim`].
    claim(claim: &Claim) -> Vec<QueueEntry>;
    /// As [`Store::release_claims`].
    release_claims(owner: u32, now: SystemTime) -> u64;
    /// As [`Store::clamp_due`].
    clamp_due(latest: SystemTime) -> u64;
    /// As [`Store::queue`].
    queue(after: Option<QueueId>, limit: usize) -> Vec<QueueEntry>;
}

/// How many rows are read at a time for a visitor.
const VISITED: usize = 500;

/// Bodies that are waited for where they are asked for: a visitor cannot await.
struct Awaited<'a, B>(&'a B);

impl<B: Backend> Bodies for Awaited<'_, B> {
    fn read(&mut self, body: &BodyRef, range: Range<u64>) -> Result<Bytes> {
        block_on(Backend::read(self.0, body, range))
    }
}

impl<B: Backend> Store for B {
    fn capabilities(&self) -> Capabilities {
        Backend::capabilities(self)
    }
    fn account<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Account>>> {
        Box::pin(Backend::account(self, name))
    }
    fn account_by_id(&self, id: AccountId) -> BoxFuture<'_, Result<Option<Account>>> {
        Box::pin(Backend::account_by_id(self, id))
    }
    fn accounts<'a>(&'a self, after: &'a str, limit: usize) -> BoxFuture<'a, Result<Vec<Account>>> {
        Box::pin(Backend::accounts(self, after, limit))
    }
    fn create_account<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<AccountId>> {
        Box::pin(Backend::create_account(self, name))
    }
    fn remove_account(&self, id: AccountId) -> BoxFuture<'_, Result<()>> {
        Box::pin(Backend::remove_account(self, id))
    }
    fn mailboxes(
        &self,
        account: AccountId,
        since: Option<ModSeq>,
    ) -> BoxFuture<'_, Result<Mailboxes>> {
        Box::pin(Backend::mailboxes(self, account, since))
    }
    fn messages<'a>(
        &'a self,
        mailbox: MailboxId,
        which: &'a Which,
        want: Want,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page<Row>>> {
        Box::pin(Backend::messages(self, mailbox, which, want, limit))
    }
    fn visit(
        &self,
        mailbox: MailboxId,
        mut which: Which,
        want: Want,
        mut visitor: Visitor,
    ) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            loop {
                let page = Backend::messages(self, mailbox, &which, want, VISITED).await?;
                for row in &page.rows {
                    if !visitor(row, &mut Awaited(self))? {
                        return Ok(());
                    }
                }
                match page.rows.last().filter(|_| page.more) {
                    Some(last) => which = which.behind(last.uid),
                    None => return Ok(()),
                }
            }
        })
    }
    fn changes(
        &self,
        mailbox: MailboxId,
        since: ModSeq,
        want: Want,
        limit: usize,
    ) -> BoxFuture<'_, Result<Changes>> {
        Box::pin(Backend::changes(self, mailbox, since, want, limit))
    }
    fn read<'a>(&'a self, body: &'a BodyRef, range: Range<u64>) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(Backend::read(self, body, range))
    }
    fn stage(&self) -> BoxFuture<'_, Result<Box<dyn Stage>>> {
        Box::pin(Backend::stage(self))
    }
    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Committed>> {
        Box::pin(Backend::commit(self, transaction))
    }
    fn claim<'a>(&'a self, claim: &'a Claim) -> BoxFuture<'a, Result<Vec<QueueEntry>>> {
        Box::pin(Backend::claim(self, claim))
    }
    fn release_claims(&self, owner: u32, now: SystemTime) -> BoxFuture<'_, Result<u64>> {
        Box::pin(Backend::release_claims(self, owner, now))
    }
    fn clamp_due(&self, latest: SystemTime) -> BoxFuture<'_, Result<u64>> {
        Box::pin(Backend::clamp_due(self, latest))
    }
    fn queue(
        &self,
        after: Option<QueueId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<QueueEntry>>> {
        Box::pin(Backend::queue(self, after, limit))
    }
    fn watch(&self, scope: Scope) -> Box<dyn Watch> {
        Backend::watch(self, scope)
    }
    fn health(&self) -> Health {
        Backend::health(self)
    }
}
