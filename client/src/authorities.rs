//! Whose certificates are trusted.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::path::Path;

/// Returns the system's authorities, and those of a PEM file; what cannot be read of either is left out.
///
/// ```
/// let system = hikyaku_client::authorities(None);
/// assert_eq!(hikyaku_client::authorities(Some("nowhere.pem".as_ref())), system);
/// ```
#[must_use]
pub fn authorities(ca: Option<&Path>) -> Vec<CertificateDer<'static>> {
    let mut roots = rustls_native_certs::load_native_certs().certs;
    if let Some(text) = ca.and_then(|path| std::fs::read(path).ok()) {
        roots.extend(CertificateDer::pem_slice_iter(&text).flatten());
    }
    roots
}
