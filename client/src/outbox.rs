//! The outbox: what waits to be handed to the own server. It is on the disk, and leaves it when the server
//! has taken it, together with the copy for the mailbox of what was sent.
//!
//! A recipient that the server refuses for good is not tried again by itself: the message stays for it until somebody
//! edits or removes it, or asks for another try. Where nobody took the message, it is a draft again.

use bytes::Bytes;
use hikyaku_mailstore::{
    Claim, Flags, Operation, Outcome, QueueEntry, QueueId, Store, Transaction,
};
use hikyaku_message::{Envelope, Structure};
use hikyaku_smtp_proto::Mailbox;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use crate::{Account, Dial, Error, Fate, Local, Result, Submission};
use hikyaku_mailstore::unix_now;

/// So long a claim holds: longer than handing on any message takes.
const CLAIM: Duration = Duration::from_secs(3600);
/// Who claims, for the store: one process has it at a time.
const OWNER: u32 = 1;
/// After this time a message that was deferred is tried again.
const AGAIN: Duration = Duration::from_secs(60);
/// How long one waits for an entry that another task holds: it may be looking for its own.
const HELD: Duration = Duration::from_secs(5);

/// The recipients of a message in the outbox, and the results of the attempts to send it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Outgoing {
    /// The reverse-path.
    pub from: String,
    /// The recipients that the server has not accepted yet.
    pub to: Vec<String>,
    /// Whether a copy is already in the mailbox for sent messages.
    pub copied: bool,
    /// The last reply of the server, if there was an attempt.
    pub said: Option<String>,
    /// When it was put into the outbox, in seconds since 1970; 0 if unknown.
    pub queued: i64,
    /// The number of attempts.
    pub tried: u32,
    /// When the first attempt failed, in seconds since 1970.
    pub failing_since: Option<i64>,
    /// The recipients that the last attempt did not reach, and why.
    pub failures: Vec<Failure>,
    /// The recipients that the server has accepted.
    pub accepted: Vec<String>,
}

/// Why the server did not accept a recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// The recipient.
    pub to: String,
    /// The reply, in the server's words.
    pub said: String,
    /// Whether it was refused for good; then it is not tried again automatically.
    pub refused: bool,
}

/// The form in which earlier versions kept an entry.
#[derive(Deserialize)]
struct Earlier {
    from: String,
    to: Vec<String>,
    copied: bool,
    said: Option<String>,
}

impl Outgoing {
    fn new(from: &str, to: Vec<String>) -> Self {
        Self {
            from: from.to_owned(),
            to,
            copied: false,
            said: None,
            queued: unix_now(),
            tried: 0,
            failing_since: None,
            failures: Vec::new(),
            accepted: Vec::new(),
        }
    }

    fn encode(&self) -> Bytes {
        postcard::to_allocvec(self)
            .map(Bytes::from)
            .unwrap_or_default()
    }

    fn decode(octets: &[u8]) -> Option<Self> {
        if let Ok(outgoing) = postcard::from_bytes(octets) {
            return Some(outgoing);
        }
        let earlier: Earlier = postcard::from_bytes(octets).ok()?;
        Some(Self {
            copied: earlier.copied,
            tried: u32::from(earlier.said.is_some()),
            said: earlier.said,
            queued: 0,
            ..Self::new(&earlier.from, earlier.to)
        })
    }

    fn of(entry: &QueueEntry) -> Option<Self> {
        Self::decode(&entry.envelope)
    }

    /// Returns why the last attempt did not reach a recipient.
    #[must_use]
    pub fn failure(&self, to: &str) -> Option<&Failure> {
        self.failures.iter().find(|one| one.to == to)
    }

    /// Returns whether a recipient is left that was not refused for good.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.to.iter().any(|to| !self.is_refused(to))
    }

    fn is_refused(&self, to: &str) -> bool {
        self.failure(to).is_some_and(|one| one.refused)
    }

    /// Lists the recipients that no field of the message names.
    #[must_use]
    pub fn unnamed(&self, envelope: &Envelope) -> Vec<String> {
        let named = envelope.to.iter().chain(&envelope.cc);
        let named: BTreeSet<String> = named
            .filter_map(hikyaku_message::Address::addr_spec)
            .map(|spec| String::from_utf8_lossy(&spec).to_lowercase())
            .collect();
        let all = self
            .to
            .iter()
            .filter(|to| !named.contains(&to.to_lowercase()));
        all.cloned().collect()
    }
}

fn checked(to: &[String]) -> Result<()> {
    if to.is_empty() {
        let why = "the message has no recipient: name one with --to";
        return Err(Error::Usage(why.into()));
    }
    match to.iter().find(|to| Mailbox::parse(to.as_bytes()).is_err()) {
        Some(text) => Err(crate::compose::NotAnAddress { text: text.clone() }.into()),
        None => Ok(()),
    }
}

async fn enqueue(local: &Local, outgoing: &Outgoing, message: Bytes) -> Result<Operation> {
    checked(&outgoing.to)?;
    let (body, _) = local.stage(message).await?;
    Ok(Operation::Enqueue {
        due: SystemTime::now(),
        next_hop: outgoing.from.clone(),
        body,
        envelope: outgoing.encode(),
    })
}

/// Puts a message into the outbox, on the disk. Returns its number there.
///
/// # Errors
/// [`Error::Usage`] without recipients, or when one is not an address; errors of the store.
pub async fn queue(local: &Local, from: &str, to: Vec<String>, message: Bytes) -> Result<u64> {
    let enqueue = enqueue(local, &Outgoing::new(from, to), message).await?;
    let transaction = Transaction::new(local.side).with(enqueue);
    Ok(number(&local.commit(transaction).await?))
}

fn number(committed: &hikyaku_mailstore::Committed) -> u64 {
    let mut ids = committed.outcomes.iter().filter_map(|one| match one {
        Outcome::Enqueued(id) => Some(id.0),
        _ => None,
    });
    ids.next().unwrap_or(0)
}

/// Lists the outbox of an account: number, octets and recipients of each message.
///
/// # Errors
/// Errors of the store.
pub async fn queued(local: &Local) -> Result<Vec<(u64, u64, Outgoing)>> {
    let own = own(local).await?.into_iter();
    Ok(own
        .filter_map(|entry| Some((entry.id.0, entry.body.octets, Outgoing::of(&entry)?)))
        .collect())
}

async fn own(local: &Local) -> Result<Vec<QueueEntry>> {
    let mut all = local.store.queue(None, usize::MAX).await?;
    all.retain(|entry| entry.account == local.side);
    Ok(all)
}

fn missing(number: u64) -> Error {
    Error::NotFound(format!(
        "message in the outbox: {number} (`mailclient outbox` lists them)"
    ))
}

/// Reads a whole message in the outbox.
///
/// # Errors
/// When there is none of that number; errors of the store.
pub async fn queued_message(local: &Local, number: u64) -> Result<(Outgoing, Bytes)> {
    let all = own(local).await?;
    let entry = all.iter().find(|entry| entry.id.0 == number);
    let entry = entry.ok_or_else(|| missing(number))?;
    let outgoing = Outgoing::of(entry).ok_or_else(|| missing(number))?;
    Ok((outgoing, local.octets(&entry.body).await?))
}

/// Removes a message from the outbox without sending it.
///
/// # Errors
/// When there is none of that number, or it is being sent at this moment; errors of the store.
pub async fn unqueue(local: &Local, number: u64) -> Result<()> {
    let entry = take(local, number).await?;
    settle(local, &entry, None, Vec::new()).await
}

/// Replaces a message in the outbox. Recipients that accepted the earlier one do not get the new one. Returns
/// its number.
///
/// # Errors
/// As [`queue`] and [`unqueue`]; then nothing has changed.
pub async fn requeue(local: &Local, number: u64, to: Vec<String>, message: Bytes) -> Result<u64> {
    let entry = take(local, number).await?;
    let before = Outgoing::of(&entry).ok_or_else(|| missing(number))?;
    let has = |to: &String| {
        before
            .accepted
            .iter()
            .any(|one| one.eq_ignore_ascii_case(to))
    };
    let outgoing = Outgoing {
        to: to.into_iter().filter(|to| !has(to)).collect(),
        copied: before.copied,
        accepted: before.accepted.clone(),
        ..Outgoing::new(&before.from, Vec::new())
    };
    let enqueue = match enqueue(local, &outgoing, message).await {
        Ok(enqueue) => enqueue,
        Err(error) => {
            put_back(local, &entry).await?;
            return Err(error);
        }
    };
    let mut transaction = Transaction::new(entry.account).with(Operation::Settle {
        id: entry.id,
        token: entry.token,
        again: None,
    });
    transaction.operations.push(enqueue);
    Ok(self::number(&local.commit(transaction).await?))
}

/// Marks recipients that were refused for good to be tried again.
///
/// # Errors
/// As [`unqueue`].
pub async fn renew(local: &Local, number: u64) -> Result<()> {
    let entry = take(local, number).await?;
    let mut outgoing = Outgoing::of(&entry).ok_or_else(|| missing(number))?;
    for failure in &mut outgoing.failures {
        failure.refused = false;
    }
    let again = Some((SystemTime::now(), outgoing.encode()));
    settle(local, &entry, again, Vec::new()).await
}

async fn take(local: &Local, number: u64) -> Result<QueueEntry> {
    let mut all = claimed(local, Some(number)).await?;
    match all.pop() {
        Some(entry) => Ok(entry),
        None if own(local).await?.iter().any(|entry| entry.id.0 == number) => {
            let why = format!("message {number} is being sent at this moment: try again");
            Err(Error::Usage(why))
        }
        None => Err(missing(number)),
    }
}

/// Sends the messages in the outbox; returns the fate of each recipient. What was deferred stays, and so
/// does, for those who were refused, what others took.
///
/// # Errors
/// Errors of the network; what was not sent stays in the outbox.
pub async fn send_all(
    dial: &dyn Dial,
    local: &Local,
    account: &Account,
) -> Result<Vec<(String, Fate)>> {
    send(dial, local, account, None).await
}

/// Sends one message, as [`send_all`] does.
///
/// # Errors
/// As [`send_all`].
pub async fn send_one(
    dial: &dyn Dial,
    local: &Local,
    account: &Account,
    number: u64,
) -> Result<Vec<(String, Fate)>> {
    send(dial, local, account, Some(number)).await
}

async fn send(
    dial: &dyn Dial,
    local: &Local,
    account: &Account,
    only: Option<u64>,
) -> Result<Vec<(String, Fate)>> {
    let mut entries = Vec::new();
    for entry in claimed(local, only).await? {
        match Outgoing::of(&entry) {
            Some(outgoing) if outgoing.is_due() => entries.push((entry, outgoing)),
            // It waits for somebody to edit it.
            Some(_) => put_back(local, &entry).await?,
            None => settle(local, &entry, None, Vec::new()).await?,
        }
    }
    let mut session: Option<Submission> = None;
    let mut unreachable: Option<Error> = None;
    // An error that was not an answer to anything that was sent.
    let (mut broken, mut answered) = (None, false);
    let mut all = Vec::new();
    for (entry, outgoing) in entries {
        if session.is_none() && unreachable.is_none() {
            match open(dial, account).await {
                Ok(opened) => session = Some(opened),
                Err(error) => unreachable = Some(error),
            }
        }
        let Some(open) = session.as_mut() else {
            let why = unreachable.as_ref().map(ToString::to_string);
            release(local, &entry, outgoing, &why.unwrap_or_default()).await?;
            continue;
        };
        match send_entry(open, local, &entry, &outgoing).await {
            Ok(fates) => {
                answered = true;
                // The connection may have gone before all was answered.
                if fates
                    .iter()
                    .any(|(_, fate)| matches!(fate, Fate::Deferred(_)))
                    && let Some(session) = session.take()
                {
                    session.quit().await;
                }
                all.extend(fates);
            }
            Err(error @ Error::Store(_)) => return Err(error),
            Err(error) => {
                // One message keeps no other from being sent: the next one has a connection of its own.
                session = None;
                let why = error.to_string();
                let deferred = outgoing.to.iter().filter(|to| !outgoing.is_refused(to));
                all.extend(deferred.map(|to| (to.clone(), Fate::Deferred(why.clone()))));
                release(local, &entry, outgoing, &why).await?;
                broken = Some(error);
            }
        }
    }
    if let Some(session) = session {
        session.quit().await;
    }
    match unreachable.or(broken) {
        Some(error) if !answered => Err(error),
        _ => Ok(all),
    }
}

async fn open(dial: &dyn Dial, account: &Account) -> Result<Submission> {
    let password = account.password.get(&account.address).await?;
    Submission::open(dial, &account.outgoing, account.login(), password).await
}

/// Releases entries that an earlier process held when it died, and entries deferred while the clock was
/// wrong. A program calls it when it has opened its store.
///
/// # Errors
/// Errors of the store.
pub async fn recover(store: &dyn Store) -> Result<()> {
    let now = SystemTime::now();
    store.release_claims(OWNER, now).await?;
    store.clamp_due(now + AGAIN).await?;
    Ok(())
}

/// The account's entries, or the one of that number. Those that another process holds are left to it.
async fn claimed(local: &Local, only: Option<u64>) -> Result<Vec<QueueEntry>> {
    let is_wanted = |entry: &QueueEntry| {
        entry.account == local.side && only.is_none_or(|only| entry.id == QueueId(only))
    };
    let started = Instant::now();
    loop {
        // Asked for by a person: what is due later is due now.
        let now = SystemTime::now() + AGAIN;
        let (mut own, mut others) = (Vec::new(), Vec::new());
        loop {
            let claim = Claim::new(now, 100, CLAIM).owner(OWNER);
            let some = local.store.claim(&claim).await?;
            if some.is_empty() {
                break;
            }
            let (wanted, rest): (Vec<_>, Vec<_>) = some.into_iter().partition(is_wanted);
            own.extend(wanted);
            others.extend(rest);
        }
        for entry in &others {
            put_back(local, entry).await?;
        }
        let held = own.is_empty() && self::own(local).await?.iter().any(is_wanted);
        if !held || started.elapsed() > HELD {
            return Ok(own);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn put_back(local: &Local, entry: &QueueEntry) -> Result<()> {
    let again = (SystemTime::now(), entry.envelope.clone());
    settle(local, entry, Some(again), Vec::new()).await
}

async fn settle(
    local: &Local,
    entry: &QueueEntry,
    again: Option<(SystemTime, Bytes)>,
    operations: Vec<Operation>,
) -> Result<()> {
    let mut transaction = Transaction::new(entry.account).with(Operation::Settle {
        id: entry.id,
        token: entry.token,
        again,
    });
    transaction.operations.extend(operations);
    local.commit(transaction).await?;
    Ok(())
}

/// Keeps an entry whose try came to nothing.
async fn release(
    local: &Local,
    entry: &QueueEntry,
    mut outgoing: Outgoing,
    why: &str,
) -> Result<()> {
    let deferred = |to: &String| Failure {
        to: to.clone(),
        said: why.to_owned(),
        refused: false,
    };
    let due = outgoing.to.iter().filter(|to| !outgoing.is_refused(to));
    let failures: Vec<_> = due.map(deferred).collect();
    outgoing.failures.retain(|one| one.refused);
    outgoing.failures.extend(failures);
    outgoing.said = Some(why.to_owned());
    outgoing.tried = outgoing.tried.saturating_add(1);
    outgoing.failing_since.get_or_insert_with(unix_now);
    let again = Some((SystemTime::now() + AGAIN, outgoing.encode()));
    settle(local, entry, again, Vec::new()).await
}

/// Sends to the recipients that are due, and keeps the message for those who did not take it.
async fn send_entry(
    session: &mut Submission,
    local: &Local,
    entry: &QueueEntry,
    before: &Outgoing,
) -> Result<Vec<(String, Fate)>> {
    let mut outgoing = before.clone();
    let message = local.octets(&entry.body).await?;
    let is_due = |to: &&String| !before.is_refused(to);
    let is_address = |to: &&String| Mailbox::parse(to.as_bytes()).is_ok();
    let (good, bad): (Vec<_>, Vec<_>) = before.to.iter().filter(is_due).partition(is_address);
    let good: Vec<String> = good.into_iter().cloned().collect();
    let mut fates = Vec::new();
    if !good.is_empty() {
        fates = at_least_once(session.send(&before.from, &good, &message).await?)?;
    }
    let mut fates: Vec<_> = good.into_iter().zip(fates).collect();
    // One that an earlier version took.
    fates.extend(bad.into_iter().map(|to| {
        let why = crate::compose::NotAnAddress { text: to.clone() };
        (to.clone(), Fate::Refused(why.to_string()))
    }));

    outgoing.tried = outgoing.tried.saturating_add(1);
    outgoing.failures.retain(|one| one.refused);
    for (to, fate) in &fates {
        let (said, refused) = match fate {
            Fate::Accepted => {
                outgoing.accepted.push(to.clone());
                continue;
            }
            Fate::Deferred(said) | Fate::Unknown(said) => (said, false),
            Fate::Refused(said) => (said, true),
        };
        outgoing.said = Some(said.clone());
        outgoing.failures.push(Failure {
            to: to.clone(),
            said: said.clone(),
            refused,
        });
    }
    let accepted = outgoing.accepted.clone();
    outgoing.to.retain(|to| !accepted.contains(to));

    let mut operations = Vec::new();
    let taken = fates.iter().any(|(_, fate)| *fate == Fate::Accepted);
    if taken && !outgoing.copied {
        operations = local
            .adding(&sent(local).await?, message.clone(), Flags::SEEN)
            .await?;
        outgoing.copied = true;
    }
    let nobody = !outgoing.copied && !outgoing.is_due();
    if nobody {
        // Nobody took it: it is a draft again, so that it can be put right.
        let drafts = drafts(local).await?;
        let draft = with_bcc(&outgoing, message);
        operations.extend(local.adding(&drafts, draft, Flags::DRAFT).await?);
    }
    let again = (!nobody && !outgoing.to.is_empty()).then(|| {
        outgoing.failing_since.get_or_insert_with(unix_now);
        (SystemTime::now() + AGAIN, outgoing.encode())
    });
    settle(local, entry, again, operations).await?;
    Ok(fates)
}

/// What may have been taken is tried again, when somebody asks for it: a message twice is better than none.
fn at_least_once(fates: Vec<Fate>) -> Result<Vec<Fate>> {
    let decided = |fate: &Fate| !matches!(fate, Fate::Unknown(_));
    let again = |fate| match fate {
        Fate::Unknown(why) => Fate::Deferred(format!("it may have arrived already: {why}")),
        fate => fate,
    };
    match fates.iter().find(|fate| !decided(fate)) {
        Some(Fate::Unknown(why)) if !fates.iter().any(decided) => Err(Error::Network(format!(
            "it may have arrived already: {why}"
        ))),
        _ => Ok(fates.into_iter().map(again).collect()),
    }
}

/// A message with the recipients whom it does not name, for a draft.
fn with_bcc(outgoing: &Outgoing, message: Bytes) -> Bytes {
    let structure = Structure::of(&message);
    let envelope = structure.root().envelope.as_deref().cloned();
    let unnamed = outgoing.unnamed(&envelope.unwrap_or_default());
    if unnamed.is_empty() {
        return message;
    }
    let field = format!("Bcc: {}\r\n", unnamed.join(",\r\n "));
    [field.as_bytes(), &message].concat().into()
}

async fn drafts(local: &Local) -> Result<String> {
    let special = local.special("\\Drafts").await?;
    Ok(special.map_or_else(|| "Drafts".into(), |folder| folder.name))
}

/// The mailbox for what was sent.
async fn sent(local: &Local) -> Result<String> {
    let special = local.special("\\Sent").await?;
    Ok(special.map_or_else(|| "Sent".into(), |folder| folder.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_an_earlier_version_is_read() {
        let earlier = postcard::to_allocvec(&(
            "me@a.test",
            vec!["x@b.test", "y@b.test"],
            true,
            Some("451 later"),
        ));
        let read = Outgoing::decode(&earlier.unwrap()).unwrap();
        assert_eq!((read.to.len(), read.copied, read.tried), (2, true, 1));
        assert_eq!(read.said.as_deref(), Some("451 later"));
        assert_eq!(Outgoing::decode(&read.encode()), Some(read));
        assert_eq!(Outgoing::decode(b"\xff"), None);
    }

    async fn opened(folder: &std::path::Path) -> std::sync::Arc<dyn Store> {
        let disk = hikyaku_mailstore::Disk::open(folder).unwrap();
        recover(&disk).await.unwrap();
        std::sync::Arc::new(disk)
    }

    #[tokio::test]
    async fn what_a_dead_process_held_or_put_off_is_sent_by_the_next_one() {
        let home = tempfile::tempdir().unwrap();
        let store = opened(home.path()).await;
        let id = store.create_account("me@a.test").await.unwrap();
        let local = Local::direct(store, id).await.unwrap();
        for to in ["x@b.test", "y@b.test"] {
            let outgoing = Outgoing::new("me@a.test", vec![to.into()]);
            let enqueue = enqueue(&local, &outgoing, "Subject: tea\r\n\r\n".into());
            let transaction = Transaction::new(id).with(enqueue.await.unwrap());
            local.commit(transaction).await.unwrap();
        }
        let held = claimed(&local, None).await.unwrap();
        assert_eq!(held.len(), 2);
        // The clock was a year ahead.
        let far = SystemTime::now() + Duration::from_secs(400 * 86_400);
        let again = Some((far, held[1].envelope.clone()));
        settle(&local, &held[1], again, Vec::new()).await.unwrap();
        // Killed: nothing is given back.
        drop(local);
        let store = opened(home.path()).await;
        let local = Local::direct(store, id).await.unwrap();
        let all = claimed(&local, None).await.unwrap();
        assert_eq!(all.len(), 2);
    }
}
