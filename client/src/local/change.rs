//! Changes to flags, moves, deletions and new messages: made here at once, and on the server at the next
//! sync.

use bytes::Bytes;
use hikyaku_mailstore::{Append, FlagChange, Flags, Operation, Transaction, UidSet, Want, Which};
use std::time::SystemTime;

use crate::{Kind, Local, Message, Op, Result};
use hikyaku_mailstore::unix_now;

impl Local {
    /// Changes flags here at once, and on the server at the next sync.
    ///
    /// # Errors
    /// Errors of the store.
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
            let (mailbox, uid) = (self.mailbox_of(message), message.uid.get());
            let op = Op::Flags {
                mailbox,
                uid,
                add: flag_names(add),
                remove: flag_names(remove),
            };
            // On the server a message that was moved has another UID: flags go before the move.
            let moves = self.moves_of(message).await?;
            let mut ops = vec![op];
            for (key, before) in moves {
                transaction = transaction.with(Operation::SetProperty { key, value: None });
                ops.push(before);
            }
            transaction.operations.extend(self.notes(&ops).await?);
        } else if self.kind == Kind::Imap {
            for (key, op) in self.ops().await? {
                if self.is_append_of(&op, message).await?
                    && let Op::Append {
                        to,
                        origin,
                        mut flags,
                        tried,
                    } = op
                {
                    let (add, remove) = (flag_names(add), flag_names(remove));
                    flags.retain(|flag| !add.contains(flag) && !remove.contains(flag));
                    flags.extend(add);
                    let op = Op::Append {
                        to,
                        origin,
                        flags,
                        tried,
                    };
                    transaction = transaction.with(op.property(key));
                }
            }
        }
        self.commit(transaction).await?;
        Ok(())
    }

    /// The moves of a mirror's message that wait.
    async fn moves_of(&self, message: &Message) -> Result<Vec<(String, Op)>> {
        let (home, number) = (self.mailbox_of(message), message.uid.get());
        let mut all = self.ops().await?;
        all.retain(|(_, op)| matches!(op, Op::Move { mailbox, uid, .. } if *mailbox == home && *uid == number));
        Ok(all)
    }

    /// The mailbox that a message is in, which may be another one than where it is shown.
    fn mailbox_of(&self, message: &Message) -> String {
        let name = message
            .name
            .rsplit_once('/')
            .map_or(message.mailbox.as_str(), |(name, _)| name);
        name.to_owned()
    }

    /// Moves a message: here at once, and on an IMAP server at the next sync.
    ///
    /// # Errors
    /// When there is no such mailbox.
    pub async fn move_to(&self, message: &Message, mailbox: &str) -> Result<()> {
        let to = self.folder(mailbox).await?;
        if to.name == message.mailbox {
            return Ok(());
        }
        let transaction = if self.kind == Kind::Pop {
            let uids = UidSet::from_ranges([(message.uid.get(), message.uid.get())]);
            let (from, to) = (message.id, to.id);
            Transaction::new(self.account).with(Operation::Move { from, uids, to })
        } else {
            self.moving(message, to.name).await?
        };
        self.commit(transaction).await?;
        Ok(())
    }

    /// A move on the server, with the next sync. Of a message that was moved before, the last move counts.
    async fn moving(&self, message: &Message, to: String) -> Result<Transaction> {
        if message.id.account == self.side {
            return self.redirect(message, to).await;
        }
        let (mailbox, uid) = (self.mailbox_of(message), message.uid.get());
        let mut transaction = Transaction::new(self.account);
        for (key, _) in self.moves_of(message).await? {
            transaction = transaction.with(Operation::SetProperty { key, value: None });
        }
        if to == mailbox {
            // Back to where it is on the server: there is nothing to do.
            return Ok(transaction);
        }
        let op = Op::Move { mailbox, uid, to };
        Ok(transaction.with(self.note(&op).await?))
    }

    /// Moves a message to the trash; deletes it for good if `for_good` or if it is there already.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn delete(&self, message: &Message, for_good: bool) -> Result<()> {
        let trash = self.special("\\Trash").await?.map(|folder| folder.name);
        // A server without a trash gets one.
        let trash = trash.or_else(|| (self.kind == Kind::Imap).then(|| "Trash".to_owned()));
        if let Some(trash) = trash.filter(|trash| !for_good && *trash != message.mailbox) {
            if self.kind == Kind::Pop {
                return self.move_to(message, &trash).await;
            }
            let transaction = self.moving(message, trash).await?;
            return self.commit(transaction).await.map(drop);
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
            let mut transaction = Transaction::new(self.account);
            // It is deleted where it is, without being moved before.
            for (key, _) in self.moves_of(message).await? {
                transaction = transaction.with(Operation::SetProperty { key, value: None });
            }
            let op = Op::Delete { mailbox, uid };
            transaction.with(self.note(&op).await?)
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

    /// Adds a message to a mailbox: here at once, and on an IMAP server at the next sync.
    ///
    /// # Errors
    /// When there is no such mailbox; errors of the store.
    pub async fn add(&self, mailbox: &str, octets: Bytes, flags: Flags) -> Result<()> {
        let operations = self.adding(mailbox, octets, flags).await?;
        let mut transaction = Transaction::new(self.side);
        transaction.operations = operations;
        self.commit(transaction).await?;
        Ok(())
    }

    /// Adds a message from elsewhere under a name of at most 64 octets, once: a name that is known is not
    /// added again. Returns whether it was new.
    ///
    /// # Errors
    /// When there is no such mailbox; errors of the store.
    pub async fn import(&self, mailbox: &str, octets: Bytes, name: &str) -> Result<bool> {
        let (body, summary) = self.stage(octets).await?;
        let id = match self.kind {
            Kind::Pop => self.folder(mailbox).await?.id,
            Kind::Imap => self.pending_mailbox().await?,
        };
        let mut append = Append::new(id, body, (unix_now(), 0));
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
        let new = |one: &hikyaku_mailstore::Outcome| {
            matches!(one, hikyaku_mailstore::Outcome::Appended { .. })
        };
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
            let mut append = Append::new(id, body, (unix_now(), 0));
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

/// A number that was never there before: of time and of the hasher's keys.
fn rand() -> u128 {
    use std::hash::{BuildHasher as _, RandomState};
    let half = || u128::from(RandomState::new().hash_one(SystemTime::now()));
    half() << 64 | half()
}

/// Flags as IMAP writes them.
pub(crate) fn flag_names(flags: &Flags) -> Vec<String> {
    flags.names().map(Into::into).collect()
}
