//! Checksums of bodies: one for each block, so that a range is checked without reading the rest.

/// Octets of a block.
pub(super) const BLOCK: u64 = 64 * 1024;

/// Adds up the checksums of a body while its octets come.
#[derive(Debug, Default)]
pub(super) struct Summing {
    block: crc32fast::Hasher,
    /// Octets in the block that is not full yet.
    filled: u64,
    sums: Vec<u8>,
}

impl Summing {
    pub(super) fn add(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() {
            let room = usize::try_from(BLOCK - self.filled).unwrap_or(usize::MAX);
            let (now, later) = octets.split_at(room.min(octets.len()));
            self.block.update(now);
            self.filled += now.len() as u64;
            if self.filled == BLOCK {
                self.end_block();
            }
            octets = later;
        }
    }

    fn end_block(&mut self) {
        let sum = std::mem::take(&mut self.block).finalize();
        self.sums.extend_from_slice(&sum.to_le_bytes());
        self.filled = 0;
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.end_block();
        }
        self.sums
    }
}

/// The checksums of a whole body.
pub(super) fn sums(octets: &[u8]) -> Vec<u8> {
    let mut summing = Summing::default();
    summing.add(octets);
    summing.finish()
}

/// Whether whole blocks, the last of a body may be short, are as they were; `first` is the number of the
/// first. A body that has no sums is from a time before they were kept.
pub(super) fn holds(sums: &[u8], first: u64, octets: &[u8]) -> bool {
    let blocks = octets.chunks(usize::try_from(BLOCK).unwrap_or(usize::MAX));
    (first..).zip(blocks).all(|(number, block)| {
        let at = usize::try_from(number * 4).unwrap_or(usize::MAX);
        let sum = sums.get(at..).and_then(|rest| rest.first_chunk());
        sum.is_some_and(|sum| *sum == crc32fast::hash(block).to_le_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_octet_is_found_in_its_block_alone() {
        let body: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        for cut in [1, 7, 65_535, 65_536, 65_537, 200_000] {
            let mut summing = Summing::default();
            body.chunks(cut).for_each(|chunk| summing.add(chunk));
            assert_eq!(summing.finish(), sums(&body), "in pieces of {cut}");
        }
        let sums = sums(&body);
        assert!(holds(&sums, 0, &body));
        assert!(holds(&sums, 2, &body[131_072..]));
        for at in [0, 65_535, 65_536, 131_071, 131_072, 199_999] {
            let mut changed = body.clone();
            changed[at] ^= 1;
            assert!(!holds(&sums, 0, &changed), "octet {at}");
            for block in 0..4_usize {
                let range = block * 65_536..((block + 1) * 65_536).min(body.len());
                let whole = !range.contains(&at);
                assert_eq!(holds(&sums, block as u64, &changed[range]), whole);
            }
        }
        // A body that grew or was cut.
        assert!(!holds(&sums, 3, &body[..65_536]) && !holds(&sums, 4, b"x"));
        assert!(!holds(&sums, 3, &body[196_608..199_998]));
    }
}
