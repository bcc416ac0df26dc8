//! STORE, COPY, MOVE, EXPUNGE.

use imap_proto::{MailboxName, Response, ResponseCode, SequenceSet, Status, Store, StoreAction};
use mailstore::{FlagChange, ModSeq, Operation, Outcome, Transaction, UidSet, Want, Which};

use super::convert::flags_kept;
use super::{End, Ended, Session};

/// So many rows are read at a time.
const PAGE: usize = 500;

impl Session<'_> {
    fn writable(&self) -> Result<(), End> {
        if self.is_read_only() {
            return Err(End::no(
                ResponseCode::ReadOnly,
                "The mailbox is open for reading only",
            ));
        }
        Ok(())
    }

    pub(super) async fn store(&mut self, store: Store, uid: bool) -> Ended {
        self.writable()?;
        let mailbox = self.current()?;
        let uids = self.resolve(&store.set, uid)?;
        let flags = flags_kept(&store.flags)
            .ok_or(End::no(ResponseCode::Cannot, "Not a flag that can be kept"))?;
        let change = match store.action {
            StoreAction::Replace => FlagChange::Set(flags),
            StoreAction::Add => FlagChange::Add(flags),
            StoreAction::Remove => FlagChange::Remove(flags),
        };
        let operation = Operation::Flags {
            mailbox,
            uids: uids.clone(),
            change,
            unchanged_since: store.unchanged_since.map(ModSeq),
        };
        let transaction = Transaction::new(self.account).with(operation);
        let mut committed = self.shared.store.commit(transaction).await?;
        let (changed, modified) = match committed.outcomes.pop() {
            Some(Outcome::Flagged { changed, modified }) => (changed, modified),
            _ => (UidSet::new(), UidSet::new()),
        };
        // With CONDSTORE the new mod-sequence is told even when the flags are not (RFC 7162 §3.1.3).
        if !store.silent || self.driver.machine.condstore() {
            self.tell_stored(&changed, !store.silent).await?;
        }
        if let Some(selected) = &mut self.selected {
            selected.own.push(committed.at);
        }
        if modified.is_empty() {
            return Ok(End::ok("Stored"));
        }
        let view = self.driver.machine.selected();
        let number = |n: mailstore::Uid| match uid {
            true => Some(n.get()),
            false => view.and_then(|view| view.sequence(n.get())),
        };
        let numbers: Vec<u32> = modified.iter().filter_map(number).collect();
        let code = ResponseCode::Modified(ranges(&numbers));
        Ok(End(Status::Ok, Some(code), "Some had changed".into()))
    }

    async fn tell_stored(&mut self, uids: &UidSet, flags: bool) -> Result<(), End> {
        let mailbox = self.current()?;
        let mut left = uids.clone();
        loop {
            let page = self
                .shared
                .store
                .messages(mailbox, &Which::Uids(left.clone()), Want::ROW, PAGE)
                .await?;
            for row in &page.rows {
                self.tell_flags(row, flags);
            }
            let flushed = self.driver.flush_if_full().await;
            match page.rows.last() {
                Some(last) if page.more && flushed.is_ok() => left = above(&left, last.uid.get()),
                _ => return Ok(()),
            }
        }
    }

    pub(super) async fn copy(
        &mut self,
        set: &SequenceSet,
        to: &MailboxName,
        uid: bool,
        moves: bool,
    ) -> Ended {
        if moves {
            self.writable()?;
        }
        let from = self.current()?;
        let uids = self.resolve(set, uid)?;
        let to = self.target(to).await?.id;
        let operation = match moves {
            true => Operation::Move { from, uids, to },
            false => Operation::Copy { from, uids, to },
        };
        let Outcome::Copied {
            uid_validity,
            pairs,
        } = self.commit(operation).await?
        else {
            return Ok(End::ok("Nothing to do"));
        };
        if pairs.is_empty() {
            return Ok(End::ok("Nothing to do"));
        }
        let old: Vec<u32> = pairs.iter().map(|(old, _)| old.get()).collect();
        let new: Vec<u32> = pairs.iter().map(|(_, new)| new.get()).collect();
        let code = ResponseCode::CopyUid(uid_validity.get(), ranges(&old), ranges(&new));
        if moves {
            // RFC 6851 §4.3: before the EXPUNGEs.
            self.respond(&Response::Status(Status::Ok, Some(code), "Moved".into()));
            return Ok(End::ok("Moved"));
        }
        Ok(End(Status::Ok, Some(code), "Copied".into()))
    }

    pub(super) async fn expunge(&mut self, set: Option<&SequenceSet>) -> Ended {
        self.writable()?;
        let mailbox = self.current()?;
        let uids = match set {
            Some(set) => self.resolve(set, true)?,
            None => UidSet::all(),
        };
        let expunge = Operation::Expunge {
            mailbox,
            uids,
            deleted_only: true,
        };
        self.commit(expunge).await?;
        Ok(End::ok("Expunged"))
    }
}

/// What of a set lies above.
pub(super) fn above(set: &UidSet, uid: u32) -> UidSet {
    let higher = set.ranges().iter().filter(|range| range.1 > uid);
    UidSet::from_ranges(higher.map(|&(low, high)| (low.max(uid.saturating_add(1)), high)))
}

/// Numbers as ranges, in their order.
pub(super) fn ranges(numbers: &[u32]) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some(last) if last.1.checked_add(1) == Some(number) => last.1 = number,
            _ => ranges.push((number, number)),
        }
    }
    ranges
}
