//! What can go wrong, and what the program's exit code says of it.

use hikyaku_wire::drive::DriveError;

use crate::Fingerprint;
use crate::pace::Unsaid;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The network: try again later.
    #[error("{0}")]
    Network(String),
    /// No TLS came about, or the certificate is not to be trusted.
    #[error("TLS with {host}: {why}")]
    Tls {
        /// Whom it was to be with.
        host: String,
        /// The reason.
        why: String,
    },
    /// The server's certificate is not trusted.
    #[error("TLS with {host}: {why}; its fingerprint is {fingerprint}")]
    Untrusted {
        /// Whom it was to be with.
        host: String,
        /// The reason.
        why: String,
        /// What it would be pinned by.
        fingerprint: Fingerprint,
    },
    /// Name or password were refused, in the server's words.
    #[error("the server refused the login: {0}")]
    Login(String),
    /// The server refused something, in its words.
    #[error("the server refused: {0}")]
    Refused(String),
    /// What the server said cannot be gone on with.
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
    /// The offline copy.
    #[error("the local store: {0}")]
    Store(#[from] mailstore::Error),
    /// A file.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// The password cannot be had.
    #[error("no password: {0}")]
    Password(String),
    /// What was asked for is not there.
    #[error("no such {0}")]
    NotFound(String),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Some of it was done, some not.
    #[error("{0}")]
    Partly(String),
}

/// Shorthand.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The program's exit code: 1 anything else, 2 usage, 3 login, 4 network or TLS, 5 refused by the
    /// server, 6 not found, 7 done in part.
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
