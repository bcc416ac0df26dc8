//! The client's side: commands and messages are encoded, replies decoded.

use alloc::collections::VecDeque;
use bytes::{Bytes, BytesMut};
use hikyaku_wire::{DotEncoder, Output, Secret, write_response};
use tokio_util::codec::{Decoder, Encoder};

use super::{Error, is_one_line, put};
use crate::framer::ReplyFramer;
use crate::{Command, Limits, Reply, SyntaxError};

/// What a client sends.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendCommand {
    /// A command. Behind BDAT its octets follow as [`Chunk`](Self::Chunk)s, as many as it announces.
    Command(Command),
    /// Octets of a message: of BDAT as they are, else behind a 354, dots at line starts doubled and line ends mended.
    Chunk(Bytes),
    /// The message of DATA is whole.
    EndOfBody,
    /// Answers a challenge (334) of AUTH; `None` cancels.
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
pub enum ReplyItem {
    /// A reply, all of its lines.
    Reply(Reply),
    /// Lines that are no reply.
    Malformed(SyntaxError),
    /// A reply that passes a limit, and was passed over.
    TooLong,
}

/// The codec of a client: encodes [`SendCommand`]s and decodes [`ReplyItem`]s.
///
/// It counts the replies that are [`owed`](Self::owed), and refuses to encode what the server cannot take yet
/// ([`Error::NotNow`]). The [module](super) has an example.
#[derive(Debug)]
pub struct ClientCodec {
    framer: ReplyFramer,
    /// What replies are due to, in order.
    pending: VecDeque<Pending>,
    state: State,
    lmtp: bool,
    recipients: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    Transaction,
    Rcpt,
    Data,
    Auth,
    StartTls,
    /// A message: one reply, or in LMTP one for each recipient, which is known when all before it is answered.
    Message,
    Other,
}

#[derive(Debug)]
enum State {
    Commands,
    /// Nothing may be sent before the reply to the last command.
    Waiting,
    /// A SASL response is due.
    Challenged,
    Data(DotEncoder),
    /// How many octets of BDAT are to come.
    Octets(u64),
    Over,
}

impl ClientCodec {
    /// Creates the codec of a new connection: the first reply is the greeting.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            pending: [Pending::Other].into(),
            ..Self::after_tls(limits)
        }
    }

    /// Creates the codec of a connection on which TLS has just begun by STARTTLS: no greeting comes.
    #[must_use]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "as the other codecs take them"
    )]
    pub fn after_tls(limits: Limits) -> Self {
        Self {
            framer: ReplyFramer::new(&limits),
            pending: VecDeque::new(),
            state: State::Commands,
            lmtp: false,
            recipients: 0,
        }
    }

    /// Returns how many replies the server owes. In LMTP, the replies to a message count as one until everything before
    /// it is answered.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.pending.len()
    }

    /// Counts the replies to a message that is answered next.
    fn count(&mut self) {
        while self.pending.front() == Some(&Pending::Message) {
            self.pending.pop_front();
            let replies = if self.lmtp { self.recipients } else { 1 };
            self.recipients = 0;
            for _ in 0..replies {
                self.pending.push_front(Pending::Other);
            }
        }
    }

    /// What a reply changes for the encoder.
    fn replied(&mut self, reply: &Reply) -> Result<(), Error> {
        let Some(pending) = self.pending.pop_front() else {
            // A server may say at any time that it closes, and in a message that it has seen enough.
            return match reply.is_positive() || reply.is_intermediate() {
                true => Err(Error::Unasked),
                false => Ok(()),
            };
        };
        match pending {
            Pending::Transaction if reply.is_positive() => self.recipients = 0,
            Pending::Rcpt if reply.is_positive() => self.recipients += 1,
            Pending::Data => {
                self.state = match reply.code() {
                    354 => State::Data(DotEncoder::new()),
                    _ => State::Commands,
                };
            }
            Pending::Auth => {
                self.state = match reply.code() {
                    334 => State::Challenged,
                    _ => State::Commands,
                };
            }
            Pending::StartTls => {
                self.state = match reply.is_positive() {
                    true => State::Over,
                    false => State::Commands,
                };
            }
            _ => {}
        }
        self.count();
        Ok(())
    }

    fn command(&mut self, command: &Command, output: &mut Output) -> Result<(), Error> {
        match self.state {
            State::Commands => {}
            State::Octets(_) => return Err(Error::WrongLength),
            State::Data(_) => return Err(Error::NotNow("inside a message")),
            _ => return Err(Error::NotNow("the reply to the last command is due")),
        }
        command.encode(output);
        if output.has_replaced() || !is_one_line(output) {
            return Err(Error::Unencodable);
        }
        let pending = match command {
            Command::Bdat { octets, last } => {
                if *octets > 0 {
                    self.state = State::Octets(*octets);
                }
                self.pending.push_back(match last {
                    true => Pending::Message,
                    false => Pending::Other,
                });
                self.count();
                return Ok(());
            }
            Command::Lhlo(_) => {
                self.lmtp = true;
                Pending::Transaction
            }
            Command::Ehlo(_) | Command::Helo(_) => {
                self.lmtp = false;
                Pending::Transaction
            }
            Command::Mail { .. } | Command::Rset => Pending::Transaction,
            Command::Rcpt { .. } => Pending::Rcpt,
            Command::Data => Pending::Data,
            Command::Auth { .. } => Pending::Auth,
            Command::StartTls => Pending::StartTls,
            _ => Pending::Other,
        };
        if matches!(pending, Pending::Data | Pending::Auth | Pending::StartTls) {
            self.state = State::Waiting;
        }
        self.pending.push_back(pending);
        Ok(())
    }
}

impl Encoder<SendCommand> for ClientCodec {
    type Error = Error;

    fn encode(&mut self, item: SendCommand, dst: &mut BytesMut) -> Result<(), Error> {
        let mut output = Output::new();
        match item {
            SendCommand::Command(command) => self.command(&command, &mut output)?,
            SendCommand::Chunk(octets) => match &mut self.state {
                State::Data(encoder) => encoder.chunk(octets, &mut output),
                State::Octets(left) => {
                    let rest = left.checked_sub(octets.len() as u64);
                    *left = rest.ok_or(Error::WrongLength)?;
                    if *left == 0 {
                        self.state = State::Commands;
                    }
                    output.push(octets);
                }
                _ => return Err(Error::NotNow("no message is asked for")),
            },
            SendCommand::EndOfBody => {
                let State::Data(encoder) = &mut self.state else {
                    return Err(Error::NotNow("no message has begun"));
                };
                core::mem::take(encoder).end(&mut output);
                self.state = State::Commands;
                self.pending.push_back(Pending::Message);
                self.count();
            }
            SendCommand::SaslResponse(response) => {
                let State::Challenged = self.state else {
                    return Err(Error::NotNow("no challenge has come"));
                };
                write_response(response.as_ref(), &mut output);
                self.state = State::Waiting;
                self.pending.push_back(Pending::Auth);
            }
        }
        put(output, dst);
        Ok(())
    }
}

impl Decoder for ClientCodec {
    type Item = ReplyItem;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<ReplyItem>, Error> {
        if let State::Over = self.state {
            // Sent in clear, so by anybody.
            return match src.is_empty() {
                true => Ok(None),
                false => Err(Error::Injected),
            };
        }
        let reply = match self.framer.next(src) {
            None => return Ok(None),
            Some(Err(_)) => Err(ReplyItem::TooLong),
            Some(Ok(reply)) => Reply::parse(&reply).map_err(ReplyItem::Malformed),
        };
        Ok(Some(match reply {
            Ok(reply) => {
                self.replied(&reply)?;
                ReplyItem::Reply(reply)
            }
            Err(item) => {
                // It stands for the reply that was due, and means no.
                if let Some(Pending::Data | Pending::Auth | Pending::StartTls) =
                    self.pending.pop_front()
                {
                    self.state = State::Commands;
                }
                self.count();
                item
            }
        }))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<ReplyItem>, Error> {
        if let Some(item) = self.decode(src)? {
            return Ok(Some(item));
        }
        if !matches!(self.state, State::Over) && self.framer.is_inside(src) {
            return Err(Error::Inside);
        }
        Ok(None)
    }
}
