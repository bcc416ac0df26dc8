//! Sections: which part of a message BODY[..] means (RFC 9051 §6.4.5).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::{nz_number, write_astring, write_list};

/// `[part.text]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Section {
    /// Part numbers; none for the message itself.
    pub part: Vec<u32>,
    /// What of it.
    pub text: SectionText,
}

/// What of a part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SectionText {
    /// All of the message, or the body of the part.
    #[default]
    Whole,
    /// `HEADER`: of the message, or of the one in a message/rfc822 part.
    Header,
    /// `HEADER.FIELDS` or `HEADER.FIELDS.NOT`
    HeaderFields {
        /// The other ones.
        not: bool,
        /// At least one.
        names: Vec<Bytes>,
    },
    /// `TEXT`: what follows the header section.
    Text,
    /// `MIME`: the header section of the part.
    Mime,
}

impl Section {
    /// Appends it with its brackets, as it was sent.
    pub fn encode(&self, output: &mut Output) {
        output.write(b"[");
        write_numbers(&self.part, output);
        if !self.part.is_empty() && self.text != SectionText::Whole {
            output.write(b".");
        }
        match &self.text {
            SectionText::Whole => {}
            SectionText::Header => output.write(b"HEADER"),
            SectionText::HeaderFields { not, names } => {
                output.write(if *not {
                    b"HEADER.FIELDS.NOT "
                } else {
                    b"HEADER.FIELDS "
                });
                write_list(names, output, |name, output| write_astring(name, output));
            }
            SectionText::Text => output.write(b"TEXT"),
            SectionText::Mime => output.write(b"MIME"),
        }
        output.write(b"]");
    }
}

fn write_numbers(part: &[u32], output: &mut Output) {
    for (index, &number) in part.iter().enumerate() {
        output.write(if index > 0 { b"." } else { b"" });
        output.write_number(u64::from(number));
    }
}

/// `[1.2]`: a section of BINARY (RFC 3516 §4.2).
pub(crate) fn write_part(part: &[u32], output: &mut Output) {
    output.write(b"[");
    write_numbers(part, output);
    output.write(b"]");
}

/// Behind `BINARY[`: part numbers, or none.
pub(crate) fn binary_section(cursor: &mut Cursor<'_>) -> Result<Vec<u32>> {
    let mut part = Vec::new();
    if cursor.eat(b']') {
        return Ok(part);
    }
    loop {
        part.push(cursor.take(nz_number)?);
        if cursor.eat(b']') {
            return Ok(part);
        }
        cursor.expect(b'.', "\".\" or \"]\"")?;
    }
}

/// Behind `BODY[`.
pub(crate) fn section(cursor: &mut Cursor<'_>) -> Result<Section> {
    let mut section = Section::default();
    if cursor.eat(b']') {
        return Ok(section);
    }
    loop {
        if cursor.peek().is_some_and(|o| o.is_ascii_digit()) {
            section.part.push(cursor.take(nz_number)?);
            if cursor.eat(b']') {
                return Ok(section);
            }
            cursor.expect(b'.', "\".\" or \"]\"")?;
            continue;
        }
        section.text = if cursor.eat_prefix("HEADER.FIELDS") {
            let not = cursor.eat_prefix(".NOT");
            cursor.sp()?;
            let names = cursor.list(false, Cursor::astring)?;
            SectionText::HeaderFields { not, names }
        } else if cursor.eat_prefix("HEADER") {
            SectionText::Header
        } else if cursor.eat_prefix("TEXT") {
            SectionText::Text
        } else if !section.part.is_empty() && cursor.eat_prefix("MIME") {
            SectionText::Mime
        } else {
            return cursor.fail("a section");
        };
        cursor.expect(b']', "\"]\"")?;
        return Ok(section);
    }
}
