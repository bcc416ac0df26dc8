//! STORE, COPY, MOVE, EXPUNGE.

use hikyaku_imap_proto::{
    MailboxName, Numbers, Response, ResponseCode, SequenceSet, Status, Store, StoreAction,
};
use hikyaku_mailstore::{
    FlagChange, Flags, ModSeq, Operation, Outcome, Transaction, Uid, UidSet, Want, Which,
};

use super::convert::flags_kept;
use super::end::{End, Ended};
use super::found::Found;
use super::session::Session;
use super::text::Text as T;

/// So many rows are read at a time.
const PAGE: usize = 500;

const SYSTEM: [Flags; 5] = [
    Flags::ANSWERED,
    Flags::FLAGGED,
    Flags::DELETED,
    Flags::SEEN,
    Flags::DRAFT,
];

impl Session<'_> {
    fn writable(&self) -> Result<(), End> {
        if self.is_read_only() {
            return Err(End::no(ResponseCode::ReadOnly, T::TheMailboxIsOpen));
        }
        Ok(())
    }

    pub(super) async fn store(&mut self, store: Store, numbers: Numbers) -> Ended {
        self.writable()?;
        let reached = self.reached(self.resolve(&store.set, numbers)?);
        let end = self
            .store_these(store, numbers, reached.uids.clone())
            .await?;
        Ok(reached.end(end, self))
    }

    async fn store_these(&mut self, store: Store, numbers: Numbers, uids: UidSet) -> Ended {
        let mailbox = self.current()?;
        let flags =
            flags_kept(&store.flags).ok_or(End::no(ResponseCode::Cannot, T::NotAFlagThat))?;
        let mut transaction = Transaction::new(mailbox.account);
        // What the first change has changed is not held against the second.
        let mut unchanged_since = store.unchanged_since.map(ModSeq);
        for change in self.allowed(store.action, &flags)? {
            transaction = transaction.with(Operation::Flags {
                mailbox,
                uids: uids.clone(),
                change,
                unchanged_since: unchanged_since.take(),
            });
        }
        let committed = self.service.store.commit(transaction).await?;
        let (changed, modified) = match committed.outcomes.into_iter().next() {
            Some(Outcome::Flagged { changed, modified }) => (changed, modified),
            _ => (UidSet::new(), UidSet::new()),
        };
        // With CONDSTORE the new mod-sequence is sent even when the flags are not (RFC 7162 §3.1.3).
        if !store.silent || self.driver.machine.condstore() {
            self.send_stored(&changed, !store.silent).await?;
        }
        if let Some(selected) = &mut self.selected {
            selected.own.push(committed.at);
        }
        if modified.is_empty() {
            return Ok(End::ok(T::Stored));
        }
        let numbers = modified.iter().filter_map(|uid| self.number(uid, numbers));
        let numbers: Vec<u32> = numbers.collect();
        let code = ResponseCode::Modified(ranges(&numbers));
        Ok(End(Status::Ok, Some(code), T::SomeHadChanged.into()))
    }

    /// The change, as far as the client's rights go (RFC 4314 §4).
    fn allowed(&self, action: StoreAction, flags: &Flags) -> Result<Vec<FlagChange>, End> {
        let Some(selected) = &self.selected else {
            return Err(End::bad(T::NoMailboxIsSelected));
        };
        let rights = selected.rights;
        let no = || End::no(ResponseCode::NoPerm, T::ThoseFlagsAreNot);
        let permitted = Self::permitted(rights, flags);
        let all = b"swt".iter().all(|&right| rights.contains(right));
        Ok(match action {
            StoreAction::Replace if all => vec![FlagChange::Set(permitted)],
            // All that may be changed: what is named comes, what is not goes.
            StoreAction::Replace => {
                let mut known = selected.keywords.clone();
                for one in SYSTEM {
                    known.add(&one);
                }
                let mut others = Self::permitted(rights, &known);
                if others.is_empty() {
                    return Err(no());
                }
                others.remove(flags);
                vec![FlagChange::Add(permitted), FlagChange::Remove(others)]
            }
            _ if permitted.is_empty() && !flags.is_empty() => return Err(no()),
            StoreAction::Add => vec![FlagChange::Add(permitted)],
            StoreAction::Remove => vec![FlagChange::Remove(permitted)],
        })
    }

    async fn send_stored(&mut self, uids: &UidSet, flags: bool) -> Result<(), End> {
        let mailbox = self.current()?;
        let mut left = uids.clone();
        loop {
            let page = self
                .service
                .store
                .messages(mailbox, &Which::Uids(left.clone()), Want::ROW, PAGE)
                .await?;
            for row in &page.rows {
                self.send_flags(row, flags);
            }
            let flushed = self.driver.flush_if_full().await;
            match page.rows.last() {
                Some(last) if page.more && flushed.is_ok() => left = left.above(last.uid),
                _ => return Ok(()),
            }
        }
    }

    pub(super) async fn copy(
        &mut self,
        set: &SequenceSet,
        to: &MailboxName,
        numbers: Numbers,
        moves: bool,
    ) -> Ended {
        if moves {
            self.writable()?;
            // RFC 6851 §4.2: as if the messages were copied, and expunged.
            if !self.may(b'e') || !self.may(b't') {
                return Err(End::no(ResponseCode::NoPerm, T::NothingMayGoFrom));
            }
        }
        let reached = self.reached(self.resolve(set, numbers)?);
        if !moves {
            let uids = reached.all()?;
            return self.transfer(uids, to, false).await;
        }
        let end = self.transfer(reached.uids.clone(), to, true).await?;
        Ok(reached.end(end, self))
    }

    async fn transfer(&mut self, uids: UidSet, to: &MailboxName, moves: bool) -> Ended {
        let from = self.current()?;
        let target = self.target(to).await?;
        let to = target.mailbox.id;
        let operation = match moves {
            true => Operation::Move { from, uids, to },
            false => Operation::Copy { from, uids, to },
        };
        let Outcome::Copied {
            uid_validity,
            pairs,
        } = self.commit(from.account, operation).await?
        else {
            return Ok(End::ok(T::NothingToDo));
        };
        self.only_permitted(&target, &pairs).await?;
        if pairs.is_empty() {
            return Ok(End::ok(T::NothingToDo));
        }
        let old: Vec<u32> = pairs.iter().map(|(old, _)| old.get()).collect();
        let new: Vec<u32> = pairs.iter().map(|(_, new)| new.get()).collect();
        let code = ResponseCode::CopyUid(uid_validity.get(), ranges(&old), ranges(&new));
        if moves {
            // RFC 6851 §4.3: before the EXPUNGEs.
            self.respond(&Response::Status(Status::Ok, Some(code), "Moved".into()));
            return Ok(End::ok(T::Moved));
        }
        Ok(End(Status::Ok, Some(code), T::Copied.into()))
    }

    /// Takes from copies what the client may not set where they are (RFC 4314 §4).
    async fn only_permitted(&mut self, target: &Found, copied: &[(Uid, Uid)]) -> Result<(), End> {
        if b"swt".iter().all(|&right| target.rights.contains(right)) {
            return Ok(());
        }
        let uids: UidSet = copied.iter().map(|(_, new)| *new).collect();
        let mut set = Flags::NONE;
        let mut left = uids.clone();
        loop {
            let which = Which::Uids(left.clone());
            let mailbox = target.mailbox.id;
            let page = self
                .service
                .store
                .messages(mailbox, &which, Want::ROW, PAGE)
                .await?;
            for row in &page.rows {
                set.add(&row.flags);
            }
            match page.rows.last() {
                Some(last) if page.more => left = left.above(last.uid),
                _ => break,
            }
        }
        let permitted = Self::permitted(target.rights, &set);
        set.remove(&permitted);
        if set.is_empty() {
            return Ok(());
        }
        let change = Operation::Flags {
            mailbox: target.mailbox.id,
            uids,
            change: FlagChange::Remove(set),
            unchanged_since: None,
        };
        self.commit(target.mailbox.id.account, change).await?;
        Ok(())
    }

    pub(super) async fn expunge(&mut self, set: Option<&SequenceSet>) -> Ended {
        self.writable()?;
        if !self.may(b'e') {
            return Err(End::no(ResponseCode::NoPerm, T::NothingMayGoFrom));
        }
        let mailbox = self.current()?;
        let reached = match set {
            Some(set) => {
                let uids = self.resolve(set, Numbers::Uid)?;
                Some(self.reached_deleted(mailbox, uids).await?)
            }
            // RFC 9738 §3.1: EXPUNGE has no limit.
            None => None,
        };
        let uids = reached.as_ref().map(|reached| reached.uids.clone());
        let expunge = Operation::Expunge {
            mailbox,
            uids: uids.unwrap_or_else(UidSet::all),
            deleted_only: true,
        };
        self.commit(mailbox.account, expunge).await?;
        let end = End::ok(T::Expunged);
        Ok(match reached {
            Some(reached) => reached.end(end, self),
            None => end,
        })
    }
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
