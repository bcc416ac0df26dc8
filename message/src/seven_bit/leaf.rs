//! What a part without parts is made of, found out as its body comes.

use alloc::vec::Vec;

use super::quoted_printable::is_escaped;
use super::said::{is_labelled, is_text};
use super::utf8::Utf8;
use crate::{Content, Encoding, TransferDecoder};

/// The longest line of text that is sent as it is (RFC 5321 §4.5.3.1.6).
pub(super) const TEXT_LINE: usize = 998;

/// What decides how a body is sent, besides its octets over 127.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// It has a NUL or lines that are too long, and says that it may.
    pub(super) is_binary: bool,
    /// Its text is UTF-8; only where nothing says what it is.
    pub(super) is_utf8: bool,
    /// Most of it is ASCII; only where it is text.
    pub(super) is_readable: bool,
}

/// A body that is looked at. Its last newline is known to be its own when more follows.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) index: usize,
    newline: &'static [u8],
    lines: Option<Lines>,
    decoder: Option<TransferDecoder>,
    decoded: Vec<u8>,
    utf8: Option<Utf8>,
    escaped: Option<u64>,
    octets: u64,
}

impl Leaf {
    /// `has_type`: its header section has a Content-Type.
    pub(super) fn new(index: usize, content: &Content, has_type: bool) -> Self {
        let encoding = content.encoding.as_deref().unwrap_or(b"7bit");
        let encoding = Encoding::known(encoding);
        let may_be_readable = is_text(content)
            && matches!(
                encoding,
                Some(Encoding::Identity | Encoding::QuotedPrintable)
            );
        let utf8 = (!has_type && encoding.is_some()).then(Utf8::new);
        let escaped = may_be_readable.then_some(0);
        let is_read = utf8.is_some() || escaped.is_some();
        let encoding = encoding.filter(|encoding| is_read && *encoding != Encoding::Identity);
        Self {
            index,
            newline: b"",
            lines: is_labelled(content).then(Lines::default),
            decoder: encoding.map(TransferDecoder::new),
            decoded: Vec::new(),
            utf8,
            escaped,
            octets: 0,
        }
    }

    pub(super) fn feed(&mut self, mut octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        match (core::mem::take(&mut self.newline), octets) {
            (b"\r", [b'\n']) => {
                self.newline = b"\r\n";
                return;
            }
            (b"\r", [b'\n', rest @ ..]) => {
                self.take(b"\r\n");
                octets = rest;
            }
            (newline, _) => self.take(newline),
        }
        self.newline = match octets {
            [.., b'\r', b'\n'] => b"\r\n",
            [.., b'\n'] => b"\n",
            [.., b'\r'] => b"\r",
            _ => b"",
        };
        let end = octets.len() - self.newline.len();
        self.take(octets.get(..end).unwrap_or(octets));
    }

    fn take(&mut self, octets: &[u8]) {
        if let Some(lines) = &mut self.lines {
            lines.feed(octets);
        }
        match &mut self.decoder {
            Some(decoder) => {
                decoder.decode(octets, &mut self.decoded);
                self.read_decoded();
            }
            None => self.read(octets),
        }
    }

    fn read_decoded(&mut self) {
        let decoded = core::mem::take(&mut self.decoded);
        self.read(&decoded);
        self.decoded = decoded;
        self.decoded.clear();
    }

    fn read(&mut self, octets: &[u8]) {
        if let Some(utf8) = &mut self.utf8 {
            utf8.feed(octets);
        }
        if let Some(escaped) = &mut self.escaped {
            let count = octets.iter().filter(|octet| is_escaped(**octet)).count();
            *escaped += count as u64;
        }
        self.octets += octets.len() as u64;
    }

    /// `before_boundary`: the newline before a boundary belongs to it.
    pub(super) fn finish(mut self, before_boundary: bool) -> Facts {
        if !before_boundary {
            let newline = core::mem::take(&mut self.newline);
            self.take(newline);
        }
        if let Some(mut decoder) = self.decoder.take() {
            decoder.finish(&mut self.decoded);
            self.read_decoded();
        }
        let octets = self.octets;
        Facts {
            is_binary: self.lines.is_some_and(|lines| lines.is_binary),
            is_utf8: self.utf8.is_some_and(|utf8| utf8.finish()),
            is_readable: self.escaped.is_some_and(|escaped| escaped * 3 <= octets),
        }
    }
}

/// The lines of a body that says it is not of 7 bits.
#[derive(Debug, Default)]
struct Lines {
    /// Octets of the line under way.
    length: usize,
    is_binary: bool,
}

impl Lines {
    fn feed(&mut self, octets: &[u8]) {
        self.is_binary |= memchr::memchr(0, octets).is_some();
        let mut begin = 0;
        for end in memchr::memchr_iter(b'\n', octets) {
            self.more(end - begin);
            self.length = 0;
            begin = end + 1;
        }
        self.more(octets.len() - begin);
    }

    fn more(&mut self, octets: usize) {
        self.length = self.length.saturating_add(octets);
        // Its CR counts.
        self.is_binary |= self.length > TEXT_LINE + 1;
    }
}
