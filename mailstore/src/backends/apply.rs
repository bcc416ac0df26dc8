//! What a transaction means, said once for all backends that offer [`Tables`].

use crate::backends::tables::AccountRow;
use crate::{
    AccountId, Append, Committed, EmailId, Error, FlagChange, Flags, Mailbox, MailboxId, ModSeq,
    Operation, Outcome, QueueEntry, Requirement, Result, Row, Tables, ThreadId, Transaction, Uid,
    UidSet, UidValidity,
};

/// How many removals are remembered for each mailbox, at least.
const REMEMBERED: usize = 10_000;
/// The most octets of a mailbox name.
const NAME_MAX: usize = 1_000;
/// The most octets of an origin.
const ORIGIN_MAX: usize = 64;

/// Carries a transaction out over the rows of a backend.
///
/// Checks the requirements, then does each operation in order, with counters, quota, mod-sequences and UIDs.
/// What it wrote is part of the backend's own transaction: when it fails the caller undoes all of it, when it
/// succeeds the caller makes it durable before anybody is answered.
///
/// # Errors
/// What the transaction was refused for, as [`Store::commit`](crate::Store::commit) answers it, or an error of
/// `tables`.
pub fn apply(tables: &mut dyn Tables, transaction: &Transaction) -> Result<Committed> {
    let mut account = load(tables, transaction.account)?;
    for requirement in &transaction.requirements {
        require(tables, &account, requirement)?;
    }
    let at = ModSeq(account.at.0 + 1);
    account.at = at;
    let mut work = Work {
        tables,
        at,
        account,
        others: Vec::new(),
    };
    let outcomes = transaction
        .operations
        .iter()
        .map(|operation| work.operation(operation))
        .collect::<Result<Vec<_>>>()?;
    let Work {
        tables,
        account,
        others,
        ..
    } = work;
    tables.put_account(&account)?;
    for other in &others {
        tables.put_account(other)?;
    }
    Ok(Committed {
        at,
        also: others.iter().map(|other| (other.id, other.at)).collect(),
        outcomes,
    })
}

fn load(tables: &mut dyn Tables, id: AccountId) -> Result<AccountRow> {
    tables.account(id)?.ok_or(Error::NoSuchAccount(id.into()))
}

fn require(tables: &mut dyn Tables, account: &AccountRow, what: &Requirement) -> Result<()> {
    let mut mailbox = |id: MailboxId| tables.mailbox(id)?.ok_or(Error::NoSuchMailbox(id.into()));
    let (holds, name) = match *what {
        Requirement::UidValidity(id, value) => (mailbox(id)?.uid_validity == value, "UIDVALIDITY"),
        Requirement::Unchanged(at) => (account.at == at, "mod-sequence"),
        Requirement::Empty(id) => (mailbox(id)?.messages == 0, "the mailbox is not empty"),
    };
    if holds {
        Ok(())
    } else {
        Err(Error::Conflict(name))
    }
}

/// The name as it is kept: INBOX in capitals. Fails for what no mailbox may be called.
pub(crate) fn mailbox_name(name: &str) -> Result<String> {
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(Error::InvalidName("a mailbox name has 1 to 1000 octets"));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::InvalidName("no control characters"));
    }
    if name.split('/').any(str::is_empty) || name.split('/').count() > 64 {
        return Err(Error::InvalidName("levels are not empty, and 64 at most"));
    }
    let (first, rest) = name.split_at(name.find('/').unwrap_or(name.len()));
    if first.eq_ignore_ascii_case("INBOX") {
        return Ok(format!("INBOX{rest}"));
    }
    Ok(name.to_string())
}

/// Seconds since 1970.
fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
}

struct Work<'a> {
    tables: &'a mut dyn Tables,
    at: ModSeq,
    account: AccountRow,
    /// Other accounts that a copy or move went into.
    others: Vec<AccountRow>,
}

impl Work<'_> {
    fn mailbox(&mut self, id: MailboxId) -> Result<Mailbox> {
        self.tables
            .mailbox(id)?
            .ok_or(Error::NoSuchMailbox(id.into()))
    }

    /// A mailbox that the transaction's own account has.
    fn own(&mut self, id: MailboxId) -> Result<Mailbox> {
        if id.account != self.account.id {
            return Err(Error::NoSuchMailbox(id.into()));
        }
        self.mailbox(id)
    }

    /// The account that owns a mailbox, and the mod-sequence changes in it get.
    fn owner(&mut self, id: AccountId) -> Result<&mut AccountRow> {
        if id == self.account.id {
            return Ok(&mut self.account);
        }
        let known = self.others.iter().position(|other| other.id == id);
        let index = match known {
            Some(index) => index,
            None => {
                let mut row = load(self.tables, id)?;
                row.at.0 += 1;
                self.others.push(row);
                self.others.len() - 1
            }
        };
        self.others
            .get_mut(index)
            .ok_or(Error::NoSuchAccount(id.into()))
    }

    fn operation(&mut self, operation: &Operation) -> Result<Outcome> {
        match operation {
            Operation::Append(append) => self.append(append),
            Operation::Flags {
                mailbox,
                uids,
                change,
                unchanged_since,
            } => self.flags(*mailbox, uids, change, *unchanged_since),
            Operation::Copy { from, uids, to } => self.copy(*from, uids, *to, false),
            Operation::Move { from, uids, to } => {
                let outcome = self.copy(*from, uids, *to, true)?;
                if let Outcome::Copied { pairs, .. } = &outcome {
                    // And not the copies, which `uids` may name too where a mailbox is moved into itself.
                    let moved = pairs.iter().map(|(old, _)| *old).collect();
                    self.expunge(*from, &moved, false)?;
                }
                Ok(outcome)
            }
            Operation::Expunge {
                mailbox,
                uids,
                deleted_only,
            } => self
                .expunge(*mailbox, uids, *deleted_only)
                .map(Outcome::Expunged),
            Operation::Create {
                name,
                special_use,
                uid_validity,
            } => self.create(name, special_use.as_deref(), *uid_validity),
            Operation::Rename { mailbox, to } => self.rename(*mailbox, to),
            Operation::Delete(mailbox) => self.delete(*mailbox),
            Operation::Subscribe { name, subscribed } => {
                let name = mailbox_name(name)?;
                self.tables.subscribe(self.account.id, &name, *subscribed)?;
                Ok(Outcome::Done)
            }
            Operation::SetQuota { octets, messages } => {
                self.account.quota.octets = *octets;
                self.account.quota.messages = *messages;
                Ok(Outcome::Done)
            }
            Operation::SetProperty { key, value } => {
                self.tables
                    .set_property(self.account.id, key, value.as_ref())?;
                Ok(Outcome::Done)
            }
            Operation::SetMailboxProperty {
                mailbox,
                key,
                value,
            } => {
                let mut row = self.own(*mailbox)?;
                let tables = &mut self.tables;
                tables.set_mailbox_property(*mailbox, key, value.as_ref())?;
                row.highest = self.at;
                self.tables.put_mailbox(&row)?;
                Ok(Outcome::Done)
            }
            Operation::Enqueue {
                due,
                next_hop,
                body,
                envelope,
            } => {
                self.tables.hold(body, &bytes::Bytes::new())?;
                let id =
                    self.tables
                        .enqueue(self.account.id, next_hop, body.body, envelope, *due)?;
                Ok(Outcome::Enqueued(id))
            }
            Operation::Settle { id, token, again } => {
                let entry = self.tables.queued(*id)?;
                let held = |entry: &QueueEntry| entry.token == *token && *token != 0;
                let Some(entry) = entry.filter(held) else {
                    return Err(Error::Conflict("the claim has expired"));
                };
                self.tables
                    .settle(*id, again.as_ref().map(|(due, envelope)| (*due, envelope)))?;
                if again.is_none() {
                    self.tables.release(entry.body)?;
                }
                Ok(Outcome::Done)
            }
        }
    }

    /// Counts a message in, if it may come in.
    fn charge(
        &mut self,
        mailbox: &mut Mailbox,
        octets: u64,
        flags: &Flags,
        admitted: bool,
    ) -> Result<()> {
        let account = self.owner(mailbox.id.account)?;
        if !admitted && !account.quota.admits(octets, 1) {
            return Err(Error::OverQuota(mailbox.id.account.into()));
        }
        account.quota.used_octets += octets;
        account.quota.used_messages += 1;
        mailbox.highest = account.at;
        mailbox.messages += 1;
        mailbox.octets += octets;
        mailbox.count(flags, true);
        Ok(())
    }

    fn next_uid(mailbox: &mut Mailbox, imposed: Option<Uid>) -> Result<Uid> {
        let number = imposed.map_or(mailbox.uid_next, Uid::get);
        if number < mailbox.uid_next {
            return Err(Error::Conflict("the UID is below UIDNEXT"));
        }
        let uid = Uid::new(number).filter(|uid| uid.get() < u32::MAX);
        let uid = uid.ok_or(Error::Limit("UIDs"))?;
        mailbox.uid_next = uid.get() + 1;
        Ok(uid)
    }

    fn append(&mut self, append: &Append) -> Result<Outcome> {
        let mut mailbox = self.own(append.mailbox)?;
        let uid_validity = mailbox.uid_validity;
        if let Some(origin) = &append.origin {
            if origin.len() > ORIGIN_MAX {
                return Err(Error::Limit("an origin has 64 octets at most"));
            }
            if let Some(uid) = self.tables.origin(append.mailbox, origin)? {
                return Ok(Outcome::Existed { uid, uid_validity });
            }
        }
        let body = append.body.body;
        self.charge(&mut mailbox, body.octets, &append.flags, false)?;
        let uid = Self::next_uid(&mut mailbox, append.uid)?;
        let (email, thread) = match append.identity {
            Some(identity) => {
                let last = &mut self.account.last_email;
                *last = (*last).max(identity.0.0).max(identity.1.0);
                identity
            }
            None => {
                self.account.last_email += 1;
                let id = self.account.last_email;
                (EmailId(id), ThreadId(id))
            }
        };
        self.tables.hold(&append.body, &append.summary)?;
        let row = Row {
            uid,
            modified: self.at,
            flags: append.flags.clone(),
            received: append.received,
            saved: Some(now()),
            email,
            thread,
            body,
            summary: bytes::Bytes::new(),
        };
        self.tables.put_row(append.mailbox, &row, true)?;
        if let Some(origin) = &append.origin {
            self.tables.put_origin(append.mailbox, origin, uid)?;
        }
        self.tables.put_mailbox(&mailbox)?;
        Ok(Outcome::Appended {
            uid,
            uid_validity,
            body,
        })
    }

    fn flags(
        &mut self,
        id: MailboxId,
        uids: &UidSet,
        change: &FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<Outcome> {
        let mut mailbox = self.own(id)?;
        let (mut changed, mut modified) = (UidSet::new(), UidSet::new());
        let mut touched = false;
        for mut row in self.tables.rows(id, uids)? {
            if unchanged_since.is_some_and(|since| row.modified > since) {
                modified.insert(row.uid);
                continue;
            }
            changed.insert(row.uid);
            let mut flags = row.flags.clone();
            match change {
                FlagChange::Set(new) => flags = new.clone(),
                FlagChange::Add(new) => flags.add(new),
                FlagChange::Remove(old) => flags.remove(old),
            }
            if flags != row.flags {
                mailbox.count(&row.flags, false);
                mailbox.count(&flags, true);
                row.flags = flags;
                row.modified = self.at;
                self.tables.put_row(id, &row, false)?;
                touched = true;
            }
        }
        if touched {
            mailbox.highest = self.at;
            self.tables.put_mailbox(&mailbox)?;
        }
        Ok(Outcome::Flagged { changed, modified })
    }

    fn copy(
        &mut self,
        from: MailboxId,
        uids: &UidSet,
        to: MailboxId,
        moves: bool,
    ) -> Result<Outcome> {
        self.own(from)?;
        let mut target = self.mailbox(to)?;
        let at = self.owner(to.account)?.at;
        let mut pairs = Vec::new();
        for row in self.tables.rows(from, uids)? {
            // What is moved within an account takes no more room than before.
            let admitted = moves && to.account == from.account;
            self.charge(&mut target, row.body.octets, &row.flags, admitted)?;
            let uid = Self::next_uid(&mut target, None)?;
            let (mut email, mut thread) = (row.email, row.thread);
            if to.account != from.account {
                let owner = self.owner(to.account)?;
                owner.last_email += 1;
                (email, thread) = (EmailId(owner.last_email), ThreadId(owner.last_email));
            }
            self.tables.hold_again(row.body)?;
            pairs.push((row.uid, uid));
            let copy = Row {
                uid,
                modified: at,
                saved: Some(now()),
                email,
                thread,
                ..row
            };
            self.tables.put_row(to, &copy, true)?;
        }
        if !pairs.is_empty() {
            self.tables.put_mailbox(&target)?;
        }
        Ok(Outcome::Copied {
            uid_validity: target.uid_validity,
            pairs,
        })
    }

    fn expunge(&mut self, id: MailboxId, uids: &UidSet, deleted_only: bool) -> Result<UidSet> {
        let mut mailbox = self.own(id)?;
        let mut gone = UidSet::new();
        for row in self.tables.rows(id, uids)? {
            if deleted_only && !row.flags.contains(&Flags::DELETED) {
                continue;
            }
            self.tables.delete_row(id, row.uid, self.at)?;
            self.tables.release(row.body)?;
            mailbox.messages = mailbox.messages.saturating_sub(1);
            mailbox.octets = mailbox.octets.saturating_sub(row.body.octets);
            mailbox.count(&row.flags, false);
            self.refund(row.body.octets, 1);
            gone.insert(row.uid);
        }
        if !gone.is_empty() {
            mailbox.highest = self.at;
            // Now and then is often enough.
            if self.at.0.is_multiple_of(256)
                && let Some(horizon) = self.tables.forget(id, REMEMBERED)?
            {
                mailbox.horizon = horizon;
            }
            self.tables.put_mailbox(&mailbox)?;
        }
        Ok(gone)
    }

    fn refund(&mut self, octets: u64, messages: u64) {
        let quota = &mut self.account.quota;
        quota.used_octets = quota.used_octets.saturating_sub(octets);
        quota.used_messages = quota.used_messages.saturating_sub(messages);
    }

    fn create(
        &mut self,
        name: &str,
        special_use: Option<&str>,
        uid_validity: Option<UidValidity>,
    ) -> Result<Outcome> {
        let name = mailbox_name(name)?;
        if self.tables.mailbox_named(self.account.id, &name)?.is_some() {
            return Err(Error::AlreadyExists(name.as_str().into()));
        }
        let last = self.account.last_uid_validity;
        let uid_validity = match uid_validity {
            Some(imposed) => imposed,
            None => last
                .checked_add(1)
                .and_then(UidValidity::new)
                .ok_or(Error::Limit("UIDVALIDITYs"))?,
        };
        self.account.last_uid_validity = last.max(uid_validity.get());
        self.account.last_mailbox += 1;
        let id = MailboxId {
            account: self.account.id,
            number: self.account.last_mailbox,
        };
        let mut mailbox = Mailbox::new(id, name, uid_validity, self.at);
        mailbox.special_use = special_use.map(Into::into);
        self.tables.put_mailbox(&mailbox)?;
        Ok(Outcome::Created { id, uid_validity })
    }

    fn rename(&mut self, id: MailboxId, to: &str) -> Result<Outcome> {
        let to = mailbox_name(to)?;
        let mailbox = self.own(id)?;
        if mailbox.name == "INBOX" || to == "INBOX" {
            return Err(Error::InvalidName("INBOX keeps its name"));
        }
        let below = format!("{}/", mailbox.name);
        if to.starts_with(&below) {
            return Err(Error::InvalidName("a mailbox cannot lie below itself"));
        }
        let mut moved = self.tables.mailboxes_below(self.account.id, &below)?;
        let length = mailbox.name.len();
        moved.push(mailbox);
        for mut mailbox in moved {
            let name = format!("{to}{}", mailbox.name.get(length..).unwrap_or(""));
            let name = mailbox_name(&name)?;
            if self.tables.mailbox_named(self.account.id, &name)?.is_some() {
                return Err(Error::AlreadyExists(name.as_str().into()));
            }
            mailbox.name = name;
            mailbox.highest = self.at;
            self.tables.put_mailbox(&mailbox)?;
        }
        Ok(Outcome::Done)
    }

    fn delete(&mut self, id: MailboxId) -> Result<Outcome> {
        let mailbox = self.own(id)?;
        if mailbox.name == "INBOX" {
            return Err(Error::InvalidName("INBOX cannot be deleted"));
        }
        for row in self.tables.rows(id, &UidSet::all())? {
            self.tables.release(row.body)?;
        }
        self.refund(mailbox.octets, u64::from(mailbox.messages));
        self.tables.delete_mailbox(id)?;
        Ok(Outcome::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_levels_and_inbox_is_one_name() {
        assert_eq!(mailbox_name("inBox/Ä").unwrap(), "INBOX/Ä");
        assert_eq!(mailbox_name("Inboxes").unwrap(), "Inboxes");
        for bad in ["", "/", "a/", "/a", "a//b", "a\0", "a\n", &"x".repeat(1001)] {
            assert!(mailbox_name(bad).is_err(), "{bad:?}");
        }
    }
}
