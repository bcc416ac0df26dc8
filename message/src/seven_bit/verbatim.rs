//! What is sent as it is.

use alloc::vec::Vec;

/// Appends what needs no encoding, or has none: boundaries, and what stands before the first and behind the last, which
/// nobody reads. An octet over 127 is a question mark there.
pub(super) fn verbatim(octets: &[u8], output: &mut Vec<u8>) {
    if octets.is_ascii() {
        return output.extend_from_slice(octets);
    }
    let ascii = |&octet: &u8| if octet.is_ascii() { octet } else { b'?' };
    output.extend(octets.iter().map(ascii));
}
