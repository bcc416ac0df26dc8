//! Some of a result, by position (RFC 9394, RFC 5267 §4.4).

use hikyaku_wire::Output;

use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::nz_number;

/// Positions from one to another, both in it, in any order; counted from the last when `from_last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct PartialRange {
    /// One end; the first position is 1.
    pub first: u32,
    /// The other end.
    pub last: u32,
    /// `-1` is the last one.
    pub from_last: bool,
}

impl PartialRange {
    /// What of so many things it means, as indices from 0; `None` when none of them.
    ///
    /// ```
    /// use hikyaku_imap_proto::PartialRange;
    /// let range = PartialRange { first: 1, last: 30, from_last: true };
    /// assert_eq!(range.of(100), Some(70..100));
    /// assert_eq!(PartialRange { from_last: false, ..range }.of(10), Some(0..10));
    /// ```
    #[must_use]
    pub fn of(&self, count: usize) -> Option<core::ops::Range<usize>> {
        let end = |end: u32| usize::try_from(end).unwrap_or(usize::MAX);
        let low = end(self.first.min(self.last)).checked_sub(1)?;
        let high = end(self.first.max(self.last)).min(count);
        if low >= high {
            return None;
        }
        Some(match self.from_last {
            true => count - high..count - low,
            false => low..high,
        })
    }

    pub(crate) fn encode(&self, output: &mut Output) {
        let minus: &[u8] = if self.from_last { b"-" } else { b"" };
        output.write(minus);
        output.write_number(u64::from(self.first));
        output.write(b":");
        output.write(minus);
        output.write_number(u64::from(self.last));
    }
}

pub(crate) fn partial_range(cursor: &mut Cursor<'_>) -> Result<PartialRange> {
    let from_last = cursor.eat(b'-');
    let first = cursor.take(nz_number)?;
    cursor.expect(b':', "\":\"")?;
    if from_last {
        cursor.expect(b'-', "\"-\"")?;
    }
    let last = cursor.take(nz_number)?;
    Ok(PartialRange {
        first,
        last,
        from_last,
    })
}
