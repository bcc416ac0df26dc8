//! Where a command, a message or a reply ends, for those who do not use the machines.
//!
//! The framers look at a [`BytesMut`] that the caller reads into, cut from it what is whole, and look at no octet twice,
//! in whatever pieces it comes. What they give is a slice of the input: nothing is copied. They hold no more than
//! [`Limits`] allow, and pass over the rest of what is too long.
//!
//! ```
//! use bytes::BytesMut;
//! use hikyaku_smtp_proto::framer::{CommandFrame, CommandFramer, ReplyFramer};
//! use hikyaku_smtp_proto::Limits;
//!
//! let mut framer = CommandFramer::new(&Limits::default());
//! let mut input = BytesMut::from("DATA\r\n..dot\r\n.\r\nQUIT\r\n");
//! assert_eq!(framer.next(&mut input), Some(CommandFrame::Command("DATA".into())));
//! framer.expect_data(); // once 354 was sent
//! assert_eq!(framer.next(&mut input), Some(CommandFrame::Chunk(".dot\r\n".into())));
//! assert!(matches!(framer.next(&mut input), Some(CommandFrame::EndOfBody(_))));
//! assert_eq!(framer.next(&mut input), Some(CommandFrame::Command("QUIT".into())));
//!
//! let mut framer = ReplyFramer::new(&Limits::default());
//! let mut input = BytesMut::from("250-mx.test\r\n250 SIZE\r\n220");
//! assert_eq!(framer.next(&mut input), Some(Ok("250-mx.test\r\n250 SIZE\r\n".into())));
//! assert_eq!(framer.next(&mut input), None);
//! ```

use bytes::{Buf as _, Bytes, BytesMut};
use hikyaku_wire::{DotDecoder, DotStep, LineFramer};

pub use hikyaku_wire::{Irregular, LineError};

use crate::Limits;

/// What a [`CommandFramer`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandFrame {
    /// A command line, or the line that [`CommandFramer::expect_line`] waits for, without its CRLF.
    Command(Bytes),
    /// A line that is too long, or holds CR or LF alone: it is passed over.
    Refused(LineError),
    /// Octets of a message, never empty; dot-stuffing is removed behind DATA.
    Chunk(Bytes),
    /// The message of DATA is whole. One that holds what RFC 5321 §2.3.8 forbids is refused at the end of it.
    EndOfBody(Irregular),
    /// All octets of BDAT have come.
    EndOfChunk,
}

/// Finds where commands and messages end, on the server's side.
#[derive(Debug)]
pub struct CommandFramer {
    lines: LineFramer,
    line: usize,
    sasl_line: usize,
    next: Next,
}

#[derive(Debug)]
enum Next {
    Command,
    /// A SASL response.
    Line,
    Data(DotDecoder),
    /// How many octets of BDAT are to come.
    Octets(u64),
}

impl CommandFramer {
    /// Creates one that stands before a command. It uses the limits `line` and `sasl_line`.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            lines: LineFramer::default(),
            line: limits.line,
            sasl_line: limits.sasl_line,
            next: Next::Command,
        }
    }

    /// Expects the message of DATA next, up to its dot.
    pub fn expect_data(&mut self) {
        self.next = Next::Data(DotDecoder::new());
    }

    /// Expects the octets of BDAT next (RFC 3030), which follow it at once whatever is answered.
    pub fn expect_octets(&mut self, octets: u64) {
        self.next = Next::Octets(octets);
    }

    /// Expects a SASL response next, which may be longer than a command.
    pub fn expect_line(&mut self) {
        self.next = Next::Line;
    }

    /// Takes the next frame from `input`; `None` when more octets are needed.
    pub fn next(&mut self, input: &mut BytesMut) -> Option<CommandFrame> {
        match &mut self.next {
            Next::Data(decoder) => match decoder.next(input) {
                DotStep::Chunk(chunk) => Some(CommandFrame::Chunk(chunk)),
                DotStep::NeedInput => None,
                DotStep::End => {
                    let irregular = decoder.irregular();
                    self.next = Next::Command;
                    Some(CommandFrame::EndOfBody(irregular))
                }
            },
            Next::Octets(0) => {
                self.next = Next::Command;
                Some(CommandFrame::EndOfChunk)
            }
            Next::Octets(left) => {
                let some = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(input.len());
                if some == 0 {
                    return None;
                }
                *left -= some as u64;
                Some(CommandFrame::Chunk(input.split_to(some).freeze()))
            }
            Next::Command | Next::Line => {
                let limit = match self.next {
                    Next::Line => self.sasl_line,
                    _ => self.line,
                };
                let line = self.lines.next(input, limit)?;
                self.next = Next::Command;
                Some(match line {
                    Ok(line) => CommandFrame::Command(line.freeze()),
                    Err(error) => CommandFrame::Refused(error),
                })
            }
        }
    }

    /// Returns whether what has come of a command or a message is not whole: the end of the connection is an error
    /// then.
    #[must_use]
    pub fn is_inside(&self, input: &BytesMut) -> bool {
        !matches!(self.next, Next::Command) || self.lines.is_skipping() || !input.is_empty()
    }
}

/// A reply that passes [`Limits::reply_line`] or [`Limits::reply_lines`]. The rest of it is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("reply too long")]
#[allow(clippy::exhaustive_structs, reason = "it says all there is")]
pub struct TooLong;

/// Finds where replies end, on the client's side: behind the first line that has no `-` after its code (RFC 5321 §4.2.1).
#[derive(Debug)]
pub struct ReplyFramer {
    line: usize,
    most: usize,
    /// Where the line under way begins.
    line_start: usize,
    /// Up to here there is no line end.
    scanned: usize,
    lines: usize,
    /// The reply is passed over.
    skipping: bool,
}

impl ReplyFramer {
    /// Creates one that stands before a reply. It uses the limits `reply_line` and `reply_lines`.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            line: limits.reply_line,
            most: limits.reply_lines,
            line_start: 0,
            scanned: 0,
            lines: 0,
            skipping: false,
        }
    }

    /// Takes the next reply from `input`, all of its lines with their CRLF; `None` when more octets are needed.
    ///
    /// # Errors
    /// [`TooLong`]; what follows is good again.
    pub fn next(&mut self, input: &mut BytesMut) -> Option<Result<Bytes, TooLong>> {
        loop {
            let unseen = input.get(self.scanned..)?;
            let Some(lf) = memchr::memchr(b'\n', unseen).map(|at| at + self.scanned) else {
                self.scanned = input.len();
                if input.len() - self.line_start < self.line {
                    return None;
                }
                if self.skipping {
                    // What says whether it is the last line is kept, and a CR whose LF may be next.
                    self.shorten(input);
                    return None;
                }
                self.skipping = true;
                return Some(Err(TooLong));
            };
            self.scanned = lf + 1;
            // LF alone ends no line: what a line holds is no other line.
            if lf.checked_sub(1).and_then(|at| input.get(at)) != Some(&b'\r') {
                if lf - self.line_start >= self.line && !self.skipping {
                    self.skipping = true;
                    return Some(Err(TooLong));
                }
                continue;
            }
            let long = lf - self.line_start >= self.line;
            let line = input.get(self.line_start..lf).unwrap_or(&[]);
            let last = line.get(3) != Some(&b'-');
            self.lines += 1;
            self.line_start = lf + 1;
            let long = (long || self.lines > self.most) && !self.skipping;
            if !last {
                if self.skipping || long {
                    self.drop_lines(input);
                }
                if long {
                    self.skipping = true;
                    return Some(Err(TooLong));
                }
                continue;
            }
            let reply = input.split_to(lf + 1).freeze();
            let skipped = core::mem::replace(&mut self.skipping, false);
            (self.line_start, self.scanned, self.lines) = (0, 0, 0);
            match (skipped, long) {
                (true, _) => {}
                (false, true) => return Some(Err(TooLong)),
                (false, false) => return Some(Ok(reply)),
            }
        }
    }

    /// Lets go of whole lines that are passed over.
    fn drop_lines(&mut self, input: &mut BytesMut) {
        input.advance(self.line_start);
        self.scanned -= self.line_start;
        (self.line_start, self.lines) = (0, 0);
    }

    /// Lets go of the middle of a line that is passed over.
    fn shorten(&mut self, input: &mut BytesMut) {
        let line = input.get(self.line_start..).unwrap_or(&[]);
        let mut kept = BytesMut::from(line.get(..4).unwrap_or(line));
        // A CR among them is not the one before the LF.
        for octet in kept.iter_mut().filter(|octet| **octet == b'\r') {
            *octet = b' ';
        }
        kept.extend_from_slice(if line.ends_with(b"\r") { b"\r" } else { b"" });
        input.clear();
        input.extend_from_slice(&kept);
        (self.line_start, self.scanned, self.lines) = (0, kept.len(), 0);
    }

    /// Returns whether octets of a reply have come whose end has not: the end of the connection is an error then.
    #[must_use]
    pub fn is_inside(&self, input: &BytesMut) -> bool {
        self.skipping || !input.is_empty()
    }
}
