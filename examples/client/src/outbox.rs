//! The outbox: what waits to be handed to the own server. It is on the disk, and leaves it when the server
//! has taken it, together with the copy for the mailbox of what was sent.

use bytes::Bytes;
use mailstore::{Flags, Operation, Outcome, QueueEntry, Transaction};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

use crate::{Account, Dial, Error, Fate, Local, Result, Submission};

/// So long a claim holds: longer than handing on any message takes.
const CLAIM: Duration = Duration::from_secs(3600);
/// After this time a message that was deferred is tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// Who a message in the outbox is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// The reverse-path.
    pub from: String,
    /// Recipients that were not yet accepted.
    pub to: Vec<String>,
    /// Whether a copy lies among what was sent already.
    pub copied: bool,
    /// What was said last, when it was tried before.
    pub said: Option<String>,
}

/// Puts a message into the outbox: it is on the disk from then on.
///
/// # Errors
/// The store's; without recipients.
pub async fn queue(local: &Local, from: &str, to: Vec<String>, message: Bytes) -> Result<u64> {
    if to.is_empty() {
        return Err(Error::Usage("a message without a recipient".into()));
    }
    let (body, _) = local.stage(message).await?;
    let outgoing = Outgoing {
        from: from.to_owned(),
        to,
        copied: false,
        said: None,
    };
    let enqueue = Operation::Enqueue {
        due: SystemTime::now(),
        next_hop: from.to_owned(),
        body,
        envelope: outgoing.encode(),
    };
    let committed = local
        .commit(Transaction::new(local.side).with(enqueue))
        .await?;
    match committed.outcomes.first() {
        Some(Outcome::Enqueued(id)) => Ok(id.0),
        _ => Ok(0),
    }
}

impl Outgoing {
    fn encode(&self) -> Bytes {
        postcard::to_allocvec(self)
            .map(Bytes::from)
            .unwrap_or_default()
    }

    fn of(entry: &QueueEntry) -> Option<Self> {
        postcard::from_bytes(&entry.envelope).ok()
    }
}

/// What is in the outbox of an account: number, octets, and for whom.
///
/// # Errors
/// The store's.
pub async fn queued(local: &Local) -> Result<Vec<(u64, u64, Outgoing)>> {
    let all = local.store.queue(None, usize::MAX).await?;
    let own = all.iter().filter(|entry| entry.account == local.side);
    Ok(own
        .filter_map(|entry| Some((entry.id.0, entry.body.octets, Outgoing::of(entry)?)))
        .collect())
}

/// Hands on all that is in the outbox: for each message and recipient, what became of it. What was
/// deferred stays.
///
/// # Errors
/// The network's; what was not sent stays in the outbox.
pub async fn send_all(
    dial: &dyn Dial,
    local: &Local,
    account: &Account,
) -> Result<Vec<(String, Fate)>> {
    let entries = claimed(local).await?;
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let opened = open(dial, account).await;
    let mut session = match opened {
        Ok(session) => session,
        Err(error) => {
            for entry in &entries {
                release(local, entry, &error.to_string()).await?;
            }
            return Err(error);
        }
    };
    let mut all = Vec::new();
    let mut failed: Option<String> = None;
    for entry in entries {
        if let Some(why) = &failed {
            release(local, &entry, why).await?;
            continue;
        }
        match send_one(&mut session, local, &entry).await {
            Ok(fates) => all.extend(fates),
            Err(error) => {
                release(local, &entry, &error.to_string()).await?;
                failed = Some(error.to_string());
            }
        }
    }
    session.quit().await;
    match failed {
        Some(why) if all.is_empty() => Err(Error::Network(why)),
        _ => Ok(all),
    }
}

async fn open(dial: &dyn Dial, account: &Account) -> Result<Submission> {
    let password = account.password.get(&account.address).await?;
    Submission::open(dial, &account.outgoing, account.login(), password).await
}

/// All entries of the account. Those that another process holds are left to it.
async fn claimed(local: &Local) -> Result<Vec<QueueEntry>> {
    // Asked for by a person: what is due later is due now.
    let now = SystemTime::now() + AGAIN;
    let mut all = Vec::new();
    loop {
        let some = local.store.claim(now, 100, CLAIM).await?;
        if some.is_empty() {
            return Ok(all);
        }
        for entry in some {
            if entry.account == local.side {
                all.push(entry);
            } else {
                let envelope = entry.envelope.clone();
                settle(
                    local,
                    &entry,
                    Some((SystemTime::now(), envelope)),
                    Vec::new(),
                )
                .await?;
                return Ok(all);
            }
        }
    }
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

async fn release(local: &Local, entry: &QueueEntry, why: &str) -> Result<()> {
    let envelope = Outgoing::of(entry).map(|outgoing| Outgoing {
        said: Some(why.to_owned()),
        ..outgoing
    });
    let envelope = envelope.map_or_else(|| entry.envelope.clone(), |outgoing| outgoing.encode());
    settle(
        local,
        entry,
        Some((SystemTime::now() + AGAIN, envelope)),
        Vec::new(),
    )
    .await
}

async fn send_one(
    session: &mut Submission,
    local: &Local,
    entry: &QueueEntry,
) -> Result<Vec<(String, Fate)>> {
    let Some(mut outgoing) = Outgoing::of(entry) else {
        settle(local, entry, None, Vec::new()).await?;
        return Ok(Vec::new());
    };
    let message = local.octets(&entry.body).await?;
    let to = outgoing.to.clone();
    let fates = session.send(&outgoing.from, &to, &message).await?;
    let fates = at_least_once(fates)?;
    let mut operations = Vec::new();
    let accepted = fates.contains(&Fate::Accepted);
    if accepted && !outgoing.copied {
        operations = local
            .adding(&sent(local).await?, message.clone(), Flags::SEEN)
            .await?;
        outgoing.copied = true;
    }
    let fates: Vec<_> = to.into_iter().zip(fates).collect();
    let left = fates.iter().filter_map(|(to, fate)| match fate {
        Fate::Deferred(why) => Some((to.clone(), why.clone())),
        _ => None,
    });
    let (left, said): (Vec<_>, Vec<_>) = left.unzip();
    let refused = fates
        .iter()
        .any(|(_, fate)| matches!(fate, Fate::Refused(_)));
    if refused && !accepted && left.is_empty() {
        // Nobody took it: it is a draft again, so that it can be put right.
        let drafts = local
            .special("\\Drafts")
            .await?
            .map_or_else(|| "Drafts".into(), |folder| folder.name);
        operations.extend(local.adding(&drafts, message, Flags::DRAFT).await?);
    }
    let again = (!left.is_empty()).then(|| {
        outgoing.to = left;
        outgoing.said = said.first().cloned();
        (SystemTime::now() + AGAIN, outgoing.encode())
    });
    settle(local, entry, again, operations).await?;
    Ok(fates)
}

/// What may have been taken is tried again: nobody is there to decide, and a message twice is better than none.
fn at_least_once(fates: Vec<Fate>) -> Result<Vec<Fate>> {
    let decided = |fate: &Fate| !matches!(fate, Fate::Unknown(_));
    let again = |fate| match fate {
        Fate::Unknown(why) => Fate::Deferred(why),
        fate => fate,
    };
    match fates.iter().find(|fate| !decided(fate)) {
        Some(Fate::Unknown(why)) if !fates.iter().any(decided) => Err(Error::Network(why.clone())),
        _ => Ok(fates.into_iter().map(again).collect()),
    }
}

/// The mailbox for what was sent.
async fn sent(local: &Local) -> Result<String> {
    let special = local.special("\\Sent").await?;
    Ok(special.map_or_else(|| "Sent".into(), |folder| folder.name))
}
