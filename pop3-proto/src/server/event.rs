//! What the server machine reports.

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Secret;

/// What the application has to know. All but [`SaslCancelled`](Self::SaslCancelled) wait for an answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A client is there: `greet` or `err`.
    Connected,
    /// USER and PASS: `grant`, `refuse` or `err`.
    Login {
        /// The name.
        name: Bytes,
        /// The password.
        password: Secret,
    },
    /// APOP: `grant`, `refuse` or `err`.
    Apop {
        /// The name.
        name: Bytes,
        /// MD5 of the timestamp and the password.
        digest: [u8; 16],
    },
    /// AUTH: `grant`, `challenge`, `refuse` or `err`; LOGIN has [`LOGIN_PROMPTS`](hikyaku_wire::LOGIN_PROMPTS).
    Authenticate {
        /// One of those in the options.
        mechanism: Bytes,
        /// The initial response, decoded.
        initial: Option<Secret>,
    },
    /// The client's next response: `grant`, `challenge`, `refuse` or `err`.
    SaslResponse(Secret),
    /// *No answer*: the exchange is over; the client cancelled it or sent what is no base64.
    SaslCancelled,
    /// RETR or TOP: `begin`, `chunk`, `end`, or `err`.
    Message {
        /// Counts from 1.
        number: u32,
        /// Whether the whole message is asked for (RETR), or as much as `chunk` wants (TOP).
        whole: bool,
    },
    /// QUIT: delete these, then `ok`; `err` when some could not be deleted.
    Update {
        /// The message numbers, ascending.
        deleted: Vec<u32>,
    },
}

/// What the peer did that ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It closed in the middle of an authentication.
    #[error("the connection ended inside an authentication")]
    InsideSasl,
}
