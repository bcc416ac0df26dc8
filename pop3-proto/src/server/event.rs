//! What the server machine tells, and what it is set up with.

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Secret;

use crate::Limits;

/// How a server machine behaves.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// Whether STLS is offered.
    pub stls: bool,
    /// Whether TLS is there from the start.
    pub tls: bool,
    /// SASL mechanisms, in upper case.
    pub mechanisms: Vec<Bytes>,
    /// Passwords only under TLS.
    pub login_needs_tls: bool,
    /// The greeting's `<..@..>` for APOP, another one each time; without it there is no APOP.
    pub timestamp: Option<Bytes>,
    /// What a peer may make us hold.
    pub limits: Limits,
}

/// What the application has to know; all but the marked wait for an answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A client is there: `ok` or `err`.
    Connected,
    /// USER and PASS: `open` or `err`.
    Login {
        /// The name.
        name: Bytes,
        /// The password.
        password: Secret,
    },
    /// APOP: `open` or `err`.
    Apop {
        /// The name.
        name: Bytes,
        /// MD5 of the timestamp and the password.
        digest: [u8; 16],
    },
    /// AUTH: `open`, `challenge` or `err`.
    Auth {
        /// One of those in the options.
        mechanism: Bytes,
        /// The initial response, decoded.
        initial: Option<Secret>,
    },
    /// The client's next response: `open`, `challenge` or `err`.
    SaslResponse(Secret),
    /// *No answer*: the exchange is over; the client cancelled it or sent what is no base64.
    SaslCancelled,
    /// RETR or TOP: `begin`, `chunk`, `end`, or `err`.
    Message {
        /// Counts from 1.
        number: u32,
        /// All of it, or as much as `chunk` wants.
        whole: bool,
    },
    /// QUIT: delete these, then `ok`; `err` says that some may not be deleted.
    Update {
        /// Numbers, ascending.
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

/// An answer was given that nothing waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing waits for this answer")]
pub struct Misuse;
