//! The first pass: what has to be done to which part.

use alloc::vec::Vec;
use memchr::memmem::Finder;

use super::adapter::SevenBit;
use super::leaf::Leaf;
use super::mime_field::{HEAD, MimeField};
use super::not_seven_bit::NotSevenBit;
use super::plan::{Seen, plan};
use crate::{Kind, Limits, Scanner};

/// Octets that are looked at together, in several ways: they stay in the processor's cache.
const SOME: usize = 16 * 1024;

/// Finds out what has to be done to a message for a server without 8BITMIME (RFC 6152 §3), from its octets as they pass.
///
/// It decides for each part: one that is of 7 bits stays as it is, and is labelled so if it was labelled 8bit or binary; of
/// the others, text that is mostly ASCII becomes quoted-printable, and the rest base64. [`finish`](Self::finish) returns
/// the [`SevenBit`] that does it. What is held of the message is bounded by [`Limits`] and 64 KiB more, however long the
/// message is; all work is linear.
///
/// ```
/// use hikyaku_message::{NotSevenBit, SevenBitSurvey};
/// let mut survey = SevenBitSurvey::new();
/// // A name of a person or of a file needs SMTPUTF8, and cannot be encoded here.
/// survey.feed("Subject: caf\u{e9}\r\n".as_bytes());
/// survey.feed(b"\r\nAt eight.\r\n");
/// assert_eq!(survey.finish().err(), Some(NotSevenBit::International));
/// ```
#[derive(Debug)]
pub struct SevenBitSurvey {
    scanner: Scanner,
    /// By index of the part.
    seen: Vec<Seen>,
    /// The part without parts whose body is under way.
    leaf: Option<Leaf>,
    /// The beginning of a line that may still be anything.
    held: Vec<u8>,
    /// The line under way, as far as it may be anything, has octets over 127.
    line_is_eight_bit: bool,
    /// So has the message.
    is_eight_bit: bool,
    /// What text is searched for: a boundary may follow.
    dashes: Finder<'static>,
}

impl Default for SevenBitSurvey {
    fn default() -> Self {
        Self::new()
    }
}

impl SevenBitSurvey {
    /// Starts before the first octet of a message. Two passes over it, in pieces that end anywhere, make it one of 7 bits:
    ///
    /// ```
    /// use hikyaku_message::SevenBitSurvey;
    /// let pieces = ["Content-Type: text/plain; charset=utf-8\r\n\r\nThe ca", "f\u{e9} opens at eight.\r\n"];
    /// let mut survey = SevenBitSurvey::new();
    /// for piece in pieces {
    ///     survey.feed(piece.as_bytes());
    /// }
    /// let mut seven_bit = survey.finish().unwrap();
    /// let sent: Vec<u8> = pieces.iter().flat_map(|piece| seven_bit.push(piece.as_bytes())).collect();
    /// assert!(sent.ends_with(b"\r\n\r\nThe caf=C3=A9 opens at eight.\r\n"));
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            scanner: Scanner::new(Limits::default()),
            seen: Vec::new(),
            leaf: None,
            held: Vec::new(),
            line_is_eight_bit: false,
            is_eight_bit: false,
            dashes: Finder::new(b"\n--"),
        }
    }

    /// Examines the next octets. Pieces may end anywhere.
    ///
    /// ```
    /// use hikyaku_message::SevenBitSurvey;
    /// let mut survey = SevenBitSurvey::new();
    /// survey.feed(b"Subject: caf\xc3");
    /// survey.feed(b"\xa9\r\n\r\n");
    /// assert!(survey.finish().is_err(), "a header section cannot be encoded");
    /// ```
    pub fn feed(&mut self, octets: &[u8]) {
        for some in octets.chunks(SOME) {
            self.feed_some(some);
        }
    }

    fn feed_some(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() {
            let is_in_text = self.scanner.is_in_text(octets);
            let end = match is_in_text {
                true => self.end_of_text(octets),
                false => memchr::memchr(b'\n', octets).map(|lf| lf + 1),
            };
            let (some, rest) = octets.split_at(end.unwrap_or(octets.len()));
            if is_in_text {
                self.scanner.feed(some);
                self.text(some);
            } else {
                self.line(some);
            }
            octets = rest;
        }
    }

    /// Where text ends that has begun: before a line that may be a boundary.
    fn end_of_text(&self, octets: &[u8]) -> Option<usize> {
        if !self.scanner.has_boundary() {
            return None;
        }
        let last = || octets.ends_with(b"\n-").then(|| octets.len() - 1);
        let dashes = self.dashes.find(octets);
        dashes.map(|lf| lf + 1).or_else(last)
    }

    /// Takes (a piece of) a line that may be anything.
    fn line(&mut self, octets: &[u8]) {
        let begin = self.scanner.line_start();
        self.scanner.feed(octets);
        self.line_is_eight_bit |= !octets.is_ascii();
        let is_over = octets.ends_with(b"\n");
        if is_over && self.held.is_empty() {
            return self.settle(octets, begin);
        }
        let is_known = is_over || self.scanner.is_line_text();
        // A line that is as long is known to be text, or not to be.
        let room = match is_known {
            true => octets.len(),
            false => HEAD.saturating_sub(self.held.len()),
        };
        let some = octets.get(..room).unwrap_or(octets);
        self.held.extend_from_slice(some);
        if is_known {
            self.settle_held(begin);
        }
    }

    fn settle_held(&mut self, begin: u64) {
        let mut held = core::mem::take(&mut self.held);
        self.settle(&held, begin);
        held.clear();
        self.held = held;
    }

    /// Takes a line of which the scanner knows what it is, and which began there.
    fn settle(&mut self, line: &[u8], begin: u64) {
        let is_eight_bit = core::mem::take(&mut self.line_is_eight_bit);
        self.is_eight_bit |= is_eight_bit;
        let Some((index, part)) = self.scanner.innermost() else {
            return;
        };
        let (header, body) = (part.header.start, part.body.start);
        if self.leaf.as_ref().is_some_and(|leaf| leaf.index != index) {
            self.end_leaf(true);
        }
        if !self.scanner.is_in_header() {
            // Else it is the empty line before the body.
            if body <= begin {
                self.text(line);
            }
        } else if header <= begin {
            let has_type = MimeField::of(line) == Some(MimeField::Type);
            let seen = self.seen(index);
            seen.header_is_eight_bit |= is_eight_bit;
            seen.has_type |= has_type;
        } else if let Some(around) = self.scanner.around() {
            // A boundary belongs to the multipart that has it.
            self.seen(around).body_is_eight_bit |= is_eight_bit;
        }
    }

    /// Takes text of the body that is under way.
    fn text(&mut self, octets: &[u8]) {
        let is_eight_bit = !octets.is_ascii();
        self.is_eight_bit |= is_eight_bit;
        let Some((index, part)) = self.scanner.innermost() else {
            return;
        };
        if part.kind == Kind::Leaf {
            let leaf = self.leaf.get_or_insert_with(|| {
                let has_type = self.seen.get(index).is_some_and(|seen| seen.has_type);
                Leaf::new(index, &part.content, has_type)
            });
            leaf.feed(octets);
        }
        self.seen(index).body_is_eight_bit |= is_eight_bit;
    }

    fn seen(&mut self, index: usize) -> &mut Seen {
        if index >= self.seen.len() {
            self.seen.resize(index + 1, Seen::default());
        }
        #[allow(clippy::indexing_slicing, reason = "it is as long")]
        &mut self.seen[index]
    }

    fn end_leaf(&mut self, before_boundary: bool) {
        if let Some(leaf) = self.leaf.take() {
            let index = leaf.index;
            self.seen(index).facts = leaf.finish(before_boundary);
        }
    }

    /// Ends the message, and returns what makes it one of 7 bits: push the same octets into it, in any pieces. Clone it
    /// before, to make more than one pass (the first for the SIZE, RFC 1870); clones share what was found out.
    ///
    /// ```
    /// use hikyaku_message::SevenBitSurvey;
    /// let message = "\r\n\u{65e5}\u{672c}\r\n".as_bytes();
    /// let mut survey = SevenBitSurvey::new();
    /// survey.feed(message);
    /// let seven_bit = survey.finish().unwrap();
    /// let size = seven_bit.clone().push(message).len();
    /// assert_eq!({ seven_bit }.push(message).len(), size);
    /// ```
    ///
    /// # Errors
    /// [`NotSevenBit`]: then the message is undeliverable there.
    pub fn finish(mut self) -> Result<SevenBit, NotSevenBit> {
        let begin = self.scanner.line_start();
        self.scanner.end_last_line();
        if !self.held.is_empty() {
            self.settle_held(begin);
        }
        self.end_leaf(false);
        let structure = self.scanner.finish();
        if structure.parts().len() >= Limits::default().parts && self.is_eight_bit {
            // What the last part holds are further parts.
            return Err(NotSevenBit::Composite);
        }
        Ok(SevenBit::new(plan(&structure, &self.seen)?))
    }
}
