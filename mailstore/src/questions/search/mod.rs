//! Search: which messages of a mailbox have what a [`Key`] asks for (RFC 9051 §6.4.4).
//!
//! A message is judged by the cheapest that decides: its row, then its summary, then its header
//! section, and only then its body, which is read once for all strings looked for. Text is decoded
//! (encoded words, transfer encodings, charsets) and compared without regard to case.
//!
//! ```
//! use hikyaku_mailstore::{Memory, Store as _, block_on, search::{Key, search}};
//! let store = Memory::new();
//! let account = block_on(store.create_account("alice@example.test")).unwrap();
//! let inbox = block_on(store.mailboxes(account, None)).unwrap().mailboxes[0].id;
//! let found = block_on(search(&store, inbox, &Key::Text("tea".into()))).unwrap();
//! assert!(found.is_empty());
//! ```

mod content;
mod finder;
mod judge;
mod key;
mod known;
mod plan;

pub use key::{Key, When};

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::caches::text_index::Learner;
use crate::questions::columns::Walk;
use crate::{MailboxId, MessageCache, ModSeq, Result, Store, Uid, UidSet};
use judge::{is_ruled_out, judge_all};
use known::Known;
use plan::Plan;

/// Returns the messages that match, ascending by UID, with their mod-sequences.
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
/// # use hikyaku_mailstore::*;
/// # block_on(async {
/// # let (store, alice, inbox, row) = doc::inbox().await?;
/// use hikyaku_mailstore::search::{Key, search};
/// let key = Key::And(vec![Key::Flags(Flags::SEEN, false), Key::Text("at four".into())]);
/// let found = search(&store, inbox.id, &key).await?;
/// assert_eq!(found[0].0, row.uid);
/// # let _ = (&store, alice, &inbox, &row);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// Those of the store. A message that cannot be read is not found.
pub async fn search(
    store: &dyn Store,
    mailbox: MailboxId,
    key: &Key,
) -> Result<Vec<(Uid, ModSeq)>> {
    let mut plan = Plan::default();
    let prepared = Arc::new(plan.prepare(key));
    let judged = judge_all(store, mailbox, &key.bounds(), Arc::new(plan), prepared).await?;
    let found = judged.into_iter().filter(|one| one.found);
    Ok(found.map(|one| (one.uid, one.modified)).collect())
}

impl MessageCache {
    /// Searches as [`search`](crate::questions::search::search) does.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// use hikyaku_mailstore::search::Key;
    /// let cache = MessageCache::new(100_000, 1 << 20);
    /// let found = cache.search(&store, inbox.id, &Key::Header("subject".into(), "tea".into())).await?;
    /// assert_eq!(found.len(), 1);
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of the store.
    pub async fn search(
        &self,
        store: &dyn Store,
        mailbox: MailboxId,
        key: &Key,
    ) -> Result<Vec<(Uid, ModSeq)>> {
        search_with(self, store, mailbox, key).await
    }
}

/// As [`search`], but what memory decides is not read, and what is read of header fields is kept.
pub(crate) async fn search_with(
    cache: &MessageCache,
    store: &dyn Store,
    mailbox: MailboxId,
    key: &Key,
) -> Result<Vec<(Uid, ModSeq)>> {
    let mut plan = Plan {
        learns: true,
        ..Plan::default()
    };
    let prepared = Arc::new(plan.prepare(key));
    let rows = cache.rows(store, mailbox).await?.rows;
    let columns: Vec<_> = plan
        .fields
        .iter()
        .map(|name| cache.fields.get(mailbox, name))
        .collect();
    let mut walks: Vec<_> = columns.iter().map(|column| Walk::new(column)).collect();
    let mut fields = vec![None; plan.fields.len()];
    let (mut found, mut undecided) = (Vec::new(), UidSet::new());
    for row in rows.iter() {
        for (field, walk) in fields.iter_mut().zip(&mut walks) {
            *field = walk.get(row.uid);
        }
        let known = Known {
            fields: &fields,
            ..Known::of(row)
        };
        match known.judge(&plan, &prepared) {
            Some(true) => found.push((row.uid, row.modified)),
            Some(false) => {}
            None => undecided.insert(row.uid),
        }
    }
    if undecided.is_empty() {
        return Ok(found);
    }
    if let Some(index) = cache.text.as_ref().filter(|_| plan.looks_into_bodies()) {
        let needles: Vec<&str> = plan.terms.iter().map(|term| &*term.needle).collect();
        let rows = cache.rows(store, mailbox).await?;
        let knowledge = index.ask(mailbox, &rows, &undecided, &needles).await;
        let ruled_out = |uid: Uid| {
            let absent = knowledge.absent(uid);
            absent.is_some_and(|absent| is_ruled_out(&plan, &prepared, &rows, uid, absent))
        };
        undecided = undecided.iter().filter(|uid| !ruled_out(*uid)).collect();
        if undecided.is_empty() {
            return Ok(found);
        }
        plan.learner = Some(Learner::new(index.clone(), mailbox, knowledge));
    }
    if plan.looks_into_bodies() {
        cache
            .looked_into
            .fetch_add(undecided.iter().count() as u64, Ordering::Relaxed);
    }
    let plan = Arc::new(plan);
    let judged = judge_all(store, mailbox, &undecided, Arc::clone(&plan), prepared).await?;
    if let Some(learner) = &plan.learner {
        learner.finish();
    }
    let there = |uid: Uid| rows.binary_search_by_key(&uid, |row| row.uid).is_ok();
    let mut learned: Vec<Vec<_>> = plan.fields.iter().map(|_| Vec::new()).collect();
    let decided = found.len();
    for one in judged {
        if one.found {
            found.push((one.uid, one.modified));
        }
        for (column, text) in learned.iter_mut().zip(one.learned) {
            column.push((one.uid, text));
        }
    }
    for (name, new) in plan.fields.iter().zip(learned) {
        if !new.is_empty() {
            cache.fields.add(mailbox, name, new, there);
        }
    }
    if decided > 0 {
        found.sort_unstable_by_key(|(uid, _)| *uid);
    }
    Ok(found)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::judge::judge;
    use super::*;
    use crate::{
        Append, Bodies, Error, Memory, Operation, Row, Transaction, Want, Which, block_on,
    };
    use bytes::Bytes;
    use hikyaku_message::Structure;
    use std::ops::Range;
    use std::sync::Arc;

    fn store_of(messages: &[&[u8]]) -> (Arc<dyn Store>, MailboxId) {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let account = block_on(store.create_account("a")).unwrap();
        let inbox = block_on(store.mailboxes(account, None)).unwrap().mailboxes[0].id;
        for (index, message) in messages.iter().enumerate() {
            let mut stage = block_on(store.stage()).unwrap();
            block_on(stage.write(Bytes::copy_from_slice(message))).unwrap();
            let body = block_on(stage.finish()).unwrap();
            let mut append = Append::new(inbox, body, (86_400 * index as i64, 0));
            // The first one without a summary, as after an upgrade.
            if index > 0 {
                append.summary = Structure::of(message).encode();
            }
            let append = Operation::Append(Box::new(append));
            block_on(store.commit(Transaction::new(account).with(append))).unwrap();
        }
        (store, inbox)
    }

    fn found(store: &Arc<dyn Store>, inbox: MailboxId, key: &Key) -> Vec<u32> {
        let all = block_on(search(&**store, inbox, key)).unwrap();
        all.into_iter().map(|(uid, _)| uid.get()).collect()
    }

    /// Bodies none of which can be read.
    pub(crate) struct Gone;

    impl Bodies for Gone {
        fn read(&mut self, _: &crate::BodyRef, _: Range<u64>) -> Result<Bytes> {
            Err(Error::Damaged("gone", crate::About::Nothing))
        }
    }

    /// The row of a message that has no summary.
    pub(crate) fn row_without_summary() -> Row {
        let (store, inbox) = store_of(&[b"Subject: a\r\n\r\ntea\r\n"]);
        let all = Which::After(None);
        let page = block_on(store.messages(inbox, &all, Want::SUMMARY, 1));
        page.unwrap().rows.remove(0)
    }

    #[test]
    fn what_cannot_be_read_is_not_found_and_fails_nothing() {
        let mut plan = Plan::default();
        let key = plan.prepare(&Key::Not(Box::new(Key::Text("coffee".into()))));
        let judged = judge(&mut Gone, &plan, &key, &row_without_summary()).unwrap();
        assert!(judged.is_none());
    }

    #[test]
    fn text_is_found_as_it_reads_not_as_it_is_encoded() {
        let long = format!(
            "Subject: long\r\n\r\n{}need\u{e9}le{}",
            "x".repeat(65_533),
            "y".repeat(100)
        );
        let (store, inbox) = store_of(&[
            b"Subject: =?utf-8?b?44GC44GE?=\r\nFrom: \"Joe\" <joe@a.test>\r\nDate: Thu, 1 Jan 1970 23:00:00 -0500\r\n\r\nplain TEA\r\n",
            b"Subject: two\r\nX-Odd: yes\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B$*Cc\x1b(B\r\n",
            b"Subject: three\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nna=C3=AFve te=\r\na\r\n",
            long.as_bytes(),
            b"Subject: =?ISO-2022-JP?B?GyRCJE5PMxsoQg==?=\r\n =?ISO-2022-JP?B?GyRCJGwkcktJJDAbKEI=?=\r\nFrom: =?cp932?B?jvOSjYLMjI8=?= <a@b.test>\r\n\
              Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\n\x8b\x8c\x82\xa2\x8e\xe8\x8e\x86\x82\xf0\x93\xc7\x82\xde\r\n--q\r\n\
              Content-Type: application/pdf; name*0*=utf-8''%E9%A3%9B; name*1*=%E8%84%9A.pdf\r\n\r\nx\r\n--q--\r\n",
            b"Content-Type: multipart/mixed; boundary=never\r\n\r\nThe whole text is here.\r\n",
        ]);
        let text = |text: &str| found(&store, inbox, &Key::Text(text.into()));
        assert_eq!(text("tea"), [1, 3]);
        assert_eq!(text("お茶"), [2]);
        assert_eq!(text("NAÏVE"), [3]);
        assert_eq!(text("あい"), [1]);
        assert_eq!(text("needéle"), [4]);
        assert_eq!(text("飛脚.pdf"), [5]);
        assert_eq!(text("漏れを防ぐ"), [5]);
        assert_eq!(text("受注の件"), [5]);
        assert_eq!(text("旧い手紙"), [5]);
        assert_eq!(text("whole text"), [6]);
        assert_eq!(
            found(&store, inbox, &Key::Body("subject".into())),
            [0_u32; 0]
        );
        let header =
            |name: &str, text: &str| found(&store, inbox, &Key::Header(name.into(), text.into()));
        assert_eq!(header("X-ODD", ""), [2]);
        assert_eq!(header("From", "JOE@A"), [1]);
        assert_eq!(header("subject", "い"), [1]);
        let tea = Key::Text("tea".into());
        let not_joe = Key::Not(Box::new(Key::Header("from".into(), "joe".into())));
        assert_eq!(
            found(&store, inbox, &Key::And(vec![tea.clone(), not_joe])),
            [3]
        );
        assert_eq!(
            found(&store, inbox, &Key::Or(vec![tea, Key::Larger(60_000)])),
            [1, 3, 4]
        );
        assert_eq!(found(&store, inbox, &Key::Sent(When::On, 0)), [1]);
        assert_eq!(
            found(&store, inbox, &Key::Received(When::Since, 2)),
            [3, 4, 5, 6]
        );
    }
}
