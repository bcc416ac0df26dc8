//! Taking fields out of a message.

use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// The message without those parts, which stand in order; `None` when there are none.
pub(super) fn without(message: &Bytes, parts: &[Range<usize>]) -> Option<Bytes> {
    if parts.is_empty() {
        return None;
    }
    let mut left = BytesMut::with_capacity(message.len());
    let mut from = 0;
    for part in parts {
        left.extend_from_slice(message.get(from..part.start).unwrap_or(&[]));
        from = part.end.max(from);
    }
    left.extend_from_slice(message.get(from..).unwrap_or(&[]));
    Some(left.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_taken_out() {
        let message = Bytes::from_static(b"0123456789");
        assert_eq!(without(&message, &[]), None);
        for (parts, left) in [
            (&[2..4, 6..10][..], &b"0145"[..]),
            (&[3..5, 5..6], b"0126789"),
            (&[0..5, 5..10], b""),
        ] {
            assert_eq!(without(&message, parts).as_deref(), Some(left));
        }
    }
}
