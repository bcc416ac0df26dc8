//! The result of a SEARCH, in both forms.

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::{nz_number, write_list, write_string};
use crate::value::mailbox::mailbox;
use crate::value::partial::partial_range;
use crate::value::sequence_set::{ranges, write_ranges};
use crate::{MailboxName, Numbers, PartialRange};

/// The result of a SEARCH with RETURN.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct ESearch {
    /// The command it answers.
    pub tag: Bytes,
    /// What the numbers are.
    pub numbers: Numbers,
    /// MIN
    pub min: Option<u32>,
    /// MAX
    pub max: Option<u32>,
    /// ALL, as ascending ranges.
    pub all: Vec<(u32, u32)>,
    /// COUNT
    pub count: Option<u32>,
    /// MODSEQ
    pub modseq: Option<u64>,
    /// MAILBOX and UIDVALIDITY: which mailbox it is of, when several are searched (RFC 7377).
    pub mailbox: Option<(MailboxName, u32)>,
    /// PARTIAL: which positions were asked for, and what is there, in order (RFC 9394).
    pub partial: Option<(PartialRange, Vec<(u32, u32)>)>,
    /// ADDTO: what is new at which positions; position 0 says nothing (RFC 5267 §4.3.3).
    pub add_to: Vec<(u32, Vec<(u32, u32)>)>,
    /// REMOVEFROM: what is gone from which positions.
    pub remove_from: Vec<(u32, Vec<(u32, u32)>)>,
    /// RELEVANCY: how well each fits, from 1 to 100 (RFC 6203).
    pub relevancy: Vec<u32>,
}

impl ESearch {
    /// Appends what follows `* ESEARCH`.
    pub(crate) fn encode(&self, output: &mut Output) {
        if !self.tag.is_empty() || self.mailbox.is_some() {
            output.write(b" (TAG ");
            write_string(&self.tag, output);
            if let Some((mailbox, validity)) = &self.mailbox {
                output.write(b" MAILBOX ");
                mailbox.encode(output);
                output.write(b" UIDVALIDITY ");
                output.write_number(u64::from(*validity));
            }
            output.write(b")");
        }
        output.write(if self.numbers.is_uid() { b" UID" } else { b"" });
        let number = |name: &[u8], value: Option<u64>, output: &mut Output| {
            if let Some(value) = value {
                output.write(name);
                output.write_number(value);
            }
        };
        number(b" MIN ", self.min.map(u64::from), output);
        number(b" MAX ", self.max.map(u64::from), output);
        number(b" COUNT ", self.count.map(u64::from), output);
        if !self.all.is_empty() {
            output.write(b" ALL ");
            write_ranges(&self.all, output);
        }
        number(b" MODSEQ ", self.modseq, output);
        if let Some((range, found)) = &self.partial {
            output.write(b" PARTIAL (");
            range.encode(output);
            output.write(b" ");
            match found.is_empty() {
                true => output.write(b"NIL"),
                false => write_ranges(found, output),
            }
            output.write(b")");
        }
        write_positions(b" ADDTO ", &self.add_to, output);
        write_positions(b" REMOVEFROM ", &self.remove_from, output);
        if !self.relevancy.is_empty() {
            output.write(b" RELEVANCY ");
            write_list(&self.relevancy, output, |score, output| {
                output.write_number(u64::from(*score));
            });
        }
    }
}

fn write_positions(name: &[u8], all: &[(u32, Vec<(u32, u32)>)], output: &mut Output) {
    if all.is_empty() {
        return;
    }
    output.write(name);
    write_list(all, output, |(position, found), output| {
        output.write_number(u64::from(*position));
        output.write(b" ");
        write_ranges(found, output);
    });
}

/// Where, and what.
type Positions = Vec<(u32, Vec<(u32, u32)>)>;

fn positions(cursor: &mut Cursor<'_>) -> Result<Positions> {
    cursor.list(false, |cursor| {
        let position = cursor.number()?;
        cursor.sp()?;
        Ok((position, ranges(cursor)?))
    })
}

/// `(TAG "a" MAILBOX x UIDVALIDITY 1)`, in any order.
fn correlators(cursor: &mut Cursor<'_>, result: &mut ESearch) -> Result<()> {
    let (mut name, mut validity) = (None, None);
    cursor.list(false, |cursor| {
        if cursor.eat_word("TAG") {
            cursor.sp()?;
            result.tag = cursor.any_string().or_else(|_| cursor.atom())?;
        } else if cursor.eat_word("MAILBOX") {
            cursor.sp()?;
            name = Some(mailbox(cursor)?);
        } else if cursor.eat_word("UIDVALIDITY") {
            cursor.sp()?;
            validity = Some(cursor.take(nz_number)?);
        } else {
            return cursor.fail("TAG, MAILBOX or UIDVALIDITY");
        }
        Ok(())
    })?;
    result.mailbox = name.zip(validity);
    Ok(())
}

/// Behind `* ESEARCH`. What an extension adds is passed over.
pub(crate) fn esearch(cursor: &mut Cursor<'_>) -> Result<ESearch> {
    let mut result = ESearch::default();
    if cursor.rest().starts_with(b" (") {
        cursor.sp()?;
        correlators(cursor, &mut result)?;
    }
    result.numbers = Numbers::uids(cursor.eat_prefix(" UID"));
    while cursor.eat(b' ') && !cursor.is_at_end() {
        let name = cursor.atom()?;
        cursor.sp()?;
        match &*name.to_ascii_uppercase() {
            b"MIN" => result.min = Some(cursor.number()?),
            b"MAX" => result.max = Some(cursor.number()?),
            b"COUNT" => result.count = Some(cursor.number()?),
            b"ALL" => result.all = ranges(cursor)?,
            b"MODSEQ" => result.modseq = Some(cursor.number64()?),
            b"PARTIAL" => {
                cursor.expect(b'(', "\"(\"")?;
                let range = partial_range(cursor)?;
                cursor.sp()?;
                let found = match cursor.eat_word("NIL") {
                    true => Vec::new(),
                    false => ranges(cursor)?,
                };
                cursor.expect(b')', "\")\"")?;
                result.partial = Some((range, found));
            }
            b"ADDTO" => result.add_to.extend(positions(cursor)?),
            b"REMOVEFROM" => result.remove_from.extend(positions(cursor)?),
            b"RELEVANCY" => result.relevancy = cursor.list(true, Cursor::number)?,
            _ => drop(cursor.value()?),
        }
    }
    Ok(result)
}

/// Behind `* SEARCH` or `* SORT`: numbers, and the highest mod-sequence among them.
pub(crate) fn numbers(cursor: &mut Cursor<'_>) -> Result<(Vec<u32>, Option<u64>)> {
    let (mut numbers, mut modseq) = (Vec::new(), None);
    while cursor.eat(b' ') && !cursor.is_at_end() {
        if cursor.eat_prefix("(MODSEQ ") {
            modseq = Some(cursor.number64()?);
            cursor.expect(b')', "\")\"")?;
        } else {
            numbers.push(cursor.number()?);
        }
    }
    Ok((numbers, modseq))
}
