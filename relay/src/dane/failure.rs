//! Why a host is not the one that its TLSA records are for, in the words of a report (RFC 8460 §4.3).

/// Why a certificate is refused. Where several variants apply, the later one is reported, since it says more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The host's certificate cannot be read.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// No TLSA record vouches for what the host presented.
    #[error("no TLSA record matches the certificates")]
    NoMatch,
    /// The chain does not lead to the trust anchor.
    #[error("the certificate does not come from the trust anchor in TLSA: {0}")]
    Untrusted(webpki::Error),
    /// A certificate of the chain is not to be used yet.
    #[error("a certificate is not valid yet")]
    NotYetValid,
    /// A certificate of the chain is not to be used any more.
    #[error("a certificate has expired")]
    Expired,
    /// The certificate is another host's.
    #[error("the certificate is not for {}", .0.join(", "))]
    WrongName(Vec<String>),
}

impl Failure {
    /// Finds the failure in what a connector returned. `None` when TLS failed otherwise.
    pub fn of(error: &std::io::Error) -> Option<&Self> {
        let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        match error {
            rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) => {
                other.0.downcast_ref()
            }
            _ => None,
        }
    }

    /// Returns the result type of a TLS report (RFC 8460 §4.3).
    pub fn result_type(&self) -> &'static str {
        match self {
            Self::Unreadable | Self::NoMatch => "validation-failure",
            Self::Untrusted(_) | Self::NotYetValid => "certificate-not-trusted",
            Self::Expired => "certificate-expired",
            Self::WrongName(_) => "certificate-host-mismatch",
        }
    }

    /// How much it says.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Unreadable => 0,
            Self::NoMatch => 1,
            Self::Untrusted(_) => 2,
            Self::NotYetValid => 3,
            Self::Expired => 4,
            Self::WrongName(_) => 5,
        }
    }
}

impl From<webpki::Error> for Failure {
    fn from(error: webpki::Error) -> Self {
        match error {
            webpki::Error::CertExpired { .. } => Self::Expired,
            webpki::Error::CertNotValidYet { .. } => Self::NotYetValid,
            other => Self::Untrusted(other),
        }
    }
}

impl From<Failure> for rustls::Error {
    fn from(failure: Failure) -> Self {
        let other = rustls::OtherError(std::sync::Arc::new(failure));
        rustls::CertificateError::Other(other).into()
    }
}
