//! From octets to a part tree, in one pass.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use super::field::{BYTE_ORDER_MARK, Fields, kept, unfold};
use super::structure::{Kind, Part, Structure};
use super::{Content, Envelope, parameter, parse_addresses};

/// What a scanner holds at most. Past a limit the item is left out, never the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Limits {
    /// Parts within parts (64): a bomb of nested multiparts costs no more. Deeper ones are leaves.
    pub depth: usize,
    /// Parts (10 000). What comes later belongs to the last one.
    pub parts: usize,
    /// Octets of one header field (64 KiB). The rest of the field is cut.
    pub field: usize,
    /// Octets of all kept header fields together (1 MiB). Later fields are left out.
    pub fields: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 64,
            parts: 10_000,
            field: 64 * 1024,
            fields: 1024 * 1024,
        }
    }
}

/// The start of a body line: enough for the longest boundary (RFC 2046 §5.1.1: 70 octets) many times.
const LINE_HEAD: usize = 512;

/// Octets of a header field that most have room in.
const FIELD: usize = 256;

/// Reads a message as it comes; linear, and bounded by its [`Limits`] whatever it is fed.
#[derive(Debug)]
pub struct Scanner {
    limits: Limits,
    kept: usize,
    parts: Vec<Part>,
    open: Vec<Open>,
    state: State,
    /// Offset of the line under way, and what is known of it.
    line_start: u64,
    line: Vec<u8>,
    line_length: u64,
    last_octet: u8,
    newlines: u64,
    /// Octets of the newline before the line under way.
    previous_newline: u64,
    field: Vec<u8>,
    /// The field under way is none that is kept.
    passing: bool,
    /// The name of the field under way, and where it ends, if it is kept and its first line says so.
    name: Option<(Cow<'static, [u8]>, usize)>,
    fields: Fields,
    /// Whether the header section under way has a field.
    has_field: bool,
    /// What a line is that is longer than what is kept of it: decided before its end.
    decided: Option<Option<Boundary>>,
}

/// The level of the part whose boundary a line is, and whether it closes.
type Boundary = (usize, bool);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Body,
}

/// A part whose end has not come yet.
#[derive(Debug)]
struct Open {
    index: usize,
    boundary: Option<Vec<u8>>,
    newlines_before: u64,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Scanner {
    /// Creates a scanner that stands before the first octet.
    ///
    /// ```
    /// use hikyaku_message::{Limits, Scanner};
    /// let mut scanner = Scanner::new(Limits::default());
    /// scanner.feed(b"Subject: tea\r\n\r\nAt four.\r\n");
    /// assert_eq!(scanner.finish().parts().len(), 1);
    /// ```
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let mut scanner = Self {
            limits,
            kept: 0,
            parts: Vec::with_capacity(1),
            open: Vec::with_capacity(1),
            state: State::Header,
            line_start: 0,
            line: Vec::new(),
            line_length: 0,
            last_octet: 0,
            newlines: 0,
            previous_newline: 0,
            field: Vec::with_capacity(FIELD),
            passing: false,
            name: None,
            fields: Fields::default(),
            has_field: false,
            decided: None,
        };
        scanner.begin(0, false);
        scanner
    }

    /// Takes the next octets.
    ///
    /// ```
    /// use hikyaku_message::Scanner;
    /// let mut scanner = Scanner::default();
    /// // In whatever pieces it comes.
    /// scanner.feed(b"Subject: te");
    /// scanner.feed(b"a\r\n\r\nAt four.\r\n");
    /// assert_eq!(scanner.finish().root().body, 16..26);
    /// ```
    pub fn feed(&mut self, mut octets: &[u8]) {
        while let Some(lf) = memchr::memchr(b'\n', octets) {
            let (line, rest) = octets.split_at(lf + 1);
            octets = rest;
            if self.line_length == 0 {
                self.whole_line(line);
            } else {
                self.gather(line);
                self.end_of_line(true);
            }
        }
        self.gather(octets);
    }

    /// A line that came in one piece: nothing of it is copied that is not kept.
    fn whole_line(&mut self, line: &[u8]) {
        let newline = newline(line);
        let most = match self.state {
            State::Header => self.limits.field,
            State::Body => LINE_HEAD,
        };
        self.line_length = line.len() as u64;
        if self.state == State::Body && !line.starts_with(b"--") {
            self.newlines += 1;
            self.next_line(newline);
            return;
        }
        let is_blank = matches!(line.first(), Some(b' ' | b'\t'));
        if self.state == State::Header && self.passing && is_blank {
            // More of a field that is not kept.
            self.newlines += 1;
            self.next_line(newline);
            return;
        }
        self.line_of(line.get(..most).unwrap_or(line), newline, true);
    }

    /// Ends the message, and returns its structure.
    ///
    /// ```
    /// use hikyaku_message::Scanner;
    /// let mut scanner = Scanner::default();
    /// scanner.feed(b"Subject: tea\r\n\r\nAt four.\r\n");
    /// let structure = scanner.finish();
    /// assert_eq!(structure.root().header, 0..16);
    /// ```
    #[must_use]
    pub fn finish(mut self) -> Structure {
        self.end_last_line();
        if self.state == State::Header {
            self.end_of_header(self.line_start);
        }
        self.close_from(0, self.line_start, self.newlines);
        Structure { parts: self.parts }
    }

    /// Decides what a line is that has no newline, at the end of the message.
    pub(super) fn end_last_line(&mut self) {
        if self.line_length > 0 {
            self.end_of_line(false);
        }
    }

    /// Returns whether the octets that come next belong to the body under way, up to a line that begins with two dashes
    /// where there [is a boundary](Self::has_boundary).
    pub(super) fn is_in_text(&self, next: &[u8]) -> bool {
        let may_be_boundary = || matches!(next, [b'-'] | [b'-', b'-', ..]) && self.has_boundary();
        match self.line_length {
            0 => self.state == State::Body && !may_be_boundary(),
            _ => self.is_line_text(),
        }
    }

    /// Returns whether a line of the body under way may be a boundary.
    pub(super) fn has_boundary(&self) -> bool {
        self.open.iter().any(|open| open.boundary.is_some())
    }

    /// Returns whether the line under way is known to be text of a body.
    pub(super) fn is_line_text(&self) -> bool {
        self.state == State::Body && self.line_length > 0 && self.line.is_empty()
    }

    /// Returns whether a header section is under way.
    pub(super) fn is_in_header(&self) -> bool {
        self.state == State::Header
    }

    /// Returns where the line under way begins, in octets from the start of the message.
    pub(super) fn line_start(&self) -> u64 {
        self.line_start
    }

    /// Returns the part under way, the innermost, and its index. Its ranges end where it is known by now.
    pub(super) fn innermost(&self) -> Option<(usize, &Part)> {
        let index = self.open.last()?.index;
        Some((index, self.parts.get(index)?))
    }

    /// Returns the index of the part around the innermost.
    pub(super) fn around(&self) -> Option<usize> {
        let outer = self.open.len().checked_sub(2)?;
        Some(self.open.get(outer)?.index)
    }

    fn gather(&mut self, octets: &[u8]) {
        let Some(&last) = octets.last() else { return };
        let most = match self.state {
            State::Header => self.limits.field,
            State::Body => LINE_HEAD,
        };
        let room = most.saturating_sub(self.line.len());
        // A body line that begins with no dash cannot be a boundary.
        let begins = self.line_length == 0 && octets.first() == Some(&b'-');
        if self.state == State::Header || begins || !self.line.is_empty() {
            let some = octets.get(..room).unwrap_or(octets);
            self.line.extend_from_slice(some);
        }
        if octets.len() >= 2 {
            self.last_octet = octets.get(octets.len() - 2).copied().unwrap_or(0);
        }
        if last != b'\n' {
            self.last_octet = last;
        }
        self.line_length += octets.len() as u64;
        if self.line.len() >= most && self.decided.is_none() {
            self.decide_early();
        }
    }

    /// Decides what a line is of which no more is kept.
    fn decide_early(&mut self) {
        let line = core::mem::take(&mut self.line);
        let (content, colon) = self.content_of(&line);
        let boundary = self.decide(content, colon);
        self.decided = Some(boundary);
        self.line = line;
        if boundary.is_none() && self.state == State::Body {
            self.line.clear();
        }
    }

    /// `ended`: by a line feed, not by the end of the message.
    fn end_of_line(&mut self, ended: bool) {
        let line = core::mem::take(&mut self.line);
        let newline = match ended {
            false => 0,
            true if self.line_length >= 2 && self.last_octet == b'\r' => 2,
            true => 1,
        };
        self.line_of(&line, newline, ended);
        self.line = line;
        self.line.clear();
    }

    /// A line, as far as it is looked at: its length is known already.
    fn line_of(&mut self, line: &[u8], newline: u64, ended: bool) {
        let next = self.line_start + self.line_length;
        let newlines_before = self.newlines;
        let (content, colon) = self.content_of(line);
        let boundary = match self.decided.take() {
            Some(decided) => decided,
            None => self.decide(content, colon),
        };
        self.newlines += u64::from(ended);
        if let Some((level, closing)) = boundary {
            self.boundary(level, closing, next, newlines_before);
        } else if self.state == State::Header {
            if self.line_length == newline {
                self.end_of_header(next);
            } else {
                self.header_line(content, colon);
            }
        }
        self.next_line(newline);
    }

    /// A line without its newline, and where it has a colon, if it may begin a field.
    fn content_of<'a>(&self, line: &'a [u8]) -> (&'a [u8], Option<usize>) {
        let content = line.strip_suffix(b"\n").unwrap_or(line);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        // At the first field, which need not be the first of all: the client keeps one of its own before.
        let is_mark = self.state == State::Header && content.starts_with(BYTE_ORDER_MARK);
        let content = match is_mark {
            true => content.get(BYTE_ORDER_MARK.len()..).unwrap_or(&[]),
            false => content,
        };
        let is_field =
            self.state == State::Header && !matches!(content.first(), None | Some(b' ' | b'\t'));
        let colon = is_field.then(|| memchr::memchr(b':', content)).flatten();
        (content, colon)
    }

    /// Finds the boundary that a line is, and ends the header sections that it shows to be over.
    fn decide(&mut self, content: &[u8], colon: Option<usize>) -> Option<Boundary> {
        let matches = |this: &Self| {
            let rest = content.strip_prefix(b"--")?;
            this.match_boundary(rest)
        };
        let mut boundary = matches(self);
        // An empty line is missing: what cannot be a field is where the body begins.
        while boundary.is_none() && self.lacks_empty_line(content, colon) {
            self.end_of_header(self.line_start);
            boundary = matches(self);
        }
        boundary
    }

    fn next_line(&mut self, newline: u64) {
        self.line_start += self.line_length;
        self.line_length = 0;
        self.last_octet = 0;
        self.previous_newline = newline;
    }

    /// Returns whether a line of a header section is no field, nor a part of one. Before the message's own first
    /// field it may be anything: the line of an mbox file is there.
    fn lacks_empty_line(&self, line: &[u8], colon: Option<usize>) -> bool {
        let is_mbox = line.starts_with(b"From ") || line.starts_with(b">From ");
        let begun = self.has_field || self.parts.len() > 1 && !is_mbox;
        let continues = matches!(line.first(), None | Some(b' ' | b'\t'));
        if self.state != State::Header || !begun || continues {
            return false;
        }
        let name = colon.and_then(|colon| line.get(..colon));
        let name = name.map_or(&[][..], <[u8]>::trim_ascii_end);
        name.is_empty() || name.iter().any(|octet| *octet <= b' ' || *octet == 0x7f)
    }

    /// The innermost of the longest boundaries that the line begins with, and whether it closes.
    ///
    /// RFC 2046 §5.1.1: what stands behind it does not matter, but where it goes on as a boundary could: `--b1ue` is
    /// no `b1`. Its sender may not write such a line, and programs do.
    fn match_boundary(&self, rest: &[u8]) -> Option<Boundary> {
        let mut best: Option<(usize, usize)> = None;
        for (level, open) in self.open.iter().enumerate() {
            if let Some(boundary) = &open.boundary
                && rest.starts_with(boundary)
                && best.is_none_or(|(_, length)| boundary.len() >= length)
            {
                best = Some((level, boundary.len()));
            }
        }
        let (level, length) = best?;
        let tail = rest.get(length..).unwrap_or(&[]);
        let closes = tail.starts_with(b"--");
        let goes_on = tail
            .first()
            .is_some_and(|&octet| may_be_in_a_boundary(octet));
        (closes || !goes_on).then_some((level, closes))
    }

    fn boundary(&mut self, level: usize, closing: bool, next: u64, newlines: u64) {
        if self.state == State::Header {
            self.end_of_header(self.line_start);
        }
        // The newline before a boundary belongs to it.
        let index = self.open.last().map_or(0, |open| open.index);
        let body_start = self.parts.get(index).map_or(0, |part| part.body.start);
        let (mut end, mut newlines) = (self.line_start, newlines);
        if end > body_start && self.open.len() > level + 1 {
            end -= self.previous_newline;
            newlines -= 1;
        }
        self.close_from(level + 1, end, newlines);
        if closing {
            if let Some(open) = self.open.get_mut(level) {
                open.boundary = None;
            }
            self.state = State::Body;
        } else if self.parts.len() < self.limits.parts {
            let digest = self
                .open
                .get(level)
                .and_then(|open| self.parts.get(open.index));
            let digest = digest.is_some_and(|part| part.content.is("multipart", "digest"));
            self.begin(next, digest);
        }
    }

    fn begin(&mut self, at: u64, in_digest: bool) {
        self.open.push(Open {
            index: self.parts.len(),
            boundary: None,
            newlines_before: self.newlines,
        });
        self.parts.push(Part {
            header: at..at,
            body: at..at,
            lines: 0,
            header_lines: 0,
            content: Content::unsaid(in_digest),
            kind: Kind::Leaf,
            envelope: None,
            end: 0,
        });
        self.state = State::Header;
        self.fields.clear();
        self.has_field = false;
        self.field.clear();
        self.name = None;
        self.passing = false;
    }

    /// `colon`: where it has one, unless it continues a field.
    fn header_line(&mut self, line: &[u8], colon: Option<usize>) {
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            self.end_of_field();
            self.has_field |= colon.is_some();
            // Most fields are none that is kept; where there is no colon, the next line may have it.
            let name = colon.and_then(|colon| line.get(..colon));
            let kept = name.and_then(|name| Some((kept(name.trim_ascii())?, name.len())));
            self.passing = name.is_some() && kept.is_none();
            self.name = kept;
        }
        if !self.passing {
            let room = self.limits.field.saturating_sub(self.field.len());
            self.field
                .extend_from_slice(line.get(..room).unwrap_or(line));
        }
    }

    fn end_of_field(&mut self) {
        // A name may also end in a line behind its own.
        let found = self.name.take().or_else(|| {
            let colon = memchr::memchr(b':', &self.field)?;
            let name = self.field.get(..colon)?.trim_ascii();
            Some((kept(name)?, colon))
        });
        if let Some((name, colon)) = found
            && self.kept + self.field.len() <= self.limits.fields
        {
            self.kept += self.field.len();
            let value = self.field.get(colon + 1..).unwrap_or(&[]);
            self.fields.push(name, unfold(value));
        }
        self.field.clear();
    }

    fn end_of_header(&mut self, body_start: u64) {
        self.end_of_field();
        self.state = State::Body;
        let mut fields = core::mem::take(&mut self.fields);
        let depth = self.open.len();
        let Some(open) = self.open.last_mut() else {
            return;
        };
        let index = open.index;
        let message = index == 0
            || self
                .parts
                .get(index - 1)
                .is_some_and(|p| p.kind == Kind::Message && p.end == 0);
        let Some(part) = self.parts.get_mut(index) else {
            return;
        };
        part.header.end = body_start;
        part.body = body_start..body_start;
        part.header_lines = self.newlines - open.newlines_before;
        open.newlines_before = self.newlines;
        // Of several fields of a name the first one holds, if it can be read.
        let mut has_type = false;
        for (name, value) in fields.iter().rev() {
            part.content.take(name, value);
            has_type |= name == b"content-type";
        }
        part.content.complete(has_type);
        if message {
            part.envelope = Some(Box::new(envelope(&mut fields)));
        }
        self.fields = fields;
        if depth >= self.limits.depth || self.parts.len() >= self.limits.parts {
            return;
        }
        let Some(part) = self.parts.get_mut(index) else {
            return;
        };
        if part.content.is("multipart", "*") {
            let boundary = parameter::octets(&part.content.parameters, "boundary");
            // RFC 2046 §5.1.1: it does not end with a blank.
            let boundary = boundary.as_deref().unwrap_or(b"").trim_ascii_end();
            if !boundary.is_empty() && boundary.len() < LINE_HEAD / 2 {
                open.boundary = Some(boundary.to_vec());
                part.kind = Kind::Multipart;
            }
        } else if part.content.is("message", "rfc822") || part.content.is("message", "global") {
            let encoding = part.content.encoding.as_deref().unwrap_or(b"7bit");
            if super::Encoding::named(encoding) == super::Encoding::Identity {
                part.kind = Kind::Message;
                self.begin(body_start, false);
            }
        }
    }

    /// Ends the parts from that level on.
    fn close_from(&mut self, level: usize, end: u64, newlines: u64) {
        let behind = self.parts.len();
        for open in self.open.drain(level.min(self.open.len())..) {
            if let Some(part) = self.parts.get_mut(open.index) {
                part.body.end = end.max(part.body.start);
                part.lines = newlines.saturating_sub(open.newlines_before);
                part.end = behind;
            }
        }
    }
}

/// `bcharsnospace` (RFC 2046 §5.1.1).
fn may_be_in_a_boundary(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&octet)
}

/// Returns how many octets end a line: CRLF, or LF alone.
fn newline(line: &[u8]) -> u64 {
    match line {
        [.., b'\r', b'\n'] => 2,
        _ => 1,
    }
}

/// What ENVELOPE says: of texts the first field of a name, of addresses those of all.
fn envelope(fields: &mut Fields) -> Envelope {
    let mut all = Envelope::default();
    for (name, value) in fields.drain() {
        let text = match &*name {
            b"date" => &mut all.date,
            b"subject" => &mut all.subject,
            b"in-reply-to" => &mut all.in_reply_to,
            b"message-id" => &mut all.message_id,
            b"references" => &mut all.references,
            name => {
                let list = match name {
                    b"from" => &mut all.from,
                    b"sender" => &mut all.sender,
                    b"reply-to" => &mut all.reply_to,
                    b"to" => &mut all.to,
                    b"cc" => &mut all.cc,
                    b"bcc" => &mut all.bcc,
                    _ => continue,
                };
                match list.is_empty() {
                    true => *list = parse_addresses(&value),
                    false => list.extend(parse_addresses(&value)),
                }
                continue;
            }
        };
        text.get_or_insert(value);
    }
    for list in [&mut all.sender, &mut all.reply_to] {
        if list.is_empty() {
            list.clone_from(&all.from);
        }
    }
    all
}

impl Structure {
    /// Finds the structure of a message that is whole in memory.
    ///
    /// ```
    /// use hikyaku_message::Structure;
    /// let structure = Structure::of(b"Subject: tea\r\n\r\nAt four.\r\n");
    /// assert_eq!(structure.root().envelope.as_ref().and_then(|of| of.subject.as_deref()), Some(&b"tea"[..]));
    /// ```
    #[must_use]
    pub fn of(message: &[u8]) -> Self {
        let mut scanner = Scanner::default();
        scanner.feed(message);
        scanner.finish()
    }

    /// Returns the octets of a range, in a message that is whole in memory.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// let part = structure.get(1).expect("a part");
    /// assert_eq!(Structure::slice(message, &part.body), b"QXQgZm91ci4=");
    /// ```
    #[must_use]
    pub fn slice<'a>(message: &'a [u8], range: &Range<u64>) -> &'a [u8] {
        let at = |offset: u64| {
            usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(message.len())
        };
        message.get(at(range.start)..at(range.end)).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec;
    use proptest::prelude::*;

    const NESTED: &str = "From: a@b.test\r\nContent-Type: multipart/mixed; boundary=outer\r\n\r\n\
        preamble\r\n--outer\r\n\r\none\r\n--outer\r\nContent-Type: message/rfc822\r\n\r\n\
        Subject: in\r\nContent-Type: multipart/alternative; boundary=\"outer.2\"\r\n\r\n\
        --outer.2\r\nContent-Type: text/html\r\n\r\n<p>\r\n\r\n--outer.2--\r\n\r\n--outer\r\n\
        Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--outer--\r\nepilogue";

    fn body<'a>(message: &'a str, structure: &Structure, number: &[u32]) -> &'a str {
        let part = structure.get(structure.find(number).unwrap()).unwrap();
        core::str::from_utf8(Structure::slice(message.as_bytes(), &part.body)).unwrap()
    }

    #[test]
    fn the_first_content_type_holds() {
        let message = "Content-Type: nonsense\r\nContent-Type: multipart/mixed; boundary=b\r\n\
            Content-Type: text/html\r\n\r\n--b\r\n\r\none\r\n--b--\r\n";
        let structure = Structure::of(message.as_bytes());
        assert!(structure.root().content.is("multipart", "mixed"));
        assert_eq!(structure.parts().len(), 2);
    }

    #[test]
    fn a_section_begins_anew_whatever_the_last_one_ended_with() {
        // A first line that begins with a blank is no part of another section's field.
        let message = b"Content-Type: multipart/mixed; boundary=b\r\nX-Other: 1\r\n\r\n--b\r\n Content-ID: <i>\r\n\r\none\r\n--b--\r\n";
        for step in [1, 7, message.len()] {
            let mut scanner = Scanner::default();
            message.chunks(step).for_each(|piece| scanner.feed(piece));
            let structure = scanner.finish();
            let id = structure.get(1).and_then(|part| part.content.id.as_deref());
            assert_eq!(id, Some(&b"<i>"[..]), "{step}");
        }
    }

    #[test]
    fn a_header_without_its_empty_line_ends_where_no_field_is() {
        for (message, texts) in [
            (
                "Subject: a\nDear Sir,\nhello: b\n",
                &["Dear Sir,\nhello: b\n"][..],
            ),
            ("Subject: a\nDear Sir: hello\n", &["Dear Sir: hello\n"]),
            ("Subject: a\n folded\nX : b\n\nc", &["c"]),
            ("From alice Mon Mar 1\nSubject: a\n\nb", &["b"]),
            ("\u{feff}Subject: a\n\nb", &["b"]),
            (
                "Content-Type: multipart/mixed; boundary=q\n--q\n\none\n--q\ntwo\n--q--\n",
                &["one", "two"],
            ),
            (
                "Content-Type: multipart/mixed; boundary=q\n\n--q\nContent-Type: message/rfc822\nSubject: a\n\nb\n--q--\n",
                &["b"],
            ),
            (
                "Content-Type: message/rfc822\n\nFrom a Tue Mar 3 10:11:12 2026\nSubject: a\n\nb",
                &["b"],
            ),
            (
                "Content-Type: message/rfc822\n\nno field\n",
                &["no field\n"],
            ),
        ] {
            let message = message.replace('\n', "\r\n");
            let structure = Structure::of(message.as_bytes());
            let leaves = structure
                .parts()
                .iter()
                .filter(|part| part.kind == Kind::Leaf);
            let read: Vec<_> = leaves
                .map(|part| {
                    String::from_utf8_lossy(Structure::slice(message.as_bytes(), &part.body))
                        .replace("\r\n", "\n")
                })
                .collect();
            assert_eq!(read, texts, "{message}");
        }
        for marked in [
            "\u{feff}Subject: a\r\n\r\n",
            "X-Size: 7\r\n\u{feff}Subject: a\r\n\r\n",
        ] {
            let structure = Structure::of(marked.as_bytes());
            let envelope = structure.root().envelope.as_ref();
            assert!(
                envelope.is_some_and(|one| one.subject.is_some()),
                "{marked:?}"
            );
        }
    }

    #[test]
    fn a_line_that_only_begins_like_a_boundary_is_none() {
        let message = b"Content-Type: multipart/mixed; boundary=b1\r\n\r\n--b1 \t\r\n\r\nOptions:\r\n--b1ue makes it blue\r\n--b1-- \r\n";
        let structure = Structure::of(message);
        assert_eq!(structure.parts().len(), 2);
        let body = &structure.get(1).unwrap().body;
        assert_eq!(
            Structure::slice(message, body),
            b"Options:\r\n--b1ue makes it blue"
        );
        // What is no boundary's own octet ends it (RFC 2046 §5.1.1).
        for behind in ["", " \t", " (and words)", ";", "\"", "\u{e9}"] {
            let head = "Content-Type: multipart/mixed; boundary=b1\r\n\r\n";
            let message =
                format!("{head}--b1{behind}\r\n\r\none\r\n--b1\r\n\r\ntwo\r\n--b1--{behind}\r\n");
            let structure = Structure::of(message.as_bytes());
            assert_eq!(structure.parts().len(), 3, "{behind:?}");
        }
    }

    #[test]
    fn parts_are_found_by_number() {
        let structure = Structure::of(NESTED.as_bytes());
        assert_eq!(structure.parts().len(), 6);
        assert_eq!(structure.children(0).count(), 3);
        assert_eq!(body(NESTED, &structure, &[1]), "one");
        assert_eq!(body(NESTED, &structure, &[2, 1]), "<p>\r\n");
        assert_eq!(body(NESTED, &structure, &[3]), "AAAA");
        let message = structure.get(structure.find(&[2]).unwrap()).unwrap();
        assert_eq!(message.kind, Kind::Message);
        assert_eq!(message.lines, 9);
        for none in [&[0][..], &[4], &[1, 1], &[2, 2], &[2, 1, 1], &[3, 1]] {
            assert_eq!(structure.find(none), None, "{none:?}");
        }
        let inner = structure.get(structure.find(&[2]).unwrap() + 1).unwrap();
        assert_eq!(
            inner.envelope.as_ref().unwrap().subject.as_deref(),
            Some(&b"in"[..])
        );
    }

    #[test]
    fn a_message_that_is_no_multipart_is_its_own_part_1() {
        let structure = Structure::of(b"A: b\r\n\r\nbody\r\n");
        assert_eq!(structure.find(&[1]), Some(0));
        assert_eq!(structure.find(&[1, 1]), None);
        assert_eq!(structure.find(&[2]), None);
        assert_eq!(
            (structure.root().lines, structure.root().header_lines),
            (1, 2)
        );
    }

    #[test]
    fn what_is_cut_off_still_has_a_structure() {
        for end in 0..=NESTED.len() {
            let part = &NESTED.as_bytes()[..end];
            let structure = Structure::of(part);
            for part in structure.parts() {
                assert!(part.header.end <= part.body.start && part.body.end <= end as u64);
            }
            assert_eq!(Structure::decode(&structure.encode()), Some(structure));
        }
    }

    #[test]
    fn a_line_that_begins_with_cr_is_no_boundary_in_any_pieces() {
        let message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n\r--b\r\n";
        let mut scanner = Scanner::default();
        message.chunks(1).for_each(|octet| scanner.feed(octet));
        assert_eq!(scanner.finish(), Structure::of(message));
        assert_eq!(Structure::of(message).parts().len(), 1);
    }

    #[test]
    fn what_a_long_line_is_shows_before_its_end_in_any_pieces() {
        let long = |begin: &str| format!("{begin}{}\r\n", "v".repeat(70_000));
        let head = "Content-Type: multipart/mixed; boundary=b\r\n";
        for (message, parts) in [
            (format!("{head}\r\n{}\r\none\r\n--b--\r\n", long("--b ")), 2),
            (format!("{head}\r\n{}\r\none\r\n--b--\r\n", long("--")), 1),
            // A header section that lacks its empty line.
            (format!("{head}{}\r\none\r\n--b--\r\n", long("--b ")), 2),
            (
                format!("{head}{}\r\none\r\n--b--\r\n", long("\u{feff}--b ")),
                2,
            ),
            (format!("{head}{}--b\r\n\r\none\r\n--b--\r\n", long("")), 2),
            (
                format!("{}{head}\r\n--b\r\n\r\none\r\n--b--\r\n", long("X-Long: ")),
                2,
            ),
        ] {
            let whole = Structure::of(message.as_bytes());
            assert_eq!(whole.parts().len(), parts);
            for step in [500, 4096, 65_535, 65_536] {
                let mut scanner = Scanner::default();
                let pieces = message.as_bytes().chunks(step);
                pieces.for_each(|piece| scanner.feed(piece));
                assert_eq!(scanner.finish(), whole, "{step}");
            }
        }
    }

    #[test]
    fn depth_is_bounded() {
        let mut message = String::new();
        for level in 0..10_000 {
            message += &format!(
                "Content-Type: multipart/mixed; boundary=b{level}.\r\n\r\n--b{level}.\r\n"
            );
        }
        let structure = Structure::of(message.as_bytes());
        assert_eq!(structure.parts().len(), 64);
        let wrapped = "Content-Type: message/rfc822\r\n\r\n".repeat(10_000);
        assert_eq!(Structure::of(wrapped.as_bytes()).parts().len(), 64);
    }

    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just("\r\n"),
            Just("\n"),
            Just("--b"),
            Just("--b--"),
            Just("--"),
            Just("a"),
            Just("--c"),
            Just("Content-Type: multipart/mixed; boundary=b\r\n"),
            Just("Content-Type: multipart/mixed; boundary=c\r\n"),
            Just("Content-Type: message/rfc822\r\n"),
            Just("Subject: x\r\n y\r\n"),
            Just("no field\r\n"),
            Just("\u{feff}"),
            Just("\r"),
            Just(" "),
        ];
        proptest::collection::vec(piece, 0..30).prop_map(|all| all.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn any_pieces_give_the_same_structure(message in pieces(), step in 1_usize..9) {
            let whole = Structure::of(&message);
            let mut scanner = Scanner::default();
            for piece in message.chunks(step) {
                scanner.feed(piece);
            }
            let scanned = scanner.finish();
            prop_assert_eq!(&scanned, &whole);
            for (index, part) in whole.parts().iter().enumerate() {
                prop_assert!(part.body.end <= message.len() as u64);
                prop_assert!(part.end > index && part.end <= whole.parts().len());
                let octets = Structure::slice(&message, &part.body);
                prop_assert_eq!(part.lines, octets.iter().filter(|o| **o == b'\n').count() as u64);
            }
        }

        #[test]
        fn damaged_summaries_are_not_read(kept: Vec<u8>) {
            let _ = Structure::decode(&kept);
        }
    }

    #[test]
    fn the_corpus_has_a_structure() {
        let Ok(corpus) = std::env::var("HIKYAKU_CORPUS") else {
            return;
        };
        let mut folders = vec![std::path::PathBuf::from(corpus).join("messages")];
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let message = std::fs::read(&path).unwrap();
                let structure = Structure::of(&message);
                assert_eq!(structure.root().body.end, message.len() as u64, "{path:?}");
                seen += 1;
            }
        }
        assert!(seen > 50);
    }
}
