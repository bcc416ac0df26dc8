//! DKIM signatures (RFC 6376 §5).

use mail_auth::common::headers::HeaderWriter as _;
use mail_auth::dkim::DkimSigner;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::key::{Algorithm, Key};
use super::ringed::Ringed;
use crate::domain::{ascii, canonical, is_within};
use crate::limits::Limits;
use crate::section::{fields, size};

/// Fields that are signed, and once more than they are there, so that nobody can add one (RFC 6376 §8.15).
const SIGNED: [&str; 14] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-Disposition",
];

/// Signs messages. A domain may have several keys.
#[derive(Debug, Clone, Default)]
pub struct Signer {
    keys: Vec<SigningKey>,
    /// How long signatures are good for. Without end by default: mail is verified again when it is moved.
    pub expiry: Option<Duration>,
}

/// A key with its place in DNS, and when it signs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SigningKey {
    /// The domain that signs.
    pub domain: String,
    /// The selector.
    pub selector: String,
    /// The key.
    pub key: Arc<Key>,
    /// When it begins to sign: its record must be in DNS by then.
    pub from: Option<SystemTime>,
    /// When it no longer signs. Its record has to stay in DNS for some days more.
    pub until: Option<SystemTime>,
}

/// A message was not signed, or a key not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSigned {
    /// Domain or selector are no names.
    #[error("no domain name: {0}")]
    NoName(String),
    /// No key of the domain signs at this time.
    #[error("no key signs for {0} now")]
    NoKey(String),
    /// The message has no From field (RFC 6376 §5.4).
    #[error("no From field")]
    NoFrom,
    /// The header section has more fields or octets than [`Limits`] has by default: few would verify it, and all its
    /// fields have to be held.
    #[error("the header section is too large")]
    TooLarge,
    /// The signature failed.
    #[error("signing failed: {0}")]
    Failed(String),
}

impl SigningKey {
    fn signs_at(&self, now: SystemTime) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

impl Signer {
    /// Adds a key that signs from now on.
    ///
    /// # Errors
    /// [`NotSigned::NoName`].
    pub fn add(
        &mut self,
        domain: &str,
        selector: &str,
        key: Key,
    ) -> Result<&mut SigningKey, NotSigned> {
        let no_name = |name: &str| NotSigned::NoName(name.to_owned());
        let domain = canonical(domain).ok_or_else(|| no_name(domain))?;
        let selector = ascii(selector).ok_or_else(|| no_name(selector))?;
        self.keys.push(SigningKey {
            domain,
            selector,
            key: Arc::new(key),
            from: None,
            until: None,
        });
        self.keys.last_mut().ok_or_else(|| no_name(""))
    }

    /// Returns all keys.
    pub fn keys(&self) -> &[SigningKey] {
        &self.keys
    }

    /// Signs a message in the name of a domain, with one key of each algorithm: the one that began to sign last. The
    /// keys are those of the domain itself, or of the nearest one above it that has any.
    ///
    /// Returns the fields to put above the message, each with the end of its line.
    ///
    /// # Errors
    /// [`NotSigned`].
    pub fn sign(&self, domain: &str, message: &[u8], now: SystemTime) -> Result<String, NotSigned> {
        let keys = self.keys_of(domain, now)?;
        let (count, octets) = size(message);
        if !Limits::default().admit(count, octets) {
            return Err(NotSigned::TooLarge);
        }
        let names = signed_fields(message);
        if !fields(message).any(|field| field.is("From")) {
            return Err(NotSigned::NoFrom);
        }
        let mut signatures = String::new();
        for key in keys {
            let signer = DkimSigner::from_key(Ringed(&key.key))
                .domain(&key.domain)
                .selector(&key.selector)
                .headers(names.iter().copied())
                .expiration(self.expiry.map_or(0, |expiry| expiry.as_secs()));
            let signature = signer.sign(message);
            let signature = signature.map_err(|error| NotSigned::Failed(error.to_string()))?;
            signatures.push_str(&signature.to_header());
        }
        Ok(signatures)
    }

    /// Returns whether a key signs for a domain at that time.
    pub fn signs_for(&self, domain: &str, now: SystemTime) -> bool {
        self.keys_of(domain, now).is_ok_and(|keys| !keys.is_empty())
    }

    /// The keys that sign for a domain now, RSA first.
    pub(crate) fn keys_of(
        &self,
        domain: &str,
        now: SystemTime,
    ) -> Result<Vec<&SigningKey>, NotSigned> {
        let no_key = || NotSigned::NoKey(domain.to_owned());
        let domain = canonical(domain).ok_or_else(no_key)?;
        let signing = self.keys.iter().filter(|key| key.signs_at(now));
        let above: Vec<_> = signing
            .filter(|key| is_within(&domain, &key.domain))
            .collect();
        let nearest = above
            .iter()
            .map(|key| key.domain.len())
            .max()
            .ok_or_else(no_key)?;
        let of = |algorithm| {
            let all = above.iter().copied();
            all.filter(|key| key.domain.len() == nearest && key.key.algorithm() == algorithm)
                .max_by_key(|key| key.from)
        };
        Ok([of(Algorithm::Rsa), of(Algorithm::Ed25519)]
            .into_iter()
            .flatten()
            .collect())
    }
}

/// The names for `h=`. One that is there is given twice: mail-auth names all fields of it for the first, and one more
/// for the second.
pub(crate) fn signed_fields(message: &[u8]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for name in SIGNED {
        names.push(name);
        if fields(message).any(|field| field.is(name)) {
            names.push(name);
        }
    }
    names
}

/// The same names as they are written: each as often as it is there, and once more.
pub(crate) fn signed_once_more(message: &[u8]) -> Vec<&'static str> {
    let names = SIGNED.iter().flat_map(|name| {
        let count = fields(message).filter(|field| field.is(name)).count();
        std::iter::repeat_n(*name, count + 1)
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn a_header_section_that_is_too_large_is_not_signed() {
        let mut signer = Signer::default();
        let key = Key::generate(Algorithm::Ed25519).unwrap();
        signer.add("one.test", "s", key).unwrap();
        let sign = |count| {
            let message = format!("From: a@one.test\r\n{}\r\n", "To: b\r\n".repeat(count));
            signer.sign("one.test", message.as_bytes(), at(0))
        };
        assert!(sign(999).is_ok());
        assert_eq!(sign(1000), Err(NotSigned::TooLarge));
    }

    const MESSAGE: &[u8] = b"From: a@one.test\r\nSubject: x\r\nReceived: y\r\n\r\nHello\r\n";

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn key() -> Key {
        Key::generate(Algorithm::Ed25519).unwrap()
    }

    fn selectors(signer: &Signer, domain: &str, now: u64) -> String {
        let keys = signer.keys_of(domain, at(now)).unwrap_or_default();
        let all: Vec<_> = keys.iter().map(|key| key.selector.as_str()).collect();
        all.join(" ")
    }

    #[test]
    fn a_rotation_overlaps() {
        let mut signer = Signer::default();
        signer.add("one.test", "old", key()).unwrap().until = Some(at(30));
        signer.add("one.test", "new", key()).unwrap().from = Some(at(20));
        let seen = [10, 20, 29, 30].map(|now| selectors(&signer, "one.test", now));
        assert_eq!(seen, ["old", "new", "new", "new"]);
        assert_eq!(selectors(&signer, "two.test", 10), "");
    }

    #[test]
    fn the_nearest_domain_signs() {
        let mut signer = Signer::default();
        signer.add("one.test", "above", key()).unwrap();
        signer.add("a.one.test", "below", key()).unwrap();
        for (domain, selector) in [
            ("one.test", "above"),
            ("b.one.test", "above"),
            ("A.One.Test", "below"),
            ("b.a.one.test", "below"),
            ("bone.test", ""),
        ] {
            assert_eq!(selectors(&signer, domain, 0), selector, "{domain}");
        }
    }

    #[test]
    fn fields_are_signed_once_more_than_they_are_there() {
        let mut signer = Signer::default();
        signer.add("one.test", "s", key()).unwrap();
        let field = signer.sign("one.test", MESSAGE, at(0)).unwrap();
        let field: String = field.split_whitespace().collect();
        let names = field.split("h=").nth(1).unwrap().split(';').next().unwrap();
        let count = |name: &str| names.split(':').filter(|one| *one == name).count();
        assert_eq!(
            [
                count("From"),
                count("Subject"),
                count("To"),
                count("Received")
            ],
            [2, 2, 1, 0]
        );
    }

    #[test]
    fn what_has_no_author_is_not_signed() {
        let mut signer = Signer::default();
        signer.add("one.test", "s", key()).unwrap();
        let unsigned = signer.sign("one.test", b"Subject: x\r\n\r\n", at(0));
        assert_eq!(unsigned, Err(NotSigned::NoFrom));
        assert!(matches!(
            signer.add("x", "s", key()),
            Err(NotSigned::NoName(_))
        ));
    }
}
