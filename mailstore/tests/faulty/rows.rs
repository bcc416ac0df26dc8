//! Faults of rows that are read: pages, visits, changes.

use bytes::Bytes;
use hikyaku_mailstore::*;
use std::ops::Range;

use super::fault::Fault;
use super::store::{Faulty, Life};

/// Every UID from that one on.
fn from(uid: u32) -> UidSet {
    UidSet::from_ranges([(uid, u32::MAX)])
}

impl Faulty {
    /// What is asked of `Memory`.
    fn wanted(&self, want: Want) -> Want {
        if self.has(Fault::SummaryAlways) {
            return Want::SUMMARY;
        }
        if self.has(Fault::SummaryNever) || self.lost(Fault::RestartLosesSummaries) {
            return Want::ROW;
        }
        want
    }

    /// A row as it is shown.
    fn row_seen(&self, mailbox: MailboxId, row: &mut Row) {
        let mut memo = self.memo();
        let key = (mailbox, row.uid);
        for fault in &*self.faults {
            match fault {
                Fault::ModifiedStays => {
                    row.modified = *memo.modified.entry(key).or_insert(row.modified);
                }
                Fault::RestartLosesFlags if self.lost(*fault) => row.flags = Flags::NONE,
                Fault::CopyLosesFlags if memo.copied.contains(&key) => row.flags = Flags::NONE,
                Fault::MoveLosesFlagged if memo.copied.contains(&key) => {
                    row.flags.remove(&Flags::FLAGGED);
                }
                Fault::SavedIsReceived => row.saved = Some(row.received.0),
                Fault::SummaryLostInQueue if memo.queued.contains(&row.body.id) => {
                    row.summary = Bytes::new();
                }
                Fault::UidsAgain => {
                    let offset = memo.offsets.get(&mailbox).copied().unwrap_or(0);
                    let shown = Uid::new(row.uid.get().saturating_sub(offset));
                    row.uid = shown.unwrap_or(row.uid);
                }
                _ => {}
            }
        }
    }

    fn rows_seen(&self, mailbox: MailboxId, rows: &mut Vec<Row>) {
        if self.life == Life::Killed && self.has(Fault::KillLosesLastCommit) {
            let last = rows.iter().map(|row| row.modified).max();
            rows.retain(|row| Some(row.modified) != last);
        }
        for row in rows {
            self.row_seen(mailbox, row);
        }
    }

    /// What is asked for, as a fault understands it.
    fn asked(&self, which: &Which) -> Which {
        let mut which = which.clone();
        for fault in &*self.faults {
            which = match (fault, which) {
                (Fault::FirstRangeAlone, Which::Uids(uids)) => {
                    Which::Uids(UidSet::from_ranges(uids.ranges().first().copied()))
                }
                (Fault::AfterIncluded, Which::After(Some(uid))) => Which::Uids(from(uid.get())),
                (Fault::NewestIncluded, Which::NewestBefore(Some(uid))) => {
                    Which::NewestBefore(Uid::new(uid.get().saturating_add(1)))
                }
                (Fault::NewestFromWrongEnd, Which::NewestBefore(uid)) => {
                    let below = uid.map_or(u32::MAX, |uid| uid.get() - 1);
                    Which::Uids(match below {
                        0 => UidSet::new(),
                        below => UidSet::from_ranges([(1, below)]),
                    })
                }
                (Fault::OriginFindsNothing, Which::Origin(_)) => Which::Uids(UidSet::new()),
                (_, which) => which,
            };
        }
        which
    }

    pub(super) async fn page(
        &self,
        mailbox: MailboxId,
        which: &Which,
        want: Want,
        limit: usize,
    ) -> Result<Page<Row>> {
        assert!(
            limit > 0 || !self.has(Fault::LimitOfNonePanics),
            "a page of no rows"
        );
        let inner = self.inward(mailbox);
        let asked = self.asked(which);
        let most = match self.has(Fault::PagesUnlimited) {
            true => usize::MAX,
            false => limit,
        };
        let found = self.inner.messages(inner, &asked, self.wanted(want), most);
        let mut page = match found.await {
            Err(Error::NoSuchMailbox(_)) if self.has(Fault::UnknownMailboxIsEmpty) => {
                return Ok(Page {
                    at: ModSeq(0),
                    rows: Vec::new(),
                    more: false,
                });
            }
            page => page?,
        };
        self.rows_seen(mailbox, &mut page.rows);
        for fault in &*self.faults {
            match (fault, which) {
                (Fault::StalePages, _) => {
                    let key = format!("{mailbox:?} {which:?} {want:?} {limit}");
                    let old = self.memo().pages.insert(key, page.clone());
                    page = old.unwrap_or(page);
                }
                (Fault::StateFalls, _) if self.alternates() => {
                    page.at.0 = page.at.0.saturating_sub(1);
                }
                (Fault::UidsDescend, Which::Uids(_))
                | (Fault::NewestAscend | Fault::NewestFromWrongEnd, Which::NewestBefore(_)) => {
                    page.rows.reverse();
                }
                (Fault::UidsOutOfOrder, Which::After(_))
                    if page.rows.len() > 1 && self.alternates() =>
                {
                    page.rows.remove(page.rows.len() - 2);
                }
                (Fault::OriginFindsGone, Which::Origin(origin)) => {
                    let key = (mailbox, origin.clone());
                    let mut memo = self.memo();
                    match page.rows.first() {
                        Some(row) => drop(memo.found.insert(key, row.clone())),
                        None => page.rows.extend(memo.found.get(&key).cloned()),
                    }
                }
                (Fault::MoreNever, _) => page.more = false,
                (Fault::MoreAlways, _) => page.more = true,
                (Fault::MoreWhenFull, _) => page.more = page.rows.len() == limit,
                _ => {}
            }
        }
        Ok(page)
    }

    pub(super) async fn visited(
        &self,
        mailbox: MailboxId,
        which: Which,
        want: Want,
        mut visitor: Visitor,
    ) -> Result<()> {
        let store = self.clone();
        let inner = self.inward(mailbox);
        let mut wanted = self.wanted(want);
        if self.has(Fault::SummaryNotInVisits) {
            wanted = Want::ROW;
        }
        let mut backwards = Vec::new();
        let seen = move |row: &Row, bodies: &mut dyn Bodies| {
            let mut row = row.clone();
            store.row_seen(mailbox, &mut row);
            let mut bodies = Altered {
                bodies,
                nothing: store.has(Fault::VisitorsReadNothing),
                from_start: store.has(Fault::VisitorsReadFromStart),
            };
            if store.has(Fault::VisitsTwice) {
                visitor(&row, &mut bodies)?;
            }
            if store.has(Fault::VisitsBackwards) {
                // All that came so far, the newest first.
                backwards.insert(0, row);
                let mut goes_on = true;
                for row in &backwards {
                    goes_on = goes_on && visitor(row, &mut bodies)?;
                }
                return Ok(goes_on);
            }
            let answer = visitor(&row, &mut bodies);
            if store.has(Fault::VisitsSwallowErrors) && answer.is_err() {
                return Ok(false);
            }
            let ends = store.has(Fault::VisitsEndEarly);
            Ok((answer? || store.has(Fault::VisitsGoOn)) && !ends)
        };
        let asked = self.asked(&which);
        let visit = self.inner.visit(inner, asked, wanted, Box::new(seen));
        match visit.await {
            Err(Error::NoSuchMailbox(_)) if self.has(Fault::UnknownMailboxIsEmpty) => Ok(()),
            done => done,
        }
    }

    pub(super) async fn changed(
        &self,
        mailbox: MailboxId,
        since: ModSeq,
        want: Want,
        limit: usize,
    ) -> Result<Changes> {
        let inner = self.inward(mailbox);
        let mut wanted = self.wanted(want);
        if self.has(Fault::SummaryNotInChanges) {
            wanted = Want::ROW;
        }
        let horizon = self.mailbox(inner).await.map(|found| found.horizon);
        let (mut begin, mut most) = (since, limit);
        if let Some(horizon) = horizon {
            if self.has(Fault::TooOldNever) {
                begin = begin.max(horizon);
            }
            if self.has(Fault::TooOldAtHorizon) && since == horizon {
                return Ok(Changes::TooOld { horizon });
            }
            if self.has(Fault::ChangesRepeat) && since > horizon {
                begin.0 -= 1;
            }
        }
        if self.has(Fault::ChangesUnlimited) {
            most = usize::MAX;
        }
        let found = self.inner.changes(inner, begin, wanted, most).await;
        let (mut at, mut rows, mut vanished) = match found {
            Err(Error::NoSuchMailbox(_)) if self.has(Fault::UnknownMailboxIsEmpty) => {
                (ModSeq(0), Vec::new(), UidSet::new())
            }
            Ok(Changes::TooOld { .. }) if self.has(Fault::HorizonIsZero) => {
                return Ok(Changes::TooOld { horizon: ModSeq(0) });
            }
            Ok(Changes::Known { at, rows, vanished }) => (at, rows, vanished),
            other => return other,
        };
        self.rows_seen(mailbox, &mut rows);
        let state = self.inner.account_by_id(inner.account).await?;
        let limited = state.is_some_and(|account| at < account.at);
        for fault in &*self.faults {
            match fault {
                Fault::NothingVanishes => vanished = UidSet::new(),
                Fault::RestartLosesRemovals if self.lost(*fault) => vanished = UidSet::new(),
                Fault::ChangesMissRow if rows.len() > 1 => drop(rows.remove(0)),
                Fault::ChangesUnsorted => rows.reverse(),
                Fault::ChangedAndVanished => {
                    for row in &rows {
                        vanished.insert(row.uid);
                    }
                }
                Fault::VanishedBeyond | Fault::VanishedFromBefore => {
                    let begin = match fault {
                        Fault::VanishedBeyond => begin,
                        _ => horizon.unwrap_or(begin),
                    };
                    let most = match fault {
                        Fault::VanishedBeyond => usize::MAX,
                        _ => limit,
                    };
                    let all = self.inner.changes(inner, begin, Want::ROW, most).await?;
                    if let Changes::Known { vanished: all, .. } = all {
                        vanished = all;
                    }
                }
                Fault::ChangesStopShort if !limited => {
                    at = rows.iter().map(|row| row.modified).max().unwrap_or(since);
                }
                Fault::ChangesStandStill if limited => at = since,
                _ => {}
            }
        }
        Ok(Changes::Known { at, rows, vanished })
    }
}

/// Bodies that a visitor reads wrongly.
struct Altered<'a> {
    bodies: &'a mut dyn Bodies,
    nothing: bool,
    from_start: bool,
}

impl Bodies for Altered<'_> {
    fn read(&mut self, body: &BodyRef, range: Range<u64>) -> Result<Bytes> {
        if self.nothing {
            return Ok(Bytes::new());
        }
        let start = if self.from_start { 0 } else { range.start };
        self.bodies.read(body, start..range.end)
    }
}
