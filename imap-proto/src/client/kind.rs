//! What is known of a command until it has ended.

use alloc::boxed::Box;
use bytes::Bytes;
use hikyaku_wire::Secret;

use super::event::Handle;
use super::selected::Selected;
use crate::{Command, Numbers, SequenceSet};

/// What a command does besides what its response says.
#[derive(Debug)]
pub(super) enum Kind {
    /// CAPABILITY that the machine asks for itself.
    Capability,
    StartTls,
    Login,
    Authenticate {
        /// An initial response that waits until it is asked for.
        held: Option<Secret>,
        challenged: bool,
    },
    Select(Box<Selected>),
    Leave,
    Idle,
    Logout,
    Append,
    /// Whether it asks for mailbox names in UTF-8.
    Enable(bool),
    Unauthenticate,
    Compress,
    /// A move without MOVE: what is left to be done.
    Move(Step, SequenceSet),
    /// Its data do not name the command: one of a name at a time.
    Listing(&'static str),
    /// FETCH or STORE by sequence numbers, during which no EXPUNGE is sent.
    Quiet,
    /// So is SEARCH, and its data do not name it.
    QuietSearch,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Store,
    Expunge,
    Last,
}

/// What was issued and not sent.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: u64,
    pub(super) handle: Handle,
    /// The command.
    pub(super) name: &'static str,
    /// As it is written, but for how its literals are announced.
    pub(super) line: Bytes,
    /// Octets of an APPEND's message.
    pub(super) message: Option<u64>,
    pub(super) kind: Kind,
}

impl Kind {
    pub(super) fn is_alone(&self) -> bool {
        matches!(
            self,
            Self::Capability
                | Self::StartTls
                | Self::Login
                | Self::Authenticate { .. }
                | Self::Select(_)
                | Self::Leave
                | Self::Idle
                | Self::Logout
                | Self::Append
                | Self::Enable(_)
                | Self::Unauthenticate
                | Self::Compress
        )
    }

    pub(super) fn listing(&self) -> Option<&'static str> {
        match self {
            Self::Listing(name) => Some(name),
            Self::QuietSearch => Some("SEARCH"),
            _ => None,
        }
    }

    pub(super) fn of(command: &Command) -> Self {
        use Command as C;
        match command {
            C::StartTls => Self::StartTls,
            C::Login { .. } => Self::Login,
            C::Select {
                mailbox, read_only, ..
            } => Self::Select(Box::new(Selected::new(mailbox.clone(), *read_only))),
            C::Close | C::Unselect => Self::Leave,
            C::Idle => Self::Idle,
            C::Logout => Self::Logout,
            C::Enable(names) => {
                let is = |name: &Bytes| {
                    let all: [&[u8]; 2] = [b"IMAP4rev2", b"UTF8=ACCEPT"];
                    all.iter().any(|one| name.eq_ignore_ascii_case(one))
                };
                Self::Enable(names.iter().any(is))
            }
            C::Unauthenticate => Self::Unauthenticate,
            C::Compress(_) => Self::Compress,
            C::Search {
                numbers: Numbers::Uid,
                ..
            } => Self::Listing("SEARCH"),
            C::Sort { .. } => Self::Listing("SORT"),
            C::Thread { .. } => Self::Listing("THREAD"),
            C::List(_) => Self::Listing("LIST"),
            C::Lsub { .. } => Self::Listing("LSUB"),
            C::Fetch {
                numbers: Numbers::Sequence,
                ..
            }
            | C::Store {
                numbers: Numbers::Sequence,
                ..
            } => Self::Quiet,
            C::Search {
                numbers: Numbers::Sequence,
                ..
            } => Self::QuietSearch,
            _ => Self::Other,
        }
    }
}
