//! What can go wrong with TLS, in the words of a report (RFC 8460 §4.3).

use rustls::CertificateError;
use serde::{Deserialize, Serialize};
use std::io;

use crate::dane;

/// A result type.
///
/// `dane-required` is not among them: nothing here demands DANE of a domain that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ResultType {
    StarttlsNotSupported,
    CertificateHostMismatch,
    CertificateExpired,
    CertificateNotTrusted,
    ValidationFailure,
    TlsaInvalid,
    DnssecInvalid,
    StsPolicyFetchError,
    StsPolicyInvalid,
    StsWebpkiInvalid,
}

impl ResultType {
    /// Sorts the error of a handshake.
    pub(crate) fn of_handshake(error: &io::Error) -> Self {
        if let Some(failure) = dane::failure::Failure::of(error) {
            return match failure.result_type() {
                "certificate-host-mismatch" => Self::CertificateHostMismatch,
                "certificate-expired" => Self::CertificateExpired,
                "certificate-not-trusted" => Self::CertificateNotTrusted,
                _ => Self::ValidationFailure,
            };
        }
        let of_rustls = error.get_ref().and_then(|error| error.downcast_ref());
        match of_rustls {
            Some(rustls::Error::InvalidCertificate(why)) => Self::of_certificate(why),
            _ => Self::ValidationFailure,
        }
    }

    fn of_certificate(why: &CertificateError) -> Self {
        match why {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::CertificateHostMismatch
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                Self::CertificateExpired
            }
            _ => Self::CertificateNotTrusted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_certificates_have_their_result_types() {
        let of = |error: rustls::Error| {
            let error = io::Error::new(io::ErrorKind::InvalidData, error);
            serde_json::to_string(&ResultType::of_handshake(&error)).unwrap()
        };
        for (why, expected) in [
            (
                CertificateError::NotValidForName,
                "certificate-host-mismatch",
            ),
            (CertificateError::Expired, "certificate-expired"),
            (CertificateError::UnknownIssuer, "certificate-not-trusted"),
            (CertificateError::NotValidYet, "certificate-not-trusted"),
        ] {
            assert_eq!(of(why.into()), format!("\"{expected}\""));
        }
        for (failure, expected) in [
            (dane::failure::Failure::NoMatch, "validation-failure"),
            (dane::failure::Failure::Expired, "certificate-expired"),
        ] {
            assert_eq!(of(failure.into()), format!("\"{expected}\""));
        }
        let other = rustls::Error::HandshakeNotComplete;
        assert_eq!(of(other), "\"validation-failure\"");
    }
}
