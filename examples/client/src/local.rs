//! The offline copy: a mail store on this device.
//!
//! A POP account's mailboxes are the only place where its mail is. Of an IMAP account's mailboxes the
//! store holds mirrors: rows with the server's UIDs and flags, whose octets are the header fields that
//! a list shows. Whole messages lie in an account beside it, by [`origin`], and so does what waits to
//! be appended on the server.

use bytes::Bytes;
use mailstore::message::{Envelope, Structure, decode_header, fields, parse_date};
use mailstore::{
    AccountId, Append, BodyRef, Disk, FlagChange, Flags, MailboxId, Operation, Row, Staged, Store,
    Transaction, Uid, UidSet, Want, Which, search,
};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::imap::Mirror;
use crate::{Account, Error, Kind, Op, Result};

/// So long one waits for another process to close the store.
const PATIENCE: Duration = Duration::from_secs(20);
/// The field, in a mirror's row, with the octets of the whole message.
pub(crate) const SIZE_FIELD: &str = "X-Hikyaku-Size";
/// What the store calls the mirror of INBOX: its own INBOX cannot be begun anew, which another UIDVALIDITY
/// asks for.
const MIRRORED_INBOX: &str = "INBOX~";
/// Where messages wait that are to be appended on the server.
const PENDING: &str = "Pending";

/// What this device has of an account.
#[derive(Clone)]
pub struct Local {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) kind: Kind,
    /// The mailboxes.
    pub(crate) account: AccountId,
    /// The outbox; with IMAP, another account, with whole messages and what waits.
    pub(crate) side: AccountId,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// A message in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it is shown.
    pub mailbox: String,
    /// The name commands know it by: mailbox and UID.
    pub name: String,
    /// Its flags.
    pub flags: Flags,
    /// Octets of all of it.
    pub octets: u64,
    /// When it came, in seconds since 1970.
    pub received: i64,
    /// What its header says.
    pub envelope: Envelope,
    /// Whether it is a multipart/mixed: most likely with attachments.
    pub mixed: bool,
    pub(crate) id: MailboxId,
    pub(crate) uid: Uid,
    pub(crate) body: BodyRef,
}

impl Message {
    /// The subject, decoded.
    #[must_use]
    pub fn subject(&self) -> String {
        decode_header(self.envelope.subject.as_deref().unwrap_or(b""))
    }

    /// Who wrote it, for people: the name, or the address.
    #[must_use]
    pub fn from(&self) -> String {
        self.envelope
            .from
            .first()
            .map_or_else(String::new, |address| match &address.name {
                Some(name) if !name.is_empty() => decode_header(name),
                _ => String::from_utf8_lossy(&address.addr_spec().unwrap_or_default()).into_owned(),
            })
    }

    /// Its UID.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        Some(self.uid.get())
    }

    /// When it was written, as its Date field says; when it came, where that says nothing.
    #[must_use]
    pub fn date(&self) -> i64 {
        let date = self.envelope.date.as_deref().and_then(parse_date);
        date.map_or(self.received, |date| date.seconds)
    }
}

/// A mailbox in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its name.
    pub name: String,
    /// Its special use, such as `\Sent`.
    pub special_use: Option<String>,
    /// Messages in it.
    pub messages: u32,
    /// Those not read.
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

pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// Opens the store in a folder; waits while another process has it.
///
/// # Errors
/// When it cannot be opened.
pub(crate) async fn open(folder: &Path) -> Result<Arc<dyn Store>> {
    let started = std::time::Instant::now();
    loop {
        match Disk::open(folder.join("mail")) {
            Ok(disk) => return Ok(Arc::new(disk)),
            Err(mailstore::Error::Conflict(_)) if started.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

impl Local {
    /// The mailboxes of an account in the store that its mail rests in: a mail server's own.
    ///
    /// # Errors
    /// The store's.
    pub async fn direct(store: Arc<dyn Store>, account: AccountId) -> Result<Self> {
        let local = Self {
            store,
            kind: Kind::Pop,
            account,
            side: account,
        };
        local.furnish().await?;
        Ok(local)
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The account in it.
    #[must_use]
    pub fn account_id(&self) -> AccountId {
        self.account
    }

    /// What this device has of an account, with its mailboxes made where they are not there yet.
    ///
    /// # Errors
    /// The store's.
    pub async fn of(store: Arc<dyn Store>, account: &Account) -> Result<Self> {
        let id = named(&*store, &account.address).await?;
        let side = match account.kind {
            Kind::Pop => id,
            Kind::Imap => named(&*store, &format!("{}#local", account.address)).await?,
        };
        let local = Self {
            store,
            kind: account.kind,
            account: id,
            side,
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

    pub(crate) async fn commit(&self, transaction: Transaction) -> Result<mailstore::Committed> {
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

    /// Removes all of it from this device.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove(&self) -> Result<()> {
        self.store.remove_account(self.account).await?;
        if self.side != self.account {
            self.store.remove_account(self.side).await?;
        }
        Ok(())
    }

    /// The mailboxes.
    ///
    /// # Errors
    /// The store's.
    pub async fn folders(&self) -> Result<Vec<Folder>> {
        let mailboxes = self.store.mailboxes(self.account, None).await?.mailboxes;
        let mirror = self.kind == Kind::Imap;
        Ok(mailboxes
            .into_iter()
            .filter(|mailbox| !mirror || mailbox.name != "INBOX")
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

    /// The mailbox of that name; INBOX in any case.
    ///
    /// # Errors
    /// When there is none.
    pub async fn folder(&self, name: &str) -> Result<Folder> {
        let inbox = name.eq_ignore_ascii_case("INBOX");
        let mut all = self.folders().await?.into_iter();
        let found = all.find(|folder| folder.name == name || (inbox && folder.name == "INBOX"));
        found.ok_or_else(|| Error::NotFound(format!("folder: {name}")))
    }

    /// Makes a mailbox: here, or at the next sync.
    ///
    /// # Errors
    /// When there is one of that name, or no name may be so.
    pub async fn create(&self, name: &str) -> Result<()> {
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

    /// The mailbox of that special use.
    ///
    /// # Errors
    /// The store's.
    pub async fn special(&self, special_use: &str) -> Result<Option<Folder>> {
        let mut all = self.folders().await?.into_iter();
        Ok(all.find(|folder| folder.special_use.as_deref() == Some(special_use)))
    }

    pub(crate) async fn side_mailbox(&self, name: &str) -> Result<MailboxId> {
        let all = self.store.mailboxes(self.side, None).await?.mailboxes;
        let found = all.into_iter().find(|mailbox| mailbox.name == name);
        Ok(found.ok_or(mailstore::Error::NoSuchMailbox)?.id)
    }

    pub(crate) async fn pending_mailbox(&self) -> Result<MailboxId> {
        self.side_mailbox(PENDING).await
    }

    /// The newest messages of a mailbox, newest first, as they will be once what waits is done.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, mailbox: &str, limit: usize) -> Result<Vec<Message>> {
        self.list_before(mailbox, None, limit).await
    }

    /// As [`list`](Self::list), from below that UID on.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_before(
        &self,
        mailbox: &str,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Vec<Message>> {
        let folder = self.folder(mailbox).await?;
        let ops = self.ops().await?;
        let gone: Vec<u32> = ops
            .iter()
            .filter_map(|(_, op)| op.leaves(&folder.name))
            .collect();
        let which = Which::NewestBefore(before.and_then(Uid::new));
        let page = self
            .store
            .messages(folder.id, &which, Want::SUMMARY, limit + gone.len())
            .await?;
        let stays = |row: &Row| !gone.contains(&row.uid.get());
        let rows = page.rows.into_iter().filter(stays);
        let mut messages: Vec<_> = Vec::new();
        for row in rows {
            messages.push(self.message(&folder.name, folder.id, row).await?);
        }
        for (_, op) in ops.iter().filter(|_| before.is_none()) {
            if let Some(message) = self.arriving(op, &folder.name).await? {
                messages.push(message);
            }
        }
        messages.sort_by_key(|message| std::cmp::Reverse((message.received, message.uid)));
        messages.truncate(limit);
        Ok(messages)
    }

    /// What an operation that waits will put into a mailbox.
    async fn arriving(&self, op: &Op, mailbox: &str) -> Result<Option<Message>> {
        let (id, which, from) = match op {
            Op::Move {
                mailbox: from,
                uid,
                to,
            } if to == mailbox => {
                let Ok(folder) = self.folder(from).await else {
                    return Ok(None);
                };
                (
                    folder.id,
                    Which::Uids(UidSet::from_ranges([(*uid, *uid)])),
                    from.as_str(),
                )
            }
            Op::Append { to, origin, .. } if to == mailbox => {
                let which = Which::Origin(Bytes::copy_from_slice(origin.as_bytes()));
                (self.pending_mailbox().await?, which, PENDING)
            }
            _ => return Ok(None),
        };
        let row = self
            .store
            .messages(id, &which, Want::SUMMARY, 1)
            .await?
            .rows
            .pop();
        let Some(row) = row else { return Ok(None) };
        let mut message = self.message(from, id, row).await?;
        mailbox.clone_into(&mut message.mailbox);
        Ok(Some(message))
    }

    async fn message(&self, mailbox: &str, id: MailboxId, row: Row) -> Result<Message> {
        let structure = search::structure(&*self.store, &row).await?;
        let root = structure.root();
        let mut octets = row.body.octets;
        if self.kind == Kind::Imap && id.account == self.account {
            let header = self.octets(&row.body).await?;
            let size =
                fields(&header).find(|(name, ..)| name.eq_ignore_ascii_case(SIZE_FIELD.as_bytes()));
            let size = size.and_then(|(_, value, _)| {
                std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()
            });
            octets = size.unwrap_or(octets);
        }
        Ok(Message {
            mailbox: mailbox.to_owned(),
            name: format!("{mailbox}/{}", row.uid.get()),
            flags: row.flags,
            octets,
            received: row.received.0,
            mixed: root.content.is("multipart", "mixed"),
            envelope: root.envelope.as_deref().cloned().unwrap_or_default(),
            id,
            uid: row.uid,
            body: row.body,
        })
    }

    /// The message that a command names: `INBOX/7`, or `7` in INBOX.
    ///
    /// # Errors
    /// When there is none.
    pub async fn find(&self, name: &str) -> Result<Message> {
        let missing = || Error::NotFound(format!("message: {name}"));
        let (mailbox, uid) = name.rsplit_once('/').unwrap_or(("INBOX", name));
        let uid: u32 = uid.parse().map_err(|_| missing())?;
        let (id, mailbox) = match mailbox {
            PENDING if self.kind == Kind::Imap => {
                (self.pending_mailbox().await?, PENDING.to_owned())
            }
            mailbox => {
                let folder = self.folder(mailbox).await?;
                (folder.id, folder.name)
            }
        };
        let which = Which::Uids(UidSet::from_ranges([(uid, uid)]));
        let row = self
            .store
            .messages(id, &which, Want::SUMMARY, 1)
            .await?
            .rows
            .pop();
        self.message(&mailbox, id, row.ok_or_else(missing)?).await
    }

    pub(crate) async fn octets(&self, body: &BodyRef) -> Result<Bytes> {
        let mut octets = Vec::new();
        while (octets.len() as u64) < body.octets {
            let piece = self
                .store
                .read(body, octets.len() as u64..body.octets)
                .await?;
            if piece.is_empty() {
                return Err(mailstore::Error::Damaged("a body that is too short").into());
            }
            if octets.is_empty() && piece.len() as u64 == body.octets {
                return Ok(piece);
            }
            octets.extend_from_slice(&piece);
        }
        Ok(octets.into())
    }

    /// All of a message, when this device has it.
    ///
    /// # Errors
    /// The store's.
    pub async fn whole(&self, message: &Message) -> Result<Option<Bytes>> {
        let is_mirror = self.kind == Kind::Imap && message.id.account == self.account;
        if !is_mirror {
            return self.octets(&message.body).await.map(Some);
        }
        let Some((mailbox, mirror)) = self.mirror_of(message.id).await? else {
            return Ok(None);
        };
        let row = self
            .whole_row(&mailbox, mirror.uid_validity, message.uid.get())
            .await?;
        match row {
            Some(row) => self.octets(&row.body).await.map(Some),
            None => Ok(None),
        }
    }

    /// The row, in the account beside, with the whole message.
    pub(crate) async fn whole_row(
        &self,
        mailbox: &str,
        validity: u32,
        uid: u32,
    ) -> Result<Option<Row>> {
        let bodies = self.side_mailbox("INBOX").await?;
        let which = Which::Origin(origin(mailbox, validity, uid));
        Ok(self
            .store
            .messages(bodies, &which, Want::ROW, 1)
            .await?
            .rows
            .pop())
    }

    /// Keeps whole messages of a mirror, by UID: all of them or none.
    pub(crate) async fn keep_whole(
        &self,
        mailbox: &str,
        validity: u32,
        messages: Vec<(u32, Bytes)>,
    ) -> Result<()> {
        if messages.is_empty() {
            return Ok(());
        }
        let bodies = self.side_mailbox("INBOX").await?;
        let mut transaction = Transaction::new(self.side);
        for (uid, octets) in messages {
            let (body, summary) = self.stage(octets).await?;
            let mut append = Append::new(bodies, body, (now(), 0));
            append.summary = summary;
            append.origin = Some(origin(mailbox, validity, uid));
            transaction = transaction.with(Operation::Append(Box::new(append)));
        }
        self.commit(transaction).await?;
        Ok(())
    }

    /// The name and the state of the mirror that a mailbox is.
    pub(crate) async fn mirror_of(&self, id: MailboxId) -> Result<Option<(String, Mirror)>> {
        let name = self
            .folders()
            .await?
            .into_iter()
            .find(|folder| folder.id == id);
        let Some(name) = name.map(|folder| folder.name) else {
            return Ok(None);
        };
        let mirror = Mirror::of(&self.properties(self.account).await?, &name);
        Ok(mirror.map(|mirror| (name, mirror)))
    }

    /// Messages of all mailboxes that hold the text, newest first in each: in the header fields of a list,
    /// and in the whole message where this device has it.
    ///
    /// # Errors
    /// The store's.
    pub async fn search(&self, text: &str, mailbox: Option<&str>) -> Result<Vec<Message>> {
        let key = search::Key::Text(text.to_owned());
        let properties = self.properties(self.account).await?;
        let bodies = match self.kind {
            Kind::Imap => {
                self.matching(self.side_mailbox("INBOX").await?, &key)
                    .await?
            }
            Kind::Pop => UidSet::new(),
        };
        let mut found = Vec::new();
        for folder in self.folders().await? {
            if mailbox.is_some_and(|mailbox| mailbox != folder.name) {
                continue;
            }
            let mut uids = self.matching(folder.id, &key).await?;
            if let Some(mirror) =
                Mirror::of(&properties, &folder.name).filter(|_| !bodies.is_empty())
            {
                let all = Which::After(None);
                let rows = self
                    .store
                    .messages(folder.id, &all, Want::ROW, usize::MAX)
                    .await?
                    .rows;
                for row in rows {
                    let whole = self
                        .whole_row(&folder.name, mirror.uid_validity, row.uid.get())
                        .await?;
                    if whole.is_some_and(|whole| bodies.contains(whole.uid)) {
                        uids.insert(row.uid);
                    }
                }
            }
            let which = Which::Uids(uids);
            let rows = self
                .store
                .messages(folder.id, &which, Want::SUMMARY, usize::MAX)
                .await?
                .rows;
            for row in rows.into_iter().rev() {
                found.push(self.message(&folder.name, folder.id, row).await?);
            }
        }
        Ok(found)
    }

    async fn matching(&self, mailbox: MailboxId, key: &search::Key) -> Result<UidSet> {
        let found = search::search(&*self.store, mailbox, key).await?;
        Ok(UidSet::from_ranges(
            found.into_iter().map(|(uid, _)| (uid.get(), uid.get())),
        ))
    }

    /// Changes flags here, and notes for the server what changed.
    ///
    /// # Errors
    /// The store's.
    pub async fn mark(&self, message: &Message, add: &Flags, remove: &Flags) -> Result<()> {
        let uids = UidSet::from_ranges([(message.uid.get(), message.uid.get())]);
        let flags = |change| Operation::Flags {
            mailbox: message.id,
            uids: uids.clone(),
            change,
            unchanged_since: None,
        };
        let mut transaction = Transaction::new(message.id.account)
            .with(flags(FlagChange::Add(add.clone())))
            .with(flags(FlagChange::Remove(remove.clone())));
        if self.kind == Kind::Imap && message.id.account == self.account {
            let op = Op::Flags {
                mailbox: self.mailbox_of(message),
                uid: message.uid.get(),
                add: flag_names(add),
                remove: flag_names(remove),
            };
            transaction = transaction.with(self.note(&op).await?);
        }
        self.commit(transaction).await?;
        Ok(())
    }

    /// The mailbox that a message is in, which may be another one than where it is shown.
    fn mailbox_of(&self, message: &Message) -> String {
        let name = message
            .name
            .rsplit_once('/')
            .map_or(message.mailbox.as_str(), |(name, _)| name);
        name.to_owned()
    }

    /// Moves a message: with POP here, with IMAP at the next sync, and shown so from now on.
    ///
    /// # Errors
    /// When there is no such mailbox.
    pub async fn move_to(&self, message: &Message, mailbox: &str) -> Result<()> {
        let to = self.folder(mailbox).await?;
        if to.name == message.mailbox {
            return Ok(());
        }
        let uids = UidSet::from_ranges([(message.uid.get(), message.uid.get())]);
        let transaction = if self.kind == Kind::Pop {
            let (from, to) = (message.id, to.id);
            Transaction::new(self.account).with(Operation::Move { from, uids, to })
        } else if message.id.account == self.side {
            self.redirect(message, to.name).await?
        } else {
            self.moving(message, to.name).await?
        };
        self.commit(transaction).await?;
        Ok(())
    }

    /// A move of a mirror's message, for the next sync.
    async fn moving(&self, message: &Message, to: String) -> Result<Transaction> {
        let (mailbox, uid) = (self.mailbox_of(message), message.uid.get());
        let mut transaction = Transaction::new(self.account);
        for (key, before) in self.ops().await? {
            // Moved twice before a sync: the last one counts.
            let same = matches!(&before, Op::Move { mailbox: from, uid: of, .. } if *from == mailbox && *of == uid);
            if same {
                transaction = transaction.with(Operation::SetProperty { key, value: None });
            }
        }
        let op = Op::Move { mailbox, uid, to };
        Ok(transaction.with(self.note(&op).await?))
    }

    /// Deletes a message: into the trash, and from there for good.
    ///
    /// # Errors
    /// The store's.
    pub async fn delete(&self, message: &Message, for_good: bool) -> Result<()> {
        let trash = self.special("\\Trash").await?.map(|folder| folder.name);
        let is_mirror = self.kind == Kind::Imap && message.id.account == self.account;
        match trash {
            Some(trash) if !for_good && trash != message.mailbox => {
                return self.move_to(message, &trash).await;
            }
            // A server without a trash gets one.
            None if !for_good && is_mirror => {
                let transaction = self.moving(message, "Trash".into()).await?;
                return self.commit(transaction).await.map(drop);
            }
            _ => {}
        }
        let expunge = Operation::Expunge {
            mailbox: message.id,
            uids: UidSet::from_ranges([(message.uid.get(), message.uid.get())]),
            deleted_only: false,
        };
        let transaction = if self.kind == Kind::Pop {
            Transaction::new(self.account).with(expunge)
        } else if message.id.account == self.side {
            let mut transaction = Transaction::new(self.side).with(expunge);
            for (key, op) in self.ops().await? {
                if self.is_append_of(&op, message).await? {
                    transaction = transaction.with(Operation::SetProperty { key, value: None });
                }
            }
            transaction
        } else {
            let (mailbox, uid) = (self.mailbox_of(message), message.uid.get());
            let op = Op::Delete { mailbox, uid };
            Transaction::new(self.account).with(self.note(&op).await?)
        };
        self.commit(transaction).await?;
        Ok(())
    }

    async fn is_append_of(&self, op: &Op, message: &Message) -> Result<bool> {
        let Op::Append { origin, .. } = op else {
            return Ok(false);
        };
        let which = Which::Origin(Bytes::copy_from_slice(origin.as_bytes()));
        let found = self
            .store
            .messages(message.id, &which, Want::ROW, 1)
            .await?
            .rows;
        Ok(found.iter().any(|row| row.uid == message.uid))
    }

    /// Sends what waits to be appended somewhere else.
    async fn redirect(&self, message: &Message, mailbox: String) -> Result<Transaction> {
        let mut transaction = Transaction::new(self.side);
        for (key, op) in self.ops().await? {
            if self.is_append_of(&op, message).await?
                && let Op::Append {
                    origin,
                    flags,
                    tried,
                    ..
                } = op
            {
                let to = mailbox.clone();
                let op = Op::Append {
                    to,
                    origin,
                    flags,
                    tried,
                };
                transaction = transaction.with(op.property(key));
            }
        }
        Ok(transaction)
    }

    /// Adds a message of our own: with POP to the mailbox here, with IMAP at the next sync, and shown so
    /// from now on.
    ///
    /// # Errors
    /// When there is no such mailbox; the store's.
    pub async fn add(&self, mailbox: &str, octets: Bytes, flags: Flags) -> Result<()> {
        let operations = self.adding(mailbox, octets, flags).await?;
        let mut transaction = Transaction::new(self.side);
        transaction.operations = operations;
        self.commit(transaction).await?;
        Ok(())
    }

    /// Adds a message from elsewhere, by a name of at most 64 octets: one that was added once is not added
    /// again. Whether it was new.
    ///
    /// # Errors
    /// When there is no such mailbox; the store's.
    pub async fn import(&self, mailbox: &str, octets: Bytes, name: &str) -> Result<bool> {
        let (body, summary) = self.stage(octets).await?;
        let id = match self.kind {
            Kind::Pop => self.folder(mailbox).await?.id,
            Kind::Imap => self.pending_mailbox().await?,
        };
        let mut append = Append::new(id, body, (now(), 0));
        append.summary = summary;
        append.origin = Some(Bytes::copy_from_slice(name.as_bytes()));
        let append = Operation::Append(Box::new(append));
        let mut transaction = Transaction::new(self.side);
        if self.kind == Kind::Imap {
            let op = Op::Append {
                to: mailbox.to_owned(),
                origin: name.to_owned(),
                flags: Vec::new(),
                tried: false,
            };
            // Without its message, which the next sync finds, it does nothing.
            transaction = transaction.with(self.note(&op).await?);
        }
        let outcome = self.commit(transaction.with(append)).await?;
        let new = |one: &mailstore::Outcome| matches!(one, mailstore::Outcome::Appended { .. });
        Ok(outcome.outcomes.iter().any(new))
    }

    /// What [`add`](Self::add) does, to be done together with something else in the account beside.
    pub(crate) async fn adding(
        &self,
        mailbox: &str,
        octets: Bytes,
        flags: Flags,
    ) -> Result<Vec<Operation>> {
        let (body, summary) = self.stage(octets).await?;
        let append = |id| {
            let mut append = Append::new(id, body, (now(), 0));
            append.summary = summary;
            append.flags = flags.clone();
            append
        };
        if self.kind == Kind::Pop {
            let append = append(self.folder(mailbox).await?.id);
            return Ok(vec![Operation::Append(Box::new(append))]);
        }
        let mut append = append(self.pending_mailbox().await?);
        let origin = format!("{:032x}", rand());
        append.origin = Some(Bytes::copy_from_slice(origin.as_bytes()));
        let op = Op::Append {
            to: mailbox.to_owned(),
            origin,
            flags: flag_names(&flags),
            tried: false,
        };
        Ok(vec![
            Operation::Append(Box::new(append)),
            self.note(&op).await?,
        ])
    }
}

async fn named(store: &dyn Store, name: &str) -> Result<AccountId> {
    match store.account(name).await? {
        Some(account) => Ok(account.id),
        None => Ok(store.create_account(name).await?),
    }
}

/// A number that was never there before: of time and of the hasher's keys.
fn rand() -> u128 {
    use std::hash::{BuildHasher as _, RandomState};
    let half = || u128::from(RandomState::new().hash_one(SystemTime::now()));
    half() << 64 | half()
}

/// Flags as IMAP writes them.
pub(crate) fn flag_names(flags: &Flags) -> Vec<String> {
    let system = [
        (Flags::SEEN, "\\Seen"),
        (Flags::ANSWERED, "\\Answered"),
        (Flags::FLAGGED, "\\Flagged"),
        (Flags::DELETED, "\\Deleted"),
        (Flags::DRAFT, "\\Draft"),
    ];
    let system = system
        .iter()
        .filter(|(flag, _)| flags.contains(flag))
        .map(|(_, name)| *name);
    system.chain(flags.keywords()).map(Into::into).collect()
}
