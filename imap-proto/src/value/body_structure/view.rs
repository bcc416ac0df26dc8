//! A message's parts, as they are looked at.

use super::nodes::{MESSAGE, MULTIPART, Nodes, place};
use crate::Envelope;
use crate::plumbing::tape::Tape;

/// A part of a message, or all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "its parts are the grammar's")]
pub enum Body<'a> {
    /// A part with parts in it.
    Multipart(Multipart<'a>),
    /// Any other one.
    Part(BodyPart<'a>),
}

/// A part with parts in it: at least one, but of servers that lose them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Multipart<'a> {
    /// Its parts.
    pub parts: BodyParts<'a>,
    /// `mixed`
    pub subtype: &'a [u8],
    /// Content-Type's parameters.
    pub parameters: Parameters<'a>,
    /// What the other MIME fields say; type and sizes are left out.
    pub fields: BodyFields<'a>,
}

/// A part that is no multipart.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
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
#[non_exhaustive]
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
#[non_exhaustive]
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

/// The parameters of a media type or of a disposition: pairs of a name and a value, as they were sent.
///
/// RFC 2231 continuations and charsets are not decoded.
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

    /// Returns each name with its value, in the order in which they were sent.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let Texts { tape, first, count } = self.0;
        let text = move |at: usize| tape.get(at).unwrap_or_default();
        (0..count / 2).map(move |index| {
            let at = first + 2 * index;
            (text(at), text(at + 1))
        })
    }

    /// Returns the value of the first parameter of that name, whose case is ignored.
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

/// Where a node begins.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) structure: &'a Nodes,
    pub(super) at: usize,
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

    pub(super) fn read(self) -> Body<'a> {
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
    structure: &'a Nodes,
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
