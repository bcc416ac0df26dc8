//! Faults of what a transaction asks for: it is refused, or altered.

use hikyaku_mailstore::*;
use std::time::Duration;

use super::fault::Fault;
use super::store::Faulty;

/// The mailboxes that an operation names.
pub(super) fn mailboxes(operation: &mut Operation) -> Vec<&mut MailboxId> {
    match operation {
        Operation::Append(append) => vec![&mut append.mailbox],
        Operation::Flags { mailbox, .. }
        | Operation::Expunge { mailbox, .. }
        | Operation::Rename { mailbox, .. }
        | Operation::Delete(mailbox)
        | Operation::SetMailboxProperty { mailbox, .. } => vec![mailbox],
        Operation::Copy { from, to, .. } | Operation::Move { from, to, .. } => vec![from, to],
        _ => Vec::new(),
    }
}

/// Whether it leads from one account to another.
fn across(operation: &Operation) -> bool {
    match operation {
        Operation::Copy { from, to, .. } | Operation::Move { from, to, .. } => {
            from.account != to.account
        }
        _ => false,
    }
}

/// What changes nothing.
fn nothing() -> Operation {
    Operation::SetProperty {
        key: "nobody has set it".into(),
        value: None,
    }
}

impl Faulty {
    /// Refuses what should be done.
    pub(super) async fn refuse(&self, fault: Fault, asked: &Transaction) -> Result<()> {
        let account = asked.account;
        let quota = || async {
            let found = self.inner.account_by_id(account).await;
            found.ok().flatten().map(|found| found.quota)
        };
        match fault {
            Fault::FailureFailsNext if std::mem::take(&mut self.memo().failed) => {
                return Err(Error::NoSuchMailbox(About::Nothing));
            }
            Fault::SystemCannotQueue if account == AccountId::SYSTEM => {
                return Err(Error::NoSuchAccount(About::Nothing));
            }
            Fault::AcrossClaimedFalsely if asked.operations.iter().any(across) => {
                return Err(Error::NoSuchMailbox(About::Nothing));
            }
            Fault::RacyUnchanged => {
                let found = self.inner.account_by_id(account).await?;
                let at = found.map(|found| found.at);
                let stale = |required: &Requirement| matches!(required, Requirement::Unchanged(since) if Some(*since) != at);
                if asked.requirements.iter().any(stale) {
                    return Err(Error::Conflict("checked early"));
                }
                if !asked.requirements.is_empty() {
                    std::thread::sleep(Duration::from_millis(3));
                }
            }
            _ => {}
        }
        for operation in &asked.operations {
            match (fault, operation) {
                (
                    Fault::MissingUidsRefused,
                    Operation::Flags { mailbox, uids, .. }
                    | Operation::Expunge { mailbox, uids, .. }
                    | Operation::Copy {
                        from: mailbox,
                        uids,
                        ..
                    }
                    | Operation::Move {
                        from: mailbox,
                        uids,
                        ..
                    },
                ) => {
                    let found = self.rows(*mailbox, uids.clone()).await;
                    if uids.len() < 1000 && (found.len() as u64) < uids.len() {
                        return Err(Error::Conflict("a UID does not exist"));
                    }
                }
                (Fault::OriginNeedsRoom, Operation::Append(append)) => {
                    let octets = append.body.body().octets;
                    if quota().await.is_some_and(|quota| !quota.admits(octets, 1)) {
                        return Err(Error::OverQuota(About::Nothing));
                    }
                }
                (Fault::RoomComesLate, Operation::Append(_)) => {
                    let limits = quota().await.map(|quota| (quota.octets, quota.messages));
                    let late = std::mem::take(&mut self.memo().removed_lately);
                    if late && limits.is_some_and(|limits| limits != (None, None)) {
                        return Err(Error::OverQuota(About::Nothing));
                    }
                }
                (Fault::RacyQuota, Operation::Append(append)) => {
                    let limits = self.memo().limits.get(&account).copied();
                    if let (Some(mut quota), Some(limits)) = (quota().await, limits) {
                        (quota.octets, quota.messages) = limits;
                        if !quota.admits(append.body.body().octets, 1) {
                            return Err(Error::OverQuota(About::Nothing));
                        }
                        std::thread::sleep(Duration::from_millis(3));
                    }
                }
                (Fault::MoveNeedsRoom, Operation::Move { from, uids, .. }) => {
                    let rows = self.rows(*from, uids.clone()).await;
                    let octets = rows.iter().map(|row| row.body.octets).sum();
                    let full = |quota: Quota| !quota.admits(octets, rows.len() as u64);
                    if quota().await.is_some_and(full) {
                        return Err(Error::OverQuota(About::Nothing));
                    }
                }
                (Fault::LowQuotaRefused, Operation::SetQuota { octets, messages }) => {
                    let low = |quota: Quota| {
                        octets.is_some_and(|limit| limit < quota.used_octets)
                            || messages.is_some_and(|limit| limit < quota.used_messages)
                    };
                    if quota().await.is_some_and(low) {
                        return Err(Error::OverQuota(About::Nothing));
                    }
                }
                (Fault::StagedServesOnce, Operation::Append(append))
                    if self.memo().committed.contains(&append.body.body().id) =>
                {
                    return Err(Error::Damaged("the body is gone", About::Nothing));
                }
                (Fault::FailureSpendsStaged, Operation::Append(append))
                    if self.memo().spent.contains(&append.body.body().id) =>
                {
                    return Err(Error::Damaged("the body is gone", About::Nothing));
                }
                (Fault::SettleOfOthersRefused, Operation::Settle { id, .. }) => {
                    let entry = self.entry(*id).await;
                    if entry.is_some_and(|entry| entry.account != account) {
                        return Err(Error::Conflict("another account's entry"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Alters what is done.
    pub(super) async fn alter(&self, fault: Fault, asked: &mut Transaction) -> Result<()> {
        let account = asked.account;
        let required = &mut asked.requirements;
        match fault {
            Fault::IgnoresUidValidity => {
                required.retain(|one| !matches!(one, Requirement::UidValidity(..)));
            }
            Fault::IgnoresUnchanged | Fault::RacyUnchanged => {
                required.retain(|one| !matches!(one, Requirement::Unchanged(_)));
            }
            Fault::IgnoresEmpty => required.retain(|one| !matches!(one, Requirement::Empty(_))),
            Fault::FirstRequirementAlone => required.truncate(1),
            Fault::OperationsBackwards => asked.operations.reverse(),
            Fault::ForeignMailboxesAreOpen => {
                if let Some(first) = asked.operations.first_mut()
                    && !across(first)
                    && let Some(named) = mailboxes(first).first()
                {
                    asked.account = named.account;
                }
            }
            _ => {}
        }
        let mut more = Vec::new();
        let mut lifted = None;
        if fault == Fault::OthersDoNotWake {
            let others = asked.operations.iter_mut().filter(|one| across(one));
            let named = others.flat_map(mailboxes).map(|named| named.account);
            self.memo()
                .quiet
                .extend(named.filter(|named| *named != account));
        }
        for operation in &mut asked.operations {
            match operation {
                Operation::Append(append) => {
                    self.alter_append(fault, account, append).await;
                }
                Operation::Create {
                    name,
                    special_use: _,
                    uid_validity,
                } => match fault {
                    Fault::NamesTrimmed => *name = name.trim().into(),
                    Fault::ControlsInNames => *name = name.replace(char::is_control, "_"),
                    Fault::LongNamesCut if name.is_ascii() => name.truncate(1000),
                    Fault::RestoredUidValidityLost => *uid_validity = None,
                    Fault::UidValidityOfName => {
                        let key = (account, name.clone());
                        *uid_validity = self.memo().validities.get(&key).copied();
                    }
                    Fault::UidValidityBelowRestored if uid_validity.is_none() => {
                        let mut memo = self.memo();
                        memo.numbers += 1;
                        *uid_validity = UidValidity::new(2_000_000_000 + memo.numbers as u32);
                    }
                    Fault::RestartRepeatsUidValidity if self.lost(fault) => {
                        let known = self.memo().validities.values().next().copied();
                        *uid_validity = uid_validity.or(known);
                    }
                    _ => {}
                },
                Operation::Subscribe { name, .. } if fault == Fault::ControlsInNames => {
                    *name = name.replace(char::is_control, "_");
                }
                Operation::SetProperty { value: None, .. } if fault == Fault::PropertyStays => {
                    *operation = nothing();
                }
                Operation::Flags {
                    mailbox,
                    uids,
                    change,
                    unchanged_since,
                } => match (fault, &change) {
                    (Fault::SetAddsFlags, FlagChange::Set(flags)) => {
                        *change = FlagChange::Add(flags.clone());
                    }
                    (Fault::KeywordsNeverRemoved, FlagChange::Remove(flags)) => {
                        *change = FlagChange::Remove(Flags::from_parts(flags.bits(), []));
                    }
                    (Fault::FlagsOfAll, _) => *uids = UidSet::all(),
                    (Fault::UnchangedSinceIgnored, _) => *unchanged_since = None,
                    (Fault::SameFlagsRaise, _) if unchanged_since.is_none() => {
                        let toggle = || Flags::from_parts(0, ["toggled"]);
                        for change in [FlagChange::Add(toggle()), FlagChange::Remove(toggle())] {
                            more.push(Operation::Flags {
                                mailbox: *mailbox,
                                uids: uids.clone(),
                                change,
                                unchanged_since: None,
                            });
                        }
                    }
                    _ => {}
                },
                Operation::Move { from, uids, to } => {
                    if matches!(fault, Fault::MoveCopies | Fault::MoveInTwoCommits) {
                        *operation = Operation::Copy {
                            from: *from,
                            uids: uids.clone(),
                            to: *to,
                        };
                    }
                }
                Operation::Copy { .. } if fault == Fault::CopyNeedsNoRoom => {
                    let found = self.inner.account_by_id(account).await?;
                    lifted = found.map(|found| found.quota);
                }
                Operation::Expunge { deleted_only, .. } if fault == Fault::DeletedOnlyIgnored => {
                    *deleted_only = false;
                }
                Operation::Delete(mailbox) => {
                    let all = self.inner.mailboxes(account, None).await;
                    let all = all.map_or_else(|_| Vec::new(), |all| all.mailboxes);
                    let Some(deleted) = all.iter().find(|one| one.id == *mailbox) else {
                        continue;
                    };
                    let name = deleted.name.clone();
                    match fault {
                        Fault::DeleteTakesBelow => {
                            let below = format!("{name}/");
                            let below = all.iter().filter(|one| one.name.starts_with(&below));
                            more.extend(below.map(|one| Operation::Delete(one.id)));
                        }
                        Fault::DeleteUnsubscribes => more.push(Operation::Subscribe {
                            name,
                            subscribed: false,
                        }),
                        Fault::InboxIsDeletable if name == "INBOX" => *operation = nothing(),
                        _ => {}
                    }
                }
                Operation::SetQuota { octets, messages } => match fault {
                    Fault::OctetsUnlimited => *octets = None,
                    Fault::MessagesUnlimited => *messages = None,
                    Fault::LastOctetRefused => *octets = octets.map(|n| n.saturating_sub(1)),
                    Fault::RacyQuota => {
                        let limits = (octets.take(), messages.take());
                        self.memo().limits.insert(account, limits);
                    }
                    _ => {}
                },
                other => self.alter_queue(fault, other).await,
            }
        }
        asked.operations.extend(more);
        if let Some(quota) = lifted {
            let set = |octets, messages| Operation::SetQuota { octets, messages };
            asked.operations.insert(0, set(None, None));
            asked.operations.push(set(quota.octets, quota.messages));
        }
        Ok(())
    }

    async fn alter_append(&self, fault: Fault, account: AccountId, append: &mut Append) {
        let identity = |number| Some((EmailId(number), ThreadId(number)));
        match fault {
            Fault::AppendLosesFlags => append.flags = Flags::NONE,
            Fault::AppendLosesKeywords => {
                append.flags = Flags::from_parts(append.flags.bits(), []);
            }
            Fault::AppendLosesZone => append.received.1 = 0,
            Fault::RestoredUidLost => append.uid = None,
            Fault::BelowUidNextAccepted => {
                let next = self
                    .mailbox(append.mailbox)
                    .await
                    .map(|found| found.uid_next);
                append.uid = append.uid.filter(|uid| Some(uid.get()) >= next);
            }
            Fault::LastUidTaken if append.uid == Uid::new(u32::MAX) => {
                append.uid = Uid::new(u32::MAX - 1);
            }
            Fault::RestoredIdentityLost => append.identity = None,
            Fault::RestoredIdentityMet if append.identity.is_none() => {
                let mut memo = self.memo();
                memo.numbers += 1;
                append.identity = identity(memo.numbers);
            }
            Fault::RestartRepeatsIdentities if self.lost(fault) => {
                let mut memo = self.memo();
                memo.numbers += 1;
                append.identity = append.identity.or(identity(memo.numbers));
            }
            Fault::IdentityOfOctets if append.identity.is_none() => {
                append.identity = identity(append.body.body().octets);
            }
            Fault::OriginsIgnored => append.origin = None,
            Fault::RestartLosesOrigins if self.lost(fault) => append.origin = None,
            Fault::OriginsByBeginning => {
                append.origin = append
                    .origin
                    .take()
                    .map(|origin| origin.slice(..origin.len().min(8)));
            }
            Fault::LongOriginsCut => {
                append.origin = append
                    .origin
                    .take()
                    .map(|origin| origin.slice(..origin.len().min(64)));
            }
            Fault::OriginsOfAccount => {
                if let Some(origin) = &append.origin {
                    let mut memo = self.memo();
                    let known = memo.origins.entry((account, origin.clone()));
                    append.mailbox = *known.or_insert(append.mailbox);
                }
            }
            _ => {}
        }
    }
}
