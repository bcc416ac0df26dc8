//! The queue for mail that is not delivered here at once.

use hikyaku_mailstore::{Operation, Staged};
use hikyaku_smtp_proto::{MailParameters, RcptParameters, ReversePath};

/// A queue where mail waits until it has been delivered or relayed.
pub trait Queue: Send + Sync {
    /// Creates the store operation that puts a message into the queue. The service commits it before it
    /// accepts the message; from then on the queue is responsible for it.
    fn enqueue(&self, outgoing: Outgoing) -> Operation;
}

/// The next hop of a message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums, reason = "here, not here, or nowhere")]
pub enum NextHop {
    /// Mailboxes here that could not take it at once.
    Here,
    /// The mail exchangers of a domain, which is in lower case.
    Domain(String),
    /// Nowhere: it is known what became of it, and the queue only notifies the sender, as the recipients' parameters ask.
    Nowhere(Became),
}

/// What became of a message for an address that stands for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums, reason = "RFC 3461 §5.2.7 has no others")]
pub enum Became {
    /// An alias passed it to several addresses (RFC 3461 §5.2.7.3).
    Expanded,
    /// A mailing list passed it to its members, which is final for the sender (RFC 3461 §5.2.7.1).
    Redistributed,
    /// It had been here for that address already: a loop (RFC 5321 §6.3).
    Looped,
}

/// A message for the recipients of one next hop.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outgoing {
    /// The name of the message in logs and trace fields.
    pub id: String,
    /// The path that receives delivery status notifications.
    pub reverse_path: ReversePath,
    /// What the client asked for with MAIL: DSN, SMTPUTF8, REQUIRETLS, a priority, a time.
    pub parameters: MailParameters,
    /// The next hop.
    pub next_hop: NextHop,
    /// The recipients at that hop.
    pub recipients: Vec<OutgoingRecipient>,
    /// The message: with a Return-Path for [`NextHop::Here`], without one for other domains, either for
    /// [`NextHop::Nowhere`].
    pub body: Staged,
}

/// One recipient of an outgoing message.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OutgoingRecipient {
    /// The address.
    pub address: String,
    /// What the client asked for with RCPT.
    pub parameters: RcptParameters,
}
