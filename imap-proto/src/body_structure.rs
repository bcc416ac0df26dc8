//! BODY and BODYSTRUCTURE (RFC 9051 §7.5.2).

use alloc::boxed::Box;
use alloc::vec::Vec;
use hikyaku_wire::Output;

use crate::cursor::{Cursor, Result};
use crate::envelope::envelope;
use crate::tape::{NIL, Tape, Writer};
use crate::text::{any_string, write_list, write_nstring, write_string};
use crate::{Envelope, Leniency};

/// What a message is made of. Its texts lie where they came in, whatever parts there are: one allocation for
/// all of them, and one for each envelope within.
///
/// ```
/// use hikyaku_imap_proto::{Body, BodyStructure, NewBody, NewPart};
/// let text = NewPart { kind: b"text", subtype: b"plain", lines: 3, ..NewPart::default() };
/// let structure = BodyStructure::from(NewBody::from(text));
/// let Body::Part(part) = structure.root() else { panic!() };
/// assert_eq!((part.kind, part.lines), (&b"text"[..], 3));
/// ```
#[derive(Clone, Default)]
pub struct BodyStructure {
    /// A node is, in this order: what it is; the place behind it; then a multipart's count of parts, its parts, its
    /// subtype and fields; or a part's texts and numbers in the order of the RFC, a message's envelope and node
    /// where they are there.
    tape: Tape,
    envelopes: Vec<Envelope>,
}

/// What a node is.
const PART: u64 = 0;
const MULTIPART: u64 = 1;
const MESSAGE: u64 = 2;

/// A part of a message, or all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    /// A part with parts in it.
    Multipart(Multipart<'a>),
    /// Any other one.
    Part(BodyPart<'a>),
}

/// A part with parts in it: at least one, but of servers that lose them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multipart<'a> {
    /// Its parts.
    pub parts: BodyParts<'a>,
    /// `mixed`
    pub subtype: &'a [u8],
    /// Content-Type's parameters.
    pub parameters: Parameters<'a>,
    /// What the other MIME fields say; type and sizes are not told.
    pub fields: BodyFields<'a>,
}

/// A part that is no multipart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyPart<'a> {
    /// `text`
    pub kind: &'a [u8],
    /// `plain`
    pub subtype: &'a [u8],
    /// Content-Type's parameters.
    pub parameters: Parameters<'a>,
    /// Content-ID
    pub id: Option<&'a [u8]>,
    /// Content-Description
    pub description: Option<&'a [u8]>,
    /// Content-Transfer-Encoding
    pub encoding: &'a [u8],
    /// Octets, as they are encoded.
    pub octets: u64,
    /// Of a message/rfc822: what is in it.
    pub message: Option<Message<'a>>,
    /// Lines, for text and message/rfc822.
    pub lines: u64,
    /// Content-MD5
    pub md5: Option<&'a [u8]>,
    /// What the other MIME fields say.
    pub fields: BodyFields<'a>,
}

/// What is in a message/rfc822.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its envelope.
    pub envelope: &'a Envelope,
    node: Node<'a>,
}

impl<'a> Message<'a> {
    /// Its body.
    #[must_use]
    pub fn body(self) -> Body<'a> {
        self.node.read()
    }
}

/// MIME fields that any part may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyFields<'a> {
    /// Content-Disposition
    pub disposition: Option<Disposition<'a>>,
    /// Content-Language
    pub language: Texts<'a>,
    /// Content-Location
    pub location: Option<&'a [u8]>,
}

/// Content-Disposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disposition<'a> {
    /// `attachment`
    pub kind: &'a [u8],
    /// Its parameters.
    pub parameters: Parameters<'a>,
}

/// Several texts.
#[derive(Clone, Copy)]
pub struct Texts<'a> {
    tape: &'a Tape,
    first: usize,
    count: usize,
}

impl<'a> Texts<'a> {
    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// Each of them, in order.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        (0..self.count).map(move |index| self.tape.get(self.first + index).unwrap_or_default())
    }
}

/// Names and values.
#[derive(Clone, Copy)]
pub struct Parameters<'a>(Texts<'a>);

impl<'a> Parameters<'a> {
    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count / 2
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Each of them, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let Texts { tape, first, count } = self.0;
        let text = move |at: usize| tape.get(at).unwrap_or_default();
        (0..count / 2).map(move |index| {
            let at = first + 2 * index;
            (text(at), text(at + 1))
        })
    }

    /// The value of that name, in any case.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        let mut all = self.iter();
        let found = all.find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| value)
    }
}

/// The parts of a multipart.
#[derive(Clone, Copy)]
pub struct BodyParts<'a> {
    first: Node<'a>,
    count: u64,
}

impl<'a> BodyParts<'a> {
    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        place(self.count)
    }

    /// Whether there are none: see [`Leniency::MultipartWithoutParts`](crate::Leniency).
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// Each of them, in order.
    pub fn iter(self) -> impl Iterator<Item = Body<'a>> {
        self.nodes().map(Node::read)
    }

    fn nodes(self) -> impl Iterator<Item = Node<'a>> {
        let mut node = self.first;
        (0..self.count).map(move |_| {
            let this = node;
            node = this.next();
            this
        })
    }
}

macro_rules! as_lists {
    ($($name:ident),*) => {$(
        impl core::fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_list().entries(self.iter()).finish()
            }
        }

        impl PartialEq for $name<'_> {
            fn eq(&self, other: &Self) -> bool {
                self.len() == other.len() && self.iter().eq(other.iter())
            }
        }

        impl Eq for $name<'_> {}
    )*};
}
as_lists!(Texts, Parameters, BodyParts);

fn place(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Where a node begins.
#[derive(Clone, Copy)]
struct Node<'a> {
    structure: &'a BodyStructure,
    at: usize,
}

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.read() == other.read()
    }
}

impl Eq for Node<'_> {}

impl core::fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Message")
            .field(self.envelope)
            .field(&self.body())
            .finish()
    }
}

impl<'a> Node<'a> {
    fn next(self) -> Self {
        let at = place(self.structure.tape.number(self.at + 1));
        Self { at, ..self }
    }

    fn read(self) -> Body<'a> {
        let mut reader = Reader {
            structure: self.structure,
            at: self.at + 2,
        };
        match self.structure.tape.number(self.at) {
            MULTIPART => {
                let count = reader.number();
                let parts = BodyParts {
                    first: reader.node(),
                    count,
                };
                let behind = parts
                    .nodes()
                    .last()
                    .map_or(reader.at, |last| last.next().at);
                reader.at = behind;
                Body::Multipart(Multipart {
                    parts,
                    subtype: reader.text().unwrap_or_default(),
                    parameters: reader.parameters(),
                    fields: reader.fields(),
                })
            }
            kind => Body::Part(BodyPart {
                kind: reader.text().unwrap_or_default(),
                subtype: reader.text().unwrap_or_default(),
                parameters: reader.parameters(),
                id: reader.text(),
                description: reader.text(),
                encoding: reader.text().unwrap_or_default(),
                octets: reader.number(),
                message: reader.message(kind == MESSAGE),
                lines: reader.number(),
                md5: reader.text(),
                fields: reader.fields(),
            }),
        }
    }
}

/// Reads what a node has, one after the other.
struct Reader<'a> {
    structure: &'a BodyStructure,
    at: usize,
}

impl<'a> Reader<'a> {
    fn node(&self) -> Node<'a> {
        Node {
            structure: self.structure,
            at: self.at,
        }
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        self.at += 1;
        self.structure.tape.get(self.at - 1)
    }

    fn number(&mut self) -> u64 {
        self.at += 1;
        self.structure.tape.number(self.at - 1)
    }

    fn texts(&mut self) -> Texts<'a> {
        let count = place(self.number());
        let first = self.at;
        self.at = first.saturating_add(count);
        let tape = &self.structure.tape;
        Texts { tape, first, count }
    }

    fn parameters(&mut self) -> Parameters<'a> {
        Parameters(self.texts())
    }

    fn message(&mut self, there: bool) -> Option<Message<'a>> {
        if !there {
            return None;
        }
        let index = place(self.number());
        let node = self.node();
        self.at = node.next().at;
        let envelope = self.structure.envelopes.get(index)?;
        Some(Message { envelope, node })
    }

    fn fields(&mut self) -> BodyFields<'a> {
        let kind = self.text();
        let disposition = kind.map(|kind| Disposition {
            kind,
            parameters: self.parameters(),
        });
        BodyFields {
            disposition,
            language: self.texts(),
            location: self.text(),
        }
    }
}

impl BodyStructure {
    /// The message itself.
    #[must_use]
    pub fn root(&self) -> Body<'_> {
        let structure = self;
        Node { structure, at: 0 }.read()
    }

    /// Appends it; `extended` is BODYSTRUCTURE, else BODY.
    pub fn encode(&self, extended: bool, output: &mut Output) {
        self.root().encode(extended, output);
    }
}

impl core::fmt::Debug for BodyStructure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.root().fmt(f)
    }
}

impl PartialEq for BodyStructure {
    fn eq(&self, other: &Self) -> bool {
        self.root() == other.root()
    }
}

impl Eq for BodyStructure {}

impl Body<'_> {
    fn encode(&self, extended: bool, output: &mut Output) {
        output.write(b"(");
        match self {
            Self::Multipart(multipart) => {
                for part in multipart.parts.iter() {
                    part.encode(extended, output);
                }
                if multipart.parts.is_empty() {
                    output.write(b"NIL");
                }
                output.write(b" ");
                write_string(multipart.subtype, output);
                if extended {
                    output.write(b" ");
                    write_parameters(multipart.parameters, output);
                    multipart.fields.encode(output);
                }
            }
            Self::Part(part) => part.encode(extended, output),
        }
        output.write(b")");
    }
}

impl BodyPart<'_> {
    fn encode(&self, extended: bool, output: &mut Output) {
        write_string(self.kind, output);
        output.write(b" ");
        write_string(self.subtype, output);
        output.write(b" ");
        write_parameters(self.parameters, output);
        for text in [self.id, self.description] {
            output.write(b" ");
            write_nstring(text, output);
        }
        output.write(b" ");
        write_string(self.encoding, output);
        output.write(b" ");
        output.write_number(self.octets);
        if let Some(message) = &self.message {
            output.write(b" ");
            message.envelope.encode(output);
            output.write(b" ");
            message.body().encode(extended, output);
        }
        if self.message.is_some() || self.kind.eq_ignore_ascii_case(b"text") {
            output.write(b" ");
            output.write_number(self.lines);
        }
        if extended {
            output.write(b" ");
            write_nstring(self.md5, output);
            self.fields.encode(output);
        }
    }
}

impl BodyFields<'_> {
    /// ` disposition language location`
    fn encode(&self, output: &mut Output) {
        match &self.disposition {
            Some(disposition) => {
                output.write(b" (");
                write_string(disposition.kind, output);
                output.write(b" ");
                write_parameters(disposition.parameters, output);
                output.write(b")");
            }
            None => output.write(b" NIL"),
        }
        output.write(b" ");
        match (self.language.len(), self.language.iter().next()) {
            (1, Some(one)) => write_string(one, output),
            (0, _) => output.write(b"NIL"),
            _ => write_list(self.language.iter(), output, write_string),
        }
        output.write(b" ");
        write_nstring(self.location, output);
    }
}

fn write_parameters(parameters: Parameters<'_>, output: &mut Output) {
    if parameters.is_empty() {
        return output.write(b"NIL");
    }
    write_list(parameters.iter(), output, |(name, value), output| {
        write_string(name, output);
        output.write(b" ");
        write_string(value, output);
    });
}

/// What a [`BodyStructure`] is made of.
#[derive(Debug, Clone)]
pub enum NewBody<'a> {
    /// A part with parts in it: at least one.
    Multipart {
        /// Its parts.
        parts: Vec<Self>,
        /// `mixed`
        subtype: &'a [u8],
        /// Content-Type's parameters.
        parameters: NewParameters<'a>,
        /// The other MIME fields.
        fields: NewFields<'a>,
    },
    /// Any other one.
    Part(Box<NewPart<'a>>),
}

/// What a [`BodyPart`] is made of.
#[derive(Debug, Clone, Default)]
pub struct NewPart<'a> {
    /// `text`
    pub kind: &'a [u8],
    /// `plain`
    pub subtype: &'a [u8],
    /// Content-Type's parameters.
    pub parameters: NewParameters<'a>,
    /// Content-ID
    pub id: Option<&'a [u8]>,
    /// Content-Description
    pub description: Option<&'a [u8]>,
    /// Content-Transfer-Encoding
    pub encoding: &'a [u8],
    /// Octets, as they are encoded.
    pub octets: u64,
    /// Of a message/rfc822: what is in it.
    pub message: Option<(Envelope, NewBody<'a>)>,
    /// Lines, for text and message/rfc822.
    pub lines: u64,
    /// Content-MD5
    pub md5: Option<&'a [u8]>,
    /// The other MIME fields.
    pub fields: NewFields<'a>,
}

/// What [`Parameters`] are made of.
pub type NewParameters<'a> = Vec<(&'a [u8], &'a [u8])>;

/// What [`BodyFields`] are made of.
#[derive(Debug, Clone, Default)]
pub struct NewFields<'a> {
    /// Content-Disposition and its parameters.
    pub disposition: Option<(&'a [u8], NewParameters<'a>)>,
    /// Content-Language
    pub language: Vec<&'a [u8]>,
    /// Content-Location
    pub location: Option<&'a [u8]>,
}

impl<'a> From<NewPart<'a>> for NewBody<'a> {
    fn from(part: NewPart<'a>) -> Self {
        Self::Part(Box::new(part))
    }
}

impl<'a> From<BodyFields<'a>> for NewFields<'a> {
    fn from(fields: BodyFields<'a>) -> Self {
        let disposition = |one: Disposition<'a>| (one.kind, one.parameters.iter().collect());
        Self {
            disposition: fields.disposition.map(disposition),
            language: fields.language.iter().collect(),
            location: fields.location,
        }
    }
}

/// For making another one of it.
impl<'a> From<Body<'a>> for NewBody<'a> {
    fn from(body: Body<'a>) -> Self {
        match body {
            Body::Multipart(multipart) => Self::Multipart {
                parts: multipart.parts.iter().map(Self::from).collect(),
                subtype: multipart.subtype,
                parameters: multipart.parameters.iter().collect(),
                fields: multipart.fields.into(),
            },
            Body::Part(part) => Self::from(NewPart {
                kind: part.kind,
                subtype: part.subtype,
                parameters: part.parameters.iter().collect(),
                id: part.id,
                description: part.description,
                encoding: part.encoding,
                octets: part.octets,
                message: part
                    .message
                    .map(|message| (message.envelope.clone(), message.body().into())),
                lines: part.lines,
                md5: part.md5,
                fields: part.fields.into(),
            }),
        }
    }
}

impl From<NewBody<'_>> for BodyStructure {
    fn from(body: NewBody<'_>) -> Self {
        let mut maker = Maker {
            writer: Writer::new(None, EXPECTED),
            envelopes: Vec::new(),
        };
        maker.body(body);
        maker.finish(None)
    }
}

/// So many places two parts need.
const EXPECTED: usize = 48;

/// Writes nodes.
struct Maker {
    writer: Writer,
    envelopes: Vec<Envelope>,
}

impl Maker {
    fn finish(self, cursor: Option<&Cursor<'_>>) -> BodyStructure {
        BodyStructure {
            tape: self.writer.finish(cursor),
            envelopes: self.envelopes,
        }
    }

    /// Where the node begins.
    fn begin(&mut self, kind: u64) -> usize {
        let at = self.writer.len();
        self.writer.push_number(kind);
        self.writer.push_number(0);
        at
    }

    fn end(&mut self, at: usize) {
        let behind = self.writer.len() as u64;
        self.writer.set_number(at + 1, behind);
    }

    fn own(&mut self, text: Option<&[u8]>) {
        let span = self.writer.own(text);
        self.writer.push(span);
    }

    fn pairs(&mut self, pairs: &[(&[u8], &[u8])]) {
        self.writer.push_number(2 * pairs.len() as u64);
        for &(name, value) in pairs {
            self.own(Some(name));
            self.own(Some(value));
        }
    }

    fn body(&mut self, body: NewBody<'_>) {
        match body {
            NewBody::Multipart {
                parts,
                subtype,
                parameters,
                fields,
            } => {
                let at = self.begin(MULTIPART);
                self.writer.push_number(parts.len() as u64);
                parts.into_iter().for_each(|part| self.body(part));
                self.own(Some(subtype));
                self.pairs(&parameters);
                self.fields(&fields);
                self.end(at);
            }
            NewBody::Part(part) => {
                let is_message = part.message.is_some();
                let at = self.begin(if is_message { MESSAGE } else { PART });
                self.own(Some(part.kind));
                self.own(Some(part.subtype));
                self.pairs(&part.parameters);
                self.own(part.id);
                self.own(part.description);
                self.own(Some(part.encoding));
                self.writer.push_number(part.octets);
                if let Some((envelope, body)) = part.message {
                    self.envelope(envelope);
                    self.body(body);
                }
                self.writer.push_number(part.lines);
                self.own(part.md5);
                self.fields(&part.fields);
                self.end(at);
            }
        }
    }

    fn envelope(&mut self, envelope: Envelope) {
        self.writer.push_number(self.envelopes.len() as u64);
        self.envelopes.push(envelope);
    }

    fn fields(&mut self, fields: &NewFields<'_>) {
        match &fields.disposition {
            Some((kind, parameters)) => {
                self.own(Some(kind));
                self.pairs(parameters);
            }
            None => self.own(None),
        }
        self.writer.push_number(fields.language.len() as u64);
        for tag in &fields.language {
            self.own(Some(tag));
        }
        self.own(fields.location);
    }
}

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
