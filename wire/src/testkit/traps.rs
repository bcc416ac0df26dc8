//! Tables of inputs that mail software gets wrong, one a line, tab-separated: id, side, expected
//! outcome, RFC section, the octets escaped, a note.

use alloc::string::String;
use alloc::vec::Vec;
use std::path::Path;

use super::unescape;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trap {
    /// What it is called.
    pub id: String,
    /// `ok`, `bad`, `either`, ..
    pub expect: String,
    /// As they stand in the table, escaped.
    pub escaped: String,
    /// What is on the wire.
    pub octets: Vec<u8>,
    /// Why, or what is read.
    pub note: String,
}

/// Returns the rows of one side of a table in the folder that `HIKYAKU_TRAPS` names; none without it.
///
/// # Panics
/// When the folder is named and the table is not there, or has no such row.
#[must_use]
pub fn traps(table: &str, side: &str) -> Vec<Trap> {
    let Ok(folder) = std::env::var("HIKYAKU_TRAPS") else {
        return Vec::new();
    };
    traps_of(&Path::new(&folder).join(table), side)
}

/// Returns the rows of one side of the table at that path.
///
/// # Panics
/// When the table is not there, or has no such row.
#[must_use]
pub fn traps_of(table: &Path, side: &str) -> Vec<Trap> {
    let text = std::fs::read_to_string(table).expect("the table of traps");
    let rows = text.lines().filter(|row| !row.starts_with('#'));
    let traps: Vec<Trap> = rows
        .filter_map(|row| {
            let columns: Vec<&str> = row.split('\t').collect();
            let &[id, row_side, expect, _, octets, ..] = columns.as_slice() else {
                return None;
            };
            (row_side == side).then(|| Trap {
                id: id.into(),
                expect: expect.into(),
                escaped: octets.into(),
                octets: unescape(octets),
                note: columns.get(5).copied().unwrap_or("").into(),
            })
        })
        .collect();
    assert!(
        !traps.is_empty(),
        "{} has no row of side {side}",
        table.display()
    );
    traps
}
