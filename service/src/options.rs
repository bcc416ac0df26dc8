//! The settings of a service.

use hikyaku_mailstore::MessageCache;
use hikyaku_smtp_proto::ReversePath;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::examiner::Examiner;
use crate::queue::Queue;
use crate::traced::Trace;

/// An event that [`Options::observe`] reports, for counters and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happened {
    /// A login succeeded.
    LoggedIn,
    /// A login failed: the name or the password was wrong.
    LoginFailed,
    /// A message was accepted.
    Received,
    /// A message was stored in a mailbox.
    Delivered,
    /// A step is over: how long it took.
    Took(Step, Duration),
}

/// A step on the way of a message that comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// From DATA to the end of the message.
    Receive,
    /// From the end of the message until it was on stable storage, or refused.
    Commit,
    /// Storing a message in the mailboxes here.
    Mailbox,
}

/// The function that observes events.
pub(crate) type Observe = Arc<dyn Fn(Happened) + Send + Sync>;

/// Rewrites the reverse-path of a message that is forwarded.
pub(crate) type Rewrite = Arc<dyn Fn(ReversePath) -> ReversePath + Send + Sync>;

/// The settings of a [`Service`](crate::Service).
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// The server's name, in greetings and trace fields.
    pub hostname: String,
    /// TLS for STARTTLS and STLS; without it they are not offered.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Whether a password in clear is refused without TLS; `true` by default.
    pub login_needs_tls: bool,
    /// The largest message, in octets.
    pub message_size: u64,
    /// IMAP: the most messages that one command may name (RFC 9738).
    pub message_limit: Option<NonZeroU32>,
    /// IMAP: how often a long search reports its progress (RFC 9585).
    pub progress: Duration,
    /// The cache of mailboxes and searches. Several services on one store share one.
    pub cache: Arc<MessageCache>,
    /// The queue for mail to other domains, and for mail that a mailbox here could not take at once. Without
    /// it, nothing is relayed.
    pub queue: Option<Arc<dyn Queue>>,
    /// Looks at mail before it is accepted, and signs what accounts send.
    pub examiner: Option<Arc<dyn Examiner>>,
    /// The octets of all messages that are examined at a time. Another one waits with its client, who is asked to come
    /// again.
    pub examined: usize,
    /// How many steps an address may take through others that it stands for; 10 by default. It is refused when it takes
    /// more.
    pub alias_depth: usize,
    /// How many addresses one recipient may stand for, those on the way included; 1 000 by default, so that no message
    /// is multiplied without bound. It is refused when it stands for more.
    pub alias_addresses: usize,
    /// Rewrites the reverse-path of a message that an alias or an account forwards to another server, for SRS; it stays
    /// as it is by default (RFC 5321 §3.9.1).
    pub forwarded_from: Rewrite,
    /// Called with each event.
    pub observe: Observe,
    /// Called with all that happens to messages that come in, in order: what an operator may want to know of each.
    pub trace: Option<Trace>,
}

/// Rows of mailboxes in the cache: about 32 MiB.
const ROWS: usize = 250_000;
/// Octets of the messages that are examined at a time.
const EXAMINED: usize = 256 << 20;
/// Octets in the cache of what sorting, threading and searching derived from messages.
const CACHE: usize = 64 << 20;

impl Options {
    /// Creates the default settings for a server with that name.
    pub fn new(hostname: impl Into<String>) -> Self {
        Self {
            hostname: hostname.into(),
            tls: None,
            login_needs_tls: true,
            message_size: 50 << 20,
            message_limit: None,
            progress: Duration::from_secs(10),
            cache: Arc::new(MessageCache::new(ROWS, CACHE)),
            queue: None,
            examiner: None,
            examined: EXAMINED,
            alias_depth: 10,
            alias_addresses: 1_000,
            forwarded_from: Arc::new(|reverse_path| reverse_path),
            observe: Arc::new(|_| {}),
            trace: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("hostname", &self.hostname)
            .field("login_needs_tls", &self.login_needs_tls)
            .field("message_size", &self.message_size)
            .field("message_limit", &self.message_limit)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}
