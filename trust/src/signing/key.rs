//! Keys for signing: how they are made, kept, and published (RFC 6376 §3.6.1, RFC 8463 §4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use rsa::pkcs8::EncodePrivateKey as _;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use std::fmt;
use zeroize::Zeroizing;

use super::der;

/// Bits of RSA keys made here (RFC 8301 §3.2). Longer ones do not fit into what some providers of DNS take.
const RSA_BITS: usize = 2048;
/// Octets of a string in a TXT record (RFC 1035 §3.3).
const STRING: usize = 255;

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// `rsa-sha256`, which everybody verifies.
    Rsa,
    /// `ed25519-sha256` (RFC 8463), which not everybody does.
    Ed25519,
}

/// A private key.
pub struct Key {
    pair: Pair,
    /// PKCS #8, in DER.
    document: Zeroizing<Vec<u8>>,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

/// A key cannot be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text holds no private key in PEM.
    #[error("no private key in PEM: {0}")]
    NoPem(String),
    /// The key is neither RSA of 2048 to 4096 bits nor Ed25519.
    #[error("neither an RSA key of 2048 to 4096 bits nor one for Ed25519: {0}")]
    Unusable(String),
    /// No key could be made.
    #[error("no key could be made: {0}")]
    NotMade(String),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.algorithm()).finish()
    }
}

impl Key {
    /// Makes a key. One for RSA has 2048 bits, and takes up to some seconds.
    ///
    /// # Errors
    /// [`KeyError::NotMade`], when there are no random numbers.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let document = match algorithm {
            Algorithm::Rsa => {
                let not_made = |error: &dyn fmt::Display| KeyError::NotMade(error.to_string());
                let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, RSA_BITS)
                    .map_err(|error| not_made(&error))?;
                let document = key.to_pkcs8_der().map_err(|error| not_made(&error))?;
                Zeroizing::new(document.as_bytes().to_vec())
            }
            Algorithm::Ed25519 => {
                let mut seed = Zeroizing::new([0; 32]);
                let filled = SystemRandom::new().fill(&mut *seed);
                filled.map_err(|error| KeyError::NotMade(error.to_string()))?;
                Zeroizing::new(der::private_ed25519(&seed))
            }
        };
        Self::from_document(document)
    }

    /// Reads a key in PEM: PKCS #8, or PKCS #1 for RSA, as other programs for DKIM write it.
    ///
    /// # Errors
    /// [`KeyError::NoPem`], [`KeyError::Unusable`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let found = PrivateKeyDer::from_pem_slice(text.as_bytes());
        let document = match found.map_err(|error| KeyError::NoPem(error.to_string()))? {
            PrivateKeyDer::Pkcs8(document) => document.secret_pkcs8_der().to_vec(),
            PrivateKeyDer::Pkcs1(document) => der::private_rsa(document.secret_pkcs1_der()),
            _ => return Err(KeyError::NoPem("of another kind".to_owned())),
        };
        Self::from_document(Zeroizing::new(document))
    }

    fn from_document(document: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        let pair = match RsaKeyPair::from_pkcs8(&document) {
            Ok(pair) => Pair::Rsa(Box::new(pair)),
            Err(error) => match Ed25519KeyPair::from_pkcs8_maybe_unchecked(&document) {
                Ok(pair) => Pair::Ed25519(pair),
                Err(_) => return Err(KeyError::Unusable(error.to_string())),
            },
        };
        Ok(Self { pair, document })
    }

    /// Returns the key in PEM, as PKCS #8. Whoever writes it to a file sees to that file's mode.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let encoded = Zeroizing::new(STANDARD.encode(&*self.document));
        let mut text = Zeroizing::new(String::with_capacity(encoded.len() * 66 / 64 + 64));
        text.push_str("-----BEGIN PRIVATE KEY-----\n");
        let mut rest = encoded.as_str();
        while let Some((line, after)) = rest.split_at_checked(64) {
            text.push_str(line);
            text.push('\n');
            rest = after;
        }
        if !rest.is_empty() {
            text.push_str(rest);
            text.push('\n');
        }
        text.push_str("-----END PRIVATE KEY-----\n");
        text
    }

    /// Returns how the key signs.
    pub fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Rsa(_) => Algorithm::Rsa,
            Pair::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// Returns the text of the TXT record that publishes the key, at `SELECTOR._domainkey.DOMAIN`.
    pub fn record(&self) -> String {
        let (kind, public) = match &self.pair {
            Pair::Rsa(pair) => ("rsa", der::public_rsa(pair.public_key().as_ref())),
            // RFC 8463 §4: the bare key.
            Pair::Ed25519(pair) => ("ed25519", pair.public_key().as_ref().to_vec()),
        };
        format!("v=DKIM1; k={kind}; p={}", STANDARD.encode(public))
    }

    /// Returns the same text as the strings of 255 octets at most that a TXT record consists of.
    pub fn record_strings(&self) -> Vec<String> {
        let record = self.record();
        let strings = record.as_bytes().chunks(STRING);
        strings
            .map(|one| String::from_utf8_lossy(one).into_owned())
            .collect()
    }

    /// Signs octets. Ed25519 signs their digest (RFC 8463 §3).
    pub(crate) fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, ring::error::Unspecified> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    octets,
                    &mut signature,
                )?;
                Ok(signature)
            }
            Pair::Ed25519(pair) => {
                let digest = ring::digest::digest(&ring::digest::SHA256, octets);
                Ok(pair.sign(digest.as_ref()).as_ref().to_vec())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_after_a_file() {
        for algorithm in [Algorithm::Rsa, Algorithm::Ed25519] {
            let key = Key::generate(algorithm).unwrap();
            let pem = key.to_pem();
            let again = Key::from_pem(&pem).unwrap();
            assert_eq!(again.record(), key.record());
            assert_eq!(again.algorithm(), algorithm);
            assert_eq!(again.to_pem(), pem);
            assert!(pem.lines().all(|line| line.len() <= 64), "{pem:?}");
            assert!(!format!("{key:?}").contains("PRIVATE"));
        }
    }

    #[test]
    fn records_are_cut_into_strings() {
        let key = Key::generate(Algorithm::Rsa).unwrap();
        let strings = key.record_strings();
        assert_eq!(strings.concat(), key.record());
        assert_eq!(
            strings.iter().map(String::len).collect::<Vec<_>>(),
            [255, 155]
        );
        assert!(
            key.record()
                .starts_with("v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A")
        );
    }

    #[test]
    fn the_key_of_the_rfc_is_read() {
        // RFC 8463 §A.2: the seed, and the key that is published for it.
        let seed = STANDARD
            .decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
            .unwrap();
        let document = der::private_ed25519(&seed.try_into().unwrap());
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(document)
        );
        let key = Key::from_pem(&pem).unwrap();
        let published = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        assert_eq!(key.record(), published);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert!(matches!(Key::from_pem(""), Err(KeyError::NoPem(_))));
        let other = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(matches!(Key::from_pem(other), Err(KeyError::Unusable(_))));
    }
}
