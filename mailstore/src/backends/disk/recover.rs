//! After a write or a flush has failed.
//!
//! What a failed flush left in memory is not believed. All connections are closed, what was not
//! acknowledged is cut off the log, and the store is recovered from the log on disk, as at a start. Until
//! that has worked, and the disk has taken a change, every change is refused, the store's health says so,
//! and it is tried again, less and less often.

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::DiskEngine;
use super::broken::Broken;
use super::connections::{connect, empty_log, lock, say};
use super::log;
use crate::{Error, Result};

/// How long after a failed try the next one may come, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));

impl DiskEngine {
    /// Makes ready for a change.
    ///
    /// # Errors
    /// When the store is damaged, or broken still.
    pub(super) fn ready(&mut self) -> Result<()> {
        if self.damaged {
            return Err(Error::Damaged("the database", "store.sqlite".into()));
        }
        match &self.broken {
            None => Ok(()),
            Some(broken) if Instant::now() < broken.again => Err(self.refusal()),
            Some(_) => self.recover(),
        }
    }

    /// What changes are refused with while the store is broken.
    fn refusal(&self) -> Error {
        let health = lock(&self.database.health);
        health.refuses.clone().unwrap_or(Error::ReadOnly)
    }

    /// Notes that something failed at the disk: the next change begins with a recovery.
    pub(super) fn failed(&mut self) {
        let mut health = lock(&self.database.health);
        health.failed += 1;
        health.refuses = Some(Error::ReadOnly);
        self.broken = Some(Broken {
            again: Instant::now(),
            pause: PAUSE.0,
        });
    }

    /// Takes back a commit that failed. Returns what its callers get: `error`, when nothing of the
    /// commit is left, else [`Error::OutcomeUnknown`].
    pub(super) fn take_back(&mut self, error: Error) -> Error {
        let _ = say(&self.connection, "ROLLBACK");
        self.failed();
        let database = Arc::clone(&self.database);
        let acknowledged = log::acknowledged(database.path());
        let shut = database.shut();
        self.close_writer();
        let cut = acknowledged.map(|until| log::cut(database.path(), until));
        let recovered = self.reconnect();
        drop(shut);
        match (cut, recovered) {
            // Recovered: the log was empty in the end, and everything before it is in the database.
            (Some(Ok(log::Cut { flushed })), recovered) if flushed || recovered.is_ok() => error,
            _ => Error::OutcomeUnknown,
        }
    }

    /// Closes everything and opens it anew.
    fn recover(&mut self) -> Result<()> {
        let database = Arc::clone(&self.database);
        let _shut = database.shut();
        self.close_writer();
        self.reconnect()
    }

    fn close_writer(&mut self) {
        if let Ok(none) = Connection::open_in_memory() {
            drop(std::mem::replace(&mut self.connection, none));
        }
    }

    fn reconnect(&mut self) -> Result<()> {
        let opened = connect(self.database.path()).and_then(|connection| {
            // What the log holds may be in memory alone: it is written anew, into the database.
            empty_log(&connection)?;
            // Until a change is taken nobody knows that the disk takes any.
            prove(&connection)?;
            empty_log(&connection)?;
            Ok(connection)
        });
        let mut health = lock(&self.database.health);
        match opened {
            Ok(connection) => {
                self.connection = connection;
                self.broken = None;
                health.refuses = None;
                health.recovered += 1;
                Ok(())
            }
            Err(error) => {
                let pause = self.broken.map_or(PAUSE.0, |broken| broken.pause);
                self.broken = Some(Broken {
                    again: Instant::now() + pause,
                    pause: (2 * pause).min(PAUSE.1),
                });
                let refusal = match error {
                    Error::StorageFull => Error::StorageFull,
                    _ => Error::ReadOnly,
                };
                health.refuses = Some(refusal.clone());
                Err(refusal)
            }
        }
    }

    /// Tries to recover, when it is time.
    pub(super) fn recover_when_due(&mut self) {
        if self.broken.is_some() {
            let _ = self.ready();
        }
    }
}

/// Makes a change that changes nothing: the version of the database is written once more, and flushed.
fn prove(connection: &Connection) -> Result<()> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    connection.pragma_update(None, "user_version", version)?;
    Ok(())
}

impl Drop for DiskEngine {
    fn drop(&mut self) {
        self.database.close();
        let whole = self.broken.is_none() && !self.damaged;
        if whole {
            self.folder.closing();
        }
        // The last to close copies the log into the database and removes it.
        let no_copy = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        let _ = self.connection.set_db_config(no_copy, !whole);
        self.close_writer();
        let empty = log::path(self.database.path())
            .metadata()
            .map_or(true, |log| log.len() == 0);
        if whole && empty {
            self.folder.closed();
        }
    }
}
