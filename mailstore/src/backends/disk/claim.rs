//! Claims on the queue, in SQL.

use rusqlite::{OptionalExtension as _, params};
use std::time::SystemTime;

use super::read;
use super::tables::Sql;
use super::time::{NEVER, millis};
use crate::contract::claim::{Shares, token};
use crate::{Claim, QueueEntry, QueueId, Result};

/// Entries that are looked at in the order of time before the next hops are gone through one by one.
const WINDOW: i64 = 512;
/// Next hops that are gone through before all entries are looked at in the order of time: where there are more, a
/// claim is soon full.
const HOPS: usize = 1_000;

impl Sql<'_> {
    pub(super) fn claim(&mut self, claim: &Claim) -> Result<Vec<QueueEntry>> {
        if let Some(only) = &claim.only {
            return self.claim_only(claim, only);
        }
        let ids = match self.oldest(claim, WINDOW)? {
            Some(ids) => ids,
            None => match self.oldest_of_each(claim)? {
                Some(ids) => ids,
                None => self.oldest(claim, i64::MAX)?.unwrap_or_default(),
            },
        };
        let until = claim.now + claim.ttl;
        let mut claimed = Vec::with_capacity(ids.len());
        for id in ids {
            let token = token(claim.owner)?;
            let mut statement = self.connection().prepare_cached(
                "UPDATE queue SET due = ?2, token = ?3 WHERE id = ?1 RETURNING *",
            )?;
            let values = params![id, millis(until), token.cast_signed()];
            claimed.push(statement.query_row(values, read::queue_entry)?);
        }
        Ok(claimed)
    }

    /// Claims those of these entries that nobody holds.
    fn claim_only(&self, claim: &Claim, only: &[QueueId]) -> Result<Vec<QueueEntry>> {
        let mut statement = self.connection().prepare_cached(
            "UPDATE queue SET due = ?2, token = ?3 WHERE id = ?1 AND (token = 0 OR due <= ?4) RETURNING *",
        )?;
        let until = millis(claim.now + claim.ttl);
        let mut claimed = Vec::new();
        for id in only {
            if claimed.len() >= claim.limit {
                break;
            }
            let token = token(claim.owner)?.cast_signed();
            let values = params![id.0.cast_signed(), until, token, millis(claim.now)];
            claimed.extend(statement.query_row(values, read::queue_entry).optional()?);
        }
        Ok(claimed)
    }

    /// The entries of a claim, in the order of time; `None` when they are not among the first `window`.
    fn oldest(&self, claim: &Claim, window: i64) -> Result<Option<Vec<i64>>> {
        let mut statement = self.connection().prepare_cached(
            "SELECT id, next_hop FROM queue WHERE due <= ?1 ORDER BY due, id LIMIT ?2",
        )?;
        let mut rows = statement.query(params![due_by(claim), window])?;
        let (mut shares, mut ids, mut seen) = (Shares::new(claim), Vec::new(), 0);
        while ids.len() < claim.limit {
            let Some(row) = rows.next()? else {
                return Ok((seen < window).then_some(ids));
            };
            seen += 1;
            if shares.admit(&row.get::<_, String>(1)?) {
                ids.push(row.get(0)?);
            }
        }
        Ok(Some(ids))
    }

    /// The same, found by going from next hop to next hop: what many entries for one of them cost is one step. `None`
    /// when there are too many next hops.
    fn oldest_of_each(&self, claim: &Claim) -> Result<Option<Vec<i64>>> {
        let connection = self.connection();
        let mut first = connection.prepare_cached("SELECT min(next_hop) FROM queue")?;
        let mut behind =
            connection.prepare_cached("SELECT min(next_hop) FROM queue WHERE next_hop > ?1")?;
        let mut of = connection.prepare_cached(
            "SELECT due, id FROM queue WHERE next_hop = ?1 AND due <= ?2 ORDER BY due, id LIMIT ?3",
        )?;
        let mut next: Option<String> = first.query_row([], |row| row.get(0))?;
        let (mut found, mut hops): (Vec<(i64, i64)>, _) = (Vec::new(), 0);
        while let Some(hop) = next {
            hops += 1;
            if hops > HOPS {
                return Ok(None);
            }
            let share = claim.share_of(&hop).min(claim.limit);
            if share > 0 {
                let share = i64::try_from(share).unwrap_or(i64::MAX);
                let values = params![hop, due_by(claim), share];
                let rows = of.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
                for row in rows {
                    found.push(row?);
                }
            }
            next = behind.query_row([&hop], |row| row.get(0))?;
        }
        found.sort_unstable();
        found.truncate(claim.limit);
        Ok(Some(found.into_iter().map(|(_, id)| id).collect()))
    }

    pub(super) fn release_claims(&mut self, owner: u32, now: SystemTime) -> Result<u64> {
        // The shift keeps the sign, as does the cast.
        let changed = self
            .connection()
            .prepare_cached(
                "UPDATE queue SET token = 0, due = ?2 WHERE token <> 0 AND token >> 32 = ?1",
            )?
            .execute(params![owner.cast_signed(), millis(now)])?;
        Ok(changed as u64)
    }

    pub(super) fn clamp_due(&mut self, latest: SystemTime) -> Result<u64> {
        let changed = self
            .connection()
            .prepare_cached("UPDATE queue SET due = ?1 WHERE due > ?1 AND due <> ?2")?
            .execute([millis(latest), NEVER])?;
        Ok(changed as u64)
    }
}

/// Whatever the clock says, what is parked is not due.
fn due_by(claim: &Claim) -> i64 {
    millis(claim.now).min(NEVER - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::disk::steps::Steps;
    use crate::backends::disk::{DiskEngine, DiskOptions};
    use crate::contract::store::{Engine as _, Stager as _};
    use crate::{Operation, Transaction};
    use std::time::Duration;

    #[test]
    fn a_claim_costs_little_whatever_waits() {
        // How many entries wait for a next hop that gets nothing, and how many next hops there are behind them.
        for (silent, others) in [
            (0, 20_000),
            (600, 20),
            (600, 20_000),
            (20_000, 20),
            (20_000, 0),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let mut engine = DiskEngine::open(directory.path(), &DiskOptions::default()).unwrap();
            let account = engine.create_account("a@example.test").unwrap();
            let body = engine.stager().small("x".into());
            let now = SystemTime::now();
            let mut transaction = Transaction::new(account);
            let hops = (0..silent).map(|_| "silent.test".to_owned());
            let hops = hops.chain((0..others).rev().map(|n| format!("{n:05}.test")));
            for (nth, next_hop) in hops.enumerate() {
                transaction = transaction.with(Operation::Enqueue {
                    due: now - Duration::from_secs(100_000) + Duration::from_secs(nth as u64),
                    next_hop,
                    body: body.clone(),
                    envelope: "".into(),
                });
            }
            engine.commit(&[transaction]).remove(0).unwrap();
            let steps = Steps::of(&mut engine.connection);
            let claim = Claim::new(now, 20, Duration::from_secs(60)).share("silent.test", 0);
            let claimed = engine.claim(&claim).unwrap();
            let claimed: Vec<_> = claimed.into_iter().map(|entry| entry.next_hop).collect();
            let oldest = (0..others).rev().take(20).map(|n| format!("{n:05}.test"));
            assert!(
                claimed.iter().eq(&oldest.collect::<Vec<_>>()),
                "{claimed:?}"
            );
            let all = steps.taken();
            assert!(
                all < 100_000,
                "{silent} silent, {others} others: {all} steps of SQLite"
            );
        }
    }
}
