//! What a text may hold, in few octets: a filter of its shortest pieces.
//!
//! A piece is three characters, or two where both are of a script that has thousands of them, so that a word of
//! two kanji has a piece. Each piece sets two bits. A text that lacks a bit of a needle's does not hold the
//! needle; one that has them all may.

/// Bits while a text is read.
const BITS: usize = 1 << 16;

/// From here on a character says as much as two or three letters: CJK symbols, kana, ideographs.
const DENSE: char = '\u{2e80}';

/// The two places of a piece, each of 16 bits.
fn places(piece: u64) -> [u16; 2] {
    let mixed = piece.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    #[allow(
        clippy::cast_possible_truncation,
        reason = "16 bits each are what is wanted"
    )]
    [(mixed >> 48) as u16, (mixed >> 32) as u16]
}

/// The pieces that end with each character that comes.
#[derive(Debug, Default, Clone, Copy)]
struct Pieces {
    last: Option<char>,
    before: Option<char>,
}

impl Pieces {
    fn push(&mut self, c: char) -> [Option<u64>; 2] {
        let code = u64::from(u32::from(c));
        let pair = self
            .last
            .map(|last| u64::from(u32::from(last)) << 21 | code);
        let dense = c >= DENSE && self.last.is_some_and(|last| last >= DENSE);
        let two = pair.filter(|_| dense).map(|pair| 1 << 63 | pair);
        let three = pair.zip(self.before);
        // Three of such a script are two twos.
        let three = three.filter(|(_, before)| !(dense && *before >= DENSE));
        let three = three.map(|(pair, before)| u64::from(u32::from(before)) << 42 | pair);
        (self.before, self.last) = (self.last, Some(c));
        [two, three]
    }
}

/// Collects the pieces of a text.
#[derive(Debug)]
pub(crate) struct Collector {
    bits: Vec<u64>,
    pieces: Pieces,
}

impl Default for Collector {
    fn default() -> Self {
        Self {
            bits: vec![0; BITS / 64],
            pieces: Pieces::default(),
        }
    }
}

impl Collector {
    /// What goes on with the text, as it compares.
    pub(crate) fn add(&mut self, text: &str) {
        for c in text.chars() {
            for piece in self.pieces.push(c).into_iter().flatten() {
                for place in places(piece) {
                    let place = usize::from(place);
                    if let Some(word) = self.bits.get_mut(place / 64) {
                        *word |= 1 << (place % 64);
                    }
                }
            }
        }
    }

    /// The filter: a power of two of words, with two to four bits for each that is set.
    pub(crate) fn finish(&self) -> Vec<u64> {
        let ones: u32 = self.bits.iter().map(|word| word.count_ones()).sum();
        let bits = usize::try_from(ones).unwrap_or(BITS).saturating_mul(2);
        let words = (bits / 64 + 1).next_power_of_two().min(BITS / 64);
        let mut folded = vec![0; words];
        for chunk in self.bits.chunks(words) {
            for (word, more) in folded.iter_mut().zip(chunk) {
                *word |= more;
            }
        }
        folded
    }
}

/// What a text must have to hold a needle.
#[derive(Debug, Clone)]
pub(crate) struct Needle(Vec<[u16; 2]>);

impl Needle {
    /// `None` where the needle is too short to have a piece.
    pub(crate) fn new(needle: &str) -> Option<Self> {
        let mut pieces = Pieces::default();
        let all = needle.chars().flat_map(|c| pieces.push(c));
        let mut places: Vec<_> = all.flatten().map(places).collect();
        places.sort_unstable();
        places.dedup();
        (!places.is_empty()).then_some(Self(places))
    }

    /// Whether the text of that filter may hold it. `word` is one of the filter's `words`, a power of two.
    pub(crate) fn may_be_in(&self, words: usize, word: impl Fn(usize) -> u64) -> bool {
        let mask = words.saturating_sub(1);
        self.0.iter().flatten().all(|place| {
            let place = usize::from(*place);
            word((place / 64) & mask) & 1 << (place % 64) != 0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::casemap::casemap;
    use proptest::prelude::*;

    fn signature(text: &str) -> Vec<u64> {
        let mut collector = Collector::default();
        collector.add(&casemap(text));
        collector.finish()
    }

    fn may(signature: &[u64], needle: &str) -> Option<bool> {
        let needle = Needle::new(&casemap(needle))?;
        Some(needle.may_be_in(signature.len(), |at| signature[at]))
    }

    #[test]
    fn what_is_there_may_be_and_most_that_is_not_is_not() {
        let text =
            "The minutes of the meeting in Kyoto. 京都の会議の議事録をお送りします。ガード・ﾊﾟﾝ";
        let signed = signature(text);
        for there in [
            "meeting",
            "KYOTO.",
            "京都",
            "議事録",
            "の会",
            "パン",
            "o. 京都",
        ] {
            assert_eq!(may(&signed, there), Some(true), "{there}");
        }
        for short in ["a", "ab", "京", ""] {
            assert_eq!(may(&signed, short), None, "{short}");
        }
        let absent = [
            "東京", "大阪", "奈良", "神戸", "お茶", "tea", "coffee", "xyz", "Osaka", "会社",
        ];
        let wrong = absent
            .iter()
            .filter(|word| may(&signed, word) == Some(true));
        assert!(wrong.count() <= 2);
        assert!(signed.len() * 8 <= 64 * 4, "{}", signed.len());
    }

    #[test]
    fn a_filter_is_as_large_as_its_text() {
        assert_eq!(signature("").len(), 1);
        let many = (0..60_000).filter_map(|n| char::from_u32(0x4e00 + n * 7919 % 20_000));
        assert_eq!(signature(&many.collect::<String>()).len(), BITS / 64);
    }

    proptest! {
        /// Whatever a text holds, it may hold; in whatever pieces it came.
        #[test]
        fn nothing_is_missed(
            text in "[a-cA-C あ-おア-オ茶京都é.]{0,60}",
            from in 0_usize..60,
            length in 0_usize..12,
            cut in 0_usize..60,
        ) {
            let mapped = casemap(&text).into_owned();
            let chars: Vec<char> = mapped.chars().collect();
            let from = from.min(chars.len());
            let part: String = chars[from..(from + length).min(chars.len())].iter().collect();
            let mut collector = Collector::default();
            let cut = cut.min(chars.len());
            collector.add(&chars[..cut].iter().collect::<String>());
            collector.add(&chars[cut..].iter().collect::<String>());
            let signed = collector.finish();
            if let Some(needle) = Needle::new(&part) {
                prop_assert!(needle.may_be_in(signed.len(), |at| signed[at]));
            }
        }
    }
}
