//! What can go wrong with a store.

use std::io;

/// A store's answer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such account, or it was removed.
    #[error("no such account")]
    NoSuchAccount,
    /// No such mailbox, or it was deleted.
    #[error("no such mailbox")]
    NoSuchMailbox,
    /// An account or mailbox of that name exists.
    #[error("it exists already")]
    AlreadyExists,
    /// A name that no mailbox or account may have.
    #[error("not a valid name: {0}")]
    InvalidName(&'static str),
    /// The account would hold more than its quota allows. Nothing was stored.
    #[error("over quota")]
    OverQuota,
    /// The disk has too little room for more messages. Nothing was stored.
    #[error("the disk is full")]
    StorageFull,
    /// A requirement of the transaction does not hold (any more): read again, then decide.
    #[error("the state has changed: {0}")]
    Conflict(&'static str),
    /// A limit of the store: UIDs used up, a name too long.
    #[error("limit reached: {0}")]
    Limit(&'static str),
    /// This record cannot be read; all others can.
    #[error("damaged: {0}")]
    Damaged(&'static str),
    /// A program of a later version has made the store.
    #[error(
        "the store was made by a newer version of this program ({found}; this one knows {known})"
    )]
    NewerVersion {
        /// The store's version.
        found: i64,
        /// The last version that this program knows.
        known: i64,
    },
    /// A write or a flush has failed, and the store could not be recovered yet. Nothing was stored; the
    /// store tries again by itself.
    #[error("the store takes no changes after a failed write")]
    ReadOnly,
    /// The connection broke during a commit, or its flush failed and could not be taken back: it may
    /// have happened. Repeating it is safe when its appends have an origin.
    #[error("it is unknown whether the change was stored")]
    OutcomeUnknown,
    /// The disk or the network.
    #[error("{0}: {1}")]
    Io(&'static str, std::sync::Arc<io::Error>),
    /// The backend's own complaint.
    #[error("{0}")]
    Backend(std::sync::Arc<str>),
    /// The store was shut down.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// Whether trying again later, unchanged, may succeed.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        !matches!(
            self,
            Self::NoSuchAccount | Self::NoSuchMailbox | Self::AlreadyExists | Self::InvalidName(_)
        )
    }

    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io(what, std::sync::Arc::new(error))
    }
}
