//! How it is read.

use alloc::vec::Vec;

use super::make::{EXPECTED, Maker};
use super::new::{NewFields, NewPart};
use super::nodes::{MESSAGE, MULTIPART, PART};
use super::structure::BodyStructure;
use crate::Leniency;
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::tape::{NIL, Writer};
use crate::plumbing::text::any_string;
use crate::value::envelope::envelope;

/// The value of BODY or BODYSTRUCTURE, at most `nesting` parts within each other.
pub(crate) fn body_structure(cursor: &mut Cursor<'_>, nesting: usize) -> Result<BodyStructure> {
    let mut maker = Maker {
        writer: Writer::new(Some(cursor), EXPECTED),
        envelopes: Vec::new(),
    };
    maker.read(cursor, nesting)?;
    Ok(maker.finish(Some(cursor)))
}

impl Maker {
    fn read(&mut self, cursor: &mut Cursor<'_>, nesting: usize) -> Result<()> {
        let Some(nesting) = nesting.checked_sub(1) else {
            return cursor.fail("less nesting");
        };
        cursor.expect(b'(', "\"(\"")?;
        if cursor.rest().starts_with(b" (") && cursor.lets(Leniency::Blanks) {
            cursor.eat(b' ');
        }
        let partless = has_no_parts(cursor);
        if cursor.peek() != Some(b'(') && !partless {
            return self.read_part(cursor, nesting);
        }
        let at = self.begin(MULTIPART);
        let (counted, mut count) = (self.writer.len(), 0);
        self.writer.push_number(0);
        if partless {
            if cursor.eat_word("NIL") {
                cursor.sp()?;
            }
        } else {
            loop {
                match cursor.peek() {
                    Some(b'(') => {
                        self.read(cursor, nesting)?;
                        count += 1;
                    }
                    Some(b' ')
                        if cursor.rest().starts_with(b" (") && cursor.lets(Leniency::Blanks) =>
                    {
                        cursor.eat(b' ');
                    }
                    _ => break,
                }
            }
            self.writer.set_number(counted, count);
            cursor.sp()?;
        }
        self.text(cursor)?;
        if cursor.eat(b' ') {
            self.parameters(cursor)?;
            self.extensions(cursor, true)?;
        } else {
            self.writer.push_number(0);
            self.fields(&NewFields::default());
        }
        cursor.expect(b')', "\")\"")?;
        self.end(at);
        Ok(())
    }

    /// The next string; NIL is none.
    fn text(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        let span = self.writer.nstring(cursor)?;
        self.writer.push(span);
        Ok(())
    }

    /// A part that is no multipart, behind its parenthesis. Sizes, lines and what is in a message may be
    /// missing, and an encoding NIL: such servers are in the world.
    fn read_part(&mut self, cursor: &mut Cursor<'_>, nesting: usize) -> Result<()> {
        let at = self.begin(PART);
        let start = cursor.clone();
        if cursor.peek() == Some(b' ') && cursor.lets(Leniency::MissingType) {
            self.writer.push(NIL);
        } else {
            self.text(cursor)?;
        }
        if lacks_subtype(cursor) {
            self.writer.push(NIL);
        } else {
            cursor.sp()?;
            self.text(cursor)?;
        }
        cursor.sp()?;
        self.parameters(cursor)?;
        for _ in 0..3 {
            cursor.sp()?;
            self.text(cursor)?;
        }
        cursor.sp()?;
        let octets = match cursor.eat_word("NIL") {
            true => 0,
            false => size(cursor)?,
        };
        self.writer.push_number(octets);
        if cursor.rest().starts_with(b" (") && is_message(start) {
            self.writer.set_number(at, MESSAGE);
            cursor.sp()?;
            let envelope = envelope(cursor)?;
            self.envelope(envelope);
            cursor.sp()?;
            let empty = cursor.eat_prefix("()") || cursor.eat_word("NIL");
            match empty && cursor.lets(Leniency::EmptyMessage) {
                true => self.body(NewPart::default().into()),
                false if empty => return cursor.fail("a body"),
                false => self.read(cursor, nesting)?,
            }
        }
        let mut lines = 0;
        if matches!(cursor.rest(), [b' ', b'0'..=b'9' | b'-', ..]) {
            cursor.sp()?;
            lines = size(cursor)?;
        }
        self.writer.push_number(lines);
        if cursor.eat(b' ') {
            self.text_or_list(cursor)?;
            self.extensions(cursor, false)?;
        } else {
            self.writer.push(NIL);
            self.fields(&NewFields::default());
        }
        cursor.expect(b')', "\")\"")?;
        self.end(at);
        Ok(())
    }

    /// Disposition, language, location, and what a later RFC may add; each may be missing.
    fn extensions(&mut self, cursor: &mut Cursor<'_>, multipart: bool) -> Result<()> {
        if cursor.eat(b' ') {
            self.disposition(cursor, multipart)?;
        } else {
            self.writer.push(NIL);
        }
        let (counted, mut tags) = (self.writer.len(), 0);
        self.writer.push_number(0);
        if cursor.eat(b' ') {
            if cursor.eat(b'(') {
                while !cursor.eat(b')') {
                    if tags > 0 {
                        cursor.sp()?;
                    }
                    self.text(cursor)?;
                    tags += 1;
                }
            } else {
                let span = self.writer.nstring(cursor)?;
                if !span.is_nil() {
                    self.writer.push(span);
                    tags = 1;
                }
            }
        }
        self.writer.set_number(counted, tags);
        if cursor.eat(b' ') {
            self.text_or_list(cursor)?;
        } else {
            self.writer.push(NIL);
        }
        while cursor.eat(b' ') {
            cursor.value()?;
        }
        Ok(())
    }

    fn disposition(&mut self, cursor: &mut Cursor<'_>, multipart: bool) -> Result<()> {
        if cursor.eat_word("NIL") {
            self.writer.push(NIL);
            return Ok(());
        }
        if cursor.peek() != Some(b'(') {
            if multipart && cursor.lets(Leniency::MultipartDescription) {
                cursor.value()?;
                self.writer.push(NIL);
                return Ok(());
            }
            if !multipart && cursor.lets(Leniency::DispositionWithoutList) {
                self.text(cursor)?;
                self.writer.push_number(0);
                return Ok(());
            }
        }
        cursor.expect(b'(', "\"(\"")?;
        let kind = self.writer.nstring(cursor)?;
        if kind.is_nil() {
            if !cursor.lets(Leniency::NilDisposition) {
                return cursor.fail("a disposition");
            }
            self.writer.push(NIL);
            cursor.sp()?;
            cursor.value()?;
            return cursor.expect(b')', "\")\"");
        }
        self.writer.push(kind);
        cursor.sp()?;
        self.parameters(cursor)?;
        cursor.expect(b')', "\")\"")
    }

    /// The next string or NIL; a list in its place is NIL.
    fn text_or_list(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        if cursor.peek() == Some(b'(') && cursor.lets(Leniency::ListForText) {
            cursor.value()?;
            self.writer.push(NIL);
            return Ok(());
        }
        self.text(cursor)
    }

    /// A value may be NIL: Mail.ru's server says so.
    fn parameters(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        let (counted, mut texts) = (self.writer.len(), 0);
        self.writer.push_number(0);
        if cursor.eat_word("NIL") {
            return Ok(());
        }
        cursor.expect(b'(', "\"(\"")?;
        while !cursor.eat(b')') {
            if texts > 0 {
                cursor.sp()?;
            }
            self.text(cursor)?;
            cursor.sp()?;
            self.text(cursor)?;
            texts += 2;
        }
        self.writer.set_number(counted, texts);
        Ok(())
    }
}

/// Whether a multipart follows the parenthesis that has lost its parts: NIL or nothing stands for them.
fn has_no_parts(cursor: &Cursor<'_>) -> bool {
    if !cursor.lets(Leniency::MultipartWithoutParts) {
        return false;
    }
    let mut ahead = cursor.clone();
    if ahead.peek() == Some(b'N') && ahead.eat_word("NIL") {
        // A part that knows nothing of itself begins so, too, and goes on with NIL.
        let subtype = ahead.sp().and_then(|()| ahead.take(any_string));
        return subtype.is_ok_and(|subtype| is_one_of(&MULTIPARTS, &subtype));
    }
    if !matches!(ahead.peek(), Some(b'"' | b'{')) {
        return false;
    }
    // Most parts have a subtype, and are not looked at any further.
    let Ok(name) = ahead.take(any_string) else {
        return false;
    };
    lacks_string(&ahead) && !is_one_of(&KINDS, &name)
}

/// Whether what follows the first word is no string, as a subtype is.
fn lacks_string(cursor: &Cursor<'_>) -> bool {
    let rest = cursor.rest();
    rest.starts_with(b")") || rest.starts_with(b" (") || rest.starts_with(b" NIL")
}

/// Top-level types that have no parts; `multipart` is none of them by itself.
const KINDS: [&[u8]; 9] = [
    b"text",
    b"image",
    b"audio",
    b"video",
    b"application",
    b"message",
    b"font",
    b"model",
    b"multipart",
];

/// Subtypes of multipart.
const MULTIPARTS: [&[u8]; 9] = [
    b"mixed",
    b"alternative",
    b"related",
    b"digest",
    b"report",
    b"signed",
    b"encrypted",
    b"parallel",
    b"form-data",
];

fn is_one_of(names: &[&[u8]], name: &[u8]) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Behind the type of a part: whether its other fields follow at once, of which the fifth are the octets.
fn lacks_subtype(cursor: &Cursor<'_>) -> bool {
    if !lacks_string(cursor) || !cursor.lets(Leniency::MissingSubtype) {
        return false;
    }
    let mut ahead = cursor.clone();
    for _ in 0..4 {
        if !ahead.eat(b' ') || ahead.value().is_err() {
            return false;
        }
    }
    matches!(ahead.rest(), [b' ', b'0'..=b'9', ..])
}

/// Whether the part that begins there is a message.
fn is_message(mut cursor: Cursor<'_>) -> bool {
    let kind = cursor.take(any_string);
    kind.is_ok_and(|kind| kind.eq_ignore_ascii_case(b"message"))
}

/// Octets or lines.
fn size(cursor: &mut Cursor<'_>) -> Result<u64> {
    if cursor.peek() == Some(b'-') && cursor.lets(Leniency::NegativeNumber) {
        cursor.eat(b'-');
        cursor.number64()?;
        return Ok(0);
    }
    cursor.number64()
}
