//! The health of a store: what was found when it was opened, and whether it accepts changes.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Error, Result};

/// The health of a store at present.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Health {
    /// Why every change is refused at present; `None` while changes are accepted.
    pub refuses: Option<Error>,
    /// Whether new messages are refused because the disk has too little room.
    pub full: bool,
    /// Octets that are free for messages, where the backend knows.
    pub free: Option<u64>,
    /// What was found when the store was opened.
    pub findings: Vec<Finding>,
    /// Changes that failed at the disk since the store was opened.
    pub failed: u64,
    /// How often the store was recovered from its log after such a failure.
    pub recovered: u64,
    /// How often a body was asked for that is damaged or gone.
    pub damaged: u64,
}

impl Health {
    /// Returns whether changes are accepted, there is room, and nothing was lost.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.takes_messages().is_ok() && !self.findings.iter().any(Finding::is_damage)
    }

    /// Returns whether an account that is not there may be one that was lost.
    #[must_use]
    pub fn has_lost_accounts(&self) -> bool {
        let gone =
            |found: &Finding| matches!(found, Finding::DatabaseGone { .. } | Finding::LogGone);
        self.findings.iter().any(gone)
    }

    /// Checks whether new messages are accepted.
    ///
    /// # Errors
    /// The error with which a commit would be refused.
    pub fn takes_messages(&self) -> Result<()> {
        match &self.refuses {
            Some(error) => Err(error.clone()),
            None if self.full => Err(Error::StorageFull),
            None => Ok(()),
        }
    }
}

/// What was found when a store was opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// Others than the owner can read the mail.
    #[error("{} can be read by others (mode {mode:03o}): chmod {wanted:03o} it", path.display())]
    Permissions {
        /// The file or folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What it should be.
        wanted: u32,
    },
    /// The store was not closed. Its log was recovered, and its database checked.
    #[error("the store was not closed: it was recovered from its log")]
    Unclean,
    /// The log ends in records that are not whole. A power failure in a commit does this, and then
    /// nothing is lost that had been acknowledged; damage to the last commit looks the same.
    #[error(
        "the log ends in {records} records that are not whole, as after a power failure: \
         they were passed over, and the log is kept as {}", copy.display()
    )]
    LogCut {
        /// Records behind the last whole commit.
        records: u64,
        /// Where the log as it was is kept.
        copy: PathBuf,
    },
    /// Records of the log are damaged, and commits behind them are lost.
    #[error(
        "the log is damaged: {records} of its records, which had been acknowledged, are lost; \
         the log is kept as {}", copy.display()
    )]
    LogDamaged {
        /// Records that were passed over.
        records: u64,
        /// Where the log as it was is kept.
        copy: PathBuf,
    },
    /// The store was not closed, and its log is gone.
    #[error("the store was not closed, and its log is gone: what it held is lost")]
    LogGone,
    /// The database is gone while the rest of the store is there.
    #[error(
        "the database is gone: an empty one was made, and {bodies} bodies of messages are kept in {}",
        folder.display()
    )]
    DatabaseGone {
        /// Bodies that lay beside it.
        bodies: u64,
        /// Where they are now.
        folder: PathBuf,
    },
    /// The store was not closed, and its database was not checked to its end, for want of time.
    #[error(
        "the database is too large to be checked in {} seconds: what was checked is whole", after.as_secs()
    )]
    CheckCut {
        /// The time.
        after: Duration,
    },
    /// The database is damaged.
    #[error(
        "the database is damaged: changes are refused until it is repaired or put back from a copy: {0}"
    )]
    DatabaseDamaged(String),
    /// Bodies that no row names.
    #[error("{count} bodies that belong to no message were moved to {}", folder.display())]
    Orphans {
        /// How many there are.
        count: u64,
        /// Where they are now.
        folder: PathBuf,
    },
}

impl Finding {
    /// Returns whether something was lost or may be lost.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::LogDamaged { .. }
                | Self::LogGone
                | Self::DatabaseGone { .. }
                | Self::DatabaseDamaged(_)
        )
    }
}
