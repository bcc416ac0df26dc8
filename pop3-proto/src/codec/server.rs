//! The server's side: commands are decoded, responses encoded.

use alloc::collections::VecDeque;
use bytes::{Bytes, BytesMut};
use hikyaku_wire::{DotEncoder, LineError, Output, SaslLine, Secret, decode_sasl, encode_sasl};
use tokio_util::codec::{Decoder, Encoder};

use super::{Error, Follows, is_one_line, put};
use crate::framer::CommandFramer;
use crate::{Capabilities, Command, Limits, Response, SyntaxError};

/// What a client sent. Each is owed one response.
#[derive(Debug)]
#[non_exhaustive]
pub enum CommandItem {
    /// A command.
    Command(Command),
    /// What follows a challenge of AUTH.
    SaslResponse(Secret),
    /// AUTH was cancelled, or what came is no base64: `-ERR` is due.
    SaslCancelled,
    /// A line that is no command: `-ERR` is due.
    Malformed(SyntaxError),
    /// A line that is too long, or holds CR or LF alone: `-ERR` is due.
    Refused(LineError),
}

/// What a server sends.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendResponse {
    /// The first line of a response, and the only one but for some commands.
    Response(Response),
    /// A line of a listing, without its CRLF.
    Line(Bytes),
    /// The lines that answer CAPA.
    Capabilities(Capabilities),
    /// Octets of a message: dots at line starts are doubled, line ends mended.
    Chunk(Bytes),
    /// The listing or the message is whole.
    End,
    /// A challenge of AUTH, which goes out in base64.
    Challenge(Bytes),
}

impl From<Response> for SendResponse {
    fn from(response: Response) -> Self {
        Self::Response(response)
    }
}

/// Decodes commands and encodes responses.
#[derive(Debug)]
pub struct ServerCodec {
    framer: CommandFramer,
    /// What the next responses are for.
    owed: VecDeque<Follows>,
    state: State,
    sending: Sending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Commands,
    /// What comes next depends on the response that is owed last.
    Asked,
    Sasl,
    Over,
}

#[derive(Debug)]
enum Sending {
    Responses,
    Lines,
    Message(DotEncoder),
}

impl ServerCodec {
    /// Creates the codec of a new connection: the first response owed is the greeting.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            owed: [Follows::Nothing].into(),
            ..Self::after_tls(limits)
        }
    }

    /// Creates the codec of a connection on which TLS has just begun by STLS: no greeting is owed.
    #[must_use]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "as the other codecs take them"
    )]
    pub fn after_tls(limits: Limits) -> Self {
        Self {
            framer: CommandFramer::new(&limits),
            owed: VecDeque::new(),
            state: State::Commands,
            sending: Sending::Responses,
        }
    }

    /// Returns how many responses are owed, in the order of what was decoded.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.owed.len()
    }

    fn item(&mut self, line: Result<Bytes, LineError>) -> CommandItem {
        if self.state == State::Sasl {
            // Another challenge may follow.
            self.owed.push_back(Follows::Auth);
            self.state = State::Asked;
            return match line.as_deref().map(decode_sasl) {
                Ok(Ok(SaslLine::Response(response))) => CommandItem::SaslResponse(response),
                _ => CommandItem::SaslCancelled,
            };
        }
        let (follows, item) = match line.map(|line| Command::parse(&line)) {
            Ok(Ok(command)) => (Follows::of(&command), CommandItem::Command(command)),
            Ok(Err(error)) => (Follows::Nothing, CommandItem::Malformed(error)),
            Err(error) => (Follows::Nothing, CommandItem::Refused(error)),
        };
        if matches!(follows, Follows::Auth | Follows::Tls) {
            self.state = State::Asked;
        }
        self.owed.push_back(follows);
        item
    }

    fn respond(&mut self, response: &Response, output: &mut Output) -> Result<(), Error> {
        let Sending::Responses = self.sending else {
            return Err(Error::NotNow("a listing or a message has begun"));
        };
        let follows = self.owed.pop_front();
        // The response that decides is that of the item decoded last.
        let decides = self.owed.is_empty() && self.state == State::Asked;
        match follows {
            Some(Follows::Lines) if response.is_ok => self.sending = Sending::Lines,
            Some(Follows::Message) if response.is_ok => {
                self.sending = Sending::Message(DotEncoder::new());
            }
            Some(Follows::Tls) if decides && response.is_ok => self.state = State::Over,
            Some(Follows::Tls | Follows::Auth) if decides => self.state = State::Commands,
            _ => {}
        }
        response.encode(output);
        Ok(())
    }
}

impl Decoder for ServerCodec {
    type Item = CommandItem;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<CommandItem>, Error> {
        match self.state {
            State::Asked | State::Over if src.is_empty() => return Ok(None),
            State::Asked => return Err(Error::Early),
            State::Over => return Err(Error::Injected),
            State::Commands | State::Sasl => {}
        }
        let line = self.framer.next(src);
        Ok(line.map(|line| self.item(line)))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<CommandItem>, Error> {
        if let Some(item) = self.decode(src)? {
            return Ok(Some(item));
        }
        let inside = self.state != State::Over && self.framer.is_inside(src);
        let authenticating = self.owed.back() == Some(&Follows::Auth) && self.state == State::Asked;
        if inside || authenticating {
            return Err(Error::Inside);
        }
        Ok(None)
    }
}

impl Encoder<SendResponse> for ServerCodec {
    type Error = Error;

    fn encode(&mut self, item: SendResponse, dst: &mut BytesMut) -> Result<(), Error> {
        let mut output = Output::new();
        match (item, &mut self.sending) {
            (SendResponse::Response(response), _) => self.respond(&response, &mut output)?,
            (SendResponse::Line(line), Sending::Lines) => {
                if !is_one_line(&line) {
                    return Err(Error::Unencodable);
                }
                output.write(if line.starts_with(b".") { b"." } else { b"" });
                output.write(&line);
                output.write(b"\r\n");
            }
            (SendResponse::Capabilities(all), Sending::Lines) => all.encode(&mut output),
            (SendResponse::Chunk(octets), Sending::Message(encoder)) => {
                encoder.chunk(octets, &mut output);
            }
            (SendResponse::End, Sending::Lines) => {
                output.write(b".\r\n");
                self.sending = Sending::Responses;
            }
            (SendResponse::End, Sending::Message(encoder)) => {
                core::mem::take(encoder).end(&mut output);
                self.sending = Sending::Responses;
            }
            (SendResponse::Challenge(challenge), Sending::Responses) => {
                if self.owed.front() != Some(&Follows::Auth) || self.owed.len() > 1 {
                    return Err(Error::NotNow("AUTH is not what is answered next"));
                }
                self.owed.pop_front();
                self.framer.expect_line();
                self.state = State::Sasl;
                output.write(b"+ ");
                output.write(&encode_sasl(&challenge));
                output.write(b"\r\n");
            }
            _ => return Err(Error::NotNow("that is no part of what has begun")),
        }
        put(output, dst);
        Ok(())
    }
}
