//! What the server machine reports.

use bytes::Bytes;
use hikyaku_wire::Secret;

use crate::{Append, Command};

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
        /// The mailbox it is for, its flags and its date.
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
    EndOfBody,
    /// *No answer*: nothing comes of the message; the machine answered.
    BodyRefused,
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
