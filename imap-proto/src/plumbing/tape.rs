//! The texts of one value as places in the octets they came in: one allocation for all of them.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use bytes::Bytes;

use crate::plumbing::cursor::{Cursor, Result};

/// Where a text begins and ends; or a number, in two halves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span(u32, u32);

impl Span {
    pub(crate) fn is_nil(self) -> bool {
        self.0 == NIL.0
    }
}

/// No text.
pub(crate) const NIL: Span = Span(u32::MAX, 0);

/// Set in places that are counted from the end of what came: of texts that stand there only quoted.
const OWN: u32 = 1 << 31;

/// Texts, by number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tape {
    text: Bytes,
    spans: Vec<Span>,
}

impl Tape {
    pub(crate) fn get(&self, index: usize) -> Option<&[u8]> {
        let &Span(start, end) = self.spans.get(index)?;
        let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        self.text.get(place(start)..place(end))
    }

    /// A number; 0 past the end.
    pub(crate) fn number(&self, index: usize) -> u64 {
        let Some(&Span(low, high)) = self.spans.get(index) else {
            return 0;
        };
        u64::from(low) | u64::from(high) << 32
    }
}

/// Makes a [`Tape`].
#[derive(Debug)]
pub(crate) struct Writer {
    /// Where the value begins in its unit.
    begin: usize,
    spans: Vec<Span>,
    own: Vec<u8>,
    /// Which of the spans are of `own`.
    owned: Vec<usize>,
}

impl Writer {
    /// Behind a cursor; `texts` are to be expected.
    pub(crate) fn new(cursor: Option<&Cursor<'_>>, texts: usize) -> Self {
        Self {
            begin: cursor.map_or(0, Cursor::offset),
            spans: Vec::with_capacity(texts),
            own: Vec::new(),
            owned: Vec::new(),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(crate) fn push(&mut self, span: Span) {
        self.note(self.spans.len(), span);
        self.spans.push(span);
    }

    /// In the place of one that was pushed as NIL.
    pub(crate) fn set(&mut self, index: usize, span: Span) {
        self.note(index, span);
        if let Some(place) = self.spans.get_mut(index) {
            *place = span;
        }
    }

    fn note(&mut self, index: usize, span: Span) {
        if span.0 & OWN != 0 && span.0 != NIL.0 {
            self.owned.push(index);
        }
    }

    pub(crate) fn push_number(&mut self, number: u64) {
        self.spans.push(halves(number));
    }

    pub(crate) fn set_number(&mut self, index: usize, number: u64) {
        if let Some(place) = self.spans.get_mut(index) {
            *place = halves(number);
        }
    }

    /// A text that is nowhere yet. One that is past all measure is cut.
    pub(crate) fn own(&mut self, text: Option<&[u8]>) -> Span {
        let Some(text) = text else { return NIL };
        let room = (OWN as usize - 1).saturating_sub(self.own.len());
        let text = text.get(..room).unwrap_or(text);
        let place = |at: usize| u32::try_from(at).unwrap_or(OWN - 1) | OWN;
        let start = place(self.own.len());
        self.own.extend_from_slice(text);
        Span(start, place(self.own.len()))
    }

    /// The next string, as servers send it, or NIL.
    pub(crate) fn nstring(&mut self, cursor: &mut Cursor<'_>) -> Result<Span> {
        let quoted = cursor.peek() == Some(b'"');
        if !quoted && cursor.eat_word("NIL") {
            return Ok(NIL);
        }
        match cursor.any_text()? {
            Cow::Owned(text) => Ok(self.own(Some(&text))),
            Cow::Borrowed(text) => {
                let end = cursor.offset() - self.begin - usize::from(quoted);
                let place = |at: usize| u32::try_from(at).ok().filter(|at| at & OWN == 0);
                match place(end - text.len()).zip(place(end)) {
                    Some((start, end)) => Ok(Span(start, end)),
                    None => cursor.fail("less than 2 GiB"),
                }
            }
        }
    }

    /// What was written, of the octets between its beginning and the cursor.
    pub(crate) fn finish(mut self, cursor: Option<&Cursor<'_>>) -> Tape {
        let came = cursor.map(|cursor| cursor.passed_since(self.begin));
        let came = came.unwrap_or_default();
        let before = u32::try_from(came.len()).unwrap_or(0);
        for index in self.owned {
            if let Some(Span(start, end)) = self.spans.get_mut(index) {
                let place = |at: u32| before.saturating_add(at & !OWN);
                (*start, *end) = (place(*start), place(*end));
            }
        }
        let text = match (came.is_empty(), self.own.is_empty()) {
            (_, true) => came,
            (true, false) => self.own.into(),
            (false, false) => [&came[..], &self.own].concat().into(),
        };
        Tape {
            text,
            spans: self.spans,
        }
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the halves are what is wanted"
)]
fn halves(number: u64) -> Span {
    Span(number as u32, (number >> 32) as u32)
}
