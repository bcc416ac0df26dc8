//! What the server machine reports.

use bytes::Bytes;
use hikyaku_wire::Secret;

use crate::{ForwardPath, MailParameters, ReversePath};

/// What the application has to know. Those marked *answer* wait for `accept`, `reply` or `challenge`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// *answer*: a client is there; 220 or 554.
    Connected,
    /// *answer*: EHLO, HELO or LHLO. Whatever transaction there was is gone.
    Hello {
        /// What it calls itself.
        name: Bytes,
        /// Whether it was EHLO or LHLO.
        extended: bool,
    },
    /// *answer*: MAIL.
    Mail {
        /// Where it comes from.
        reverse_path: ReversePath,
        /// SIZE is within the limit already.
        parameters: MailParameters,
    },
    /// *answer*: RCPT.
    Rcpt {
        /// Where it goes.
        forward_path: ForwardPath,
    },
    /// *answer*: DATA, with at least one recipient accepted; 354 or a refusal.
    Data,
    /// Octets of the message, dot-stuffing removed.
    Chunk(Bytes),
    /// The message will be refused (too large, NUL, bare CR or LF): forget what came of it. The
    /// machine answers when it ends; the transaction is over.
    BodyRefused,
    /// *answer*: the message is whole. A positive reply says that it is on stable storage.
    EndOfData,
    /// The transaction is over: RSET or STARTTLS.
    Reset,
    /// *answer*: AUTH. 235, 535, or a challenge; LOGIN has [`LOGIN_PROMPTS`](hikyaku_wire::LOGIN_PROMPTS).
    Auth {
        /// One of those in the options.
        mechanism: Bytes,
        /// The initial response, decoded.
        initial: Option<Secret>,
    },
    /// *answer*: the client's next response.
    SaslResponse(Secret),
    /// The exchange is over: the client cancelled it or sent what is no base64; it was answered.
    SaslCancelled,
    /// *answer*: VRFY. `accept` says 252.
    Verify(Bytes),
}

/// What the peer did that ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It closed in the middle of a message: nothing of it may be kept.
    #[error("the connection ended inside a message")]
    InsideBody,
    /// It closed in the middle of an authentication.
    #[error("the connection ended inside an authentication")]
    InsideSasl,
}
