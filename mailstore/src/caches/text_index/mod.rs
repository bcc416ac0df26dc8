//! The text index: which messages cannot hold a text, kept in a folder beside the store.
//!
//! It is built on the way, from bodies that a search had to read, and only ever states that a message does not hold
//! a text: a message that it does not know of, or cannot judge, is read. So it may lag, be cut, or be removed.
//!
//! A mailbox has a file. It is a row of batches: how many octets follow, their CRC-32, and so many records; one
//! whose checksum is not right ends the file. A record is the UID, the octets of the message, its EMAILID, how many
//! words the filter has, and the filter (`signature.rs`), all little-endian.

mod signature;

use futures_channel::oneshot;
use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{AccountId, Error, MailboxId, Result, Row, Rows, Store, Uid, UidSet};
pub(crate) use signature::Collector;
use signature::Needle;

/// Raised when messages decode to other texts than before: what was learned of the old ones would hide the new ones.
const VERSION: &[u8] = b"2";
/// The file that says it.
const VERSION_FILE: &str = "version";
/// Octets that are written at once.
const BATCH: usize = 1 << 20;
/// Before a batch: its octets and its checksum.
const BATCH_HEAD: usize = 8;
/// Before a filter.
const HEAD: usize = 20;
/// How many texts of one question are kept apart.
const NEEDLES: usize = 64;
/// Files with fewer records are not worth making smaller.
const FEW: usize = 1000;

/// Filters of messages' texts, in a folder.
///
/// ```no_run
/// # fn open() -> std::io::Result<()> {
/// use hikyaku_mailstore::{MessageCache, TextIndex};
/// let index = TextIndex::open("data/store/text")?;
/// let cache = MessageCache::new(100_000, 64 << 20).with_text_index(index);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TextIndex(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// Held by the writer.
    writing: Mutex<()>,
}

/// What the index knows of messages.
#[derive(Debug, Default)]
pub(crate) struct Knowledge {
    /// Ascending by UID: which of the texts, a bit each, the message does not hold.
    absent: Vec<(Uid, u64)>,
}

impl Knowledge {
    /// The texts that a message does not hold, if it is known of.
    pub(crate) fn absent(&self, uid: Uid) -> Option<u64> {
        let at = self.absent.binary_search_by_key(&uid, |(uid, _)| *uid);
        self.absent.get(at.ok()?).map(|(_, absent)| *absent)
    }
}

fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TextIndex {
    /// Opens the folder, or makes it. What an older version has learned is forgotten, where it read messages otherwise.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: impl AsRef<Path>) -> io::Result<Self> {
        let mut private = DirBuilder::new();
        private.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut private, 0o700);
        private.create(&folder)?;
        let version = folder.as_ref().join(VERSION_FILE);
        if fs::read(&version).ok().as_deref() != Some(VERSION) {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                let name = path.file_name().and_then(|name| name.to_str());
                if name.and_then(named).is_some() {
                    fs::remove_file(path)?;
                }
            }
            private_file()
                .truncate(true)
                .open(version)?
                .write_all(VERSION)?;
        }
        Ok(Self(Arc::new(Inner {
            folder: folder.as_ref().to_owned(),
            writing: Mutex::new(()),
        })))
    }

    /// Removes the files of mailboxes that are gone.
    ///
    /// # Errors
    /// Those of the store, and of the folder.
    pub async fn tidy(&self, store: &dyn Store) -> Result<()> {
        let folder = fs::read_dir(&self.0.folder).map_err(Error::io("read the text index"))?;
        let mut of_account: Option<(AccountId, HashSet<MailboxId>)> = None;
        let mut files: Vec<(MailboxId, PathBuf)> = folder
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                Some((named(path.file_name()?.to_str()?)?, path))
            })
            .collect();
        files.sort_unstable_by_key(|(mailbox, _)| *mailbox);
        for (mailbox, path) in files {
            let account = mailbox.account;
            if of_account
                .as_ref()
                .is_none_or(|(known, _)| *known != account)
            {
                let there = match store.mailboxes(account, None).await {
                    Ok(all) => all.mailboxes.iter().map(|one| one.id).collect(),
                    Err(Error::NoSuchAccount(_)) => HashSet::new(),
                    Err(error) => return Err(error),
                };
                of_account = Some((account, there));
            }
            if of_account
                .as_ref()
                .is_some_and(|(_, there)| !there.contains(&mailbox))
            {
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }

    fn path(&self, mailbox: MailboxId) -> PathBuf {
        let name = format!("{:x}-{:x}", mailbox.account.0, mailbox.number);
        self.0.folder.join(name)
    }

    /// What it knows of those messages; on a thread of its own, since there may be much to read.
    pub(crate) async fn ask(
        &self,
        mailbox: MailboxId,
        rows: &Rows,
        asked: &UidSet,
        needles: &[&str],
    ) -> Knowledge {
        let needles: Vec<_> = needles
            .iter()
            .take(NEEDLES)
            .map(|one| Needle::new(one))
            .collect();
        let (send, sent) = oneshot::channel();
        let (index, rows, asked) = (self.clone(), rows.clone(), asked.clone());
        let work = move || {
            let mut reader = Reader::new(&rows.rows, &asked, &needles);
            // What cannot be read is not known.
            let _ = index.read(mailbox, |record| reader.record(record));
            let (all, live) = (reader.all, reader.live.len());
            let _ = send.send(reader.finish());
            if all > FEW && live * 2 < all {
                let _ = index.compact(mailbox, &rows.rows);
            }
        };
        let thread = std::thread::Builder::new().name("text-index".into());
        if thread.spawn(work).is_err() {
            return Knowledge::default();
        }
        sent.await.unwrap_or_default()
    }

    /// Reads all records, up to the end or the first batch that is not whole.
    fn read(&self, mailbox: MailboxId, mut take: impl FnMut(Record<'_>)) -> io::Result<()> {
        let mut file = match File::open(self.path(mailbox)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut batch = Vec::new();
        loop {
            let mut head = [0; BATCH_HEAD];
            match file.read_exact(&mut head) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            }
            let [a, b, c, d, e, f, g, h] = head;
            let octets = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
            if octets > BATCH * 2 {
                return Ok(());
            }
            batch.resize(octets, 0);
            if file.read_exact(&mut batch).is_err() {
                return Ok(());
            }
            if crc32fast::hash(&batch) != u32::from_le_bytes([e, f, g, h]) {
                return Ok(());
            }
            let mut rest = batch.as_slice();
            while let Some((record, behind)) = Record::split(rest) {
                take(record);
                rest = behind;
            }
        }
    }

    /// Writes records behind the others.
    fn write(&self, mailbox: MailboxId, records: &[u8]) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let _writing = lock(&self.0.writing);
        let path = self.path(mailbox);
        let mut file = private_file().append(true).open(path)?;
        file.write_all(&batch_of(records))
    }

    /// Writes the file anew, without what is of messages that are gone.
    fn compact(&self, mailbox: MailboxId, rows: &[Row]) -> io::Result<()> {
        let _writing = lock(&self.0.writing);
        let path = self.path(mailbox);
        let new = path.with_extension("new");
        let mut file = private_file().truncate(true).open(&new)?;
        let (mut batch, mut seen) = (Vec::new(), HashSet::new());
        let mut written = Ok(());
        self.read(mailbox, |record| {
            if record.row(rows).is_some() && seen.insert(record.uid) {
                batch.extend_from_slice(record.octets);
            }
            if batch.len() >= BATCH && written.is_ok() {
                written = file.write_all(&batch_of(&batch));
                batch.clear();
            }
        })?;
        written?;
        if !batch.is_empty() {
            file.write_all(&batch_of(&batch))?;
        }
        fs::rename(new, path)
    }
}

/// How a file is made that its owner alone can read: it says what words are in the mail.
fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn batch_of(records: &[u8]) -> Vec<u8> {
    let octets = u32::try_from(records.len()).unwrap_or(u32::MAX);
    let mut batch = Vec::with_capacity(BATCH_HEAD + records.len());
    batch.extend_from_slice(&octets.to_le_bytes());
    batch.extend_from_slice(&crc32fast::hash(records).to_le_bytes());
    batch.extend_from_slice(records);
    batch
}

/// The mailbox whose file is called that.
fn named(name: &str) -> Option<MailboxId> {
    let (account, number) = name.split_once('-')?;
    let account = AccountId(u64::from_str_radix(account, 16).ok()?);
    let number = u32::from_str_radix(number, 16).ok()?;
    Some(MailboxId { account, number })
}

/// The filter of a message.
#[derive(Clone, Copy)]
struct Record<'a> {
    uid: u32,
    size: u32,
    email: u64,
    /// Eight octets each.
    words: &'a [u8],
    /// All of it.
    octets: &'a [u8],
}

impl<'a> Record<'a> {
    fn split(octets: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (head, _) = octets.split_at_checked(HEAD)?;
        let number = |at: usize| {
            let four = head.get(at..at + 4)?;
            Some(u32::from_le_bytes(four.try_into().ok()?))
        };
        let email = u64::from_le_bytes(head.get(8..16)?.try_into().ok()?);
        let words = usize::try_from(number(16)?).ok()?;
        if !words.is_power_of_two() {
            return None;
        }
        let (whole, rest) = octets.split_at_checked(HEAD.checked_add(words.checked_mul(8)?)?)?;
        let record = Self {
            uid: number(0)?,
            size: number(4)?,
            email,
            words: whole.get(HEAD..)?,
            octets: whole,
        };
        Some((record, rest))
    }

    /// The message it is of, if that is still there: not another one under the same UID.
    fn row<'r>(&self, rows: &'r [Row]) -> Option<&'r Row> {
        let at = rows
            .binary_search_by_key(&self.uid, |row| row.uid.get())
            .ok()?;
        let row = rows.get(at)?;
        (row.email.0 == self.email && size_of(row) == self.size).then_some(row)
    }

    fn may_hold(&self, needle: &Needle) -> bool {
        let (words, _) = self.words.as_chunks::<8>();
        needle.may_be_in(words.len(), |at| {
            words
                .get(at)
                .map_or(u64::MAX, |word| u64::from_le_bytes(*word))
        })
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a check, not a size")]
fn size_of(row: &Row) -> u32 {
    row.body.octets as u32
}

/// Judges messages by their filters.
struct Reader<'a> {
    rows: &'a [Row],
    asked: &'a UidSet,
    needles: &'a [Option<Needle>],
    absent: Vec<(Uid, u64)>,
    all: usize,
    live: HashSet<u32>,
}

impl<'a> Reader<'a> {
    fn new(rows: &'a [Row], asked: &'a UidSet, needles: &'a [Option<Needle>]) -> Self {
        Self {
            rows,
            asked,
            needles,
            absent: Vec::new(),
            all: 0,
            live: HashSet::new(),
        }
    }

    fn record(&mut self, record: Record<'_>) {
        self.all += 1;
        let Some(row) = record.row(self.rows) else {
            return;
        };
        if !self.live.insert(record.uid) || !self.asked.contains(row.uid) {
            return;
        }
        let absent = self.needles.iter().enumerate();
        let absent = absent.fold(0, |absent, (at, needle)| match needle {
            Some(needle) if !record.may_hold(needle) => absent | 1 << at,
            _ => absent,
        });
        self.absent.push((row.uid, absent));
    }

    fn finish(mut self) -> Knowledge {
        self.absent.sort_unstable_by_key(|(uid, _)| *uid);
        Knowledge {
            absent: self.absent,
        }
    }
}

/// Takes up what a search reads.
#[derive(Debug)]
pub(crate) struct Learner {
    index: TextIndex,
    mailbox: MailboxId,
    /// What is known of already.
    known: Knowledge,
    records: Mutex<Vec<u8>>,
}

impl Learner {
    pub(crate) fn new(index: TextIndex, mailbox: MailboxId, known: Knowledge) -> Self {
        Self {
            index,
            mailbox,
            known,
            records: Mutex::default(),
        }
    }

    /// Whether the text of that message is of use.
    pub(crate) fn wants(&self, uid: Uid) -> bool {
        self.known.absent(uid).is_none()
    }

    pub(crate) fn learn(&self, row: &Row, collector: &Collector) {
        let words = collector.finish();
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.extend_from_slice(&row.uid.get().to_le_bytes());
        records.extend_from_slice(&size_of(row).to_le_bytes());
        records.extend_from_slice(&row.email.0.to_le_bytes());
        records.extend_from_slice(&u32::try_from(words.len()).unwrap_or(0).to_le_bytes());
        for word in words {
            records.extend_from_slice(&word.to_le_bytes());
        }
        if records.len() >= BATCH {
            let full = std::mem::take(&mut *records);
            drop(records);
            // What cannot be written is not known, and read again.
            let _ = self.index.write(self.mailbox, &full);
        }
    }

    /// Writes what is left.
    pub(crate) fn finish(&self) {
        let rest =
            std::mem::take(&mut *self.records.lock().unwrap_or_else(PoisonError::into_inner));
        let _ = self.index.write(self.mailbox, &rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::search::Key;
    use crate::{Append, Memory, MessageCache, Operation, Transaction, block_on};
    use bytes::Bytes;
    use hikyaku_message::Structure;

    struct House {
        store: Memory,
        inbox: MailboxId,
        folder: tempfile::TempDir,
    }

    impl House {
        fn new() -> Self {
            let store = Memory::new();
            let account = block_on(store.create_account("a")).unwrap();
            let inbox = block_on(store.mailboxes(account, None)).unwrap().mailboxes[0].id;
            let folder = tempfile::tempdir().unwrap();
            Self {
                store,
                inbox,
                folder,
            }
        }

        fn index(&self) -> TextIndex {
            TextIndex::open(self.folder.path()).unwrap()
        }

        fn append(&self, text: &str) {
            let message = format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n");
            let mut stage = block_on(self.store.stage()).unwrap();
            block_on(stage.write(Bytes::from(message.clone()))).unwrap();
            let body = block_on(stage.finish()).unwrap();
            let mut append = Append::new(self.inbox, body, (0, 0));
            append.summary = Structure::of(message.as_bytes()).encode();
            self.commit(Operation::Append(Box::new(append)));
        }

        fn commit(&self, operation: Operation) {
            let transaction = Transaction::new(self.inbox.account).with(operation);
            block_on(self.store.commit(transaction)).unwrap();
        }

        /// The UIDs that are found; each time as after a start.
        fn found(&self, text: &str) -> Vec<u32> {
            let cache = MessageCache::new(1000, 1 << 20).with_text_index(self.index());
            let key = Key::Body(text.into());
            let found = block_on(cache.search(&self.store, self.inbox, &key)).unwrap();
            found.iter().map(|(uid, _)| uid.get()).collect()
        }

        /// Which messages are known, and which of them cannot hold the text.
        fn known(&self, text: &str) -> Vec<(u32, bool)> {
            let cache = MessageCache::new(1000, 1 << 20);
            let rows = block_on(cache.rows(&self.store, self.inbox)).unwrap();
            let needle = crate::casemap(text);
            let (index, all) = (self.index(), UidSet::all());
            let knowledge = block_on(index.ask(self.inbox, &rows, &all, &[&needle])).absent;
            knowledge
                .iter()
                .map(|(uid, absent)| (uid.get(), *absent != 0))
                .collect()
        }

        fn file(&self) -> PathBuf {
            self.index().path(self.inbox)
        }
    }

    #[test]
    fn what_was_read_once_is_known_of() {
        let house = House::new();
        for text in ["green tea", "京都の緑茶", "コーヒー"] {
            house.append(text);
        }
        assert_eq!(house.known("tea"), []);
        assert_eq!(house.found("TEA"), [1]);
        assert_eq!(house.known("tea"), [(1, false), (2, true), (3, true)]);
        assert_eq!(house.known("緑茶"), [(1, true), (2, false), (3, true)]);
        // Too short to be known.
        assert_eq!(house.known("茶"), [(1, false), (2, false), (3, false)]);
        assert_eq!(house.found("緑茶"), [2]);
        assert_eq!(house.found("茶"), [2]);
        // What comes later is read, and known from then on.
        house.append("black tea");
        assert_eq!(house.known("tea").len(), 3);
        assert_eq!(house.found("tea"), [1, 4]);
        assert_eq!(house.known("tea").len(), 4);
    }

    #[test]
    fn a_file_that_is_damaged_costs_its_rest() {
        let house = House::new();
        house.append("green tea");
        assert_eq!(house.found("coffee"), [0_u32; 0]);
        house.append("black coffee");
        assert_eq!(house.found("coffee"), [2]);
        let whole = fs::read(house.file()).unwrap();
        for cut in 0..whole.len() {
            fs::write(house.file(), &whole[..cut]).unwrap();
            assert!(house.known("tea").len() < 2);
            assert_eq!(house.found("coffee"), [2]);
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            fs::write(house.file(), &damaged).unwrap();
            assert!(house.known("tea").len() < 2);
            assert_eq!(house.found("tea"), [1]);
        }
        // What is of another message of that UID is not believed.
        let other = House::new();
        other.append("black coffee, and tea");
        fs::write(other.file(), &whole).unwrap();
        assert_eq!(other.known("coffee"), []);
        assert_eq!(other.found("coffee"), [1]);
    }

    #[test]
    fn what_is_gone_is_taken_out() {
        let house = House::new();
        for n in 0..FEW + 10 {
            house.append(&format!("message {n}"));
        }
        assert_eq!(house.found("message 77").len(), 11);
        let before = fs::metadata(house.file()).unwrap().len();
        house.commit(Operation::Expunge {
            mailbox: house.inbox,
            uids: UidSet::from_ranges([(11, u32::MAX)]),
            deleted_only: false,
        });
        assert_eq!(house.known("message").len(), 10);
        // It is made smaller behind the answer.
        let smaller = || fs::metadata(house.file()).unwrap().len() < before / 50;
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !smaller() && std::time::Instant::now() < until {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(smaller());
        assert_eq!(house.known("message").len(), 10);
        // What was learned by an older version is forgotten.
        fs::write(house.folder.path().join(VERSION_FILE), "1").unwrap();
        drop(house.index());
        assert!(!house.file().exists());
        fs::write(house.file(), "").unwrap();
        drop(house.index());
        assert!(house.file().exists());
        // Of mailboxes that are no more nothing stays.
        let stray = house.folder.path().join("7-7");
        fs::write(&stray, "").unwrap();
        block_on(house.index().tidy(&house.store)).unwrap();
        assert!(!stray.exists() && house.file().exists());
    }
}
