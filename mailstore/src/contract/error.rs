//! What can go wrong with a store.

use std::io;

use crate::contract::about::About;

/// What the methods of a store return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such account, or it was removed.
    #[error("no such account{0}")]
    NoSuchAccount(About),
    /// No such mailbox, or it was deleted.
    #[error("no such mailbox{0}")]
    NoSuchMailbox(About),
    /// An account or mailbox of that name exists.
    #[error("it exists already{0}")]
    AlreadyExists(About),
    /// A name that no mailbox or account may have.
    #[error("not a valid name: {0}")]
    InvalidName(&'static str),
    /// The account would hold more than its quota allows. Nothing was stored.
    #[error("over quota{0}")]
    OverQuota(About),
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
    #[error("damaged: {0}{1}")]
    Damaged(&'static str, About),
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
    /// An error of the backend's own.
    #[error("{0}")]
    Backend(std::sync::Arc<str>),
    /// The store was shut down.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// Returns whether trying again later, unchanged, may succeed.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        !matches!(
            self,
            Self::NoSuchAccount(_)
                | Self::NoSuchMailbox(_)
                | Self::AlreadyExists(_)
                | Self::InvalidName(_)
        )
    }

    /// Adds what the error is about, where it does not say yet. For backends: the place that
    /// finds the damage often does not know whose mail it is, and its caller does.
    ///
    /// ```
    /// use hikyaku_mailstore::{About, BodyId, Error};
    ///
    /// let found = Error::Damaged("wrong checksum", About::Nothing);
    /// assert_eq!(
    ///     found.about(BodyId(7)).to_string(),
    ///     "damaged: wrong checksum: body 7"
    /// );
    /// ```
    #[must_use]
    pub fn about(self, about: impl Into<About>) -> Self {
        match self {
            Self::Damaged(what, About::Nothing) => Self::Damaged(what, about.into()),
            other => other,
        }
    }

    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io(what, std::sync::Arc::new(error))
    }
}
