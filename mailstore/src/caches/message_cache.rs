//! What a server keeps in memory of the mailboxes that were used last.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::questions::columns::{Column, Columns, Walk};
use crate::questions::field_text::FieldText;
use crate::questions::sort::{Criterion, Facts, Needs};
use crate::questions::thread::{Algorithm, Threads};
use crate::{MailboxId, Result, RowCache, Rows, Store, TextIndex, Uid, UidSet};

/// Rows, what sorting and threading compare, and header fields that were searched: so that a question asked
/// again costs no reading. Answers are those of [`search`](crate::questions::search::search), [`sort`](crate::sort())
/// and [`thread`](crate::thread()), never older than the store.
///
/// ```
/// use hikyaku_mailstore::{Criterion, Memory, MessageCache, Store as _, UidSet, block_on};
/// let store = Memory::new();
/// let account = block_on(store.create_account("alice@example.test")).unwrap();
/// let inbox = block_on(store.mailboxes(account, None)).unwrap().mailboxes[0].id;
/// let cache = MessageCache::new(100_000, 64 << 20);
/// let by_date = [(Criterion::Date, false)];
/// assert!(block_on(cache.sort(&store, inbox, &UidSet::all(), &by_date)).unwrap().is_empty());
/// ```
#[derive(Debug)]
pub struct MessageCache {
    pub(crate) rows: RowCache,
    pub(crate) facts: Columns<Needs, Facts>,
    /// By field name in lower case.
    pub(crate) fields: Columns<String, FieldText>,
    pub(crate) text: Option<TextIndex>,
    pub(crate) looked_into: AtomicU64,
}

impl MessageCache {
    /// Creates a cache of at most `rows` rows, about 130 octets each, and at most `octets` octets of the rest.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// // Rows of mailboxes, and octets of what was worked out of messages.
    /// let cache = MessageCache::new(100_000, 64 << 20);
    /// assert_eq!(cache.rows(&store, inbox.id).await?.rows.len(), 1);
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn new(rows: usize, octets: usize) -> Self {
        Self {
            rows: RowCache::new(rows),
            facts: Columns::new(octets / 2),
            fields: Columns::new(octets / 2),
            text: None,
            looked_into: AtomicU64::new(0),
        }
    }

    /// Uses an index to search for texts.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// # let folder = std::env::temp_dir().join(format!("hikyaku-doc-{}", std::process::id()));
    /// let cache = MessageCache::new(100_000, 64 << 20).with_text_index(TextIndex::open(&folder)?);
    /// # drop(cache); let _ = std::fs::remove_dir_all(folder);
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn with_text_index(mut self, index: TextIndex) -> Self {
        self.text = Some(index);
        self
    }

    /// Returns how many messages searches have looked into so far, since neither rows nor the text index could say
    /// that they do not hold a text.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// use hikyaku_mailstore::search::Key;
    /// let cache = MessageCache::new(100_000, 64 << 20);
    /// cache.search(&store, inbox.id, &Key::Body("four".into())).await?;
    /// assert_eq!(cache.looked_into(), 1);
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn looked_into(&self) -> u64 {
        self.looked_into.load(Ordering::Relaxed)
    }

    /// Removes what the text index holds of mailboxes that are gone.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// let cache = MessageCache::new(100_000, 64 << 20);
    /// cache.tidy(&store).await?;
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of the store, and of the index.
    pub async fn tidy(&self, store: &dyn Store) -> Result<()> {
        match &self.text {
            Some(index) => index.tidy(store).await,
            None => Ok(()),
        }
    }

    /// Returns all rows of a mailbox, as they are now.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// let cache = MessageCache::new(100_000, 64 << 20);
    /// let rows = cache.rows(&store, inbox.id).await?;
    /// assert_eq!(rows.rows[0].uid, row.uid);
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of the store.
    pub async fn rows(&self, store: &dyn Store, mailbox: MailboxId) -> Result<Rows> {
        self.rows.rows(store, mailbox).await
    }

    /// Sorts messages, as [`sort`](crate::sort()) does.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// let cache = MessageCache::new(100_000, 64 << 20);
    /// let all = UidSet::all();
    /// // By subject, ascending.
    /// let sorted = cache.sort(&store, inbox.id, &all, &[(Criterion::Subject, false)]).await?;
    /// assert_eq!(sorted, [row.uid]);
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sort(
        &self,
        store: &dyn Store,
        mailbox: MailboxId,
        uids: &UidSet,
        criteria: &[(Criterion, bool)],
    ) -> Result<Vec<Uid>> {
        let needs = Needs::of(criteria);
        let (facts, there) = self.facts(store, mailbox, uids, needs).await?;
        Ok(crate::questions::sort::in_order(&facts, &there, criteria))
    }

    /// Threads messages, as [`thread`](crate::thread()) does.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// let cache = MessageCache::new(100_000, 64 << 20);
    /// let all = UidSet::all();
    /// let threads = cache.thread(&store, inbox.id, &all, Algorithm::References).await?;
    /// # drop(threads);
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of the store.
    pub async fn thread(
        &self,
        store: &dyn Store,
        mailbox: MailboxId,
        uids: &UidSet,
        algorithm: Algorithm,
    ) -> Result<Threads> {
        let needs = algorithm.needs();
        let (facts, there) = self.facts(store, mailbox, uids, needs).await?;
        Ok(algorithm.threads(&facts, &there))
    }

    /// What is known of those messages, and maybe of others; and which of them there are.
    async fn facts(
        &self,
        store: &dyn Store,
        mailbox: MailboxId,
        uids: &UidSet,
        needs: Needs,
    ) -> Result<(Column<Facts>, UidSet)> {
        let rows = self.rows(store, mailbox).await?.rows;
        let all = rows.iter().map(|row| row.uid);
        let asked: UidSet = all.filter(|uid| uids.contains(*uid)).collect();
        let known = self.facts.get(mailbox, &needs);
        let mut walk = Walk::new(&known);
        let missing = asked.iter().filter(|uid| walk.get(*uid).is_none());
        let missing: UidSet = missing.collect();
        if missing.is_empty() {
            return Ok((known, asked));
        }
        let new = crate::questions::sort::facts(store, mailbox, &missing, needs).await?;
        let there = |uid: Uid| rows.binary_search_by_key(&uid, |row| row.uid).is_ok();
        Ok((self.facts.add(mailbox, &needs, new, there), asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::search::Key;
    use crate::{Append, Memory, Operation, Transaction, block_on};
    use bytes::Bytes;
    use hikyaku_message::Structure;

    /// What is asked again and again while messages come and go is answered as without a cache, whether
    /// the cache has room or not.
    #[test]
    fn answers_are_those_without_a_cache() {
        let store = Memory::new();
        let account = block_on(store.create_account("a")).unwrap();
        let inbox = block_on(store.mailboxes(account, None)).unwrap().mailboxes[0].id;
        let folder = tempfile::tempdir().unwrap();
        let index = TextIndex::open(folder.path()).unwrap();
        let caches = [
            MessageCache::new(1000, 1 << 20),
            MessageCache::new(1000, 1 << 20).with_text_index(index),
            MessageCache::new(10, 3000),
            MessageCache::new(0, 0),
        ];
        let header = |name: &str, text: &str| Key::Header(name.into(), text.into());
        let keys = [
            header("X-Way", "EDO"),
            header("x-way", ""),
            header("x-none", ""),
            Key::Not(Box::new(header("X-Way", "kyoto"))),
            Key::And(vec![header("X-Way", "edo"), Key::Larger(110)]),
            Key::Or(vec![header("List-Id", "b"), header("subject", "tea 3")]),
            header("X-Long", "x"),
            header("X-Way", "edo\0"),
            Key::Text("tea 3".into()),
            Key::Body("cup 7".into()),
            Key::Body("京都".into()),
            Key::Body("茶".into()),
            Key::Not(Box::new(Key::Text("cup".into()))),
            Key::Or(vec![Key::Body("cup 1".into()), Key::Text("kyoto".into())]),
            Key::And(vec![Key::Body("cup".into()), Key::Body("東京".into())]),
        ];
        let criteria = [
            vec![(Criterion::Date, false)],
            vec![(Criterion::Size, true)],
            vec![(Criterion::Subject, true), (Criterion::Arrival, false)],
            vec![(Criterion::DisplayFrom, false), (Criterion::Date, true)],
        ];
        let mut seed = 11_u32;
        let mut dice = |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % below
        };
        for round in 0..60 {
            let operation = if dice(4) > 0 {
                let mut message = format!(
                    "Subject: Re: tea {}\r\nFrom: {} <x@x.test>\r\nMessage-ID: <{round}@x>\r\n\
                     References: <{}@x>\r\nDate: {} Jan 2024 00:00:00 +0000\r\n",
                    dice(5),
                    dice(9),
                    dice(60),
                    1 + dice(28),
                );
                if dice(2) > 0 {
                    message.push_str("X-Way: Edo\r\nX-Way: =?utf-8?q?Ky=C5=8Dto?= or Kyoto\r\n");
                }
                if dice(9) == 0 {
                    message.push_str(&format!("X-Long: {}\r\n", "x".repeat(9000)));
                }
                message
                    .push_str("Content-Type: text/plain; charset=utf-8\r\nList-Id: b\r\n\r\nbody");
                let town = ["京都", "東京", "京の都"][dice(3) as usize];
                message.push_str(&format!(" cup {} {town}でお茶\r\n", dice(9)));
                let mut stage = block_on(store.stage()).unwrap();
                block_on(stage.write(Bytes::from(message.clone()))).unwrap();
                let body = block_on(stage.finish()).unwrap();
                let mut append = Append::new(inbox, body, (i64::from(dice(100)), 0));
                append.summary = Structure::of(message.as_bytes()).encode();
                Operation::Append(Box::new(append))
            } else {
                Operation::Expunge {
                    mailbox: inbox,
                    uids: (0..3).filter_map(|_| Uid::new(1 + dice(60))).collect(),
                    deleted_only: false,
                }
            };
            block_on(store.commit(Transaction::new(account).with(operation))).unwrap();
            let low = 1 + dice(30);
            let uids = [UidSet::all(), UidSet::from_ranges([(low, low + 20)])];
            let uids = &uids[dice(2) as usize];
            for cache in &caches {
                for key in &keys {
                    let plain =
                        block_on(crate::questions::search::search(&store, inbox, key)).unwrap();
                    let found = block_on(cache.search(&store, inbox, key)).unwrap();
                    assert_eq!(found, plain, "{key:?}");
                }
                for criteria in &criteria {
                    let plain = block_on(crate::sort(&store, inbox, uids, criteria)).unwrap();
                    let sorted = block_on(cache.sort(&store, inbox, uids, criteria)).unwrap();
                    assert_eq!(sorted, plain, "{criteria:?}");
                }
                for algorithm in [
                    Algorithm::OrderedSubject,
                    Algorithm::References,
                    Algorithm::Refs,
                ] {
                    let plain = block_on(crate::thread(&store, inbox, uids, algorithm)).unwrap();
                    let threads = block_on(cache.thread(&store, inbox, uids, algorithm)).unwrap();
                    assert_eq!(threads, plain, "{algorithm:?}");
                }
            }
        }
    }
}
