//! Where a command or a response ends, for those who do not use the machines.
//!
//! The framers look at a [`BytesMut`] that the caller reads into, cut from it what is whole, and look at no octet twice,
//! in whatever pieces it comes. What they give is a slice of the input: nothing is copied. They hold no more than
//! [`Limits`] allow, and pass over the rest of what is too long.
//!
//! Whether a response has more lines than one does not show in it (RFC 1939 §3): the caller, who knows the command, says
//! what to expect.
//!
//! ```
//! use bytes::BytesMut;
//! use hikyaku_pop3_proto::framer::{ResponseFrame, ResponseFramer};
//! use hikyaku_pop3_proto::Limits;
//!
//! let mut framer = ResponseFramer::new(&Limits::default());
//! let mut input = BytesMut::from("+OK\r\n1 20\r\n2 3\r\n.\r\n+OK\r\n..dot\r\n.\r\n-ERR");
//! let line = |text: &'static str| Some(ResponseFrame::Line(text.into()));
//! assert_eq!(framer.next(&mut input), line("+OK"));
//! framer.expect_lines(); // it answers LIST
//! assert_eq!(framer.next(&mut input), line("1 20"));
//! assert_eq!(framer.next(&mut input), line("2 3"));
//! assert_eq!(framer.next(&mut input), Some(ResponseFrame::End));
//! assert_eq!(framer.next(&mut input), line("+OK"));
//! framer.expect_message(); // it answers RETR
//! assert_eq!(framer.next(&mut input), Some(ResponseFrame::Chunk(".dot\r\n".into())));
//! assert_eq!(framer.next(&mut input), Some(ResponseFrame::End));
//! assert_eq!(framer.next(&mut input), None);
//! ```

use bytes::{Bytes, BytesMut};
use hikyaku_wire::{DotDecoder, DotStep, LineFramer};

pub use hikyaku_wire::LineError;

use crate::Limits;

/// Cuts command lines, and SASL responses, which may be longer.
#[derive(Debug)]
pub struct CommandFramer {
    lines: LineFramer,
    line: usize,
    sasl_line: usize,
    sasl: bool,
}

impl CommandFramer {
    /// Creates one that stands before a command. It uses the limits `line` and `sasl_line`.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            lines: LineFramer::default(),
            line: limits.line,
            sasl_line: limits.sasl_line,
            sasl: false,
        }
    }

    /// Expects a SASL response next, not a command.
    pub fn expect_line(&mut self) {
        self.sasl = true;
    }

    /// Takes the next line from `input`, without its CRLF; `None` when more octets are needed.
    ///
    /// # Errors
    /// [`LineError`]; the line is passed over.
    pub fn next(&mut self, input: &mut BytesMut) -> Option<Result<Bytes, LineError>> {
        let limit = if self.sasl { self.sasl_line } else { self.line };
        let line = self.lines.next(input, limit)?;
        self.sasl = false;
        Some(line.map(BytesMut::freeze))
    }

    /// Returns whether octets of a line have come whose end has not: the end of the connection is an error then.
    #[must_use]
    pub fn is_inside(&self, input: &BytesMut) -> bool {
        self.sasl || self.lines.is_skipping() || !input.is_empty()
    }
}

/// What a [`ResponseFramer`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseFrame {
    /// The first line of a response, or a line of a listing, without its CRLF; dot-stuffing is removed.
    Line(Bytes),
    /// Octets of a message, never empty; dot-stuffing is removed.
    Chunk(Bytes),
    /// The listing or the message is whole.
    End,
    /// A line that is too long, or holds CR or LF alone: it is passed over.
    Refused(LineError),
}

/// Finds where responses end, on the client's side.
#[derive(Debug)]
pub struct ResponseFramer {
    lines: LineFramer,
    line: usize,
    next: Next,
}

#[derive(Debug)]
enum Next {
    Response,
    Lines,
    Message(DotDecoder),
}

impl ResponseFramer {
    /// Creates one that stands before a response. It uses the limit `response_line`; messages are not held.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            lines: LineFramer::default(),
            line: limits.response_line,
            next: Next::Response,
        }
    }

    /// Expects the lines of a listing next, up to its dot: after the first line of a positive response to CAPA,
    /// LIST, UIDL, AUTH and LANG without an argument.
    pub fn expect_lines(&mut self) {
        self.next = Next::Lines;
    }

    /// Expects a message next, up to its dot: after the first line of a positive response to RETR and TOP.
    pub fn expect_message(&mut self) {
        self.next = Next::Message(DotDecoder::new());
    }

    /// Takes the next frame from `input`; `None` when more octets are needed.
    pub fn next(&mut self, input: &mut BytesMut) -> Option<ResponseFrame> {
        if let Next::Message(decoder) = &mut self.next {
            return match decoder.next(input) {
                DotStep::Chunk(chunk) => Some(ResponseFrame::Chunk(chunk)),
                DotStep::NeedInput => None,
                DotStep::End => {
                    self.next = Next::Response;
                    Some(ResponseFrame::End)
                }
            };
        }
        let line = match self.lines.next(input, self.line)? {
            Ok(line) => line.freeze(),
            Err(error) => return Some(ResponseFrame::Refused(error)),
        };
        if let Next::Response = self.next {
            return Some(ResponseFrame::Line(line));
        }
        Some(match line.strip_prefix(b".") {
            Some([]) => {
                self.next = Next::Response;
                ResponseFrame::End
            }
            Some(rest) => ResponseFrame::Line(line.slice_ref(rest)),
            None => ResponseFrame::Line(line),
        })
    }

    /// Returns whether what has come of a response is not whole: the end of the connection is an error then.
    #[must_use]
    pub fn is_inside(&self, input: &BytesMut) -> bool {
        !matches!(self.next, Next::Response) || self.lines.is_skipping() || !input.is_empty()
    }
}
