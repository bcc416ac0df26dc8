//! Bringing the mirrors to what the server has: by QRESYNC where it has that, else by CONDSTORE, else by
//! asking for all UIDs and flags.
//!
//! A server may announce what it does not know, count wrong, or answer in part. What it refuses is asked in a
//! plainer way; what it does not list is asked for once more, in another way, before it is taken for gone; what
//! goes wrong with one mailbox is named and stops no other.

use hikyaku_imap_proto::client::Event;
use hikyaku_imap_proto::{
    Command, Fetch, FetchAttribute, MailboxName, Numbers, QResync, Response, ResponseCode,
    SearchKey, SequenceSet, Status, StatusAttribute, StatusItem,
};
use hikyaku_mailstore::{
    FlagChange, Flags, MailboxId, Operation, Transaction, Uid, UidSet, Want, Which,
};
use hikyaku_wire::Secret;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use super::able::Able;
use super::answers::{listed, search, still_there};
use super::line::{Line, Lost};
use super::mailboxes::{Mailboxes, mailboxes};
use super::missing::{Doubt, Missing, set_of};
use super::parts::{flags_named, flags_of};
use super::replay::replay;
use super::words::words;
use super::{Mirror, Session, accepted, bodies};
use crate::local::mirrored;
use crate::{Account, Dial, Error, Local, Op, Progress, Report, Result};

/// Replays what waits, then brings the list of every mailbox, and the bodies the account wants.
pub(crate) async fn sync(
    dial: &dyn Dial,
    local: &Local,
    account: &Account,
    password: &Secret,
    progress: &dyn Progress,
) -> Result<Report> {
    let mut report = Report::default();
    let mut line = Line::open(dial, account, password).await?;
    let there = all_mailboxes(&mut line, local, &mut Report::default()).await?;
    replay(&mut line, local, &there, &mut report).await?;
    let mut wanted = Vec::new();
    for (mailbox, remote) in all_mailboxes(&mut line, local, &mut report).await?.all {
        let mut lost = Lost::default();
        loop {
            let mut pull = Pull {
                session: &mut line.session,
                local,
                mailbox: &mailbox,
                remote: remote.clone(),
                able: &mut line.able,
                progress,
                report: &mut report,
                avoid: &lost.avoid,
                suspect: None,
            };
            let done = pull.run().await;
            let suspect = pull.suspect;
            match done {
                Ok(()) => {
                    wanted.push((mailbox, remote));
                    break;
                }
                Err(error) => {
                    if !goes_on(&mut line, error, &mut lost, suspect, &mailbox, &mut report).await?
                    {
                        break;
                    }
                }
            }
        }
    }
    if line.session.capabilities().has("QUOTA") {
        report.quota = quota(&mut line.session).await?;
    }
    for (mailbox, remote) in wanted {
        let mut lost = Lost::default();
        loop {
            let mut bring = bodies::Bring {
                session: &mut line.session,
                local,
                account,
                mailbox: &mailbox,
                remote: remote.clone(),
                progress,
                report: &mut report,
                lost: &lost,
                suspect: None,
            };
            let brought = bodies::bring(&mut bring).await;
            let suspect = bring.suspect;
            match brought {
                Ok(()) => break,
                Err(error) => {
                    if !goes_on(&mut line, error, &mut lost, suspect, &mailbox, &mut report).await?
                    {
                        break;
                    }
                }
            }
        }
    }
    line.session.log_out().await;
    Ok(report)
}

/// The mailboxes; those that are known, where the list of them breaks off or has no end.
async fn all_mailboxes(
    line: &mut Line<'_>,
    local: &Local,
    report: &mut Report,
) -> Result<Mailboxes> {
    match mailboxes(&mut line.session, local, report, None).await {
        Err(error @ Error::Protocol(_)) => {
            let error = line.again(error).await?;
            mailboxes(&mut line.session, local, report, Some(words(error))).await
        }
        done => done,
    }
}

/// After something went wrong with a mailbox: whether it is tried once more. It keeps no other from being brought.
async fn goes_on(
    line: &mut Line<'_>,
    error: Error,
    lost: &mut Lost,
    suspect: Option<u32>,
    mailbox: &str,
    report: &mut Report,
) -> Result<bool> {
    let of_the_mailbox = matches!(
        error,
        Error::Refused(_) | Error::Store(_) | Error::NotFound(_)
    );
    let (error, again) = match of_the_mailbox {
        true => (error, false),
        false => {
            let error = line.again(error).await?;
            let again = lost.one_more(suspect, &error);
            (error, again)
        }
    };
    if !again {
        report.warnings.push(format!("{mailbox}: {}", words(error)));
    }
    Ok(again)
}

/// Octets used and allowed of what INBOX counts for (RFC 9208), which is sent in units of 1 024. Of several roots
/// the one that is fullest.
async fn quota(session: &mut Session) -> Result<Option<(u64, u64)>> {
    let mut storage: Option<(u64, u64)> = None;
    let ask = Command::GetQuotaRoot(MailboxName::new("INBOX"));
    let asked = session.ask(ask, |event| {
        if let Event::Data(Response::Quota(_, resources)) = event {
            let found = resources
                .iter()
                .filter(|(name, ..)| name.eq_ignore_ascii_case(b"STORAGE"));
            for (_, used, limit) in found {
                let one = (used.saturating_mul(1024), limit.saturating_mul(1024));
                let left = |(used, limit): (u64, u64)| limit.saturating_sub(used);
                storage = Some(storage.map_or(one, |before| {
                    if left(one) < left(before) {
                        one
                    } else {
                        before
                    }
                }));
            }
        }
    });
    asked.await?;
    Ok(storage)
}

/// One mailbox, brought here.
pub(super) struct Pull<'a> {
    pub(super) session: &'a mut Session,
    pub(super) local: &'a Local,
    pub(super) mailbox: &'a str,
    remote: MailboxName,
    able: &'a mut Able,
    pub(super) progress: &'a dyn Progress,
    pub(super) report: &'a mut Report,
    /// Messages that are not asked for, and what becomes of the connection when they are.
    pub(super) avoid: &'a BTreeMap<u32, String>,
    /// The message that had not come when the connection was lost.
    pub(super) suspect: Option<u32>,
}

/// What is known here.
pub(super) struct Known {
    pub(super) id: MailboxId,
    pub(super) mirror: Mirror,
    /// UIDs, and the flags of each.
    flags: BTreeMap<u32, Flags>,
    /// UIDs below `uid_next` that the server has and did not give.
    pub(super) missing: BTreeSet<u32>,
    /// Flags that were changed here and wait for the server: they stay as they are shown.
    waiting: Vec<(u32, Flags, Flags)>,
    /// What the last sync missed and did not believe to be gone.
    doubt: UidSet,
    /// The server says UIDVALIDITY when a mailbox is opened.
    pub(super) has_validity: bool,
}

/// What changed there.
#[derive(Default)]
struct Changes {
    /// UIDs with their flags: all of them, or those that changed.
    flags: BTreeMap<u32, Flags>,
    /// All UIDs that there are, when the server was asked for them.
    all: Option<BTreeSet<u32>>,
    /// VANISHED and EXPUNGE, as they came.
    vanished: Vec<(u32, u32)>,
    /// The same, put together.
    gone: UidSet,
}

impl Pull<'_> {
    async fn run(&mut self) -> Result<()> {
        let mut known = self.known().await?;
        let mut changes = Changes::default();
        let mut resync = self.select(&known, &mut changes).await?;
        let Some(selected) = self.session.selected() else {
            return Err(Error::Refused("it was not opened".into()));
        };
        let modseq = selected.highest_modseq.unwrap_or(0);
        let uid_next = selected.uid_next;
        known.has_validity = selected.uid_validity.is_some();
        let validity = match selected.uid_validity {
            Some(validity) => validity,
            None => self.validity(&known).await?,
        };
        if validity != known.mirror.uid_validity {
            if known.mirror.uid_validity > 0 {
                self.forget(&known).await?;
                known = self.known().await?;
            }
            known.mirror = Mirror {
                remote: Mirror::remote_of(&self.remote),
                uid_validity: validity,
                uid_next: 1,
                modseq: 0,
            };
            known.missing.clear();
            known.has_validity = true;
            changes = Changes::default();
            resync = false;
        }
        // A server that went back knows nothing of what changed since.
        let resync = resync && modseq >= known.mirror.modseq;
        if !resync {
            let unchanged = modseq > 0 && modseq == known.mirror.modseq;
            if unchanged && known.missing.is_empty() && self.counts(known.flags.len()) {
                return Ok(());
            }
            self.ask_for_flags(&known, modseq, &mut changes).await?;
        }
        changes.settle();
        let uid_next = uid_next.map(hikyaku_imap_proto::Uid::get);
        let new = self.news(&mut known, &changes, uid_next).await?;
        let (new, gone) = self.gone(&mut known, &mut changes, new).await?;
        self.apply(&mut known, &changes, &gone).await?;
        self.fetch(&mut known, &new).await?;
        known.mirror.modseq = modseq;
        let transaction = Transaction::new(self.local.account)
            .with(known.mirror.keep(self.mailbox))
            .with(self.missing(&known).keep(self.mailbox));
        self.local.commit(transaction).await?;
        Ok(())
    }

    /// Opens the mailbox, in the way that knows most and is not refused. Whether what changed comes with that.
    async fn select(&mut self, known: &Known, changes: &mut Changes) -> Result<bool> {
        let open = |condstore, qresync| Command::Select {
            mailbox: self.remote.clone(),
            read_only: true,
            condstore,
            qresync,
        };
        let mut ways = Vec::new();
        if self.able.qresync && known.mirror.modseq > 0 && known.mirror.uid_validity > 0 {
            let qresync = QResync {
                uid_validity: known.mirror.uid_validity,
                modseq: known.mirror.modseq,
                known_uids: None,
                sequence_match: None,
            };
            ways.push((true, open(false, Some(qresync))));
        }
        if self.able.condstore && !self.able.qresync {
            ways.push((false, open(true, None)));
        }
        ways.push((false, open(false, None)));
        let last = ways.len() - 1;
        for (at, (resync, way)) in ways.into_iter().enumerate() {
            *changes = Changes::default();
            let end = self.session.ask(way, |event| changes.take(event)).await?;
            match end.status {
                Status::Ok => return Ok(resync),
                _ if at == last => return accepted(end).map(|_| false),
                // It announces what it does not know, and need not be asked so again.
                Status::Bad if resync => self.able.qresync = false,
                Status::Bad => self.able.condstore = false,
                _ => {}
            }
        }
        Ok(false)
    }

    /// UIDVALIDITY of a server that does not say it when a mailbox is opened: by STATUS; else what it was before.
    async fn validity(&mut self, known: &Known) -> Result<u32> {
        let mut found = None;
        let attributes = [StatusAttribute::UidValidity].into();
        let mailbox = self.remote.clone();
        let command = Command::Status {
            mailbox,
            attributes,
        };
        let asked = self.session.ask(command, |event| {
            if let Event::Data(Response::MailboxStatus(_, items)) = event {
                for item in items {
                    if let StatusItem::Number(StatusAttribute::UidValidity, value) = item {
                        found = u32::try_from(value).ok().filter(|&value| value > 0);
                    }
                }
            }
        });
        asked.await?;
        let before = Some(known.mirror.uid_validity).filter(|&before| before > 0);
        Ok(found.or(before).unwrap_or(1))
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
        let mirror = Mirror::of(&properties, self.mailbox).unwrap_or_default();
        let mut waiting = Vec::new();
        for (_, op) in self.local.ops().await? {
            if let Op::Flags {
                mailbox,
                uid,
                add,
                remove,
            } = op
                && mailbox == self.mailbox
            {
                waiting.push((uid, flags_named(&add), flags_named(&remove)));
            }
        }
        let missing = Missing::of(&properties, self.mailbox, mirror.uid_validity);
        Ok(Known {
            id,
            flags: rows
                .into_iter()
                .map(|row| (row.uid.get(), row.flags))
                .collect(),
            missing: missing.iter().map(Uid::get).collect(),
            waiting,
            doubt: Doubt::of(&properties, self.mailbox),
            mirror,
            has_validity: true,
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
            .with(Mirror::forget(self.mailbox))
            .with(Missing::default().keep(self.mailbox));
        self.local.commit(transaction).await?;
        let all = UidSet::from_ranges(known.flags.keys().map(|&uid| (uid, uid)));
        bodies::forget(self.local, self.mailbox, known.mirror.uid_validity, &all).await
    }

    /// Whether the server counts so many messages.
    fn counts(&self, messages: usize) -> bool {
        self.counted() == messages
    }

    fn counted(&self) -> usize {
        let selected = self.session.selected();
        selected.map_or(0, |selected| selected.view.len() as usize)
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
        let since = known.mirror.modseq;
        if modseq >= since && since > 0 && self.able.changed_since {
            let (end, _) = self.flags_below(known, Some(since), None, changes).await?;
            match end {
                Status::Ok => return Ok(()),
                _ => self.able.changed_since = false,
            }
        }
        let mut below = None;
        loop {
            let (end, limit) = self.flags_below(known, None, below, changes).await?;
            match (end, limit) {
                // RFC 9738: it stopped at that UID, from above.
                (Status::Ok, Some(lowest)) if lowest > 1 && below.is_none_or(|b| lowest < b) => {
                    below = Some(lowest);
                }
                (Status::Ok, _) => {
                    // All that there are were named; those that are not among them are gone, as it seems.
                    changes.all = Some(changes.flags.keys().copied().collect());
                    return Ok(());
                }
                // Which there are is asked by SEARCH then.
                _ => return Ok(()),
            }
        }
    }

    async fn flags_below(
        &mut self,
        known: &Known,
        changed_since: Option<u64>,
        below: Option<u32>,
        changes: &mut Changes,
    ) -> Result<(Status, Option<u32>)> {
        let last = known.flags.keys().next_back().copied().unwrap_or(1);
        let last = below.map_or(last, |below| last.min(below - 1));
        let set = SequenceSet::of_ranges([(1, last.max(1))]).unwrap_or_else(SequenceSet::all);
        let mut fetch = Fetch::new(set, [FetchAttribute::Uid, FetchAttribute::Flags]);
        fetch.changed_since = changed_since;
        let end = self
            .session
            .ask(
                Command::Fetch {
                    fetch,
                    numbers: Numbers::Uid,
                },
                |event| {
                    changes.take(event);
                },
            )
            .await?;
        let limit = match end.code {
            Some(ResponseCode::MessageLimit(_, lowest)) => lowest.map(hikyaku_imap_proto::Uid::get),
            _ => None,
        };
        Ok((end.status, limit))
    }

    /// UIDs that are there and not here: past the last one, and of those that were missed before. UIDNEXT is
    /// not relied on, since it may be wrong: the count is looked at, too.
    async fn news(
        &mut self,
        known: &mut Known,
        changes: &Changes,
        uid_next: Option<u32>,
    ) -> Result<BTreeSet<u32>> {
        let from = known.mirror.uid_next.max(1);
        let gone = known.flags.keys().filter(|uid| changes.is_gone(**uid));
        let left = known.flags.len() - gone.count();
        let none = uid_next.is_some_and(|uid_next| uid_next <= from);
        // What the server says flags of may be below the last UID and not here: it was left out once, or came there.
        let changed = changes.flags.keys().copied();
        let unknown: Vec<u32> = changed
            .filter(|uid| !known.flags.contains_key(uid) && !changes.is_gone(*uid))
            .collect();
        if none && unknown.is_empty() && known.missing.is_empty() && self.counts(left) {
            return Ok(BTreeSet::new());
        }
        // `n:4294967295` is nothing for some servers; `n:*` has the last one always, for all of them.
        let first = NonZeroU32::new(from).map_or_else(SequenceSet::all, SequenceSet::from_first);
        let missing: Vec<u32> = known.missing.iter().copied().collect();
        let mut found = match search(self.session, SearchKey::Uid(first.clone())).await {
            Ok(found) => found.into_iter().collect(),
            Err(Error::Refused(why)) => match listed(self.session, first).await {
                Ok(found) => found,
                // There is nothing that it could have found.
                Err(Error::Refused(_)) if self.counts(0) => BTreeSet::new(),
                Err(Error::Refused(_)) => return Err(Error::Refused(why)),
                Err(error) => return Err(error),
            },
            Err(error) => return Err(error),
        };
        found.retain(|&uid| uid >= from);
        found.extend(unknown);
        if !missing.is_empty() {
            match still_there(self.session, &missing).await {
                Ok(there) => known.missing.retain(|uid| there.contains(uid)),
                Err(Error::Refused(_)) => {}
                Err(error) => return Err(error),
            }
            found.extend(known.missing.iter().copied());
        }
        Ok(found)
    }

    /// What is gone, and what is new. A message is gone when two questions pass it over and the count agrees;
    /// where the count says otherwise, nothing goes before the next sync hears the same.
    async fn gone(
        &mut self,
        known: &mut Known,
        changes: &mut Changes,
        mut new: BTreeSet<u32>,
    ) -> Result<(Vec<u32>, Vec<u32>)> {
        let left = |gone: &[u32], new: &BTreeSet<u32>| known.flags.len() - gone.len() + new.len();
        let missed = |changes: &Changes| -> Vec<u32> {
            let gone = known.flags.keys().filter(|uid| changes.is_gone(**uid));
            gone.copied().collect()
        };
        let mut gone = missed(changes);
        if !self.counts(left(&gone, &new)) {
            // Some went or came without a word, or the count is wrong: all are asked for.
            match search(self.session, SearchKey::All).await {
                Ok(all) => {
                    let all: BTreeSet<u32> = all.into_iter().collect();
                    let here = |uid: &&u32| known.flags.contains_key(uid);
                    new.extend(all.iter().filter(|uid| !here(uid)));
                    changes.gone = UidSet::new();
                    changes.all = Some(all);
                    gone = missed(changes);
                }
                Err(Error::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if !gone.is_empty() {
            match still_there(self.session, &gone).await {
                Ok(there) => gone.retain(|uid| !there.contains(uid)),
                Err(Error::Refused(why)) => {
                    self.report.warnings.push(format!(
                        "{}: what is gone cannot be asked for: {why}",
                        self.mailbox
                    ));
                    gone.clear();
                }
                Err(error) => return Err(error),
            }
        }
        let mut doubt = UidSet::new();
        if !gone.is_empty() && left(&gone, &new) < self.counted() {
            // What came meanwhile is counted, too.
            self.session.ask(Command::Noop, |_| {}).await?;
            let believed = gone
                .iter()
                .all(|&uid| Uid::new(uid).is_some_and(|uid| known.doubt.contains(uid)));
            if left(&gone, &new) < self.counted() && !believed {
                doubt = set_of(&gone);
                self.report.warnings.push(format!(
                    "{}: the server counts {} messages and lists {}; nothing is taken for gone before the next \
                     sync hears the same",
                    self.mailbox,
                    self.counted(),
                    left(&gone, &new)
                ));
                gone.clear();
            }
        }
        if doubt != known.doubt {
            let keep = Doubt::keep(self.mailbox, &doubt);
            self.local
                .commit(Transaction::new(self.local.account).with(keep))
                .await?;
        }
        Ok((new.into_iter().collect(), gone))
    }

    /// Flags that changed, and what is gone.
    async fn apply(&mut self, known: &mut Known, changes: &Changes, gone: &[u32]) -> Result<()> {
        let mut by_flags: Vec<(Flags, UidSet)> = Vec::new();
        let mut flags_of = changes.flags.clone();
        for (uid, add, remove) in &known.waiting {
            if let Some(flags) = flags_of.get_mut(uid) {
                flags.add(add);
                flags.remove(remove);
            }
        }
        for (uid, flags) in &flags_of {
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
        let gone = set_of(gone);
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
                    self.flags.insert(uid.get(), flags);
                }
            }
            Event::Vanished { uids, .. } => self.vanished.extend(uids),
            Event::Expunged { uid: Some(uid), .. } => self.vanished.push((uid.get(), uid.get())),
            _ => {}
        }
    }

    /// Puts together what came in many lines.
    fn settle(&mut self) {
        if !self.vanished.is_empty() {
            let before = self.gone.ranges().iter().copied();
            self.gone = UidSet::from_ranges(before.chain(self.vanished.drain(..)));
        }
    }

    fn is_gone(&self, uid: u32) -> bool {
        let is_gone = Uid::new(uid).is_some_and(|uid| self.gone.contains(uid));
        is_gone || self.all.as_ref().is_some_and(|all| !all.contains(&uid))
    }
}
