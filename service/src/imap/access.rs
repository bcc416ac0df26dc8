//! Resolves the owner of a mailbox name, and the rights of this client there (RFC 2342, RFC 4314).
//!
//! The access list of a mailbox is a property of it, and the only truth. Which accounts share anything
//! with an account is noted in the latter's properties, so that LIST need not ask all accounts; for
//! `anyone` in those of the system's account. A note that nothing stands behind any more shows nothing.

use bytes::Bytes;
use hikyaku_imap_proto::{Flag, MailboxName, ResponseCode, Rights};
use hikyaku_mailstore::{Account, AccountId, Flags, Mailbox, Mailboxes, Operation, Transaction};

use super::access_list::{ACL, ANYONE, AccessList};
use super::convert::{imap_flags, system_flags};
use super::end::End;
use super::found::{Found, Place, no_such_mailbox};
use super::names::{DELIMITER, OTHERS, kept};
use super::session::{Selected, Session};
use super::text::Text as T;

/// What a note begins with; the account's number follows.
const NOTE: &str = "shared-from/";

/// Somebody else's mailboxes that this client sees.
pub(super) struct Shared {
    pub(super) owner: Account,
    pub(super) mailboxes: Mailboxes,
}

impl Shared {
    /// As this client calls a mailbox of theirs.
    pub(super) fn name_of(&self, mailbox: &Mailbox) -> String {
        format!("{OTHERS}{}{DELIMITER}{}", self.owner.name, mailbox.name)
    }
}

impl Session<'_> {
    /// What this client may do with a mailbox.
    pub(super) fn rights(&self, mailbox: &Mailbox) -> Rights {
        match mailbox.id.account == self.account {
            true => Rights::all(),
            false => AccessList::of(mailbox).rights_of(&self.name),
        }
    }

    /// Where a name leads; fails where it leads to nobody.
    pub(super) async fn place(&self, name: &MailboxName) -> Result<Place, End> {
        let name = kept(name.as_str());
        let Some(theirs) = name.strip_prefix(OTHERS) else {
            let account = self.account;
            return Ok(Place { account, name });
        };
        let (owner, name) = theirs.split_once(DELIMITER).ok_or_else(no_such_mailbox)?;
        let owner = self.service.store.account(owner).await?;
        let owner = owner.ok_or_else(no_such_mailbox)?;
        let (account, name) = (owner.id, kept(name));
        Ok(Place { account, name })
    }

    /// The mailbox of that name, whoever's it is, if this client may know of it.
    pub(super) async fn find(&self, name: &MailboxName) -> Result<Found, End> {
        let Place { account, name } = self.place(name).await?;
        let mailbox = self.service.store.mailbox(account, &name).await?;
        let mailbox = mailbox.ok_or_else(no_such_mailbox)?;
        let rights = self.rights(&mailbox);
        // RFC 4314 §6: one without any right hears nothing.
        if !b"lrikxa".iter().any(|&right| rights.contains(right)) {
            return Err(no_such_mailbox());
        }
        Ok(Found { mailbox, rights })
    }

    /// What the client may do in the mailbox that is selected, when that is somebody else's, may change
    /// while it is. Without `r` the client is sent away: nothing of it is said to it any more;
    /// `false` then.
    pub(super) async fn refresh_rights(&mut self) -> bool {
        let theirs = |selected: &&Selected| selected.mailbox.account != self.account;
        let Some(selected) = self.selected.as_ref().filter(theirs) else {
            return true;
        };
        let id = selected.mailbox;
        let Ok(all) = self.service.store.mailboxes(id.account, None).await else {
            return true;
        };
        let mailbox = all.mailboxes.iter().find(|mailbox| mailbox.id == id);
        let now = mailbox.map_or(Rights::NONE, |mailbox| self.rights(mailbox));
        let Some(selected) = self.selected.as_mut().filter(|one| one.rights != now) else {
            return true;
        };
        selected.rights = now;
        if !now.contains(b'r') {
            self.selected = None;
            self.bye(T::TheSelectedMailboxIs);
            return false;
        }
        let flags = self.permanent_flags(now);
        self.untagged_ok(ResponseCode::PermanentFlags(flags), T::KeptFlags);
        true
    }

    /// As [`Session::find`], for a mailbox that something is put into.
    pub(super) async fn target(&self, name: &MailboxName) -> Result<Found, End> {
        match self.find(name).await {
            Ok(found) => found.needs(b'i'),
            Err(End(_, Some(ResponseCode::NonExistent), _)) => {
                Err(End::no(ResponseCode::TryCreate, T::ThereIsNoSuch))
            }
            Err(end) => Err(end),
        }
    }

    /// All mailboxes of others that this client sees.
    pub(super) async fn shared_with_me(&self) -> Result<Vec<Shared>, End> {
        let mut all: Vec<Shared> = Vec::new();
        for noted_in in [self.account, AccountId::SYSTEM] {
            let account = self.service.store.account_by_id(noted_in).await?;
            let Some(account) = account else { continue };
            for key in account.properties.keys() {
                let number = key
                    .strip_prefix(NOTE)
                    .and_then(|number| number.parse().ok());
                let Some(owner) = number.map(AccountId) else {
                    continue;
                };
                let known = all.iter().any(|shared| shared.owner.id == owner);
                if known || owner == self.account {
                    continue;
                }
                let Some(owner) = self.service.store.account_by_id(owner).await? else {
                    continue;
                };
                let mut mailboxes = self.service.store.mailboxes(owner.id, None).await?;
                mailboxes
                    .mailboxes
                    .retain(|mailbox| self.rights(mailbox).contains(b'l'));
                if !mailboxes.mailboxes.is_empty() {
                    all.push(Shared { owner, mailboxes });
                }
            }
        }
        all.sort_by(|a, b| a.owner.name.cmp(&b.owner.name));
        Ok(all)
    }

    /// Keeps a list.
    pub(super) async fn keep_access(
        &mut self,
        mailbox: &Mailbox,
        who: &str,
        list: &AccessList,
    ) -> Result<(), End> {
        // The note first: without the list it shows nothing, the list without it would not be seen.
        let grantee = match who {
            ANYONE => Some(AccountId::SYSTEM),
            who => self
                .service
                .store
                .account(who)
                .await?
                .map(|account| account.id),
        };
        if let Some(grantee) = grantee.filter(|_| !list.get(who).is_empty()) {
            let note = Operation::SetProperty {
                key: format!("{NOTE}{}", mailbox.id.account.0),
                value: Some(Bytes::from_static(b"1")),
            };
            let transaction = Transaction::new(grantee).with(note);
            self.service.store.commit(transaction).await?;
        }
        let keep = Self::access_operation(mailbox.id, list);
        self.commit(mailbox.id.account, keep).await?;
        Ok(())
    }

    pub(super) fn access_operation(
        mailbox: hikyaku_mailstore::MailboxId,
        list: &AccessList,
    ) -> Operation {
        Operation::SetMailboxProperty {
            mailbox,
            key: ACL.into(),
            value: list.kept(),
        }
    }

    /// As the lists have somebody: an account's name, `anyone`, or either with `-` before it.
    pub(super) async fn identifier(&self, said: &[u8]) -> Result<String, End> {
        let said = String::from_utf8_lossy(said);
        let (minus, who) = match said.strip_prefix('-') {
            Some(who) => ("-", who),
            None => ("", &*said),
        };
        if who.eq_ignore_ascii_case(ANYONE) {
            return Ok(format!("{minus}{ANYONE}"));
        }
        let account = self.service.directory.account(who).await?;
        let account = account.ok_or(End::no(ResponseCode::Cannot, T::ThereIsNobodyOf))?;
        Ok(format!("{minus}{}", account.name))
    }

    /// What of those flags may be set where these are the rights.
    pub(super) fn permitted(rights: Rights, flags: &Flags) -> Flags {
        let mut permitted = flags.clone();
        if !rights.contains(b's') {
            permitted.remove(&Flags::SEEN);
        }
        if !rights.contains(b't') {
            permitted.remove(&Flags::DELETED);
        }
        if !rights.contains(b'w') {
            let mut kept = Flags::NONE;
            for one in [Flags::SEEN, Flags::DELETED] {
                if permitted.contains(&one) {
                    kept.add(&one);
                }
            }
            permitted = kept;
        }
        permitted
    }

    /// PERMANENTFLAGS where these are the rights.
    pub(super) fn permanent_flags(&self, rights: Rights) -> Vec<Flag> {
        let keywords = self
            .selected
            .as_ref()
            .map(|selected| imap_flags(&selected.keywords));
        let named = |flag: &Flag| matches!(flag, Flag::Keyword(_));
        let keywords = keywords.into_iter().flatten().filter(named);
        let all = system_flags()
            .into_iter()
            .chain(keywords)
            .chain([Flag::Any]);
        all.filter(|flag| Self::may_set(rights, flag)).collect()
    }

    /// The same of flags as they are sent.
    pub(super) fn may_set(rights: Rights, flag: &Flag) -> bool {
        match flag {
            Flag::Seen => rights.contains(b's'),
            Flag::Deleted => rights.contains(b't'),
            _ => rights.contains(b'w'),
        }
    }
}
