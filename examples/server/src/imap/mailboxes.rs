//! Commands on mailboxes: SELECT, CREATE, DELETE, RENAME, SUBSCRIBE, STATUS, quota.

use bytes::Bytes;
use imap_proto::{Flag, MailboxName, Response, ResponseCode, StatusAttribute, StatusItem};
use mailstore::{Flags, Mailbox, Mailboxes, Operation, Outcome, Transaction, UidSet, Want, Which};

use super::convert::{flags_told, system_flags};
use super::{DELIMITER, End, Ended, Selected, Session};

impl Session<'_> {
    pub(super) async fn mailboxes(&mut self) -> Result<Mailboxes, End> {
        Ok(self.shared.store.mailboxes(self.account, None).await?)
    }

    /// The mailbox of that name.
    pub(super) async fn mailbox(&mut self, name: &MailboxName) -> Result<Mailbox, End> {
        let wanted = kept(name);
        let all = self.mailboxes().await?.mailboxes;
        let found = all.into_iter().find(|mailbox| mailbox.name == wanted);
        found.ok_or(End::no(
            ResponseCode::NonExistent,
            "There is no such mailbox",
        ))
    }

    /// As [`Session::mailbox`], for a mailbox that something is put into.
    pub(super) async fn target(&mut self, name: &MailboxName) -> Result<Mailbox, End> {
        let found = self.mailbox(name).await;
        found.map_err(|end| match end.1 {
            Some(ResponseCode::NonExistent) => {
                End::no(ResponseCode::TryCreate, "There is no such mailbox")
            }
            _ => end,
        })
    }

    pub(super) async fn commit(&mut self, operation: Operation) -> Result<Outcome, End> {
        let transaction = Transaction::new(self.account).with(operation);
        let mut committed = self.shared.store.commit(transaction).await?;
        Ok(committed.outcomes.pop().unwrap_or(Outcome::Done))
    }

    pub(super) async fn select(&mut self, name: &MailboxName, read_only: bool) -> Ended {
        self.selected = None;
        let mailbox = self.mailbox(name).await?;
        let (mut uids, mut unseen, mut keywords) = (Vec::new(), None, Flags::NONE);
        let (mut at, mut after) = (None, None);
        loop {
            let page = self
                .shared
                .store
                .messages(mailbox.id, &Which::After(after), Want::ROW, 1000)
                .await?;
            at.get_or_insert(page.at);
            after = page.rows.last().map(|row| row.uid);
            for row in &page.rows {
                uids.push(row.uid.get());
                if unseen.is_none() && !row.flags.contains(&Flags::SEEN) {
                    unseen = u32::try_from(uids.len()).ok();
                }
                if row.flags.keywords().next().is_some() {
                    keywords.add(&row.flags);
                }
            }
            if !page.more {
                break;
            }
        }
        let mut flags = system_flags();
        let named = |flag: &Flag| matches!(flag, Flag::Keyword(_));
        flags.extend(flags_told(&keywords).into_iter().filter(named));
        self.respond(&Response::Flags(flags.clone()));
        let permanent = match read_only {
            true => Vec::new(),
            false => flags.into_iter().chain([Flag::Any]).collect(),
        };
        let up_to = uids.last().map_or(1, |last| last.saturating_add(1));
        let recent_from = self.recent_from(mailbox.id, up_to, read_only).await?;
        let (machine, output) = self.driver.split();
        machine.select(uids, recent_from, read_only, output);
        self.untagged_ok(ResponseCode::PermanentFlags(permanent), "Kept flags");
        if let Some(first) = unseen {
            self.untagged_ok(ResponseCode::Unseen(first), "First unseen");
        }
        self.untagged_ok(
            ResponseCode::UidValidity(mailbox.uid_validity.get()),
            "UIDs are valid",
        );
        self.untagged_ok(
            ResponseCode::UidNext(mailbox.uid_next),
            "Predicted next UID",
        );
        self.untagged_ok(
            ResponseCode::HighestModSeq(mailbox.highest.0.max(1)),
            "Highest",
        );
        self.selected = Some(Selected {
            mailbox: mailbox.id,
            at: at.unwrap_or(mailbox.highest),
            own: Vec::new(),
            keywords,
        });
        let (code, text) = match read_only {
            true => (ResponseCode::ReadOnly, "Examined"),
            false => (ResponseCode::ReadWrite, "Selected"),
        };
        Ok(End(imap_proto::Status::Ok, Some(code), text.into()))
    }

    pub(super) async fn create(&mut self, name: &MailboxName, uses: &[Bytes]) -> Ended {
        // RFC 3501 §6.3.3: a delimiter at the end announces children.
        let name = kept(name);
        let name = name.trim_end_matches(DELIMITER);
        let known = [
            &b"\\Archive"[..],
            b"\\Drafts",
            b"\\Flagged",
            b"\\Junk",
            b"\\Sent",
            b"\\Trash",
        ];
        let special_use = match uses {
            [] => None,
            [one] => known.iter().find(|known| one.eq_ignore_ascii_case(known)),
            _ => None,
        };
        if !uses.is_empty() && special_use.is_none() {
            return Err(End::no(
                ResponseCode::UseAttr,
                "Not a use that a mailbox can have here",
            ));
        }
        let all = self.mailboxes().await?.mailboxes;
        let is_there = |name: &str| all.iter().any(|mailbox| mailbox.name == name);
        let mut transaction = Transaction::new(self.account);
        // Superior names are made with it.
        for (at, _) in name.match_indices(DELIMITER) {
            let parent = name.get(..at).unwrap_or("");
            if !is_there(parent) {
                transaction = transaction.with(Operation::Create {
                    name: parent.into(),
                    special_use: None,
                    uid_validity: None,
                });
            }
        }
        let special_use = special_use.map(|name| String::from_utf8_lossy(name).into_owned());
        transaction = transaction.with(Operation::Create {
            name: name.into(),
            special_use,
            uid_validity: None,
        });
        self.shared.store.commit(transaction).await?;
        Ok(End::ok("Created"))
    }

    pub(super) async fn delete(&mut self, name: &MailboxName) -> Ended {
        let mailbox = self.mailbox(name).await?;
        let selected = self
            .selected
            .as_ref()
            .is_some_and(|s| s.mailbox == mailbox.id);
        self.commit(Operation::Delete(mailbox.id)).await?;
        if selected {
            // Its messages are gone for this session, too.
            self.selected = None;
            self.bye("The selected mailbox was deleted");
        }
        Ok(End::ok("Deleted"))
    }

    pub(super) async fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Ended {
        let mailbox = self.mailbox(from).await?;
        let to = kept(to).trim_end_matches(DELIMITER).to_owned();
        if mailbox.name != "INBOX" {
            let all = self.mailboxes().await?.mailboxes;
            if let Some((parents, _)) = to.rsplit_once(DELIMITER)
                && !all.iter().any(|mailbox| mailbox.name == parents)
            {
                self.create(&MailboxName::new(parents), &[]).await?;
            }
            let id = mailbox.id;
            self.commit(Operation::Rename { mailbox: id, to }).await?;
            return Ok(End::ok("Renamed"));
        }
        // RFC 3501 §6.3.5: INBOX stays, its messages move.
        self.create(&MailboxName::new(to.clone()), &[]).await?;
        let new = self.mailbox(&MailboxName::new(to)).await?;
        let all = Operation::Move {
            from: mailbox.id,
            uids: UidSet::all(),
            to: new.id,
        };
        self.commit(all).await?;
        Ok(End::ok("Moved the messages of INBOX"))
    }

    pub(super) async fn subscribe(&mut self, name: &MailboxName, subscribed: bool) -> Ended {
        let name = kept(name).trim_end_matches(DELIMITER).to_owned();
        self.commit(Operation::Subscribe { name, subscribed })
            .await?;
        Ok(End::ok("Noted"))
    }

    pub(super) async fn status(
        &mut self,
        name: &MailboxName,
        attributes: &[StatusAttribute],
    ) -> Ended {
        let mailbox = self.mailbox(name).await?;
        self.tell_status(name.clone(), &mailbox, attributes).await?;
        Ok(End::ok("Status"))
    }

    pub(super) async fn tell_status(
        &mut self,
        name: MailboxName,
        mailbox: &Mailbox,
        attributes: &[StatusAttribute],
    ) -> Result<(), End> {
        let recent = match attributes.contains(&StatusAttribute::Recent) {
            true => self.count_recent(mailbox).await?,
            false => 0,
        };
        let items = status_items(mailbox, recent, attributes);
        self.respond(&Response::MailboxStatus(name, items));
        Ok(())
    }

    async fn quota(&mut self) -> Result<(), End> {
        let account = self.shared.store.account_by_id(self.account).await?;
        let quota = account.map(|account| account.quota).unwrap_or_default();
        let mut resources = Vec::new();
        if let Some(octets) = quota.octets {
            // RFC 9208 §5.1: in units of 1 024 octets.
            resources.push((
                "STORAGE".into(),
                quota.used_octets.div_ceil(1024),
                octets / 1024,
            ));
        }
        if let Some(messages) = quota.messages {
            resources.push(("MESSAGE".into(), quota.used_messages, messages));
        }
        self.respond(&Response::Quota("".into(), resources));
        Ok(())
    }

    pub(super) async fn get_quota(&mut self, root: &[u8]) -> Ended {
        if !root.is_empty() {
            return Err(End::no(
                ResponseCode::NonExistent,
                "There is no such quota root",
            ));
        }
        self.quota().await?;
        Ok(End::ok("Quota"))
    }

    pub(super) async fn get_quota_root(&mut self, name: &MailboxName) -> Ended {
        self.mailbox(name).await?;
        self.respond(&Response::QuotaRoot(name.clone(), vec!["".into()]));
        self.quota().await?;
        Ok(End::ok("Quota"))
    }

    pub(super) async fn close(&mut self) -> Ended {
        if !self.is_read_only() {
            let expunge = Operation::Expunge {
                mailbox: self.current()?,
                uids: UidSet::all(),
                deleted_only: true,
            };
            self.commit(expunge).await?;
        }
        // Nothing is told of what went.
        self.selected = None;
        Ok(End::ok("Closed"))
    }
}

/// The name as the store keeps it: its first level INBOX in capitals.
pub(super) fn kept(name: &MailboxName) -> String {
    let name = name.as_str();
    let (first, rest) = name.split_at(name.find(DELIMITER).unwrap_or(name.len()));
    match first.eq_ignore_ascii_case("INBOX") {
        true => format!("INBOX{rest}"),
        false => name.to_owned(),
    }
}

fn status_items(mailbox: &Mailbox, recent: u64, attributes: &[StatusAttribute]) -> Vec<StatusItem> {
    use StatusAttribute as A;
    let value = |attribute: &A| {
        Some(match attribute {
            A::Messages => mailbox.messages.into(),
            A::Recent => recent,
            A::UidNext => mailbox.uid_next.into(),
            A::UidValidity => mailbox.uid_validity.get().into(),
            A::Unseen => mailbox.unseen.into(),
            A::Deleted => mailbox.deleted.into(),
            A::Size => mailbox.octets,
            A::HighestModSeq => mailbox.highest.0.max(1),
            _ => return None,
        })
    };
    let item =
        |attribute: &A| value(attribute).map(|value| StatusItem::Number(attribute.clone(), value));
    attributes.iter().filter_map(item).collect()
}
