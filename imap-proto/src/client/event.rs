//! What the client machine reports.

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::{Excerpt, Secret};

use crate::{
    Completion, FetchAttribute, FetchItem, Response, ResponseCode, SequenceNumber, Status, Uid,
};

/// Names a command that was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(pub(super) u64);

/// What the caller has to know. Data names what it is, never whose: a server may send anything at any
/// time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The server is there, and what it can do is known.
    Connected {
        /// PREAUTH: logged in already.
        preauth: bool,
        /// Its words.
        text: Bytes,
    },
    /// SASL: answer with [`Connection::respond`](super::Connection::respond).
    Challenge(Secret),
    /// APPEND: give the message now, by [`Connection::chunk`](super::Connection::chunk).
    SendBody(Handle),
    /// IDLE has begun.
    Idling(Handle),
    /// A section of a message begins: chunks, and [`Event::EndOfBody`], follow.
    Section {
        /// The message; none where only UIDs are used (RFC 9586).
        sequence: Option<SequenceNumber>,
        /// Its UID, when it is known by now; [`Event::Fetch`] has it at the latest.
        uid: Option<Uid>,
        /// Which section, as it was asked for.
        name: FetchAttribute,
        /// Octets of it that come; `None` for NIL: there is no such part.
        octets: Option<u64>,
    },
    /// The next octets of the section.
    Chunk(Bytes),
    /// The section is whole.
    EndOfBody,
    /// The end of the data of a message, with all but its sections.
    Fetch {
        /// The message; none where only UIDs are used (RFC 9586).
        sequence: Option<SequenceNumber>,
        /// Its UID, when it is known.
        uid: Option<Uid>,
        /// The data; `UID` is among it.
        items: Vec<FetchItem>,
    },
    /// So many messages there are now.
    Exists(u32),
    /// A message is gone.
    Expunged {
        /// The number it had.
        sequence: SequenceNumber,
        /// Its UID, when it was known.
        uid: Option<Uid>,
    },
    /// UIDs that are gone, as ranges (RFC 7162).
    Vanished {
        /// Since the mod-sequence that was named; not from the messages that were counted now.
        earlier: bool,
        /// Both ends inclusive.
        uids: Vec<(u32, u32)>,
    },
    /// OK, NO or BAD beside a command: an ALERT must be shown to the user.
    Status(Status, Option<ResponseCode>, Bytes),
    /// Anything else that the server sent.
    Data(Response),
    /// The server closes, or would not talk to us.
    Bye(Option<ResponseCode>, Bytes),
    /// LOGIN or AUTHENTICATE has ended with OK: it stands in place of [`Event::Completed`].
    Authenticated(Handle, Completion),
    /// The server refused the login, with NO or BAD; it stands in place of [`Event::Completed`].
    AuthenticationRefused(Handle, Completion),
    /// A command has ended; a login ends with one of the two above.
    Completed(Handle, Completion),
}

/// What the server did that ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a response.
    #[error("not a response, {during}: expected {expected}, found {found}")]
    NoResponse {
        /// What was under way: `after SELECT`.
        during: During,
        /// What had to come.
        expected: &'static str,
        /// The first octets of what came; nothing while a login is under way.
        found: Excerpt,
    },
    /// A tag or a `+` that no command waits for.
    #[error("unexpected answer {found}, {during}")]
    Unasked {
        /// What was under way.
        during: During,
        /// The first octets of it.
        found: Excerpt,
    },
    /// A response past [`Limits::response`](crate::Limits::response).
    #[error("a response that is too long (more than {most} octets), {during}: {found}")]
    TooLong {
        /// What was under way.
        during: During,
        /// The limit.
        most: usize,
        /// The first octets of it.
        found: Excerpt,
    },
    /// Octets came in clear after STARTTLS was agreed upon: whoever put them there (CVE-2011-0411).
    #[error("octets in clear after STARTTLS: {found}")]
    Injected {
        /// The first of them.
        found: Excerpt,
    },
    /// The server closed before it had answered.
    #[error("the connection ended before the answer, {during}")]
    Unanswered {
        /// What is without its answer.
        during: During,
    },
}

/// What a connection was at when an error came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct During {
    /// The first command that was sent and has not ended.
    pub command: Option<&'static str>,
    /// The state, as in [`Misuse`](super::Misuse).
    pub state: &'static str,
}

impl core::fmt::Display for During {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.command {
            Some(command) => write!(f, "after {command}, {}", self.state),
            None => f.write_str(self.state),
        }
    }
}
