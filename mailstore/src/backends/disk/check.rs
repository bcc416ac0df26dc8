//! The check of a database that was not closed: whether it is whole, as far as there is time.

use rusqlite::{Connection, ErrorCode};
use std::time::{Duration, Instant};

use crate::{Finding, Result};

/// How many lines are kept of what a check finds.
const LINES: usize = 5;
/// How many pages are checked between two looks at the clock.
const PAGES: i32 = 64;
/// Tables that have nearly all octets. The others are checked first, while time is left.
const LARGE: [&str; 2] = ["body_data", "summary"];

/// Checks that the database is whole, for that long at most.
pub(super) fn check(connection: &mut Connection, within: Duration) -> Result<Option<Finding>> {
    let until = Instant::now() + within;
    connection.progress_handler(PAGES, Some(move || Instant::now() >= until))?;
    let found = of_all(connection);
    connection.progress_handler(0, None::<fn() -> bool>)?;
    Ok(match found {
        Ok(lines) if lines.is_empty() => None,
        Ok(lines) => Some(Finding::DatabaseDamaged(lines.join("; "))),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            Some(Finding::CheckCut { after: within })
        }
        Err(error) => Some(Finding::DatabaseDamaged(error.to_string())),
    })
}

/// What is wrong: first with each of the small tables, then with all of it.
fn of_all(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    for name in names {
        let name = name?;
        if !LARGE.contains(&name.as_str()) {
            let found = quick_check(connection, &format!("'{name}'"))?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }
    quick_check(connection, &LINES.to_string())
}

/// What SQLite finds wrong, with a table or with all.
fn quick_check(connection: &Connection, what: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA quick_check({what})"))?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    let lines = lines.take(LINES).collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(match lines == ["ok"] {
        true => Vec::new(),
        false => lines,
    })
}
