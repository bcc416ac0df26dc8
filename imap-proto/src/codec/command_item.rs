//! What comes out of the server's decoder.

use bytes::Bytes;
use hikyaku_wire::Secret;

#[cfg(doc)]
use super::ServerCodec;
use crate::plumbing::framer::Refusal;
use crate::{Append, SyntaxError, Tagged};
#[cfg(doc)]
use crate::{Limits, Received};

/// What a client sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum CommandItem {
    /// A command, its literals inside.
    Command(Tagged),
    /// A synchronizing literal in a command: encode [`Received::Continuation`] to have its octets, or the command's
    /// tagged NO or BAD, after which they do not come.
    Continue {
        /// The command's. `None` when it has none that can be read: an untagged BAD refuses it then.
        tag: Option<Bytes>,
        /// How many octets the literal has.
        octets: u64,
    },
    /// A message of APPEND or REPLACE. Its octets follow as [`Chunk`](Self::Chunk)s. Where the literal is a
    /// synchronizing one ([`ServerCodec::is_continuation_due`]), `+` or a tagged NO or BAD is due first; where it is not,
    /// a tagged response ends the command as well, and what is still to come of it is passed over.
    Append {
        /// The command's.
        tag: Bytes,
        /// Where the message goes, and how.
        append: Append,
        /// How many octets it has; `None` when it is put together of what follows (CATENATE).
        octets: Option<u64>,
    },
    /// CATENATE: what that URL leads to comes next in the message.
    CatenateUrl(Bytes),
    /// CATENATE: a text comes next in the message, as [`Chunk`](Self::Chunk)s. `+` may be due, as for `Append`.
    CatenateText {
        /// How many octets it has.
        octets: u64,
    },
    /// Octets of a message, never empty. At most [`Limits::folded`] octets come as one.
    Chunk(Bytes),
    /// APPEND or REPLACE is whole.
    EndOfAppend {
        /// The command's.
        tag: Bytes,
    },
    /// What follows [`Received::Continuation`] in AUTHENTICATE.
    SaslResponse(Secret),
    /// AUTHENTICATE was cancelled, or what came is no base64: a tagged BAD is due.
    SaslCancelled,
    /// IDLE is over: a tagged OK is due, or BAD when the line was another than DONE.
    EndOfIdle {
        /// Whether it was DONE.
        done: bool,
    },
    /// A command that is not as the grammar has it: BAD is due. Chunks of its message that were given are void.
    Malformed(SyntaxError),
    /// A command that passes a limit, or holds what none may hold: BAD is due. Chunks of its message that were given
    /// are void.
    Refused {
        /// The command's, when it could be read.
        tag: Option<Bytes>,
        /// Why it did not get through.
        refusal: Refusal,
    },
}
