//! A store around `Memory` that does everything right but for its faults.

use bytes::Bytes;
use hikyaku_mailstore::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::fault::Fault;

/// What a fault remembers; the memory of a place outlives its stores.
#[derive(Default)]
pub(super) struct Memo {
    /// Counts calls, for what goes wrong every other time.
    pub(super) calls: u64,
    /// A transaction has failed.
    pub(super) failed: bool,
    /// Messages were removed since the last append.
    pub(super) removed_lately: bool,
    pub(super) pages: BTreeMap<String, Page<Row>>,
    pub(super) modified: BTreeMap<(MailboxId, Uid), ModSeq>,
    pub(super) copied: BTreeSet<(MailboxId, Uid)>,
    pub(super) found: BTreeMap<(MailboxId, Bytes), Row>,
    pub(super) named: BTreeMap<(AccountId, String), Option<Mailbox>>,
    pub(super) renamed: BTreeSet<MailboxId>,
    pub(super) expunged: BTreeMap<MailboxId, ModSeq>,
    pub(super) offsets: BTreeMap<MailboxId, u32>,
    pub(super) alias: BTreeMap<MailboxId, MailboxId>,
    pub(super) validities: BTreeMap<(AccountId, String), UidValidity>,
    pub(super) of_names: BTreeMap<String, UidValidity>,
    pub(super) origins: BTreeMap<(AccountId, Bytes), MailboxId>,
    pub(super) removed: BTreeMap<String, Account>,
    pub(super) used: BTreeMap<AccountId, u64>,
    pub(super) into: BTreeMap<AccountId, u64>,
    pub(super) limits: BTreeMap<AccountId, (Option<u64>, Option<u64>)>,
    pub(super) numbers: u64,

    pub(super) staged: BTreeMap<BodyId, Staged>,
    pub(super) committed: BTreeSet<BodyId>,
    pub(super) queued: BTreeSet<BodyId>,
    pub(super) spent: BTreeSet<BodyId>,
    pub(super) freed: BTreeSet<BodyId>,
    pub(super) read: BTreeSet<BodyId>,
    pub(super) last_body: Option<BodyId>,
    pub(super) buffer: Vec<u8>,

    pub(super) entries: Vec<QueueEntry>,
    pub(super) held: BTreeMap<QueueId, QueueEntry>,
    pub(super) released: BTreeMap<QueueId, u64>,
    pub(super) owners: BTreeSet<u32>,
    pub(super) queue_offset: u64,

    pub(super) quiet: BTreeSet<AccountId>,
    pub(super) watchers: BTreeMap<String, u64>,
}

/// How often the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    First,
    Reopened,
    Killed,
}

#[derive(Clone)]
pub(super) struct Faulty {
    pub(super) inner: Arc<Memory>,
    pub(super) faults: Arc<[Fault]>,
    pub(super) memo: Arc<Mutex<Memo>>,
    pub(super) life: Life,
    /// Gone with the store itself; stages only look.
    pub(super) alive: Arc<()>,
}

impl Faulty {
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// Whether the store has this fault, and was opened again.
    pub(super) fn lost(&self, fault: Fault) -> bool {
        self.life != Life::First && self.has(fault)
    }

    pub(super) fn memo(&self) -> MutexGuard<'_, Memo> {
        self.memo.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is every other call.
    pub(super) fn alternates(&self) -> bool {
        let mut memo = self.memo();
        memo.calls += 1;
        memo.calls.is_multiple_of(2)
    }

    /// The inner number of a mailbox.
    pub(super) fn inward(&self, id: MailboxId) -> MailboxId {
        self.memo().alias.get(&id).copied().unwrap_or(id)
    }

    pub(super) fn outward(&self, id: MailboxId) -> MailboxId {
        let memo = self.memo();
        let known = memo.alias.iter().find(|(_, inner)| **inner == id);
        known.map_or(id, |(outer, _)| *outer)
    }

    /// The mailbox of that inner number.
    pub(super) async fn mailbox(&self, id: MailboxId) -> Option<Mailbox> {
        let all = self.inner.mailboxes(id.account, None).await.ok()?;
        all.mailboxes.into_iter().find(|mailbox| mailbox.id == id)
    }

    pub(super) async fn rows(&self, id: MailboxId, uids: UidSet) -> Vec<Row> {
        let which = Which::Uids(uids);
        let page = self.inner.messages(id, &which, Want::ROW, usize::MAX).await;
        page.map_or_else(|_| Vec::new(), |page| page.rows)
    }

    /// The bodies that a row or a queue entry names.
    pub(super) async fn named(&self) -> BTreeSet<BodyId> {
        let mut named = BTreeSet::new();
        for account in self
            .inner
            .accounts("", usize::MAX)
            .await
            .unwrap_or_default()
        {
            let Ok(all) = self.inner.mailboxes(account.id, None).await else {
                continue;
            };
            for mailbox in all.mailboxes {
                let rows = self.rows(mailbox.id, UidSet::all()).await;
                named.extend(rows.into_iter().map(|row| row.body.id));
            }
        }
        let queue = self.inner.queue(None, usize::MAX).await;
        named.extend(queue.unwrap_or_default().iter().map(|entry| entry.body.id));
        named
    }
}

impl Store for Faulty {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(true, !self.has(Fault::AcrossDenied))
    }

    fn account<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Account>>> {
        Box::pin(self.account_named(name))
    }

    fn account_by_id(&self, id: AccountId) -> BoxFuture<'_, Result<Option<Account>>> {
        Box::pin(async move {
            let found = self.inner.account_by_id(id).await?;
            Ok(found.map(|account| self.account_seen(account)))
        })
    }

    fn accounts<'a>(&'a self, after: &'a str, limit: usize) -> BoxFuture<'a, Result<Vec<Account>>> {
        Box::pin(self.listed(after, limit))
    }

    fn create_account<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<AccountId>> {
        Box::pin(self.account_made(name))
    }

    fn remove_account(&self, id: AccountId) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.account_removed(id))
    }

    fn mailboxes(
        &self,
        account: AccountId,
        since: Option<ModSeq>,
    ) -> BoxFuture<'_, Result<Mailboxes>> {
        Box::pin(self.mailboxes_seen(account, since))
    }

    fn mailbox<'a>(
        &'a self,
        account: AccountId,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Mailbox>>> {
        Box::pin(self.mailbox_named(account, name))
    }

    fn find<'a>(
        &'a self,
        account: &'a str,
        mailbox: &'a str,
    ) -> BoxFuture<'a, Result<Option<(Account, Mailbox)>>> {
        Box::pin(self.found(account, mailbox))
    }

    fn messages<'a>(
        &'a self,
        mailbox: MailboxId,
        which: &'a Which,
        want: Want,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page<Row>>> {
        Box::pin(self.page(mailbox, which, want, limit))
    }

    fn visit(
        &self,
        mailbox: MailboxId,
        which: Which,
        want: Want,
        visitor: Visitor,
    ) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.visited(mailbox, which, want, visitor))
    }

    fn changes(
        &self,
        mailbox: MailboxId,
        since: ModSeq,
        want: Want,
        limit: usize,
    ) -> BoxFuture<'_, Result<Changes>> {
        Box::pin(self.changed(mailbox, since, want, limit))
    }

    fn read<'a>(&'a self, body: &'a BodyRef, range: Range<u64>) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(self.octets(body, range))
    }

    fn stage(&self) -> BoxFuture<'_, Result<Box<dyn Stage>>> {
        Box::pin(self.staging())
    }

    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Committed>> {
        let dropped = self.half_when_dropped(&transaction);
        Box::pin(async move {
            let result = self.committed(transaction).await;
            dropped.done();
            result
        })
    }

    fn claim<'a>(&'a self, claim: &'a Claim) -> BoxFuture<'a, Result<Vec<QueueEntry>>> {
        Box::pin(self.claimed(claim))
    }

    fn release_claims(&self, owner: u32, now: SystemTime) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.given_back(owner, now))
    }

    fn clamp_due(&self, latest: SystemTime) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.clamped(latest))
    }

    fn queue(
        &self,
        after: Option<QueueId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<QueueEntry>>> {
        Box::pin(self.queue_seen(after, limit))
    }

    fn queue_length(&self, now: SystemTime) -> BoxFuture<'_, Result<QueueLength>> {
        Box::pin(self.counted(now))
    }

    fn watch(&self, scope: Scope) -> Box<dyn Watch> {
        self.watching(scope)
    }
}
