//! The rows of the mailboxes that were used last, in memory, for callers that often read all of a mailbox.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::contract::visit::{in_one, parts};
use crate::questions::join;
use crate::{Changes, Error, MailboxId, ModSeq, Result, Row, Store, Uid, UidSet, Want, Which};

/// How many rows or changes are read at a time.
const PAGE: usize = 5000;

/// Rows, kept right by [`Store::changes`]: before each answer the store is asked for what came since, so
/// that an answer is never older than one of the store's own.
///
/// ```
/// use hikyaku_mailstore::{Memory, RowCache, Store as _, block_on};
/// let store = Memory::new();
/// let account = block_on(store.create_account("alice@example.test")).unwrap();
/// let inbox = block_on(store.mailboxes(account, None)).unwrap().mailboxes[0].id;
/// let cache = RowCache::new(100_000);
/// assert!(block_on(cache.rows(&store, inbox)).unwrap().rows.is_empty());
/// ```
#[derive(Debug)]
pub struct RowCache {
    most: usize,
    kept: Mutex<Kept>,
}

/// All rows of a mailbox.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "backends make it")]
pub struct Rows {
    /// The state they are true at.
    pub at: ModSeq,
    /// Ascending by UID, without summaries.
    pub rows: Arc<Vec<Row>>,
}

#[derive(Debug, Default)]
struct Kept {
    mailboxes: HashMap<MailboxId, (Rows, u64)>,
    /// Counts the uses, so that the oldest is known.
    clock: u64,
}

impl RowCache {
    /// Creates a cache of at most `most` rows; each costs about 130 octets.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            kept: Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns all rows of a mailbox, as they are now.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn rows(&self, store: &dyn Store, mailbox: MailboxId) -> Result<Rows> {
        let known = self
            .kept()
            .mailboxes
            .get(&mailbox)
            .map(|(rows, _)| rows.clone());
        let now = match known {
            Some(known) => updated(store, mailbox, known).await,
            None => read(store, mailbox).await,
        };
        match &now {
            Ok(now) => self.keep(mailbox, now),
            Err(Error::NoSuchMailbox(_) | Error::NoSuchAccount(_)) => {
                self.kept().mailboxes.remove(&mailbox);
            }
            Err(_) => {}
        }
        now
    }

    fn keep(&self, mailbox: MailboxId, rows: &Rows) {
        let mut kept = self.kept();
        // What has no room pushes nothing else out.
        if rows.rows.len() > self.most {
            kept.mailboxes.remove(&mailbox);
            return;
        }
        kept.clock += 1;
        let clock = kept.clock;
        let newer = |(known, _): &(Rows, u64)| known.at > rows.at;
        match kept
            .mailboxes
            .get_mut(&mailbox)
            .filter(|known| newer(known))
        {
            Some((_, used)) => *used = clock,
            None => drop(kept.mailboxes.insert(mailbox, (rows.clone(), clock))),
        }
        let count = |kept: &Kept| -> usize {
            kept.mailboxes
                .values()
                // An empty one costs its place.
                .map(|(rows, _)| rows.rows.len().max(1))
                .sum()
        };
        while count(&kept) > self.most {
            let oldest = kept.mailboxes.iter().min_by_key(|(_, (_, used))| *used);
            let Some(&oldest) = oldest.map(|(id, _)| id) else {
                return;
            };
            kept.mailboxes.remove(&oldest);
        }
    }
}

/// Several at a time; what changes meanwhile is reported afterwards.
async fn read(store: &dyn Store, mailbox: MailboxId) -> Result<Rows> {
    let newest = Which::NewestBefore(None);
    let at = store.messages(mailbox, &newest, Want::ROW, 1).await?.at;
    let parts = parts(store, mailbox, &UidSet::all()).await?;
    let read = parts.into_iter().map(|uids| part(store, mailbox, uids));
    let rows = Arc::new(in_one(join::all(read).await?));
    updated(store, mailbox, Rows { at, rows }).await
}

/// How many rows are read at a time: not so few that beginning anew costs much.
const READ: usize = 64_000;

async fn part(store: &dyn Store, mailbox: MailboxId, mut uids: UidSet) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    loop {
        let which = Which::Uids(uids);
        let mut page = store.messages(mailbox, &which, Want::ROW, READ).await?;
        match rows.is_empty() {
            true => rows = page.rows,
            false => rows.append(&mut page.rows),
        }
        let Which::Uids(asked) = which else {
            return Ok(rows);
        };
        match rows.last() {
            Some(last) if page.more => uids = asked.above(last.uid),
            _ => return Ok(rows),
        }
    }
}

async fn updated(store: &dyn Store, mailbox: MailboxId, mut known: Rows) -> Result<Rows> {
    loop {
        match store.changes(mailbox, known.at, Want::ROW, PAGE).await? {
            Changes::Known { at, rows, vanished } => {
                let more = rows.len() >= PAGE && at > known.at;
                known.at = at;
                if !rows.is_empty() || !vanished.is_empty() {
                    apply(Arc::make_mut(&mut known.rows), rows, &vanished);
                }
                if !more {
                    return Ok(known);
                }
            }
            Changes::TooOld { .. } => return Box::pin(read(store, mailbox)).await,
        }
    }
}

fn apply(rows: &mut Vec<Row>, changed: Vec<Row>, vanished: &UidSet) {
    if !vanished.is_empty() {
        rows.retain(|row| !vanished.contains(row.uid));
    }
    let last = rows.last().map_or(0, |row| row.uid.get());
    let mut late = false;
    for row in changed {
        match rows.binary_search_by_key(&row.uid, |known| known.uid) {
            Ok(at) => {
                if let Some(place) = rows.get_mut(at) {
                    *place = row;
                }
            }
            Err(_) => {
                late |= row.uid < Uid::new(last).unwrap_or(row.uid);
                rows.push(row);
            }
        }
    }
    if late {
        rows.sort_by_key(|row| row.uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Append, FlagChange, Flags, Memory, Operation, Transaction, block_on};
    use bytes::Bytes;

    #[test]
    fn what_is_kept_is_what_there_is() {
        let store = Memory::new();
        let account = block_on(store.create_account("a")).unwrap();
        let inbox = block_on(store.mailboxes(account, None)).unwrap().mailboxes[0].id;
        let cache = RowCache::new(50);
        let mut seed = 7_u32;
        let mut dice = |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % below
        };
        for _ in 0..200 {
            let uids: UidSet = (0..3).filter_map(|_| Uid::new(1 + dice(60))).collect();
            let operation = match dice(3) {
                0 => {
                    let mut stage = block_on(store.stage()).unwrap();
                    block_on(stage.write(Bytes::from_static(b"x"))).unwrap();
                    let body = block_on(stage.finish()).unwrap();
                    Operation::Append(Box::new(Append::new(inbox, body, (0, 0))))
                }
                1 => Operation::Flags {
                    mailbox: inbox,
                    uids,
                    change: FlagChange::Add(Flags::SEEN),
                    unchanged_since: None,
                },
                _ => Operation::Expunge {
                    mailbox: inbox,
                    uids,
                    deleted_only: false,
                },
            };
            block_on(store.commit(Transaction::new(account).with(operation))).unwrap();
            if dice(3) > 0 {
                let kept = block_on(cache.rows(&store, inbox)).unwrap();
                let which = Which::After(None);
                let page = block_on(store.messages(inbox, &which, Want::ROW, 1000)).unwrap();
                assert_eq!(*kept.rows, page.rows);
                assert_eq!(kept.at, page.at);
            }
        }
        assert!(cache.kept().mailboxes.len() <= 1);
    }

    #[test]
    fn the_oldest_goes_first() {
        let cache = RowCache::new(1);
        let store = Memory::new();
        let account = block_on(store.create_account("a")).unwrap();
        let inbox = block_on(store.mailboxes(account, None)).unwrap().mailboxes[0].id;
        block_on(cache.rows(&store, inbox)).unwrap();
        let gone = MailboxId {
            account,
            number: 99,
        };
        assert!(block_on(cache.rows(&store, gone)).is_err());
        assert_eq!(cache.kept().mailboxes.len(), 1);
        let other = block_on(store.create_account("b")).unwrap();
        let other = block_on(store.mailboxes(other, None)).unwrap().mailboxes[0].id;
        block_on(cache.rows(&store, other)).unwrap();
        let kept: Vec<_> = cache.kept().mailboxes.keys().copied().collect();
        assert_eq!(kept, [other]);
    }
}
