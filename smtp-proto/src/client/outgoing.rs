//! The octets of a message on their way out: behind DATA, or in the chunks of BDAT.

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::{DotEncoder, Output};

use crate::command::line::Command;
use crate::newlines::Newlines;

/// Octets that one BDAT holds at least, unless it is the last or the size of the message is known: each is answered, and
/// answers must not fill the way back.
const CHUNK: u64 = 256 * 1024;
/// After so many chunks without an answer, chunks become twice as large.
const UNANSWERED: usize = 32;

/// A message under way.
#[derive(Debug)]
pub(super) enum Outgoing {
    Dots(DotEncoder),
    Chunks(Chunks),
}

/// A message that goes by BDAT.
#[derive(Debug)]
pub(super) struct Chunks {
    /// Line ends become CRLF, but in a binary message.
    lines: Option<Lines>,
    /// One chunk is announced for all, and so many octets of it are to come.
    announced: Option<u64>,
    held: Vec<Bytes>,
    octets: u64,
}

/// A chunk was longer than what was announced, or the message was shorter.
#[derive(Debug)]
pub(super) struct WrongSize;

#[derive(Debug, Default)]
struct Lines {
    newlines: Newlines,
    inside_line: bool,
}

impl Lines {
    fn pass(&mut self, chunk: Bytes) -> Bytes {
        let chunk = self.newlines.pass(chunk);
        if let Some(&last) = chunk.last() {
            self.inside_line = last != b'\n';
        }
        chunk
    }

    /// What is missing at the end.
    fn end(&mut self) -> Bytes {
        match self.newlines.end() {
            Some(line_end) => line_end,
            None if self.inside_line => Bytes::from_static(b"\r\n"),
            None => Bytes::new(),
        }
    }
}

impl Chunks {
    /// `octets`: the size of the whole, as it is sent, where it is known.
    pub(super) fn new(binary: bool, octets: Option<u64>, output: &mut Output) -> Self {
        if let Some(octets) = octets {
            let last = true;
            Command::<Bytes>::Bdat { octets, last }.encode(output);
        }
        Self {
            lines: (!binary).then(Lines::default),
            announced: octets,
            held: Vec::new(),
            octets: 0,
        }
    }

    /// Appends the next octets. Returns whether a chunk is complete, which will be answered.
    pub(super) fn chunk(
        &mut self,
        chunk: Bytes,
        unanswered: usize,
        output: &mut Output,
    ) -> Result<bool, WrongSize> {
        let chunk = match &mut self.lines {
            Some(lines) => lines.pass(chunk),
            None => chunk,
        };
        let octets = chunk.len() as u64;
        if let Some(announced) = &mut self.announced {
            *announced = announced.checked_sub(octets).ok_or(WrongSize)?;
            output.push(chunk);
            return Ok(false);
        }
        self.octets += octets;
        self.held.push(chunk);
        let doubled = u32::try_from(unanswered / UNANSWERED)
            .unwrap_or(u32::MAX)
            .min(32);
        if self.octets < CHUNK << doubled {
            return Ok(false);
        }
        self.send(false, output);
        Ok(true)
    }

    /// Ends the message with a last chunk, or with that which was announced.
    pub(super) fn end(mut self, output: &mut Output) -> Result<(), WrongSize> {
        let missing = self.lines.as_mut().map(Lines::end).unwrap_or_default();
        if let Some(announced) = self.announced {
            if announced != missing.len() as u64 {
                return Err(WrongSize);
            }
            output.push(missing);
            return Ok(());
        }
        self.octets += missing.len() as u64;
        self.held.push(missing);
        self.send(true, output);
        Ok(())
    }

    fn send(&mut self, last: bool, output: &mut Output) {
        let octets = core::mem::take(&mut self.octets);
        Command::<Bytes>::Bdat { octets, last }.encode(output);
        for piece in self.held.drain(..) {
            output.push(piece);
        }
    }
}
