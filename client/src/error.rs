//! Errors, and the exit code of a program for each.

use hikyaku_wire::drive::DriveError;

use crate::Fingerprint;
use crate::unsaid::Unsaid;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The network failed; try again later.
    #[error("{0}")]
    Network(String),
    /// TLS failed, other than by an untrusted certificate.
    #[error("TLS with {host}: {why}")]
    Tls {
        /// The host that was connected to.
        host: String,
        /// The reason.
        why: String,
    },
    /// The server's certificate is not trusted.
    #[error("TLS with {host}: {why}; its fingerprint is {fingerprint}")]
    Untrusted {
        /// The host that was connected to.
        host: String,
        /// The reason.
        why: String,
        /// The fingerprint that an account can trust.
        fingerprint: Fingerprint,
    },
    /// The server refused the name or the password; in its words.
    #[error("the server refused the login: {0}")]
    Login(String),
    /// The server refused a command; in its words.
    #[error("the server refused: {0}")]
    Refused(String),
    /// The server broke the protocol, so the session cannot continue.
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
    /// The local store failed.
    #[error("the local store: {0}")]
    Store(#[from] hikyaku_mailstore::Error),
    /// A file could not be read or written.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// The password could not be read or stored.
    #[error("no password: {0}")]
    Password(String),
    /// Something that was named does not exist.
    #[error("no such {0}")]
    NotFound(String),
    /// The caller or the user asked for something impossible.
    #[error("{0}")]
    Usage(String),
    /// The operation was done in part.
    #[error("{0}")]
    Partly(String),
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Returns the exit code that `mailclient` ends with.
    ///
    /// | code | errors |
    /// |---|---|
    /// | 1 | [`Store`](Self::Store), [`File`](Self::File) |
    /// | 2 | [`Usage`](Self::Usage) |
    /// | 3 | [`Login`](Self::Login), [`Password`](Self::Password) |
    /// | 4 | [`Network`](Self::Network), [`Tls`](Self::Tls), [`Untrusted`](Self::Untrusted) |
    /// | 5 | [`Refused`](Self::Refused), [`Protocol`](Self::Protocol) |
    /// | 6 | [`NotFound`](Self::NotFound) |
    /// | 7 | [`Partly`](Self::Partly) |
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Login(_) | Self::Password(_) => 3,
            Self::Network(_) | Self::Tls { .. } | Self::Untrusted { .. } => 4,
            Self::Refused(_) | Self::Protocol(_) => 5,
            Self::NotFound(_) => 6,
            Self::Partly(_) => 7,
            Self::Store(_) | Self::File(..) => 1,
        }
    }
}

impl<E: std::fmt::Display> From<DriveError<E>> for Error {
    fn from(error: DriveError<E>) -> Self {
        match error {
            DriveError::Protocol(why) => Self::Protocol(why.to_string()),
            DriveError::Io(error) if Unsaid::is(&error) => Self::Protocol(Unsaid.to_string()),
            other => Self::Network(other.to_string()),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Network(error.to_string())
    }
}

/// The peer closed while something was owed, or the machine was misused: said alike.
pub(crate) fn out_of_turn<E: std::fmt::Display>(error: E) -> Error {
    Error::Protocol(error.to_string())
}
