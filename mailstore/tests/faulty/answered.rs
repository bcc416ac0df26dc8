//! Faults of what a transaction answers, and of what it leaves behind.

use hikyaku_mailstore::*;

use super::fault::Fault;
use super::store::Faulty;

impl Faulty {
    /// Alters what is answered.
    pub(super) async fn answer(
        &self,
        asked: &Transaction,
        result: Result<Committed>,
    ) -> Result<Committed> {
        let only = match asked.operations.as_slice() {
            [only] => Some(only),
            _ => None,
        };
        match (result, only) {
            (Err(Error::NoSuchMailbox(_)), _)
                if self.has(Fault::RequirementOnNothingIsConflict)
                    && !asked.requirements.is_empty() =>
            {
                Err(Error::Conflict("no such mailbox"))
            }
            (Err(Error::NoSuchAccount(_)), _) if self.has(Fault::UnknownAccountIsConflict) => {
                Err(Error::Conflict("no such account"))
            }
            (Err(Error::AlreadyExists(_)), Some(Operation::Create { name, .. }))
                if self.has(Fault::MailboxNameTwice) =>
            {
                let all = self.inner.mailboxes(asked.account, None).await?;
                let known = all
                    .mailboxes
                    .iter()
                    .find(|one| one.name.eq_ignore_ascii_case(name));
                let known = known.ok_or(Error::AlreadyExists(About::Nothing))?;
                Ok(Committed {
                    at: all.at,
                    also: Vec::new(),
                    outcomes: vec![Outcome::Created {
                        id: known.id,
                        uid_validity: known.uid_validity,
                    }],
                })
            }
            (Err(Error::AlreadyExists(_)), Some(Operation::Rename { mailbox, to }))
                if self.has(Fault::RenameWritesOver) =>
            {
                let all = self.inner.mailboxes(asked.account, None).await?;
                let target = all.mailboxes.iter().find(|one| one.name == *to);
                let target = target.filter(|target| target.id != *mailbox);
                let target = target.ok_or(Error::AlreadyExists(About::Nothing))?;
                let delete = Transaction::new(asked.account).with(Operation::Delete(target.id));
                self.inner.commit(delete).await?;
                self.inner.commit(asked.clone()).await
            }
            (Ok(done), Some(Operation::Append(append)))
                if self.has(Fault::OriginDiesWithMessage)
                    && let Some(Outcome::Existed { uid, .. }) = done.outcomes.first()
                    && self
                        .rows(append.mailbox, UidSet::from(*uid))
                        .await
                        .is_empty() =>
            {
                let mut append = append.clone();
                append.origin = None;
                let append = Operation::Append(append);
                self.inner
                    .commit(Transaction::new(asked.account).with(append))
                    .await
            }
            (result, _) => result,
        }
    }

    /// Does what a failure should not do.
    pub(super) async fn fail(&self, asked: &Transaction, first: Option<Operation>) {
        let plain = Transaction::new(asked.account);
        for operation in &asked.operations {
            if let Operation::Append(append) = operation {
                self.memo().spent.insert(append.body.body().id);
            }
        }
        self.memo().failed = true;
        let Some(first) = first else {
            return;
        };
        let several = asked.operations.len() > 1;
        // What cannot be done leaves nothing, as it should.
        if self.has(Fault::FailureRaisesState) {
            let _ = self.inner.commit(plain.clone()).await;
        }
        if self.has(Fault::HalfOfFailed) && several {
            let _ = self.inner.commit(plain.clone().with(first.clone())).await;
        }
        if self.has(Fault::FailureUsesUid)
            && let Operation::Append(append) = &first
        {
            let mailbox = append.mailbox;
            let done = self.inner.commit(plain.clone().with(first)).await;
            let outcome = done.ok().and_then(|mut done| done.outcomes.pop());
            if let Some(Outcome::Appended { uid, .. }) = outcome {
                let uids = UidSet::from(uid);
                let deleted_only = false;
                let expunge = Operation::Expunge {
                    mailbox,
                    uids,
                    deleted_only,
                };
                let _ = self.inner.commit(plain.with(expunge)).await;
            }
        }
    }

    /// Alters the outcomes, and remembers what was done.
    pub(super) async fn note(&self, asked: &Transaction, done: &mut Committed, before: &[Mailbox]) {
        let at = done.at;
        for (operation, outcome) in asked.operations.iter().zip(&mut done.outcomes) {
            self.note_one(asked.account, operation, outcome, at, before)
                .await;
        }
        self.note_queue().await;
        for fault in &*self.faults {
            match fault {
                Fault::OutcomesBackwards => done.outcomes.reverse(),
                Fault::LastOutcomeMissing if done.outcomes.len() > 1 => drop(done.outcomes.pop()),
                Fault::StateBeforeCommit => done.at.0 -= 1,
                Fault::OwnAccountAmongOthers => done.also.push((asked.account, at)),
                Fault::OthersNotNamed => done.also.clear(),
                _ => {}
            }
        }
    }

    async fn note_one(
        &self,
        account: AccountId,
        operation: &Operation,
        outcome: &mut Outcome,
        at: ModSeq,
        before: &[Mailbox],
    ) {
        let plain = Transaction::new(account);
        match (operation, &mut *outcome) {
            (
                Operation::Append(append),
                Outcome::Appended {
                    uid,
                    uid_validity,
                    body,
                },
            ) => {
                let mut memo = self.memo();
                memo.modified.insert((append.mailbox, *uid), at);
                memo.committed.insert(body.id);
                memo.freed.remove(&body.id);
                memo.last_body = Some(body.id);
                if self.has(Fault::AppendSaysOtherUidValidity) {
                    *uid_validity =
                        UidValidity::new(uid_validity.get() + 1).unwrap_or(*uid_validity);
                }
                if self.has(Fault::UidsAgain) {
                    let offset = memo.offsets.get(&append.mailbox).copied().unwrap_or(0);
                    *uid = Uid::new(uid.get().saturating_sub(offset)).unwrap_or(*uid);
                }
            }
            (Operation::Enqueue { body, .. }, Outcome::Enqueued(id)) => {
                let mut memo = self.memo();
                memo.committed.insert(body.body().id);
                memo.queued.insert(body.body().id);
                memo.freed.remove(&body.body().id);
                if self.has(Fault::QueueNumbersAgain) {
                    id.0 -= memo.queue_offset;
                }
            }
            (Operation::Flags { uids, .. }, Outcome::Flagged { changed, modified }) => {
                if self.has(Fault::MissingUidsNamed) && modified.is_empty() {
                    *changed = uids.clone();
                }
                if self.has(Fault::SparedNotNamed) {
                    *modified = UidSet::new();
                }
            }
            (
                Operation::Copy { from, uids, to } | Operation::Move { from, uids, to },
                Outcome::Copied { pairs, .. },
            ) => {
                let moves = matches!(operation, Operation::Move { .. });
                if moves == self.has(Fault::MoveLosesFlagged) {
                    let new = pairs.iter().map(|(_, new)| (*to, *new));
                    self.memo().copied.extend(new);
                }
                if from.account != to.account {
                    let mut memo = self.memo();
                    *memo.into.entry(to.account).or_default() += pairs.len() as u64;
                }
                if self.has(Fault::CopyPairsBackwards) {
                    pairs.reverse();
                }
                if moves && self.has(Fault::MoveInTwoCommits) {
                    let expunge = Operation::Expunge {
                        mailbox: *from,
                        uids: uids.clone(),
                        deleted_only: false,
                    };
                    let _ = self.inner.commit(plain.with(expunge)).await;
                }
                if moves {
                    self.note_removed(*from).await;
                }
            }
            (Operation::Expunge { mailbox, .. }, Outcome::Expunged(gone)) => {
                if !gone.is_empty() {
                    self.memo().expunged.insert(*mailbox, at);
                }
                self.memo().removed_lately = true;
                if self.has(Fault::ExpungeNamesNothing) {
                    *gone = UidSet::new();
                }
                self.note_removed(*mailbox).await;
            }
            (Operation::Delete(mailbox), _) => {
                let inner = self.inward(*mailbox);
                let mut memo = self.memo();
                memo.removed_lately = true;
                memo.alias.remove(mailbox);
                if let Some(old) = before.iter().find(|one| one.id == inner) {
                    memo.validities
                        .insert((account, old.name.clone()), old.uid_validity);
                }
            }
            (Operation::Create { .. }, Outcome::Created { id, .. })
                if self.has(Fault::MailboxNumbersAgain) =>
            {
                let used = before.iter().map(|one| self.outward(one.id).number);
                let used: Vec<u32> = used.collect();
                let free = (1..id.number).find(|number| !used.contains(number));
                if let Some(number) = free {
                    let outer = MailboxId { account, number };
                    self.memo().alias.insert(outer, *id);
                    *id = outer;
                }
            }
            (Operation::Rename { mailbox, to }, _) => {
                self.memo().renamed.insert(*mailbox);
                let Some(old) = before.iter().find(|one| one.id == *mailbox) else {
                    return;
                };
                let below = format!("{}/", old.name);
                for other in before.iter().filter(|one| one.id != *mailbox) {
                    let mut again = None;
                    if self.has(Fault::RenameLeavesBelow) && other.name.starts_with(&below) {
                        again = Some(other.name.clone());
                    }
                    if self.has(Fault::RenameTakesSiblings)
                        && !other.name.starts_with(&below)
                        && let Some(rest) = other.name.strip_prefix(&old.name)
                    {
                        again = Some(format!("{to}{rest}"));
                    }
                    if let Some(to) = again {
                        let mailbox = other.id;
                        let rename = Operation::Rename { mailbox, to };
                        let _ = self.inner.commit(plain.clone().with(rename)).await;
                    }
                }
            }
            _ => {}
        }
    }

    /// Looks at a mailbox that messages have left.
    async fn note_removed(&self, mailbox: MailboxId) {
        if let Some(found) = self.mailbox(mailbox).await
            && found.messages == 0
        {
            let mut memo = self.memo();
            memo.offsets.insert(mailbox, found.uid_next - 1);
        }
    }
}
