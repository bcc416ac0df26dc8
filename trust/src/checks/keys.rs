//! The keys of signatures (RFC 6376 §3.6).

use futures_util::future::join_all;
use mail_auth::common::crypto::CryptoError;
use mail_auth::common::parse::TxtRecordParser as _;
use mail_auth::common::verify::DomainKey;
use mail_auth::{DnsError, Error, Txt};
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::checks::known::{Known, unanswered};
use crate::dns::Questions;
use crate::limits::Limits;

/// Looks up keys, all at once.
pub(crate) async fn look_up(
    dns: &Questions<'_>,
    limits: &Limits,
    names: BTreeSet<String>,
) -> Known {
    let each = names.into_iter().map(async |name| {
        let found = dns.txt(name.trim_end_matches('.')).await;
        let key = match found {
            Ok(found) => key(&found.records, limits),
            Err(_) => Err(unanswered()),
        };
        let key = key.map_or_else(Txt::Error, |key| Txt::DomainKey(Arc::new(key)));
        (name.to_ascii_lowercase().into_boxed_str(), key)
    });
    Known(join_all(each).await.into_iter().collect())
}

/// The first record that is a key (§3.6.2.2).
fn key(records: &[Vec<u8>], limits: &Limits) -> Result<DomainKey, Error> {
    let mut error = Error::Dns(DnsError::InvalidRecordType);
    for record in records {
        match DomainKey::parse(record) {
            Ok(key) => return is_strong(key, limits),
            Err(wrong) => error = wrong,
        }
    }
    Err(error)
}

/// RFC 8301 §3.2: keys with less than 1024 bits are none.
fn is_strong(key: DomainKey, limits: &Limits) -> Result<DomainKey, Error> {
    let bits = key.p.public_key_bits();
    // The number of bits of a key that is no RSA key.
    let is_other = bits == usize::MAX;
    if is_other || (1024..=limits.rsa_bits).contains(&bits) {
        return Ok(key);
    }
    let why = format!("RSA key of {bits} bits");
    Err(Error::Crypto(CryptoError::Library(why)))
}
