//! Where the account and the certificate are kept: in the folder `acme` of the data.

use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// Returns the folder.
pub(crate) fn folder(data: &Path) -> PathBuf {
    data.join("acme")
}

/// Returns the file of the certificate, its chain and its key.
pub(crate) fn certificate(data: &Path) -> PathBuf {
    folder(data).join(CERTIFICATE)
}

/// The name of the file with certificate, chain and key: one file, so that they always belong together.
pub(crate) const CERTIFICATE: &str = "certificate.pem";

/// Returns the name of the file with the account at a server.
pub(crate) fn account(directory: &str) -> String {
    let digest = Sha256::digest(directory);
    let digits: String = digest
        .iter()
        .take(6)
        .map(|octet| format!("{octet:02x}"))
        .collect();
    format!("account-{digits}.json")
}
