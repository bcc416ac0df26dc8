//! Framing: where a response ends, and where a section's literal begins, which streams.
//!
//! A line is looked at once, and the literals between lines never. Whether a literal is a section's is
//! known by where it stands: behind the section's name, in the outermost parentheses of a FETCH.
//! Lines without literals, which most are, leave the input many at a time.

use bytes::{Buf as _, Bytes, BytesMut};
use core::ops::Range;

use crate::response::is_text;

/// What the framer found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Framed {
    /// A whole response: that part of [`Framer::lines`], without its CRLF.
    Line(Range<usize>),
    /// A whole response without its last CRLF, or what is left of one after a section.
    Unit(Bytes),
    /// A response up to the literal of a section, and how long that is. Its octets come next.
    Section(Bytes, u64),
}

/// What the server did that no response is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    TooLong,
    /// So is a whole line, which has been passed over.
    LineTooLong,
    Literal,
}

#[derive(Debug, Default)]
pub(crate) struct Framer {
    /// Whole lines, none of which announces a literal.
    lines: Bytes,
    /// Up to here they were given.
    given: usize,
    /// What was taken from the input already, since a literal in it was passed over.
    held: BytesMut,
    /// Where the line under way begins: behind the literals before it.
    line_start: usize,
    /// Up to here there is no line end.
    scanned: usize,
    /// Octets of a literal that is too long to be held.
    skip: u64,
    shape: Shape,
}

/// Where in a FETCH response the line under way is.
#[derive(Debug, Default)]
struct Shape {
    /// Behind `* n FETCH (`.
    fetch: bool,
    depth: usize,
    bracket: bool,
    /// Whether the last word in the outermost parentheses, outside of brackets, is a section's name.
    word: Word,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Word {
    /// Its first octets, in upper case.
    head: [u8; 13],
    length: usize,
    /// The last one was a blank: the word is over.
    over: bool,
}

impl Framer {
    /// What comes next is the rest of a FETCH response, behind the literal of a section.
    pub(crate) fn behind_section(&mut self) {
        self.shape = Shape {
            fetch: true,
            depth: 1,
            ..Shape::default()
        };
    }

    /// What [`Framed::Line`] is a part of.
    pub(crate) fn lines(&self) -> &Bytes {
        &self.lines
    }

    /// Puts back what was taken from the input and not given yet.
    pub(crate) fn give_back(&mut self, input: &mut BytesMut) {
        let left = self.lines.slice(self.given..);
        (self.lines, self.given) = (Bytes::new(), 0);
        if !left.is_empty() {
            let behind = core::mem::replace(input, BytesMut::from(left));
            input.extend_from_slice(&behind);
        }
    }

    /// The next of the lines.
    fn line(&mut self, limit: usize) -> Option<Result<Framed, Malformed>> {
        let rest = self.lines.get(self.given..)?;
        let lf = memchr::memchr(b'\n', rest)?;
        if lf >= limit {
            self.given += lf + 1;
            return Some(Err(Malformed::LineTooLong));
        }
        let line = rest.get(..lf).unwrap_or(rest);
        let start = self.given;
        let end = start + line.strip_suffix(b"\r").unwrap_or(line).len();
        self.given = start + lf + 1;
        Some(Ok(Framed::Line(start..end)))
    }

    /// `limit`: octets of a response; `literal`: of one literal in it, past which NIL stands there;
    /// `folded`: of a section that is held as any other literal is, and does not stream.
    pub(crate) fn next(
        &mut self,
        input: &mut BytesMut,
        limit: usize,
        literal: u64,
        folded: Option<u64>,
    ) -> Option<Result<Framed, Malformed>> {
        if let Some(line) = self.line(limit) {
            return Some(line);
        }
        if self.given > 0 {
            // Whoever reads into the input may use its room again.
            (self.lines, self.given) = (Bytes::new(), 0);
        }
        loop {
            if self.skip > 0 {
                let some = usize::try_from(self.skip)
                    .unwrap_or(usize::MAX)
                    .min(input.len());
                input.advance(some);
                self.skip -= some as u64;
                if self.skip > 0 {
                    return None;
                }
            }
            let unseen = input.get(self.scanned..)?;
            let Some(lf) = memchr::memchr(b'\n', unseen).map(|at| at + self.scanned) else {
                if self.held.len() + input.len() > limit {
                    return Some(Err(Malformed::TooLong));
                }
                self.scanned = self.scanned.max(input.len());
                return None;
            };
            if self.held.len() + lf >= limit {
                return Some(Err(Malformed::TooLong));
            }
            let first = self.line_start == 0 && self.held.is_empty() && self.shape.depth == 0;
            if first {
                let plain = plain_lines(input);
                if plain > 0 {
                    (self.lines, self.given) = (input.split_to(plain).freeze(), 0);
                    self.scanned = 0;
                    return self.line(limit);
                }
            }
            let line = input.get(self.line_start..lf).unwrap_or(&[]);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if first && is_text(line) {
                return Some(Ok(self.unit(input, lf)));
            }
            let announced = self.shape.line(line, first);
            let Some((octets, digits)) = announced else {
                return Some(Ok(self.unit(input, lf)));
            };
            let Some(octets) = octets else {
                return Some(Err(Malformed::Literal));
            };
            let head = self.line_start + line.len() - digits;
            let end = usize::try_from(octets)
                .ok()
                .and_then(|octets| octets.checked_add(lf + 1))
                .filter(|&end| self.held.len() + end <= limit);
            let is_section = self.shape.is_section();
            let folds = folded.is_some_and(|folded| octets <= folded && end.is_some());
            if is_section && !folds {
                let mut unit = input.split_to(lf + 1);
                unit.truncate(head);
                let unit = self.with_held(unit);
                self.reset();
                return Some(Ok(Framed::Section(unit.freeze(), octets)));
            }
            self.shape.word = Word::default();
            match end.filter(|_| octets <= literal || is_section) {
                Some(end) => (self.line_start, self.scanned) = (end, end),
                None => {
                    // It is passed over, and NIL stands for it.
                    self.held
                        .extend_from_slice(input.get(..head).unwrap_or(&[]));
                    self.held.extend_from_slice(b"NIL");
                    input.advance(lf + 1);
                    (self.line_start, self.scanned) = (0, 0);
                    self.skip = octets;
                }
            }
        }
    }

    /// Forgets a response that is too long, up to the line under way; whether that one is a text, in which no literal
    /// is announced.
    pub(crate) fn abandon(&mut self, input: &mut BytesMut) -> bool {
        let first = self.line_start == 0 && self.held.is_empty() && self.shape.depth == 0;
        input.advance(self.line_start.min(input.len()));
        let is_text = first && is_text(input);
        self.reset();
        is_text
    }

    /// Whether octets of a response under way were taken already.
    pub(crate) fn is_inside(&self) -> bool {
        self.scanned > 0 || !self.held.is_empty() || self.skip > 0 || self.shape.depth > 0
    }

    fn unit(&mut self, input: &mut BytesMut, lf: usize) -> Framed {
        let mut unit = input.split_to(lf + 1);
        let end = if unit.get(lf.wrapping_sub(1)) == Some(&b'\r') {
            lf - 1
        } else {
            lf
        };
        unit.truncate(end);
        let unit = self.with_held(unit);
        self.reset();
        Framed::Unit(unit.freeze())
    }

    fn with_held(&mut self, unit: BytesMut) -> BytesMut {
        if self.held.is_empty() {
            return unit;
        }
        let mut whole = self.held.split();
        whole.extend_from_slice(&unit);
        whole
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

impl Shape {
    /// Walks over a line. A literal at its end: how long it is, and how many octets its announcement.
    fn line(&mut self, line: &[u8], first: bool) -> Option<(Option<u64>, usize)> {
        // Where things are matters only for what kind of literal follows.
        let (octets, digits) = announced(line)?;
        let mut line = line.get(..line.len() - digits).unwrap_or(line);
        if first {
            let start = fetch_start(line);
            self.fetch = start.is_some();
            self.depth = usize::from(self.fetch);
            line = line.get(start.unwrap_or(line.len())..).unwrap_or(&[]);
        }
        if self.fetch {
            self.walk(line);
        }
        Some((octets, digits))
    }

    fn walk(&mut self, line: &[u8]) {
        let mut octets = line.iter();
        while let Some(&octet) = octets.next() {
            match octet {
                b'"' => {
                    while let Some(&octet) = octets.next() {
                        match octet {
                            b'\\' => _ = octets.next(),
                            b'"' => break,
                            _ => {}
                        }
                    }
                    self.outer(b'"');
                }
                b'(' => {
                    self.outer(b'(');
                    self.depth += 1;
                }
                b')' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.outer(b')');
                }
                octet => self.outer(octet),
            }
        }
    }

    /// An octet of the words in the outermost parentheses.
    fn outer(&mut self, octet: u8) {
        if self.depth != 1 {
            return;
        }
        match octet {
            b'[' => self.bracket = true,
            b']' => self.bracket = false,
            b' ' if !self.bracket => {
                self.word.over = true;
                return;
            }
            _ => {}
        }
        if self.word.over {
            self.word = Word::default();
        }
        let at = self.word.length;
        if let Some(place) = self.word.head.get_mut(at) {
            *place = octet.to_ascii_uppercase();
        }
        self.word.length = at.saturating_add(1);
    }

    fn is_section(&self) -> bool {
        let word = &self.word;
        let name = word
            .head
            .get(..word.length.min(word.head.len()))
            .unwrap_or(&[]);
        let is = matches!(name, b"RFC822" | b"RFC822.TEXT" | b"RFC822.HEADER");
        self.fetch
            && self.depth == 1
            && word.over
            && !self.bracket
            && (is || name.starts_with(b"BODY[") || name.starts_with(b"BINARY["))
    }
}

/// How many octets of whole lines come first, none of which ends as one does that announces a literal.
fn plain_lines(input: &[u8]) -> usize {
    let ends = |at: &usize| {
        let behind = input.get(at + 1..).unwrap_or(&[]);
        matches!(behind, [b'\n', ..] | [b'\r', b'\n', ..])
    };
    let until = memchr::memchr_iter(b'}', input).find(ends);
    let head = input.get(..until.unwrap_or(input.len())).unwrap_or(input);
    memchr::memrchr(b'\n', head).map_or(0, |lf| lf + 1)
}

/// Behind `* n FETCH (` or `* n UIDFETCH (`.
fn fetch_start(line: &[u8]) -> Option<usize> {
    let rest = line.strip_prefix(b"* ")?;
    let digits = rest.iter().take_while(|o| o.is_ascii_digit()).count();
    let name = rest.get(digits..)?;
    let is = |word: &[u8]| {
        let head = name.get(..word.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(word))
    };
    let word = [&b" FETCH ("[..], b" UIDFETCH ("]
        .into_iter()
        .find(|word| is(word))?;
    (digits > 0).then_some(2 + digits + word.len())
}

/// `{n}` or `~{n}` at the end of a line: n, if it fits, and how many octets that is.
pub(crate) fn announced(line: &[u8]) -> Option<(Option<u64>, usize)> {
    let inner = line.strip_suffix(b"}")?;
    let inner = inner.strip_suffix(b"+").unwrap_or(inner);
    let digits = inner
        .iter()
        .rev()
        .take_while(|o| o.is_ascii_digit())
        .count();
    let (head, digits) = inner.split_at(inner.len() - digits);
    let head = head.strip_suffix(b"{").filter(|_| !digits.is_empty())?;
    let head = head.strip_suffix(b"~").unwrap_or(head);
    let value = digits.iter().try_fold(0_u64, |sum, digit| {
        sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    });
    let value = value.filter(|&octets| octets <= i64::MAX as u64);
    Some((value, line.len() - head.len()))
}
