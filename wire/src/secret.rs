//! Passwords and what else must not be seen.

use alloc::vec::Vec;
use bytes::BytesMut;
use core::fmt;
use zeroize::Zeroize;

/// Octets that are never printed and are wiped when dropped.
///
/// ```
/// let secret = hikyaku_wire::Secret::from(b"tanstaaf".to_vec());
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// assert_eq!(secret.expose(), b"tanstaaf");
/// ```
#[derive(Default, Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Returns the octets, to be looked at and not copied.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Returns the octets as text, when they are UTF-8.
    #[must_use]
    pub fn expose_str(&self) -> Option<&str> {
        core::str::from_utf8(&self.0).ok()
    }

    /// Copies a secret out of a read buffer and wipes the place it stood at.
    #[must_use]
    pub fn take(place: &mut [u8]) -> Self {
        let secret = Self(place.to_vec());
        place.zeroize();
        secret
    }
}

impl From<Vec<u8>> for Secret {
    fn from(octets: Vec<u8>) -> Self {
        Self(octets)
    }
}

impl From<BytesMut> for Secret {
    fn from(mut octets: BytesMut) -> Self {
        Self::take(&mut octets)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_wiped_where_it_stood() {
        let mut line = *b"PASS sesame";
        let secret = Secret::take(&mut line[5..]);
        assert_eq!(secret.expose(), b"sesame");
        assert_eq!(&line, b"PASS \0\0\0\0\0\0");
    }
}
