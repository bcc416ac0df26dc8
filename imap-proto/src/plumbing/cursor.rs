//! A place in a command that is being read.

use alloc::borrow::Cow;
use bytes::Bytes;
use core::ops::Range;

use crate::error::{Fault, IResult};
use crate::plumbing::text::{any_string, astring, atom, number, number64, run, string, to_bytes};
use crate::{Leniencies, Leniency};

pub(crate) type Result<T> = core::result::Result<T, Fault>;

/// Walks over one unit, literals inside. No parser goes back over more than one token.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    /// What is read, and maybe more around it.
    unit: &'a Bytes,
    /// Where it begins, and where it ends.
    place: (usize, usize),
    rest: &'a [u8],
    /// Mailbox names are UTF-8, not modified UTF-7.
    utf8: bool,
    /// A client sent it.
    command: bool,
    leniencies: Leniencies,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(unit: &'a Bytes) -> Self {
        Self::within(unit, 0..unit.len())
    }

    /// Reads that part only.
    pub(crate) fn within(unit: &'a Bytes, place: Range<usize>) -> Self {
        Self {
            unit,
            place: (place.start, place.end),
            rest: unit.get(place).unwrap_or(&[]),
            utf8: false,
            command: false,
            leniencies: Leniencies::ALL,
        }
    }

    /// Mailbox names are in UTF-8 from here on (RFC 9051 §5.1, RFC 6855 §3).
    pub(crate) fn set_utf8(&mut self, utf8: bool) {
        self.utf8 = utf8;
    }

    /// What is read is a command, or a part of one.
    pub(crate) fn set_of_command(&mut self) {
        self.command = true;
    }

    pub(crate) fn is_of_command(&self) -> bool {
        self.command
    }

    pub(crate) fn set_leniencies(&mut self, leniencies: Leniencies) {
        self.leniencies = leniencies;
    }

    /// Whether that deviation is understood.
    pub(crate) fn lets(&self, one: Leniency) -> bool {
        self.leniencies.contains(one)
    }

    pub(crate) fn is_utf8(&self) -> bool {
        self.utf8
    }

    pub(crate) fn unit(&self) -> &'a Bytes {
        self.unit
    }

    /// How many octets it has passed.
    pub(crate) fn offset(&self) -> usize {
        let (start, end) = self.place;
        (end - start).saturating_sub(self.rest.len())
    }

    /// What it passed since it had passed so many octets.
    pub(crate) fn passed_since(&self, offset: usize) -> Bytes {
        let start = self.place.0;
        self.unit.slice(start + offset..start + self.offset())
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn error_at(&self, rest: &[u8], expected: &'static str) -> Fault {
        let (start, end) = self.place;
        Fault {
            offset: (end - start).saturating_sub(rest.len()),
            expected,
        }
    }

    /// Fails here.
    pub(crate) fn fail<T>(&self, expected: &'static str) -> Result<T> {
        Err(self.error_at(self.rest, expected))
    }

    /// Takes what `parser` takes.
    pub(crate) fn take<T>(&mut self, parser: impl Fn(&'a [u8]) -> IResult<'a, T>) -> Result<T> {
        match parser(self.rest) {
            Ok((rest, value)) => {
                self.rest = rest;
                Ok(value)
            }
            Err(nom::Err::Error(e) | nom::Err::Failure(e)) => Err(self.error_at(e.rest, e.what)),
            Err(nom::Err::Incomplete(_)) => self.fail("more"),
        }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes that octet if it is next.
    pub(crate) fn eat(&mut self, octet: u8) -> bool {
        match self.rest.split_first() {
            Some((&first, rest)) if first == octet => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    pub(crate) fn expect(&mut self, octet: u8, expected: &'static str) -> Result<()> {
        if self.eat(octet) {
            return Ok(());
        }
        self.fail(expected)
    }

    /// One blank.
    pub(crate) fn sp(&mut self) -> Result<()> {
        self.expect(b' ', "one blank")
    }

    /// Passes over so many octets.
    pub(crate) fn pass(&mut self, octets: usize) {
        self.rest = self.rest.get(octets..).unwrap_or(&[]);
    }

    /// Takes `word` in any case if it is next, whatever follows it.
    pub(crate) fn eat_prefix(&mut self, word: &str) -> bool {
        match self.rest.split_at_checked(word.len()) {
            Some((head, rest)) if head.eq_ignore_ascii_case(word.as_bytes()) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes `word` in any case if it is the next atom.
    pub(crate) fn eat_word(&mut self, word: &str) -> bool {
        let longer = |o: &u8| crate::plumbing::text::is_atom_char(*o);
        let ends = !self.rest.get(word.len()).is_some_and(longer);
        ends && self.eat_prefix(word)
    }

    pub(crate) fn end(&self) -> Result<()> {
        if self.is_at_end() {
            return Ok(());
        }
        self.fail("the end of the command")
    }

    pub(crate) fn atom(&mut self) -> Result<Bytes> {
        let text = self.take(atom)?;
        Ok(self.unit.slice_ref(text))
    }

    pub(crate) fn word(
        &mut self,
        class: impl Fn(u8) -> bool + Copy,
        what: &'static str,
    ) -> Result<&'a [u8]> {
        self.take(run(class, what))
    }

    pub(crate) fn astring(&mut self) -> Result<Bytes> {
        let text = self.take(astring)?;
        Ok(to_bytes(self.unit, text))
    }

    /// A quoted mailbox name in which nothing is encoded, if that is next.
    pub(crate) fn plain_name(&mut self) -> Option<Bytes> {
        let (rest, name) = crate::plumbing::text::plain_name(self.rest)?;
        self.rest = rest;
        Some(self.unit.slice_ref(name))
    }

    pub(crate) fn string(&mut self) -> Result<Bytes> {
        let text = self.take(string)?;
        Ok(to_bytes(self.unit, text))
    }

    /// `nstring`
    pub(crate) fn nstring(&mut self) -> Result<Option<Bytes>> {
        if self.eat_word("NIL") {
            return Ok(None);
        }
        self.string().map(Some)
    }

    /// A string as servers send it.
    pub(crate) fn any_text(&mut self) -> Result<Cow<'a, [u8]>> {
        let quoted = self.peek() == Some(b'"');
        let text = self.take(any_string)?;
        let ends = matches!(self.peek(), None | Some(b' ' | b')' | b']'));
        if ends || !quoted || !self.lets(Leniency::UnescapedQuotes) {
            return Ok(text);
        }
        let mut whole = text.into_owned();
        loop {
            // The quote that seemed to end it is a part of it.
            whole.push(b'"');
            let Some(end) = memchr::memchr(b'"', self.rest) else {
                return self.fail("a quote");
            };
            whole.extend_from_slice(self.rest.get(..end).unwrap_or(&[]));
            self.pass(end + 1);
            if matches!(self.peek(), None | Some(b' ' | b')' | b']')) {
                return Ok(whole.into());
            }
        }
    }

    pub(crate) fn any_string(&mut self) -> Result<Bytes> {
        let text = self.any_text()?;
        Ok(to_bytes(self.unit, text))
    }

    /// As `any_string`, or NIL.
    pub(crate) fn any_nstring(&mut self) -> Result<Option<Bytes>> {
        if self.peek() != Some(b'"') && self.eat_word("NIL") {
            return Ok(None);
        }
        self.any_string().map(Some)
    }

    /// What was passed over since `start`.
    pub(crate) fn since(&self, start: &Self) -> Bytes {
        let length = start.rest.len().saturating_sub(self.rest.len());
        self.unit.slice_ref(start.rest.get(..length).unwrap_or(&[]))
    }

    /// Passes over one value of whatever kind: an atom, a string, a list of values as deep as it is.
    pub(crate) fn value(&mut self) -> Result<Bytes> {
        let start = self.clone();
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Some(b'(') => {
                    self.eat(b'(');
                    depth += 1;
                }
                Some(b')') if depth > 0 => {
                    self.eat(b')');
                    depth -= 1;
                }
                Some(b' ') if depth > 0 => {
                    self.eat(b' ');
                }
                Some(b'"' | b'{') => drop(self.take(any_string)?),
                Some(b'~') if self.rest.starts_with(b"~{") => drop(self.take(any_string)?),
                Some(_) => drop(self.word(is_value_char, "a value")?),
                None => return self.fail("a value"),
            }
            if depth == 0 {
                return Ok(self.since(&start));
            }
        }
    }

    pub(crate) fn number(&mut self) -> Result<u32> {
        self.take(number)
    }

    pub(crate) fn number64(&mut self) -> Result<u64> {
        self.take(number64)
    }

    /// `"(" item *(SP item) ")"`, or `()` where that is legal.
    pub(crate) fn list<T>(
        &mut self,
        empty: bool,
        mut item: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<alloc::vec::Vec<T>> {
        self.expect(b'(', "\"(\"")?;
        let mut items = alloc::vec::Vec::new();
        if empty && self.eat(b')') {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.eat(b')') {
                return Ok(items);
            }
            self.sp()?;
        }
    }
}

/// What an atom of an unknown kind may hold.
fn is_value_char(octet: u8) -> bool {
    octet > b' ' && !matches!(octet, b'(' | b')' | b'"' | b'{' | 127)
}
