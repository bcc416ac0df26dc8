//! Which octets the grammar allows where (RFC 5321 §4.1.2, RFC 6531 §3.3), and texts that are slices of a line.

use bytes::Bytes;
use core::ops::Range;

/// `atext` and `.`, and octets of UTF-8.
pub(crate) const LOCAL: u8 = 1;
/// `atext`, and octets of UTF-8.
pub(crate) const ATEXT: u8 = 1 << 1;
/// Letters, digits, `-` and `_`: names of SASL mechanisms.
pub(crate) const MECHANISM: u8 = 1 << 2;
/// `esmtp-value`, with octets of UTF-8.
pub(crate) const VALUE: u8 = 1 << 3;
/// Letters, digits and `-`.
pub(crate) const KEYWORD: u8 = 1 << 4;
/// `xchar` (RFC 3461 §4).
pub(crate) const XCHAR: u8 = 1 << 5;
/// Octets of UTF-8.
pub(crate) const UTF8: u8 = 1 << 6;

static CLASSES: [u8; 256] = classes();

#[allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated when it is compiled"
)]
const fn classes() -> [u8; 256] {
    let mut all = [0_u8; 256];
    let mut octet = 0;
    while octet < 256 {
        all[octet] = class_of(octet as u8);
        octet += 1;
    }
    all
}

const fn class_of(octet: u8) -> u8 {
    let utf8 = octet >= 128;
    let name = octet.is_ascii_alphanumeric();
    let atext = name
        || utf8
        || matches!(
            octet,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'/'
                | b'='
                | b'?'
                | b'^'
                | b'_'
                | b'`'
                | b'{'
                | b'|'
                | b'}'
                | b'~'
        );
    let mut class = 0;
    if atext {
        class |= ATEXT | LOCAL;
    }
    if utf8 {
        class |= UTF8;
    }
    if octet == b'.' {
        class |= LOCAL;
    }
    if matches!(octet, 33..=60 | 62..=126) || utf8 {
        class |= VALUE;
    }
    if name || octet == b'-' {
        class |= KEYWORD;
    }
    if name || matches!(octet, b'-' | b'_') {
        class |= MECHANISM;
    }
    if matches!(octet, 33..=42 | 44..=60 | 62..=126) {
        class |= XCHAR;
    }
    class
}

/// Returns whether an octet is of that class.
#[inline]
pub(crate) fn is(octet: u8, class: u8) -> bool {
    CLASSES
        .get(usize::from(octet))
        .is_some_and(|classes| classes & class != 0)
}

/// Returns whether all octets are of that class.
#[inline]
pub(crate) fn all(text: &[u8], class: u8) -> bool {
    text.iter().all(|&octet| is(octet, class))
}

/// Splits off the octets at the front that are of that class.
#[inline]
pub(crate) fn run(text: &[u8], class: u8) -> (&[u8], &[u8]) {
    let length = text.iter().position(|&octet| !is(octet, class));
    text.split_at(length.unwrap_or(text.len()))
}

/// The same, with all classes that the octets are of.
#[inline]
pub(crate) fn run_of(text: &[u8], class: u8) -> (&[u8], &[u8], u8) {
    let mut seen = 0;
    let ends = |&octet: &u8| {
        let classes = CLASSES.get(usize::from(octet)).copied().unwrap_or(0);
        let ends = classes & class == 0;
        seen |= if ends { 0 } else { classes };
        ends
    };
    let length = text.iter().position(ends);
    let (text, rest) = text.split_at(length.unwrap_or(text.len()));
    (text, rest, seen)
}

/// Splits at the first blank, which stays with the rest.
#[inline]
pub(crate) fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let length = text.iter().position(|&octet| octet == b' ');
    text.split_at(length.unwrap_or(text.len()))
}

/// A word of which each octet is 1.
const ONES: u64 = u64::MAX / 255;

/// The high bit of each octet of a word that is `octet`, and of some behind the first one.
#[inline]
pub(crate) const fn high_bits(word: u64, octet: u8) -> u64 {
    let differs = word ^ (ONES * octet as u64);
    differs.wrapping_sub(ONES) & !differs & (ONES * 0x80)
}

/// Finds the first CR, LF or NUL. Lines are short: eight octets at a time cost less than beginning a search that is made for
/// long ones.
#[inline]
pub(crate) fn end_of_text(text: &[u8]) -> Option<usize> {
    const SHORT: usize = 64;
    let mut at = 0;
    while at < SHORT
        && let Some((eight, _)) = text
            .get(at..)
            .and_then(|rest| rest.split_first_chunk::<8>())
    {
        let eight = u64::from_le_bytes(*eight);
        // Whether one is less than 14 takes a third of the time.
        if eight.wrapping_sub(ONES * 14) & !eight & (ONES * 0x80) != 0 {
            let ends = high_bits(eight, b'\r') | high_bits(eight, b'\n') | high_bits(eight, 0);
            if ends != 0 {
                return Some(at + ends.trailing_zeros() as usize / 8);
            }
        }
        at += 8;
    }
    let rest = text.get(at..)?;
    memchr::memchr3(b'\r', b'\n', 0, rest).map(|found| at + found)
}

/// Text as values have it: [`Bytes`], which can be kept, or a slice that is borrowed.
pub trait Text: AsRef<[u8]> + Clone + sealed::Sealed {
    /// Returns a part of it, without a copy; empty when the range is not within it.
    #[doc(hidden)]
    #[must_use]
    fn part(&self, range: Range<usize>) -> Self;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for bytes::Bytes {}
    impl Sealed for &[u8] {}
}

impl Text for Bytes {
    fn part(&self, range: Range<usize>) -> Self {
        match range.start <= range.end && range.end <= self.len() {
            true => self.slice(range),
            false => Self::new(),
        }
    }
}

impl Text for &[u8] {
    fn part(&self, range: Range<usize>) -> Self {
        self.get(range).unwrap_or(&[])
    }
}

/// Returns the text as a slice of the line that it was read from, without a copy. From elsewhere it is copied.
pub(crate) fn slice_of(line: &Bytes, text: &[u8]) -> Bytes {
    let from = (text.as_ptr() as usize).wrapping_sub(line.as_ptr() as usize);
    match from.checked_add(text.len()) {
        _ if text.is_empty() => Bytes::new(),
        Some(to) if to <= line.len() => line.slice(from..to),
        _ => Bytes::copy_from_slice(text),
    }
}

/// Reads one digit or more, and at most so many; past 64 bits the number is the largest one.
pub(crate) fn numeral(text: &[u8], digits: usize) -> Option<u64> {
    if text.is_empty() || text.len() > digits {
        return None;
    }
    let mut sum = 0_u64;
    for octet in text {
        let digit = octet.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // Nineteen digits fit.
        sum = match text.len() < 20 {
            true => sum.wrapping_mul(10).wrapping_add(digit.into()),
            false => sum.saturating_mul(10).saturating_add(digit.into()),
        };
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_elsewhere_is_copied() {
        let line = Bytes::from_static(b"MAIL FROM:<a@b>");
        assert_eq!(slice_of(&line, &line[5..9]).as_ptr(), line[5..].as_ptr());
        assert_eq!(slice_of(&line, b"elsewhere"), "elsewhere");
        assert_eq!(slice_of(&line.slice(..4), &line[5..9]), "FROM");
        assert_eq!(slice_of(&line, b""), "");
    }

    proptest::proptest! {
        #[test]
        fn the_end_of_a_text_is_found_wherever_it_is(
            text in proptest::collection::vec(proptest::prop_oneof![8 => 14_u8..=255, 1 => 0_u8..=255], 0..200),
        ) {
            let expected = text.iter().position(|octet| matches!(octet, b'\r' | b'\n' | 0));
            proptest::prop_assert_eq!(end_of_text(&text), expected);
        }
    }

    #[test]
    fn classes_are_those_of_the_grammar() {
        for octet in 0..=255_u8 {
            let specials = b"()<>[]:;@\\,.\" \t=+";
            let plain = octet.is_ascii_graphic() && !specials.contains(&octet);
            assert_eq!(
                is(octet, ATEXT),
                plain || octet >= 128 || b"=+".contains(&octet)
            );
            assert_eq!(is(octet, LOCAL), is(octet, ATEXT) || octet == b'.');
            let xchar = octet.is_ascii_graphic() && !b"+=".contains(&octet);
            assert_eq!(is(octet, XCHAR), xchar);
        }
    }
}
