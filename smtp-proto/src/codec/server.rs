//! The server's side: commands are decoded, replies encoded.

use alloc::collections::VecDeque;
use bytes::{Bytes, BytesMut};
use hikyaku_wire::{Irregular, LineError, Output, SaslLine, Secret, decode_sasl};
use tokio_util::codec::{Decoder, Encoder};

use super::{Error, put};
use crate::framer::{CommandFrame, CommandFramer};
use crate::{Command, Limits, Reply, SyntaxError};

/// What a client sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum CommandItem {
    /// A command. Behind BDAT its octets follow as [`Chunk`](Self::Chunk)s whatever is answered, then
    /// [`EndOfChunk`](Self::EndOfChunk), which is what the reply is owed to; behind a DATA that was answered 354 those
    /// of the message.
    Command(Command),
    /// Octets of a message, never empty, without dot-stuffing.
    Chunk(Bytes),
    /// The message of DATA is whole. One with what is irregular is to be refused (554).
    EndOfBody(Irregular),
    /// The octets of a BDAT are whole.
    EndOfChunk {
        /// So is the message.
        last: bool,
    },
    /// What follows a 334 reply to AUTH.
    SaslResponse(Secret),
    /// AUTH was cancelled, or what came is no base64: 501 is due.
    SaslCancelled,
    /// A line that is no command: 500 is due where its offset is 0, else 501.
    Malformed(SyntaxError),
    /// A line that is too long, or holds CR or LF alone: 500 is due.
    Refused(LineError),
}

/// The codec of a server: decodes [`CommandItem`]s and encodes [`Reply`]s.
///
/// It counts the replies that are [`owed`](Self::owed), and decodes nothing behind DATA, AUTH and STARTTLS before
/// these are answered. The [module](super) has an example.
#[derive(Debug)]
pub struct ServerCodec {
    framer: CommandFramer,
    /// What the next replies are for.
    owed: VecDeque<Owed>,
    state: State,
    lmtp: bool,
    /// RCPTs that were accepted in the transaction under way.
    recipients: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owed {
    Greeting,
    /// What begins a new transaction or ends one.
    Transaction,
    Rcpt,
    Data,
    Auth,
    StartTls,
    /// A message: one reply, or in LMTP one for each recipient, which is known when all before it is answered.
    Message,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Commands,
    /// What comes next depends on the reply that is owed last.
    Asked,
    Sasl,
    /// A message of DATA.
    Data,
    Octets {
        last: bool,
    },
    Over,
}

impl ServerCodec {
    /// Creates the codec of a new connection: the first reply owed is the greeting.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            owed: [Owed::Greeting].into(),
            ..Self::after_tls(limits)
        }
    }

    /// Creates the codec of a connection on which TLS has just begun by STARTTLS: no greeting is owed, and nothing that
    /// was said in clear is known (RFC 3207 §4.2). Use it with a new `Framed`.
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
            lmtp: false,
            recipients: 0,
        }
    }

    /// Returns how many replies the server owes, the greeting included. They are due in the order in which the items
    /// were decoded. In LMTP, the replies to a message count as one until everything before it is answered.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.owed.len()
    }

    fn command(&mut self, line: &Bytes) -> CommandItem {
        let command = match Command::parse(line) {
            Ok(command) => command,
            Err(error) => {
                self.owed.push_back(Owed::Other);
                return CommandItem::Malformed(error);
            }
        };
        let owed = match &command {
            Command::Bdat { octets, last } => {
                self.framer.expect_octets(*octets);
                self.state = State::Octets { last: *last };
                return CommandItem::Command(command);
            }
            Command::Lhlo(_) => {
                self.lmtp = true;
                Owed::Transaction
            }
            Command::Ehlo(_) | Command::Helo(_) => {
                self.lmtp = false;
                Owed::Transaction
            }
            Command::Mail { .. } | Command::Rset => Owed::Transaction,
            Command::Rcpt { .. } => Owed::Rcpt,
            Command::Data => Owed::Data,
            Command::Auth { .. } => Owed::Auth,
            Command::StartTls => Owed::StartTls,
            _ => Owed::Other,
        };
        if matches!(owed, Owed::Data | Owed::Auth | Owed::StartTls) {
            self.state = State::Asked;
        }
        self.owed.push_back(owed);
        CommandItem::Command(command)
    }

    /// What is owed for a message.
    fn whole(&mut self) {
        self.owed.push_back(Owed::Message);
        self.state = State::Commands;
        self.count();
    }

    /// Counts the replies of a message that is answered next.
    fn count(&mut self) {
        while self.owed.front() == Some(&Owed::Message) {
            self.owed.pop_front();
            let replies = if self.lmtp { self.recipients } else { 1 };
            self.recipients = 0;
            for _ in 0..replies {
                self.owed.push_front(Owed::Other);
            }
        }
    }

    fn sasl(&mut self, line: &[u8]) -> CommandItem {
        // Another challenge may follow.
        self.owed.push_back(Owed::Auth);
        self.state = State::Asked;
        match decode_sasl(line) {
            Ok(SaslLine::Response(response)) => CommandItem::SaslResponse(response),
            _ => CommandItem::SaslCancelled,
        }
    }
}

impl Decoder for ServerCodec {
    type Item = CommandItem;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<CommandItem>, Error> {
        match self.state {
            State::Asked if src.is_empty() => return Ok(None),
            State::Asked => return Err(Error::Early),
            State::Over if src.is_empty() => return Ok(None),
            State::Over => return Err(Error::Injected),
            _ => {}
        }
        let Some(frame) = self.framer.next(src) else {
            return Ok(None);
        };
        Ok(Some(match (frame, self.state) {
            (CommandFrame::Command(line), State::Sasl) => self.sasl(&line),
            (CommandFrame::Refused(_), State::Sasl) => self.sasl(b"?"),
            (CommandFrame::Command(line), _) => self.command(&line),
            (CommandFrame::Refused(error), _) => {
                self.owed.push_back(Owed::Other);
                CommandItem::Refused(error)
            }
            (CommandFrame::Chunk(octets), _) => CommandItem::Chunk(octets),
            (CommandFrame::EndOfBody(irregular), _) => {
                self.whole();
                CommandItem::EndOfBody(irregular)
            }
            (CommandFrame::EndOfChunk, State::Octets { last: true }) => {
                self.whole();
                CommandItem::EndOfChunk { last: true }
            }
            (CommandFrame::EndOfChunk, _) => {
                self.owed.push_back(Owed::Other);
                self.state = State::Commands;
                CommandItem::EndOfChunk { last: false }
            }
        }))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<CommandItem>, Error> {
        if let Some(item) = self.decode(src)? {
            return Ok(Some(item));
        }
        let inside = self.state != State::Over && self.framer.is_inside(src);
        let authenticating = self.owed.back() == Some(&Owed::Auth) && self.state == State::Asked;
        if inside || authenticating {
            return Err(Error::Inside);
        }
        Ok(None)
    }
}

impl Encoder<Reply> for ServerCodec {
    type Error = Error;

    /// A reply that nothing is owed, as 421, changes nothing.
    fn encode(&mut self, reply: Reply, dst: &mut BytesMut) -> Result<(), Error> {
        let owed = self.owed.pop_front();
        // The reply that decides is that of the item decoded last.
        let decides = self.owed.is_empty() && self.state == State::Asked;
        match owed {
            Some(Owed::Transaction) if reply.is_positive() => self.recipients = 0,
            Some(Owed::Rcpt) if reply.is_positive() => self.recipients += 1,
            Some(Owed::Data) if decides => {
                self.state = State::Commands;
                if reply.code() == 354 {
                    self.framer.expect_data();
                    self.state = State::Data;
                }
            }
            Some(Owed::Auth) if decides => {
                self.state = State::Commands;
                if reply.code() == 334 {
                    self.framer.expect_line();
                    self.state = State::Sasl;
                }
            }
            Some(Owed::StartTls) if decides => {
                self.state = match reply.is_positive() {
                    true => State::Over,
                    false => State::Commands,
                };
            }
            _ => {}
        }
        self.count();
        let mut output = Output::new();
        reply.encode(&mut output);
        put(output, dst);
        Ok(())
    }
}
