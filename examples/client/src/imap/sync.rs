//! Bringing the mirrors to what the server has: by QRESYNC where it has that, else by CONDSTORE, else by
//! asking for all UIDs and flags.

use bytes::{Bytes, BytesMut};
use imap_proto::client::Event;
use imap_proto::{
    Command, DateTime, Fetch, FetchAttribute, FetchItem, Flag, List, ListAttribute, ListResponse,
    MailboxName, Pattern, QResync, Response, ReturnOptions, SearchKey, Section, SectionText,
    SequenceSet,
};
use mailstore::message::Structure;
use mailstore::{
    Append, FlagChange, Flags, MailboxId, Operation, Outcome, Transaction, Uid, UidSet, Want, Which,
};
use std::collections::{BTreeMap, BTreeSet};

use super::replay::{replay, search};
use super::{Mirror, Session, bodies};
use crate::local::{SIZE_FIELD, mirrored};
use crate::{Account, Local, Progress, Report, Result};

/// So many messages are asked for, and kept, at a time.
const BATCH: usize = 500;
/// So many such commands are under way at once.
const AHEAD: usize = 4;
/// The fields that a list, a reply and a thread need.
const FIELDS: [&str; 10] = [
    "DATE",
    "FROM",
    "SENDER",
    "REPLY-TO",
    "TO",
    "CC",
    "SUBJECT",
    "MESSAGE-ID",
    "REFERENCES",
    "CONTENT-TYPE",
];

/// Replays what waits, then brings the list of every mailbox, and the bodies the account wants.
pub(crate) async fn sync(
    session: &mut Session,
    local: &Local,
    account: &Account,
    progress: &Progress,
) -> Result<Report> {
    let mut report = Report::default();
    let can = |name| session.capabilities().has(name);
    let (enable, qresync) = (can("ENABLE"), can("QRESYNC"));
    let qresync = enable && qresync && {
        let command = Command::Enable(["QRESYNC".into()].into());
        session.run(command, |_| {}).await.is_ok()
    };
    mailboxes(session, local).await?;
    replay(session, local, &mut report).await?;
    let mut wanted = Vec::new();
    for (mailbox, remote) in mailboxes(session, local).await? {
        let mut pull = Pull {
            session: &mut *session,
            local,
            mailbox: &mailbox,
            remote,
            qresync,
            progress,
            report: &mut report,
        };
        match pull.run().await {
            Ok(()) => wanted.push(mailbox),
            // One mailbox that cannot be opened keeps no other from being brought.
            Err(crate::Error::Refused(why)) => report.warnings.push(format!("{mailbox}: {why}")),
            Err(error) => return Err(error),
        }
    }
    if session.capabilities().has("QUOTA") {
        report.quota = quota(session).await?;
    }
    for mailbox in wanted {
        bodies::bring(session, local, account, &mailbox, progress, &mut report).await?;
    }
    Ok(report)
}

/// Octets used and allowed of what INBOX counts for (RFC 9208), which is told in units of 1 024.
async fn quota(session: &mut Session) -> Result<Option<(u64, u64)>> {
    let mut storage = None;
    let ask = Command::GetQuotaRoot(MailboxName::new("INBOX"));
    let asked = session.run(ask, |event| {
        if let Event::Data(Response::Quota(_, resources)) = event {
            let found = resources
                .iter()
                .find(|(name, ..)| name.eq_ignore_ascii_case(b"STORAGE"));
            storage = found
                .map(|(_, used, limit)| (used.saturating_mul(1024), limit.saturating_mul(1024)));
        }
    });
    match asked.await {
        Ok(_) | Err(crate::Error::Refused(_)) => Ok(storage),
        Err(error) => Err(error),
    }
}

/// Makes the mailboxes here as they are there: names here, and names there.
async fn mailboxes(session: &mut Session, local: &Local) -> Result<Vec<(String, MailboxName)>> {
    let mut list = List::new(Pattern::new("*"));
    if session.capabilities().has("SPECIAL-USE") && session.capabilities().has("LIST-EXTENDED") {
        list.extended = true;
        let mut returns = ReturnOptions::default();
        returns.special_use = true;
        list.returns = returns;
    }
    let mut listed: Vec<ListResponse> = Vec::new();
    session
        .run(Command::List(list), |event| {
            if let Event::Data(Response::List(one)) = event {
                listed.push(one);
            }
        })
        .await?;
    let unselectable = |one: &ListResponse| {
        [ListAttribute::NoSelect, ListAttribute::NonExistent]
            .iter()
            .any(|a| one.attributes.contains(a))
    };
    listed.retain(|one| !unselectable(one));
    let there: BTreeMap<_, _> = local
        .mailboxes()
        .await?
        .into_iter()
        .map(|folder| (folder.name.clone(), folder))
        .collect();
    let mut all = Vec::new();
    let mut used = BTreeSet::new();
    for one in &listed {
        let remote = one.name.as_str();
        let name = match one.delimiter {
            Some(delimiter) if delimiter != '/' => remote.replace('/', "_").replace(delimiter, "/"),
            _ => remote.to_owned(),
        };
        if !used.insert(name.clone()) {
            continue;
        }
        if !there.contains_key(&name) {
            let create = Operation::Create {
                name: mirrored(&name).to_owned(),
                special_use: special_use(one, &listed),
                uid_validity: None,
            };
            match local
                .commit(Transaction::new(local.account).with(create))
                .await
            {
                // A name that no mailbox here may have is left out.
                Err(crate::Error::Store(mailstore::Error::InvalidName(_))) => continue,
                done => done.map(drop)?,
            }
        }
        all.push((name, one.name.clone()));
    }
    for (name, folder) in there {
        if !used.contains(&name) {
            let gone = Transaction::new(local.account)
                .with(Operation::Delete(folder.id))
                .with(Mirror::forget(&name));
            local.commit(gone).await?;
        }
    }
    Ok(all)
}

/// What the server says a mailbox is for; by its usual name, where no mailbox says so.
fn special_use(one: &ListResponse, all: &[ListResponse]) -> Option<String> {
    let told = |one: &ListResponse| one.attributes.special_uses().next().map(str::to_owned);
    let usual = [
        (
            "\\Sent",
            &["sent", "sent items", "sent messages", "送信済み"][..],
        ),
        ("\\Drafts", &["drafts", "draft", "下書き"]),
        (
            "\\Trash",
            &["trash", "deleted items", "deleted messages", "ごみ箱"],
        ),
        ("\\Junk", &["junk", "spam", "junk e-mail", "迷惑メール"]),
    ];
    told(one).or_else(|| {
        let name = one.name.as_str().to_lowercase();
        let last = one
            .delimiter
            .and_then(|d| name.rsplit(d).next())
            .unwrap_or(&name);
        let (found, _) = usual.into_iter().find(|(_, names)| names.contains(&last))?;
        let said = all
            .iter()
            .any(|other| told(other).is_some_and(|said| said == found));
        (!said).then(|| found.to_owned())
    })
}

/// One mailbox, brought here.
struct Pull<'a> {
    session: &'a mut Session,
    local: &'a Local,
    mailbox: &'a str,
    remote: MailboxName,
    qresync: bool,
    progress: &'a Progress,
    report: &'a mut Report,
}

/// What is known here.
struct Known {
    id: MailboxId,
    mirror: Mirror,
    /// UIDs, and the flags of each.
    flags: BTreeMap<u32, Flags>,
}

/// What changed there.
#[derive(Default)]
struct Changes {
    /// UIDs with their flags: all of them, or those that changed.
    flags: BTreeMap<u32, Flags>,
    /// All UIDs that there are, when the server was asked for them.
    all: Option<BTreeSet<u32>>,
    gone: UidSet,
}

impl Pull<'_> {
    async fn run(&mut self) -> Result<()> {
        let mut known = self.known().await?;
        let mut changes = Changes::default();
        let resync = self.qresync && known.mirror.modseq > 0 && known.mirror.uid_validity > 0;
        let select = Command::Select {
            mailbox: self.remote.clone(),
            read_only: true,
            condstore: !self.qresync && self.session.capabilities().has_condstore(),
            qresync: resync.then_some(QResync {
                uid_validity: known.mirror.uid_validity,
                modseq: known.mirror.modseq,
                known_uids: None,
                sequence_match: None,
            }),
        };
        self.session
            .run(select, |event| changes.take(event))
            .await?;
        let Some(selected) = self.session.selected() else {
            return Ok(());
        };
        let validity = selected.uid_validity.unwrap_or(1);
        let modseq = selected.highest_modseq.unwrap_or(0);
        let exists = selected.view.len();
        let uid_next = selected.uid_next;
        if validity != known.mirror.uid_validity {
            if known.mirror.uid_validity > 0 {
                self.forget(&known).await?;
                known = self.known().await?;
            }
            known.mirror = Mirror {
                remote: self.remote.as_str().to_owned(),
                uid_validity: validity,
                uid_next: 1,
                modseq: 0,
            };
            changes = Changes::default();
        } else if !resync {
            let unchanged = modseq > 0
                && modseq == known.mirror.modseq
                && uid_next == Some(known.mirror.uid_next);
            if unchanged && exists as usize == known.flags.len() {
                return Ok(());
            }
            self.ask_for_flags(&known, modseq, &mut changes).await?;
        }
        // UIDs from here on are not known.
        let from = known.mirror.uid_next.max(1);
        let new = match uid_next {
            Some(uid_next) if uid_next <= from => Vec::new(),
            _ if exists == 0 => Vec::new(),
            _ => self.new_uids(from).await?,
        };
        if changes.all.is_none() && !known.flags.is_empty() {
            // Those that went without a word: the counts do not match.
            let gone = known
                .flags
                .keys()
                .filter(|uid| changes.is_gone(**uid))
                .count();
            if known.flags.len() - gone + new.len() != exists as usize {
                let all = search(self.session, SearchKey::All).await?;
                changes.all = Some(all.into_iter().collect());
            }
        }
        self.apply(&known, &changes).await?;
        self.fetch_new(&mut known, &new).await?;
        known.mirror.modseq = modseq;
        known.mirror.uid_next = uid_next
            .unwrap_or(known.mirror.uid_next)
            .max(known.mirror.uid_next);
        let keep = known.mirror.keep(self.mailbox);
        self.local
            .commit(Transaction::new(self.local.account).with(keep))
            .await?;
        Ok(())
    }

    async fn known(&self) -> Result<Known> {
        let id = self.local.mailbox(self.mailbox).await?.id;
        let properties = self.local.properties(self.local.account).await?;
        let which = Which::After(None);
        let rows = self
            .local
            .store
            .messages(id, &which, Want::ROW, usize::MAX)
            .await?
            .rows;
        Ok(Known {
            id,
            mirror: Mirror::of(&properties, self.mailbox).unwrap_or_default(),
            flags: rows
                .into_iter()
                .map(|row| (row.uid.get(), row.flags))
                .collect(),
        })
    }

    /// The mirror is of another mailbox than the one there is now: it is begun anew.
    async fn forget(&self, known: &Known) -> Result<()> {
        let folder = self.local.mailbox(self.mailbox).await?;
        let create = Operation::Create {
            name: mirrored(self.mailbox).to_owned(),
            special_use: folder.special_use,
            uid_validity: None,
        };
        let transaction = Transaction::new(self.local.account)
            .with(Operation::Delete(known.id))
            .with(create)
            .with(Mirror::forget(self.mailbox));
        self.local.commit(transaction).await?;
        let all = UidSet::from_ranges(known.flags.keys().map(|&uid| (uid, uid)));
        bodies::forget(self.local, self.mailbox, known.mirror.uid_validity, &all).await
    }

    async fn ask_for_flags(
        &mut self,
        known: &Known,
        modseq: u64,
        changes: &mut Changes,
    ) -> Result<()> {
        if known.flags.is_empty() {
            return Ok(());
        }
        let last = known.mirror.uid_next.saturating_sub(1).max(1);
        let Some(set) = SequenceSet::of_ranges([(1, last)]) else {
            return Ok(());
        };
        let mut fetch = Fetch::new(set, [FetchAttribute::Uid, FetchAttribute::Flags]);
        if modseq > 0 && known.mirror.modseq > 0 {
            fetch.changed_since = Some(known.mirror.modseq);
        }
        let partly = fetch.changed_since.is_some();
        self.session
            .run(Command::Fetch { fetch, uid: true }, |event| {
                changes.take(event);
            })
            .await?;
        if !partly {
            // All that there are were told; those that are not among them are gone.
            let all = changes.flags.keys().copied();
            changes.all = Some(all.collect());
        }
        Ok(())
    }

    async fn new_uids(&mut self, from: u32) -> Result<Vec<u32>> {
        let set = SequenceSet::of_ranges([(from, u32::MAX)]).unwrap_or_else(SequenceSet::all);
        // Some servers take `n:4294967295` for nothing, and all of them `n:*`, which has the last always.
        let set = std::num::NonZeroU32::new(from).map_or(set, SequenceSet::from_first);
        let mut uids = search(self.session, SearchKey::Uid(set)).await?;
        uids.retain(|&uid| uid >= from);
        uids.dedup();
        Ok(uids)
    }

    /// Flags that changed, and what is gone.
    async fn apply(&mut self, known: &Known, changes: &Changes) -> Result<()> {
        let mut by_flags: Vec<(Flags, UidSet)> = Vec::new();
        for (uid, flags) in &changes.flags {
            let changed = known.flags.get(uid).is_some_and(|before| before != flags);
            let Some(uid) = Uid::new(*uid).filter(|_| changed) else {
                continue;
            };
            self.report.changed += 1;
            match by_flags.iter_mut().find(|(same, _)| same == flags) {
                Some((_, uids)) => uids.insert(uid),
                None => {
                    let mut uids = UidSet::new();
                    uids.insert(uid);
                    by_flags.push((flags.clone(), uids));
                }
            }
        }
        let mut gone = UidSet::new();
        for uid in known.flags.keys().filter(|uid| changes.is_gone(**uid)) {
            if let Some(uid) = Uid::new(*uid) {
                gone.insert(uid);
            }
        }
        let mut transaction = Transaction::new(self.local.account);
        for (flags, uids) in by_flags {
            transaction = transaction.with(Operation::Flags {
                mailbox: known.id,
                uids,
                change: FlagChange::Set(flags),
                unchanged_since: None,
            });
        }
        if !gone.is_empty() {
            transaction = transaction.with(Operation::Expunge {
                mailbox: known.id,
                uids: gone.clone(),
                deleted_only: false,
            });
        }
        if !transaction.operations.is_empty() {
            self.local.commit(transaction).await?;
        }
        self.report.gone += usize::try_from(gone.len()).unwrap_or(usize::MAX);
        bodies::forget(self.local, self.mailbox, known.mirror.uid_validity, &gone).await
    }

    /// Brings the list of new messages, a batch at a time: a batch is kept when all of it was told, so
    /// that no UID is passed over.
    async fn fetch_new(&mut self, known: &mut Known, new: &[u32]) -> Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        self.progress.begin(self.mailbox, new.len() as u64);
        let mut batches = new.chunks(BATCH);
        let mut under_way = std::collections::VecDeque::new();
        let mut arrived: BTreeMap<u32, Arrived> = BTreeMap::new();
        let mut header = BytesMut::new();
        loop {
            while under_way.len() < AHEAD {
                let Some(batch) = batches.next() else { break };
                let Some(set) = SequenceSet::of_numbers(batch.iter().copied()) else {
                    continue;
                };
                let handle = self
                    .session
                    .issue(Command::uid_fetch(set, list_attributes()))?;
                let last = batch.last().copied().unwrap_or(0);
                under_way.push_back((handle, last, false));
            }
            if under_way.is_empty() {
                break;
            }
            match self.session.next().await? {
                Event::Section { .. } => header.clear(),
                Event::Chunk(octets) => header.extend_from_slice(&octets),
                Event::Fetch {
                    uid: Some(uid),
                    items,
                    ..
                } => {
                    let header = header.split().freeze();
                    // Flags alone may be told of any message at any time.
                    if new.binary_search(&uid).is_ok() && !header.is_empty() {
                        arrived.insert(uid, Arrived::of(header, items));
                        self.progress.step();
                    }
                }
                Event::Completed(handle, end) => {
                    super::accepted(end)?;
                    for one in under_way.iter_mut().filter(|(of, ..)| *of == handle) {
                        one.2 = true;
                    }
                    // In the order they were asked for: UIDs ascend.
                    while let Some((_, last, true)) = under_way.front().copied() {
                        under_way.pop_front();
                        let rest = arrived.split_off(&(last + 1));
                        let batch = std::mem::replace(&mut arrived, rest);
                        self.keep(known, batch, last).await?;
                    }
                }
                _ => {}
            }
        }
        self.progress.end();
        Ok(())
    }

    async fn keep(
        &mut self,
        known: &mut Known,
        batch: BTreeMap<u32, Arrived>,
        last: u32,
    ) -> Result<()> {
        let mut transaction = Transaction::new(self.local.account);
        let count = batch.len();
        for (uid, arrived) in batch {
            let octets = arrived.octets();
            let summary = Structure::of(&octets).encode();
            let mut stage = self.local.store.stage().await?;
            stage.write(octets).await?;
            let mut append = Append::new(known.id, stage.finish().await?, arrived.received);
            append.summary = summary;
            append.flags = arrived.flags;
            append.uid = Uid::new(uid);
            transaction = transaction.with(Operation::Append(Box::new(append)));
        }
        known.mirror.uid_next = last.saturating_add(1);
        // Flags are brought again until all is here: the mod-sequence comes last.
        let state = Mirror {
            modseq: 0,
            ..known.mirror.clone()
        };
        transaction = transaction.with(state.keep(self.mailbox));
        let committed = self.local.commit(transaction).await?;
        let appended = |outcome: &&Outcome| matches!(outcome, Outcome::Appended { .. });
        debug_assert_eq!(committed.outcomes.iter().filter(appended).count(), count);
        self.report.new += count;
        Ok(())
    }
}

impl Changes {
    fn take(&mut self, event: Event) {
        match event {
            Event::Fetch {
                uid: Some(uid),
                items,
                ..
            } => {
                if let Some(flags) = flags_of(&items) {
                    self.flags.insert(uid, flags);
                }
            }
            Event::Vanished { uids, .. } => {
                let before = self.gone.ranges().to_vec();
                self.gone = UidSet::from_ranges(before.into_iter().chain(uids));
            }
            _ => {}
        }
    }

    fn is_gone(&self, uid: u32) -> bool {
        let told = Uid::new(uid).is_some_and(|uid| self.gone.contains(uid));
        told || self.all.as_ref().is_some_and(|all| !all.contains(&uid))
    }
}

fn list_attributes() -> [FetchAttribute; 5] {
    let fields = FIELDS
        .iter()
        .map(|name| Bytes::from_static(name.as_bytes()));
    let text = SectionText::fields(fields);
    [
        FetchAttribute::Uid,
        FetchAttribute::Flags,
        FetchAttribute::InternalDate,
        FetchAttribute::Rfc822Size,
        FetchAttribute::peek(Section {
            part: Vec::new(),
            text,
        }),
    ]
}

/// What a list tells of a message.
struct Arrived {
    header: Bytes,
    octets: u64,
    flags: Flags,
    received: (i64, i16),
}

impl Arrived {
    fn of(header: Bytes, items: Vec<FetchItem>) -> Self {
        let flags = flags_of(&items).unwrap_or(Flags::NONE);
        let mut arrived = Self {
            header,
            octets: 0,
            flags,
            received: (0, 0),
        };
        for item in items {
            match item {
                FetchItem::Rfc822Size(octets) => arrived.octets = octets,
                FetchItem::InternalDate(DateTime { seconds, zone }) => {
                    arrived.received = (seconds, zone);
                }
                _ => {}
            }
        }
        arrived
    }

    /// The row's octets: the size of the whole, and the fields.
    fn octets(&self) -> Bytes {
        let size = format!("{SIZE_FIELD}: {}\r\n", self.octets);
        [size.as_bytes(), &self.header].concat().into()
    }
}

/// `\Recent` and what else is no flag that stays is left out.
fn flags_of(items: &[FetchItem]) -> Option<Flags> {
    let told = items.iter().find_map(|item| match item {
        FetchItem::Flags(flags) => Some(flags),
        _ => None,
    })?;
    let mut flags = Flags::NONE;
    for flag in told.iter() {
        match flag {
            Flag::Seen => flags.add(&Flags::SEEN),
            Flag::Answered => flags.add(&Flags::ANSWERED),
            Flag::Flagged => flags.add(&Flags::FLAGGED),
            Flag::Deleted => flags.add(&Flags::DELETED),
            Flag::Draft => flags.add(&Flags::DRAFT),
            Flag::Keyword(name) => {
                let _ = flags.add_keyword(&String::from_utf8_lossy(&name));
            }
            _ => {}
        }
    }
    Some(flags)
}
