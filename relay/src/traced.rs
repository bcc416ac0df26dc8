//! What happens to a message on its way, for a log that an operator can ask.

use std::sync::Arc;
use std::time::SystemTime;

/// What is called with all that happens to messages.
pub type Trace = Arc<dyn Fn(&Traced<'_>) + Send + Sync>;

/// Something that happened to a message.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Traced<'a> {
    /// The message's name, in its Received field and in logs.
    pub id: &'a str,
    /// Where it goes: a domain, or [`HERE`](crate::HERE).
    pub next_hop: &'a str,
    /// What happened.
    pub what: What<'a>,
}

/// What happened to a message.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum What<'a> {
    /// A host was asked to take it.
    Asked {
        /// The number of the attempt, from 1.
        attempt: u32,
        /// The host's name.
        host: &'a str,
        /// Its address.
        peer: &'a str,
        /// The version of TLS and the cipher suite, where it was used.
        tls: Option<&'a str>,
        /// What it said about each recipient, by address.
        replies: &'a [(String, String)],
        /// Why the conversation ended early.
        error: Option<&'a str>,
    },
    /// A recipient has it.
    Delivered {
        /// The address.
        to: &'a str,
        /// The host that took it; `None`: a mailbox here.
        host: Option<&'a str>,
        /// What was said.
        reply: &'a str,
    },
    /// A recipient is tried again.
    Deferred {
        /// The address.
        to: &'a str,
        /// The reply, with its codes.
        why: &'a str,
        /// When the next attempt is due.
        next: SystemTime,
    },
    /// A recipient was given up.
    Failed {
        /// The address.
        to: &'a str,
        /// The reply, with its codes.
        why: &'a str,
    },
    /// The sender was notified.
    Notified {
        /// The sender's address.
        to: &'a str,
        /// How the notification gets there.
        how: &'a str,
    },
    /// An operator has changed it.
    Operated {
        /// What was ordered.
        order: &'a str,
    },
}
