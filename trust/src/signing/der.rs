//! The few structures in DER (ITU-T X.690) that keys are wrapped into.

/// `AlgorithmIdentifier` of RSA (RFC 8017 §A.1): the object identifier and NULL.
const RSA: &[u8] = &[
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
/// `PrivateKeyInfo` of Ed25519 (RFC 8410 §7), all but the 32 octets of the key.
const ED25519: &[u8] = &[
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7) of an `RSAPublicKey`.
pub(crate) fn public_rsa(key: &[u8]) -> Vec<u8> {
    // No bit of the last octet is unused.
    let bits = [&[0][..], key].concat();
    tagged(0x30, &[RSA, &tagged(0x03, &bits)].concat())
}

/// `PrivateKeyInfo` (RFC 5208 §5) of an `RSAPrivateKey`.
pub(crate) fn private_rsa(key: &[u8]) -> Vec<u8> {
    let version = [0x02, 0x01, 0x00];
    tagged(0x30, &[&version[..], RSA, &tagged(0x04, key)].concat())
}

/// `PrivateKeyInfo` of Ed25519. The first version, without the public key: some programs read no other.
pub(crate) fn private_ed25519(seed: &[u8; 32]) -> Vec<u8> {
    [ED25519, seed].concat()
}

fn tagged(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|octet| *octet == 0).collect();
    let mut whole = vec![tag];
    match length.as_slice() {
        [] => whole.push(0),
        [one @ 0..0x80] => whole.push(*one),
        some => {
            whole.push(0x80 | u8::try_from(some.len()).unwrap_or(0));
            whole.extend_from_slice(some);
        }
    }
    whole.extend_from_slice(value);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_as_short_as_they_can_be() {
        assert_eq!(tagged(4, &[]), [4, 0]);
        assert_eq!(tagged(4, &[7]), [4, 1, 7]);
        assert_eq!(tagged(4, &[0; 127])[..2], [4, 127]);
        assert_eq!(tagged(4, &[0; 128])[..3], [4, 0x81, 128]);
        assert_eq!(tagged(4, &[0; 256])[..4], [4, 0x82, 1, 0]);
    }
}
