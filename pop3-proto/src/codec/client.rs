//! The client's side: commands are encoded, responses decoded.

use alloc::collections::VecDeque;
use bytes::{Bytes, BytesMut};
use hikyaku_wire::{LineError, Output, SaslLine, Secret, decode_sasl, write_response};
use tokio_util::codec::{Decoder, Encoder};

use super::{Error, Follows, is_one_line, put};
use crate::framer::{ResponseFrame, ResponseFramer};
use crate::{Command, Limits, Response};

/// What a client sends.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendCommand {
    /// A command.
    Command(Command),
    /// Answers a challenge of AUTH; `None` cancels.
    SaslResponse(Option<Secret>),
}

impl From<Command> for SendCommand {
    fn from(command: Command) -> Self {
        Self::Command(command)
    }
}

/// What a server sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseItem {
    /// The first line of a response, and the only one but for some commands.
    Response(Response),
    /// A line of a listing, without its CRLF.
    Line(Bytes),
    /// Octets of a message, never empty, without dot-stuffing.
    Chunk(Bytes),
    /// The listing or the message is whole.
    End,
    /// A challenge of AUTH, decoded.
    Challenge(Bytes),
    /// A line that is no response, as it was sent. It stands for the response that was due.
    Malformed(Bytes),
    /// A line that is too long, or holds CR or LF alone. Where no listing is under way it stands for the response that
    /// was due.
    Refused(LineError),
}

/// Encodes commands and decodes responses.
#[derive(Debug)]
pub struct ClientCodec {
    framer: ResponseFramer,
    /// What responses are due to, in order.
    pending: VecDeque<Follows>,
    state: State,
    /// The lines of a listing come.
    listing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Commands,
    /// Nothing may be sent before the response to the last command.
    Waiting,
    /// A SASL response is due.
    Challenged,
    Over,
}

impl ClientCodec {
    /// Creates the codec of a new connection: the first response is the greeting.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            pending: [Follows::Nothing].into(),
            ..Self::after_tls(limits)
        }
    }

    /// Creates the codec of a connection on which TLS has just begun by STLS: no greeting comes.
    #[must_use]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "as the other codecs take them"
    )]
    pub fn after_tls(limits: Limits) -> Self {
        Self {
            framer: ResponseFramer::new(&limits),
            pending: VecDeque::new(),
            state: State::Commands,
            listing: false,
        }
    }

    /// Returns how many responses the server owes.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.pending.len()
    }

    /// The response that was due is none, or a negative one.
    fn failed(&mut self) {
        if let Some(Follows::Auth | Follows::Tls) = self.pending.pop_front() {
            self.state = State::Commands;
        }
    }

    fn line(&mut self, line: Bytes) -> ResponseItem {
        if self.listing {
            return ResponseItem::Line(line);
        }
        let response = Response::parse(&line);
        if response.is_none()
            && self.pending.front() == Some(&Follows::Auth)
            && let Some(challenge) = line.strip_prefix(b"+")
            && let Ok(SaslLine::Response(challenge)) = decode_sasl(challenge.trim_ascii())
        {
            self.pending.pop_front();
            self.state = State::Challenged;
            return ResponseItem::Challenge(Bytes::copy_from_slice(challenge.expose()));
        }
        let Some(response) = response else {
            self.failed();
            return ResponseItem::Malformed(line);
        };
        if !response.is_ok {
            self.failed();
            return ResponseItem::Response(response);
        }
        match self.pending.pop_front() {
            Some(Follows::Lines) => {
                self.listing = true;
                self.framer.expect_lines();
            }
            Some(Follows::Message) => self.framer.expect_message(),
            Some(Follows::Auth) => self.state = State::Commands,
            Some(Follows::Tls) => self.state = State::Over,
            Some(Follows::Nothing) | None => {}
        }
        ResponseItem::Response(response)
    }
}

impl Encoder<SendCommand> for ClientCodec {
    type Error = Error;

    fn encode(&mut self, item: SendCommand, dst: &mut BytesMut) -> Result<(), Error> {
        let mut output = Output::new();
        match item {
            SendCommand::Command(command) => {
                if self.state != State::Commands {
                    return Err(Error::NotNow("the response to the last command is due"));
                }
                command.encode(&mut output);
                let mut line = BytesMut::new();
                put(output, &mut line);
                let whole = line.strip_suffix(b"\r\n").is_some_and(is_one_line);
                if !whole || !command.is_encodable() {
                    return Err(Error::Unencodable);
                }
                let follows = Follows::of(&command);
                if matches!(follows, Follows::Auth | Follows::Tls) {
                    self.state = State::Waiting;
                }
                self.pending.push_back(follows);
                dst.extend_from_slice(&line);
                return Ok(());
            }
            SendCommand::SaslResponse(response) => {
                if self.state != State::Challenged {
                    return Err(Error::NotNow("no challenge has come"));
                }
                write_response(response.as_ref(), &mut output);
                self.state = State::Waiting;
                self.pending.push_back(Follows::Auth);
            }
        }
        put(output, dst);
        Ok(())
    }
}

impl Decoder for ClientCodec {
    type Item = ResponseItem;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<ResponseItem>, Error> {
        if self.state == State::Over {
            // Sent in clear, so by anybody.
            return match src.is_empty() {
                true => Ok(None),
                false => Err(Error::Injected),
            };
        }
        let mut frame = self.framer.next(src);
        // Between two responses: outlook.office365.com sends an empty line before its answer to DELE.
        while !self.listing && matches!(&frame, Some(ResponseFrame::Line(line)) if line.is_empty())
        {
            frame = self.framer.next(src);
        }
        Ok(Some(match frame {
            None => return Ok(None),
            Some(ResponseFrame::Line(line)) => self.line(line),
            Some(ResponseFrame::Chunk(octets)) => ResponseItem::Chunk(octets),
            Some(ResponseFrame::End) => {
                self.listing = false;
                ResponseItem::End
            }
            Some(ResponseFrame::Refused(error)) => {
                if !self.listing {
                    self.failed();
                }
                ResponseItem::Refused(error)
            }
        }))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<ResponseItem>, Error> {
        if let Some(item) = self.decode(src)? {
            return Ok(Some(item));
        }
        if self.state != State::Over && self.framer.is_inside(src) {
            return Err(Error::Inside);
        }
        Ok(None)
    }
}
