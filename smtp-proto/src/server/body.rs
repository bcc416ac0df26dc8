//! A message as it comes: behind DATA up to its dot, or in the chunks of BDAT.

use bytes::{Bytes, BytesMut};
use hikyaku_wire::{DotDecoder, DotStep};

use crate::newlines::{BareNewlines, Newlines};
use crate::reply::Reply;

/// A message under way.
#[derive(Debug)]
pub(super) struct Body {
    source: Source,
    newlines: Newlines,
    octets: u64,
    /// BODY=BINARYMIME: any octets are allowed.
    binary: bool,
    bare_newlines: BareNewlines,
    /// The most octets.
    limit: u64,
    refused: bool,
}

#[derive(Debug)]
enum Source {
    Dots(DotDecoder),
    Chunk { left: u64, size: u64, last: bool },
}

/// What came of the octets at hand.
#[derive(Debug)]
pub(super) enum Progress {
    NeedInput,
    Octets(Bytes),
    /// Nothing will come of the message: reported once.
    Refused,
    /// What came was of a message that is refused.
    Skipped,
    /// A chunk of so many octets is whole, and others follow.
    Chunk(u64),
    /// The message is whole.
    End,
}

impl Body {
    pub(super) fn of_data(binary: bool, bare_newlines: BareNewlines, limit: u64) -> Self {
        Self {
            source: Source::Dots(DotDecoder::new()),
            newlines: Newlines::default(),
            octets: 0,
            binary,
            bare_newlines,
            limit,
            refused: false,
        }
    }

    /// Octets of BDAT follow.
    pub(super) fn expect_chunk(&mut self, octets: u64, last: bool) {
        self.source = Source::Chunk {
            left: octets,
            size: octets,
            last,
        };
        // Known before it comes; it is passed over all the same.
        self.octets = self.octets.saturating_add(octets);
    }

    pub(super) fn is_refused(&self) -> bool {
        self.refused
    }

    /// Returns the answer to a message that is refused. The whole of what has come decides, so that the answer is the
    /// same in whatever pieces it came.
    pub(super) fn refusal(&self) -> Reply {
        match self.is_irregular() {
            true => Reply::new(554, "5.6.0", "NUL or bare CR or LF in the message"),
            false => Reply::new(552, "5.3.4", "Message too large"),
        }
    }

    fn is_irregular(&self) -> bool {
        let mut irregular = self.newlines.irregular;
        if let Source::Dots(decoder) = &self.source {
            irregular = decoder.irregular();
        }
        let bare = irregular.bare_newline && self.bare_newlines == BareNewlines::Refuse;
        !self.binary && (bare || irregular.nul)
    }

    /// Takes what is at hand.
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Progress {
        let chunk = match &mut self.source {
            Source::Dots(decoder) => match decoder.next(input) {
                DotStep::NeedInput => return Progress::NeedInput,
                DotStep::End => return Progress::End,
                DotStep::Chunk(chunk) => {
                    self.octets += chunk.len() as u64;
                    chunk
                }
            },
            Source::Chunk {
                left: 0,
                size,
                last: false,
            } => return Progress::Chunk(*size),
            Source::Chunk { left: 0, .. } => {
                return match self.newlines.end() {
                    Some(line_end) => self.pass(line_end),
                    None => Progress::End,
                };
            }
            Source::Chunk { left, .. } => {
                let some = usize::try_from(*left).unwrap_or(usize::MAX);
                let some = some.min(input.len());
                if some == 0 {
                    return Progress::NeedInput;
                }
                *left -= some as u64;
                let chunk = input.split_to(some).freeze();
                match self.binary {
                    true => chunk,
                    false => self.newlines.pass(chunk),
                }
            }
        };
        self.pass(chunk)
    }

    fn pass(&mut self, chunk: Bytes) -> Progress {
        if self.refused {
            return Progress::Skipped;
        }
        if self.octets > self.limit || self.is_irregular() {
            self.refused = true;
            return Progress::Refused;
        }
        let converts = self.bare_newlines == BareNewlines::Convert && !self.binary;
        let chunk = match self.source {
            Source::Dots(_) if converts => self.newlines.pass(chunk),
            _ => chunk,
        };
        match chunk.is_empty() {
            true => Progress::Skipped,
            false => Progress::Octets(chunk),
        }
    }
}
