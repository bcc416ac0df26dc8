//! Which language texts are in, and how strings compare (RFC 5255).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::{write_astring, write_list};

/// `* COMPARATOR`: the comparator in use, and those that the client's ranges match.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Comparator {
    /// In use.
    pub active: Bytes,
    /// What matches what was asked for.
    pub matching: Vec<Bytes>,
}

impl Comparator {
    /// Appends what follows `* COMPARATOR `.
    pub(crate) fn encode(&self, output: &mut Output) {
        write_astring(&self.active, output);
        if !self.matching.is_empty() {
            output.write(b" ");
            write_list(&self.matching, output, |name, output| {
                write_astring(name, output);
            });
        }
    }
}

/// Behind `* COMPARATOR `.
pub(crate) fn comparator(cursor: &mut Cursor<'_>) -> Result<Comparator> {
    let active = cursor.astring()?;
    let mut matching = Vec::new();
    if cursor.eat(b' ') {
        matching = cursor.list(false, Cursor::astring)?;
    }
    Ok(Comparator { active, matching })
}

/// ` word` of each: the ranges of LANGUAGE and COMPARATOR.
pub(crate) fn write_ranges(ranges: &[Bytes], output: &mut Output) {
    for range in ranges {
        output.write(b" ");
        write_astring(range, output);
    }
}

/// Behind LANGUAGE or COMPARATOR: any number of astrings, each behind a blank.
pub(crate) fn ranges(cursor: &mut Cursor<'_>) -> Result<Vec<Bytes>> {
    let mut ranges = Vec::new();
    while cursor.eat(b' ') {
        ranges.push(cursor.astring()?);
    }
    Ok(ranges)
}

/// `("en" "ja")`: the languages that there are, or the one that is used from now on.
pub(crate) fn write_languages(languages: &[Bytes], output: &mut Output) {
    write_list(languages, output, |tag, output| write_astring(tag, output));
}
