//! Reading beside the writer: each answer comes from one short snapshot.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::bodies::Bodies;
use super::connections::{Database, ReaderConnection, say};
use super::sums::{BLOCK, holds};
use super::time::{NEVER, from_millis, millis};
use crate::backends::engine::changes_page;
use crate::contract::store::Read;
use crate::{
    About, Account, AccountId, BodyId, BodyRef, Changes, EmailId, Error, Flags, Mailbox, MailboxId,
    Mailboxes, ModSeq, Page, QueueEntry, QueueId, QueueLength, Quota, Result, Row, ThreadId, Uid,
    UidSet, UidValidity, Want, Which,
};

/// The most octets of an answer; the caller asks again for the rest. Whole blocks.
const READ_MAX: u64 = 16 * BLOCK;

/// The reader of [`Disk`](crate::Disk).
#[derive(Debug)]
pub struct DiskReader {
    connection: ReaderConnection,
    database: Arc<Database>,
    bodies: Arc<Bodies>,
    /// The file read last: a large body is read in many ranges.
    open: Option<(BodyId, BodyFile)>,
}

/// A large body.
#[derive(Debug)]
struct BodyFile {
    file: File,
    /// The checksums of its blocks; `None` for a body from before they were kept.
    sums: Option<Vec<u8>>,
}

pub(super) const MAILBOX: &str = "SELECT * FROM mailbox";
pub(super) const MESSAGE: &str = "SELECT uid, modified, flags, keywords, received, zone, email, thread, \
     body, octets, saved FROM message";
const MESSAGE_WITH_SUMMARY: &str = "SELECT uid, modified, flags, keywords, received, zone, email, thread, \
     body, octets, saved, (SELECT data FROM summary WHERE id = body) FROM message";
const ACCOUNT: &str = "SELECT id, name, at, quota_octets, quota_messages, used_octets, used_messages \
     FROM account";

type Sqlite<T> = rusqlite::Result<T>;

pub(super) fn number(row: &rusqlite::Row<'_>, column: usize) -> Sqlite<u64> {
    Ok(row.get_ref(column)?.as_i64()?.cast_unsigned())
}

fn nonzero<T>(make: fn(u32) -> Option<T>, row: &rusqlite::Row<'_>, column: usize) -> Sqlite<T> {
    let value = row.get::<_, u32>(column)?;
    make(value).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, 0))
}

pub(super) fn mailbox(row: &rusqlite::Row<'_>) -> Sqlite<Mailbox> {
    Ok(Mailbox {
        id: MailboxId {
            account: AccountId(number(row, 0)?),
            number: row.get(1)?,
        },
        name: row.get(2)?,
        uid_validity: nonzero(UidValidity::new, row, 3)?,
        uid_next: row.get(4)?,
        highest: ModSeq(number(row, 5)?),
        horizon: ModSeq(number(row, 6)?),
        messages: row.get(7)?,
        unseen: row.get(8)?,
        deleted: row.get(9)?,
        octets: number(row, 10)?,
        special_use: row.get(11)?,
        properties: Default::default(),
    })
}

pub(super) fn message(row: &rusqlite::Row<'_>) -> Sqlite<Row> {
    let keywords = row.get_ref(3)?.as_str_or_null()?.unwrap_or_default();
    Ok(Row {
        uid: nonzero(Uid::new, row, 0)?,
        modified: ModSeq(number(row, 1)?),
        flags: Flags::from_parts(row.get(2)?, keywords.split_whitespace()),
        received: (row.get(4)?, row.get(5)?),
        saved: row.get(10)?,
        email: EmailId(number(row, 6)?),
        thread: ThreadId(number(row, 7)?),
        body: BodyRef {
            id: BodyId(number(row, 8)?),
            octets: number(row, 9)?,
        },
        summary: Bytes::new(),
    })
}

fn message_with_summary(row: &rusqlite::Row<'_>) -> Sqlite<Row> {
    let summary = row.get_ref(11)?.as_blob_or_null()?.unwrap_or_default();
    let summary = Bytes::copy_from_slice(summary);
    Ok(Row {
        summary,
        ..message(row)?
    })
}

pub(super) fn queue_entry(row: &rusqlite::Row<'_>) -> Sqlite<QueueEntry> {
    Ok(QueueEntry {
        id: QueueId(number(row, 0)?),
        account: AccountId(number(row, 1)?),
        next_hop: row.get(2)?,
        body: BodyRef {
            id: BodyId(number(row, 3)?),
            octets: number(row, 4)?,
        },
        envelope: row.get::<_, Vec<u8>>(5)?.into(),
        due: from_millis(row.get(6)?),
        token: number(row, 7)?,
    })
}

fn account(row: &rusqlite::Row<'_>) -> Sqlite<Account> {
    Ok(Account {
        id: AccountId(number(row, 0)?),
        name: row.get(1)?,
        at: ModSeq(number(row, 2)?),
        quota: Quota {
            octets: row.get::<_, Option<i64>>(3)?.map(i64::cast_unsigned),
            messages: row.get::<_, Option<i64>>(4)?.map(i64::cast_unsigned),
            used_octets: number(row, 5)?,
            used_messages: number(row, 6)?,
        },
        properties: Default::default(),
    })
}

impl DiskReader {
    pub(super) fn new(database: &Arc<Database>, bodies: Arc<Bodies>) -> Result<Self> {
        Ok(Self {
            connection: database.reader()?,
            database: Arc::clone(database),
            bodies,
            open: None,
        })
    }

    /// Reads in one snapshot.
    fn snapshot<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.connection.with(|connection| {
            say(connection, "BEGIN")?;
            let done = work(connection);
            say(connection, "ROLLBACK")?;
            done
        })
    }

    /// Reads octets of a body that `range` is within, and checks the blocks they are in.
    fn checked(&mut self, body: &BodyRef, range: Range<u64>) -> Result<Bytes> {
        if let Some((id, file)) = &self.open
            && *id == body.id
        {
            return file.read(body, range);
        }
        let sql = "SELECT body_data.data, body.sums FROM body
             LEFT JOIN body_data ON body_data.id = body.id WHERE body.id = ?1";
        let (small, sums) = self.connection.with(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_row([body.id.0.cast_signed()], |row| {
                let sums = row.get_ref(1)?.as_blob_or_null()?;
                Ok(match row.get_ref(0)?.as_blob_or_null()? {
                    Some(octets) => (Some(small(body, octets, sums, &range)), None),
                    None => (None, sums.map(<[u8]>::to_vec)),
                })
            });
            // One that is staged and not committed yet has a file alone.
            Ok(found.optional()?.unwrap_or_default())
        })?;
        if let Some(small) = small {
            return small;
        }
        let file = File::open(self.bodies.path(body.id)).map_err(|error| match error.kind() {
            ErrorKind::NotFound => GONE,
            // Such as too many open files: the body may well be whole.
            _ => Error::io("cannot open a body")(error),
        })?;
        let file = BodyFile { file, sums };
        let octets = file.read(body, range)?;
        self.open = Some((body.id, file));
        Ok(octets)
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &ReaderConnection {
        &self.connection
    }
}

const GONE: Error = Error::Damaged("a body is gone", About::Nothing);
const CUT: Error = Error::Damaged("a body was cut", About::Nothing);
const CHANGED: Error = Error::Damaged("a body was changed", About::Nothing);

/// A range of a body that lies in the database.
fn small(body: &BodyRef, octets: &[u8], sums: Option<&[u8]>, range: &Range<u64>) -> Result<Bytes> {
    if octets.len() as u64 != body.octets {
        return Err(CUT);
    }
    if sums.is_some_and(|sums| !holds(sums, 0, octets)) {
        return Err(CHANGED);
    }
    let range = usize::try_from(range.start).map_err(|_| CUT)?
        ..usize::try_from(range.end).map_err(|_| CUT)?;
    octets.get(range).map(Bytes::copy_from_slice).ok_or(CUT)
}

impl BodyFile {
    fn read(&self, body: &BodyRef, range: Range<u64>) -> Result<Bytes> {
        let Some(sums) = &self.sums else {
            return self.octets(range);
        };
        let first = range.start / BLOCK;
        let blocks = first * BLOCK..range.end.next_multiple_of(BLOCK).min(body.octets);
        let octets = self.octets(blocks.clone())?;
        if !holds(sums, first, &octets) {
            return Err(CHANGED);
        }
        let within = |at: u64| usize::try_from(at - blocks.start).unwrap_or(usize::MAX);
        Ok(octets.slice(within(range.start)..within(range.end)))
    }

    fn octets(&self, range: Range<u64>) -> Result<Bytes> {
        let length = usize::try_from(range.end - range.start).map_err(|_| CUT)?;
        let mut octets = vec![0; length];
        let read = self.file.read_exact_at(&mut octets, range.start);
        read.map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => CUT,
            _ => Error::Damaged("a body cannot be read", About::Nothing),
        })?;
        Ok(octets.into())
    }
}

fn state_of(c: &Connection, id: AccountId) -> Result<ModSeq> {
    let at = c
        .prepare_cached("SELECT at FROM account WHERE id = ?1")?
        .query_row([id.0.cast_signed()], |row| number(row, 0))
        .optional()?;
    at.map(ModSeq).ok_or(Error::NoSuchAccount(id.into()))
}

fn properties(c: &Connection, account: &mut Account) -> Result<()> {
    let mut statement = c.prepare_cached("SELECT key, value FROM property WHERE account = ?1")?;
    let rows = statement.query_map([account.id.0.cast_signed()], |row| {
        Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?.into()))
    })?;
    account.properties = rows.collect::<Sqlite<_>>()?;
    Ok(())
}

/// Puts the properties of an account's mailboxes to where they belong.
fn mailbox_properties(c: &Connection, account: AccountId, all: &mut [Mailbox]) -> Result<()> {
    let mut statement =
        c.prepare_cached("SELECT mailbox, key, value FROM mailbox_property WHERE account = ?1")?;
    let rows = statement.query_map([account.0.cast_signed()], |row| {
        Ok((
            row.get::<_, u32>(0)?,
            row.get(1)?,
            row.get::<_, Vec<u8>>(2)?,
        ))
    })?;
    let mut found = HashMap::<u32, BTreeMap<String, Bytes>>::new();
    for row in rows {
        let (number, key, value) = row?;
        found.entry(number).or_default().insert(key, value.into());
    }
    for mailbox in all {
        mailbox.properties = found.remove(&mailbox.id.number).unwrap_or_default();
    }
    Ok(())
}

fn properties_of(c: &Connection, id: MailboxId) -> Result<BTreeMap<String, Bytes>> {
    let mut statement = c.prepare_cached(
        "SELECT key, value FROM mailbox_property WHERE account = ?1 AND mailbox = ?2",
    )?;
    let rows = statement.query_map((id.account.0.cast_signed(), id.number), |row| {
        Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?.into()))
    })?;
    Ok(rows.collect::<Sqlite<_>>()?)
}

fn one_account(c: &Connection, by: &str, value: impl rusqlite::ToSql) -> Result<Option<Account>> {
    let mut statement = c.prepare_cached(&format!("{ACCOUNT} WHERE {by} = ?1"))?;
    let mut found = statement.query_row([value], account).optional()?;
    if let Some(account) = &mut found {
        properties(c, account)?;
    }
    Ok(found)
}

fn horizon(c: &Connection, id: MailboxId) -> Result<ModSeq> {
    let horizon = c
        .prepare_cached("SELECT horizon FROM mailbox WHERE account = ?1 AND number = ?2")?
        .query_row((id.account.0.cast_signed(), id.number), |row| {
            number(row, 0)
        })
        .optional()?;
    horizon.map(ModSeq).ok_or(Error::NoSuchMailbox(id.into()))
}

/// The mod-sequence that a page of changes leads to, where there are more than `limit`: that of the last one within it.
fn cut(c: &Connection, values: (i64, u32, i64), limit: usize) -> Result<Option<ModSeq>> {
    let (account, mailbox, since) = values;
    let before = i64::try_from(limit.saturating_sub(1)).unwrap_or(i64::MAX);
    let mut statement = c.prepare_cached(
        "SELECT modified FROM message WHERE account = ?1 AND mailbox = ?2 AND modified > ?3
         ORDER BY modified LIMIT 2 OFFSET ?4",
    )?;
    let found = statement.query_map((account, mailbox, since, before), |row| number(row, 0))?;
    let found = found.collect::<Sqlite<Vec<_>>>()?;
    Ok(match found[..] {
        [last, _] => Some(ModSeq(last)),
        _ => None,
    })
}

/// Rows of a mailbox for which `rest` holds; `?1` and `?2` are the mailbox.
fn rows(
    c: &Connection,
    want: Want,
    rest: &str,
    values: impl rusqlite::Params,
    most: usize,
) -> Result<Vec<Row>> {
    let summaries = want.contains(Want::SUMMARY);
    let select = match summaries {
        true => MESSAGE_WITH_SUMMARY,
        false => MESSAGE,
    };
    let sql = format!("{select} WHERE account = ?1 AND mailbox = ?2 {rest}");
    let mut statement = c.prepare_cached(&sql)?;
    let (mut found, mut all) = (statement.query(values)?, Vec::new());
    while all.len() < most {
        let Some(row) = found.next()? else { break };
        all.push(match summaries {
            true => message_with_summary(row)?,
            false => message(row)?,
        });
    }
    Ok(all)
}

impl Read for DiskReader {
    fn account(&mut self, name: &str) -> Result<Option<Account>> {
        self.snapshot(|c| one_account(c, "name", name))
    }

    fn account_by_id(&mut self, id: AccountId) -> Result<Option<Account>> {
        self.snapshot(|c| one_account(c, "id", id.0.cast_signed()))
    }

    fn accounts(&mut self, after: &str, limit: usize) -> Result<Vec<Account>> {
        self.snapshot(|c| {
            let sql = format!("{ACCOUNT} WHERE name > ?1 ORDER BY name");
            let mut statement = c.prepare_cached(&sql)?;
            let all = statement.query_map([after], account)?;
            let mut accounts = all.take(limit).collect::<Sqlite<Vec<_>>>()?;
            for account in &mut accounts {
                properties(c, account)?;
            }
            Ok(accounts)
        })
    }

    fn mailboxes(&mut self, account: AccountId, since: Option<ModSeq>) -> Result<Mailboxes> {
        self.snapshot(|c| {
            let id = account.0.cast_signed();
            let sql = format!("{MAILBOX} WHERE account = ?1 AND highest > ?2 ORDER BY name");
            let since = since.map_or(-1, |since| since.0.cast_signed());
            let mut statement = c.prepare_cached(&sql)?;
            let mailboxes = statement.query_map((id, since), mailbox)?;
            let mut mailboxes = mailboxes.collect::<Sqlite<Vec<_>>>()?;
            mailbox_properties(c, account, &mut mailboxes)?;
            let mut names =
                c.prepare_cached("SELECT name FROM subscription WHERE account = ?1 ORDER BY name")?;
            let subscribed = names.query_map([id], |row| row.get(0))?;
            Ok(Mailboxes {
                at: state_of(c, account)?,
                mailboxes,
                subscribed: subscribed.collect::<Sqlite<_>>()?,
            })
        })
    }

    fn mailbox(&mut self, account: AccountId, name: &str) -> Result<Option<Mailbox>> {
        self.snapshot(|c| {
            let sql = format!("{MAILBOX} WHERE account = ?1 AND name = ?2");
            let mut statement = c.prepare_cached(&sql)?;
            let found = statement.query_row((account.0.cast_signed(), name), mailbox);
            let Some(mut found) = found.optional()? else {
                return state_of(c, account).map(|_| None);
            };
            found.properties = properties_of(c, found.id)?;
            Ok(Some(found))
        })
    }

    fn messages(
        &mut self,
        mailbox: MailboxId,
        which: &Which,
        want: Want,
        limit: usize,
    ) -> Result<Page<Row>> {
        let (account, number) = (mailbox.account.0.cast_signed(), mailbox.number);
        self.snapshot(|c| {
            horizon(c, mailbox)?;
            let most = limit.saturating_add(1);
            let after = |uid: u32, most| {
                let values = (account, number, uid);
                rows(c, want, "AND uid > ?3 ORDER BY uid", values, most)
            };
            let mut found = match which {
                Which::After(uid) => after(uid.map_or(0, Uid::get), most)?,
                Which::Uids(uids) if *uids == UidSet::all() => after(0, most)?,
                Which::Uids(uids) => {
                    let mut found = Vec::new();
                    for (low, high) in uids.ranges() {
                        let rest = "AND uid BETWEEN ?3 AND ?4 ORDER BY uid";
                        let left = most - found.len();
                        found.extend(rows(c, want, rest, (account, number, low, high), left)?);
                        if found.len() >= most {
                            break;
                        }
                    }
                    found
                }
                Which::NewestBefore(uid) => {
                    let below = uid.map_or(i64::MAX, |uid| i64::from(uid.get()));
                    let rest = "AND uid < ?3 ORDER BY uid DESC";
                    rows(c, want, rest, (account, number, below), most)?
                }
                Which::Origin(origin) => {
                    let rest = "AND uid = (SELECT uid FROM origin
                         WHERE account = ?1 AND mailbox = ?2 AND origin = ?3)";
                    rows(c, want, rest, params![account, number, &origin[..]], most)?
                }
            };
            let more = found.len() > limit;
            found.truncate(limit);
            Ok(Page {
                at: state_of(c, mailbox.account)?,
                rows: found,
                more,
            })
        })
    }

    fn changes(
        &mut self,
        mailbox: MailboxId,
        since: ModSeq,
        want: Want,
        limit: usize,
    ) -> Result<Changes> {
        let (account, number) = (mailbox.account.0.cast_signed(), mailbox.number);
        self.snapshot(|c| {
            let horizon = horizon(c, mailbox)?;
            if since < horizon {
                return Ok(Changes::TooOld { horizon });
            }
            let since = since.0.cast_signed();
            // Rows beyond the page are not read: the next pages would read them again and again.
            let upto = match cut(c, (account, number, since), limit)? {
                Some(upto) => upto,
                None => state_of(c, mailbox.account)?,
            };
            let values = (account, number, since, upto.0.cast_signed());
            let rest = "AND modified > ?3 AND modified <= ?4";
            let changed = rows(c, want, rest, values, usize::MAX)?;
            let mut statement = c.prepare_cached(
                "SELECT uid, at FROM gone
                 WHERE account = ?1 AND mailbox = ?2 AND at > ?3 AND at <= ?4",
            )?;
            let gone = statement.query_map(values, |row| {
                Ok((nonzero(Uid::new, row, 0)?, ModSeq(self::number(row, 1)?)))
            })?;
            let gone = gone.collect::<Sqlite<Vec<_>>>()?;
            Ok(changes_page(upto, changed, gone, limit))
        })
    }

    fn read(&mut self, body: &BodyRef, range: Range<u64>) -> Result<Bytes> {
        let end = range.end.min(body.octets);
        if range.start >= end {
            return Ok(Bytes::new());
        }
        // It ends with a block, so that the next one asked for begins with one.
        let blocks = range.start / BLOCK * BLOCK;
        let end = end.min(blocks.saturating_add(READ_MAX));
        let read = self.checked(body, range.start..end);
        let read = read.map_err(|error| error.about(body.id));
        read.inspect_err(|error| {
            if matches!(error, Error::Damaged(..)) {
                self.database.damaged.fetch_add(1, Ordering::Relaxed);
            }
        })
    }

    fn queue(&mut self, after: Option<QueueId>, limit: usize) -> Result<Vec<QueueEntry>> {
        self.snapshot(|c| {
            let mut statement =
                c.prepare_cached("SELECT * FROM queue WHERE id > ?1 ORDER BY id")?;
            let after = after.map_or(0, |id| id.0.cast_signed());
            let all = statement.query_map([after], queue_entry)?;
            Ok(all.take(limit).collect::<Sqlite<_>>()?)
        })
    }

    fn queue_length(&mut self, now: SystemTime) -> Result<QueueLength> {
        self.snapshot(|c| {
            // Entries that are not parked, that are due, and of both those with a claim that holds.
            let mut statement = c.prepare_cached(
                "SELECT count(*), total(due <> ?2), total(due <= ?1), total(due > ?1 AND due <> ?2 AND token <> 0),
                    min(id) FILTER (WHERE due <> ?2) FROM queue",
            )?;
            Ok(statement.query_row([millis(now).min(NEVER - 1), NEVER], |row| {
                let total = |nth| -> Sqlite<u64> { Ok(row.get::<_, f64>(nth)? as u64) };
                let (all, not_parked, due, claimed) =
                    (number(row, 0)?, total(1)?, total(2)?, total(3)?);
                Ok(QueueLength {
                    due,
                    waiting: not_parked - due - claimed,
                    claimed,
                    parked: all - not_parked,
                    oldest: row.get::<_, Option<i64>>(4)?.map(|id| QueueId(id.cast_unsigned())),
                })
            })?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::disk::steps::Steps;
    use crate::backends::disk::{DiskEngine, DiskOptions};
    use crate::contract::store::{Engine as _, Stager as _};
    use crate::{Append, Operation, Transaction};

    #[test]
    fn changes_page_by_page_cost_what_they_are() {
        const MESSAGES: usize = 2_048;
        const PAGE: usize = 16;
        let directory = tempfile::tempdir().unwrap();
        let mut engine = DiskEngine::open(directory.path(), &DiskOptions::default()).unwrap();
        let account = engine.create_account("a@example.test").unwrap();
        let inbox = MailboxId { account, number: 1 };
        let stager = engine.stager();
        let append = |_| {
            let append = Append::new(inbox, stager.small("x".into()), (0, 0));
            Transaction::new(account).with(Operation::Append(Box::new(append)))
        };
        let all: Vec<_> = (0..MESSAGES).map(append).collect();
        assert!(engine.commit(&all).iter().all(Result::is_ok));
        let mut reader = engine.reader().unwrap();
        let steps = reader.connection().with_mut(Steps::of).unwrap();
        let (mut since, mut seen) = (ModSeq(1), Vec::new());
        loop {
            let changes = reader.changes(inbox, since, Want::ROW, PAGE).unwrap();
            let Changes::Known { at, rows, .. } = changes else {
                panic!("{changes:?}");
            };
            assert!(rows.len() <= PAGE);
            seen.extend(rows.iter().map(|row| row.uid.get() as usize));
            if at == since {
                break;
            }
            since = at;
        }
        assert!(seen.into_iter().eq(1..=MESSAGES));
        let each = steps.taken() / MESSAGES as i32;
        assert!(each < 200, "{each} steps of SQLite for each message");
    }
}
