//! Who is notified of what, and how the notification gets there.

use bytes::Bytes;
use hikyaku_mailstore::{Error, Operation, Pieces, QueueEntry, Staged, unix_now};
use hikyaku_message::{Scanner, Structure};
use hikyaku_smtp_proto::{Hold, MailParameters, Notify, RcptParameters, Ret, ReversePath};
use std::time::{Duration, SystemTime};
use tracing::warn;

use crate::dsn::report::{Action, Report, Subject};
use crate::envelope::{Envelope, HERE, Waiting};
use crate::fate::Taken;
use crate::local::append;
use crate::relay::Relay;

/// How much of the message's header section goes back to the sender, in octets.
const HEADER: u64 = 64 * 1024;
/// The largest message that goes back whole (RFC 3461 §4.3 lets a server limit that); of a larger one its header section.
const WHOLE: u64 = 1024 * 1024;

/// What final delivery puts before a notification (RFC 5321 §4.4).
const RETURN_PATH: Bytes = Bytes::from_static(b"Return-Path: <>\r\n");

/// What became of a notification.
pub(crate) enum Notice {
    /// Nobody wants one.
    Nothing,
    /// It is in the sender's mailbox.
    Delivered,
    /// It is to be queued, in the transaction that takes the message out of the queue: for each place that it goes to.
    Queued(Vec<Operation>),
    /// Nobody hears of it: why.
    Dropped(&'static str),
}

/// What is to be reported of one attempt.
#[derive(Debug, Default)]
pub(crate) struct News(Vec<Subject>);

impl News {
    /// It is given up. By default the sender is notified (RFC 3461 §4.1).
    pub(crate) fn failed(&mut self, recipient: &Waiting) {
        self.add(recipient, Action::Failed, None, Notify::FAILURE, true);
    }

    /// It is late. By default the sender is notified.
    pub(crate) fn delayed(&mut self, recipient: &Waiting) {
        self.add(recipient, Action::Delayed, None, Notify::DELAY, true);
    }

    /// Somebody has it. By default nobody is notified, and not by us where the other server is.
    pub(crate) fn taken(&mut self, recipient: &Waiting, taken: &Taken) {
        let action = match &taken.host {
            None if taken.is_expanded => Action::Expanded,
            None => Action::Delivered,
            Some(_) if taken.notifies => return,
            Some(_) => Action::Relayed,
        };
        self.add(recipient, action, Some(taken), Notify::SUCCESS, false);
    }

    fn add(
        &mut self,
        recipient: &Waiting,
        action: Action,
        taken: Option<&Taken>,
        which: Notify,
        by_default: bool,
    ) {
        let (_, asked) = recipient.asked();
        if asked
            .notify
            .map_or(by_default, |notify| notify.contains(which))
        {
            self.0.push(Subject {
                action,
                address: recipient.address(),
                asked,
                last: taken.map_or_else(|| recipient.last.clone(), |taken| taken.reply.clone()),
                // RFC 3461 §6.3 (h): whether it has it or not.
                host: taken.map_or_else(|| recipient.host.clone(), |taken| taken.host.clone()),
            });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn has_failed(&self) -> bool {
        self.0
            .iter()
            .any(|subject| subject.action == Action::Failed)
    }
}

/// Notifies the sender. A notification itself is never answered by one (RFC 5321 §6.1). One that the sender's mailbox has
/// no room for waits in the queue as any mail does, until it expires.
///
/// # Errors
/// The store's: what is temporary.
pub(crate) async fn send(
    relay: &Relay,
    entry: &QueueEntry,
    envelope: &Envelope,
    news: &News,
    until: Duration,
) -> Result<Notice, Error> {
    let (ReversePath(Some(sender)), asked) = envelope.asked() else {
        return Ok(Notice::Dropped("it is a notification itself"));
    };
    if news.is_empty() {
        return Ok(Notice::Nothing);
    }
    let address = sender.to_string();
    let is_whole = asked.ret == Some(Ret::Full) && news.has_failed() && entry.body.octets <= WHOLE;
    // Damage of the message hides nothing but what would be returned of it.
    let returned = returned(relay, entry, is_whole).await;
    let returned = returned.unwrap_or_else(|error| {
        warn!(%error, "the message cannot be read");
        Vec::new()
    });
    let report = Report {
        hostname: &relay.options.hostname,
        author: &relay.options.notify_as,
        id: &envelope.id,
        attempt: envelope.attempts,
        sender: &address,
        envid: asked.envid.as_ref(),
        arrived: envelope.queued,
        now: unix_now(),
        until: envelope.queued.saturating_add(seconds(until)),
        held: asked.hold().and_then(requested),
        subjects: &news.0,
        returned: &returned,
        is_whole,
    };
    let mut message = report.write();
    if let Some(seal) = &relay.options.seal {
        message = seal(message);
    }
    let message = Bytes::from(message);
    let plain = staged(relay, &[&message]).await?;
    let queued = |next_hop: String, body: &Staged, to: &str| Operation::Enqueue {
        due: SystemTime::now(),
        next_hop,
        body: body.clone(),
        envelope: back(envelope, to, asked.requiretls).encode(),
    };
    if !relay.here.is_here(sender.domain()) {
        let next_hop = sender.domain().to_lowercase();
        return Ok(Notice::Queued(vec![queued(next_hop, &plain, &address)]));
    }
    let body = staged(relay, &[&RETURN_PATH, &message]).await?;
    let mut scanner = Scanner::default();
    scanner.feed(&RETURN_PATH);
    scanner.feed(&message);
    // Repeated after a crash it is not doubled.
    let origin = Bytes::from(format!("dsn-{}-{}", entry.id, envelope.attempts));
    let places = relay.here.places(&address).await?;
    let elsewhere = places.elsewhere.iter();
    let mut queue: Vec<_> = elsewhere
        .map(|to| queued(to.domain().to_lowercase(), &plain, &to.to_string()))
        .collect();
    let summary = scanner.finish().encode();
    let (mut is_delivered, mut why) = (false, "the sender has no mailbox here any more");
    for (name, inbox) in places.inboxes {
        let (copy, summary) = (body.clone(), summary.clone());
        match append(relay, inbox, copy, summary, origin.clone()).await {
            Ok(()) => is_delivered = true,
            Err(Error::OverQuota(_)) => queue.push(queued(HERE.into(), &body, &name)),
            Err(Error::NoSuchAccount(_) | Error::NoSuchMailbox(_)) => {
                why = "the sender was removed";
            }
            Err(error) => return Err(error),
        }
    }
    Ok(match queue.is_empty() {
        false => Notice::Queued(queue),
        true if is_delivered => Notice::Delivered,
        true => Notice::Dropped(why),
    })
}

async fn staged(relay: &Relay, parts: &[&Bytes]) -> Result<Staged, Error> {
    let mut stage = relay.store.stage().await?;
    for part in parts {
        stage.write((*part).clone()).await?;
    }
    stage.finish().await
}

/// The envelope of the notification: from nobody, and never reported itself (RFC 3461 §6.1).
fn back(envelope: &Envelope, to: &str, requiretls: bool) -> Envelope {
    let mut mail = MailParameters::default();
    mail.smtputf8 = !to.is_ascii();
    // RFC 8689 §5.
    mail.requiretls = requiretls;
    let mut rcpt = RcptParameters::default();
    rcpt.notify = Some(Notify::NEVER);
    Envelope::new(
        format!("{}-dsn", envelope.id),
        ReversePath(None),
        mail,
        vec![Waiting::new(to, rcpt)],
    )
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// The value of Future-Release-Request (RFC 4865 §5.1.2).
fn requested(hold: Hold) -> Option<String> {
    match hold {
        Hold::For(seconds) => Some(format!("for;{seconds}")),
        Hold::Until(seconds) => Some(format!("until;{}", hikyaku_smtp_proto::date_time(seconds))),
        _ => None,
    }
}

/// What goes back to the sender: all of the message, or its header section.
async fn returned(relay: &Relay, entry: &QueueEntry, is_whole: bool) -> Result<Vec<u8>, Error> {
    let most = if is_whole { WHOLE } else { HEADER };
    let range = 0..most.min(entry.body.octets);
    let octets = Pieces::of(&*relay.store, &entry.body, range);
    let octets = octets.gather().await?;
    if is_whole {
        return Ok(octets.to_vec());
    }
    let range = Structure::of(&octets).root().header.clone();
    Ok(Structure::slice(&octets, &range).to_vec())
}
