//! What the server machine reports, and what it is set up with.

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Secret;

use crate::{Append, Command, Limits};

/// How a server machine behaves. CAPABILITY lists what is set here, and what the machine does by itself: IMAP4rev1,
/// LITERAL+ and ENABLE.
///
/// By default nobody can log in without TLS: set [`tls`](Self::tls) where the stream is under TLS, offer
/// [`starttls`](Self::starttls), or allow logins in clear with [`login_needs_tls`](Self::login_needs_tls).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Whether STARTTLS is offered.
    pub starttls: bool,
    /// Whether the stream is under TLS from the start.
    pub tls: bool,
    /// SASL mechanisms, in upper case. Without any there is no AUTHENTICATE.
    pub mechanisms: Vec<Bytes>,
    /// LOGIN and AUTHENTICATE only under TLS (the default): LOGINDISABLED until then.
    pub login_needs_tls: bool,
    /// What the application can do: names of capabilities such as `IDLE`, `ID`, `UNSELECT` or `MOVE`, whose events and
    /// commands it answers. IDLE is refused unless it, or IMAP4rev2, is among them; ENABLE enables what is among them.
    pub capabilities: Vec<Bytes>,
    /// COMPRESS is offered (RFC 4978).
    pub compress: bool,
    /// Whether the stream is compressed from the start.
    pub compressed: bool,
    /// What a peer may make us hold.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            starttls: false,
            tls: false,
            mechanisms: Vec::new(),
            login_needs_tls: true,
            capabilities: Vec::new(),
            compress: false,
            compressed: false,
            limits: Limits::default(),
        }
    }
}

/// What the application has to know. All but the marked wait for [`complete`](super::Connection::complete).
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A client is there: `greet` or `bye`.
    Connected,
    /// LOGIN.
    Login {
        /// The name.
        name: Bytes,
        /// The password.
        password: Secret,
    },
    /// AUTHENTICATE; `challenge` goes on. LOGIN has [`LOGIN_PROMPTS`](hikyaku_wire::LOGIN_PROMPTS).
    Authenticate {
        /// One of those in the options.
        mechanism: Bytes,
        /// The initial response, decoded.
        initial: Option<Secret>,
    },
    /// The client's next response; `challenge` goes on.
    SaslResponse(Secret),
    /// *No answer*: the exchange is over; the client cancelled it or sent what is no base64.
    SaslCancelled,
    /// A command, legal in this state.
    Command(Command),
    /// APPEND or REPLACE: `accept`, or `complete` with NO, after which all that is left of it is passed
    /// over. One command may have several messages: the next one says that the last one is whole.
    Append {
        /// Where to.
        append: Append,
        /// Octets that will come; `None` when it is put together of what follows (CATENATE).
        octets: Option<u64>,
    },
    /// What that URL leads to is the next part: `accept`, or `complete` with NO.
    CatenateUrl(Bytes),
    /// So many octets are the next part: `accept`, or `complete` with NO.
    CatenateText(u64),
    /// *No answer*: octets of the message.
    Chunk(Bytes),
    /// The last message is whole: an OK says that all are on stable storage, or else none is there.
    EndOfMessage,
    /// *No answer*: nothing comes of the message; the machine answered.
    MessageRefused,
    /// *No answer*: IDLE has begun: send changes as they happen, until [`IdleDone`](Self::IdleDone).
    Idle,
    /// IDLE has ended: send what is left, and complete.
    IdleDone,
}

/// What the peer did that ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It closed in the middle of a command or of a message: nothing of it may be kept.
    #[error("the connection ended inside a command")]
    InsideCommand,
}
