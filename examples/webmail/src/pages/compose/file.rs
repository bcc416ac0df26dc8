//! Files that are attached, and what makes one form differ from another.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// A file: its name, media type, octets.
pub(super) type File = (String, String, Bytes);

/// What makes texts and files differ from others.
pub(super) fn digest<'a>(texts: impl Iterator<Item = &'a str>, files: &[File]) -> String {
    use std::fmt::Write as _;
    let mut digest = Sha256::new();
    let mut add = |octets: &[u8]| {
        digest.update((octets.len() as u64).to_be_bytes());
        digest.update(octets);
    };
    for text in texts {
        add(text.as_bytes());
    }
    for (name, kind, octets) in files {
        add(name.as_bytes());
        add(kind.as_bytes());
        add(octets);
    }
    let digest = digest.finalize();
    digest.iter().fold(String::new(), |mut hex, octet| {
        let _ = write!(hex, "{octet:02x}");
        hex
    })
}
