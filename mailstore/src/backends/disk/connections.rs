//! Connections to the database: the writer's and the readers', which can be closed all together.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard, TryLockError, Weak,
};
use std::time::Duration;

use crate::{Error, Health, Result};

/// Pages of the log before it is copied into the database: 64 MiB, so that its flushes are rare.
const CHECKPOINT: i64 = 16_384;

/// What the writer, the readers and those who ask for the store's health share.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    readers: Mutex<Vec<Weak<Slot>>>,
    /// Held while all connections are closed, so that no reader opens one meanwhile.
    shut: RwLock<()>,
    closed: AtomicBool,
    /// What does not change by itself.
    pub(super) health: Mutex<Health>,
    pub(super) damaged: AtomicU64,
}

/// A reader's connection; `None` while it has been closed from outside.
type Slot = Mutex<Option<Connection>>;

/// A reader's connection, opened anew after it was closed from outside.
#[derive(Debug)]
pub(super) struct ReaderConnection {
    database: Arc<Database>,
    slot: Arc<Slot>,
}

impl Database {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            readers: Mutex::default(),
            shut: RwLock::default(),
            closed: AtomicBool::new(false),
            health: Mutex::default(),
            damaged: AtomicU64::new(0),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn reader(self: &Arc<Self>) -> Result<ReaderConnection> {
        let slot = Arc::new(Mutex::new(Some(self.open_reader()?)));
        lock(&self.readers).push(Arc::downgrade(&slot));
        Ok(ReaderConnection {
            database: Arc::clone(self),
            slot,
        })
    }

    fn open_reader(&self) -> Result<Connection> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        let connection = connect(&self.path)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    /// Closes the readers' connections, when what they are at has ended. They open new ones when the
    /// guard is dropped.
    pub(super) fn shut(&self) -> RwLockWriteGuard<'_, ()> {
        let guard = self.shut.write().unwrap_or_else(PoisonError::into_inner);
        lock(&self.readers).retain(|slot| {
            let slot = slot.upgrade();
            if let Some(slot) = &slot {
                drop(lock(slot).take());
            }
            slot.is_some()
        });
        guard
    }

    /// Closes the readers' connections for good.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        drop(self.shut());
    }
}

impl ReaderConnection {
    pub(super) fn with<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        loop {
            let mut slot = lock(&self.slot);
            if slot.is_none() {
                let _open = match self.database.shut.try_read() {
                    Ok(open) => open,
                    Err(TryLockError::Poisoned(open)) => open.into_inner(),
                    Err(TryLockError::WouldBlock) => {
                        drop(slot);
                        drop(self.database.shut.read());
                        continue;
                    }
                };
                *slot = Some(self.database.open_reader()?);
            }
            let connection = slot.as_ref().ok_or(Error::Closed)?;
            return work(connection);
        }
    }

    #[cfg(test)]
    pub(super) fn with_mut<T>(&self, work: impl FnOnce(&mut Connection) -> T) -> Option<T> {
        lock(&self.slot).as_mut().map(work)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens a connection. Its closing leaves the log alone.
pub(super) fn connect(database: &Path) -> Result<Connection> {
    let connection = Connection::open(database)?;
    // Where it may not write, or lacks a file descriptor, SQLite is content to read.
    if connection.is_readonly(MAIN_DB)? {
        let refused = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        return Err(Error::io("cannot open the database for writing")(refused));
    }
    connection.busy_timeout(Duration::from_secs(10))?;
    // The planner must not look at the values: it has no statistics that could gain by it, and a
    // statement whose values were looked at is prepared anew whenever they change.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    connection.pragma_update(None, "cache_size", -4096)?;
    Ok(connection)
}

/// Copies all of the log into the database, flushes that, and empties the log.
pub(super) fn empty_log(connection: &Connection) -> Result<()> {
    let busy: i64 =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    match busy {
        0 => Ok(()),
        _ => Err(Error::Conflict("the log is in use")),
    }
}

/// Runs a statement that has no values, such as `COMMIT`.
pub(super) fn say(connection: &Connection, statement: &str) -> Result<()> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}
