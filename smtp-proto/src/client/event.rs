//! What the client machine reports and takes.

use alloc::string::ToString as _;
use alloc::vec::Vec;
use hikyaku_wire::{Excerpt, Misuse, Secret};

use crate::capabilities::Capabilities;
use crate::parameter::mail::MailParameters;
use crate::parameter::rcpt::RcptParameters;
use crate::path::forward::ForwardPath;
use crate::path::reverse::ReversePath;
use crate::reply::Reply;

/// The envelope of a message to send: where it comes from, where it goes, and what it asks of the server.
///
/// [`of_message`](Self::of_message) and [`surveyed`](Self::surveyed) work out what it asks.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Envelope {
    /// MAIL FROM.
    pub reverse_path: ReversePath,
    /// RCPT TO, in order.
    pub recipients: Vec<Recipient>,
    /// What is asked of the server beside [`octets`](Self::octets) and what the message needs, which set SIZE, BODY and
    /// SMTPUTF8. DSN, MT-PRIORITY, AUTH and SOLICIT, and BY with the mode N, are left out where the server lacks them;
    /// without REQUIRETLS, FUTURERELEASE or BY with the mode R, where they are asked for, nothing is sent.
    pub parameters: MailParameters,
    /// Octets of the message as it is sent, when they are known: SIZE (RFC 1870). Line ends count as the CRLF that
    /// [`Connection::chunk`](super::Connection::chunk) makes of them.
    pub octets: Option<u64>,
    /// The body has octets over 127: 8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// The message is no text of lines: BINARYMIME (RFC 3030), which goes by BDAT.
    pub binary: bool,
    /// The header section has octets over 127: SMTPUTF8 (RFC 6531). The paths are looked at anyway.
    pub international: bool,
}

impl Envelope {
    /// Creates the envelope of a message of 7-bit octets and unknown size.
    #[must_use]
    pub fn new(reverse_path: ReversePath, forward_paths: Vec<ForwardPath>) -> Self {
        Self {
            reverse_path,
            recipients: forward_paths.into_iter().map(Recipient::from).collect(),
            ..Self::default()
        }
    }
}

/// One recipient, and what is asked for it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Recipient {
    /// RCPT TO.
    pub forward_path: ForwardPath,
    /// Its parameters. DSN's, and RRVS unless it says R, are left out where the server lacks them.
    pub parameters: RcptParameters,
}

impl From<ForwardPath> for Recipient {
    /// A recipient that nothing is asked for.
    fn from(forward_path: ForwardPath) -> Self {
        Self {
            forward_path,
            parameters: RcptParameters::default(),
        }
    }
}

/// What the caller has to know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The server announced its extensions. Comes again when TLS has begun.
    Connected(Capabilities),
    /// The server refuses the connection (in its greeting or its reply to EHLO), or closes it (421, at any moment).
    Bye(Reply),
    /// STARTTLS was refused; the connection stays in clear.
    NoTls(Reply),
    /// SASL: answer with [`Connection::respond`](super::Connection::respond).
    Challenge(Secret),
    /// Logged in.
    Authenticated(Reply),
    /// The login was refused: the credentials are wrong, or with a transient reply cannot be checked now (RFC 4954
    /// §6). The connection goes on, and another mechanism may be tried.
    AuthenticationRefused(Reply),
    /// MAIL was refused: the message is not sent; [`Event::Completed`] follows.
    MailRefused(Reply),
    /// What became of RCPT number `index`.
    Recipient {
        /// Counts the envelope's forward-paths from 0.
        index: usize,
        /// The server's words.
        reply: Reply,
    },
    /// Send the message now: [`Connection::chunk`](super::Connection::chunk),
    /// then [`Connection::end_of_body`](super::Connection::end_of_body).
    SendBody,
    /// What became of the message, for one recipient (LMTP) or for all accepted ones.
    Delivered {
        /// With LMTP, the recipient's place in the envelope; `None` with SMTP.
        index: Option<usize>,
        /// The server's words: only a positive one makes it the server's.
        reply: Reply,
    },
    /// DATA, or a chunk of BDAT, was refused: no recipient gets the message. What is sent of it from now on is dropped.
    DataRefused(Reply),
    /// The transaction, or NOOP, is over: the connection is ready for another command.
    Completed,
}

/// What the server did that ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a reply, or too long a one.
    #[error("not a reply to {command}: expected {expected}, found {found}")]
    NoReply {
        /// What it should answer.
        command: &'static str,
        /// What had to come.
        expected: &'static str,
        /// The first octets of what came; nothing while AUTH is under way.
        found: Excerpt,
    },
    /// A reply came and no command was outstanding.
    #[error("unexpected reply {found}: no command is outstanding {state}")]
    Unasked {
        /// What the connection was at.
        state: &'static str,
        /// The first octets of the reply.
        found: Excerpt,
    },
    /// Octets came in clear after STARTTLS was agreed upon: whoever put them there (CVE-2011-0411).
    #[error("octets in clear after STARTTLS: {found}")]
    Injected {
        /// The first of them.
        found: Excerpt,
    },
    /// The server closed before it had answered: whether a message was taken is not known.
    #[error("the connection ended before the reply to {command}")]
    Unanswered {
        /// What is without its reply.
        command: &'static str,
    },
}

/// Why a message was not sent. Nothing of it was, and the connection is ready for another command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Another command is under way.
    #[error("{0}")]
    Misuse(Misuse),
    /// The envelope has no recipient.
    #[error("a message without a recipient")]
    NoRecipient,
    /// An address or the header section needs SMTPUTF8, which the server does not announce: 5.6.7.
    #[error("the server does not take international addresses or headers (SMTPUTF8)")]
    NeedsSmtpUtf8,
    /// The body needs 8BITMIME, which the server does not announce: 5.6.3.
    #[error("the server does not take octets over 127 (8BITMIME)")]
    Needs8BitMime,
    /// The message is binary, and the server does not announce BINARYMIME and CHUNKING, or BDAT is not to be used: 5.6.1.
    #[error("the server does not take binary messages (BINARYMIME)")]
    NeedsBinaryMime,
    /// The message asks for REQUIRETLS, which the server does not announce: 5.7.30.
    #[error("the server cannot promise that the message stays under TLS (REQUIRETLS)")]
    NeedsRequireTls,
    /// The message is to be returned when it is late, and the server does not announce DELIVERBY.
    #[error("the server cannot promise to return the message when it is late (DELIVERBY)")]
    NeedsDeliverBy,
    /// The message is to be held, and the server does not announce FUTURERELEASE.
    #[error("the server does not hold messages (FUTURERELEASE)")]
    NeedsFutureRelease,
    /// A recipient is to be refused unless its owner is the same, and the server does not announce RRVS: 5.7.19.
    #[error("the server does not know since when mailboxes have their owners (RRVS)")]
    NeedsRrvs,
    /// There are more recipients than the server announced with LIMITS: 5.5.3. Send to the others in another transaction.
    #[error("the server takes {limit} recipients at once")]
    TooManyRecipients {
        /// RCPTMAX.
        limit: usize,
    },
    /// The message is larger than the SIZE that the server announced: 5.3.4.
    #[error("the server takes messages of up to {limit} octets")]
    TooLarge {
        /// In octets.
        limit: u64,
    },
}

impl SendError {
    /// Returns the reply that the server would have sent, with its enhanced status code (RFC 5321 §4.2,
    /// 1870 §6.1, 6152 §3, 6531 §3.5).
    #[must_use]
    pub fn reply(&self) -> Reply {
        let (code, enhanced) = match self {
            Self::Misuse(_) => (451, "4.3.0"),
            Self::NoRecipient => (554, "5.5.1"),
            Self::NeedsSmtpUtf8 => (553, "5.6.7"),
            Self::Needs8BitMime => (554, "5.6.3"),
            Self::NeedsBinaryMime => (554, "5.6.1"),
            Self::NeedsRequireTls => (550, "5.7.30"),
            Self::NeedsDeliverBy => (550, "5.3.3"),
            Self::NeedsFutureRelease => (550, "5.3.3"),
            Self::NeedsRrvs => (550, "5.7.19"),
            Self::TooManyRecipients { .. } => (452, "4.5.3"),
            Self::TooLarge { .. } => (552, "5.3.4"),
        };
        Reply::new(code, enhanced, self.to_string())
    }
}

/// Why octets of a message were not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// They were not asked for.
    #[error("{0}")]
    Misuse(Misuse),
    /// Some octets are over 127, and the server has no 8BITMIME: 5.6.3. None of this chunk was sent. DATA has begun
    /// and cannot be taken back, so the connection is over: the message is never completed, and
    /// [`Step::Closed`](hikyaku_wire::Step::Closed) follows.
    #[error("the server does not take octets over 127 (8BITMIME)")]
    Needs8BitMime,
    /// More or fewer octets than [`Envelope::octets`] said, where BDAT has announced them. The connection is over: the
    /// message is never completed, and [`Step::Closed`](hikyaku_wire::Step::Closed) follows.
    #[error("not as many octets as were announced with BDAT")]
    WrongSize,
}
