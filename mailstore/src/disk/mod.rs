//! The embedded, durable backend: one directory, one process.
//!
//! `store.sqlite` in WAL mode with synchronous=FULL holds everything but bodies above 64 KiB, which
//! are files in `bodies/`, written and synced before the rows that name them.

mod bodies;
mod claim;
mod read;
mod tables;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::apply::apply;
use crate::engine::{first_state, inbox};
use crate::store::{Capabilities, Engine};
use crate::tables::Tables as _;
use crate::{
    AccountId, Blocking, BodyId, Claim, Committed, Error, QueueEntry, Result, Transaction, UidSet,
};
use bodies::{Bodies, DiskStager};
use read::DiskReader;
use tables::Sql;

/// The embedded store: a directory that one process at a time may open.
pub type Disk = Blocking<DiskEngine>;

const VERSION: i64 = 2;
/// After its last reference a body can be read for so long.
const GRACE: Duration = Duration::from_secs(60);
/// Pages of the log before it is copied into the database: 64 MiB, so that its flushes are rare.
const CHECKPOINT: i64 = 16_384;

impl Disk {
    /// Opens the store in `directory`, and makes it when there is none.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another process has it open; [`Error::Io`], [`Error::Backend`].
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        Blocking::start(DiskEngine::open(directory.as_ref())?)
    }
}

/// The engine of [`Disk`].
pub struct DiskEngine {
    connection: Connection,
    database: PathBuf,
    bodies: Arc<Bodies>,
    /// Bodies without a reference, and since when.
    free: Vec<(Instant, BodyId)>,
    broken: bool,
    _lock: File,
}

impl std::fmt::Debug for DiskEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskEngine").finish_non_exhaustive()
    }
}

impl DiskEngine {
    fn open(directory: &Path) -> Result<Self> {
        let folder = directory.join("bodies");
        fs::create_dir_all(&folder).map_err(Error::io("cannot make the store's directory"))?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join("lock"))
            .map_err(Error::io("cannot open the lock file"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(Error::Conflict("another process has the store open"));
            }
            Err(fs::TryLockError::Error(error)) => {
                return Err(Error::io("cannot lock the store")(error));
            }
        }
        let database = directory.join("store.sqlite");
        let connection = connect(&database)?;
        prepare(&connection)?;
        let last: i64 =
            connection.query_row("SELECT coalesce(max(id), 0) FROM body", [], |row| {
                row.get(0)
            })?;
        let bodies = Arc::new(Bodies::new(folder, last.unsigned_abs())?);
        let mut engine = Self {
            connection,
            database,
            bodies,
            free: Vec::new(),
            broken: false,
            _lock: lock,
        };
        engine.sweep()?;
        // The names in the directory are as safe as what will lie in them.
        sync_directory(directory)?;
        Ok(engine)
    }

    /// Frees what a former process left: bodies without a row, rows without a reference.
    fn sweep(&mut self) -> Result<()> {
        let mut statement = self
            .connection
            .prepare("SELECT id FROM body WHERE refs = 0")?;
        let free = statement
            .query_map([], |row| row.get::<_, i64>(0))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        drop(statement);
        let long_ago = Instant::now()
            .checked_sub(GRACE * 2)
            .unwrap_or_else(Instant::now);
        self.free = free
            .into_iter()
            .map(|id| (long_ago, BodyId(id.unsigned_abs())))
            .collect();
        self.tidy()?;
        let connection = &self.connection;
        self.bodies.remove_orphans(|id| {
            let known = connection
                .prepare_cached("SELECT 1 FROM body WHERE id = ?1 AND file = 1")?
                .exists([id.0.cast_signed()])?;
            Ok(known)
        })
    }

    /// Runs `work` in one database transaction, and flushes once.
    fn group<T>(&mut self, work: impl FnOnce(&mut Sql<'_>) -> Result<T>) -> Result<T> {
        if self.broken {
            return Err(Error::ReadOnly);
        }
        say(&self.connection, "BEGIN IMMEDIATE")?;
        let mut sql = Sql::new(&self.connection);
        let done = work(&mut sql);
        let freed = std::mem::take(&mut sql.freed);
        let files = sql.files;
        let finished = match &done {
            Ok(_) if files => self.bodies.sync_directory().map_err(Some),
            Ok(_) => Ok(()),
            Err(_) => Err(None),
        };
        let flushed = finished.and_then(|()| say(&self.connection, "COMMIT").map_err(Some));
        match flushed {
            Ok(()) => {
                let now = Instant::now();
                self.free.extend(freed.into_iter().map(|id| (now, id)));
                done
            }
            Err(failed) => {
                let _ = say(&self.connection, "ROLLBACK");
                let Some(error) = failed else { return done };
                // A flush that failed may have lost what was written before it: no second try.
                self.broken = true;
                Err(error)
            }
        }
    }
}

fn connect(database: &Path) -> Result<Connection> {
    let connection = Connection::open(database)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    // The planner must not look at the values: it has no statistics that could gain by it, and a
    // statement whose values were looked at is prepared anew whenever they change.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    connection.pragma_update(None, "cache_size", -4096)?;
    Ok(connection)
}

/// Runs a statement that has no values, such as `COMMIT`.
fn say(connection: &Connection, statement: &str) -> Result<()> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}

fn prepare(connection: &Connection) -> Result<()> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == VERSION {
        // Stores of this version were made without it.
        connection.execute_batch(claim::INDEX)?;
        return Ok(());
    }
    if version == 1 {
        connection.execute_batch(include_str!("from_1.sql"))?;
        return Ok(());
    }
    if version != 0 {
        return Err(Error::Conflict("the store was made by a newer version"));
    }
    let system = first_state(AccountId::SYSTEM);
    connection.execute_batch("BEGIN IMMEDIATE")?;
    connection.execute_batch(include_str!("schema.sql"))?;
    connection.execute(
        "INSERT INTO account VALUES (0, '', 0, 0, ?1, 0, NULL, NULL, 0, 0)",
        [system.last_uid_validity],
    )?;
    connection.pragma_update(None, "user_version", VERSION)?;
    connection.execute_batch("COMMIT")?;
    Ok(())
}

/// Makes names in a directory durable.
fn sync_directory(directory: &Path) -> Result<()> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(Error::io("cannot sync a directory"))
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Backend(format!("database: {error}").into())
    }
}

/// A time as the database keeps it: milliseconds since 1970.
fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn from_millis(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs())
}

impl Engine for DiskEngine {
    type Reader = DiskReader;
    type Stager = DiskStager;

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(true, true)
    }

    fn reader(&self) -> Result<DiskReader> {
        let connection = connect(&self.database)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(DiskReader::new(connection, Arc::clone(&self.bodies)))
    }

    fn stager(&self) -> DiskStager {
        DiskStager::new(Arc::clone(&self.bodies))
    }

    fn commit(&mut self, batch: &[Transaction]) -> Vec<Result<Committed>> {
        let done = self.group(|sql| {
            let one = |transaction| sql.savepoint(|sql| apply(sql, transaction));
            Ok(batch.iter().map(one).collect::<Vec<_>>())
        });
        match done {
            Ok(results) => results,
            Err(error) => {
                // What happened to a commit whose flush failed, nobody knows.
                let error = if self.broken && !matches!(error, Error::ReadOnly) {
                    Error::OutcomeUnknown
                } else {
                    error
                };
                batch.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    fn create_account(&mut self, name: &str) -> Result<AccountId> {
        let name = name.to_string();
        self.group(|sql| {
            if name.is_empty() || sql.account_number(&name)?.is_some() {
                return Err(Error::AlreadyExists);
            }
            let id = sql.add_account(&name)?;
            apply(sql, &inbox(id))?;
            Ok(id)
        })
    }

    fn remove_account(&mut self, id: AccountId) -> Result<()> {
        self.group(|sql| {
            if id == AccountId::SYSTEM || sql.account(id)?.is_none() {
                return Err(Error::NoSuchAccount);
            }
            for mailbox in sql.mailboxes_below(id, "")? {
                for row in sql.rows(mailbox.id, &UidSet::all())? {
                    sql.release(row.body)?;
                }
                sql.delete_mailbox(mailbox.id)?;
            }
            sql.remove_queue_of(id)?;
            sql.remove_account(id)
        })
    }

    fn claim(&mut self, claim: &Claim) -> Result<Vec<QueueEntry>> {
        let any = self
            .connection
            .prepare_cached("SELECT 1 FROM queue WHERE due <= ?1")?
            .exists([millis(claim.now)])?;
        if !any {
            return Ok(Vec::new());
        }
        self.group(|sql| sql.claim(claim))
    }

    fn release_claims(&mut self, owner: u32, now: SystemTime) -> Result<u64> {
        self.group(|sql| sql.release_claims(owner, now))
    }

    fn clamp_due(&mut self, latest: SystemTime) -> Result<u64> {
        let any = self
            .connection
            .prepare_cached("SELECT 1 FROM queue WHERE due > ?1")?
            .exists([millis(latest)])?;
        if !any {
            return Ok(0);
        }
        self.group(|sql| sql.clamp_due(latest))
    }

    fn tidy(&mut self) -> Result<()> {
        let due = self
            .free
            .iter()
            .filter(|(since, _)| since.elapsed() > GRACE);
        let due: Vec<BodyId> = due.map(|(_, id)| *id).collect();
        if due.is_empty() {
            return Ok(());
        }
        self.free.retain(|(since, _)| since.elapsed() <= GRACE);
        let files = self.group(|sql| {
            let mut files = Vec::new();
            for id in due {
                files.extend(sql.drop_body(id)?);
            }
            Ok(files)
        })?;
        // After the commit: a crash between the two leaves an orphan, which the next start removes.
        for id in files {
            self.bodies.remove(id);
        }
        Ok(())
    }
}

impl Sql<'_> {
    fn savepoint<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        say(self.connection(), "SAVEPOINT one")?;
        let freed = self.freed.len();
        let done = work(self);
        if done.is_err() {
            self.freed.truncate(freed);
            say(self.connection(), "ROLLBACK TO one")?;
        }
        say(self.connection(), "RELEASE one")?;
        done
    }

    fn account_number(&mut self, name: &str) -> Result<Option<i64>> {
        let mut statement = self
            .connection()
            .prepare_cached("SELECT id FROM account WHERE name = ?1")?;
        Ok(statement.query_row([name], |row| row.get(0)).optional()?)
    }

    fn add_account(&mut self, name: &str) -> Result<AccountId> {
        let row = first_state(AccountId(0));
        self.connection().execute(
            "INSERT INTO account VALUES (NULL, ?1, 0, 0, ?2, 0, NULL, NULL, 0, 0)",
            params![name, row.last_uid_validity],
        )?;
        Ok(AccountId(
            self.connection().last_insert_rowid().unsigned_abs(),
        ))
    }

    fn remove_account(&mut self, id: AccountId) -> Result<()> {
        let id = id.0.cast_signed();
        for statement in [
            "DELETE FROM property WHERE account = ?1",
            "DELETE FROM subscription WHERE account = ?1",
            "DELETE FROM account WHERE id = ?1",
        ] {
            self.connection().execute(statement, [id])?;
        }
        Ok(())
    }

    /// Removes a body that has no reference again; its file is left to the caller.
    fn drop_body(&mut self, id: BodyId) -> Result<Option<BodyId>> {
        let number = id.0.cast_signed();
        let file: Option<bool> = self
            .connection()
            .prepare_cached("DELETE FROM body WHERE id = ?1 AND refs = 0 RETURNING file")?
            .query_row([number], |row| row.get(0))
            .optional()?;
        let Some(file) = file else { return Ok(None) };
        self.connection()
            .prepare_cached("DELETE FROM body_data WHERE id = ?1")?
            .execute([number])?;
        self.connection()
            .prepare_cached("DELETE FROM summary WHERE id = ?1")?
            .execute([number])?;
        Ok(file.then_some(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Read as _;
    use crate::{Append, FlagChange, Flags, MailboxId, ModSeq, Operation, Staged, Want, Which};
    use rusqlite::StatementStatus;
    use rusqlite::trace::{TraceEvent, TraceEventCodes};
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    /// How often each statement of a connection was run, and prepared anew.
    type Counts = Arc<Mutex<BTreeMap<String, (u32, i32)>>>;

    fn count(connection: &mut Connection) -> Counts {
        let counts = Counts::default();
        let into = Arc::clone(&counts);
        let note = move |event: TraceEvent<'_>| {
            if let TraceEvent::Profile(statement, _) = event {
                let again = statement.get_status(StatementStatus::RePrepare);
                let mut counts = into.lock().unwrap();
                let one = counts.entry(statement.sql().into_owned()).or_default();
                *one = (one.0 + 1, one.1.max(again));
            }
        };
        let profile = TraceEventCodes::SQLITE_TRACE_PROFILE;
        connection.trace_v2(profile, Some(note)).unwrap();
        counts
    }

    fn work(engine: &mut DiskEngine, operations: Vec<Operation>) {
        let mut transaction = Transaction::new(AccountId(1));
        transaction.operations = operations;
        engine.commit(&[transaction]).remove(0).unwrap();
    }

    #[test]
    fn statements_are_prepared_once() {
        let directory = tempfile::tempdir().unwrap();
        let mut engine = DiskEngine::open(directory.path()).unwrap();
        engine.create_account("a@example.test").unwrap();
        let mut reader = engine.reader().unwrap();
        let written = count(&mut engine.connection);
        let read = count(reader.connection_mut());
        let inbox = MailboxId {
            account: AccountId(1),
            number: 1,
        };
        let old: String = "old".into();
        for round in 1..=20_u32 {
            let name = format!("box {round}");
            let (special_use, uid_validity) = (None, None);
            work(
                &mut engine,
                vec![Operation::Create {
                    name,
                    special_use,
                    uid_validity,
                }],
            );
            let to = MailboxId {
                account: AccountId(1),
                number: round + 1,
            };
            let body =
                Staged::in_memory(BodyId(u64::from(round)), vec![b'x'; round as usize].into());
            let mut append = Append::new(inbox, body.clone(), (0, 0));
            append.origin = Some(format!("origin {round}").into());
            append.summary = format!("summary {round}").into();
            let uids = UidSet::from_ranges([(round.saturating_sub(2).max(1), round)]);
            let one = UidSet::from_ranges([(round, round)]);
            let value = Some(name_of(round).into());
            let due = SystemTime::now();
            work(
                &mut engine,
                vec![
                    Operation::Append(Box::new(append)),
                    Operation::Flags {
                        mailbox: inbox,
                        uids: uids.clone(),
                        change: FlagChange::Add(Flags::SEEN),
                        unchanged_since: None,
                    },
                    Operation::Copy {
                        from: inbox,
                        uids,
                        to,
                    },
                    Operation::SetProperty {
                        key: name_of(round),
                        value: value.clone(),
                    },
                    Operation::SetMailboxProperty {
                        mailbox: to,
                        key: name_of(round),
                        value,
                    },
                    Operation::Subscribe {
                        name: name_of(round),
                        subscribed: true,
                    },
                    Operation::Enqueue {
                        due,
                        next_hop: name_of(round),
                        body,
                        envelope: name_of(round).into(),
                    },
                    Operation::Subscribe {
                        name: old.clone(),
                        subscribed: false,
                    },
                    Operation::Expunge {
                        mailbox: to,
                        uids: one,
                        deleted_only: false,
                    },
                ],
            );
            for entry in engine
                .claim(&Claim::new(due, 10, Duration::from_secs(9)))
                .unwrap()
            {
                let (id, token) = (entry.id, entry.token);
                let again = (round % 2 == 0).then(|| (due, entry.envelope.clone()));
                work(&mut engine, vec![Operation::Settle { id, token, again }]);
            }
            let name = format!("a{round}@example.test");
            let account = engine.create_account(&name).unwrap();
            reader.account(&name).unwrap().unwrap();
            reader.account_by_id(account).unwrap().unwrap();
            reader.accounts(&name, round as usize).unwrap();
            reader.mailboxes(account, None).unwrap();
            reader
                .mailboxes(AccountId(1), Some(ModSeq(u64::from(round))))
                .unwrap();
            let uid = crate::Uid::new(round);
            for which in [
                Which::After(uid),
                Which::Uids(UidSet::from_ranges([(round, round + 3)])),
                Which::NewestBefore(uid),
                Which::Origin(format!("origin {round}").into()),
            ] {
                for want in [Want::ROW, Want::SUMMARY] {
                    let page = reader
                        .messages(inbox, &which, want, round as usize)
                        .unwrap();
                    for row in page.rows {
                        let octets = reader.read(&row.body, 0..9).unwrap();
                        assert_eq!(octets.len() as u64, row.body.octets.min(9));
                    }
                }
            }
            reader
                .changes(inbox, ModSeq(u64::from(round)), Want::ROW, 3)
                .unwrap();
            reader
                .queue(Some(crate::QueueId(u64::from(round))), 3)
                .unwrap();
        }
        for (who, counts) in [("writer", &written), ("reader", &read)] {
            let counts = counts.lock().unwrap();
            assert!(counts.len() > 10, "{who}: {counts:?}");
            for (statement, (runs, again)) in counts.iter() {
                assert_eq!(*again, 0, "{who}: {statement}: {runs} runs");
            }
        }
    }

    fn name_of(round: u32) -> String {
        format!("name {round}")
    }

    #[test]
    fn a_store_of_version_1_is_brought_on() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("version-1");
        let old = connect(&database).unwrap();
        prepare(&old).unwrap();
        old.execute_batch(
            "INSERT INTO message VALUES (1, 1, 7, 1, 0, NULL, 0, 0, 1, 1, 1, 9, 5);
             ALTER TABLE message DROP COLUMN saved; DROP TABLE mailbox_property;
             PRAGMA user_version = 1;",
        )
        .unwrap();
        prepare(&old).unwrap();
        let row = old.query_row(&format!("{} LIMIT 1", read::MESSAGE), [], read::message);
        let row = row.unwrap();
        assert_eq!((row.uid.get(), row.body.octets, row.saved), (7, 9, None));
        let none = old.query_row("SELECT count(*) FROM mailbox_property", [], |row| {
            row.get::<_, i64>(0)
        });
        assert_eq!(none, Ok(0));
    }
}
