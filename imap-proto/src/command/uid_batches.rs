//! UIDBATCHES: ranges of UIDs with so many messages each (RFC 10022).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::{nz_number, write_string};

/// The UIDBATCHES command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct UidBatches {
    /// Messages in each.
    pub size: u32,
    /// Which batches, the newest being 1; all, when it does not say.
    pub batches: Option<(u32, u32)>,
}

/// The batches, the newest first: of each the highest UID and the lowest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Batches {
    /// The command it answers.
    pub tag: Bytes,
    /// As they were sent.
    pub ranges: Vec<(u32, u32)>,
}

impl UidBatches {
    /// Appends what follows `UIDBATCHES `.
    pub(crate) fn encode(self, output: &mut Output) {
        output.write_number(u64::from(self.size));
        if let Some((first, last)) = self.batches {
            output.write(b" ");
            output.write_number(u64::from(first));
            output.write(b":");
            output.write_number(u64::from(last));
        }
    }
}

impl Batches {
    /// Appends what follows `* UIDBATCHES`.
    pub(crate) fn encode(&self, output: &mut Output) {
        output.write(b" (TAG ");
        write_string(&self.tag, output);
        output.write(b")");
        for (index, &(first, last)) in self.ranges.iter().enumerate() {
            output.write(if index > 0 { b"," } else { b" " });
            output.write_number(u64::from(first));
            output.write(b":");
            output.write_number(u64::from(last));
        }
    }
}

/// Behind `UIDBATCHES `.
pub(crate) fn uid_batches(cursor: &mut Cursor<'_>) -> Result<UidBatches> {
    let size = cursor.take(nz_number)?;
    let mut batches = None;
    if cursor.eat(b' ') {
        batches = Some(range(cursor)?);
    }
    Ok(UidBatches { size, batches })
}

fn range(cursor: &mut Cursor<'_>) -> Result<(u32, u32)> {
    let first = cursor.take(nz_number)?;
    cursor.expect(b':', "\":\"")?;
    Ok((first, cursor.take(nz_number)?))
}

/// Behind `* UIDBATCHES`.
pub(crate) fn batches(cursor: &mut Cursor<'_>) -> Result<Batches> {
    let mut batches = Batches::default();
    if cursor.eat_prefix(" (TAG ") {
        batches.tag = cursor.any_string()?;
        cursor.expect(b')', "\")\"")?;
    }
    if cursor.eat(b' ') && !cursor.is_at_end() {
        loop {
            let first = cursor.take(nz_number)?;
            let last = match cursor.eat(b':') {
                true => cursor.take(nz_number)?,
                false => first,
            };
            batches.ranges.push((first, last));
            if !cursor.eat(b',') {
                break;
            }
        }
    }
    Ok(batches)
}
