//! Mailboxes as they will be once what waits is done on the server: the one place where that is decided, for
//! counts, lists, searches, and the message that a command names.

use bytes::Bytes;
use hikyaku_mailstore::{Flags, MailboxId, Row, UidSet, Want, Which};
use std::collections::BTreeMap;

use super::{Folder, PENDING};
use crate::{Kind, Local, Op, Result};

/// What the changes that wait come to, message by message.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// For each mailbox and UID where the message will be; `None` for nowhere.
    moved: BTreeMap<String, BTreeMap<u32, Option<String>>>,
    /// Origins of the messages that wait to be appended, and where.
    appended: Vec<(String, String)>,
}

/// A message that will come into a mailbox.
pub(super) struct Arrival {
    /// The mailbox it will be in.
    pub(super) to: String,
    /// The one its row is in.
    pub(super) from: String,
    pub(super) id: MailboxId,
    pub(super) row: Row,
}

impl Waiting {
    pub(super) fn of(ops: Vec<(String, Op)>) -> Self {
        let mut waiting = Self::default();
        for (_, op) in ops {
            match op {
                Op::Move { mailbox, uid, to } => {
                    let all = waiting.moved.entry(mailbox).or_default();
                    let place = all.entry(uid).or_insert_with(|| Some(String::new()));
                    // What is deleted is not moved any more.
                    if place.is_some() {
                        *place = Some(to);
                    }
                }
                Op::Delete { mailbox, uid } => {
                    waiting.moved.entry(mailbox).or_default().insert(uid, None);
                }
                Op::Append { to, origin, .. } => waiting.appended.push((origin, to)),
                Op::Flags { .. } => {}
            }
        }
        for (mailbox, all) in &mut waiting.moved {
            all.retain(|_, to| to.as_ref() != Some(mailbox));
        }
        waiting
    }

    /// Where a message of a mailbox will be; `None` where it will not be any more.
    pub(super) fn place<'a>(&'a self, mailbox: &'a str, uid: u32) -> Option<&'a str> {
        match self.moved.get(mailbox).and_then(|all| all.get(&uid)) {
            Some(to) => to.as_deref(),
            None => Some(mailbox),
        }
    }

    /// How many messages will leave a mailbox.
    pub(super) fn leaving(&self, mailbox: &str) -> usize {
        self.moved.get(mailbox).map_or(0, BTreeMap::len)
    }

    /// Whether messages of one mailbox will come into another.
    pub(super) fn feeds(&self, from: &str, to: &str) -> bool {
        let all = self.moved.get(from);
        all.is_some_and(|all| all.values().any(|one| one.as_deref() == Some(to)))
    }

    /// The mailboxes that something will come into.
    fn targets(&self) -> impl Iterator<Item = &str> {
        let moved = self.moved.values().flat_map(BTreeMap::values);
        let appended = self.appended.iter().map(|(_, to)| to.as_str());
        moved.filter_map(Option::as_deref).chain(appended)
    }

    /// Whether something will come into that mailbox.
    pub(super) fn makes(&self, mailbox: &str) -> bool {
        self.targets().any(|to| to == mailbox)
    }
}

/// What a mailbox that does not exist yet will be for, by its name.
fn use_of(name: &str) -> Option<String> {
    let uses = ["\\Drafts", "\\Sent", "\\Trash"];
    let found = uses.into_iter().find(|one| one.get(1..) == Some(name));
    found.map(Into::into)
}

impl Local {
    /// What waits. Mailboxes that are the only place of their mail have nothing that does.
    pub(super) async fn waiting(&self) -> Result<Waiting> {
        Ok(Waiting::of(self.ops().await?))
    }

    /// The messages that will come into a mailbox, or into any, without those that are not there any more.
    pub(super) async fn arrivals(
        &self,
        waiting: &Waiting,
        mailbox: Option<&str>,
        want: Want,
    ) -> Result<Vec<Arrival>> {
        let wanted = |to: &str| mailbox.is_none_or(|mailbox| mailbox == to);
        let mut all = Vec::new();
        let there = match waiting.moved.is_empty() {
            true => Vec::new(),
            false => self.mailboxes().await?,
        };
        for (from, moved) in &waiting.moved {
            let Some(folder) = there.iter().find(|one| one.name == *from) else {
                continue;
            };
            let coming = moved
                .iter()
                .filter_map(|(uid, to)| Some((uid, to.as_deref()?)));
            let coming = coming.filter(|(_, to)| wanted(to));
            let uids = UidSet::from_ranges(coming.map(|(&uid, _)| (uid, uid)));
            if uids.is_empty() {
                continue;
            }
            let which = Which::Uids(uids);
            let rows = self.store.messages(folder.id, &which, want, usize::MAX);
            for row in rows.await?.rows {
                if let Some(to) = waiting.place(from, row.uid.get()) {
                    let (to, from) = (to.to_owned(), from.clone());
                    let id = folder.id;
                    all.push(Arrival { to, from, id, row });
                }
            }
        }
        for (origin, to) in waiting.appended.iter().filter(|(_, to)| wanted(to)) {
            if let Some((id, row)) = self.appended(origin, want).await? {
                let (to, from) = (to.clone(), PENDING.to_owned());
                all.push(Arrival { to, from, id, row });
            }
        }
        Ok(all)
    }

    /// The row of a message that waits to be appended.
    async fn appended(&self, origin: &str, want: Want) -> Result<Option<(MailboxId, Row)>> {
        let id = self.pending_mailbox().await?;
        let which = Which::Origin(Bytes::copy_from_slice(origin.as_bytes()));
        let row = self.store.messages(id, &which, want, 1).await?.rows.pop();
        Ok(row.map(|row| (id, row)))
    }

    /// The mailboxes that messages waiting to be appended will come into, by the UID of each where it waits.
    pub(super) async fn pending_places(&self, waiting: &Waiting) -> Result<BTreeMap<u32, String>> {
        let mut all = BTreeMap::new();
        for (origin, to) in &waiting.appended {
            if let Some((_, row)) = self.appended(origin, Want::ROW).await? {
                all.insert(row.uid.get(), to.clone());
            }
        }
        Ok(all)
    }

    /// Lists the mailboxes with their counts; changes that wait for a sync are included.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn folders(&self) -> Result<Vec<Folder>> {
        let mut all = self.mailboxes().await?;
        if self.kind == Kind::Pop {
            return Ok(all);
        }
        let waiting = self.waiting().await?;
        for folder in &mut all {
            let Some(leaving) = waiting.moved.get(&folder.name) else {
                continue;
            };
            let which = Which::Uids(UidSet::from_ranges(leaving.keys().map(|&uid| (uid, uid))));
            let rows = self
                .store
                .messages(folder.id, &which, Want::ROW, usize::MAX);
            for row in rows.await?.rows {
                folder.messages = folder.messages.saturating_sub(1);
                if !row.flags.contains(&Flags::SEEN) {
                    folder.unseen = folder.unseen.saturating_sub(1);
                }
            }
        }
        for arrival in self.arrivals(&waiting, None, Want::ROW).await? {
            let place = all.iter().position(|one| one.name == arrival.to);
            let at = match place {
                Some(at) => at,
                None => {
                    all.push(Folder {
                        special_use: use_of(&arrival.to),
                        name: arrival.to,
                        messages: 0,
                        unseen: 0,
                        // There is no mailbox yet: all of its messages are elsewhere.
                        id: self.pending_mailbox().await?,
                    });
                    all.len() - 1
                }
            };
            if let Some(folder) = all.get_mut(at) {
                folder.messages += 1;
                folder.unseen += u32::from(!arrival.row.flags.contains(&Flags::SEEN));
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::super::mirrored;
    use super::*;
    use hikyaku_mailstore::{Append, Operation, Transaction};

    fn moved(uid: u32, to: &str) -> Op {
        let (mailbox, to) = ("INBOX".to_owned(), to.to_owned());
        Op::Move { mailbox, uid, to }
    }

    fn deleted(uid: u32) -> Op {
        let mailbox = "INBOX".to_owned();
        Op::Delete { mailbox, uid }
    }

    #[test]
    fn the_last_change_of_a_message_counts() {
        for (ops, place) in [
            (vec![], Some("INBOX")),
            (vec![moved(7, "a")], Some("a")),
            (vec![moved(7, "a"), moved(7, "b")], Some("b")),
            (vec![moved(7, "a"), moved(7, "INBOX")], Some("INBOX")),
            (vec![moved(7, "a"), deleted(7)], None),
            (vec![deleted(7), moved(7, "a")], None),
            (vec![moved(8, "a"), deleted(9)], Some("INBOX")),
        ] {
            let ops = ops.into_iter().map(|op| (String::new(), op)).collect();
            assert_eq!(Waiting::of(ops).place("INBOX", 7), place);
        }
    }

    /// A mirror of an INBOX with one message that is not read, on a server with nothing else.
    async fn bare() -> Local {
        let store = std::sync::Arc::new(hikyaku_mailstore::Memory::new());
        let local = Local::mirror(store, "me@a.test").await.unwrap();
        let create = Operation::Create {
            name: mirrored("INBOX").to_owned(),
            special_use: None,
            uid_validity: None,
        };
        let transaction = Transaction::new(local.account).with(create);
        local.commit(transaction).await.unwrap();
        let inbox = local.mailbox("INBOX").await.unwrap().id;
        let (body, summary) = local.stage("Subject: tea\r\n".into()).await.unwrap();
        let mut append = Append::new(inbox, body, (0, 0));
        append.summary = summary;
        let append = Operation::Append(Box::new(append));
        let transaction = Transaction::new(local.account).with(append);
        local.commit(transaction).await.unwrap();
        local
    }

    async fn counts(local: &Local) -> Vec<(String, u32, u32)> {
        let all = local.folders().await.unwrap().into_iter();
        all.map(|one| (one.name, one.messages, one.unseen))
            .collect()
    }

    #[tokio::test]
    async fn a_folder_that_what_waits_will_make_is_there() {
        let local = bare().await;
        let inbox = |messages| ("INBOX".to_owned(), messages, messages);
        assert_eq!(counts(&local).await, [inbox(1)]);
        assert!(local.list("Trash", 10).await.is_err());
        let message = local.find("INBOX/1").await.unwrap();
        local.delete(&message, false).await.unwrap();
        assert_eq!(counts(&local).await, [inbox(0), ("Trash".into(), 1, 1)]);
        assert_eq!(
            local.special("\\Trash").await.unwrap().unwrap().name,
            "Trash"
        );
        let [one] = &local.list("Trash", 10).await.unwrap()[..] else {
            panic!("it is not in the trash")
        };
        // It has no number there yet, and keeps its name.
        assert_eq!((one.number(), one.name.as_str()), (None, "INBOX/1"));
        assert_eq!(local.search("tea", Some("Trash")).await.unwrap().len(), 1);
        assert!(local.search("tea", Some("INBOX")).await.unwrap().is_empty());
        assert!(local.search("tea", Some("Arhcive")).await.is_err());
        // From the trash it is deleted for good.
        let message = local.find("INBOX/1").await.unwrap();
        local.delete(&message, false).await.unwrap();
        assert_eq!(counts(&local).await, [inbox(0)]);
        assert!(local.find("INBOX/1").await.is_err());
        assert!(local.search("tea", None).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_waits_at_once_has_a_place_each() {
        let local = bare().await;
        let message = local.find("INBOX/1").await.unwrap();
        let (flagged, seen, none) = (Flags::FLAGGED, Flags::SEEN, Flags::NONE);
        let one = local.mark(&message, &flagged, &none);
        let other = local.mark(&message, &seen, &none);
        let (one, other) = tokio::join!(one, other);
        one.unwrap();
        other.unwrap();
        assert_eq!(local.ops().await.unwrap().len(), 2);
    }
}
