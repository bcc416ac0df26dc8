//! The TLSA record of a certificate: DANE-EE(3), SPKI(1), SHA2-256(1), which RFC 7672 §3.1.1 recommends.

use hikyaku_relay::dane::record::Tlsa;
use rustls::server::ParsedCertificate;
use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};

/// Returns the record of a certificate's key; `None` when it is no certificate.
pub(crate) fn of(leaf: &CertificateDer<'_>) -> Option<Tlsa> {
    let parsed = ParsedCertificate::try_from(leaf).ok()?;
    let key = parsed.subject_public_key_info();
    Some(Tlsa::new(3, 1, 1, Sha256::digest(&*key).to_vec()))
}
