//! ring's keys, as mail-auth wants them. Its own are those of the crate rsa, whose private operations take a time that
//! depends on the key (RUSTSEC-2023-0071).

use mail_auth::common::crypto::{Algorithm as Known, CryptoError, Sha256, SigningKey};
use mail_auth::common::headers::Writable;
use mail_auth::{Error, Result};

use super::key::{Algorithm, Key};

/// A key that signs for mail-auth.
pub(crate) struct Ringed<'a>(pub(crate) &'a Key);

impl SigningKey for Ringed<'_> {
    type Hasher = Sha256;

    fn sign(&self, input: impl Writable) -> Result<Vec<u8>> {
        let mut octets = Vec::new();
        input.write(&mut octets);
        let failed = |error: ring::error::Unspecified| CryptoError::Library(error.to_string());
        self.0
            .sign(&octets)
            .map_err(|error| Error::Crypto(failed(error)))
    }

    fn algorithm(&self) -> Known {
        match self.0.algorithm() {
            Algorithm::Rsa => Known::RsaSha256,
            Algorithm::Ed25519 => Known::Ed25519Sha256,
        }
    }
}
