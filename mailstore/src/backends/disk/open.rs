//! Opening a store: it says what it found, deletes nothing that holds mail, and checks what was not closed.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::bodies::Bodies;
use super::check::check;
use super::connections::{Database, connect, empty_log, lock};
use super::folder::Folder;
use super::free_bodies::FreeBodies;
use super::room::Room;
use super::{DiskEngine, DiskOptions, schema};
use crate::{BodyId, Error, Finding, Result};

impl DiskEngine {
    pub(super) fn open(directory: &Path, options: &DiskOptions) -> Result<Self> {
        let folder = Folder::open(directory)?;
        let mut findings = Vec::new();
        let left = folder.look(&mut findings)?;
        let room = Room::new(directory.to_path_buf(), options.min_free);
        let bodies = Bodies::new(folder.bodies(), room)?;
        if left.gone {
            // Before there is a database again: a start that comes no further than this is repeated.
            findings.push(Finding::DatabaseGone {
                bodies: bodies.set_orphans_aside(&folder, true, |_| Ok(false))?,
                folder: folder.quarantine(),
            });
        }
        let database = Arc::new(Database::new(folder.database()));
        let mut connection = connect(database.path())?;
        schema::version(&connection)?;
        if left.unclean {
            findings.extend(check(&mut connection, options.check)?);
        }
        let damaged = findings
            .iter()
            .any(|found| matches!(found, Finding::DatabaseDamaged(_)));
        if !damaged {
            schema::prepare(&connection)?;
        }
        let last = "SELECT coalesce(max(id), 0) FROM body";
        let last: i64 = connection.query_row(last, [], |row| row.get(0))?;
        bodies.begin_behind(last.unsigned_abs());
        let mut engine = Self {
            connection,
            database,
            bodies: Arc::new(bodies),
            free: FreeBodies::default(),
            broken: None,
            damaged,
            tidied: Instant::now(),
            folder,
        };
        engine.folder.opened()?;
        if !damaged {
            engine.sweep(&mut findings)?;
            engine.folder.tidy();
            // A log of its own for this time, so that what is left of the last one is not in it. Where
            // that fails the store can be read, and it is tried again.
            if left.unclean && empty_log(&engine.connection).is_err() {
                engine.failed();
            }
        }
        let mut health = lock(&engine.database.health);
        health.findings = findings;
        if damaged {
            health.refuses = Some(Error::Damaged("the database", "store.sqlite".into()));
        }
        drop(health);
        Ok(engine)
    }

    /// Finds what a former process left: bodies without a row go into the quarantine, rows without a
    /// reference are freed after the grace time.
    fn sweep(&mut self, findings: &mut Vec<Finding>) -> Result<()> {
        let mut statement = self
            .connection
            .prepare("SELECT id FROM body WHERE refs = 0")?;
        let free = statement
            .query_map([], |row| row.get::<_, i64>(0))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        drop(statement);
        let free = free.into_iter().map(|id| BodyId(id.unsigned_abs()));
        self.free.add(free);
        // What is set aside while something else is missing, or may be, is never removed.
        let in_doubt =
            |found: &Finding| found.is_damage() || matches!(found, Finding::CheckCut { .. });
        let stays = findings.iter().any(in_doubt);
        let connection = &self.connection;
        let count = self.bodies.set_orphans_aside(&self.folder, stays, |id| {
            let known = connection
                .prepare_cached("SELECT 1 FROM body WHERE id = ?1 AND file = 1")?
                .exists([id.0.cast_signed()])?;
            Ok(known)
        })?;
        if count > 0 {
            let folder = self.folder.quarantine();
            findings.push(Finding::Orphans { count, folder });
        }
        Ok(())
    }
}
