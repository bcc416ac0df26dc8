//! Why there is no certificate from the ACME server.

use std::path::PathBuf;

/// Why there is no certificate from the ACME server. It is tried again later.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AcmeError {
    /// The server cannot be reached, or refuses.
    #[error("{0}")]
    Server(#[from] instant_acme::Error),
    /// The server does not offer the challenge.
    #[error("the ACME server does not offer the challenge for {0}: set challenge in [acme]")]
    NoChallenge(String),
    /// All names are refused.
    #[error("the ACME server has refused {}", listed(.0))]
    Refused(Vec<Refused>),
    /// The order has failed, and no name of it.
    #[error("the order has failed")]
    Invalid,
    /// A certificate that is no use.
    #[error(
        "the certificate that the ACME server gave is due for renewal already: is this machine's clock right?"
    )]
    Stale,
    /// It took too long.
    #[error("the ACME server takes too long")]
    TooSlow,
    /// A file cannot be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// The certificate cannot be used.
    #[error("{0}")]
    Certificate(#[from] webmail::CertificateError),
    /// A key cannot be made.
    #[error("{0}")]
    Key(#[from] rcgen::Error),
}

/// A name that the ACME server has refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) name: String,
    pub(crate) why: String,
}

/// The names with the reasons, in one line.
pub(crate) fn listed(refused: &[Refused]) -> String {
    let each = refused.iter().map(|one| {
        // What a server says is for a log: one line, and not a long one.
        let why = one.why.chars().filter(|c| !c.is_control());
        format!("{} ({})", one.name, why.take(300).collect::<String>())
    });
    each.collect::<Vec<_>>().join(", ")
}
