//! The database's schema, and how an older one is brought on.

use rusqlite::Connection;

use crate::backends::tables::AccountRow;
use crate::{AccountId, Error, Result};

/// The version that this program writes.
pub(super) const VERSION: i64 = 3;

/// What brings a version to the next one, from version 1 on.
const STEPS: [&str; 2] = [include_str!("from_1.sql"), include_str!("from_2.sql")];

/// The version of a database; 0 for an empty one.
///
/// # Errors
/// [`Error::NewerVersion`] when this program does not know it.
pub(super) fn version(connection: &Connection) -> Result<i64> {
    let found = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        0..=VERSION => Ok(found),
        _ => Err(Error::NewerVersion {
            found,
            known: VERSION,
        }),
    }
}

/// Makes the tables, or brings those of an older version on.
pub(super) fn prepare(connection: &Connection) -> Result<()> {
    let version = version(connection)?;
    if version == 0 {
        return create(connection);
    }
    let steps = usize::try_from(version - 1).unwrap_or(usize::MAX);
    for step in STEPS.iter().skip(steps) {
        connection.execute_batch(step)?;
    }
    Ok(())
}

fn create(connection: &Connection) -> Result<()> {
    let system = AccountRow::new(AccountId::SYSTEM);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::disk::connections::connect;
    use crate::backends::disk::read;

    /// The schema as SQL, without what SQLite writes of columns that were added later.
    fn columns(connection: &Connection) -> Vec<(String, String)> {
        let sql = "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_xinfo(m.name) c
             ORDER BY 1, c.cid";
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn a_store_of_version_1_is_brought_on() {
        let directory = tempfile::tempdir().unwrap();
        let old = connect(&directory.path().join("version-1")).unwrap();
        prepare(&old).unwrap();
        let new = columns(&old);
        old.execute_batch(
            "INSERT INTO message VALUES (1, 1, 7, 1, 0, NULL, 0, 0, 1, 1, 1, 9, 5);
             ALTER TABLE message DROP COLUMN saved; DROP TABLE mailbox_property;
             ALTER TABLE body DROP COLUMN sums; DROP INDEX queue_next_hop;
             PRAGMA user_version = 1;",
        )
        .unwrap();
        prepare(&old).unwrap();
        assert_eq!(columns(&old), new);
        let row = old.query_row(&format!("{} LIMIT 1", read::MESSAGE), [], read::message);
        let row = row.unwrap();
        assert_eq!((row.uid.get(), row.body.octets, row.saved), (7, 9, None));
        assert_eq!(version(&old).unwrap(), VERSION);
    }

    #[test]
    fn a_newer_version_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let newer = connect(&directory.path().join("newer")).unwrap();
        newer.pragma_update(None, "user_version", 99).unwrap();
        let error = prepare(&newer).unwrap_err();
        assert!(
            matches!(error, Error::NewerVersion { found: 99, .. }),
            "{error}"
        );
    }
}
