//! A header section that gets another Content-Transfer-Encoding, written as it comes.

use alloc::vec::Vec;

use super::mime_field::{HEAD, MimeField};
use super::plan::{Edit, Label};
use super::verbatim::verbatim;

/// Writes a header section with another Content-Transfer-Encoding; what MIME needs besides, where it is missing:
/// MIME-Version in a message, a type in what has none.
#[derive(Debug, Clone)]
pub(super) struct HeaderEdit {
    edit: Edit,
    place: Place,
    /// The beginning of a line, up to the colon.
    held: Vec<u8>,
    is_kept: bool,
    has_type: bool,
    has_version: bool,
    last: Option<u8>,
    /// The empty line.
    end: &'static [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The name has not come whole.
    Name,
    Line,
    /// Behind the empty line.
    Over,
}

impl HeaderEdit {
    pub(super) fn new(edit: Edit) -> Self {
        Self {
            edit,
            place: Place::Name,
            held: Vec::new(),
            is_kept: true,
            has_type: false,
            has_version: false,
            last: None,
            // A body may follow without an empty line; where none follows there may be none either.
            end: if edit.has_body { b"\r\n" } else { b"" },
        }
    }

    pub(super) fn push(&mut self, mut octets: &[u8], output: &mut Vec<u8>) {
        self.last = octets.last().copied().or(self.last);
        while !octets.is_empty() {
            let (line, rest) = match self.place {
                Place::Over => return,
                Place::Name => {
                    let room = HEAD - self.held.len();
                    let head = octets.get(..room).unwrap_or(octets);
                    let stop = memchr::memchr2(b':', b'\n', head).map(|at| at + 1);
                    let (name, rest) = octets.split_at(stop.unwrap_or(head.len()));
                    self.held.extend_from_slice(name);
                    if stop.is_some() || self.held.len() == HEAD {
                        self.begin_line(output);
                    }
                    octets = rest;
                    continue;
                }
                Place::Line => {
                    let end = memchr::memchr(b'\n', octets).map(|at| at + 1);
                    if end.is_some() {
                        self.place = Place::Name;
                    }
                    octets.split_at(end.unwrap_or(octets.len()))
                }
            };
            if self.is_kept {
                verbatim(line, output);
            }
            octets = rest;
        }
    }

    /// Decides about the line whose beginning is held.
    fn begin_line(&mut self, output: &mut Vec<u8>) {
        let end: &[u8] = match &self.held[..] {
            b"\r\n" => b"\r\n",
            b"\n" => b"\n",
            _ => b"",
        };
        if !end.is_empty() {
            (self.end, self.place) = (end, Place::Over);
            return self.held.clear();
        }
        if let Some(field) = MimeField::of(&self.held) {
            self.is_kept = field != MimeField::Encoding;
            self.has_type |= field == MimeField::Type;
            self.has_version |= field == MimeField::Version;
        }
        if self.is_kept {
            verbatim(&self.held, output);
        }
        self.place = match self.held.ends_with(b"\n") {
            true => Place::Name,
            false => Place::Line,
        };
        self.held.clear();
    }

    pub(super) fn finish(&mut self, output: &mut Vec<u8>) {
        if !self.held.is_empty() {
            self.begin_line(output);
        }
        if self.place == Place::Line && self.is_kept {
            output.extend_from_slice(b"\r\n");
        }
        if self.edit.needs_version && !self.has_version {
            output.extend_from_slice(b"MIME-Version: 1.0\r\n");
        }
        if let Some(charset) = self.edit.charset.filter(|_| !self.has_type) {
            output.extend_from_slice(b"Content-Type: text/plain; charset=");
            output.extend_from_slice(charset.as_bytes());
            output.extend_from_slice(b"\r\n");
        }
        output.extend_from_slice(b"Content-Transfer-Encoding: ");
        output.extend_from_slice(match self.edit.label {
            Label::SevenBit => b"7bit",
            Label::QuotedPrintable => b"quoted-printable",
            Label::Base64 => b"base64",
        });
        // The last line's end may be the boundary's.
        if matches!(self.last, None | Some(b'\n')) || !self.end.is_empty() {
            output.extend_from_slice(b"\r\n");
        }
        output.extend_from_slice(self.end);
    }
}
