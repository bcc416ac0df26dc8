//! SORT (RFC 5256; DISPLAYFROM and DISPLAYTO RFC 5957, RETURN RFC 5267, RELEVANCY RFC 6203).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::command::search::{keys, returns, write_returns};
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::{write_astring, write_list};
use crate::{Return, SearchKey};

/// The SORT command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Sort {
    /// RETURN (..): send the result as ESEARCH.
    pub returns: Option<Vec<Return>>,
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
    Relevancy,
}

impl Sort {
    /// Appends what follows `SORT `.
    pub(crate) fn encode(&self, output: &mut Output) {
        if let Some(returns) = &self.returns {
            write_returns(returns, output);
        }
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
    const ALL: [Self; 10] = [
        Self::Arrival,
        Self::Cc,
        Self::Date,
        Self::From,
        Self::Size,
        Self::Subject,
        Self::To,
        Self::DisplayFrom,
        Self::DisplayTo,
        Self::Relevancy,
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
            Self::Relevancy => "RELEVANCY",
        }
    }
}

/// Behind `SORT `.
pub(crate) fn sort(cursor: &mut Cursor<'_>, nesting: usize) -> Result<Sort> {
    let returns = returns(cursor)?;
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
        returns,
        criteria,
        charset,
        key,
    })
}
