//! Sequence sets: `1,3:5,7:*` (RFC 9051 §9).

use alloc::vec::Vec;
use core::num::NonZeroU32;
use hikyaku_wire::Output;

use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::nz_number;

/// Numbers and ranges of them, as they were sent; `None` is `*`, the largest there is.
///
/// ```
/// use hikyaku_imap_proto::SequenceSet;
/// let set = SequenceSet::parse(&"2,5:*".into()).unwrap();
/// assert_eq!(set.ranges(9).collect::<Vec<_>>(), [(2, 2), (5, 9)]);
/// // RFC 9051 §6.4.8: `n:*` always has the last, even when n is larger.
/// assert_eq!(set.ranges(3).collect::<Vec<_>>(), [(2, 2), (3, 5)]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceSet(Vec<(Option<NonZeroU32>, Option<NonZeroU32>)>);

// A set has one number at least: without any it is `$`.

impl SequenceSet {
    /// Reads a whole set.
    ///
    /// # Errors
    /// Names the octet that does not belong.
    pub fn parse(text: &bytes::Bytes) -> core::result::Result<Self, crate::SyntaxError> {
        let mut cursor = Cursor::new(text);
        let set = sequence_set(&mut cursor).and_then(|set| cursor.end().map(|()| set));
        set.map_err(|fault| fault.of(text))
    }

    /// `$`: what the last SEARCH with SAVE found (RFC 5182). It has no numbers of its own.
    #[must_use]
    pub fn saved() -> Self {
        Self(Vec::new())
    }

    /// Whether it is `$`.
    #[must_use]
    pub fn is_saved(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is one number, or `*`.
    #[must_use]
    pub fn is_single(&self) -> bool {
        matches!(self.0.as_slice(), [(first, last)] if first == last)
    }

    /// One number.
    #[must_use]
    pub fn single(number: NonZeroU32) -> Self {
        Self([(Some(number), Some(number))].into())
    }

    /// All there are: `1:*`.
    #[must_use]
    pub fn all() -> Self {
        Self::from_first(NonZeroU32::MIN)
    }

    /// From that number on: `n:*`, which has the last one even where that is before n.
    #[must_use]
    pub fn from_first(number: NonZeroU32) -> Self {
        Self([(Some(number), None)].into())
    }

    /// The numbers in the ranges; `None` when there are none. Zero is no number and is left out.
    #[must_use]
    pub fn of_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> Option<Self> {
        let ends = |(low, high): (u32, u32)| {
            let (low, high) = (NonZeroU32::new(low.max(1))?, NonZeroU32::new(high)?);
            Some((Some(low), Some(high)))
        };
        let ranges: Vec<_> = ranges.into_iter().filter_map(ends).collect();
        (!ranges.is_empty()).then_some(Self(ranges))
    }

    /// The numbers, which ascend, in as few ranges as they fit into; `None` when there are none.
    ///
    /// ```
    /// use hikyaku_imap_proto::SequenceSet;
    /// let set = SequenceSet::of_numbers([1, 2, 3, 7]).unwrap();
    /// assert_eq!(Some(set), SequenceSet::parse(&"1:3,7".into()).ok());
    /// ```
    #[must_use]
    pub fn of_numbers(numbers: impl IntoIterator<Item = u32>) -> Option<Self> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for number in numbers {
            match ranges.last_mut() {
                Some((_, high)) if *high != 0 && high.checked_add(1) == Some(number) => {
                    *high = number;
                }
                _ => ranges.push((number, number)),
            }
        }
        Self::of_ranges(ranges)
    }

    /// The ranges, low end first, in the order sent, with `*` as `largest`. They may overlap.
    pub fn ranges(&self, largest: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.0.iter().map(move |&(a, b)| {
            let number = |end: Option<NonZeroU32>| end.map_or(largest, NonZeroU32::get);
            (number(a).min(number(b)), number(a).max(number(b)))
        })
    }

    /// Appends the set.
    pub fn encode(&self, output: &mut Output) {
        let end = |end: Option<NonZeroU32>, output: &mut Output| match end {
            Some(number) => output.write_number(u64::from(number.get())),
            None => output.write(b"*"),
        };
        if self.is_saved() {
            return output.write(b"$");
        }
        for (index, &(a, b)) in self.0.iter().enumerate() {
            if index > 0 {
                output.write(b",");
            }
            end(a, output);
            if a != b {
                output.write(b":");
                end(b, output);
            }
        }
    }
}

/// `uid-set`: ranges, each with its low end first, in the order sent.
pub(crate) fn ranges(cursor: &mut Cursor<'_>) -> Result<Vec<(u32, u32)>> {
    let mut ranges = Vec::new();
    loop {
        let first = cursor.take(nz_number)?;
        let last = if cursor.eat(b':') {
            cursor.take(nz_number)?
        } else {
            first
        };
        ranges.push((first.min(last), first.max(last)));
        if !cursor.eat(b',') {
            return Ok(ranges);
        }
    }
}

/// Appends ascending ranges as `1:3,5`; for UIDs in response codes.
pub(crate) fn write_ranges(ranges: &[(u32, u32)], output: &mut Output) {
    for (index, &(low, high)) in ranges.iter().enumerate() {
        if index > 0 {
            output.write(b",");
        }
        output.write_number(u64::from(low));
        if high > low {
            output.write(b":");
            output.write_number(u64::from(high));
        }
    }
}

/// A set of numbers of its own: not `$`.
pub(crate) fn own_set(cursor: &mut Cursor<'_>) -> Result<SequenceSet> {
    match cursor.peek() {
        Some(b'$') => cursor.fail("numbers"),
        _ => sequence_set(cursor),
    }
}

pub(crate) fn sequence_set(cursor: &mut Cursor<'_>) -> Result<SequenceSet> {
    if cursor.eat(b'$') {
        return Ok(SequenceSet::saved());
    }
    let mut ranges = Vec::new();
    loop {
        let first = end(cursor)?;
        let last = if cursor.eat(b':') {
            end(cursor)?
        } else {
            first
        };
        ranges.push((first, last));
        if !cursor.eat(b',') {
            return Ok(SequenceSet(ranges));
        }
    }
}

fn end(cursor: &mut Cursor<'_>) -> Result<Option<NonZeroU32>> {
    if cursor.eat(b'*') {
        return Ok(None);
    }
    cursor.take(nz_number).map(NonZeroU32::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf as _;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(ranges in proptest::collection::vec(any::<(u32, u32)>(), 1..20)) {
            let set = SequenceSet(ranges.into_iter().map(|(a, b)| (NonZeroU32::new(a), NonZeroU32::new(b))).collect());
            let mut output = Output::new();
            set.encode(&mut output);
            prop_assert_eq!(SequenceSet::parse(&output.copy_to_bytes(output.len())), Ok(set));
        }
    }

    #[test]
    fn what_is_no_set() {
        for bad in ["", "0", "01", ",1", "1,", "1:2:3", "4294967296", "1:", "a"] {
            assert!(SequenceSet::parse(&bad.into()).is_err(), "{bad}");
        }
    }
}
