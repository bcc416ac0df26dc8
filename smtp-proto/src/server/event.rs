//! What the server machine reports.

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Secret;

use crate::command::etrn::EtrnScope;
use crate::command::proxied::Attribute;
use crate::parameter::mail::MailParameters;
use crate::parameter::rcpt::RcptParameters;
use crate::path::forward::ForwardPath;
use crate::path::reverse::ReversePath;

/// What the application has to know. Those marked *answer* wait for [`accept`](super::Connection::accept),
/// [`reply`](super::Connection::reply) or the methods for logins.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// *answer*: a client is there; 220 or 554.
    Connected,
    /// *answer*: EHLO, HELO or LHLO. A positive reply ends a transaction under way, without [`Reset`](Self::Reset).
    Hello {
        /// The client's name for itself.
        name: Bytes,
        /// Whether it was EHLO or LHLO.
        extended: bool,
    },
    /// *answer*: MAIL.
    Mail {
        /// The reverse-path.
        reverse_path: ReversePath,
        /// Its parameters; SIZE has been checked against the limit.
        parameters: MailParameters,
    },
    /// *answer*: RCPT.
    Rcpt {
        /// The forward-path.
        forward_path: ForwardPath,
        /// Its parameters.
        parameters: RcptParameters,
    },
    /// *answer*: DATA or the first BDAT, with at least one recipient accepted; `accept` or a refusal. What follows is the
    /// same, whichever it was.
    Data,
    /// Octets of the message, dot-stuffing removed.
    Chunk(Bytes),
    /// The message will be refused (too large, NUL, bare CR or LF): drop what has come of it. The
    /// machine answers when it ends; the transaction is over.
    BodyRefused,
    /// *answer*: the message is whole. A positive reply says that it is on stable storage.
    EndOfBody,
    /// The transaction is over: RSET or STARTTLS. What has come of a message is dropped.
    Reset,
    /// *answer*: AUTH. 235, 535, or a challenge; LOGIN has [`LOGIN_PROMPTS`](hikyaku_wire::LOGIN_PROMPTS).
    Authenticate {
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
    Verify {
        /// A mailbox or a name.
        string: Bytes,
        /// Whether the answer may be international.
        smtputf8: bool,
    },
    /// *answer*: EXPN, where it is offered.
    Expand {
        /// The name of a list.
        string: Bytes,
        /// Whether the answer may be international.
        smtputf8: bool,
    },
    /// *answer*: BURL (RFC 4468): the octets there belong to the message behind those that have come, or a refusal. The
    /// last one ends the message as [`EndOfBody`](Self::EndOfBody) does.
    Burl {
        /// Where the octets are.
        url: Bytes,
        /// Whether they are the last.
        last: bool,
    },
    /// *answer*: ETRN: the mail that waits is to be handed on now. `accept` says 250.
    Etrn {
        /// What the name stands for.
        scope: EtrnScope,
        /// A host, a domain or a queue.
        node: Bytes,
    },
    /// *answer*: XCLIENT: who the client is. `accept` greets it anew; what it said before is forgotten.
    XClient(Vec<Attribute>),
    /// *answer*: XFORWARD: where the next message came from, for logs.
    XForward(Vec<Attribute>),
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
