//! Lists, searches, and whole messages.

use bytes::Bytes;
use hikyaku_mailstore::{
    Append, BodyRef, MailboxId, Operation, Pieces, Row, Staged, Transaction, Uid, UidSet, Want,
    Which, root_part, search,
};
use hikyaku_message::fields;

use super::waiting::Arrival;
use super::{PENDING, SIZE_FIELD, named_so, origin};
use crate::imap::Mirror;
use crate::{Error, Kind, Local, Message, Result};
use hikyaku_mailstore::unix_now;

impl Local {
    /// Lists the newest messages of a mailbox, newest first; changes that wait for a sync are included.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn list(&self, mailbox: &str, limit: usize) -> Result<Vec<Message>> {
        self.list_before(mailbox, None, limit).await
    }

    /// Lists messages as [`list`](Self::list) does, only those below a UID.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn list_before(
        &self,
        mailbox: &str,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Vec<Message>> {
        let waiting = self.waiting().await?;
        let (name, id) = match self.mailbox(mailbox).await {
            Ok(folder) => (folder.name, Some(folder.id)),
            Err(_) if waiting.makes(mailbox) => (mailbox.to_owned(), None),
            Err(error) => return Err(error),
        };
        let mut messages = Vec::new();
        if let Some(id) = id {
            let which = Which::NewestBefore(before.and_then(Uid::new));
            let limit = limit.saturating_add(waiting.leaving(&name));
            let page = self
                .store
                .messages(id, &which, Want::SUMMARY, limit)
                .await?;
            for row in page.rows {
                if waiting.place(&name, row.uid.get()) == Some(&name) {
                    messages.push(self.message(&name, id, row).await?);
                }
            }
        }
        // What comes from elsewhere stands where its date belongs: on a page before this one, or not.
        let key = |message: &Message| (message.received, message.uid);
        let below = match (before, id) {
            (Some(uid), Some(id)) => self.received(id, uid).await?.or(messages.first().map(key)),
            _ => None,
        };
        for arrival in self.arrivals(&waiting, Some(&name), Want::SUMMARY).await? {
            let message = self.arrived(arrival).await?;
            if below.is_none_or(|below| key(&message) < below) {
                messages.push(message);
            }
        }
        messages.sort_by_key(|message| std::cmp::Reverse(key(message)));
        messages.truncate(limit);
        Ok(messages)
    }

    /// When a message came, and its UID.
    async fn received(&self, id: MailboxId, uid: u32) -> Result<Option<(i64, Uid)>> {
        let which = Which::Uids(UidSet::from_ranges([(uid, uid)]));
        let rows = self.store.messages(id, &which, Want::ROW, 1).await?.rows;
        Ok(rows.first().map(|row| (row.received.0, row.uid)))
    }

    /// A message that will be in another mailbox than its row is.
    async fn arrived(&self, arrival: Arrival) -> Result<Message> {
        let mut message = self.message(&arrival.from, arrival.id, arrival.row).await?;
        message.mailbox = arrival.to;
        Ok(message)
    }

    async fn message(&self, mailbox: &str, id: MailboxId, row: Row) -> Result<Message> {
        let root = root_part(&*self.store, &row).await?;
        let octets = match self.kind {
            Kind::Imap if id.account == self.account => self.size(&row).await?,
            _ => row.body.octets,
        };
        Ok(Message {
            mailbox: mailbox.to_owned(),
            name: format!("{mailbox}/{}", row.uid.get()),
            flags: row.flags,
            octets,
            received: row.received.0,
            mixed: root.content.is("multipart", "mixed"),
            envelope: root.envelope.map(|boxed| *boxed).unwrap_or_default(),
            id,
            uid: row.uid,
            body: row.body,
        })
    }

    /// Octets of the whole message of a mirror's row.
    pub(crate) async fn size(&self, row: &Row) -> Result<u64> {
        let header = self.octets(&row.body).await?;
        let size =
            fields(&header).find(|(name, ..)| name.eq_ignore_ascii_case(SIZE_FIELD.as_bytes()));
        let size = size
            .and_then(|(_, value, _)| std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok());
        Ok(size.unwrap_or(row.body.octets))
    }

    /// Finds a message by its name: `INBOX/7`, or `7` in INBOX. One that was moved keeps its name until the
    /// next sync, and is where it was moved to.
    ///
    /// # Errors
    /// When there is no such message, or it was deleted for good.
    pub async fn find(&self, name: &str) -> Result<Message> {
        let missing = || Error::NotFound(format!("message: {name}"));
        let (mailbox, uid) = name.rsplit_once('/').unwrap_or(("INBOX", name));
        let uid: u32 = uid.parse().map_err(|_| missing())?;
        let (id, mailbox) = match mailbox {
            PENDING if self.kind == Kind::Imap => {
                (self.pending_mailbox().await?, PENDING.to_owned())
            }
            mailbox => {
                let folder = self.mailbox(mailbox).await?;
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
        let row = row.ok_or_else(missing)?;
        let waiting = self.waiting().await?;
        let to = if id.account == self.account {
            let place = waiting.place(&mailbox, uid);
            Some(place.ok_or_else(missing)?.to_owned())
        } else {
            self.pending_places(&waiting).await?.remove(&uid)
        };
        let mut message = self.message(&mailbox, id, row).await?;
        message.mailbox = to.unwrap_or(mailbox);
        Ok(message)
    }

    pub(crate) async fn octets(&self, body: &BodyRef) -> Result<Bytes> {
        Ok(Pieces::whole(&*self.store, body).gather().await?)
    }

    /// Reads a whole message; `None` if this device has only its header fields.
    ///
    /// # Errors
    /// Errors of the store.
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

    /// Keeps whole messages of a mirror, by UID and with their summaries: all of them or none.
    pub(crate) async fn keep_whole(
        &self,
        mailbox: &str,
        validity: u32,
        messages: Vec<(u32, Staged, Bytes)>,
    ) -> Result<()> {
        if messages.is_empty() {
            return Ok(());
        }
        let bodies = self.side_mailbox("INBOX").await?;
        let mut transaction = Transaction::new(self.side);
        for (uid, body, summary) in messages {
            let mut append = Append::new(bodies, body, (unix_now(), 0));
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
            .mailboxes()
            .await?
            .into_iter()
            .find(|folder| folder.id == id);
        let Some(name) = name.map(|folder| folder.name) else {
            return Ok(None);
        };
        let mirror = Mirror::of(&self.properties(self.account).await?, &name);
        Ok(mirror.map(|mirror| (name, mirror)))
    }

    /// Searches a mailbox, or all of them, for a text; newest first in each mailbox. Looks into the header
    /// fields, and in the whole message where this device has it.
    ///
    /// # Errors
    /// Errors of the store; when there is no such mailbox.
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
        let waiting = self.waiting().await?;
        let order = self.folders().await?;
        let wanted = match mailbox {
            Some(name) => Some(named_so(order.clone(), name)?.name),
            None => None,
        };
        let is_wanted = |place: &str| wanted.as_deref().is_none_or(|wanted| wanted == place);
        let mut found = Vec::new();
        for folder in self.mailboxes().await? {
            let feeds = |to: &str| waiting.feeds(&folder.name, to);
            if !is_wanted(&folder.name) && !wanted.as_deref().is_some_and(feeds) {
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
            for row in self.rows(folder.id, uids).await? {
                let place = waiting.place(&folder.name, row.uid.get());
                let Some(place) = place.filter(|place| is_wanted(place)) else {
                    continue;
                };
                let mut message = self.message(&folder.name, folder.id, row).await?;
                place.clone_into(&mut message.mailbox);
                found.push(message);
            }
        }
        if self.kind == Kind::Imap {
            let mut places = self.pending_places(&waiting).await?;
            places.retain(|_, to| is_wanted(to));
            if !places.is_empty() {
                let id = self.pending_mailbox().await?;
                let uids = self.matching(id, &key).await?;
                for row in self.rows(id, uids).await? {
                    if let Some(to) = places.remove(&row.uid.get()) {
                        let mut message = self.message(PENDING, id, row).await?;
                        message.mailbox = to;
                        found.push(message);
                    }
                }
            }
        }
        let place = |message: &Message| order.iter().position(|one| one.name == message.mailbox);
        let newest = |message: &Message| std::cmp::Reverse((message.received, message.uid));
        found.sort_by_cached_key(|message| (place(message), newest(message)));
        Ok(found)
    }

    async fn rows(&self, id: MailboxId, uids: UidSet) -> Result<Vec<Row>> {
        let which = Which::Uids(uids);
        let page = self
            .store
            .messages(id, &which, Want::SUMMARY, usize::MAX)
            .await?;
        Ok(page.rows)
    }

    async fn matching(&self, mailbox: MailboxId, key: &search::Key) -> Result<UidSet> {
        let found = match &self.cache {
            Some(cache) => cache.search(&*self.store, mailbox, key).await?,
            None => search::search(&*self.store, mailbox, key).await?,
        };
        Ok(UidSet::from_ranges(
            found.into_iter().map(|(uid, _)| (uid.get(), uid.get())),
        ))
    }
}
