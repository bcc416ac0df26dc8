//! The embedded, durable backend: one directory, one process.
//!
//! `store.sqlite` in WAL mode with synchronous=FULL holds everything but bodies above 64 KiB, which
//! are files in `bodies/`, written and synced before the rows that name them.

mod bodies;
mod broken;
mod check;
mod claim;
mod connections;
mod folder;
mod free;
mod free_bodies;
mod log;
mod names;
mod open;
mod read;
mod recover;
mod room;
mod schema;
#[cfg(test)]
mod steps;
mod sums;
mod tables;
mod time;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use crate::backends::engine::{self, apply};
use crate::contract::store::{Capabilities, Engine, HealthProbe};
use crate::{
    AccountId, Blocking, Claim, Committed, Error, Health, Operation, QueueEntry, Result,
    Transaction,
};
use bodies::{Bodies, DiskStager};
use broken::Broken;
use connections::{Database, lock, say};
use folder::Folder;
use free_bodies::FreeBodies;
use read::DiskReader;
use tables::{Sql, guard};
use time::millis;

/// The embedded store: a directory that one process at a time may open.
pub type Disk = Blocking<DiskEngine>;

/// How often the quarantine is tidied.
const TIDY: Duration = Duration::from_secs(60 * 60);

/// How a store on disk is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskOptions {
    /// Octets that stay free on the disk: messages that would take them are refused with
    /// [`Error::StorageFull`]. 128 MiB by default, which the log needs.
    pub min_free: u64,
    /// How long a start after a crash may check the database, all of which is read for that: 60 seconds by default.
    /// Where that is not enough [`Finding::CheckCut`](crate::Finding::CheckCut) says so, and the store is opened.
    pub check: Duration,
}

impl Default for DiskOptions {
    fn default() -> Self {
        Self {
            min_free: 128 * 1024 * 1024,
            check: Duration::from_secs(60),
        }
    }
}

impl Disk {
    /// Opens the store in `directory`, and makes it when there is none. What was found is in
    /// [`Store::health`](crate::Store::health).
    ///
    /// # Errors
    /// [`Error::Conflict`] when another process has it open; [`Error::NewerVersion`]; [`Error::Damaged`]
    /// when its database is none; [`Error::Io`], [`Error::Backend`].
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(directory, &DiskOptions::default())
    }

    /// Opens the store in `directory`, and makes it when there is none.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(directory: impl AsRef<Path>, options: &DiskOptions) -> Result<Self> {
        Blocking::start(DiskEngine::open(directory.as_ref(), options)?)
    }
}

/// The engine of [`Disk`].
pub struct DiskEngine {
    connection: Connection,
    database: Arc<Database>,
    bodies: Arc<Bodies>,
    free: FreeBodies,
    broken: Option<Broken>,
    damaged: bool,
    tidied: Instant,
    folder: Folder,
}

impl std::fmt::Debug for DiskEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskEngine").finish_non_exhaustive()
    }
}

/// Why a group of changes was not committed.
enum Failed {
    /// The changes themselves.
    Change(Error),
    /// The disk.
    Disk(Error),
}

impl DiskEngine {
    /// Runs `work` in one database transaction, and flushes once.
    fn group<T>(&mut self, work: impl FnOnce(&mut Sql<'_>) -> Result<T>) -> Result<T> {
        self.ready()?;
        let mut sql = Sql::new(&self.connection, &self.bodies);
        let done = self.attempt(&mut sql, work);
        let (freed, files) = (sql.freed, sql.files);
        let keep = || {
            for guard in files.iter().filter_map(guard) {
                guard.keep();
            }
        };
        match done {
            Ok(done) => {
                keep();
                self.free.add(freed);
                Ok(done)
            }
            Err(Failed::Change(error)) => Err(error),
            Err(Failed::Disk(error)) => {
                let error = self.take_back(error);
                if matches!(error, Error::OutcomeUnknown) {
                    keep();
                }
                Err(error)
            }
        }
    }

    fn attempt<T>(
        &self,
        sql: &mut Sql<'_>,
        work: impl FnOnce(&mut Sql<'_>) -> Result<T>,
    ) -> Result<T, Failed> {
        say(&self.connection, "BEGIN IMMEDIATE").map_err(Failed::Disk)?;
        let done = work(sql);
        // After some failures SQLite gives the whole transaction up by itself.
        let given_up = self.connection.is_autocommit();
        let done = match done {
            Err(error) if given_up || is_of_disk(&error) => return Err(Failed::Disk(error)),
            Err(error) => {
                say(&self.connection, "ROLLBACK").map_err(Failed::Disk)?;
                return Err(Failed::Change(error));
            }
            Ok(_) if given_up => return Err(Failed::Disk(GIVEN_UP)),
            Ok(done) => done,
        };
        if !sql.files.is_empty() {
            self.bodies.sync_directory().map_err(Failed::Disk)?;
        }
        say(&self.connection, "COMMIT").map_err(Failed::Disk)?;
        Ok(done)
    }
}

const GIVEN_UP: Error = Error::Conflict("the database gave the change up");

/// Returns whether the disk is at fault, and not the change.
fn is_of_disk(error: &Error) -> bool {
    matches!(
        error,
        Error::Io(..) | Error::Backend(_) | Error::StorageFull | Error::Damaged(..)
    )
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::StorageFull,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged("the database", "store.sqlite".into())
            }
            _ => Self::Backend(format!("database: {error}").into()),
        }
    }
}

impl Engine for DiskEngine {
    type Reader = DiskReader;
    type Stager = DiskStager;

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(true, true)
    }

    fn reader(&self) -> Result<DiskReader> {
        DiskReader::new(&self.database, Arc::clone(&self.bodies))
    }

    fn stager(&self) -> DiskStager {
        DiskStager::new(Arc::clone(&self.bodies))
    }

    fn commit(&mut self, batch: &[Transaction]) -> Vec<Result<Committed>> {
        let admitted = self.bodies.room().admits(0);
        let done = self.group(|sql| {
            let one = |transaction| {
                if let (Err(full), true) = (&admitted, brings_bodies(transaction)) {
                    return Ok(Err(full.clone()));
                }
                sql.savepoint(|sql| apply(sql, transaction))
            };
            batch.iter().map(one).collect::<Result<Vec<_>>>()
        });
        match done {
            Ok(results) => results,
            Err(error) => batch.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    fn health(&self) -> HealthProbe {
        let (database, bodies) = (Arc::clone(&self.database), Arc::clone(&self.bodies));
        Arc::new(move || {
            let free = bodies.room().free();
            Health {
                free,
                full: free == Some(0),
                damaged: database.damaged.load(Ordering::Relaxed),
                ..lock(&database.health).clone()
            }
        })
    }

    fn create_account(&mut self, name: &str) -> Result<AccountId> {
        let name = name.to_string();
        self.group(|sql| {
            if name.is_empty() || sql.account_number(&name)?.is_some() {
                return Err(Error::AlreadyExists(name.as_str().into()));
            }
            let id = sql.add_account(&name)?;
            engine::add_account(sql, id)?;
            Ok(id)
        })
    }

    fn remove_account(&mut self, id: AccountId) -> Result<()> {
        self.group(|sql| engine::remove_account(sql, id))
    }

    fn claim(&mut self, claim: &Claim) -> Result<Vec<QueueEntry>> {
        self.ready()?;
        let mut due = self
            .connection
            .prepare_cached("SELECT 1 FROM queue WHERE due <= ?1")?;
        if claim.only.is_none() && !due.exists([millis(claim.now)])? {
            return Ok(Vec::new());
        }
        drop(due);
        self.group(|sql| sql.claim(claim))
    }

    fn release_claims(&mut self, owner: u32, now: SystemTime) -> Result<u64> {
        self.group(|sql| sql.release_claims(owner, now))
    }

    fn clamp_due(&mut self, latest: SystemTime) -> Result<u64> {
        self.ready()?;
        let any = self
            .connection
            .prepare_cached("SELECT 1 FROM queue WHERE due > ?1 AND due <> ?2")?
            .exists([millis(latest), time::NEVER])?;
        if !any {
            return Ok(0);
        }
        self.group(|sql| sql.clamp_due(latest))
    }

    fn tidy(&mut self) -> Result<()> {
        self.recover_when_due();
        if self.damaged {
            return Ok(());
        }
        if self.tidied.elapsed() > TIDY {
            self.tidied = Instant::now();
            self.folder.tidy();
        }
        self.remove_free()
    }
}

/// Returns whether a transaction takes room for messages.
fn brings_bodies(transaction: &Transaction) -> bool {
    let brings = |operation: &Operation| {
        matches!(operation, Operation::Append(_) | Operation::Enqueue { .. })
    };
    transaction.operations.iter().any(brings)
}

impl Sql<'_> {
    /// Does `work`, and undoes it when it fails.
    ///
    /// # Errors
    /// When SQLite gave the whole transaction up, or cannot undo: nothing of the transaction may be committed then.
    fn savepoint<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<Result<T>> {
        say(self.connection(), "SAVEPOINT one")?;
        let (freed, files) = (self.freed.len(), self.files.len());
        let done = work(self);
        if let Err(error) = &done {
            self.freed.truncate(freed);
            self.files.truncate(files);
            if self.connection().is_autocommit() {
                return Err(error.clone());
            }
            say(self.connection(), "ROLLBACK TO one")?;
        }
        say(self.connection(), "RELEASE one")?;
        Ok(done)
    }

    fn account_number(&mut self, name: &str) -> Result<Option<i64>> {
        let mut statement = self
            .connection()
            .prepare_cached("SELECT id FROM account WHERE name = ?1")?;
        Ok(statement.query_row([name], |row| row.get(0)).optional()?)
    }

    fn add_account(&mut self, name: &str) -> Result<AccountId> {
        self.connection().execute(
            "INSERT INTO account VALUES (NULL, ?1, 0, 0, 0, 0, NULL, NULL, 0, 0)",
            [name],
        )?;
        Ok(AccountId(
            self.connection().last_insert_rowid().unsigned_abs(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::store::{Read as _, Stager as _};
    use crate::{Append, FlagChange, Flags, MailboxId, ModSeq, Operation, UidSet, Want, Which};
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
        let mut engine = DiskEngine::open(directory.path(), &DiskOptions::default()).unwrap();
        engine.create_account("a@example.test").unwrap();
        let (mut reader, stager) = (engine.reader().unwrap(), engine.stager());
        let written = count(&mut engine.connection);
        let read = reader.connection().with_mut(count).unwrap();
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
            let body = stager.small(vec![b'x'; round as usize].into());
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
}
