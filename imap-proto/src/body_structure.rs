//! BODY and BODYSTRUCTURE (RFC 9051 §7.5.2).

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::Envelope;
use crate::cursor::{Cursor, Result};
use crate::envelope::envelope;
use crate::text::{write_list, write_nstring, write_string};

/// What a part is made of. As deep as its maker lets it be: `mailstore` stops at 64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyStructure {
    /// A part with parts in it: at least one.
    Multipart {
        /// Its parts.
        parts: Vec<Self>,
        /// `mixed`
        subtype: Bytes,
        /// What the other MIME fields say; type and sizes are not told.
        fields: Box<BodyFields>,
    },
    /// Any other one.
    Part(Box<BodyPart>),
}

/// A part that is no multipart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BodyPart {
    /// `text`
    pub kind: Bytes,
    /// `plain`
    pub subtype: Bytes,
    /// Content-ID
    pub id: Option<Bytes>,
    /// Content-Description
    pub description: Option<Bytes>,
    /// Content-Transfer-Encoding
    pub encoding: Bytes,
    /// Octets, as they are encoded.
    pub octets: u64,
    /// Lines, for text and message/rfc822.
    pub lines: u64,
    /// Of a message/rfc822: what is in it.
    pub message: Option<(Envelope, BodyStructure)>,
    /// Content-MD5
    pub md5: Option<Bytes>,
    /// What the other MIME fields say.
    pub fields: BodyFields,
}

/// MIME fields that any part may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BodyFields {
    /// Parameters of Content-Type.
    pub parameters: Vec<(Bytes, Bytes)>,
    /// Content-Disposition
    pub disposition: Option<Disposition>,
    /// Content-Language
    pub language: Vec<Bytes>,
    /// Content-Location
    pub location: Option<Bytes>,
}

/// Content-Disposition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disposition {
    /// `attachment`
    pub kind: Bytes,
    /// Its parameters.
    pub parameters: Vec<(Bytes, Bytes)>,
}

impl Default for BodyStructure {
    fn default() -> Self {
        Self::Part(Box::default())
    }
}

impl BodyStructure {
    /// Appends it; `extended` is BODYSTRUCTURE, else BODY.
    pub fn encode(&self, extended: bool, output: &mut Output) {
        output.write(b"(");
        match self {
            Self::Multipart {
                parts,
                subtype,
                fields,
            } => {
                for part in parts {
                    part.encode(extended, output);
                }
                output.write(b" ");
                write_string(subtype, output);
                if extended {
                    output.write(b" ");
                    write_parameters(&fields.parameters, output);
                    fields.encode(output);
                }
            }
            Self::Part(part) => part.encode(extended, output),
        }
        output.write(b")");
    }
}

impl BodyPart {
    fn encode(&self, extended: bool, output: &mut Output) {
        write_string(&self.kind, output);
        output.write(b" ");
        write_string(&self.subtype, output);
        output.write(b" ");
        write_parameters(&self.fields.parameters, output);
        for text in [&self.id, &self.description] {
            output.write(b" ");
            write_nstring(text.as_deref(), output);
        }
        output.write(b" ");
        write_string(&self.encoding, output);
        output.write(b" ");
        output.write_number(self.octets);
        if let Some((envelope, body)) = &self.message {
            output.write(b" ");
            envelope.encode(output);
            output.write(b" ");
            body.encode(extended, output);
        }
        if self.message.is_some() || self.kind.eq_ignore_ascii_case(b"text") {
            output.write(b" ");
            output.write_number(self.lines);
        }
        if extended {
            output.write(b" ");
            write_nstring(self.md5.as_deref(), output);
            self.fields.encode(output);
        }
    }
}

impl BodyFields {
    /// ` disposition language location`
    fn encode(&self, output: &mut Output) {
        match &self.disposition {
            Some(disposition) => {
                output.write(b" (");
                write_string(&disposition.kind, output);
                output.write(b" ");
                write_parameters(&disposition.parameters, output);
                output.write(b")");
            }
            None => output.write(b" NIL"),
        }
        output.write(b" ");
        match &self.language[..] {
            [] => output.write(b"NIL"),
            [one] => write_string(one, output),
            all => write_list(all, output, |tag, output| write_string(tag, output)),
        }
        output.write(b" ");
        write_nstring(self.location.as_deref(), output);
    }
}

fn write_parameters(parameters: &[(Bytes, Bytes)], output: &mut Output) {
    if parameters.is_empty() {
        return output.write(b"NIL");
    }
    write_list(parameters, output, |(name, value), output| {
        write_string(name, output);
        output.write(b" ");
        write_string(value, output);
    });
}

/// The value of BODY or BODYSTRUCTURE, at most `nesting` parts within each other.
pub(crate) fn body_structure(cursor: &mut Cursor<'_>, nesting: usize) -> Result<BodyStructure> {
    let Some(nesting) = nesting.checked_sub(1) else {
        return cursor.fail("less nesting");
    };
    cursor.expect(b'(', "\"(\"")?;
    if cursor.peek() != Some(b'(') {
        return part(cursor, nesting).map(|part| BodyStructure::Part(Box::new(part)));
    }
    let mut parts = Vec::new();
    loop {
        match cursor.peek() {
            Some(b'(') => parts.push(body_structure(cursor, nesting)?),
            Some(b' ') if cursor.rest().starts_with(b" (") => drop(cursor.sp()),
            _ => break,
        }
    }
    cursor.sp()?;
    let subtype = cursor.any_string()?;
    let mut fields = BodyFields::default();
    if cursor.eat(b' ') {
        fields.parameters = parameters(cursor)?;
        extensions(cursor, &mut fields)?;
    }
    cursor.expect(b')', "\")\"")?;
    Ok(BodyStructure::Multipart {
        parts,
        subtype,
        fields: Box::new(fields),
    })
}

/// A part that is no multipart, behind its parenthesis. Sizes, lines and what is in a message may be
/// missing, and an encoding NIL: such servers are in the world.
fn part(cursor: &mut Cursor<'_>, nesting: usize) -> Result<BodyPart> {
    let mut part = BodyPart {
        kind: cursor.any_nstring()?.unwrap_or_default(),
        ..BodyPart::default()
    };
    cursor.sp()?;
    part.subtype = cursor.any_nstring()?.unwrap_or_default();
    cursor.sp()?;
    part.fields.parameters = parameters(cursor)?;
    cursor.sp()?;
    part.id = cursor.any_nstring()?;
    cursor.sp()?;
    part.description = cursor.any_nstring()?;
    cursor.sp()?;
    part.encoding = cursor.any_nstring()?.unwrap_or_default();
    cursor.sp()?;
    part.octets = if cursor.eat_word("NIL") {
        0
    } else {
        cursor.number64()?
    };
    if cursor.rest().starts_with(b" (") {
        cursor.sp()?;
        let envelope = envelope(cursor)?;
        cursor.sp()?;
        part.message = Some((envelope, body_structure(cursor, nesting)?));
    }
    if matches!(cursor.rest(), [b' ', b'0'..=b'9', ..]) {
        cursor.sp()?;
        part.lines = cursor.number64()?;
    }
    if cursor.eat(b' ') {
        part.md5 = cursor.any_nstring()?;
        extensions(cursor, &mut part.fields)?;
    }
    cursor.expect(b')', "\")\"")?;
    Ok(part)
}

/// Disposition, language, location, and what a later RFC may add; each may be missing.
fn extensions(cursor: &mut Cursor<'_>, fields: &mut BodyFields) -> Result<()> {
    if cursor.eat(b' ') {
        fields.disposition = disposition(cursor)?;
    }
    if cursor.eat(b' ') {
        fields.language = match cursor.peek() {
            Some(b'(') => cursor.list(true, Cursor::any_string)?,
            _ => cursor.any_nstring()?.into_iter().collect(),
        };
    }
    if cursor.eat(b' ') {
        fields.location = cursor.any_nstring()?;
    }
    while cursor.eat(b' ') {
        cursor.value()?;
    }
    Ok(())
}

fn disposition(cursor: &mut Cursor<'_>) -> Result<Option<Disposition>> {
    if cursor.eat_word("NIL") {
        return Ok(None);
    }
    cursor.expect(b'(', "\"(\"")?;
    let kind = cursor.any_string()?;
    cursor.sp()?;
    let parameters = parameters(cursor)?;
    cursor.expect(b')', "\")\"")?;
    Ok(Some(Disposition { kind, parameters }))
}

/// A value may be NIL: Mail.ru's server says so.
fn parameters(cursor: &mut Cursor<'_>) -> Result<Vec<(Bytes, Bytes)>> {
    if cursor.eat_word("NIL") {
        return Ok(Vec::new());
    }
    cursor.list(true, |cursor| {
        let name = cursor.any_string()?;
        cursor.sp()?;
        Ok((name, cursor.any_nstring()?.unwrap_or_default()))
    })
}
