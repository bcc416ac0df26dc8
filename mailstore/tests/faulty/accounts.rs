//! Faults of accounts and mailboxes that are read, made and removed.

use hikyaku_mailstore::*;

use super::fault::Fault;
use super::store::Faulty;

impl Faulty {
    /// An account as it is shown.
    pub(super) fn account_seen(&self, mut account: Account) -> Account {
        let id = account.id;
        if self.lost(Fault::RestartLosesProperties) {
            account.properties.clear();
        }
        if self.lost(Fault::RestartLosesQuota) {
            (account.quota.octets, account.quota.messages) = (None, None);
        }
        let mut memo = self.memo();
        if let Some(&(octets, messages)) = memo.limits.get(&id) {
            (account.quota.octets, account.quota.messages) = (octets, messages);
        }
        if self.has(Fault::UsedNeverFalls) {
            let used = memo.used.entry(id).or_default();
            *used = (*used).max(account.quota.used_messages);
            account.quota.used_messages = *used;
        }
        if self.has(Fault::OthersNotCharged) {
            let into = memo.into.get(&id).copied().unwrap_or_default();
            account.quota.used_messages = account.quota.used_messages.saturating_sub(into);
        }
        account
    }

    pub(super) async fn account_named(&self, name: &str) -> Result<Option<Account>> {
        let mut found = self.inner.account(name).await?;
        if found.is_none() && self.has(Fault::AccountNamesFoldCase) {
            found = self.inner.account(&name.to_lowercase()).await?;
        }
        if found.is_none() && self.has(Fault::RemovedAccountIsFound) {
            found = self.memo().removed.get(name).cloned();
        }
        Ok(found.map(|account| self.account_seen(account)))
    }

    pub(super) async fn listed(&self, after: &str, mut limit: usize) -> Result<Vec<Account>> {
        if self.has(Fault::AccountsUnlimited) {
            limit = usize::MAX;
        }
        let mut found = self.inner.accounts(after, limit).await?;
        if self.has(Fault::AccountsFromAfter)
            && let Some(first) = self.inner.account(after).await?
        {
            found.insert(0, first);
            found.truncate(limit);
        }
        if self.has(Fault::AccountsUnsorted) {
            found.reverse();
        }
        if self.has(Fault::SystemIsListed) {
            found.extend(self.inner.account_by_id(AccountId::SYSTEM).await?);
        }
        for account in &mut found {
            if self.has(Fault::ListedWithoutProperties) {
                account.properties.clear();
            }
        }
        let seen = found.into_iter().map(|account| self.account_seen(account));
        Ok(seen.collect())
    }

    pub(super) async fn account_made(&self, name: &str) -> Result<AccountId> {
        let name = match name {
            "" if self.has(Fault::AccountWithoutName) => "without a name",
            name => name,
        };
        let made = match self.inner.create_account(name).await {
            Err(Error::AlreadyExists(_)) if self.has(Fault::AccountNameTwice) => {
                let found = self.inner.account(name).await?;
                return found
                    .map(|found| found.id)
                    .ok_or(Error::AlreadyExists(About::Nothing));
            }
            made => made?,
        };
        if self.has(Fault::NewAccountHasMore) {
            let sent = Operation::Create {
                name: "Sent".into(),
                special_use: None,
                uid_validity: None,
            };
            self.inner.commit(Transaction::new(made).with(sent)).await?;
        }
        let old = self.memo().removed.get(name).cloned();
        if self.has(Fault::RemadeHasOldProperties)
            && let Some(old) = old
        {
            for (key, value) in old.properties {
                let value = Some(value);
                let set = Operation::SetProperty { key, value };
                self.inner.commit(Transaction::new(made).with(set)).await?;
            }
        }
        Ok(made)
    }

    pub(super) async fn account_removed(&self, id: AccountId) -> Result<()> {
        if id == AccountId::SYSTEM && self.has(Fault::SystemIsRemovable) {
            return Ok(());
        }
        let old = self.inner.account_by_id(id).await?;
        let queue = self.inner.queue(None, usize::MAX).await?;
        if self.has(Fault::RemadeHasOldUidValidity)
            && let Ok(all) = self.inner.mailboxes(id, None).await
            && let Some((old, inbox)) = old.as_ref().zip(all.mailboxes.first())
        {
            let name = old.name.clone();
            self.memo().of_names.insert(name, inbox.uid_validity);
        }
        if self.has(Fault::RemovalDoesNotWake) {
            self.memo().quiet.insert(id);
        }
        self.inner.remove_account(id).await?;
        if let Some(old) = old {
            self.memo().removed.insert(old.name.clone(), old);
        }
        if self.has(Fault::RemovedQueueStays) {
            let owned = queue.into_iter().filter(|entry| entry.account == id);
            self.memo().entries.extend(owned);
        }
        if self.has(Fault::RemovalRaisesOthers) {
            for other in self.inner.accounts("", usize::MAX).await? {
                self.inner.commit(Transaction::new(other.id)).await?;
            }
        }
        self.note_queue().await;
        Ok(())
    }

    /// A mailbox as it is shown.
    async fn mailbox_seen(&self, account: Option<&Account>, at: ModSeq, mailbox: &mut Mailbox) {
        let (id, inner) = (self.outward(mailbox.id), mailbox.id);
        let rows = match self.has(Fault::OctetsCountMessages) {
            true => self.rows(inner, UidSet::all()).await,
            false => Vec::new(),
        };
        let memo = self.memo();
        mailbox.id = id;
        for fault in &*self.faults {
            match fault {
                Fault::CreatedUidNextIsZero if mailbox.uid_next == 1 => mailbox.uid_next = 0,
                Fault::RenameChangesUidValidity if memo.renamed.contains(&id) => {
                    let other = UidValidity::new(mailbox.uid_validity.get() + 1);
                    mailbox.uid_validity = other.unwrap_or(mailbox.uid_validity);
                }
                Fault::RenameLosesSpecialUse if memo.renamed.contains(&id) => {
                    mailbox.special_use = None;
                }
                Fault::SpecialUseLost => mailbox.special_use = None,
                Fault::MailboxPropertiesLost => mailbox.properties.clear(),
                Fault::UnseenCountsAll => mailbox.unseen = mailbox.messages,
                Fault::OctetsCountMessages => {
                    mailbox.octets = rows.first().map_or(0, |row| row.body.octets);
                }
                Fault::UidNextCountsMessages => mailbox.uid_next = mailbox.messages + 1,
                Fault::HighestOfAccount => mailbox.highest = at,
                Fault::ExpungeKeepsHighest if memo.expunged.get(&id) == Some(&mailbox.highest) => {
                    mailbox.highest.0 -= 1;
                }
                Fault::UidsAgain => {
                    let offset = memo.offsets.get(&id).copied().unwrap_or(0);
                    mailbox.uid_next = mailbox.uid_next.saturating_sub(offset);
                }
                Fault::RemadeHasOldUidValidity if mailbox.name == "INBOX" => {
                    let name = account.map_or("", |account| &account.name);
                    if let Some(old) = memo.of_names.get(name) {
                        mailbox.uid_validity = *old;
                    }
                }
                _ => {}
            }
        }
    }

    pub(super) async fn mailboxes_seen(
        &self,
        account: AccountId,
        since: Option<ModSeq>,
    ) -> Result<Mailboxes> {
        let mut asked = since;
        if self.has(Fault::SinceIgnored) {
            asked = None;
        }
        if self.has(Fault::SinceIncluded) {
            asked = since.map(|since| ModSeq(since.0.saturating_sub(1)));
        }
        let mut all = match self.inner.mailboxes(account, asked).await {
            Err(Error::NoSuchAccount(_)) if self.has(Fault::UnknownAccountIsEmpty) => Mailboxes {
                at: ModSeq(0),
                mailboxes: Vec::new(),
                subscribed: Vec::new(),
            },
            all => all?,
        };
        let person = self.inner.account_by_id(account).await?;
        let at = all.at;
        for mailbox in &mut all.mailboxes {
            self.mailbox_seen(person.as_ref(), at, mailbox).await;
            if self.lost(Fault::RestartLosesMailboxProperties)
                || (since.is_some() && self.has(Fault::SinceLacksProperties))
            {
                mailbox.properties.clear();
            }
        }
        for fault in &*self.faults {
            match fault {
                Fault::MailboxesByNumber => all.mailboxes.sort_by_key(|mailbox| mailbox.id.number),
                Fault::SinceMissesRenames if since.is_some() => {
                    let renamed = &self.memo().renamed;
                    all.mailboxes
                        .retain(|mailbox| !renamed.contains(&mailbox.id));
                }
                Fault::SubscriptionsLost => all.subscribed.clear(),
                Fault::RestartLosesSubscriptions if self.lost(*fault) => all.subscribed.clear(),
                Fault::SubscriptionsTwice => {
                    let each = all.subscribed.into_iter();
                    all.subscribed = each.flat_map(|name| [name.clone(), name]).collect();
                }
                Fault::SubscriptionsUnsorted => all.subscribed.reverse(),
                _ => {}
            }
        }
        Ok(all)
    }

    pub(super) async fn mailbox_named(
        &self,
        account: AccountId,
        name: &str,
    ) -> Result<Option<Mailbox>> {
        let all = self.mailboxes_seen(account, None).await?.mailboxes;
        let named = |is_named: &dyn Fn(&str) -> bool| {
            let found = all.iter().find(|mailbox| is_named(&mailbox.name));
            found.cloned()
        };
        let mut found = named(&|one| one == name);
        for fault in &*self.faults {
            match fault {
                Fault::MailboxFoundInAnyCase if found.is_none() => {
                    found = named(&|one| one.eq_ignore_ascii_case(name));
                }
                Fault::MailboxFoundByPrefix if found.is_none() => {
                    found = named(&|one| one.starts_with(name));
                }
                Fault::MailboxFoundOfAnybody if found.is_none() => {
                    for one in self.inner.accounts("", usize::MAX).await? {
                        let theirs = self.inner.mailboxes(one.id, None).await?.mailboxes;
                        found = found.or(theirs.into_iter().find(|mailbox| mailbox.name == name));
                    }
                }
                Fault::MailboxFoundLacksProperties => {
                    if let Some(mailbox) = &mut found {
                        mailbox.properties.clear();
                    }
                }
                Fault::MailboxFoundAsBefore => {
                    let key = (account, name.to_owned());
                    let mut memo = self.memo();
                    found = memo.named.entry(key).or_insert(found).clone();
                }
                _ => {}
            }
        }
        Ok(found)
    }

    pub(super) async fn found(
        &self,
        account: &str,
        mailbox: &str,
    ) -> Result<Option<(Account, Mailbox)>> {
        let Some(mut found) = self.account(account).await? else {
            return Ok(None);
        };
        let mut named = self.mailbox_named(found.id, mailbox).await?;
        if named.is_none() && self.has(Fault::FindMakesUpInbox) {
            named = self.mailbox_named(found.id, "INBOX").await?;
        }
        if self.has(Fault::FindLacksQuota) {
            found.quota.used_messages = 0;
        }
        Ok(named.map(|named| (found, named)))
    }
}
