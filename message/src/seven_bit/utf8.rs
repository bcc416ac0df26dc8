//! Whether octets are UTF-8, found out as they come.

/// What has come so far.
#[derive(Debug, Clone)]
pub(super) struct Utf8 {
    /// A character that has not come whole.
    held: [u8; 4],
    length: usize,
    is_wrong: bool,
}

impl Utf8 {
    pub(super) fn new() -> Self {
        Self {
            held: [0; 4],
            length: 0,
            is_wrong: false,
        }
    }

    pub(super) fn feed(&mut self, mut octets: &[u8]) {
        while self.length > 0 && !self.is_wrong {
            let Some((&next, rest)) = octets.split_first() else {
                return;
            };
            octets = rest;
            self.hold(next);
            let held = self.held.get(..self.length).unwrap_or(&[]);
            match core::str::from_utf8(held) {
                Ok(_) => self.length = 0,
                Err(error) => self.is_wrong = error.error_len().is_some(),
            }
        }
        if self.is_wrong {
            return;
        }
        if let Err(error) = core::str::from_utf8(octets) {
            self.is_wrong = error.error_len().is_some();
            let begun = octets.get(error.valid_up_to()..).unwrap_or(&[]);
            begun.iter().take(3).for_each(|&octet| self.hold(octet));
        }
    }

    fn hold(&mut self, octet: u8) {
        if let Some(place) = self.held.get_mut(self.length) {
            *place = octet;
            self.length += 1;
        }
    }

    /// Returns whether all that came is UTF-8.
    pub(super) fn finish(&self) -> bool {
        !self.is_wrong && self.length == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// Characters of each length, and octets of them.
    const PIECES: &[&[u8]] = &[
        b"a",
        b"\xc3\xa9",
        b"\xe9\xa3\x9b",
        b"\xf0\x9f\x90\xa6",
        b"\xe9",
        b"\x9b",
    ];

    proptest! {
        #[test]
        fn in_any_pieces(
            pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..9),
            step in 1..6_usize,
        ) {
            let octets: Vec<u8> = pieces.concat();
            let mut utf8 = Utf8::new();
            octets.chunks(step).for_each(|piece| utf8.feed(piece));
            prop_assert_eq!(utf8.finish(), core::str::from_utf8(&octets).is_ok());
        }
    }
}
