//! The rows in SQL.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::any::Any;
use std::sync::Arc;
use std::time::SystemTime;

use super::bodies::{Bodies, Guard};
use super::read::{MAILBOX, MESSAGE, mailbox, message, number, queue_entry};
use super::sums::sums;
use super::time::millis;
use crate::Staged;
use crate::backends::tables::{AccountRow, Tables};
use crate::{
    AccountId, BodyId, BodyRef, Error, Mailbox, MailboxId, ModSeq, QueueEntry, QueueId, Quota,
    Result, Row, Uid, UidSet,
};

/// One database transaction.
pub(super) struct Sql<'a> {
    connection: &'a Connection,
    bodies: &'a Arc<Bodies>,
    /// Bodies that lost their last reference in it.
    pub(super) freed: Vec<BodyId>,
    /// Files of bodies that got their first row in it.
    pub(super) files: Vec<Arc<dyn Any + Send + Sync>>,
}

impl<'a> Sql<'a> {
    pub(super) fn new(connection: &'a Connection, bodies: &'a Arc<Bodies>) -> Self {
        Self {
            connection,
            bodies,
            freed: Vec::new(),
            files: Vec::new(),
        }
    }

    pub(super) fn connection(&self) -> &'a Connection {
        self.connection
    }

    fn run(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize> {
        Ok(self.connection.prepare_cached(sql)?.execute(values)?)
    }
}

/// What a staged body has for its file, if it has one.
pub(super) fn guard(file: &Arc<dyn Any + Send + Sync>) -> Option<&Guard> {
    let file: &dyn Any = &**file;
    file.downcast_ref()
}

/// A number as the database keeps it.
fn n(value: u64) -> i64 {
    value.cast_signed()
}

fn key(id: MailboxId) -> (i64, u32) {
    (n(id.account.0), id.number)
}

impl Tables for Sql<'_> {
    fn account(&mut self, id: AccountId) -> Result<Option<AccountRow>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT at, last_mailbox, last_uid_validity, last_email,
                    quota_octets, quota_messages, used_octets, used_messages
             FROM account WHERE id = ?1",
        )?;
        let row = statement.query_row([n(id.0)], |row| {
            Ok(AccountRow {
                id,
                at: ModSeq(number(row, 0)?),
                last_mailbox: row.get(1)?,
                last_uid_validity: row.get(2)?,
                last_email: number(row, 3)?,
                quota: Quota {
                    octets: row.get::<_, Option<i64>>(4)?.map(i64::cast_unsigned),
                    messages: row.get::<_, Option<i64>>(5)?.map(i64::cast_unsigned),
                    used_octets: number(row, 6)?,
                    used_messages: number(row, 7)?,
                },
            })
        });
        Ok(row.optional()?)
    }

    fn put_account(&mut self, row: &AccountRow) -> Result<()> {
        let quota = &row.quota;
        self.run(
            "UPDATE account SET at = ?2, last_mailbox = ?3, last_uid_validity = ?4, last_email = ?5,
                    quota_octets = ?6, quota_messages = ?7, used_octets = ?8, used_messages = ?9
             WHERE id = ?1",
            params![
                n(row.id.0),
                n(row.at.0),
                row.last_mailbox,
                row.last_uid_validity,
                n(row.last_email),
                quota.octets.map(n),
                quota.messages.map(n),
                n(quota.used_octets),
                n(quota.used_messages),
            ],
        )?;
        Ok(())
    }

    fn delete_account(&mut self, id: AccountId) -> Result<()> {
        for sql in [
            "DELETE FROM property WHERE account = ?1",
            "DELETE FROM subscription WHERE account = ?1",
            "DELETE FROM account WHERE id = ?1",
        ] {
            self.run(sql, [n(id.0)])?;
        }
        Ok(())
    }

    fn mailbox(&mut self, id: MailboxId) -> Result<Option<Mailbox>> {
        let sql = format!("{MAILBOX} WHERE account = ?1 AND number = ?2");
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_row(key(id), mailbox).optional()?)
    }

    fn mailbox_named(&mut self, account: AccountId, name: &str) -> Result<Option<Mailbox>> {
        let sql = format!("{MAILBOX} WHERE account = ?1 AND name = ?2");
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement
            .query_row(params![n(account.0), name], mailbox)
            .optional()?)
    }

    fn mailboxes_below(&mut self, account: AccountId, prefix: &str) -> Result<Vec<Mailbox>> {
        let sql = format!("{MAILBOX} WHERE account = ?1 ORDER BY name");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let all = statement.query_map([n(account.0)], mailbox)?;
        let mut below = Vec::new();
        for one in all {
            let one = one?;
            if one.name.starts_with(prefix) {
                below.push(one);
            }
        }
        Ok(below)
    }

    fn put_mailbox(&mut self, mailbox: &Mailbox) -> Result<()> {
        self.run(
            "INSERT INTO mailbox VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT (account, number) DO UPDATE SET name = ?3, uid_validity = ?4,
                uid_next = ?5, highest = ?6, horizon = ?7, messages = ?8, unseen = ?9,
                deleted = ?10, octets = ?11, special_use = ?12",
            params![
                n(mailbox.id.account.0),
                mailbox.id.number,
                mailbox.name,
                mailbox.uid_validity.get(),
                mailbox.uid_next,
                n(mailbox.highest.0),
                n(mailbox.horizon.0),
                mailbox.messages,
                mailbox.unseen,
                mailbox.deleted,
                n(mailbox.octets),
                mailbox.special_use,
            ],
        )?;
        Ok(())
    }

    fn delete_mailbox(&mut self, id: MailboxId) -> Result<()> {
        for sql in [
            "DELETE FROM mailbox WHERE account = ?1 AND number = ?2",
            "DELETE FROM message WHERE account = ?1 AND mailbox = ?2",
            "DELETE FROM gone WHERE account = ?1 AND mailbox = ?2",
            "DELETE FROM origin WHERE account = ?1 AND mailbox = ?2",
            "DELETE FROM mailbox_property WHERE account = ?1 AND mailbox = ?2",
        ] {
            self.run(sql, key(id))?;
        }
        Ok(())
    }

    fn rows(&mut self, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Row>> {
        let sql = format!(
            "{MESSAGE} WHERE account = ?1 AND mailbox = ?2 AND uid BETWEEN ?3 AND ?4 ORDER BY uid"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let (account, number) = key(mailbox);
        let mut rows = Vec::new();
        for (low, high) in uids.ranges() {
            for row in statement.query_map((account, number, low, high), message)? {
                rows.push(row?);
            }
        }
        Ok(rows)
    }

    fn put_row(&mut self, mailbox: MailboxId, row: &Row, new: bool) -> Result<()> {
        let keywords: Vec<&str> = row.flags.keywords().collect();
        let keywords = (!keywords.is_empty()).then(|| keywords.join(" "));
        let (account, number) = key(mailbox);
        if !new {
            self.run(
                "UPDATE message SET modified = ?4, flags = ?5, keywords = ?6
                 WHERE account = ?1 AND mailbox = ?2 AND uid = ?3",
                params![
                    account,
                    number,
                    row.uid.get(),
                    n(row.modified.0),
                    row.flags.bits(),
                    keywords
                ],
            )?;
            return Ok(());
        }
        self.run(
            "INSERT INTO message VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            params![
                account,
                number,
                row.uid.get(),
                n(row.modified.0),
                row.flags.bits(),
                keywords,
                row.received.0,
                row.received.1,
                n(row.email.0),
                n(row.thread.0),
                n(row.body.id.0),
                n(row.body.octets),
                row.saved,
            ],
        )?;
        Ok(())
    }

    fn delete_row(&mut self, mailbox: MailboxId, uid: Uid, at: ModSeq) -> Result<()> {
        let (account, number) = key(mailbox);
        self.run(
            "DELETE FROM message WHERE account = ?1 AND mailbox = ?2 AND uid = ?3",
            (account, number, uid.get()),
        )?;
        self.run(
            "INSERT INTO gone VALUES (?1, ?2, ?3, ?4)",
            (account, number, uid.get(), n(at.0)),
        )?;
        Ok(())
    }

    fn forget(&mut self, mailbox: MailboxId, keep: usize) -> Result<Option<ModSeq>> {
        let (account, number) = key(mailbox);
        let last: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT at FROM gone WHERE account = ?1 AND mailbox = ?2
                 ORDER BY at DESC LIMIT 1 OFFSET ?3",
            )?
            .query_row((account, number, n(keep as u64)), |row| row.get(0))
            .optional()?;
        let Some(last) = last else { return Ok(None) };
        self.run(
            "DELETE FROM origin WHERE account = ?1 AND mailbox = ?2 AND uid IN
                (SELECT uid FROM gone WHERE account = ?1 AND mailbox = ?2 AND at <= ?3)",
            (account, number, last),
        )?;
        self.run(
            "DELETE FROM gone WHERE account = ?1 AND mailbox = ?2 AND at <= ?3",
            (account, number, last),
        )?;
        Ok(Some(ModSeq(last.cast_unsigned())))
    }

    fn origin(&mut self, mailbox: MailboxId, origin: &[u8]) -> Result<Option<Uid>> {
        let (account, number) = key(mailbox);
        let uid: Option<u32> = self
            .connection
            .prepare_cached(
                "SELECT uid FROM origin WHERE account = ?1 AND mailbox = ?2 AND origin = ?3",
            )?
            .query_row(params![account, number, origin], |row| row.get(0))
            .optional()?;
        Ok(uid.and_then(Uid::new))
    }

    fn put_origin(&mut self, mailbox: MailboxId, origin: &[u8], uid: Uid) -> Result<()> {
        let (account, number) = key(mailbox);
        self.run(
            "INSERT INTO origin VALUES (?1, ?2, ?3, ?4)",
            params![account, number, origin, uid.get()],
        )?;
        Ok(())
    }

    fn hold(&mut self, body: &Staged, summary: &Bytes) -> Result<()> {
        let id = n(body.body.id.0);
        // Its number says nothing in another store than the one that it was staged in.
        if !self.bodies.staged(body) {
            return Err(Error::Conflict("the body was staged in another store"));
        }
        let guard = body.file.as_ref().and_then(guard);
        if let Some(guard) = guard {
            guard.check()?;
        }
        let sums = match (&body.octets, guard) {
            (Some(octets), _) => sums(octets),
            (None, guard) => guard.map_or_else(Vec::new, |guard| guard.sums().to_vec()),
        };
        let added = self.run(
            "INSERT INTO body (id, octets, refs, file, sums) VALUES (?1, ?2, 1, ?3, ?4)
             ON CONFLICT DO NOTHING",
            params![id, n(body.body.octets), body.octets.is_none(), sums],
        )?;
        if added == 0 {
            self.hold_again(body.body)?;
        } else if let Some(octets) = &body.octets {
            self.run(
                "INSERT INTO body_data VALUES (?1, ?2)",
                params![id, &octets[..]],
            )?;
        } else if let (Some(file), Some(guard)) = (&body.file, guard) {
            guard.is_there()?;
            self.files.push(Arc::clone(file));
        }
        if !summary.is_empty() {
            self.run(
                "INSERT INTO summary VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                params![id, &summary[..]],
            )?;
        }
        Ok(())
    }

    fn hold_again(&mut self, body: BodyRef) -> Result<()> {
        self.run(
            "UPDATE body SET refs = refs + 1 WHERE id = ?1",
            [n(body.id.0)],
        )?;
        Ok(())
    }

    fn release(&mut self, body: BodyRef) -> Result<()> {
        let left: Option<i64> = self
            .connection
            .prepare_cached("UPDATE body SET refs = refs - 1 WHERE id = ?1 RETURNING refs")?
            .query_row([n(body.id.0)], |row| row.get(0))
            .optional()?;
        if left == Some(0) {
            self.freed.push(body.id);
        }
        Ok(())
    }

    fn subscribe(&mut self, account: AccountId, name: &str, subscribed: bool) -> Result<()> {
        let sql = if subscribed {
            "INSERT INTO subscription VALUES (?1, ?2) ON CONFLICT DO NOTHING"
        } else {
            "DELETE FROM subscription WHERE account = ?1 AND name = ?2"
        };
        self.run(sql, params![n(account.0), name])?;
        Ok(())
    }

    fn set_property(&mut self, account: AccountId, key: &str, value: Option<&Bytes>) -> Result<()> {
        let account = n(account.0);
        match value {
            Some(value) => self.run(
                "INSERT INTO property VALUES (?1, ?2, ?3)
                 ON CONFLICT (account, key) DO UPDATE SET value = ?3",
                params![account, key, &value[..]],
            )?,
            None => self.run(
                "DELETE FROM property WHERE account = ?1 AND key = ?2",
                params![account, key],
            )?,
        };
        Ok(())
    }

    fn set_mailbox_property(
        &mut self,
        mailbox: MailboxId,
        key: &str,
        value: Option<&Bytes>,
    ) -> Result<()> {
        let (account, number) = self::key(mailbox);
        match value {
            Some(value) => self.run(
                "INSERT INTO mailbox_property VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (account, mailbox, key) DO UPDATE SET value = ?4",
                params![account, number, key, &value[..]],
            )?,
            None => self.run(
                "DELETE FROM mailbox_property WHERE account = ?1 AND mailbox = ?2 AND key = ?3",
                params![account, number, key],
            )?,
        };
        Ok(())
    }

    fn enqueue(
        &mut self,
        account: AccountId,
        next_hop: &str,
        body: BodyRef,
        envelope: &Bytes,
        due: SystemTime,
    ) -> Result<QueueId> {
        self.run(
            "INSERT INTO queue VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, 0)",
            params![
                n(account.0),
                next_hop,
                n(body.id.0),
                n(body.octets),
                &envelope[..],
                millis(due)
            ],
        )?;
        Ok(QueueId(self.connection.last_insert_rowid().cast_unsigned()))
    }

    fn queued(&mut self, id: QueueId) -> Result<Option<QueueEntry>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT * FROM queue WHERE id = ?1")?;
        Ok(statement.query_row([n(id.0)], queue_entry).optional()?)
    }

    fn queue_of(&mut self, account: AccountId) -> Result<Vec<QueueEntry>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT * FROM queue WHERE account = ?1")?;
        let all = statement.query_map([n(account.0)], queue_entry)?;
        Ok(all.collect::<rusqlite::Result<_>>()?)
    }

    fn settle(&mut self, id: QueueId, again: Option<(SystemTime, &Bytes)>) -> Result<()> {
        match again {
            Some((due, envelope)) => self.run(
                "UPDATE queue SET token = 0, due = ?2, envelope = ?3 WHERE id = ?1",
                params![n(id.0), millis(due), &envelope[..]],
            )?,
            None => self.run("DELETE FROM queue WHERE id = ?1", [n(id.0)])?,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_milliseconds() {
        let time = crate::backends::disk::time::from_millis(1_700_000_000_123);
        assert_eq!(millis(time), 1_700_000_000_123);
    }
}
