//! The offline copy: a mail store on this device.
//!
//! A POP account's mailboxes are the only place where its mail is. Of an IMAP account's mailboxes the
//! store holds mirrors: rows with the server's UIDs and flags, whose octets are the header fields that
//! a list shows. Whole messages lie in an account beside it, by [`origin`], and so does what waits to
//! be appended on the server.

mod change;
mod message;
mod reading;
mod waiting;

pub use message::Message;

use bytes::Bytes;
use hikyaku_imap_proto::MailboxName;
use hikyaku_mailstore::{
    AccountId, MailboxId, MessageCache, Operation, Staged, Store, Transaction,
};
use hikyaku_message::Structure;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Account, Error, Kind, Result};

/// The field, in a mirror's row, with the octets of the whole message.
pub(crate) const SIZE_FIELD: &str = "X-Hikyaku-Size";
/// What the store calls the mirror of INBOX: its own INBOX cannot be begun anew, which another UIDVALIDITY
/// asks for.
pub(crate) const MIRRORED_INBOX: &str = "INBOX~";
/// What the store calls a mirror that is being written anew, beside the one whose place it will take.
pub(crate) const ANEW: &str = "INBOX~~";
/// Where messages wait that are to be appended on the server.
const PENDING: &str = "Pending";

/// The offline copy of an account on this device.
#[derive(Clone)]
pub struct Local {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) kind: Kind,
    /// The mailboxes.
    pub(crate) account: AccountId,
    /// The outbox; with IMAP, another account, with whole messages and what waits.
    pub(crate) side: AccountId,
    /// What searches know already.
    cache: Option<Arc<MessageCache>>,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// A mailbox in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its name.
    pub name: String,
    /// Its special use, such as `\Sent`.
    pub special_use: Option<String>,
    /// The number of messages.
    pub messages: u32,
    /// The number of unread messages.
    pub unseen: u32,
    pub(crate) id: MailboxId,
}

/// The name of a message from where it came, for the account beside: unique to mailbox, UIDVALIDITY
/// and UID.
pub(crate) fn origin(mailbox: &str, uid_validity: u32, uid: u32) -> Bytes {
    use std::fmt::Write as _;
    let digest = Sha256::digest(format!("{mailbox}\0{uid_validity}\0{uid}"));
    let hex = digest.iter().fold(String::new(), |mut hex, octet| {
        let _ = write!(hex, "{octet:02x}");
        hex
    });
    hex.into()
}

/// What the store calls a mirror.
pub(crate) fn mirrored(mailbox: &str) -> &str {
    match mailbox {
        "INBOX" => MIRRORED_INBOX,
        other => other,
    }
}

impl Local {
    /// Opens an account directly in the store that holds its mail, such as a mail server's own.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn direct(store: Arc<dyn Store>, account: AccountId) -> Result<Self> {
        let local = Self {
            store,
            kind: Kind::Pop,
            account,
            side: account,
            cache: None,
        };
        local.furnish().await?;
        Ok(local)
    }

    /// Sets the cache that all users of the store share, so that the first search is as quick as the next.
    #[must_use]
    pub fn with_cache(mut self, cache: Arc<MessageCache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Returns the store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Returns the account in the store.
    #[must_use]
    pub fn account_id(&self) -> AccountId {
        self.account
    }

    /// Opens the offline copy of an account; creates its mailboxes if they do not exist yet.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn of(store: Arc<dyn Store>, account: &Account) -> Result<Self> {
        match account.kind {
            Kind::Pop => {
                let id = named(&*store, &account.address).await?;
                Self::direct(store, id).await
            }
            Kind::Imap => Self::mirror(store, &account.address).await,
        }
    }

    /// Opens the offline copy of an IMAP account by its address.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn mirror(store: Arc<dyn Store>, address: &str) -> Result<Self> {
        let local = Self {
            kind: Kind::Imap,
            account: named(&*store, address).await?,
            side: named(&*store, &format!("{address}#local")).await?,
            store,
            cache: None,
        };
        local.furnish().await?;
        Ok(local)
    }

    /// Makes the mailboxes that there are to be.
    async fn furnish(&self) -> Result<()> {
        let wanted: &[(&str, Option<&str>)] = match self.kind {
            Kind::Pop => &[
                ("Drafts", Some("\\Drafts")),
                ("Sent", Some("\\Sent")),
                ("Trash", Some("\\Trash")),
            ],
            Kind::Imap => &[(PENDING, None)],
        };
        let there = self.store.mailboxes(self.side, None).await?.mailboxes;
        for (name, special_use) in wanted {
            if !there.iter().any(|mailbox| mailbox.name == *name) {
                let create = Operation::Create {
                    name: (*name).into(),
                    special_use: special_use.map(Into::into),
                    uid_validity: None,
                };
                self.commit(Transaction::new(self.side).with(create))
                    .await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn commit(
        &self,
        transaction: Transaction,
    ) -> Result<hikyaku_mailstore::Committed> {
        Ok(self.store.commit(transaction).await?)
    }

    /// Puts octets on their way into the store, with what an index needs of them.
    pub(crate) async fn stage(&self, octets: Bytes) -> Result<(Staged, Bytes)> {
        let summary = Structure::of(&octets).encode();
        let mut stage = self.store.stage().await?;
        stage.write(octets).await?;
        Ok((stage.finish().await?, summary))
    }

    pub(crate) async fn properties(&self, account: AccountId) -> Result<BTreeMap<String, Bytes>> {
        let account = self.store.account_by_id(account).await?;
        Ok(account
            .map(|account| account.properties)
            .unwrap_or_default())
    }

    /// Removes the account and its mail from this device.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn remove(&self) -> Result<()> {
        self.store.remove_account(self.account).await?;
        if self.side != self.account {
            self.store.remove_account(self.side).await?;
        }
        Ok(())
    }

    /// The mailboxes that are here, without what waits.
    pub(crate) async fn mailboxes(&self) -> Result<Vec<Folder>> {
        let mailboxes = self.store.mailboxes(self.account, None).await?.mailboxes;
        let mirror = self.kind == Kind::Imap;
        Ok(mailboxes
            .into_iter()
            .filter(|mailbox| !mirror || !["INBOX", ANEW].contains(&mailbox.name.as_str()))
            .map(|mailbox| Folder {
                name: match mailbox.name {
                    name if mirror && name == MIRRORED_INBOX => "INBOX".into(),
                    name => name,
                },
                special_use: mailbox.special_use,
                messages: mailbox.messages,
                unseen: mailbox.unseen,
                id: mailbox.id,
            })
            .collect())
    }

    /// Finds the mailbox with that name; the case of INBOX does not matter.
    ///
    /// # Errors
    /// When there is no such mailbox.
    pub async fn folder(&self, name: &str) -> Result<Folder> {
        named_so(self.folders().await?, name)
    }

    /// The mailbox of that name that is here, without what waits; INBOX in any case.
    pub(crate) async fn mailbox(&self, name: &str) -> Result<Folder> {
        named_so(self.mailboxes().await?, name)
    }

    /// Checks that a mailbox can be created with that name.
    ///
    /// # Errors
    /// [`Error::Usage`] if the name is empty, has control characters, or cannot be sent to a server.
    pub fn check_name(name: &str) -> Result<()> {
        match name.trim().is_empty() || !MailboxName::new(name).is_well_formed() {
            true => Err(Error::Usage(format!("{name:?} is not a name for a folder"))),
            false => Ok(()),
        }
    }

    /// Creates a mailbox: here, or at the next sync.
    ///
    /// # Errors
    /// When a mailbox with that name exists; as [`check_name`](Self::check_name).
    pub async fn create(&self, name: &str) -> Result<()> {
        Self::check_name(name)?;
        if self.kind == Kind::Imap {
            // The first message that goes there makes it.
            return Ok(());
        }
        let create = Operation::Create {
            name: name.to_owned(),
            special_use: None,
            uid_validity: None,
        };
        self.commit(Transaction::new(self.account).with(create))
            .await
            .map(drop)
    }

    /// Finds the mailbox with a special-use attribute.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn special(&self, special_use: &str) -> Result<Option<Folder>> {
        let mut all = self.folders().await?.into_iter();
        Ok(all.find(|folder| folder.special_use.as_deref() == Some(special_use)))
    }

    pub(crate) async fn side_mailbox(&self, name: &str) -> Result<MailboxId> {
        let all = self.store.mailboxes(self.side, None).await?.mailboxes;
        let found = all.into_iter().find(|mailbox| mailbox.name == name);
        Ok(found
            .ok_or(hikyaku_mailstore::Error::NoSuchMailbox(name.into()))?
            .id)
    }

    pub(crate) async fn pending_mailbox(&self) -> Result<MailboxId> {
        self.side_mailbox(PENDING).await
    }
}

fn named_so(all: Vec<Folder>, name: &str) -> Result<Folder> {
    let inbox = name.eq_ignore_ascii_case("INBOX");
    let found = all
        .into_iter()
        .find(|folder| folder.name == name || (inbox && folder.name == "INBOX"));
    found.ok_or_else(|| Error::NotFound(format!("folder: {name}")))
}

async fn named(store: &dyn Store, name: &str) -> Result<AccountId> {
    match store.account(name).await? {
        Some(account) => Ok(account.id),
        None => Ok(store.create_account(name).await?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_has_a_name_that_every_server_knows() {
        let store = || -> Arc<dyn Store> { Arc::new(hikyaku_mailstore::Memory::new()) };
        let direct = store();
        let id = direct.create_account("me@a.test").await.unwrap();
        let pop = Local::direct(direct, id).await.unwrap();
        let imap = Local::mirror(store(), "me@a.test").await.unwrap();
        for local in [pop, imap] {
            let wrong = [
                "",
                " ",
                "a\nb",
                "a\r\nb",
                "a\tb",
                "\u{1b}[2J",
                "a\u{7f}",
                "a\u{85}b",
                "a\u{2028}b",
                "a\u{2029}",
            ];
            for name in wrong {
                let refused = local.create(name).await;
                let why = refused.map_err(|error| error.to_string()).unwrap_err();
                assert!(
                    why.contains("is not a name for a folder"),
                    "{name:?}: {why}"
                );
                assert!(!why.chars().any(char::is_control), "{why:?}");
            }
            for name in ["Projects", "R&D", "飛脚/2026", "~x y"] {
                local.create(name).await.unwrap();
            }
        }
    }
}
