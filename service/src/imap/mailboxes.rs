//! Commands on mailboxes: SELECT, CREATE, DELETE, RENAME, SUBSCRIBE, STATUS, quota.

use bytes::Bytes;
use hikyaku_imap_proto::{
    Flag, ListResponse, MailboxName, QResync, Response, ResponseCode, SequenceNumber,
    StatusAttribute, StatusItem,
};
use hikyaku_mailstore::{
    AccountId, Flags, Mailbox, MailboxId, Mailboxes, Operation, Outcome, Row, Rows, Scope,
    Transaction, UidSet, Want, Which,
};

use super::access_list::AccessList;
use super::convert::{imap_flags, imap_uid, mailbox_id, system_flags};
use super::end::{End, Ended};
use super::found::{Found, Place, no_such_mailbox};
use super::names::{DELIMITER, kept};
use super::session::{Selected, Session};
use super::text::Text as T;

/// What SELECT finds in a mailbox.
struct Contents {
    uids: Vec<hikyaku_imap_proto::Uid>,
    /// The sequence number of the first one without `\Seen`.
    unseen: Option<SequenceNumber>,
    keywords: Flags,
    /// The state it was read at: what came since is sent next.
    at: hikyaku_mailstore::ModSeq,
    /// What has changed since the client was here, when it asks for that.
    changed: Vec<Row>,
}

impl Session<'_> {
    pub(super) async fn mailboxes(&self) -> Result<Mailboxes, End> {
        Ok(self.service.store.mailboxes(self.account, None).await?)
    }

    /// Does one thing in an account.
    pub(super) async fn commit(
        &mut self,
        account: AccountId,
        operation: Operation,
    ) -> Result<Outcome, End> {
        let transaction = Transaction::new(account).with(operation);
        let mut committed = self.service.store.commit(transaction).await?;
        Ok(committed.outcomes.pop().unwrap_or(Outcome::Done))
    }

    async fn contents(&self, mailbox: &Mailbox, since: Option<u64>) -> Result<Contents, End> {
        let store = &*self.service.store;
        let Rows { at, rows } = self.service.options.cache.rows(store, mailbox.id).await?;
        let mut keywords = Flags::NONE;
        for row in rows
            .iter()
            .filter(|row| row.flags.keywords().next().is_some())
        {
            keywords.add(&row.flags);
        }
        let unseen = rows
            .iter()
            .position(|row| !row.flags.contains(&Flags::SEEN));
        let changed = rows
            .iter()
            .filter(|row| since.is_some_and(|since| row.modified.0 > since));
        Ok(Contents {
            uids: rows.iter().map(|row| imap_uid(row.uid)).collect(),
            unseen: unseen.and_then(|at| SequenceNumber::new(u32::try_from(at + 1).ok()?)),
            keywords,
            at,
            changed: changed.cloned().collect(),
        })
    }

    pub(super) async fn select(
        &mut self,
        name: &MailboxName,
        read_only: bool,
        qresync: Option<QResync>,
    ) -> Ended {
        self.selected = None;
        let Found { mailbox, rights } = self.find(name).await?.needs(b'r')?;
        // RFC 4314 §5.2: who may change nothing has it for reading only.
        let read_only = read_only || !b"swtei".iter().any(|&right| rights.contains(right));
        // RFC 7162 §3.2.5.1: what was known under another UIDVALIDITY is of no use.
        let qresync = qresync.filter(|known| known.uid_validity == mailbox.uid_validity.get());
        let since = qresync.as_ref().map(|known| known.modseq);
        let contents = self.contents(&mailbox, since).await?;

        let mut flags = system_flags();
        let named = |flag: &Flag| matches!(flag, Flag::Keyword(_));
        flags.extend(imap_flags(&contents.keywords).filter(named));
        self.respond(&Response::Flags(flags.clone()));
        let may_set = |flag: &Flag| !read_only && Self::may_set(rights, flag);
        let permanent = flags.into_iter().chain([Flag::Any]);
        let permanent = permanent.filter(may_set).collect();
        let last = contents.uids.last().copied();
        let up_to = last.map_or(1, |last| last.get().saturating_add(1));
        let recent_from = self.recent_from(mailbox.id, up_to, read_only).await?;
        let (machine, output) = self.driver.split();
        let recent_from = hikyaku_imap_proto::Uid::new(recent_from);
        machine.select(contents.uids, recent_from, read_only, output);
        let rev2 = machine.rev2();
        self.untagged_ok(ResponseCode::PermanentFlags(permanent), T::KeptFlags);
        if let Some(first) = contents.unseen.filter(|_| !rev2) {
            self.untagged_ok(ResponseCode::Unseen(first), T::FirstUnseen);
        }
        self.untagged_ok(
            ResponseCode::UidValidity(mailbox.uid_validity.get()),
            T::UiDsAreValid,
        );
        let uid_next = hikyaku_imap_proto::Uid::new(mailbox.uid_next.max(up_to));
        if let Some(uid_next) = uid_next {
            self.untagged_ok(ResponseCode::UidNext(uid_next), T::PredictedNextUiD);
        }
        let highest = mailbox.highest.0.max(1);
        self.untagged_ok(ResponseCode::HighestModSeq(highest), T::Highest);
        let id = ResponseCode::MailboxId(mailbox_id(mailbox.id));
        self.untagged_ok(id, T::ItsIdentity);
        if rev2 {
            let list = ListResponse::new(name.clone(), Some(DELIMITER), []);
            self.respond(&Response::List(list));
        }
        let theirs = mailbox.id.account != self.account;
        let scope = Scope::Account(mailbox.id.account);
        self.selected = Some(Selected {
            mailbox: mailbox.id,
            rights,
            at: contents.at,
            own: Vec::new(),
            keywords: contents.keywords,
            watch: theirs.then(|| self.service.store.watch(scope)),
            contexts: Vec::new(),
            touched: Vec::new(),
        });
        if let Some(known) = qresync {
            self.resynchronize(&known, &contents.changed).await?;
        }
        let (code, text) = match read_only {
            true => (ResponseCode::ReadOnly, "Examined"),
            false => (ResponseCode::ReadWrite, "Selected"),
        };
        Ok(End(hikyaku_imap_proto::Status::Ok, Some(code), text.into()))
    }

    pub(super) async fn create(&mut self, name: &MailboxName, uses: &[Bytes]) -> Ended {
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
            return Err(End::no(ResponseCode::UseAttr, T::NotAUseThat));
        }
        let Place { account, name } = self.place(name).await?;
        self.note_name(name.trim_end_matches(DELIMITER));
        let special_use = special_use.map(|name| String::from_utf8_lossy(name).into_owned());
        let id = self.make(account, &name, special_use).await?;
        let code = ResponseCode::MailboxId(mailbox_id(id));
        Ok(End(
            hikyaku_imap_proto::Status::Ok,
            Some(code),
            T::Created.into(),
        ))
    }

    /// Makes a mailbox, and the names above it, with the access list of what is above them.
    async fn make(
        &mut self,
        account: AccountId,
        name: &str,
        special_use: Option<String>,
    ) -> Result<MailboxId, End> {
        // RFC 3501 §6.3.3: a delimiter at the end announces children.
        let name = name.trim_end_matches(DELIMITER);
        let all = self.service.store.mailboxes(account, None).await?.mailboxes;
        let there = |name: &str| all.iter().find(|mailbox| mailbox.name == name);
        let above = name.rmatch_indices(DELIMITER);
        let above = above.filter_map(|(at, _)| name.get(..at));
        let parent = above.clone().find_map(there);
        let allowed = account == self.account
            || parent.is_some_and(|parent| self.rights(parent).contains(b'k'));
        if !allowed {
            let visible = parent.is_some_and(|parent| self.rights(parent).contains(b'l'));
            return Err(match visible {
                true => End::no(ResponseCode::NoPerm, T::ThatIsNotAllowed),
                false => no_such_mailbox(),
            });
        }
        let mut made: Vec<&str> = above.take_while(|name| there(name).is_none()).collect();
        made.reverse();
        let create = |name: &str, special_use| Operation::Create {
            name: name.into(),
            special_use,
            uid_validity: None,
        };
        let mut transaction = Transaction::new(account);
        for parent in made {
            transaction = transaction.with(create(parent, None));
        }
        transaction = transaction.with(create(name, special_use));
        let committed = self.service.store.commit(transaction).await?;
        let created = |outcome: &Outcome| match outcome {
            Outcome::Created { id, .. } => Some(*id),
            _ => None,
        };
        let ids: Vec<MailboxId> = committed.outcomes.iter().filter_map(created).collect();
        // RFC 4314 §4: what is made below a shared mailbox is shared as that is.
        let list = parent.map(AccessList::of).unwrap_or_default();
        if !list.entries().is_empty() {
            let mut inherit = Transaction::new(account);
            for &id in &ids {
                inherit = inherit.with(Self::access_operation(id, &list));
            }
            self.service.store.commit(inherit).await?;
        }
        let id = ids.last().copied();
        id.ok_or(End::no(ResponseCode::ServerBug, T::ItIsNotThere))
    }

    pub(super) async fn delete(&mut self, name: &MailboxName) -> Ended {
        let mailbox = self.find(name).await?.needs(b'x')?.mailbox;
        let selected = self
            .selected
            .as_ref()
            .is_some_and(|s| s.mailbox == mailbox.id);
        self.commit(mailbox.id.account, Operation::Delete(mailbox.id))
            .await?;
        if selected {
            // Its messages are gone for this session, too.
            self.selected = None;
            self.bye(T::TheSelectedMailboxWas);
        }
        Ok(End::ok(T::Deleted))
    }

    pub(super) async fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Ended {
        let mailbox = self.find(from).await?.needs(b'x')?.mailbox;
        let Place { account, name: to } = self.place(to).await?;
        if account != mailbox.id.account {
            return Err(End::no(ResponseCode::Cannot, T::AMailboxStaysIn));
        }
        let to = to.trim_end_matches(DELIMITER).to_owned();
        if mailbox.name == "INBOX" {
            // RFC 3501 §6.3.5: INBOX stays, its messages move.
            let new = self.make(account, &to, None).await?;
            let all = Operation::Move {
                from: mailbox.id,
                uids: UidSet::all(),
                to: new,
            };
            self.commit(account, all).await?;
            return Ok(End::ok(T::MovedTheMessagesOf));
        }
        let all = self.service.store.mailboxes(account, None).await?.mailboxes;
        let parent = to.rsplit_once(DELIMITER).map(|(parent, _)| parent);
        let there = parent.map(|name| all.iter().find(|mailbox| mailbox.name == name));
        match (parent, there) {
            (Some(parent), Some(None)) => drop(self.make(account, parent, None).await?),
            (_, Some(Some(parent))) if !self.rights(parent).contains(b'k') => {
                return Err(End::no(ResponseCode::NoPerm, T::ThatIsNotAllowedThere));
            }
            (None, _) if account != self.account => {
                return Err(End::no(ResponseCode::NoPerm, T::ThatIsNotAllowedThere));
            }
            _ => {}
        }
        let id = mailbox.id;
        self.commit(account, Operation::Rename { mailbox: id, to })
            .await?;
        Ok(End::ok(T::Renamed))
    }

    pub(super) async fn subscribe(&mut self, name: &MailboxName, subscribed: bool) -> Ended {
        let name = kept(name.as_str());
        let name = name.trim_end_matches(DELIMITER).to_owned();
        self.commit(self.account, Operation::Subscribe { name, subscribed })
            .await?;
        Ok(End::ok(T::Noted))
    }

    pub(super) async fn status(
        &mut self,
        name: &MailboxName,
        attributes: &[StatusAttribute],
    ) -> Ended {
        let mailbox = self.find(name).await?.needs(b'r')?.mailbox;
        self.send_status(name.clone(), &mailbox, attributes).await?;
        Ok(End::ok(T::Status))
    }

    pub(super) async fn send_status(
        &mut self,
        name: MailboxName,
        mailbox: &Mailbox,
        attributes: &[StatusAttribute],
    ) -> Result<(), End> {
        let recent = match attributes.contains(&StatusAttribute::Recent) {
            true => self.count_recent(mailbox).await?,
            false => 0,
        };
        let deleted_octets = match attributes.contains(&StatusAttribute::DeletedStorage) {
            true => self.deleted_octets(mailbox).await?,
            false => 0,
        };
        let limit = self.service.options.message_size;
        let value = |attribute: &StatusAttribute| {
            use StatusAttribute as A;
            let number = match attribute {
                A::Messages => mailbox.messages.into(),
                A::Recent => recent,
                A::UidNext => mailbox.uid_next.into(),
                A::UidValidity => mailbox.uid_validity.get().into(),
                A::Unseen => mailbox.unseen.into(),
                A::Deleted => mailbox.deleted.into(),
                A::DeletedStorage => deleted_octets,
                A::Size => mailbox.octets,
                A::HighestModSeq => mailbox.highest.0.max(1),
                A::MailboxId => return Some(StatusItem::MailboxId(mailbox_id(mailbox.id))),
                A::AppendLimit => return Some(StatusItem::AppendLimit(Some(limit))),
                _ => return None,
            };
            Some(StatusItem::Number(attribute.clone(), number))
        };
        let items = attributes.iter().filter_map(value).collect();
        self.respond(&Response::MailboxStatus(name, items));
        Ok(())
    }

    /// Octets of what is `\Deleted` (RFC 9208 §4.1.4).
    async fn deleted_octets(&self, mailbox: &Mailbox) -> Result<u64, End> {
        let (mut octets, mut after) = (0, None);
        // What there are none of need not be looked for.
        let mut left = mailbox.deleted;
        while left > 0 {
            let page = self
                .service
                .store
                .messages(mailbox.id, &Which::After(after), Want::ROW, 1000)
                .await?;
            after = page.rows.last().map(|row| row.uid);
            for row in page
                .rows
                .iter()
                .filter(|row| row.flags.contains(&Flags::DELETED))
            {
                octets += row.body.octets;
                left = left.saturating_sub(1);
            }
            if !page.more {
                break;
            }
        }
        Ok(octets)
    }

    async fn quota(&mut self, root: Bytes, account: AccountId) -> Result<(), End> {
        let account = self.service.store.account_by_id(account).await?;
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
        self.respond(&Response::Quota(root, resources));
        Ok(())
    }

    pub(super) async fn get_quota(&mut self, root: &[u8]) -> Ended {
        if !root.is_empty() {
            return Err(End::no(ResponseCode::NonExistent, T::ThereIsNoSuchQuota));
        }
        self.quota("".into(), self.account).await?;
        Ok(End::ok(T::Quota))
    }

    pub(super) async fn get_quota_root(&mut self, name: &MailboxName) -> Ended {
        let mailbox = self.find(name).await?.needs(b'r')?.mailbox;
        // What somebody else has room for is theirs to know.
        let own = mailbox.id.account == self.account;
        let roots = if own { vec!["".into()] } else { Vec::new() };
        self.respond(&Response::QuotaRoot(name.clone(), roots));
        if own {
            self.quota("".into(), self.account).await?;
        }
        Ok(End::ok(T::Quota))
    }

    pub(super) async fn close(&mut self) -> Ended {
        let mailbox = self.current()?;
        // RFC 4314 §4: without the right nothing goes, and nothing is said.
        if !self.is_read_only() && self.may(b'e') {
            let expunge = Operation::Expunge {
                mailbox,
                uids: UidSet::all(),
                deleted_only: true,
            };
            self.commit(mailbox.account, expunge).await?;
        }
        // Nothing is said of what went.
        self.selected = None;
        Ok(End::ok(T::Closed))
    }
}
