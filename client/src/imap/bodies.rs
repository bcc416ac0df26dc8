//! Whole messages: those the account wants at each sync, and the one that is read.

use bytes::Bytes;
use hikyaku_imap_proto::client::Event;
use hikyaku_imap_proto::{Command, FetchAttribute, MailboxName, Section};
use hikyaku_mailstore::{Operation, Staged, Transaction, UidSet, Want, Which};
use std::collections::{BTreeMap, HashSet};

use super::line::Lost;
use super::parts::{Came, Part, Parts, Wanted};
use super::requests::Requests;
use super::{Mirror, Session, answers, missing};
use crate::{Account, Bodies, Error, Local, Message, Progress, Report, Result};
use hikyaku_mailstore::unix_now;

/// So many messages are asked for by one FETCH command.
const TOGETHER: usize = 32;
/// So many such commands are under way at once.
const AHEAD: usize = 4;
/// What was brought is put on the disk together, up to so many messages and octets.
const BATCH: (usize, u64) = (64, 8 * 1024 * 1024);

/// The moment since when an account wants whole messages.
pub(crate) fn recent(bodies: Bodies) -> Option<i64> {
    match bodies {
        Bodies::Headers => None,
        Bodies::RecentDays(days) => Some(unix_now() - i64::from(days) * 86_400),
        Bodies::All => Some(i64::MIN),
    }
}

/// The whole messages of a mailbox that the account wants.
pub(super) struct Bring<'a> {
    pub(super) session: &'a mut Session,
    pub(super) local: &'a Local,
    pub(super) account: &'a Account,
    pub(super) mailbox: &'a str,
    pub(super) remote: MailboxName,
    pub(super) progress: &'a dyn Progress,
    pub(super) report: &'a mut Report,
    pub(super) lost: &'a Lost,
    /// The message that had not come when the connection was lost.
    pub(super) suspect: Option<u32>,
}

/// Brings them, newest first.
pub(super) async fn bring(bring: &mut Bring<'_>) -> Result<()> {
    let Bring {
        session,
        local,
        account,
        mailbox,
        remote,
        progress,
        report,
        lost,
        suspect,
    } = bring;
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
    let mut too_large = Vec::new();
    let largest = session.pace.limits().message;
    for row in rows.into_iter().filter(|row| row.received.0 >= since) {
        let uid = row.uid.get();
        if local
            .whole_row(mailbox, mirror.uid_validity, uid)
            .await?
            .is_none()
        {
            match local.size(&row).await? {
                octets if octets > largest.0 => {
                    let why = format!(
                        "it has {octets} octets, and {largest} are taken (largest_message)"
                    );
                    too_large.push((uid, why));
                }
                _ => wanted.push(uid),
            }
        }
    }
    if wanted.is_empty() && too_large.is_empty() {
        return Ok(());
    }
    select(session, remote.clone(), &mirror).await?;
    progress.begin(mailbox, wanted.len() as u64);
    let (avoided, wanted): (Vec<u32>, Vec<u32>) =
        wanted.iter().partition(|uid| lost.avoid.contains_key(uid));
    let (count, refused) = bring_all(
        session, local, mailbox, &mirror, &wanted, *progress, suspect,
    )
    .await;
    report.bodies += count;
    let mut refused = refused?;
    progress.end();
    refused.extend(too_large);
    let why = |uid| lost.avoid.get(&uid).cloned().unwrap_or_default();
    refused.extend(avoided.into_iter().map(|uid| (uid, why(uid))));
    if !refused.is_empty() {
        // What is gone by now need not come.
        let uids: Vec<u32> = refused.keys().copied().collect();
        match answers::still_there(session, &uids).await {
            Ok(there) => refused.retain(|uid, _| there.contains(uid)),
            Err(Error::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        missing::name(report, mailbox, "the whole message", &refused);
    }
    Ok(())
}

async fn select(session: &mut Session, name: MailboxName, mirror: &Mirror) -> Result<()> {
    if session
        .selected()
        .is_none_or(|selected| selected.mailbox != name)
    {
        session.run(Command::examine(name), |_| {}).await?;
    }
    let validity = session
        .selected()
        .and_then(|selected| selected.uid_validity);
    if validity.is_some_and(|validity| validity != mirror.uid_validity) {
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
    progress: &dyn Progress,
    suspect: &mut Option<u32>,
) -> (usize, Result<BTreeMap<u32, String>>) {
    let mut whole = Whole {
        local,
        mailbox,
        validity: mirror.uid_validity,
        waiting: Vec::new(),
        octets: 0,
        count: 0,
    };
    let brought = whole.bring(session, wanted, progress, suspect).await;
    let kept = whole.keep().await;
    (whole.count, kept.and(brought))
}

/// Whole messages on their way to the disk.
struct Whole<'a> {
    local: &'a Local,
    mailbox: &'a str,
    validity: u32,
    waiting: Vec<(u32, Staged, Bytes)>,
    octets: u64,
    count: usize,
}

impl Whole<'_> {
    /// Returns what did not come, and why.
    async fn bring(
        &mut self,
        session: &mut Session,
        wanted: &[u32],
        progress: &dyn Progress,
        suspect: &mut Option<u32>,
    ) -> Result<BTreeMap<u32, String>> {
        let mut missing: HashSet<u32> = wanted.iter().copied().collect();
        let mut next = wanted.chunks(TOGETHER);
        let whole = FetchAttribute::peek(Section::default());
        let mut requests = Requests::new([FetchAttribute::Uid, whole]);
        let largest = session.pace.limits().message;
        let mut parts = Parts::new(Wanted::Whole, &*self.local.store, largest);
        loop {
            while requests.under_way() < AHEAD {
                let Some(some) = next.next() else { break };
                let mut some = some.to_vec();
                some.sort_unstable();
                requests.ask(session, some)?;
            }
            if requests.under_way() == 0 {
                return Ok(requests.refused);
            }
            let event = match session.next().await {
                Ok(event) => parts.take(event).await,
                Err(error) => Err(error),
            };
            let part = match event {
                Ok(part) => part,
                Err(error) => {
                    *suspect = requests.first_lacking(|uid| !missing.contains(&uid));
                    return Err(error);
                }
            };
            match part {
                Part::Of(uid, reported) => {
                    let Some(Came::Whole(body, summary)) = reported.section else {
                        continue;
                    };
                    if missing.remove(&uid) {
                        self.octets += body.body().octets;
                        self.waiting.push((uid, body, summary));
                        progress.step();
                    }
                    if self.waiting.len() >= BATCH.0 || self.octets >= BATCH.1 {
                        self.keep().await?;
                    }
                }
                Part::Other(Event::Completed(handle, end)) => {
                    requests.ended(session, handle, &end, |uid| !missing.contains(&uid))?;
                }
                Part::Other(_) | Part::Taken => {}
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
    select(session, mirror.name(), &mirror).await?;
    let uid = message.uid.get();
    let (_, refused) = bring_all(session, local, &mailbox, &mirror, &[uid], &(), &mut None).await;
    let mut refused = refused?;
    if let Some(whole) = local.whole(message).await? {
        return Ok(whole);
    }
    let there = answers::still_there(session, &[uid]).await;
    Err(match refused.remove(&uid) {
        Some(why) if there.is_ok_and(|there| !there.is_empty()) => Error::Refused(why),
        _ => Error::NotFound(format!("message on the server any more: {}", message.name)),
    })
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
