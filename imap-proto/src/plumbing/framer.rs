//! Where a command or a response ends, literals inside, for those who do not use the machines.
//!
//! The framers look at a [`BytesMut`] that the caller reads into, cut from it what is whole, and look at no octet twice,
//! in whatever pieces it comes. What they give is a slice of the input: nothing is copied. They hold no more than
//! [`Limits`] allow, and recover from what is too long: the rest of a command or response is passed over, a literal that
//! was refused too, so that its octets are never taken for commands.
//!
//! [`CommandFramer`] stands on the server's side, [`ResponseFramer`] on the client's. The machines frame with the same
//! code; [`Tagged::parse`](crate::Tagged::parse) and [`Received::parse`](crate::Received::parse) read what is framed.
//!
//! ```
//! use bytes::BytesMut;
//! use hikyaku_imap_proto::framer::{CommandFrame, CommandFramer, ResponseFrame, ResponseFramer};
//! use hikyaku_imap_proto::Limits;
//!
//! let mut framer = CommandFramer::new(&Limits::default());
//! let mut input = BytesMut::from("a LOGIN joe {3+}\r\npwd\r\nb NOOP\r\nc LOG");
//! let whole = |text: &'static str| Some(CommandFrame::Command(text.into()));
//! assert_eq!(framer.next(&mut input), whole("a LOGIN joe {3+}\r\npwd"));
//! assert_eq!(framer.next(&mut input), whole("b NOOP"));
//! assert_eq!(framer.next(&mut input), None);
//!
//! let mut limits = Limits::default();
//! limits.folded = 4;
//! let mut framer = ResponseFramer::new(&limits);
//! let mut input = BytesMut::from("* 1 FETCH (UID 7 BODY[] {5}\r\nhello FLAGS ())\r\n");
//! let head = "* 1 FETCH (UID 7 BODY[] ".into();
//! assert_eq!(framer.next(&mut input), Some(Ok(ResponseFrame::Section { head, octets: 5 })));
//! assert_eq!(framer.next(&mut input), Some(Ok(ResponseFrame::Chunk("hello".into()))));
//! assert_eq!(framer.next(&mut input), Some(Ok(ResponseFrame::Rest(" FLAGS ())".into()))));
//! ```

use bytes::{Buf as _, Bytes, BytesMut};

use crate::Limits;
use crate::client::frame::{self as responses, Malformed};
use crate::plumbing::frame::{self as commands, tag_of};

pub use crate::plumbing::frame::{Literal, Refusal};

/// What a [`CommandFramer`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandFrame {
    /// A whole command without its last CRLF, its literals inside.
    Command(Bytes),
    /// A synchronizing literal in a command: `+` is due, and the octets come behind it. To say no instead, call
    /// [`CommandFramer::refuse`].
    Continue {
        /// Of the command; `None` in an APPEND, whose first segment has it, and when it has none that can be read.
        tag: Option<Bytes>,
        /// How many octets the literal has.
        octets: u64,
    },
    /// A piece of APPEND or REPLACE: what stands before a message's literal, between two, or behind the last one.
    /// The octets of the literal follow as [`Chunk`](Self::Chunk)s, when `+` was sent where it is synchronizing.
    /// [`CommandFramer::refuse`] passes over what is still to come.
    Segment {
        /// Without the announcement, whose `~` it has when the literal is a literal8.
        head: Bytes,
        /// The literal behind it; `None` behind the last one.
        literal: Option<Literal>,
    },
    /// The next octets of that literal, never empty.
    Chunk(Bytes),
    /// Refused; the rest of it is passed over.
    Refused {
        /// Its tag, when that could be read.
        tag: Option<Bytes>,
        /// Why it did not get through.
        refusal: Refusal,
    },
}

/// Finds where commands end (RFC 9051 §4.3, RFC 7888).
#[derive(Debug)]
pub struct CommandFramer {
    inner: commands::Framer,
    command: usize,
    literal: u64,
    line: usize,
    state: Between,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    Commands,
    /// A synchronizing literal in a command was announced.
    Continue,
    /// It was refused.
    Withdrawn,
    /// A message was announced.
    Announced(Literal),
    /// So many octets of it are still to come.
    Chunks(u64),
    /// Behind a message.
    Segments,
    /// A synchronizing literal was announced there: a URL of CATENATE.
    ContinueSegments,
}

impl CommandFramer {
    /// Stands before a command. Of the limits it knows `command`, `literal` and `sasl_line`.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            inner: commands::Framer::default(),
            command: limits.command,
            literal: limits.literal,
            line: limits.sasl_line,
            state: Between::Commands,
        }
    }

    /// The next frame, or `None` when more octets are needed.
    pub fn next(&mut self, input: &mut BytesMut) -> Option<CommandFrame> {
        match self.state {
            Between::Withdrawn => self.inner.withdraw(input),
            Between::Announced(literal) => self.state = Between::Chunks(literal.octets),
            _ => {}
        }
        if let Between::Chunks(left) = self.state
            && left > 0
        {
            let some = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
            if some == 0 {
                return None;
            }
            self.state = Between::Chunks(left - some as u64);
            return Some(CommandFrame::Chunk(input.split_to(some).freeze()));
        }
        let in_append = matches!(
            self.state,
            Between::Chunks(_) | Between::Segments | Between::ContinueSegments
        );
        self.state = match in_append {
            true => Between::Segments,
            false => Between::Commands,
        };
        let (limit, literal) = (self.command, self.literal);
        let head = self.inner.next(input, limit, literal, in_append)?;
        Some(match head {
            commands::Framed::Unit(unit) => {
                self.state = Between::Commands;
                let unit = unit.freeze();
                // An APPEND without a literal, as CATENATE of URLs has it, is one segment.
                match in_append || commands::begins_append(&unit) {
                    true => CommandFrame::Segment {
                        head: unit,
                        literal: None,
                    },
                    false => CommandFrame::Command(unit),
                }
            }
            commands::Framed::Continue(Literal { octets, .. }) => {
                self.state = match in_append {
                    true => Between::ContinueSegments,
                    false => Between::Continue,
                };
                CommandFrame::Continue {
                    tag: tag_of(input).filter(|_| !in_append),
                    octets,
                }
            }
            commands::Framed::Append(head, literal) => {
                self.state = Between::Announced(literal);
                CommandFrame::Segment {
                    head,
                    literal: Some(literal),
                }
            }
            commands::Framed::Refused(head, refusal) => {
                self.state = Between::Commands;
                CommandFrame::Refused {
                    tag: tag_of(&head).filter(|_| !in_append),
                    refusal,
                }
            }
        })
    }

    /// The next line, which is no command but a SASL response or DONE: without its CRLF, or an error when it is too
    /// long or announces a literal.
    ///
    /// # Errors
    /// [`Refusal`]; the line is passed over.
    pub fn next_line(&mut self, input: &mut BytesMut) -> Option<Result<Bytes, Refusal>> {
        Some(match self.inner.next(input, self.line, 0, false)? {
            commands::Framed::Unit(line) => Ok(line.freeze()),
            commands::Framed::Refused(_, refusal) => Err(refusal),
            commands::Framed::Continue(_) => {
                self.inner.withdraw(input);
                Err(Refusal::LiteralTooBig)
            }
            commands::Framed::Append(..) => Err(Refusal::LiteralTooBig),
        })
    }

    /// Refuses the literal that was announced last, or what is still to come of a message: the rest of the command is
    /// passed over. Does nothing between commands.
    pub fn refuse(&mut self) {
        let state = core::mem::replace(&mut self.state, Between::Commands);
        match state {
            Between::Continue => self.state = Between::Withdrawn,
            Between::Announced(literal) if !literal.synchronizing => {
                self.inner.skip_octets(literal.octets);
            }
            Between::Chunks(left) => self.inner.skip_octets(left),
            Between::Segments | Between::ContinueSegments => self.inner.skip_line(),
            _ => {}
        }
    }

    /// Octets in `input` that came although the client has to wait for `+` first.
    #[must_use]
    pub fn early(&self, input: &BytesMut) -> usize {
        match self.state {
            Between::Continue | Between::ContinueSegments => {
                input.len().saturating_sub(self.inner.announced())
            }
            Between::Announced(literal) if literal.synchronizing => input.len(),
            _ => 0,
        }
    }

    /// Whether octets of a command have come whose end has not: the end of the connection is an error then.
    #[must_use]
    pub fn is_inside(&self, input: &BytesMut) -> bool {
        self.state != Between::Commands || self.inner.is_in_command() || !input.is_empty()
    }
}

/// What a [`ResponseFramer`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseFrame {
    /// A whole response without its last CRLF, its literals inside. Where a literal that passes
    /// [`Limits::response_literal`] stood, NIL stands. Empty for an empty line.
    Response(Bytes),
    /// A FETCH response up to the literal of a section that passes [`Limits::folded`]; its octets follow as
    /// [`Chunk`](Self::Chunk)s. When more than one streams, it begins behind the one before.
    Section {
        /// Without the announcement.
        head: Bytes,
        /// How many octets the section has.
        octets: u64,
    },
    /// The next octets of that literal, never empty.
    Chunk(Bytes),
    /// What is left of a FETCH response behind its last section that streams.
    Rest(Bytes),
    /// A response passes [`Limits::response`]; the rest of it is passed over.
    TooLong,
}

/// A literal of more than 63 bits: where the response ends cannot be known, and the connection has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("literal of more than 63 bits")]
#[allow(clippy::exhaustive_structs, reason = "it says all there is")]
pub struct Endless;

/// Finds where responses end, and where the literal of a section begins, which streams.
#[derive(Debug)]
pub struct ResponseFramer {
    inner: responses::Framer,
    response: usize,
    literal: u64,
    folded: u64,
    state: Reading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Responses,
    /// So many octets of a section are still to come.
    Section(u64),
    /// Behind a section.
    Rest,
    Skip(Skip),
}

/// What is passed over of a response that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Skip {
    Octets(u64),
    /// To the end of the line; whether it is a text, in which `{5}` announces nothing.
    Line(bool),
}

impl ResponseFramer {
    /// Stands before a response. Of the limits it knows `response`, `response_literal` and `folded`.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            inner: responses::Framer::default(),
            response: limits.response,
            literal: limits.response_literal,
            folded: limits.folded,
            state: Reading::Responses,
        }
    }

    /// The next frame, or `None` when more octets are needed. It may take many whole lines from `input` at once:
    /// [`give_back`](Self::give_back) returns them before something else is to read there.
    ///
    /// # Errors
    /// [`Endless`], which is final.
    pub fn next(&mut self, input: &mut BytesMut) -> Option<Result<ResponseFrame, Endless>> {
        match self.state {
            Reading::Section(left) if left > 0 => {
                let some = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                if some == 0 {
                    return None;
                }
                self.state = Reading::Section(left - some as u64);
                return Some(Ok(ResponseFrame::Chunk(input.split_to(some).freeze())));
            }
            Reading::Section(_) => {
                self.inner.behind_section();
                self.state = Reading::Rest;
            }
            Reading::Skip(skip) => {
                if let Err(endless) = self.pass_over(skip, input)? {
                    return Some(Err(endless));
                }
            }
            Reading::Responses | Reading::Rest => {}
        }
        let folded = Some(self.folded);
        let next = self
            .inner
            .next(input, self.response, self.literal, folded)?;
        let behind = core::mem::replace(&mut self.state, Reading::Responses) == Reading::Rest;
        Some(Ok(match next {
            Ok(responses::Framed::Line(place)) => {
                ResponseFrame::Response(self.inner.lines().slice(place))
            }
            Ok(responses::Framed::Unit(rest)) if behind => ResponseFrame::Rest(rest),
            Ok(responses::Framed::Unit(unit)) => ResponseFrame::Response(unit),
            Ok(responses::Framed::Section(head, octets)) => {
                self.state = Reading::Section(octets);
                ResponseFrame::Section { head, octets }
            }
            Err(Malformed::LineTooLong) => ResponseFrame::TooLong,
            Err(Malformed::TooLong) => {
                let is_text = self.inner.abandon(input);
                self.state = Reading::Skip(Skip::Line(is_text));
                ResponseFrame::TooLong
            }
            Err(Malformed::Literal) => return Some(Err(Endless)),
        }))
    }

    /// `None` while more is to be passed over than there is.
    fn pass_over(&mut self, mut skip: Skip, input: &mut BytesMut) -> Option<Result<(), Endless>> {
        loop {
            self.state = Reading::Skip(skip);
            match skip {
                Skip::Octets(left) => {
                    let some = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    input.advance(some);
                    let left = left - some as u64;
                    if left > 0 {
                        self.state = Reading::Skip(Skip::Octets(left));
                        return None;
                    }
                    skip = Skip::Line(false);
                }
                Skip::Line(is_text) => {
                    let Some(lf) = memchr::memchr(b'\n', input) else {
                        // The longest announcement is kept.
                        input.advance(input.len().saturating_sub(32));
                        return None;
                    };
                    let line = input.get(..lf).unwrap_or(&[]);
                    let line = line.strip_suffix(b"\r").unwrap_or(line);
                    let announced = responses::announced(line).filter(|_| !is_text);
                    input.advance(lf + 1);
                    match announced {
                        None => {
                            self.state = Reading::Responses;
                            return Some(Ok(()));
                        }
                        Some((Some(octets), _)) => skip = Skip::Octets(octets),
                        Some((None, _)) => return Some(Err(Endless)),
                    }
                }
            }
        }
    }

    /// Puts back what was taken from the input and not given yet: call it before TLS or a compression begins.
    pub fn give_back(&mut self, input: &mut BytesMut) {
        self.inner.give_back(input);
    }

    /// Whether octets of a response have come whose end has not: the end of the connection is an error then.
    #[must_use]
    pub fn is_inside(&self, input: &BytesMut) -> bool {
        self.state != Reading::Responses || self.inner.is_inside() || !input.is_empty()
    }
}
