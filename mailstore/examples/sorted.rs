//! A backend of one's own: an [`Engine`] over sorted maps, which leaves the meaning of mail to
//! [`engine::apply`].
//!
//! Who has a database writes the same: [`Tables`] over its rows within one of its transactions, an [`Engine`]
//! that begins and ends them, and a reader beside it. Here a transaction works on a copy of all the maps, which
//! takes the place of the old ones when it succeeds: simple, and slow with much mail. Nothing is kept when the program
//! ends, and so `durable` is not claimed.
//!
//! `cargo run -p hikyaku-mailstore --example sorted` shows it at work; the conformance suite holds it to
//! the contract in `tests/store.rs`.

use bytes::Bytes;
use hikyaku_mailstore::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

/// How long a body can be read after nothing names it any more.
const GRACE: Duration = Duration::from_secs(60);

/// All that is stored.
#[derive(Debug, Clone, Default)]
struct Maps {
    names: BTreeMap<String, AccountId>,
    accounts: BTreeMap<AccountId, AccountRow>,
    properties: BTreeMap<(AccountId, String), Bytes>,
    subscribed: BTreeSet<(AccountId, String)>,
    mailboxes: BTreeMap<MailboxId, Mailbox>,
    rows: BTreeMap<(MailboxId, u32), Row>,
    gone: BTreeMap<(MailboxId, u32), ModSeq>,
    origins: BTreeMap<(MailboxId, Bytes), Uid>,
    bodies: BTreeMap<BodyId, Body>,
    queue: BTreeMap<QueueId, QueueEntry>,
    last_account: u64,
    last_entry: u64,
}

#[derive(Debug, Clone)]
struct Body {
    octets: Bytes,
    summary: Bytes,
    references: u64,
    free_since: Option<Instant>,
}

/// What [`engine::apply`] works with: rows by key. It knows nothing of counters, quota or flags.
impl Tables for Maps {
    fn account(&mut self, id: AccountId) -> Result<Option<AccountRow>> {
        Ok(self.accounts.get(&id).cloned())
    }

    fn put_account(&mut self, row: &AccountRow) -> Result<()> {
        self.accounts.insert(row.id, row.clone());
        Ok(())
    }

    fn delete_account(&mut self, id: AccountId) -> Result<()> {
        self.accounts.remove(&id);
        self.names.retain(|_, owner| *owner != id);
        self.properties.retain(|(owner, _), _| *owner != id);
        self.subscribed.retain(|(owner, _)| *owner != id);
        Ok(())
    }

    fn mailbox(&mut self, id: MailboxId) -> Result<Option<Mailbox>> {
        Ok(self.mailboxes.get(&id).cloned())
    }

    fn mailbox_named(&mut self, account: AccountId, name: &str) -> Result<Option<Mailbox>> {
        let mut all = self.of_account(account);
        Ok(all.find(|mailbox| mailbox.name == name).cloned())
    }

    fn mailboxes_below(&mut self, account: AccountId, prefix: &str) -> Result<Vec<Mailbox>> {
        let all = self.of_account(account);
        let below = all.filter(|mailbox| mailbox.name.starts_with(prefix));
        Ok(below.cloned().collect())
    }

    fn put_mailbox(&mut self, mailbox: &Mailbox) -> Result<()> {
        let mut mailbox = mailbox.clone();
        if let Some(old) = self.mailboxes.get(&mailbox.id) {
            mailbox.properties = old.properties.clone();
        }
        self.mailboxes.insert(mailbox.id, mailbox);
        Ok(())
    }

    fn delete_mailbox(&mut self, id: MailboxId) -> Result<()> {
        self.mailboxes.remove(&id);
        self.rows.retain(|(mailbox, _), _| *mailbox != id);
        self.gone.retain(|(mailbox, _), _| *mailbox != id);
        self.origins.retain(|(mailbox, _), _| *mailbox != id);
        Ok(())
    }

    fn rows(&mut self, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Row>> {
        Ok(self.named(mailbox, uids).cloned().collect())
    }

    fn put_row(&mut self, mailbox: MailboxId, row: &Row, _new: bool) -> Result<()> {
        self.rows.insert((mailbox, row.uid.get()), row.clone());
        Ok(())
    }

    fn delete_row(&mut self, mailbox: MailboxId, uid: Uid, at: ModSeq) -> Result<()> {
        self.rows.remove(&(mailbox, uid.get()));
        self.gone.insert((mailbox, uid.get()), at);
        Ok(())
    }

    fn forget(&mut self, mailbox: MailboxId, keep: usize) -> Result<Option<ModSeq>> {
        let of_mailbox = self.gone.range(whole(mailbox));
        let mut times: Vec<ModSeq> = of_mailbox.map(|(_, at)| *at).collect();
        times.sort_unstable();
        let Some(horizon) = times.len().checked_sub(keep + 1) else {
            return Ok(None);
        };
        let horizon = times.get(horizon).copied();
        let forgotten = |at: &ModSeq| horizon.is_some_and(|horizon| *at <= horizon);
        self.gone
            .retain(|(other, _), at| *other != mailbox || !forgotten(at));
        Ok(horizon)
    }

    fn origin(&mut self, mailbox: MailboxId, origin: &[u8]) -> Result<Option<Uid>> {
        let key = (mailbox, Bytes::copy_from_slice(origin));
        Ok(self.origins.get(&key).copied())
    }

    fn put_origin(&mut self, mailbox: MailboxId, origin: &[u8], uid: Uid) -> Result<()> {
        let key = (mailbox, Bytes::copy_from_slice(origin));
        self.origins.insert(key, uid);
        Ok(())
    }

    fn hold(&mut self, staged: &Staged, summary: &Bytes) -> Result<()> {
        let body = self.bodies.entry(staged.body().id).or_insert_with(|| Body {
            octets: staged.octets().cloned().unwrap_or_default(),
            summary: Bytes::new(),
            references: 0,
            free_since: None,
        });
        if body.summary.is_empty() {
            body.summary = summary.clone();
        }
        self.hold_again(staged.body())
    }

    fn hold_again(&mut self, body: BodyRef) -> Result<()> {
        if let Some(body) = self.bodies.get_mut(&body.id) {
            body.references += 1;
            body.free_since = None;
        }
        Ok(())
    }

    fn release(&mut self, body: BodyRef) -> Result<()> {
        if let Some(body) = self.bodies.get_mut(&body.id) {
            body.references = body.references.saturating_sub(1);
            body.free_since = (body.references == 0).then(Instant::now);
        }
        Ok(())
    }

    fn subscribe(&mut self, account: AccountId, name: &str, subscribed: bool) -> Result<()> {
        let key = (account, name.to_owned());
        match subscribed {
            true => self.subscribed.insert(key),
            false => self.subscribed.remove(&key),
        };
        Ok(())
    }

    fn set_property(&mut self, account: AccountId, key: &str, value: Option<&Bytes>) -> Result<()> {
        set(&mut self.properties, (account, key.to_owned()), value);
        Ok(())
    }

    fn set_mailbox_property(
        &mut self,
        mailbox: MailboxId,
        key: &str,
        value: Option<&Bytes>,
    ) -> Result<()> {
        if let Some(mailbox) = self.mailboxes.get_mut(&mailbox) {
            set(&mut mailbox.properties, key.to_owned(), value);
        }
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
        self.last_entry += 1;
        let id = QueueId(self.last_entry);
        let mut entry = QueueEntry::new(id, account, next_hop.to_owned(), body, due);
        entry.envelope = envelope.clone();
        self.queue.insert(id, entry);
        Ok(id)
    }

    fn queued(&mut self, id: QueueId) -> Result<Option<QueueEntry>> {
        Ok(self.queue.get(&id).cloned())
    }

    fn queue_of(&mut self, account: AccountId) -> Result<Vec<QueueEntry>> {
        let all = self.queue.values();
        Ok(all.filter(|e| e.account == account).cloned().collect())
    }

    fn settle(&mut self, id: QueueId, again: Option<(SystemTime, &Bytes)>) -> Result<()> {
        match (again, self.queue.get_mut(&id)) {
            (Some((due, envelope)), Some(entry)) => {
                (entry.token, entry.due) = (0, due);
                entry.envelope = envelope.clone();
            }
            _ => drop(self.queue.remove(&id)),
        }
        Ok(())
    }
}

fn set<K: Ord>(map: &mut BTreeMap<K, Bytes>, key: K, value: Option<&Bytes>) {
    match value {
        Some(value) => map.insert(key, value.clone()),
        None => map.remove(&key),
    };
}

/// The keys of all rows of a mailbox.
fn whole(mailbox: MailboxId) -> std::ops::RangeInclusive<(MailboxId, u32)> {
    (mailbox, 0)..=(mailbox, u32::MAX)
}

impl Maps {
    fn of_account(&self, account: AccountId) -> impl Iterator<Item = &Mailbox> {
        let all = self.mailboxes.values();
        all.filter(move |mailbox| mailbox.id.account == account)
    }

    /// The rows of those UIDs, ascending.
    fn named<'a>(&'a self, id: MailboxId, uids: &'a UidSet) -> impl Iterator<Item = &'a Row> {
        let ranges = uids.ranges().iter();
        ranges.flat_map(move |&(low, high)| {
            let rows = self.rows.range((id, low)..=(id, high));
            rows.map(|(_, row)| row)
        })
    }

    fn account_of(&self, name: &str, id: AccountId) -> Option<Account> {
        let row = self.accounts.get(&id)?;
        let mut account = Account::new(id, name.to_owned());
        (account.at, account.quota) = (row.at, row.quota);
        let own = self
            .properties
            .iter()
            .filter(|((owner, _), _)| *owner == id);
        account.properties = own
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect();
        Some(account)
    }

    fn at(&self, id: AccountId) -> Result<ModSeq> {
        let row = self.accounts.get(&id);
        row.map(|row| row.at).ok_or(Error::NoSuchAccount(id.into()))
    }

    /// A row with what was asked for.
    fn full(&self, row: &Row, want: Want) -> Row {
        let mut row = row.clone();
        if want.contains(Want::SUMMARY) {
            let body = self.bodies.get(&row.body.id);
            row.summary = body.map(|body| body.summary.clone()).unwrap_or_default();
        }
        row
    }
}

/// The maps as they are: readers take the whole of them, the writer puts others in their place.
type Shared = Arc<RwLock<Arc<Maps>>>;

fn now(shared: &Shared) -> Arc<Maps> {
    Arc::clone(&shared.read().unwrap_or_else(PoisonError::into_inner))
}

/// The writer.
#[derive(Debug)]
pub struct Sorted {
    shared: Shared,
    last_body: Arc<AtomicU64>,
}

impl Default for Sorted {
    fn default() -> Self {
        let mut maps = Maps::default();
        let system = AccountRow::new(AccountId::SYSTEM);
        maps.accounts.insert(system.id, system);
        Self {
            shared: Arc::new(RwLock::new(Arc::new(maps))),
            last_body: Arc::default(),
        }
    }
}

impl Sorted {
    /// Makes those maps the present ones: readers see them from here on. A backend that keeps its rows makes them
    /// durable before, with one flush, since its callers are answered next.
    fn publish(&mut self, maps: Maps) {
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        *shared = Arc::new(maps);
    }

    /// Does all of a change or nothing.
    fn change<T>(&mut self, work: impl FnOnce(&mut Maps) -> Result<T>) -> Result<T> {
        let mut maps = Maps::clone(&now(&self.shared));
        let done = work(&mut maps)?;
        self.publish(maps);
        Ok(done)
    }
}

impl Engine for Sorted {
    type Reader = Reader;
    type Stager = Numbers;

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(false, true)
    }

    fn reader(&self) -> Result<Reader> {
        Ok(Reader(Arc::clone(&self.shared)))
    }

    fn stager(&self) -> Numbers {
        Numbers(Arc::clone(&self.last_body))
    }

    fn commit(&mut self, batch: &[Transaction]) -> Vec<Result<Committed>> {
        let mut maps = Maps::clone(&now(&self.shared));
        let mut results = Vec::new();
        for transaction in batch {
            // What one that fails wrote goes with its copy; the others stay.
            let mut next = maps.clone();
            let result = engine::apply(&mut next, transaction);
            if result.is_ok() {
                maps = next;
            }
            results.push(result);
        }
        self.publish(maps);
        results
    }

    fn create_account(&mut self, name: &str) -> Result<AccountId> {
        self.change(|maps| {
            if name.is_empty() || maps.names.contains_key(name) {
                return Err(Error::AlreadyExists(name.into()));
            }
            maps.last_account += 1;
            let id = AccountId(maps.last_account);
            maps.names.insert(name.to_owned(), id);
            engine::add_account(maps, id)?;
            Ok(id)
        })
    }

    fn remove_account(&mut self, id: AccountId) -> Result<()> {
        self.change(|maps| engine::remove_account(maps, id))
    }

    fn claim(&mut self, claim: &Claim) -> Result<Vec<QueueEntry>> {
        self.change(|maps| {
            let due = maps
                .queue
                .values()
                .filter(|entry| entry.may_be_claimed(claim));
            let mut due: Vec<_> = due.cloned().collect();
            due.sort_by_key(|entry| (entry.due, entry.id));
            let claimed = engine::claimed(due, claim)?;
            let entries = claimed.iter().cloned();
            maps.queue.extend(entries.map(|entry| (entry.id, entry)));
            Ok(claimed)
        })
    }

    fn release_claims(&mut self, owner: u32, now: SystemTime) -> Result<u64> {
        self.change(|maps| {
            let all = maps.queue.values_mut();
            let held = all.filter(|entry| entry.is_held_by(owner));
            Ok(held
                .map(|entry| (entry.token, entry.due) = (0, now))
                .count() as u64)
        })
    }

    fn clamp_due(&mut self, latest: SystemTime) -> Result<u64> {
        self.change(|maps| {
            let late = |entry: &&mut QueueEntry| entry.due > latest && !entry.is_parked();
            let late = maps.queue.values_mut().filter(late);
            Ok(late.map(|entry| entry.due = latest).count() as u64)
        })
    }

    fn tidy(&mut self) -> Result<()> {
        self.change(|maps| {
            let over = |since: Instant| since.elapsed() > GRACE;
            maps.bodies
                .retain(|_, body| !body.free_since.is_some_and(over));
            Ok(())
        })
    }
}

/// Numbers for bodies, which stay in memory until they are committed, whatever their size.
#[derive(Debug)]
pub struct Numbers(Arc<AtomicU64>);

impl Stager for Numbers {
    type Part = std::convert::Infallible;

    fn small_limit(&self) -> usize {
        usize::MAX
    }

    fn small(&self, octets: Bytes) -> Staged {
        let last = self.0.fetch_add(1, Ordering::Relaxed);
        Staged::in_memory(BodyId(last + 1), octets)
    }

    fn begin(&self) -> Result<Self::Part> {
        Err(Error::Limit("a body in memory"))
    }

    fn write(&self, part: &mut Self::Part, _: &[u8]) -> Result<()> {
        match *part {}
    }

    fn finish(&self, part: Self::Part) -> Result<Staged> {
        match part {}
    }
}

/// One of those who read beside the writer.
#[derive(Debug)]
pub struct Reader(Shared);

impl Read for Reader {
    fn account(&mut self, name: &str) -> Result<Option<Account>> {
        let maps = now(&self.0);
        let id = maps.names.get(name);
        Ok(id.and_then(|id| maps.account_of(name, *id)))
    }

    fn account_by_id(&mut self, id: AccountId) -> Result<Option<Account>> {
        let maps = now(&self.0);
        let found = maps.names.iter().find(|(_, owner)| **owner == id);
        Ok(found.and_then(|(name, id)| maps.account_of(name, *id)))
    }

    fn accounts(&mut self, after: &str, limit: usize) -> Result<Vec<Account>> {
        let maps = now(&self.0);
        let behind = maps.names.iter().filter(|(name, _)| name.as_str() > after);
        let accounts = behind.filter_map(|(name, id)| maps.account_of(name, *id));
        Ok(accounts.take(limit).collect())
    }

    fn mailboxes(&mut self, account: AccountId, since: Option<ModSeq>) -> Result<Mailboxes> {
        let maps = now(&self.0);
        let all = maps.of_account(account);
        let changed = all.filter(|mailbox| since.is_none_or(|since| mailbox.highest > since));
        let mut mailboxes: Vec<_> = changed.cloned().collect();
        mailboxes.sort_by(|one, other| one.name.cmp(&other.name));
        let subscribed = maps
            .subscribed
            .iter()
            .filter(|(owner, _)| *owner == account);
        Ok(Mailboxes {
            at: maps.at(account)?,
            mailboxes,
            subscribed: subscribed.map(|(_, name)| name.clone()).collect(),
        })
    }

    fn messages(
        &mut self,
        mailbox: MailboxId,
        which: &Which,
        want: Want,
        limit: usize,
    ) -> Result<Page<Row>> {
        let maps = now(&self.0);
        if !maps.mailboxes.contains_key(&mailbox) {
            return Err(Error::NoSuchMailbox(mailbox.into()));
        }
        let rows = |from, to| {
            maps.rows
                .range((mailbox, from)..(mailbox, to))
                .map(|(_, row)| row)
        };
        let most = limit.saturating_add(1);
        let found: Vec<&Row> = match which {
            Which::Uids(uids) => maps.named(mailbox, uids).take(most).collect(),
            Which::After(uid) => {
                let from = uid.map_or(0, |uid| uid.get().saturating_add(1));
                rows(from, u32::MAX).take(most).collect()
            }
            Which::NewestBefore(uid) => {
                let to = uid.map_or(u32::MAX, Uid::get);
                rows(0, to).rev().take(most).collect()
            }
            Which::Origin(origin) => {
                let uid = maps.origins.get(&(mailbox, origin.clone()));
                let row = uid.and_then(|uid| maps.rows.get(&(mailbox, uid.get())));
                row.into_iter().collect()
            }
            // What comes later is asked of nobody yet.
            _ => Vec::new(),
        };
        let shown = found.iter().take(limit);
        Ok(Page {
            at: maps.at(mailbox.account)?,
            rows: shown.map(|row| maps.full(row, want)).collect(),
            more: found.len() > limit,
        })
    }

    fn changes(
        &mut self,
        mailbox: MailboxId,
        since: ModSeq,
        want: Want,
        limit: usize,
    ) -> Result<Changes> {
        let maps = now(&self.0);
        let found = maps
            .mailboxes
            .get(&mailbox)
            .ok_or(Error::NoSuchMailbox(mailbox.into()))?;
        let horizon = found.horizon;
        if since < horizon {
            return Ok(Changes::TooOld { horizon });
        }
        let rows = maps.rows.range(whole(mailbox)).map(|(_, row)| row);
        let rows = rows.filter(|row| row.modified > since);
        let rows = rows.map(|row| maps.full(row, want)).collect();
        let gone = maps
            .gone
            .range(whole(mailbox))
            .filter(|(_, at)| **at > since);
        let gone = gone.filter_map(|((_, uid), at)| Some((Uid::new(*uid)?, *at)));
        let at = maps.at(mailbox.account)?;
        Ok(engine::changes_page(at, rows, gone.collect(), limit))
    }

    fn read(&mut self, body: &BodyRef, range: Range<u64>) -> Result<Bytes> {
        let maps = now(&self.0);
        let body = maps.bodies.get(&body.id);
        let octets = &body
            .ok_or(Error::Damaged("the body is gone", About::Nothing))?
            .octets;
        let within = |at: u64| usize::try_from(at).map_or(octets.len(), |at| at.min(octets.len()));
        let (from, to) = (within(range.start), within(range.end));
        Ok(octets.slice(from.min(to)..to))
    }

    fn queue(&mut self, after: Option<QueueId>, limit: usize) -> Result<Vec<QueueEntry>> {
        let maps = now(&self.0);
        let behind = maps.queue.values().filter(|entry| Some(entry.id) > after);
        Ok(behind.take(limit).cloned().collect())
    }
}

fn main() -> Result<()> {
    let store: Arc<dyn Store> = Arc::new(Blocking::start(Sorted::default())?);
    let account = block_on(store.create_account("alice@example.test"))?;
    let inbox = block_on(store.mailboxes(account, None))?
        .mailboxes
        .remove(0);
    let mut watch = store.watch(Scope::Account(account));
    for text in ["Subject: one\r\n\r\n", "Subject: two\r\n\r\n"] {
        let mut stage = block_on(store.stage())?;
        block_on(stage.write(Bytes::from_static(text.as_bytes())))?;
        let append = Append::new(inbox.id, block_on(stage.finish())?, (1_700_000_000, 0));
        let append = Operation::Append(Box::new(append));
        block_on(store.commit(Transaction::new(account).with(append)))?;
    }
    block_on(watch.changed());
    let page = block_on(store.messages(inbox.id, &Which::After(None), Want::ROW, 10))?;
    for row in &page.rows {
        let octets = block_on(store.read(&row.body, 0..u64::MAX))?;
        println!("UID {}: {:?}", row.uid, octets);
    }
    Ok(())
}
