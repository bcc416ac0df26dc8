//! Whole messages: those the account wants at each sync, and the one that is read.

use bytes::{Bytes, BytesMut};
use imap_proto::client::Event;
use imap_proto::{Command, FetchAttribute, MailboxName, Section, SequenceSet};
use mailstore::{Operation, Transaction, UidSet, Want, Which};
use std::collections::HashSet;

use super::{Mirror, Session, accepted};
use crate::local::now;
use crate::{Account, Bodies, Error, Local, Message, Progress, Report, Result};

/// So many messages are asked for by one FETCH command.
const TOGETHER: usize = 32;
/// So many such commands are under way at once.
const AHEAD: usize = 4;
/// What was brought is put on the disk together, up to so many messages and octets.
const BATCH: (usize, usize) = (64, 8 * 1024 * 1024);

/// The moment since when an account wants whole messages.
pub(crate) fn recent(bodies: Bodies) -> Option<i64> {
    match bodies {
        Bodies::Headers => None,
        Bodies::RecentDays(days) => Some(now() - i64::from(days) * 86_400),
        Bodies::All => Some(i64::MIN),
    }
}

/// Brings the whole messages of a mailbox that the account wants, newest first.
pub(super) async fn bring(
    session: &mut Session,
    local: &Local,
    account: &Account,
    mailbox: &str,
    progress: &Progress,
    report: &mut Report,
) -> Result<()> {
    let Some(since) = recent(account.bodies) else {
        return Ok(());
    };
    let folder = local.mailbox(mailbox).await?;
    let Some(mirror) = Mirror::of(&local.properties(local.account).await?, mailbox) else {
        return Ok(());
    };
    let which = Which::NewestBefore(None);
    let rows = local
        .store
        .messages(folder.id, &which, Want::ROW, usize::MAX)
        .await?
        .rows;
    let mut wanted = Vec::new();
    for row in rows.into_iter().filter(|row| row.received.0 >= since) {
        let uid = row.uid.get();
        if local
            .whole_row(mailbox, mirror.uid_validity, uid)
            .await?
            .is_none()
        {
            wanted.push(uid);
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    select(session, &mirror).await?;
    progress.begin(mailbox, wanted.len() as u64);
    report.bodies += bring_all(session, local, mailbox, &mirror, &wanted, progress).await?;
    progress.end();
    Ok(())
}

async fn select(session: &mut Session, mirror: &Mirror) -> Result<()> {
    let name = MailboxName::new(mirror.remote.clone());
    if session
        .selected()
        .is_none_or(|selected| selected.mailbox != name)
    {
        session.run(Command::examine(name), |_| {}).await?;
    }
    let validity = session
        .selected()
        .and_then(|selected| selected.uid_validity)
        .unwrap_or(1);
    if validity != mirror.uid_validity {
        return Err(Error::Refused(
            "the mailbox is another one by now: sync".into(),
        ));
    }
    Ok(())
}

/// Those that are whole are kept together, a few at a time, and also when the connection is cut: that costs
/// the one that was on its way.
async fn bring_all(
    session: &mut Session,
    local: &Local,
    mailbox: &str,
    mirror: &Mirror,
    wanted: &[u32],
    progress: &Progress,
) -> Result<usize> {
    let mut whole = Whole {
        local,
        mailbox,
        validity: mirror.uid_validity,
        waiting: Vec::new(),
        octets: 0,
        count: 0,
    };
    let brought = whole.bring(session, wanted, progress).await;
    whole.keep().await?;
    brought.map(|()| whole.count)
}

/// Whole messages on their way to the disk.
struct Whole<'a> {
    local: &'a Local,
    mailbox: &'a str,
    validity: u32,
    waiting: Vec<(u32, Bytes)>,
    octets: usize,
    count: usize,
}

impl Whole<'_> {
    async fn bring(
        &mut self,
        session: &mut Session,
        wanted: &[u32],
        progress: &Progress,
    ) -> Result<()> {
        let mut missing: HashSet<u32> = wanted.iter().copied().collect();
        let (mut next, mut under_way) = (wanted.chunks(TOGETHER), 0);
        let mut body = BytesMut::new();
        let mut told = None;
        loop {
            while under_way < AHEAD {
                let Some(some) = next.next() else { break };
                let mut some = some.to_vec();
                some.sort_unstable();
                let Some(set) = SequenceSet::of_numbers(some) else {
                    break;
                };
                let whole = FetchAttribute::peek(Section::default());
                session.issue(Command::uid_fetch(set, [FetchAttribute::Uid, whole]))?;
                under_way += 1;
            }
            if under_way == 0 {
                return Ok(());
            }
            match session.next().await? {
                Event::Section { octets, .. } => {
                    body.clear();
                    told = octets;
                }
                Event::Chunk(octets) => body.extend_from_slice(&octets),
                Event::Fetch { uid: Some(uid), .. } => {
                    let octets = body.split().freeze();
                    let is_whole = told.take() == Some(octets.len() as u64);
                    if is_whole && missing.remove(&uid) {
                        self.octets += octets.len();
                        self.waiting.push((uid, octets));
                        progress.step();
                    }
                    if self.waiting.len() >= BATCH.0 || self.octets >= BATCH.1 {
                        self.keep().await?;
                    }
                }
                Event::Completed(_, end) => {
                    accepted(end)?;
                    under_way -= 1;
                }
                _ => {}
            }
        }
    }

    async fn keep(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        self.octets = 0;
        self.count += waiting.len();
        self.local
            .keep_whole(self.mailbox, self.validity, waiting)
            .await
    }
}

/// Brings the whole of one message, and keeps it.
pub(crate) async fn fetch_whole(
    session: &mut Session,
    local: &Local,
    message: &Message,
) -> Result<Bytes> {
    let Some((mailbox, mirror)) = local.mirror_of(message.id).await? else {
        return Err(Error::NotFound(format!("message: {}", message.name)));
    };
    select(session, &mirror).await?;
    let uid = message.uid.get();
    bring_all(
        session,
        local,
        &mailbox,
        &mirror,
        &[uid],
        &Progress::hidden(),
    )
    .await?;
    let whole = local.whole(message).await?;
    whole
        .ok_or_else(|| Error::NotFound(format!("message on the server any more: {}", message.name)))
}

/// Forgets the whole messages of UIDs that are gone.
pub(super) async fn forget(
    local: &Local,
    mailbox: &str,
    validity: u32,
    gone: &UidSet,
) -> Result<()> {
    let mut uids = UidSet::new();
    for uid in gone.iter() {
        if let Some(row) = local.whole_row(mailbox, validity, uid.get()).await? {
            uids.insert(row.uid);
        }
    }
    if !uids.is_empty() {
        let expunge = Operation::Expunge {
            mailbox: local.side_mailbox("INBOX").await?,
            uids,
            deleted_only: false,
        };
        local
            .commit(Transaction::new(local.side).with(expunge))
            .await?;
    }
    Ok(())
}
