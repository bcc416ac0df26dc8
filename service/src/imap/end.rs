//! How a command ends.

use hikyaku_imap_proto::{ResponseCode, Status};
use hikyaku_mailstore::Error;
use tracing::warn;

use super::text::Text as T;

/// How a command ends.
pub(super) struct End(
    pub(super) Status,
    pub(super) Option<ResponseCode>,
    pub(super) String,
);

impl End {
    pub(super) fn ok(text: T) -> Self {
        Self(Status::Ok, None, text.into())
    }

    pub(super) fn no(code: ResponseCode, text: impl Into<String>) -> Self {
        Self(Status::No, Some(code), text.into())
    }

    pub(super) fn bad(text: T) -> Self {
        Self(Status::Bad, None, text.into())
    }
}

/// What the store says, as a command's end.
impl From<Error> for End {
    fn from(error: Error) -> Self {
        use ResponseCode as C;
        let (code, text) = match error {
            Error::NoSuchMailbox(_) => return Self::no(C::NonExistent, T::NoSuchMailbox),
            Error::NoSuchAccount(_) => return Self::no(C::NonExistent, T::NoSuchAccount),
            Error::AlreadyExists(_) => return Self::no(C::AlreadyExists, T::ItExistsAlready),
            Error::OverQuota(_) => return Self::no(C::OverQuota, T::OverQuota),
            Error::InvalidName(_) => return Self::no(C::Cannot, error.to_string()),
            Error::Limit(_) => return Self::no(C::Limit, error.to_string()),
            Error::Conflict(_) => return Self::no(C::InUse, error.to_string()),
            Error::StorageFull => (C::Unavailable, T::DiskFull),
            Error::OutcomeUnknown => (C::Unavailable, T::DiskFailed),
            Error::Damaged(..) => (C::Corruption, T::Damaged),
            _ => (C::Unavailable, T::TryAgainLater),
        };
        warn!(%error, "the store failed");
        Self::no(code, text)
    }
}

/// `Err` is an end that comes early.
pub(super) type Ended = Result<End, End>;
