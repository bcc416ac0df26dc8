//! The key that proves that the URL of an image was written here.

use sha2::{Digest as _, Sha256};

/// What says that an image's URL was written here, and not by who wants us to fetch something.
#[derive(Debug, Clone)]
pub(crate) struct ImageKey([u8; 32]);

impl ImageKey {
    /// A new one: what was written with another is not fetched any more.
    pub(crate) fn new() -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the system's randomness");
        Self(key)
    }

    /// HMAC (RFC 2104) with SHA-256, in hex.
    pub(crate) fn mark(&self, url: &str) -> String {
        use std::fmt::Write as _;
        let pad = |with: u8| -> Vec<u8> {
            let padded = self.0.iter().copied().chain([0; 32]);
            padded.map(|octet| octet ^ with).collect()
        };
        let inner = Sha256::new()
            .chain_update(pad(0x36))
            .chain_update(url)
            .finalize();
        let outer = Sha256::new()
            .chain_update(pad(0x5c))
            .chain_update(inner)
            .finalize();
        outer.iter().fold(String::new(), |mut hex, octet| {
            let _ = write!(hex, "{octet:02x}");
            hex
        })
    }

    /// Where the page finds an image, and in which language it is said why it does not.
    pub(crate) fn link(&self, base: &str, url: &str, language: &str) -> String {
        let escaped: String = url.bytes().map(|octet| format!("%{octet:02X}")).collect();
        let mark = self.mark(url);
        format!("{base}/image?u={escaped}&m={mark}&l={language}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_of_one_url_and_one_key() {
        let key = ImageKey::new();
        assert_eq!(key.mark("http://a.test/1"), key.mark("http://a.test/1"));
        assert_ne!(key.mark("http://a.test/1"), key.mark("http://a.test/2"));
        assert_ne!(
            key.mark("http://a.test/1"),
            ImageKey::new().mark("http://a.test/1")
        );
        // RFC 4231 §4.2 has a key of 20 octets 0x0b, the rest of a block zero.
        let mut known = [0; 32];
        known[..20].fill(0x0b);
        assert_eq!(
            ImageKey(known).mark("Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }
}
