//! `[tls]`: certificates that are there.

use serde::Deserialize;
use std::path::PathBuf;

use super::error::Wrong;

/// `[tls]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Tls {
    /// A PEM file, the server's certificate first; without it, a private CA signs one.
    pub cert: Option<PathBuf>,
    /// A PEM file.
    pub key: Option<PathBuf>,
    /// Further certificates, for clients that name a host of theirs.
    pub certificates: Vec<TlsCertificate>,
}

/// `[[tls.certificates]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsCertificate {
    /// A PEM file, the server's certificate first.
    pub cert: PathBuf,
    /// A PEM file.
    pub key: PathBuf,
}

impl TlsCertificate {
    /// Names a certificate and its key.
    #[must_use]
    pub fn new(cert: PathBuf, key: PathBuf) -> Self {
        Self { cert, key }
    }
}

impl Tls {
    /// Whether it names a certificate.
    pub(crate) fn is_configured(&self) -> bool {
        self.cert.is_some() || !self.certificates.is_empty()
    }

    pub(super) fn check(&self) -> Result<(), Wrong> {
        if self.cert.is_some() != self.key.is_some() {
            return Err((
                "[tls]",
                "cert and key go together: give both or neither".into(),
            ));
        }
        Ok(())
    }
}
