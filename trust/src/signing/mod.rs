//! Signing: keys, DKIM signatures (RFC 6376, RFC 8463) and ARC seals (RFC 8617).
//!
//! ```
//! use hikyaku_trust::signing::{Algorithm, Key, Signer};
//! use std::time::SystemTime;
//!
//! let key = Key::generate(Algorithm::Ed25519)?;
//! println!("s1._domainkey.example.org TXT {:?}", key.record_strings());
//! let mut signer = Signer::default();
//! signer.add("example.org", "s1", key)?;
//! let message = b"From: ann@example.org\r\nSubject: x\r\n\r\nHello\r\n";
//! let fields = signer.sign("example.org", message, SystemTime::now())?;
//! assert!(fields.starts_with("DKIM-Signature: "));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod der;
mod key;
mod ringed;
mod seal;
mod signer;

pub use key::{Algorithm, Key, KeyError};
pub(crate) use seal::{Set, Validation};
pub use signer::{NotSigned, Signer, SigningKey};
