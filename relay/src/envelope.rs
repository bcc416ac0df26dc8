//! What the queue knows of a message.

use bytes::{Buf as _, Bytes};
use hikyaku_mailstore::{Operation, Staged, never, unix_now};
use hikyaku_smtp_proto::{
    ByMode, Command, ForwardPath, Hold, MailParameters, Mailbox, RcptParameters, ReversePath,
};
use hikyaku_wire::Output;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// The next hop of mail for mailboxes here that could not take it at once.
pub const HERE: &str = "@local";
/// The next hop of a message that an alias has passed on: nowhere, its sender is notified of that (RFC 3461 §5.2.7.3).
pub const EXPANDED: &str = "@expanded";
/// The next hop of a message that a mailing list has passed on, which is final for its sender (RFC 3461 §5.2.7.1).
pub const REDISTRIBUTED: &str = "@redistributed";
/// The next hop of a message that came again to an address that has passed it on: it is given up (RFC 5321 §6.3).
pub const LOOPED: &str = "@looped";
/// What the names of TLS reports begin with. Other names have no such sign at their beginning.
pub(crate) const TLS_REPORT: &str = "@tls-report ";

/// What the queue knows of a message: the MAIL and RCPT lines that it came with, and what has been done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Envelope {
    /// Its name in logs.
    pub(crate) id: String,
    /// The line of MAIL, without its CRLF.
    mail: String,
    pub(crate) recipients: Vec<Waiting>,
    /// When it was queued, in seconds since 1970.
    pub(crate) queued: i64,
    pub(crate) attempts: u32,
    /// An operator holds it back.
    pub(crate) held: bool,
    /// Where an operator sends it, as [`NextHost`](crate::NextHost) is written; where rules and DNS say otherwise.
    #[serde(skip)]
    pub(crate) route: Option<String>,
}

/// What stands behind the fields of version 2. Programs that do not know it read over it.
#[derive(Serialize, Deserialize)]
struct Further {
    route: Option<String>,
}

/// A recipient that does not have it yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// The line of RCPT, without its CRLF.
    rcpt: String,
    /// The reply that deferred it last.
    pub(crate) last: String,
    /// The sender was notified that it is late.
    pub(crate) delay_reported: bool,
    /// The host that said it, in this attempt.
    #[serde(skip)]
    pub(crate) host: Option<String>,
}

/// Version 1 of it, as 0.1 wrote it.
#[derive(Deserialize)]
struct First {
    id: String,
    reverse_path: Option<String>,
    smtputf8: bool,
    recipients: Vec<FirstWaiting>,
    queued: i64,
    attempts: u32,
}

#[derive(Deserialize)]
struct FirstWaiting {
    address: String,
    last: String,
}

fn line(command: &Command) -> String {
    let mut output = Output::new();
    command.encode(&mut output);
    let line = output.copy_to_bytes(output.len());
    String::from_utf8_lossy(line.trim_ascii_end()).into_owned()
}

fn parsed(line: &str) -> Option<Command> {
    Command::parse(&Bytes::copy_from_slice(line.as_bytes())).ok()
}

impl Waiting {
    pub(crate) fn new(address: &str, parameters: RcptParameters) -> Self {
        let forward_path = Mailbox::parse(address.as_bytes()).map(ForwardPath::Mailbox);
        let rcpt = Command::Rcpt {
            forward_path: forward_path.unwrap_or(ForwardPath::Postmaster),
            parameters,
        };
        Self {
            rcpt: line(&rcpt),
            last: String::new(),
            delay_reported: false,
            host: None,
        }
    }

    /// The address, and what was asked for it.
    pub(crate) fn asked(&self) -> (ForwardPath, RcptParameters) {
        match parsed(&self.rcpt) {
            Some(Command::Rcpt {
                forward_path,
                parameters,
            }) => (forward_path, parameters),
            _ => (ForwardPath::Postmaster, RcptParameters::default()),
        }
    }

    /// The line of RCPT.
    pub(crate) fn line(&self) -> &str {
        &self.rcpt
    }

    /// The address, as it is written.
    pub(crate) fn address(&self) -> String {
        let (path, _) = self.asked();
        path.mailbox()
            .map_or("postmaster".into(), ToString::to_string)
    }
}

impl Envelope {
    /// Creates one of a message that has just been queued.
    pub(crate) fn new(
        id: String,
        reverse_path: ReversePath,
        parameters: MailParameters,
        recipients: Vec<Waiting>,
    ) -> Self {
        let mail = Command::Mail {
            reverse_path,
            parameters,
        };
        Self {
            id,
            mail: line(&mail),
            recipients,
            queued: unix_now(),
            attempts: 0,
            held: false,
            route: None,
        }
    }

    /// Who is notified, and what was asked for the message.
    pub(crate) fn asked(&self) -> (ReversePath, MailParameters) {
        match parsed(&self.mail) {
            Some(Command::Mail {
                reverse_path,
                parameters,
            }) => (reverse_path, parameters),
            _ => (ReversePath(None), MailParameters::default()),
        }
    }

    /// The line of MAIL.
    pub(crate) fn line(&self) -> &str {
        &self.mail
    }

    /// Who is notified, as an address; `None`: it is a notification, which is never answered by one.
    pub(crate) fn sender(&self) -> Option<String> {
        self.asked().0.0.as_ref().map(ToString::to_string)
    }

    /// Returns whether it is a TLS report, which goes out whatever is wrong with TLS and is not reported itself (RFC 8460
    /// §3).
    pub(crate) fn is_tls_report(&self) -> bool {
        self.id.starts_with(TLS_REPORT)
    }

    /// When it may be handed on.
    fn released(&self) -> SystemTime {
        let seconds = match self.asked().1.hold() {
            Some(Hold::For(seconds)) => self.queued.saturating_add(seconds.into()),
            Some(Hold::Until(seconds)) => seconds,
            _ => return SystemTime::now(),
        };
        let seconds = u64::try_from(seconds).unwrap_or(0);
        SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(seconds))
            .map_or_else(SystemTime::now, |at| at.max(SystemTime::now()))
    }

    /// Until when nothing is tried: an operator holds it, or its sender has said so.
    pub(crate) fn waits_until(&self, now: SystemTime) -> Option<SystemTime> {
        match self.held {
            true => Some(never()),
            false => Some(self.released()).filter(|&due| due > now + Duration::from_secs(1)),
        }
    }

    /// Returns whether the time is over after which it is to be returned (RFC 2852 §4.1.3).
    pub(crate) fn is_too_late(&self) -> bool {
        self.asked().1.by().is_some_and(|by| {
            let passed = unix_now().saturating_sub(self.queued);
            by.mode == ByMode::Return && passed >= i64::from(by.seconds)
        })
    }

    pub(crate) fn encode(&self) -> Bytes {
        // Version 2, then the fields.
        let octets = postcard::to_extend(self, vec![2_u8]);
        let octets = octets.and_then(|octets| match &self.route {
            None => Ok(octets),
            route => {
                let route = route.clone();
                postcard::to_extend(&Further { route }, octets)
            }
        });
        octets.map_or_else(|_| Bytes::new(), Bytes::from)
    }

    pub(crate) fn decode(octets: &[u8]) -> Option<Self> {
        match octets.split_first()? {
            (1, rest) => postcard::from_bytes(rest).ok().map(Self::of_first),
            (2, rest) => {
                let (envelope, rest) = postcard::take_from_bytes::<Self>(rest).ok()?;
                let further = postcard::from_bytes::<Further>(rest).ok();
                Some(Self {
                    route: further.and_then(|further| further.route),
                    ..envelope
                })
            }
            _ => None,
        }
    }

    fn of_first(first: First) -> Self {
        let mailbox = |text: String| Mailbox::parse(text.as_bytes()).ok();
        let mut parameters = MailParameters::default();
        parameters.smtputf8 = first.smtputf8;
        let waiting = |one: FirstWaiting| Waiting {
            last: one.last,
            ..Waiting::new(&one.address, RcptParameters::default())
        };
        Self {
            queued: first.queued,
            attempts: first.attempts,
            ..Self::new(
                first.id,
                ReversePath(first.reverse_path.and_then(mailbox)),
                parameters,
                first.recipients.into_iter().map(waiting).collect(),
            )
        }
    }
}

/// A message for the recipients of one next hop, on its way into the queue.
///
/// ```
/// # use hikyaku_mailstore::{AccountId, Memory, Store, Transaction};
/// # use hikyaku_relay::Entry;
/// # use hikyaku_smtp_proto::{Mailbox, ReversePath};
/// # async fn example(store: &Memory) -> hikyaku_mailstore::Result<()> {
/// let mut stage = store.stage().await?;
/// stage.write("Subject: hello\r\n\r\n".into()).await?;
/// let body = stage.finish().await?;
/// let from = ReversePath(Mailbox::parse(b"alice@example.org").ok());
/// let entry = Entry::new("1", from, ["bob@example.net".into()]);
/// let enqueue = entry.enqueue("example.net", body);
/// store.commit(Transaction::new(AccountId::SYSTEM).with(enqueue)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Entry(Envelope);

impl Entry {
    /// Creates the envelope of a message of that name in logs, for those addresses. Its sender is notified when it is
    /// given up.
    pub fn new(
        id: impl Into<String>,
        reverse_path: ReversePath,
        recipients: impl IntoIterator<Item = String>,
    ) -> Self {
        let recipients = recipients.into_iter();
        let recipients = recipients.map(|address| (address, RcptParameters::default()));
        Self::asking(id, reverse_path, MailParameters::default(), recipients)
    }

    /// Creates the envelope of a message that asks for what these parameters say, as they came with MAIL and RCPT: DSN,
    /// SMTPUTF8, REQUIRETLS, a priority, a time.
    pub fn asking(
        id: impl Into<String>,
        reverse_path: ReversePath,
        parameters: MailParameters,
        recipients: impl IntoIterator<Item = (String, RcptParameters)>,
    ) -> Self {
        let recipients = recipients.into_iter();
        let recipients = recipients.map(|(address, asked)| Waiting::new(&address, asked));
        Self(Envelope::new(
            id.into(),
            reverse_path,
            parameters,
            recipients.collect(),
        ))
    }

    /// The address that is notified; empty for none.
    pub(crate) fn sender(&self) -> String {
        self.0.sender().unwrap_or_default()
    }

    /// Returns the operation that puts it into a store's queue, due at once, or when HOLDFOR or HOLDUNTIL says. The next
    /// hop is a domain, [`HERE`], or one of [`EXPANDED`], [`REDISTRIBUTED`] and [`LOOPED`], which only notify.
    #[must_use]
    pub fn enqueue(self, next_hop: impl Into<String>, body: Staged) -> Operation {
        Operation::Enqueue {
            due: self.0.released(),
            next_hop: next_hop.into(),
            body,
            envelope: self.0.encode(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_smtp_proto::{Notify, OriginalRecipient, Ret, Xtext};

    #[test]
    fn what_was_asked_for_is_there_after_a_restart() {
        let mut mail = MailParameters::default();
        (mail.ret, mail.smtputf8, mail.requiretls) = (Some(Ret::Headers), true, true);
        mail.envid = Some(Xtext::of(b"QQ 31"));
        let mut rcpt = RcptParameters::default();
        rcpt.notify = Some(Notify::SUCCESS.with(Notify::DELAY));
        rcpt.orcpt = Some(OriginalRecipient::rfc822("bob@example.org"));
        let from = ReversePath(Mailbox::parse("ál@example.org".as_bytes()).ok());
        let to = [("\"b b\"@example.net".to_owned(), rcpt.clone())];
        let Entry(envelope) = Entry::asking("1", from.clone(), mail.clone(), to);
        let read = Envelope::decode(&envelope.encode()).unwrap();
        assert_eq!(read.asked(), (from, mail));
        let (path, asked) = read.recipients[0].asked();
        assert_eq!(
            (path.to_string(), asked),
            ("<\"b b\"@example.net>".into(), rcpt)
        );
        assert_eq!(read.recipients[0].address(), "\"b b\"@example.net");
        assert!(Envelope::decode(&[3, 0]).is_none() && Envelope::decode(&[]).is_none());
    }

    #[test]
    fn what_an_operator_says_is_kept_and_read_over_by_earlier_programs() {
        let to = ["b@d.test".to_owned()];
        let Entry(mut envelope) = Entry::new("7", ReversePath(None), to);
        assert_eq!(Envelope::decode(&envelope.encode()).unwrap().route, None);
        envelope.held = true;
        envelope.route = Some("smtps://e.test".into());
        let octets = envelope.encode();
        let read = Envelope::decode(&octets).unwrap();
        assert_eq!(read.route.as_deref(), Some("smtps://e.test"));
        assert_eq!(read.waits_until(SystemTime::now()), Some(never()));
        // As a program reads it that knows no more than the fields.
        let earlier: Envelope = postcard::from_bytes(&octets[1..]).unwrap();
        assert!(earlier.held && earlier.route.is_none() && earlier.id == "7");
    }

    #[test]
    fn what_an_earlier_version_has_queued_is_read() {
        #[derive(Serialize)]
        struct Old(
            String,
            Option<String>,
            bool,
            Vec<(String, String)>,
            i64,
            u32,
        );
        let to = vec![("b@d.test".into(), "450 later".into())];
        let old = Old("7".into(), Some("a@c.test".into()), true, to, 12, 3);
        let octets = postcard::to_extend(&old, vec![1_u8]).unwrap();
        let read = Envelope::decode(&octets).unwrap();
        assert_eq!((&*read.id, read.queued, read.attempts), ("7", 12, 3));
        assert_eq!(read.sender().as_deref(), Some("a@c.test"));
        assert!(read.asked().1.smtputf8);
        assert_eq!(
            (read.recipients[0].address(), &*read.recipients[0].last),
            ("b@d.test".into(), "450 later")
        );
    }
}
