//! What the client machine reports.

use bytes::Bytes;
use hikyaku_wire::{Excerpt, Secret};

use crate::{Capabilities, Response};

/// Names a command: the methods that issue one return it, and [`Event::Completed`] carries it.
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
        /// Octets of all messages.
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
        /// The command.
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
        /// The command.
        handle: Handle,
        /// The server's words.
        response: Response,
    },
    /// The server refused a login. The response code says whether the credentials are wrong; another login may
    /// be tried.
    AuthenticationRefused {
        /// The command.
        handle: Handle,
        /// The server's words.
        response: Response,
    },
    /// A command other than a login has ended; what it listed or gave came before. `-ERR` comes here too.
    ///
    /// For QUIT, only `+OK` says that the messages marked as deleted are gone (RFC 1939 §6).
    Completed {
        /// The command.
        handle: Handle,
        /// The server's words.
        response: Response,
    },
    /// The server sent a response that no command waits for, and closes.
    Bye(Response),
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
    /// A listing has more lines than [`Limits::listing`](crate::Limits::listing) or
    /// [`Limits::capabilities`](crate::Limits::capabilities).
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
