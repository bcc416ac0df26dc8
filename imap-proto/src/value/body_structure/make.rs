//! How it is put together.

use alloc::vec::Vec;

use super::new::{NewBody, NewFields};
use super::nodes::{MESSAGE, MULTIPART, Nodes, PART};
use super::structure::BodyStructure;
use crate::Envelope;
use crate::plumbing::cursor::Cursor;
use crate::plumbing::tape::Writer;

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
pub(super) const EXPECTED: usize = 48;

/// Writes nodes.
pub(super) struct Maker {
    pub(super) writer: Writer,
    pub(super) envelopes: Vec<Envelope>,
}

impl Maker {
    pub(super) fn finish(self, cursor: Option<&Cursor<'_>>) -> BodyStructure {
        BodyStructure(Nodes {
            tape: self.writer.finish(cursor),
            envelopes: self.envelopes,
        })
    }

    /// Where the node begins.
    pub(super) fn begin(&mut self, kind: u64) -> usize {
        let at = self.writer.len();
        self.writer.push_number(kind);
        self.writer.push_number(0);
        at
    }

    pub(super) fn end(&mut self, at: usize) {
        let behind = self.writer.len() as u64;
        self.writer.set_number(at + 1, behind);
    }

    pub(super) fn own(&mut self, text: Option<&[u8]>) {
        let span = self.writer.own(text);
        self.writer.push(span);
    }

    pub(super) fn pairs(&mut self, pairs: &[(&[u8], &[u8])]) {
        self.writer.push_number(2 * pairs.len() as u64);
        for &(name, value) in pairs {
            self.own(Some(name));
            self.own(Some(value));
        }
    }

    pub(super) fn body(&mut self, body: NewBody<'_>) {
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

    pub(super) fn envelope(&mut self, envelope: Envelope) {
        self.writer.push_number(self.envelopes.len() as u64);
        self.envelopes.push(envelope);
    }

    pub(super) fn fields(&mut self, fields: &NewFields<'_>) {
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
