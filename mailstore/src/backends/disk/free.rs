//! Bodies without a reference: they can be read for a while, then they are removed.

use rusqlite::OptionalExtension as _;

use super::DiskEngine;
use super::tables::Sql;
use crate::{BodyId, Result};

impl DiskEngine {
    /// Removes some of the bodies that nobody needs any more.
    pub(super) fn remove_free(&mut self) -> Result<()> {
        let due = self.free.due();
        if due.is_empty() {
            return Ok(());
        }
        let files = self.group(|sql| {
            let mut files = Vec::new();
            for id in &due {
                files.extend(sql.drop_body(*id)?);
            }
            Ok(files)
        })?;
        self.free.forget(due.len());
        // After the commit: a crash between the two leaves an orphan, which the next start sets aside.
        for id in files {
            self.bodies.remove(id);
        }
        Ok(())
    }
}

impl Sql<'_> {
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
    use super::super::free_bodies::{AT_ONCE, GRACE};
    use super::*;
    use crate::Staged;
    use crate::contract::store::{Engine as _, Stager as _};
    use crate::{Append, DiskOptions, Error, MailboxId, Operation, Transaction, UidSet};
    use std::path::Path;

    fn opened(directory: &Path) -> (DiskEngine, MailboxId) {
        let mut engine = DiskEngine::open(directory, &DiskOptions::default()).unwrap();
        let account = engine.create_account("a@example.test").unwrap();
        (engine, MailboxId { account, number: 1 })
    }

    fn put(engine: &mut DiskEngine, inbox: MailboxId, bodies: &[Staged]) -> Result<()> {
        let mut transaction = Transaction::new(inbox.account);
        for body in bodies {
            let append = Append::new(inbox, body.clone(), (0, 0));
            transaction = transaction.with(Operation::Append(Box::new(append)));
        }
        engine.commit(&[transaction]).remove(0).map(drop)
    }

    fn empty(engine: &mut DiskEngine, inbox: MailboxId) {
        let expunge = Operation::Expunge {
            mailbox: inbox,
            uids: UidSet::all(),
            deleted_only: false,
        };
        let transaction = Transaction::new(inbox.account).with(expunge);
        engine.commit(&[transaction]).remove(0).unwrap();
    }

    /// What is free becomes free long ago.
    fn age(engine: &mut DiskEngine) {
        for (since, _) in &mut engine.free.0 {
            *since = since.checked_sub(2 * GRACE).unwrap();
        }
    }

    fn bodies(engine: &DiskEngine) -> u64 {
        let count = "SELECT count(*) FROM body";
        let count = engine.connection.query_row(count, [], |row| row.get(0));
        u64::try_from(count.unwrap_or(0_i64)).unwrap()
    }

    #[test]
    fn what_was_removed_cannot_be_committed_again() {
        let directory = tempfile::tempdir().unwrap();
        let (mut engine, inbox) = opened(directory.path());
        let stager = engine.stager();
        let mut part = stager.begin().unwrap();
        stager.write(&mut part, &[7; 100_000]).unwrap();
        let large = stager.finish(part).unwrap();
        let file = engine.bodies.path(large.body().id);
        for _ in 0..2 {
            // Any number of times, while its time is not over.
            put(&mut engine, inbox, std::slice::from_ref(&large)).unwrap();
            empty(&mut engine, inbox);
            engine.tidy().unwrap();
            assert!(file.exists());
        }
        age(&mut engine);
        engine.tidy().unwrap();
        assert!(!file.exists() && bodies(&engine) == 0);
        let again = put(&mut engine, inbox, &[large]);
        assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
        assert_eq!(bodies(&engine), 0);
    }

    #[test]
    fn many_bodies_are_removed_some_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let (mut engine, inbox) = opened(directory.path());
        let stager = engine.stager();
        let all: Vec<_> = (0..AT_ONCE + 7).map(|_| stager.small("x".into())).collect();
        put(&mut engine, inbox, &all).unwrap();
        empty(&mut engine, inbox);
        engine.tidy().unwrap();
        assert_eq!(bodies(&engine), all.len() as u64, "not before their time");
        age(&mut engine);
        for left in [7, 0, 0] {
            engine.tidy().unwrap();
            assert_eq!(
                (bodies(&engine), engine.free.0.len()),
                (left, left as usize)
            );
        }
    }
}
