//! SORT (RFC 5256; DISPLAYFROM and DISPLAYTO RFC 5957).

use alloc::vec::Vec;
use bytes::Bytes;

use crate::SearchKey;
use crate::cursor::{Cursor, Result};
use crate::search::keys;

/// The SORT command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// What to sort by, each with whether it is reversed.
    pub criteria: Vec<(SortCriterion, bool)>,
    /// Of the strings.
    pub charset: Bytes,
    /// What to look for.
    pub key: SearchKey,
}

/// What to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are the RFCs'")]
pub enum SortCriterion {
    Arrival,
    Cc,
    Date,
    From,
    Size,
    Subject,
    To,
    DisplayFrom,
    DisplayTo,
}

/// Behind `SORT `.
pub(crate) fn sort(cursor: &mut Cursor<'_>, nesting: usize) -> Result<Sort> {
    use SortCriterion as C;
    let criteria = cursor.list(false, |cursor| {
        let reverse = cursor.eat_prefix("REVERSE ");
        for (name, criterion) in [
            ("ARRIVAL", C::Arrival),
            ("CC", C::Cc),
            ("DATE", C::Date),
            ("FROM", C::From),
            ("SIZE", C::Size),
            ("SUBJECT", C::Subject),
            ("TO", C::To),
            ("DISPLAYFROM", C::DisplayFrom),
            ("DISPLAYTO", C::DisplayTo),
        ] {
            if cursor.eat_word(name) {
                return Ok((criterion, reverse));
            }
        }
        cursor.fail("a sort criterion")
    })?;
    cursor.sp()?;
    let charset = cursor.astring()?;
    cursor.sp()?;
    let key = keys(cursor, nesting)?;
    Ok(Sort {
        criteria,
        charset,
        key,
    })
}
