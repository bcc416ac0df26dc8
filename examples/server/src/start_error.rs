//! Why the server does not start.

use std::net::SocketAddr;

/// Why the server does not start: one line, with the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] crate::ConfigError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] crate::TlsError),
    /// Another process holds the data directory.
    #[error("{0} is in use by another server: stop that one, or give another data directory")]
    InUse(String),
    /// The store.
    #[error("{0}: {1}: is it a directory that this user may write to?")]
    Store(String, hikyaku_mailstore::Error),
    /// The store of a later version.
    #[error("{0}: {1}: start the newer version, or put back a copy of the data from before it")]
    Newer(String, hikyaku_mailstore::Error),
    /// The store's database is none.
    #[error(
        "{0}: {1}: put store/store.sqlite back from a copy, or repair it with sqlite3's .recover"
    )]
    Damaged(String, hikyaku_mailstore::Error),
    /// The addresses in the store.
    #[error("the addresses cannot be read from the store: {0}")]
    Addresses(hikyaku_mailstore::Error),
    /// The data folder.
    #[error("{0}: {1}: is it a directory that this user may write to?")]
    Folder(String, std::io::Error),
    /// There is nothing to listen on.
    #[error(
        "no address to listen on: name at least one in [listen], such as imaps = \"0.0.0.0:993\""
    )]
    NoListener,
    /// A port.
    #[error(
        "cannot listen on {0} ({1}): is another server running there? Change [listen], or stop it"
    )]
    Listen(SocketAddr, std::io::Error),
    /// A socket that was passed.
    #[error(transparent)]
    Passed(#[from] crate::ActivationError),
    /// A socket that was passed and does not work.
    #[error("a socket that was passed to the server does not work: {0}")]
    Socket(std::io::Error),
    /// The user to become.
    #[error(transparent)]
    Privileges(#[from] crate::PrivilegesError),
    /// What looks at mail.
    #[error(transparent)]
    Examine(#[from] crate::ExamineError),
    /// Reverse-paths of mail that is passed on.
    #[error(transparent)]
    Srs(#[from] crate::SrsError),
    /// The DNS resolver.
    #[error("[relay]: {0}")]
    Relay(#[from] crate::RelayError),
}
