//! What the client machine reports and takes, and what it is set up with.

use alloc::string::ToString as _;
use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::{Excerpt, Misuse, Secret};

use crate::{Capabilities, ForwardPath, Limits, Reply, ReversePath};

/// What a client machine is set up with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// What it calls itself in EHLO: a domain or an address literal. Other octets are replaced when it is sent.
    pub hostname: Bytes,
    /// Whether the stream is under TLS from the start.
    pub tls: bool,
    /// AUTH only under TLS (the default); without it, it is a [`Misuse`].
    pub login_needs_tls: bool,
    /// LMTP: LHLO, and a reply for each recipient.
    pub lmtp: bool,
    /// Send octets over 127 even to a server without 8BITMIME. Otherwise such a message is
    /// [`SendError::Needs8BitMime`], or [`BodyError::Needs8BitMime`] when the envelope did not say so.
    pub eight_bit_anyway: bool,
    /// What the server may make us hold.
    pub limits: Limits,
}

impl Options {
    /// An SMTP client of that name.
    #[must_use]
    pub fn new(hostname: impl Into<Bytes>) -> Self {
        Self {
            hostname: hostname.into(),
            tls: false,
            login_needs_tls: true,
            lmtp: false,
            eight_bit_anyway: false,
            limits: Limits::default(),
        }
    }
}

/// A message to hand on: where it comes from, where it goes, and what it asks of the server.
///
/// [`of_message`](Self::of_message) and [`surveyed`](Self::surveyed) work out what it asks.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Envelope {
    /// MAIL FROM.
    pub reverse_path: ReversePath,
    /// RCPT TO, in order.
    pub forward_paths: Vec<ForwardPath>,
    /// Octets of the message as it is sent, when they are known: SIZE (RFC 1870). Line ends count as the CRLF that
    /// [`Connection::chunk`](super::Connection::chunk) makes of them.
    pub octets: Option<u64>,
    /// The body has octets over 127: 8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// The header section has octets over 127: SMTPUTF8 (RFC 6531). The paths are looked at anyway.
    pub international: bool,
}

impl Envelope {
    /// A message of 7-bit octets and unknown size.
    #[must_use]
    pub fn new(reverse_path: ReversePath, forward_paths: Vec<ForwardPath>) -> Self {
        Self {
            reverse_path,
            forward_paths,
            ..Self::default()
        }
    }
}

/// What the caller has to know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The server said what it can do; under TLS once more.
    Ready(Capabilities),
    /// The server will not talk to us (greeting or EHLO), or closes (421, at any moment).
    Refused(Reply),
    /// STARTTLS was refused; the connection goes on without.
    NoTls(Reply),
    /// SASL: answer with [`Connection::respond`](super::Connection::respond).
    Challenge(Secret),
    /// Logged in.
    Authenticated(Reply),
    /// Not logged in: the credentials are wrong, or with a transient reply nobody can say (RFC 4954 §6). The
    /// connection goes on, and another mechanism may be tried.
    AuthenticationRefused(Reply),
    /// MAIL was refused: the message is not sent; [`Event::Done`] follows.
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
    /// What became of the message, for the recipient of that index, or all accepted ones.
    Delivered {
        /// With LMTP, whose.
        index: Option<usize>,
        /// The server's words: only a positive one makes it the server's.
        reply: Reply,
    },
    /// DATA was refused: no recipient got it.
    DataRefused(Reply),
    /// The transaction is over: the next thing may begin.
    Done,
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

/// Why a message was not begun: nothing was sent, and the next thing may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Something else is under way.
    #[error("{0}")]
    Misuse(Misuse),
    /// No recipient.
    #[error("a message without a recipient")]
    NoRecipient,
    /// An address or the header section needs SMTPUTF8, and the server has it not: 5.6.7.
    #[error("the server does not take international addresses or headers (SMTPUTF8)")]
    NeedsSmtpUtf8,
    /// The body needs 8BITMIME, and the server has it not: 5.6.3.
    #[error("the server does not take octets over 127 (8BITMIME)")]
    Needs8BitMime,
    /// The server said how much it takes, and this is more: 5.3.4.
    #[error("the server takes messages of up to {limit} octets")]
    TooLarge {
        /// In octets.
        limit: u64,
    },
}

impl SendError {
    /// The reply that such a server would have given, with its enhanced status code (RFC 5321 §4.2,
    /// 1870 §6.1, 6152 §3, 6531 §3.5).
    #[must_use]
    pub fn reply(&self) -> Reply {
        let (code, enhanced) = match self {
            Self::Misuse(_) => (451, "4.3.0"),
            Self::NoRecipient => (554, "5.5.1"),
            Self::NeedsSmtpUtf8 => (553, "5.6.7"),
            Self::Needs8BitMime => (554, "5.6.3"),
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
    /// They have some over 127, and the server has no 8BITMIME: 5.6.3. None of this chunk was sent. DATA has begun
    /// and knows no way back, so the connection is over: the message is never completed, and
    /// [`Step::Closed`](hikyaku_wire::Step::Closed) follows.
    #[error("the server does not take octets over 127 (8BITMIME)")]
    Needs8BitMime,
}
