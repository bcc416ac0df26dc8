//! The texts of one value as places in the octets they came in: one allocation for all of them.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use bytes::Bytes;

use crate::cursor::{Cursor, Result};
use crate::text::any_string;

/// Where a text begins and ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span(u32, u32);

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
}

/// Makes a [`Tape`].
#[derive(Debug)]
pub(crate) struct Writer {
    /// Where the value begins in its unit.
    begin: usize,
    spans: Vec<Span>,
    own: Vec<u8>,
}

impl Writer {
    /// Behind a cursor; `texts` are to be expected.
    pub(crate) fn new(cursor: Option<&Cursor<'_>>, texts: usize) -> Self {
        Self {
            begin: cursor.map_or(0, Cursor::offset),
            spans: Vec::with_capacity(texts),
            own: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, span: Span) {
        self.spans.push(span);
    }

    /// In the place of one that was pushed.
    pub(crate) fn set(&mut self, index: usize, span: Span) {
        if let Some(place) = self.spans.get_mut(index) {
            *place = span;
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
        match cursor.take(any_string)? {
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
        let came = cursor.map(|cursor| cursor.unit().slice(self.begin..cursor.offset()));
        let came = came.unwrap_or_default();
        if self.own.is_empty() {
            // Empty texts of its own are as good anywhere.
            for span in &mut self.spans {
                if span.0 & OWN != 0 && span.0 != NIL.0 {
                    *span = Span(0, 0);
                }
            }
            let spans = self.spans;
            return Tape { text: came, spans };
        }
        let before = u32::try_from(came.len()).unwrap_or(0);
        for Span(start, end) in &mut self.spans {
            if *start & OWN != 0 && *start != NIL.0 {
                (*start, *end) = (before + (*start & !OWN), before + (*end & !OWN));
            }
        }
        let text = match came.is_empty() {
            true => self.own,
            false => [&came[..], &self.own].concat(),
        };
        Tape {
            text: text.into(),
            spans: self.spans,
        }
    }
}
