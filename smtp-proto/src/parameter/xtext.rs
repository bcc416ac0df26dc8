//! xtext: any octets within a parameter's value (RFC 3461 §4).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::octets::{self, slice_of};

/// A text in xtext: printable, with `+` and two hexadecimal digits in place of other octets. It is kept as it was sent.
///
/// ```
/// use hikyaku_smtp_proto::Xtext;
/// let envid = Xtext::of(b"order 7+2");
/// assert_eq!((envid.as_bytes(), &envid.decoded()[..]), (&b"order+207+2B2"[..], &b"order 7+2"[..]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Xtext<T = Bytes>(T);

impl Xtext {
    /// Encodes octets.
    #[must_use]
    pub fn of(octets: &[u8]) -> Self {
        let mut text = Vec::with_capacity(octets.len());
        for &octet in octets {
            if octets::is(octet, octets::XCHAR) {
                text.push(octet);
            } else {
                text.extend([b'+', hex(octet >> 4), hex(octet & 15)]);
            }
        }
        Self(text.into())
    }

    /// Takes what is xtext already; `None` when it is not.
    #[must_use]
    pub fn parse(text: impl Into<Bytes>) -> Option<Self> {
        let text = text.into();
        is_xtext(&text).then_some(Self(text))
    }
}

impl<'a> Xtext<&'a [u8]> {
    /// A value of 1 to `most` octets, whose digits are in any case (RFC 4954 §8, unlike RFC 3461).
    pub(crate) fn read_any_case(text: &'a [u8], most: usize) -> Option<Self> {
        let capitals = text.to_ascii_uppercase();
        (text.len() <= most && is_xtext(&capitals)).then_some(Self(text))
    }

    /// A value of 1 to `most` octets.
    pub(crate) fn read(text: &'a [u8], most: usize) -> Option<Self> {
        (text.len() <= most && is_xtext(text)).then_some(Self(text))
    }

    pub(crate) fn within(self, line: &Bytes) -> Xtext {
        Xtext(slice_of(line, self.0))
    }
}

impl<T: AsRef<[u8]>> Xtext<T> {
    /// Returns the text as it is sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// Returns the octets that it stands for.
    #[must_use]
    pub fn decoded(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.as_bytes().len());
        text.extend(self.octets());
        text
    }

    /// Returns the octets that it stands for, one after the other.
    pub(crate) fn octets(&self) -> impl Iterator<Item = u8> {
        let mut octets = self.as_bytes().iter();
        core::iter::from_fn(move || {
            let octet = *octets.next()?;
            let mut digit = || octets.next().map_or(0, |&digit| value(digit));
            Some(match octet {
                b'+' => (digit() << 4) | digit(),
                other => other,
            })
        })
    }

    pub(crate) fn encode(&self, output: &mut Output) {
        output.write(self.as_bytes());
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        0..=9 => b'0' + digit,
        _ => b'A' + digit.wrapping_sub(10),
    }
}

fn value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'A'..=b'F' => digit - b'A' + 10,
        b'a'..=b'f' => digit - b'a' + 10,
        _ => 0,
    }
}

/// Printable, `+` only before two hexadecimal digits in capitals.
pub(crate) fn is_xtext(text: &[u8]) -> bool {
    let hex = |octet: Option<&u8>| matches!(octet, Some(b'0'..=b'9' | b'A'..=b'F'));
    let mut rest = text;
    loop {
        let (_, behind) = octets::run(rest, octets::XCHAR);
        match behind.split_first() {
            None => return !text.is_empty(),
            Some((b'+', digits)) if hex(digits.first()) && hex(digits.get(1)) => {
                rest = digits.get(2..).unwrap_or(&[]);
            }
            Some(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_octets_come_back(octets in proptest::collection::vec(any::<u8>(), 1..40)) {
            let text = Xtext::of(&octets);
            prop_assert!(is_xtext(text.as_bytes()));
            prop_assert_eq!(text.decoded(), octets);
            prop_assert_eq!(Xtext::parse(text.as_bytes().to_vec()), Some(text));
        }
    }

    #[test]
    fn what_is_no_xtext_is_refused() {
        for bad in ["", "+", "+2", "+2b", "+GG", "a=b", "a b", "\u{e9}", "a+"] {
            assert!(!is_xtext(bad.as_bytes()), "{bad}");
        }
    }
}
