//! The backend in memory: for tests, for caches, and as the model others are held against.

use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Range};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use crate::Staged;
use crate::backends::engine::{self, apply, changes_page, claimed};
use crate::backends::tables::{AccountRow, Tables};
use crate::contract::store::{Capabilities, Engine, Read, Stager};
use crate::{
    Account, AccountId, Blocking, BodyId, BodyRef, Changes, Claim, Committed, Error, Mailbox,
    MailboxId, Mailboxes, ModSeq, Page, QueueEntry, QueueId, Result, Row, Transaction, Uid, UidSet,
    Want, Which,
};

/// A [`Store`](crate::Store) in memory, for tests and caches. What it holds is gone when it is dropped.
///
/// ```
/// use hikyaku_mailstore::{Memory, Store, block_on};
/// # block_on(async {
/// let store = Memory::new();
/// let alice = store.create_account("alice@example.org").await?;
/// assert_eq!(store.account_by_id(alice).await?.map(|account| account.id), Some(alice));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub type Memory = Blocking<MemoryEngine>;

impl Memory {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Blocking::start(MemoryEngine::default()).unwrap_or_else(|_| unreachable!())
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// How long a body can be read after its last reference.
const GRACE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Person {
    row: Option<AccountRow>,
    name: String,
}

#[derive(Debug, Default)]
struct State {
    accounts: BTreeMap<AccountId, Person>,
    properties: BTreeMap<(AccountId, String), Bytes>,
    mailbox_properties: BTreeMap<(MailboxId, String), Bytes>,
    subscribed: BTreeSet<(AccountId, String)>,
    mailboxes: BTreeMap<MailboxId, Mailbox>,
    rows: BTreeMap<(MailboxId, Uid), Row>,
    gone: BTreeMap<(MailboxId, Uid), ModSeq>,
    origins: BTreeMap<(MailboxId, Bytes), Uid>,
    bodies: BTreeMap<BodyId, Held>,
    queue: BTreeMap<QueueId, QueueEntry>,
    last_account: u64,
    last_queue: u64,
}

#[derive(Debug, Clone)]
struct Held {
    references: u64,
    octets: Bytes,
    summary: Bytes,
    free_since: Option<Instant>,
}

type Undo = Vec<Box<dyn FnOnce(&mut State)>>;

/// The [`Engine`] of [`Memory`], for a backend that wraps it: [`Memory`] itself is a [`Blocking`] around one.
///
/// ```
/// use hikyaku_mailstore::{Blocking, MemoryEngine};
/// let store = Blocking::start(MemoryEngine::default())?;
/// # drop(store);
/// # Ok::<(), hikyaku_mailstore::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct MemoryEngine {
    state: Arc<RwLock<State>>,
    last_body: Arc<AtomicU64>,
}

struct View<'a> {
    state: &'a mut State,
    undo: Undo,
}

impl View<'_> {
    /// Sets or removes one entry of one map, and notes how to undo it.
    fn set<K: Ord + Clone + 'static, V: 'static>(
        &mut self,
        map: fn(&mut State) -> &mut BTreeMap<K, V>,
        key: K,
        value: Option<V>,
    ) {
        let map_of_state = map(self.state);
        let old = match value {
            Some(value) => map_of_state.insert(key.clone(), value),
            None => map_of_state.remove(&key),
        };
        self.undo.push(Box::new(move |state| {
            match old {
                Some(old) => map(state).insert(key, old),
                None => map(state).remove(&key),
            };
        }));
    }

    fn references(&mut self, id: BodyId, change: impl FnOnce(&mut u64)) {
        if let Some(mut held) = self.state.bodies.get(&id).cloned() {
            change(&mut held.references);
            held.free_since = (held.references == 0).then(Instant::now);
            self.set(|s| &mut s.bodies, id, Some(held));
        }
    }
}

impl Tables for View<'_> {
    fn account(&mut self, id: AccountId) -> Result<Option<AccountRow>> {
        Ok(self.state.accounts.get(&id).and_then(|p| p.row.clone()))
    }

    fn put_account(&mut self, row: &AccountRow) -> Result<()> {
        let name = self.state.accounts.get(&row.id).map(|p| p.name.clone());
        let person = Person {
            row: Some(row.clone()),
            name: name.unwrap_or_default(),
        };
        self.set(|s| &mut s.accounts, row.id, Some(person));
        Ok(())
    }

    fn delete_account(&mut self, id: AccountId) -> Result<()> {
        self.set(|s| &mut s.accounts, id, None);
        let properties = self.state.properties.range((id, String::new())..);
        let properties = properties.map(|(key, _)| key.clone());
        for key in properties.take_while(|key| key.0 == id).collect::<Vec<_>>() {
            self.set(|s| &mut s.properties, key, None);
        }
        let subscribed = self.state.subscribed.range((id, String::new())..).cloned();
        let subscribed: Vec<_> = subscribed.take_while(|key| key.0 == id).collect();
        for (account, name) in subscribed {
            self.subscribe(account, &name, false)?;
        }
        Ok(())
    }

    fn mailbox(&mut self, id: MailboxId) -> Result<Option<Mailbox>> {
        Ok(self.state.mailboxes.get(&id).cloned())
    }

    fn mailbox_named(&mut self, account: AccountId, name: &str) -> Result<Option<Mailbox>> {
        let mut all = self.state.mailboxes_of(account);
        Ok(all.find(|m| m.name == name).cloned())
    }

    fn mailboxes_below(&mut self, account: AccountId, prefix: &str) -> Result<Vec<Mailbox>> {
        let all = self.state.mailboxes_of(account);
        Ok(all
            .filter(|m| m.name.starts_with(prefix))
            .cloned()
            .collect())
    }

    fn put_mailbox(&mut self, mailbox: &Mailbox) -> Result<()> {
        self.set(|s| &mut s.mailboxes, mailbox.id, Some(mailbox.clone()));
        Ok(())
    }

    fn delete_mailbox(&mut self, id: MailboxId) -> Result<()> {
        self.set(|s| &mut s.mailboxes, id, None);
        let rows: Vec<_> = self.state.rows.range(whole(id)).map(|(k, _)| *k).collect();
        for key in rows {
            self.set(|s| &mut s.rows, key, None);
        }
        let gone: Vec<_> = self.state.gone.range(whole(id)).map(|(k, _)| *k).collect();
        for key in gone {
            self.set(|s| &mut s.gone, key, None);
        }
        let from = (id, String::new());
        let properties = self.state.mailbox_properties.range(from..);
        let properties = properties.map(|(key, _)| key.clone());
        for key in properties.take_while(|key| key.0 == id).collect::<Vec<_>>() {
            self.set(|s| &mut s.mailbox_properties, key, None);
        }
        let from = Bound::Included((id, Bytes::new()));
        let origins = self.state.origins.range((from, Bound::Unbounded));
        let origins = origins.map(|(key, _)| key.clone());
        for key in origins.take_while(|key| key.0 == id).collect::<Vec<_>>() {
            self.set(|s| &mut s.origins, key, None);
        }
        Ok(())
    }

    fn rows(&mut self, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Row>> {
        Ok(self.state.rows_in(mailbox, uids).cloned().collect())
    }

    fn put_row(&mut self, mailbox: MailboxId, row: &Row, _new: bool) -> Result<()> {
        self.set(|s| &mut s.rows, (mailbox, row.uid), Some(row.clone()));
        Ok(())
    }

    fn delete_row(&mut self, mailbox: MailboxId, uid: Uid, at: ModSeq) -> Result<()> {
        self.set(|s| &mut s.rows, (mailbox, uid), None);
        self.set(|s| &mut s.gone, (mailbox, uid), Some(at));
        Ok(())
    }

    fn forget(&mut self, mailbox: MailboxId, keep: usize) -> Result<Option<ModSeq>> {
        let mut gone: Vec<_> = self.state.gone.range(whole(mailbox)).collect();
        if gone.len() <= keep {
            return Ok(None);
        }
        gone.sort_by_key(|(_, at)| **at);
        gone.truncate(gone.len() - keep);
        let horizon = gone.last().map(|(_, at)| **at);
        let keys: Vec<_> = gone.into_iter().map(|(key, _)| *key).collect();
        for key in keys {
            self.set(|s| &mut s.gone, key, None);
        }
        Ok(horizon)
    }

    fn origin(&mut self, mailbox: MailboxId, origin: &[u8]) -> Result<Option<Uid>> {
        let key = (mailbox, Bytes::copy_from_slice(origin));
        Ok(self.state.origins.get(&key).copied())
    }

    fn put_origin(&mut self, mailbox: MailboxId, origin: &[u8], uid: Uid) -> Result<()> {
        let key = (mailbox, Bytes::copy_from_slice(origin));
        self.set(|s| &mut s.origins, key, Some(uid));
        Ok(())
    }

    fn hold(&mut self, body: &Staged, summary: &Bytes) -> Result<()> {
        if let Some(held) = self.state.bodies.get(&body.body().id) {
            if held.summary.is_empty() && !summary.is_empty() {
                let summary = summary.clone();
                let held = Held {
                    summary,
                    ..held.clone()
                };
                self.set(|s| &mut s.bodies, body.body().id, Some(held));
            }
            return self.hold_again(body.body());
        }
        let held = Held {
            references: 1,
            octets: body.octets().cloned().unwrap_or_default(),
            summary: summary.clone(),
            free_since: None,
        };
        self.set(|s| &mut s.bodies, body.body().id, Some(held));
        Ok(())
    }

    fn hold_again(&mut self, body: BodyRef) -> Result<()> {
        self.references(body.id, |n| *n += 1);
        Ok(())
    }

    fn release(&mut self, body: BodyRef) -> Result<()> {
        self.references(body.id, |n| *n = n.saturating_sub(1));
        Ok(())
    }

    fn subscribe(&mut self, account: AccountId, name: &str, subscribed: bool) -> Result<()> {
        let key = (account, name.to_string());
        let was = self.state.subscribed.contains(&key);
        if subscribed {
            self.state.subscribed.insert(key.clone());
        } else {
            self.state.subscribed.remove(&key);
        }
        self.undo.push(Box::new(move |state| {
            if was {
                state.subscribed.insert(key);
            } else {
                state.subscribed.remove(&key);
            }
        }));
        Ok(())
    }

    fn set_property(&mut self, account: AccountId, key: &str, value: Option<&Bytes>) -> Result<()> {
        let key = (account, key.to_string());
        self.set(|s| &mut s.properties, key, value.cloned());
        Ok(())
    }

    fn set_mailbox_property(
        &mut self,
        mailbox: MailboxId,
        key: &str,
        value: Option<&Bytes>,
    ) -> Result<()> {
        let key = (mailbox, key.to_string());
        self.set(|s| &mut s.mailbox_properties, key, value.cloned());
        Ok(())
    }

    fn enqueue(
        &mut self,
        account: AccountId,
        next_hop: &str,
        body: BodyRef,
        envelope: &Bytes,
        due: SystemTime,
    ) -> Result<QueueId> {
        self.state.last_queue += 1;
        let id = QueueId(self.state.last_queue);
        let entry = QueueEntry {
            id,
            account,
            next_hop: next_hop.to_string(),
            body,
            envelope: envelope.clone(),
            due,
            token: 0,
        };
        self.set(|s| &mut s.queue, id, Some(entry));
        Ok(id)
    }

    fn queued(&mut self, id: QueueId) -> Result<Option<QueueEntry>> {
        Ok(self.state.queue.get(&id).cloned())
    }

    fn queue_of(&mut self, account: AccountId) -> Result<Vec<QueueEntry>> {
        let all = self.state.queue.values();
        Ok(all.filter(|e| e.account == account).cloned().collect())
    }

    fn settle(&mut self, id: QueueId, again: Option<(SystemTime, &Bytes)>) -> Result<()> {
        let entry = self.state.queue.get(&id).cloned();
        let entry = entry.zip(again).map(|(mut entry, (due, envelope))| {
            entry.token = 0;
            entry.due = due;
            entry.envelope = envelope.clone();
            entry
        });
        self.set(|s| &mut s.queue, id, entry);
        Ok(())
    }
}

/// An end of a range of rows.
type End = Bound<(MailboxId, Uid)>;

fn whole(mailbox: MailboxId) -> (End, End) {
    let end =
        |number| Uid::new(number).map_or(Bound::Unbounded, |uid| Bound::Included((mailbox, uid)));
    (end(1), end(u32::MAX))
}

impl State {
    fn mailboxes_of(&self, account: AccountId) -> impl Iterator<Item = &Mailbox> {
        let end = |number| MailboxId { account, number };
        self.mailboxes.range(end(0)..=end(u32::MAX)).map(|(_, m)| m)
    }

    fn rows_in<'a>(
        &'a self,
        mailbox: MailboxId,
        uids: &'a UidSet,
    ) -> impl Iterator<Item = &'a Row> {
        uids.ranges().iter().flat_map(move |&(low, high)| {
            let end =
                |n| Uid::new(n).map_or(Bound::Unbounded, |uid| Bound::Included((mailbox, uid)));
            self.rows.range((end(low), end(high))).map(|(_, row)| row)
        })
    }

    fn view(&mut self) -> View<'_> {
        View {
            state: self,
            undo: Vec::new(),
        }
    }

    /// Runs `work`; undoes what it wrote when it fails.
    fn transact<T>(&mut self, work: impl FnOnce(&mut View<'_>) -> Result<T>) -> Result<T> {
        let mut view = self.view();
        let result = work(&mut view);
        if result.is_err() {
            let undo = view.undo;
            for step in undo.into_iter().rev() {
                step(self);
            }
        }
        result
    }

    fn shown(&self, id: AccountId) -> Option<Account> {
        let person = self.accounts.get(&id)?;
        let row = person.row.as_ref()?;
        let from = (id, String::new());
        let properties = self.properties.range(from..);
        Some(Account {
            id,
            name: person.name.clone(),
            at: row.at,
            quota: row.quota,
            properties: properties
                .take_while(|(key, _)| key.0 == id)
                .map(|(key, value)| (key.1.clone(), value.clone()))
                .collect(),
        })
    }

    fn with_properties(&self, mailbox: &Mailbox) -> Mailbox {
        let from = (mailbox.id, String::new());
        let properties = self.mailbox_properties.range(from..);
        let own = properties.take_while(|(key, _)| key.0 == mailbox.id);
        Mailbox {
            properties: own
                .map(|(key, value)| (key.1.clone(), value.clone()))
                .collect(),
            ..mailbox.clone()
        }
    }

    fn full(&self, row: &Row, want: Want) -> Row {
        let mut row = row.clone();
        if want.contains(Want::SUMMARY)
            && let Some(held) = self.bodies.get(&row.body.id)
        {
            row.summary = held.summary.clone();
        }
        row
    }

    fn at(&self, account: AccountId) -> Result<ModSeq> {
        let row = self.accounts.get(&account).and_then(|p| p.row.as_ref());
        row.map(|row| row.at)
            .ok_or(Error::NoSuchAccount(account.into()))
    }
}

/// The reader of [`Memory`].
#[derive(Debug)]
pub struct MemoryReader(Arc<RwLock<State>>);

impl MemoryReader {
    fn state(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for MemoryReader {
    fn account(&mut self, name: &str) -> Result<Option<Account>> {
        let state = self.state();
        let found = state.accounts.iter().find(|(_, p)| p.name == name);
        Ok(found.and_then(|(id, _)| state.shown(*id)))
    }

    fn account_by_id(&mut self, id: AccountId) -> Result<Option<Account>> {
        Ok(self.state().shown(id))
    }

    fn accounts(&mut self, after: &str, limit: usize) -> Result<Vec<Account>> {
        let state = self.state();
        let mut names: Vec<_> = state
            .accounts
            .iter()
            .map(|(id, p)| (&p.name, *id))
            .collect();
        names.sort();
        let behind = names.into_iter().filter(|(name, _)| name.as_str() > after);
        Ok(behind
            .take(limit)
            .filter_map(|(_, id)| state.shown(id))
            .collect())
    }

    fn mailboxes(&mut self, account: AccountId, since: Option<ModSeq>) -> Result<Mailboxes> {
        let state = self.state();
        let changed = |m: &&Mailbox| since.is_none_or(|since| m.highest > since);
        let mut mailboxes: Vec<_> = state
            .mailboxes_of(account)
            .filter(changed)
            .map(|mailbox| state.with_properties(mailbox))
            .collect();
        mailboxes.sort_by(|a, b| a.name.cmp(&b.name));
        let from = (account, String::new());
        let subscribed = state.subscribed.range(from..);
        Ok(Mailboxes {
            at: state.at(account)?,
            mailboxes,
            subscribed: subscribed
                .take_while(|key| key.0 == account)
                .map(|key| key.1.clone())
                .collect(),
        })
    }

    fn mailbox(&mut self, account: AccountId, name: &str) -> Result<Option<Mailbox>> {
        let state = self.state();
        state.at(account)?;
        let found = state.mailboxes_of(account).find(|one| one.name == name);
        Ok(found.map(|mailbox| state.with_properties(mailbox)))
    }

    fn messages(
        &mut self,
        mailbox: MailboxId,
        which: &Which,
        want: Want,
        limit: usize,
    ) -> Result<Page<Row>> {
        let state = self.state();
        if !state.mailboxes.contains_key(&mailbox) {
            return Err(Error::NoSuchMailbox(mailbox.into()));
        }
        let full = |row: &Row| state.full(row, want);
        let from = |low| UidSet::from_ranges([(low, u32::MAX)]);
        let mut rows: Vec<Row> = match which {
            Which::Uids(uids) => state
                .rows_in(mailbox, uids)
                .take(limit.saturating_add(1))
                .map(full)
                .collect(),
            Which::After(uid) => {
                let uids = uid.map_or_else(UidSet::all, |uid| from(uid.get().saturating_add(1)));
                state
                    .rows_in(mailbox, &uids)
                    .take(limit.saturating_add(1))
                    .map(full)
                    .collect()
            }
            Which::NewestBefore(uid) => {
                let below = uid.map_or(u32::MAX, |uid| uid.get() - 1);
                let rows = state.rows.range(whole(mailbox)).map(|(_, row)| row).rev();
                let rows = rows.filter(|row| row.uid.get() <= below);
                rows.take(limit.saturating_add(1)).map(full).collect()
            }
            Which::Origin(origin) => {
                let uid = state.origins.get(&(mailbox, origin.clone()));
                let row = uid.and_then(|uid| state.rows.get(&(mailbox, *uid)));
                row.map(full).into_iter().collect()
            }
        };
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok(Page {
            at: state.at(mailbox.account)?,
            rows,
            more,
        })
    }

    fn changes(
        &mut self,
        mailbox: MailboxId,
        since: ModSeq,
        want: Want,
        limit: usize,
    ) -> Result<Changes> {
        let state = self.state();
        let found = state
            .mailboxes
            .get(&mailbox)
            .ok_or(Error::NoSuchMailbox(mailbox.into()))?;
        if since < found.horizon {
            return Ok(Changes::TooOld {
                horizon: found.horizon,
            });
        }
        let rows = state.rows.range(whole(mailbox)).map(|(_, row)| row);
        let rows = rows.filter(|row| row.modified > since);
        let gone = state
            .gone
            .range(whole(mailbox))
            .map(|((_, uid), at)| (*uid, *at));
        Ok(changes_page(
            state.at(mailbox.account)?,
            rows.map(|row| state.full(row, want)).collect(),
            gone.filter(|(_, at)| *at > since).collect(),
            limit,
        ))
    }

    fn read(&mut self, body: &BodyRef, range: Range<u64>) -> Result<Bytes> {
        let state = self.state();
        let held = state
            .bodies
            .get(&body.id)
            .ok_or(Error::Damaged("the body is gone", body.id.into()))?;
        let end = |n: u64| {
            usize::try_from(n)
                .unwrap_or(usize::MAX)
                .min(held.octets.len())
        };
        let high = end(range.end);
        Ok(held.octets.slice(end(range.start).min(high)..high))
    }

    fn queue(&mut self, after: Option<QueueId>, limit: usize) -> Result<Vec<QueueEntry>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.state();
        let behind = state.queue.range((from, Bound::Unbounded));
        Ok(behind.take(limit).map(|(_, entry)| entry.clone()).collect())
    }
}

/// The stager of [`Memory`].
#[derive(Debug)]
pub struct MemoryStager(Arc<AtomicU64>);

impl Stager for MemoryStager {
    type Part = std::convert::Infallible;

    fn small_limit(&self) -> usize {
        usize::MAX
    }

    fn small(&self, octets: Bytes) -> Staged {
        Staged::in_memory(BodyId(self.0.fetch_add(1, Ordering::Relaxed) + 1), octets)
    }

    fn begin(&self) -> Result<Self::Part> {
        Err(Error::Limit("a body in memory"))
    }

    fn write(&self, part: &mut Self::Part, _octets: &[u8]) -> Result<()> {
        match *part {}
    }

    fn finish(&self, part: Self::Part) -> Result<Staged> {
        match part {}
    }
}

impl MemoryEngine {
    fn state(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for MemoryEngine {
    type Reader = MemoryReader;
    type Stager = MemoryStager;

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(false, true)
    }

    fn reader(&self) -> Result<MemoryReader> {
        let mut state = self.state();
        // The account that owns what the server itself queues.
        state.accounts.entry(AccountId::SYSTEM).or_insert(Person {
            row: Some(AccountRow::new(AccountId::SYSTEM)),
            name: String::new(),
        });
        Ok(MemoryReader(Arc::clone(&self.state)))
    }

    fn stager(&self) -> MemoryStager {
        MemoryStager(Arc::clone(&self.last_body))
    }

    fn commit(&mut self, batch: &[Transaction]) -> Vec<Result<Committed>> {
        let mut state = self.state();
        let each = batch.iter();
        each.map(|t| state.transact(|view| apply(view, t)))
            .collect()
    }

    fn create_account(&mut self, name: &str) -> Result<AccountId> {
        let mut state = self.state();
        if name.is_empty() || state.accounts.values().any(|p| p.name == name) {
            return Err(Error::AlreadyExists(name.into()));
        }
        state.last_account += 1;
        let id = AccountId(state.last_account);
        let person = Person {
            row: None,
            name: name.to_string(),
        };
        state.accounts.insert(id, person);
        let made = state.transact(|view| engine::add_account(view, id));
        if made.is_err() {
            state.accounts.remove(&id);
        }
        made.map(|()| id)
    }

    fn remove_account(&mut self, id: AccountId) -> Result<()> {
        self.state()
            .transact(|view| engine::remove_account(view, id))
    }

    fn claim(&mut self, claim: &Claim) -> Result<Vec<QueueEntry>> {
        let mut state = self.state();
        let due = state
            .queue
            .values()
            .filter(|entry| entry.may_be_claimed(claim));
        let mut due: Vec<&QueueEntry> = due.collect();
        due.sort_unstable_by_key(|entry| (entry.due, entry.id));
        let claimed = claimed(due.into_iter().cloned(), claim)?;
        for entry in &claimed {
            state.queue.insert(entry.id, entry.clone());
        }
        Ok(claimed)
    }

    fn release_claims(&mut self, owner: u32, now: SystemTime) -> Result<u64> {
        let mut released = 0;
        for entry in self.state().queue.values_mut() {
            if entry.is_held_by(owner) {
                (entry.token, entry.due) = (0, now);
                released += 1;
            }
        }
        Ok(released)
    }

    fn clamp_due(&mut self, latest: SystemTime) -> Result<u64> {
        let mut clamped = 0;
        for entry in self.state().queue.values_mut() {
            if entry.due > latest && !entry.is_parked() {
                entry.due = latest;
                clamped += 1;
            }
        }
        Ok(clamped)
    }

    fn tidy(&mut self) -> Result<()> {
        let over = |held: &Held| held.free_since.is_some_and(|since| since.elapsed() > GRACE);
        self.state().bodies.retain(|_, held| !over(held));
        Ok(())
    }
}
