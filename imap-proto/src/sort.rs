//! SORT (RFC 5256; DISPLAYFROM and DISPLAYTO RFC 5957).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::SearchKey;
use crate::cursor::{Cursor, Result};
use crate::search::keys;
use crate::text::{write_astring, write_list};

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

impl Sort {
    /// Appends what follows `SORT `.
    pub(crate) fn encode(&self, output: &mut Output) {
        write_list(&self.criteria, output, |(criterion, reverse), output| {
            output.write(if *reverse { b"REVERSE " } else { b"" });
            output.write(criterion.name().as_bytes());
        });
        output.write(b" ");
        write_astring(&self.charset, output);
        output.write(b" ");
        self.key.encode(output);
    }
}

impl SortCriterion {
    const ALL: [Self; 9] = [
        Self::Arrival,
        Self::Cc,
        Self::Date,
        Self::From,
        Self::Size,
        Self::Subject,
        Self::To,
        Self::DisplayFrom,
        Self::DisplayTo,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Arrival => "ARRIVAL",
            Self::Cc => "CC",
            Self::Date => "DATE",
            Self::From => "FROM",
            Self::Size => "SIZE",
            Self::Subject => "SUBJECT",
            Self::To => "TO",
            Self::DisplayFrom => "DISPLAYFROM",
            Self::DisplayTo => "DISPLAYTO",
        }
    }
}

/// Behind `SORT `.
pub(crate) fn sort(cursor: &mut Cursor<'_>, nesting: usize) -> Result<Sort> {
    let criteria = cursor.list(false, |cursor| {
        let reverse = cursor.eat_prefix("REVERSE ");
        for criterion in SortCriterion::ALL {
            if cursor.eat_word(criterion.name()) {
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
