//! What the client machine reports, and what it is set up with.

use bytes::Bytes;
use hikyaku_wire::{Excerpt, Secret};

use crate::{Capabilities, Limits, Response};

/// What a client machine is set up with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Whether the stream is under TLS from the start.
    pub tls: bool,
    /// USER, PASS and AUTH only under TLS (the default); without it they are a [`Misuse`](super::Misuse). APOP sends no
    /// password, and is allowed.
    pub login_needs_tls: bool,
    /// Send one command after the other even where the server has PIPELINING.
    pub one_by_one: bool,
    /// What a server may make us hold.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tls: false,
            login_needs_tls: true,
            one_by_one: false,
            limits: Limits::default(),
        }
    }
}

/// Which command: what the methods that issue one return, and what [`Event::Completed`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub(super) u64);

/// What the caller has to know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The greeting. After `-ERR` the connection is over.
    Connected {
        /// The server's words.
        response: Response,
        /// What APOP's digest begins with, angle brackets included (RFC 1939 §7).
        timestamp: Option<Bytes>,
    },
    /// What CAPA listed; its [`Event::Completed`] follows.
    Capabilities(Capabilities),
    /// AUTH: answer with [`Connection::respond`](super::Connection::respond).
    Challenge(Secret),
    /// STAT: what the maildrop holds.
    Maildrop {
        /// How many messages.
        messages: u32,
        /// In all.
        octets: u64,
    },
    /// LIST: one of its lines.
    Size {
        /// Counts from 1.
        number: u32,
        /// Octets of the message.
        octets: u64,
    },
    /// UIDL: one of its lines.
    UniqueId {
        /// Counts from 1.
        number: u32,
        /// 1 to 70 octets by the RFC; up to a line's length is taken.
        unique_id: Bytes,
    },
    /// RETR or TOP: the message follows in [`Event::Chunk`]s.
    Message {
        /// Whose.
        handle: Handle,
        /// Its number.
        number: u32,
        /// Octets, where the server says so; a hint, not to be relied upon.
        octets: Option<u64>,
    },
    /// Octets of the message under way, stuffing removed; pieces may end anywhere, never empty.
    Chunk(Bytes),
    /// A login has ended: the maildrop is open.
    Authenticated {
        /// Whose.
        handle: Handle,
        /// The server's words.
        response: Response,
    },
    /// A login has ended without one. The response code says whether it was for the credentials; another way may
    /// be tried.
    AuthenticationRefused {
        /// Whose.
        handle: Handle,
        /// The server's words.
        response: Response,
    },
    /// A command other than a login has ended; what it listed or gave came before. `-ERR` comes here too.
    ///
    /// For QUIT, only `+OK` says that the messages marked as deleted are gone (RFC 1939 §6).
    Completed {
        /// Whose.
        handle: Handle,
        /// The server's words.
        response: Response,
    },
    /// The server said so without being asked, and closes.
    Farewell(Response),
}

/// What the server did that ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a response, or too long a one.
    #[error("not a response to {command}: expected {expected}, found {found}")]
    NoResponse {
        /// The command it should answer.
        command: &'static str,
        /// What had to come.
        expected: &'static str,
        /// The first octets of what came; nothing while a login is under way.
        found: Excerpt,
    },
    /// A listing has more lines than [`Limits::listing`] or [`Limits::capabilities`].
    #[error("a listing of too many lines (more than {most}) in the response to {command}")]
    TooMany {
        /// The command it answers.
        command: &'static str,
        /// The limit.
        most: usize,
    },
    /// Octets came in clear after STLS was agreed upon: whoever put them there.
    #[error("octets in clear after STLS: {found}")]
    Injected {
        /// The first of them.
        found: Excerpt,
    },
    /// The server closed before it had answered. What was deleted may or may not be gone, and what was
    /// being retrieved is not whole.
    #[error("the connection ended before the response to {command}")]
    Unanswered {
        /// The command that is without its response.
        command: &'static str,
    },
}
