//! The recipients of a message, and where its copies go.

use hikyaku_mailstore::MailboxId;
use hikyaku_smtp_proto::{Mailbox, RcptParameters};

use crate::queue::Became;

/// A mailbox here that a message goes into.
pub(super) struct Local {
    /// The name of the account.
    pub(super) address: String,
    pub(super) mailbox: MailboxId,
    pub(super) parameters: RcptParameters,
    /// Whether its account has room for the message, as far as its size is known.
    pub(super) has_room: bool,
    /// The owner of the mailing list that it came through.
    pub(super) owner: Option<Mailbox>,
    /// The number of its form.
    pub(super) form: usize,
}

/// Somebody at another server.
pub(super) struct Remote {
    pub(super) mailbox: Mailbox,
    pub(super) parameters: RcptParameters,
    /// As of [`Local`].
    pub(super) owner: Option<Mailbox>,
    pub(super) form: usize,
}

/// What the sender wants to hear of an address that stands for others.
pub(super) struct Report {
    pub(super) became: Became,
    pub(super) address: String,
    pub(super) parameters: RcptParameters,
}

/// What one RCPT means.
pub(super) struct Recipient {
    /// The address that the client named.
    pub(super) address: String,
    /// Whether it stands for others, rather than for one mailbox of its own.
    pub(super) stands: bool,
    /// Whether it takes notifications alone.
    pub(super) notifications_only: bool,
    /// What was asked for it.
    pub(super) parameters: RcptParameters,
    pub(super) here: Vec<Local>,
    pub(super) elsewhere: Vec<Remote>,
    pub(super) reports: Vec<Report>,
}

impl Recipient {
    /// One that nothing is known of yet.
    pub(super) fn new(address: String, parameters: RcptParameters) -> Self {
        Self {
            address,
            stands: false,
            notifications_only: false,
            parameters,
            here: Vec::new(),
            elsewhere: Vec::new(),
            reports: Vec::new(),
        }
    }

    /// Somebody at another server, and nobody else.
    pub(super) fn elsewhere(mailbox: &Mailbox, parameters: RcptParameters) -> Self {
        let remote = Remote {
            mailbox: mailbox.clone(),
            parameters: parameters.clone(),
            owner: None,
            form: 0,
        };
        Self {
            elsewhere: vec![remote],
            ..Self::new(mailbox.to_string(), parameters)
        }
    }

    /// Whether anybody has room for it. Those of several that have none get it later.
    pub(super) fn has_room(&self) -> bool {
        !self.elsewhere.is_empty() || self.here.iter().any(|local| local.has_room)
    }
}
