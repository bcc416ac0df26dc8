//! Sets of octets, looked up without a comparison for each.

/// Some of the 256 octets.
pub(super) struct OctetSet([bool; 256]);

impl OctetSet {
    /// Those from `low` to `high`, without some.
    pub(super) const fn without(low: u8, high: u8, others: &[u8]) -> Self {
        let mut set = [false; 256];
        let mut octet = low as usize;
        while octet <= high as usize {
            set[octet] = true;
            octet += 1;
        }
        let mut at = 0;
        while at < others.len() {
            set[others[at] as usize] = false;
            at += 1;
        }
        Self(set)
    }

    pub(super) fn has(&self, octet: u8) -> bool {
        self.0.get(usize::from(octet)).copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn a_set_has_what_is_within_and_not_taken_out() {
        let set = OctetSet::without(b'b', b'f', b"dx");
        let all: Vec<u8> = (0..=255).filter(|octet| set.has(*octet)).collect();
        assert_eq!(all, b"bcef");
        let set = OctetSet::without(0, 255, &[0, 255]);
        assert_eq!((0..=255).filter(|octet| set.has(*octet)).count(), 254);
    }
}
