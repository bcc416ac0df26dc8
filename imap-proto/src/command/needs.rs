//! In which state a command is legal (RFC 9051 §3, §6).

use super::Command;

/// What has to be so before a command is issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Needs {
    /// Nothing: it is legal in any state.
    Nothing,
    /// That nobody has logged in yet.
    NoLogin,
    /// That somebody has logged in.
    Login,
    /// That a mailbox is selected.
    Mailbox,
}

impl Command {
    /// What has to be so before it is issued. What else may stand against it, as an extension that is not announced, is
    /// another question.
    ///
    /// ```
    /// use hikyaku_imap_proto::{Command, Needs};
    /// assert_eq!(Command::Noop.needs(), Needs::Nothing);
    /// assert_eq!(Command::Idle.needs(), Needs::Login);
    /// assert_eq!(Command::Expunge(None).needs(), Needs::Mailbox);
    /// ```
    #[must_use]
    pub fn needs(&self) -> Needs {
        match self {
            Self::Capability | Self::Noop | Self::Logout | Self::Id(_) | Self::Language(_) => {
                Needs::Nothing
            }
            Self::StartTls | Self::Login { .. } | Self::Authenticate(_) => Needs::NoLogin,
            // Of mailboxes that are named it needs none (RFC 7377 §2).
            Self::ESearch { sources, .. } if !sources.is_empty() => Needs::Login,
            Self::Check
            | Self::Close
            | Self::Unselect
            | Self::Expunge(_)
            | Self::Search { .. }
            | Self::Sort { .. }
            | Self::Thread { .. }
            | Self::Fetch { .. }
            | Self::Store { .. }
            | Self::Copy { .. }
            | Self::ESearch { .. }
            | Self::CancelUpdate(_)
            | Self::UidBatches(_)
            | Self::StoreLabels { .. }
            | Self::Convert { .. }
            | Self::Move { .. } => Needs::Mailbox,
            _ => Needs::Login,
        }
    }
}
