//! What was done offline, done on the server.
//!
//! A server that is busy, full or broken says NO, and says yes the next time: what it refuses waits for the next
//! sync, for some of them, before it is given up with a word to the user. Other changes go on, except those of the
//! same message, whose order is kept.

use bytes::Bytes;
use hikyaku_imap_proto::{
    Append, Command, Completion, MailboxName, Numbers, ResponseCode, SearchKey, SequenceSet,
    Status, Store, StoreAction,
};
use hikyaku_mailstore::{AccountId, Operation, Transaction, UidSet, Want, Which};
use hikyaku_message::Structure;
use std::collections::BTreeSet;

use super::answers::{search, still_there};
use super::expunge::{Removed, is_for_good, remove};
use super::flag::flag;
use super::line::Line;
use super::mailboxes::Mailboxes;
use super::words::words;
use super::{Mirror, Session, text};
use crate::{Error, Local, Op, Report, Result};

/// How many syncs try a change before it is given up. A message that waits to be appended is never thrown away:
/// it stays on this device, and is tried again after as many syncs.
const TRIES: u32 = 20;

/// What a change came to.
enum Done {
    Yes,
    /// As far as the server has it; the rest is for the user to know.
    Partly(&'static str),
    No(Refusal),
}

/// Why it was not done.
struct Refusal {
    why: String,
    /// No later try will do better.
    for_good: bool,
}

impl From<Completion> for Done {
    fn from(end: Completion) -> Self {
        match end.status {
            Status::Ok => Self::Yes,
            _ => Self::No(Refusal {
                why: text(&end.text),
                for_good: is_for_good(&end),
            }),
        }
    }
}

impl From<Removed> for Done {
    fn from(removed: Removed) -> Self {
        match removed {
            Removed::Yes => Self::Yes,
            Removed::Marked(why) => Self::Partly(why),
            Removed::Refused(end) => end.into(),
        }
    }
}

impl Done {
    fn not(why: &str, for_good: bool) -> Self {
        let why = why.to_owned();
        Self::No(Refusal { why, for_good })
    }
}

/// Does all that waits, in order, appends last. What the network keeps from being done waits on.
pub(super) async fn replay(
    line: &mut Line<'_>,
    local: &Local,
    mailboxes: &Mailboxes,
    report: &mut Report,
) -> Result<()> {
    let mut ops = local.ops().await?;
    // Room is made before it is asked for.
    ops.sort_by_key(|(_, op)| matches!(op, Op::Append { .. }));
    let mut held = BTreeSet::new();
    for (key, op) in ops {
        if of(&op).is_some_and(|message| held.contains(&message)) {
            report.warnings.push(format!(
                "{}: it waits for an earlier change of the same message",
                describe(&op)
            ));
            continue;
        }
        let account = match op {
            Op::Append { .. } => local.side,
            _ => local.account,
        };
        let tries = Tries::of(local, account, &key).await?;
        let is_append = matches!(op, Op::Append { .. });
        if is_append && !tries.are_due() {
            report.warnings.push(format!(
                "{}: the server did not take it; it stays on this device",
                describe(&op)
            ));
            local.commit(tries.one_more(account, false)).await?;
            continue;
        }
        let mut doing = Doing {
            session: &mut line.session,
            local,
            mailboxes,
            key: &key,
        };
        let done = match doing.change(&op).await {
            Ok(done) => done,
            Err(Error::Refused(why)) => Done::not(&why, false),
            // It may be this change that the server dies of: others go on.
            Err(error) => Done::not(&words(line.again(error).await?), false),
        };
        match done {
            Done::Yes => report.replayed += 1,
            Done::Partly(why) => {
                report.replayed += 1;
                report.warnings.push(format!("{}: {why}", describe(&op)));
            }
            Done::No(Refusal { why, for_good }) => {
                let last = for_good || tries.are_last();
                let next = match (last, is_append) {
                    (false, _) => "it is tried again with the next sync",
                    (true, false) => "it is given up",
                    (true, true) => "it stays on this device",
                };
                report
                    .warnings
                    .push(format!("{}: {why}; {next}", describe(&op)));
                if !last || is_append {
                    held.extend(of(&op));
                    local.commit(tries.one_more(account, for_good)).await?;
                    continue;
                }
            }
        }
        let mut transaction = Transaction::new(account).with(tries.forget());
        if let Op::Append { origin, .. } = &op
            && let Some(row) = waiting(local, origin).await?
        {
            transaction = transaction.with(Operation::Expunge {
                mailbox: local.pending_mailbox().await?,
                uids: UidSet::from_ranges([(row.uid.get(), row.uid.get())]),
                deleted_only: false,
            });
        }
        local
            .commit(transaction.with(Operation::SetProperty { key, value: None }))
            .await?;
    }
    Ok(())
}

/// The message that a change is of.
fn of(op: &Op) -> Option<(String, u32)> {
    match op {
        Op::Flags { mailbox, uid, .. }
        | Op::Move { mailbox, uid, .. }
        | Op::Delete { mailbox, uid } => Some((mailbox.clone(), *uid)),
        Op::Append { .. } => None,
    }
}

fn describe(op: &Op) -> String {
    match op {
        Op::Flags { mailbox, uid, .. } => format!("the flags of {mailbox}/{uid}"),
        Op::Move { mailbox, uid, to } => format!("moving {mailbox}/{uid} to {to}"),
        Op::Delete { mailbox, uid } => format!("deleting {mailbox}/{uid}"),
        Op::Append { to, .. } => format!("a message for {to}"),
    }
}

/// How often a change was refused.
struct Tries {
    key: String,
    count: u32,
}

impl Tries {
    async fn of(local: &Local, account: AccountId, op: &str) -> Result<Self> {
        let key = format!("tries/{op}");
        let properties = local.properties(account).await?;
        let value = properties.get(&key).and_then(|value| {
            let octets: [u8; 4] = value.as_ref().try_into().ok()?;
            Some(u32::from_le_bytes(octets))
        });
        let count = value.unwrap_or(0);
        Ok(Self { key, count })
    }

    /// Whether this sync is the last one that tries.
    fn are_last(&self) -> bool {
        self.count + 1 >= TRIES
    }

    /// Whether this sync tries: each of the first ones, then one of as many.
    fn are_due(&self) -> bool {
        self.count < TRIES || self.count.is_multiple_of(TRIES)
    }

    fn one_more(&self, account: AccountId, for_good: bool) -> Transaction {
        let count = self.count.saturating_add(1);
        let count = if for_good {
            count.max(TRIES + 1)
        } else {
            count
        };
        let value = Some(Bytes::copy_from_slice(&count.to_le_bytes()));
        let key = self.key.clone();
        Transaction::new(account).with(Operation::SetProperty { key, value })
    }

    fn forget(&self) -> Operation {
        let key = self.key.clone();
        Operation::SetProperty { key, value: None }
    }
}

async fn waiting(local: &Local, origin: &str) -> Result<Option<hikyaku_mailstore::Row>> {
    let which = Which::Origin(Bytes::copy_from_slice(origin.as_bytes()));
    let mailbox = local.pending_mailbox().await?;
    Ok(local
        .store
        .messages(mailbox, &which, Want::ROW, 1)
        .await?
        .rows
        .pop())
}

/// A change on its way to the server.
struct Doing<'a> {
    session: &'a mut Session,
    local: &'a Local,
    mailboxes: &'a Mailboxes,
    /// The property that keeps it.
    key: &'a str,
}

impl Doing<'_> {
    async fn change(&mut self, op: &Op) -> Result<Done> {
        let (Op::Flags { mailbox, uid, .. }
        | Op::Move { mailbox, uid, .. }
        | Op::Delete { mailbox, uid }) = op
        else {
            return self.append(op).await;
        };
        let Some(set) = SequenceSet::of_numbers([*uid]) else {
            return Ok(Done::not("no such message", true));
        };
        if let Some(refused) = self.select(mailbox).await? {
            return Ok(refused);
        }
        // Servers are known that take a UID that is gone for the one after it.
        match still_there(self.session, &[*uid]).await {
            Ok(there) if !there.contains(uid) => return Ok(Done::Yes),
            Ok(_) | Err(Error::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        match op {
            Op::Flags { add, remove, .. } => {
                for (action, names) in [(StoreAction::Add, add), (StoreAction::Remove, remove)] {
                    if !names.is_empty() {
                        let end = self.store(set.clone(), action, names).await?;
                        if end.status != Status::Ok {
                            return Ok(end.into());
                        }
                    }
                }
                Ok(Done::Yes)
            }
            Op::Move { to, .. } => self.move_to(mailbox, *uid, set, to).await,
            _ => self.delete(*uid, set).await,
        }
    }

    /// Selects a mailbox for changes, unless it is. What it says where it cannot.
    async fn select(&mut self, mailbox: &str) -> Result<Option<Done>> {
        let name = self.mailboxes.remote(mailbox);
        let mirror = Mirror::of(&self.local.properties(self.local.account).await?, mailbox);
        let is = self
            .session
            .selected()
            .is_some_and(|selected| selected.mailbox == name && !selected.read_only);
        if !is {
            let end = self.session.ask(Command::select(name), |_| {}).await?;
            if end.status != Status::Ok {
                return Ok(Some(end.into()));
            }
        }
        let selected = self.session.selected();
        // A server that says none has not changed it.
        let same = selected.zip(mirror).is_some_and(|(selected, mirror)| {
            let said = selected.uid_validity;
            said.is_none_or(|validity| validity == mirror.uid_validity)
        });
        Ok((!same).then(|| Done::not("the mailbox is another one by now", true)))
    }

    /// MOVE; where there is none, COPY, and then what a deletion is.
    async fn move_to(
        &mut self,
        mailbox: &str,
        uid: u32,
        set: SequenceSet,
        to: &str,
    ) -> Result<Done> {
        let to = self.mailboxes.remote(to);
        if self.session.capabilities().can_move() {
            let command = || Command::Move {
                set: set.clone(),
                mailbox: to.clone(),
                numbers: Numbers::Uid,
            };
            let end = self.put_into(&to, command).await?;
            // It may announce MOVE and not know it.
            if end.status != Status::Bad {
                return Ok(end.into());
            }
        }
        let copy = || Command::Copy {
            set: set.clone(),
            mailbox: to.clone(),
            numbers: Numbers::Uid,
        };
        let end = self.put_into(&to, copy).await?;
        if end.status != Status::Ok {
            return Ok(end.into());
        }
        // From here on it is a deletion: to copy once more would double it.
        let delete = Op::Delete {
            mailbox: mailbox.to_owned(),
            uid,
        };
        let delete = delete.property(self.key.to_owned());
        self.local
            .commit(Transaction::new(self.local.account).with(delete))
            .await?;
        self.delete(uid, set).await
    }

    /// Does something that puts a message into a mailbox, which may not be there yet: then it is made.
    async fn put_into(
        &mut self,
        to: &MailboxName,
        command: impl Fn() -> Command,
    ) -> Result<Completion> {
        let end = self.session.ask(command(), |_| {}).await?;
        if end.status != Status::No || !self.may_lack(to, &end) {
            return Ok(end);
        }
        if let Some(refused) = self.create(to).await? {
            return Ok(refused);
        }
        self.session.ask(command(), |_| {}).await
    }

    /// Whether it was refused since there is no such mailbox: it says so, or none of that name is known.
    fn may_lack(&self, to: &MailboxName, end: &Completion) -> bool {
        let known = self.mailboxes.all.iter().any(|(_, remote)| remote == to);
        match end.code {
            Some(ResponseCode::TryCreate | ResponseCode::NonExistent) => true,
            _ => !known,
        }
    }

    /// Makes a mailbox. What it says where it cannot.
    async fn create(&mut self, name: &MailboxName) -> Result<Option<Completion>> {
        let create = Command::create(name.clone());
        let end = self.session.ask(create, |_| {}).await?;
        let there = end.code == Some(ResponseCode::AlreadyExists);
        Ok((end.status != Status::Ok && !there).then_some(end))
    }

    async fn delete(&mut self, uid: u32, set: SequenceSet) -> Result<Done> {
        let marks = ["\\Deleted".to_owned()];
        let end = self.store(set.clone(), StoreAction::Add, &marks).await?;
        if end.status != Status::Ok {
            return Ok(end.into());
        }
        remove(self.session, uid, set).await.map(Done::from)
    }

    async fn store(
        &mut self,
        set: SequenceSet,
        action: StoreAction,
        names: &[String],
    ) -> Result<Completion> {
        let store = Store {
            set,
            unchanged_since: None,
            action,
            silent: true,
            flags: names.iter().map(|name| flag(name)).collect(),
        };
        let store = Command::Store {
            store,
            numbers: Numbers::Uid,
        };
        self.session.ask(store, |_| {}).await
    }

    /// APPEND. One that was begun before and not seen to end is looked for first, so that it is not doubled.
    async fn append(&mut self, op: &Op) -> Result<Done> {
        let Op::Append {
            to,
            origin,
            flags,
            tried,
        } = op
        else {
            return Ok(Done::Yes);
        };
        let Some(row) = waiting(self.local, origin).await? else {
            return Ok(Done::Yes);
        };
        let octets = self.local.octets(&row.body).await?;
        let name = self.mailboxes.remote(to);
        let structure = Structure::of(&octets);
        let message_id = structure
            .root()
            .envelope
            .as_ref()
            .and_then(|envelope| envelope.message_id.clone());
        if let Some(message_id) = message_id.clone().filter(|_| *tried)
            && self.holds(&name, message_id.into()).await?
        {
            return Ok(Done::Yes);
        }
        self.note(op, true).await?;
        let mut append = Append::new(name.clone());
        append.flags = flags.iter().map(|name| flag(name)).collect();
        let mut end = self.session.append(&append, octets.clone()).await?;
        if end.status == Status::No && self.may_lack(&name, &end) {
            end = match self.create(&name).await? {
                Some(refused) => refused,
                None => self.session.append(&append, octets).await?,
            };
        }
        if end.status != Status::Ok {
            // It was seen to end: it is not there.
            self.note(op, false).await?;
        } else if waiting(self.local, origin).await?.is_none() {
            // It was deleted here while it was on its way.
            self.take_back(&name, &end, message_id).await?;
        }
        Ok(end.into())
    }

    /// Removes what was appended a moment ago. What the server does not let go of comes back with the next sync.
    async fn take_back(
        &mut self,
        name: &MailboxName,
        end: &Completion,
        message_id: Option<Vec<u8>>,
    ) -> Result<()> {
        let select = Command::select(name.clone());
        if self.session.ask(select, |_| {}).await?.status != Status::Ok {
            return Ok(());
        }
        let uid = match (&end.code, message_id) {
            (Some(ResponseCode::AppendUid(_, uids)), _) => uids.first().map(|&(uid, _)| uid),
            (_, Some(id)) => {
                let key = SearchKey::Header("Message-ID".into(), id.into());
                match search(self.session, key).await {
                    Ok(found) => found.last().copied(),
                    Err(Error::Refused(_)) => None,
                    Err(error) => return Err(error),
                }
            }
            _ => None,
        };
        if let Some((uid, set)) = uid.zip(uid.and_then(|uid| SequenceSet::of_numbers([uid]))) {
            self.delete(uid, set).await?;
        }
        Ok(())
    }

    /// Notes whether an APPEND was begun and not seen to end.
    async fn note(&self, op: &Op, begun: bool) -> Result<()> {
        let mut op = op.clone();
        if let Op::Append { tried, .. } = &mut op {
            *tried = begun;
        }
        let note = op.property(self.key.to_owned());
        self.local
            .commit(Transaction::new(self.local.side).with(note))
            .await?;
        Ok(())
    }

    /// Whether a mailbox has the message of that Message-ID.
    async fn holds(&mut self, name: &MailboxName, message_id: Bytes) -> Result<bool> {
        let examine = Command::examine(name.clone());
        if self.session.ask(examine, |_| {}).await?.status != Status::Ok {
            return Ok(false);
        }
        let key = SearchKey::Header("Message-ID".into(), message_id);
        match search(self.session, key).await {
            Ok(found) => Ok(!found.is_empty()),
            // Doubled is better than lost.
            Err(Error::Refused(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
