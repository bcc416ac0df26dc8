//! CONVERT: parts as another media type (RFC 5259): the codec alone.

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::{nz_number, write_astring, write_list, write_nstring8, write_string};
use crate::plumbing::word::write_values;
use crate::value::body_structure::body_structure;
use crate::value::section::{binary_section, section, write_part};
use crate::value::sequence_set::sequence_set;
use crate::{BodyStructure, Section, SectionText, SequenceSet};

/// The CONVERT command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Convert {
    /// The messages.
    pub set: SequenceSet,
    /// The media type; the server's choice without one.
    pub to: Option<Bytes>,
    /// How: names and values.
    pub parameters: Vec<(Bytes, Bytes)>,
    /// What of them.
    pub attributes: Vec<ConvertAttribute>,
}

/// What CONVERT asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConvertAttribute {
    /// `UID`
    Uid,
    /// `BODYPARTSTRUCTURE[part]`: the structure of what comes out.
    BodyPartStructure(Vec<u32>),
    /// `BINARY[part]<origin.octets>`
    Binary(Vec<u32>, Option<(u32, u32)>),
    /// `BINARY.SIZE[part]`
    BinarySize(Vec<u32>),
    /// `BODY[part.HEADER]` or `BODY[part.MIME]`
    Body(Section),
    /// `AVAILABLECONVERSIONS[part]`: media types it can become.
    AvailableConversions(Vec<u32>),
}

/// What CONVERTED says: for which attribute (of a partial one the first octet alone), and what.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Converted {
    /// The message's sequence number, or UID where only UIDs are used.
    pub sequence: u32,
    /// The command it answers.
    pub tag: Bytes,
    /// In their order.
    pub items: Vec<(ConvertAttribute, ConvertValue)>,
}

/// A value of CONVERTED.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConvertValue {
    /// A number: a UID or a size.
    Number(u64),
    /// Octets, or none.
    Octets(Option<Bytes>),
    /// A structure.
    Structure(BodyStructure),
    /// Media types.
    Types(Vec<Bytes>),
    /// It could not be done: for people, and what the server says for programs, as it was sent.
    Error(Bytes, Bytes),
}

/// `* CONVERSION`: one that the server can do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Conversion {
    /// From this media type.
    pub from: Bytes,
    /// To this one.
    pub to: Bytes,
    /// Names of parameters that it takes.
    pub parameters: Vec<Bytes>,
}

impl ConvertAttribute {
    fn encode(&self, is_response: bool, output: &mut Output) {
        let part = |name: &[u8], part: &[u32], output: &mut Output| {
            output.write(name);
            write_part(part, output);
        };
        match self {
            Self::Uid => output.write(b"UID"),
            Self::BodyPartStructure(of) => part(b"BODYPARTSTRUCTURE", of, output),
            Self::BinarySize(of) => part(b"BINARY.SIZE", of, output),
            Self::AvailableConversions(of) => part(b"AVAILABLECONVERSIONS", of, output),
            Self::Body(section) => {
                output.write(b"BODY");
                section.encode(output);
            }
            Self::Binary(of, partial) => {
                part(b"BINARY", of, output);
                if let Some((origin, octets)) = partial {
                    output.write(b"<");
                    output.write_number(u64::from(*origin));
                    if !is_response {
                        output.write(b".");
                        output.write_number(u64::from(*octets));
                    }
                    output.write(b">");
                }
            }
        }
    }
}

impl Convert {
    /// Appends what follows `CONVERT `.
    pub(crate) fn encode(&self, output: &mut Output) {
        self.set.encode(output);
        output.write(b" (");
        match &self.to {
            Some(to) => write_string(to, output),
            None => output.write(b"NIL"),
        }
        if !self.parameters.is_empty() {
            output.write(b" ");
            write_list(&self.parameters, output, |(name, value), output| {
                write_astring(name, output);
                output.write(b" ");
                write_astring(value, output);
            });
        }
        output.write(b") ");
        match self.attributes.as_slice() {
            [one] => one.encode(false, output),
            all => write_list(all, output, |attribute, output| {
                attribute.encode(false, output);
            }),
        }
    }
}

impl Converted {
    /// Appends what follows `* `.
    pub(crate) fn encode(&self, output: &mut Output) {
        output.write_number(u64::from(self.sequence));
        output.write(b" CONVERTED (TAG ");
        write_string(&self.tag, output);
        output.write(b") ");
        write_list(&self.items, output, |(attribute, value), output| {
            attribute.encode(true, output);
            output.write(b" ");
            match value {
                ConvertValue::Number(number) => output.write_number(*number),
                ConvertValue::Octets(octets) => write_nstring8(octets.as_deref(), output),
                ConvertValue::Structure(body) => body.encode(true, output),
                ConvertValue::Types(types) => {
                    output.write(b"(");
                    write_list(types, output, |name, output| write_string(name, output));
                    output.write(b")");
                }
                ConvertValue::Error(text, code) => {
                    output.write(b"(ERROR ");
                    write_string(text, output);
                    output.write(b" ");
                    write_values(code, usize::MAX, output);
                    output.write(b")");
                }
            }
        });
    }
}

impl Conversion {
    /// Appends what follows `* CONVERSION `.
    pub(crate) fn encode(&self, output: &mut Output) {
        write_string(&self.from, output);
        output.write(b" ");
        write_string(&self.to, output);
        if !self.parameters.is_empty() {
            output.write(b" ");
            write_list(&self.parameters, output, |name, output| {
                write_astring(name, output);
            });
        }
    }
}

/// Behind `CONVERT `.
pub(crate) fn convert(cursor: &mut Cursor<'_>) -> Result<Convert> {
    let set = sequence_set(cursor)?;
    cursor.sp()?;
    cursor.expect(b'(', "\"(\"")?;
    let to = cursor.nstring()?;
    let mut parameters = Vec::new();
    if cursor.eat(b' ') {
        parameters = cursor.list(false, |cursor| {
            let name = cursor.astring()?;
            cursor.sp()?;
            Ok((name, cursor.astring()?))
        })?;
    }
    cursor.expect(b')', "\")\"")?;
    cursor.sp()?;
    let one = |cursor: &mut Cursor<'_>| attribute(cursor, false);
    let attributes = match cursor.peek() {
        Some(b'(') => cursor.list(false, one)?,
        _ => [one(cursor)?].into(),
    };
    Ok(Convert {
        set,
        to,
        parameters,
        attributes,
    })
}

fn attribute(cursor: &mut Cursor<'_>, is_response: bool) -> Result<ConvertAttribute> {
    use ConvertAttribute as A;
    if cursor.eat_word("UID") {
        return Ok(A::Uid);
    }
    if cursor.eat_prefix("BODYPARTSTRUCTURE[") {
        return binary_section(cursor).map(A::BodyPartStructure);
    }
    if cursor.eat_prefix("AVAILABLECONVERSIONS[") {
        return binary_section(cursor).map(A::AvailableConversions);
    }
    if cursor.eat_prefix("BINARY.SIZE[") {
        return binary_section(cursor).map(A::BinarySize);
    }
    if cursor.eat_prefix("BINARY[") {
        let part = binary_section(cursor)?;
        let mut partial = None;
        if cursor.eat(b'<') {
            let origin = cursor.number()?;
            let mut octets = 0;
            if !is_response {
                cursor.expect(b'.', "\".\"")?;
                octets = cursor.take(nz_number)?;
            }
            cursor.expect(b'>', "\">\"")?;
            partial = Some((origin, octets));
        }
        return Ok(A::Binary(part, partial));
    }
    let start = cursor.clone();
    if cursor.eat_prefix("BODY[") {
        let section = section(cursor)?;
        if matches!(section.text, SectionText::Header | SectionText::Mime) {
            return Ok(A::Body(section));
        }
    }
    start.fail("what CONVERT can return")
}

/// Behind `* n CONVERTED `.
pub(crate) fn converted(
    sequence: u32,
    cursor: &mut Cursor<'_>,
    nesting: usize,
) -> Result<Converted> {
    if !cursor.eat_prefix("(TAG ") {
        return cursor.fail("TAG");
    }
    let tag = cursor.any_string()?;
    cursor.expect(b')', "\")\"")?;
    cursor.sp()?;
    let items = cursor.list(false, |cursor| {
        let attribute = attribute(cursor, true)?;
        cursor.sp()?;
        let value = value(&attribute, cursor, nesting)?;
        Ok((attribute, value))
    })?;
    Ok(Converted {
        sequence,
        tag,
        items,
    })
}

fn value(
    attribute: &ConvertAttribute,
    cursor: &mut Cursor<'_>,
    nesting: usize,
) -> Result<ConvertValue> {
    use ConvertAttribute as A;
    if cursor.eat_prefix("(ERROR ") {
        let text = cursor.any_string()?;
        cursor.sp()?;
        let start = cursor.clone();
        cursor.value()?;
        while cursor.eat(b' ') {
            cursor.value()?;
        }
        let code = cursor.since(&start);
        cursor.expect(b')', "\")\"")?;
        return Ok(ConvertValue::Error(text, code));
    }
    Ok(match attribute {
        A::Uid | A::BinarySize(_) => ConvertValue::Number(cursor.number64()?),
        A::Binary(..) | A::Body(_) => ConvertValue::Octets(cursor.any_nstring()?),
        A::BodyPartStructure(_) => ConvertValue::Structure(body_structure(cursor, nesting)?),
        A::AvailableConversions(_) => {
            cursor.expect(b'(', "\"(\"")?;
            let types = cursor.list(true, Cursor::string)?;
            cursor.expect(b')', "\")\"")?;
            ConvertValue::Types(types)
        }
    })
}

/// Behind `* CONVERSION `.
pub(crate) fn conversion(cursor: &mut Cursor<'_>) -> Result<Conversion> {
    let from = cursor.string()?;
    cursor.sp()?;
    let to = cursor.string()?;
    let mut parameters = Vec::new();
    if cursor.eat(b' ') {
        parameters = cursor.list(false, Cursor::astring)?;
    }
    Ok(Conversion {
        from,
        to,
        parameters,
    })
}
