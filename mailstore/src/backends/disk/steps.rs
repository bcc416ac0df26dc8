//! What statements cost, for tests that must not depend on the machine: steps of SQLite's virtual machine.

use rusqlite::trace::{TraceEvent, TraceEventCodes};
use rusqlite::{Connection, StatementStatus};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Counts the steps of a connection's statements from now on.
pub(super) struct Steps(Arc<Mutex<BTreeMap<String, i32>>>);

impl Steps {
    pub(super) fn of(connection: &mut Connection) -> Self {
        // Of each statement, in all of its runs.
        let steps = Arc::new(Mutex::new(BTreeMap::new()));
        let counted = Arc::clone(&steps);
        let count = move |event: TraceEvent<'_>| {
            if let TraceEvent::Profile(statement, _) = event {
                let steps = statement.get_status(StatementStatus::VmStep);
                let sql = statement.sql().into_owned();
                counted.lock().unwrap().insert(sql, steps);
            }
        };
        let profile = TraceEventCodes::SQLITE_TRACE_PROFILE;
        connection.trace_v2(profile, Some(count)).unwrap();
        Self(steps)
    }

    pub(super) fn taken(&self) -> i32 {
        self.0.lock().unwrap().values().sum()
    }
}
