//! The client machine: what hands a message on (RFC 5321, 2920, 3207, 4954, 2033).
//!
//! After the greeting it says EHLO (HELO where that is refused) and tells [`Event::Ready`]. Then the
//! caller begins one thing at a time: [`Connection::starttls`], [`Connection::auth`],
//! [`Connection::send`], [`Connection::quit`].

mod event;
mod survey;

pub use event::{BodyError, Envelope, Error, Event, Options, SendError};
pub use hikyaku_wire::Misuse;
pub use survey::Survey;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::time::Duration;
use hikyaku_wire::{
    DotEncoder, Excerpt, LineError, LineFramer, Machine, Output, Reason, SaslLine, Secret, Step,
    decode_sasl, split_initial, write_response,
};

use crate::command::is_mechanism;
use crate::reply::Builder;
use crate::{BodyType, Capabilities, Command, ForwardPath, MailParameters, RcptParameters, Reply};

/// The most octets of AUTH's line, its initial response with it (RFC 4954 §4).
const AUTH_LINE: usize = 512;

#[derive(Debug, PartialEq, Eq)]
enum Pending {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    /// With an initial response that did not fit into the line.
    Auth(Option<Secret>),
    Mail,
    Rcpt(usize),
    Data,
    Message(Option<usize>),
    /// An empty message that had to be sent, since DATA had been.
    NoMessage,
    Noop,
    Reset,
    Quit,
}

impl Pending {
    /// What is to be answered.
    fn name(&self) -> &'static str {
        match self {
            Self::Greeting => "the connection",
            Self::Ehlo => "EHLO",
            Self::Helo => "HELO",
            Self::StartTls => "STARTTLS",
            Self::Auth(_) => "AUTH",
            Self::Mail => "MAIL",
            Self::Rcpt(_) => "RCPT",
            Self::Data => "DATA",
            Self::Message(_) | Self::NoMessage => "the message",
            Self::Noop => "NOOP",
            Self::Reset => "RSET",
            Self::Quit => "QUIT",
        }
    }
}

/// One connection to a server.
#[derive(Debug)]
pub struct Connection {
    options: Options,
    framer: LineFramer,
    reply: Builder,
    pending: VecDeque<Pending>,
    capabilities: Capabilities,
    /// Recipients that were accepted, in the transaction under way.
    accepted: Vec<usize>,
    /// Those that were not asked for yet.
    forward_paths: VecDeque<(usize, ForwardPath)>,
    mail_refused: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    Open,
    /// The server waits for the response to its challenge.
    Challenged,
    /// The message goes out.
    Body(DotEncoder),
    /// Told at the next poll.
    Done,
    StartTls,
    Closed,
}

impl Connection {
    /// Waits for the greeting.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            framer: LineFramer::default(),
            reply: Builder::default(),
            pending: [Pending::Greeting].into(),
            capabilities: Capabilities::default(),
            accepted: Vec::new(),
            forward_paths: VecDeque::new(),
            mail_refused: false,
            state: State::Open,
        }
    }

    /// What the server can do, as it said last.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn is_idle(&self) -> bool {
        matches!(self.state, State::Open) && self.pending.is_empty()
    }

    /// What the connection is at.
    fn situation(&self) -> &'static str {
        match (&self.state, self.pending.front()) {
            (State::Closed, _) => "after the end of the connection",
            (State::StartTls, _) => "before TLS has begun",
            (State::Challenged, _) => "while a challenge waits for its response",
            (State::Body(_), _) => "inside a message",
            (State::Done, _) => "before Done is reported",
            (State::Open, None) => "between two commands",
            (State::Open, Some(pending)) => match pending {
                Pending::Greeting => "before the greeting",
                Pending::Ehlo | Pending::Helo => "before the reply to EHLO",
                Pending::StartTls => "while STARTTLS is under way",
                Pending::Auth(_) => "while AUTH is under way",
                Pending::Mail | Pending::Rcpt(_) | Pending::Data => "while MAIL is under way",
                Pending::Message(_) | Pending::NoMessage => "before the reply to the message",
                Pending::Noop => "while NOOP is under way",
                Pending::Reset => "while RSET is under way",
                Pending::Quit => "after QUIT",
            },
        }
    }

    fn misuse(&self, method: &'static str, reason: Reason) -> Misuse {
        Misuse::new(method, self.situation(), reason)
    }

    /// What the next reply answers.
    fn awaited(&self) -> &'static str {
        match (&self.state, self.pending.front()) {
            (_, Some(pending)) => pending.name(),
            (State::Challenged, None) => "AUTH",
            (State::Body(_), None) => "the message",
            _ => "no command",
        }
    }

    /// `line` is no reply. Lines of a login are not shown: a server may repeat what it was sent.
    fn no_reply(&self, expected: &'static str, line: &[u8]) -> Error {
        Error::NoReply {
            command: self.awaited(),
            expected,
            found: self.excerpt(line),
        }
    }

    fn excerpt(&self, line: &[u8]) -> Excerpt {
        let login = matches!(self.pending.front(), Some(Pending::Auth(_)));
        match login || matches!(self.state, State::Challenged) {
            true => Excerpt::hidden(),
            false => Excerpt::of(line),
        }
    }

    fn begin(
        &mut self,
        method: &'static str,
        command: &Command,
        pending: Pending,
        output: &mut Output,
    ) -> Result<(), Misuse> {
        if !self.is_idle() {
            return Err(self.misuse(method, Reason::State));
        }
        self.say(command, pending, output);
        Ok(())
    }

    fn say(&mut self, command: &Command, pending: Pending, output: &mut Output) {
        command.encode(output);
        self.pending.push_back(pending);
    }

    /// STARTTLS. [`Step::StartTls`] or [`Event::NoTls`] follows.
    ///
    /// # Errors
    /// [`Misuse`] when something else is under way.
    pub fn starttls(&mut self, output: &mut Output) -> Result<(), Misuse> {
        self.begin("starttls", &Command::StartTls, Pending::StartTls, output)
    }

    /// TLS began: the server is asked anew what it can do.
    pub fn tls_established(&mut self, output: &mut Output) {
        if let State::StartTls = self.state {
            self.state = State::Open;
            self.options.tls = true;
            self.capabilities = Capabilities::default();
            self.ehlo(output);
        }
    }

    /// AUTH. [`Event::Challenge`], [`Event::Authenticated`] or [`Event::AuthenticationRefused`] follows. An
    /// initial response that is too long for the line is kept until the server asks for it.
    ///
    /// # Errors
    /// [`Misuse`] when something else is under way, without TLS unless [`Options::login_needs_tls`] is off, or when
    /// `mechanism` is not the name of one.
    pub fn auth(
        &mut self,
        mechanism: impl Into<Bytes>,
        initial: Option<Secret>,
        output: &mut Output,
    ) -> Result<(), Misuse> {
        let mechanism = mechanism.into();
        if !self.is_idle() {
            return Err(self.misuse("auth", Reason::State));
        }
        if self.options.login_needs_tls && !self.options.tls {
            return Err(self.misuse("auth", Reason::NeedsTls));
        }
        if !is_mechanism(&mechanism) {
            return Err(self.misuse("auth", Reason::Argument));
        }
        let room = AUTH_LINE.saturating_sub("AUTH  \r\n".len() + mechanism.len());
        let (initial, held) = split_initial(initial, room);
        let command = Command::Auth { mechanism, initial };
        self.begin("auth", &command, Pending::Auth(held), output)
    }

    /// Answers a challenge; `None` cancels.
    ///
    /// # Errors
    /// [`Misuse`] when there was none.
    pub fn respond(
        &mut self,
        response: Option<&Secret>,
        output: &mut Output,
    ) -> Result<(), Misuse> {
        let State::Challenged = self.state else {
            return Err(self.misuse("respond", Reason::State));
        };
        write_response(response, output);
        self.state = State::Open;
        self.pending.push_back(Pending::Auth(None));
        Ok(())
    }

    /// NOOP, which keeps a connection alive. [`Event::Done`] follows.
    ///
    /// # Errors
    /// [`Misuse`] when something else is under way.
    pub fn noop(&mut self, output: &mut Output) -> Result<(), Misuse> {
        self.begin("noop", &Command::Noop, Pending::Noop, output)
    }

    /// Begins a transaction: MAIL, the RCPTs and DATA, together where the server has PIPELINING and
    /// one by one where not. SIZE, BODY and SMTPUTF8 are said where the message needs them and the
    /// server has them.
    ///
    /// # Errors
    /// [`SendError`] when something else is under way, or the server said already that it will not
    /// take this message; then nothing was sent.
    pub fn send(&mut self, envelope: Envelope, output: &mut Output) -> Result<(), SendError> {
        let parameters = self.parameters(&envelope)?;
        let mail = Command::Mail(envelope.reverse_path, parameters);
        self.begin("send", &mail, Pending::Mail, output)
            .map_err(SendError::Misuse)?;
        self.accepted.clear();
        self.mail_refused = false;
        self.forward_paths = envelope.forward_paths.into_iter().enumerate().collect();
        self.go_on(output);
        Ok(())
    }

    fn parameters(&self, envelope: &Envelope) -> Result<MailParameters, SendError> {
        let has = &self.capabilities;
        let mut addresses = envelope
            .forward_paths
            .iter()
            .filter_map(ForwardPath::mailbox);
        let international = envelope.international
            || envelope
                .reverse_path
                .0
                .iter()
                .any(crate::Mailbox::is_international)
            || addresses.any(crate::Mailbox::is_international);
        if envelope.forward_paths.is_empty() {
            return Err(SendError::NoRecipient);
        }
        if international && !has.smtputf8 {
            return Err(SendError::NeedsSmtpUtf8);
        }
        if envelope.eight_bit && !has.eight_bit_mime && !self.options.eight_bit_anyway {
            return Err(SendError::Needs8BitMime);
        }
        if let (Some(octets), Some(limit)) = (envelope.octets, has.size)
            && octets > limit
        {
            return Err(SendError::TooLarge { limit });
        }
        // A message that is international may have an 8-bit body too (RFC 6531 §3.6).
        let eight_bit = (envelope.eight_bit || international) && has.eight_bit_mime;
        Ok(MailParameters {
            size: envelope.octets.filter(|_| has.announces_size()),
            body: eight_bit.then_some(BodyType::EightBitMime),
            smtputf8: international,
            ..MailParameters::default()
        })
    }

    /// Sends as much of the transaction as may be sent. No more replies are owed than our own and
    /// the server's buffers hold, or both would write and neither read (RFC 2920 §3.1).
    fn go_on(&mut self, output: &mut Output) {
        let pipelining = self.capabilities.pipelining;
        let window = if pipelining {
            self.options.limits.in_flight.max(1)
        } else {
            1
        };
        while self.pending.len() < window {
            let Some((index, path)) = self.forward_paths.pop_front() else {
                return self.after_rcpts(pipelining, output);
            };
            let rcpt = Command::Rcpt(path, RcptParameters::default());
            self.say(&rcpt, Pending::Rcpt(index), output);
        }
    }

    /// All RCPTs are sent: DATA, or nothing to send. LMTP has no reply to a message without
    /// recipients (RFC 2033 §4.2), so there DATA waits until one is accepted.
    fn after_rcpts(&mut self, pipelining: bool, output: &mut Output) {
        let asked = |pending: &Pending| matches!(pending, Pending::Mail | Pending::Rcpt(_));
        if !self.pending.iter().all(asked) {
            return;
        }
        let waits = !self.pending.is_empty();
        let together = pipelining && waits && !self.options.lmtp && !self.mail_refused;
        if together || (self.pending.is_empty() && !self.accepted.is_empty()) {
            self.say(&Command::Data, Pending::Data, output);
        } else if self.pending.is_empty() {
            self.reset(output);
        }
    }

    /// The next octets of the message, after [`Event::SendBody`].
    ///
    /// Dots at line starts are doubled. LF alone and CR alone leave as CRLF, since neither may be sent
    /// (RFC 5321 §2.3.8), and a last line without its end gets one: [`Survey`] counts the octets so, for SIZE.
    /// Nothing else changes, not even lines of more than 998 octets.
    ///
    /// # Errors
    /// [`BodyError::Misuse`] when it was not asked for. [`BodyError::Needs8BitMime`] when octets over 127 come
    /// that the server does not take, whatever the envelope said; the message is then never completed.
    pub fn chunk(&mut self, chunk: Bytes, output: &mut Output) -> Result<(), BodyError> {
        let State::Body(encoder) = &mut self.state else {
            return Err(BodyError::Misuse(self.misuse("chunk", Reason::State)));
        };
        let takes_all = self.capabilities.eight_bit_mime || self.options.eight_bit_anyway;
        if !takes_all && !chunk.is_ascii() {
            self.state = State::Closed;
            return Err(BodyError::Needs8BitMime);
        }
        encoder.chunk(chunk, output);
        Ok(())
    }

    /// The message is whole.
    ///
    /// # Errors
    /// [`Misuse`] when it was not asked for.
    pub fn end_of_body(&mut self, output: &mut Output) -> Result<(), Misuse> {
        let State::Body(encoder) = &mut self.state else {
            return Err(self.misuse("end_of_body", Reason::State));
        };
        core::mem::take(encoder).end(output);
        self.state = State::Open;
        if self.options.lmtp {
            let each = self.accepted.iter().map(|&i| Pending::Message(Some(i)));
            self.pending.extend(each);
        } else {
            self.pending.push_back(Pending::Message(None));
        }
        Ok(())
    }

    /// QUIT. [`Step::Closed`] follows.
    ///
    /// # Errors
    /// [`Misuse`] when something else is under way.
    pub fn quit(&mut self, output: &mut Output) -> Result<(), Misuse> {
        self.begin("quit", &Command::Quit, Pending::Quit, output)
    }

    fn ehlo(&mut self, output: &mut Output) {
        let name = self.options.hostname.clone();
        let command = if self.options.lmtp {
            Command::Lhlo(name)
        } else {
            Command::Ehlo(name)
        };
        self.say(&command, Pending::Ehlo, output);
    }

    /// `head`: the first octets of the reply's last line.
    fn take(
        &mut self,
        reply: Reply,
        head: &[u8],
        output: &mut Output,
    ) -> Result<Option<Event>, Error> {
        if reply.code() == 421 {
            self.state = State::Closed;
            return Ok(Some(Event::Refused(reply)));
        }
        let positive = reply.is_positive();
        let unexpected = self.unexpected(&reply, head);
        let Some(pending) = self.pending.pop_front() else {
            return match self.state {
                // It has seen enough of the message. What is on its way would be taken for commands.
                State::Body(_) if !positive => {
                    self.state = State::Closed;
                    Ok(Some(Event::Delivered { index: None, reply }))
                }
                _ => Err(Error::Unasked {
                    state: self.situation(),
                    found: self.excerpt(head),
                }),
            };
        };
        if let Some(error) = unexpected {
            return Err(error);
        }
        let event = match pending {
            Pending::Greeting if positive => {
                self.ehlo(output);
                return Ok(None);
            }
            Pending::Ehlo if positive => {
                self.capabilities = Capabilities::of(&reply);
                Event::Ready(self.capabilities.clone())
            }
            Pending::Ehlo if !self.options.lmtp && !reply.is_transient() => {
                let name = self.options.hostname.clone();
                self.say(&Command::Helo(name), Pending::Helo, output);
                return Ok(None);
            }
            Pending::Helo if positive => Event::Ready(Capabilities::default()),
            Pending::Greeting | Pending::Ehlo | Pending::Helo => {
                self.state = State::Closed;
                Event::Refused(reply)
            }
            Pending::StartTls if positive => {
                self.state = State::StartTls;
                return Ok(None);
            }
            Pending::StartTls => Event::NoTls(reply),
            Pending::Auth(held) if reply.code() == 334 => {
                let text = reply.lines().first().map_or(&[][..], |line| line);
                let Ok(SaslLine::Response(challenge)) = decode_sasl(text) else {
                    return Err(Error::NoReply {
                        command: "AUTH",
                        expected: "a challenge in base64",
                        found: Excerpt::hidden(),
                    });
                };
                self.state = State::Challenged;
                if let Some(initial) = held {
                    let _ = self.respond(Some(&initial), output);
                    return Ok(None);
                }
                Event::Challenge(challenge)
            }
            Pending::Auth(_) if positive => Event::Authenticated(reply),
            Pending::Auth(_) => Event::AuthenticationRefused(reply),
            Pending::Mail => {
                self.mail_refused = !positive;
                if !positive {
                    self.forward_paths.clear();
                    if self.pending.is_empty() {
                        self.reset(output);
                    }
                    return Ok(Some(Event::MailRefused(reply)));
                }
                self.go_on(output);
                return Ok(None);
            }
            Pending::Rcpt(index) => {
                if positive && !self.mail_refused {
                    self.accepted.push(index);
                }
                self.go_on(output);
                if self.mail_refused {
                    return Ok(None);
                }
                Event::Recipient { index, reply }
            }
            Pending::Data if reply.code() == 354 => {
                if self.accepted.is_empty() {
                    // RFC 2920 §3.1: nobody is to get it, and the server waits for it.
                    output.write(b".\r\n");
                    self.pending.push_back(Pending::NoMessage);
                    return Ok(None);
                }
                self.state = State::Body(DotEncoder::new());
                Event::SendBody
            }
            Pending::Data => {
                self.reset(output);
                if self.accepted.is_empty() {
                    return Ok(None);
                }
                Event::DataRefused(reply)
            }
            Pending::NoMessage => {
                self.reset(output);
                return Ok(None);
            }
            Pending::Message(index) => {
                if self.pending.is_empty() {
                    self.state = State::Done;
                }
                Event::Delivered { index, reply }
            }
            Pending::Noop | Pending::Reset => {
                self.state = State::Done;
                return Ok(None);
            }
            Pending::Quit => {
                self.state = State::Closed;
                return Ok(None);
            }
        };
        Ok(Some(event))
    }

    /// A reply that means nothing here: taken for a refusal or for success, it would be wrong either way.
    fn unexpected(&self, reply: &Reply, head: &[u8]) -> Option<Error> {
        let expected = match self.pending.front()? {
            Pending::Data if reply.is_positive() => "354 or a refusal",
            Pending::Auth(_) | Pending::Data => return None,
            _ if reply.is_intermediate() => "no 3yz",
            _ => return None,
        };
        Some(self.no_reply(expected, head))
    }

    fn reset(&mut self, output: &mut Output) {
        self.say(&Command::Rset, Pending::Reset, output);
    }
}

impl Machine for Connection {
    type Event = Event;
    type Error = Error;

    fn poll(&mut self, input: &mut BytesMut, output: &mut Output) -> Result<Step<Event>, Error> {
        loop {
            match self.state {
                State::Closed => {
                    input.clear();
                    return Ok(Step::Closed);
                }
                State::StartTls => {
                    // Said in clear, so by whoever: never taken for what the server says under TLS.
                    if !input.is_empty() {
                        let found = Excerpt::of(input);
                        return Err(Error::Injected { found });
                    }
                    return Ok(Step::StartTls);
                }
                State::Done => {
                    self.state = State::Open;
                    return Ok(Step::Event(Event::Done));
                }
                State::Open | State::Challenged | State::Body(_) => {}
            }
            let head = Excerpt::of(input);
            let line = match self.framer.next(input, self.options.limits.reply_line) {
                None => return Ok(Step::NeedInput),
                Some(Err(error)) => {
                    return Err(self.no_reply(line_end(error), head.octets()));
                }
                Some(Ok(line)) => line.freeze(),
            };
            if self.reply.lines() >= self.options.limits.reply_lines {
                return Err(self.no_reply("its end, since too many lines came", &line));
            }
            let reply = match self.reply.push(&line) {
                Ok(Some(reply)) => reply,
                Ok(None) => continue,
                Err(expected) => return Err(self.no_reply(expected, &line)),
            };
            if let Some(event) = self.take(reply, &line, output)? {
                return Ok(Step::Event(event));
            }
        }
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        let command = self.awaited();
        let before = core::mem::replace(&mut self.state, State::Closed);
        let owed = self.pending.iter().any(|p| !matches!(p, Pending::Quit));
        match before {
            State::Closed => Ok(()),
            State::Open | State::Done if !owed => Ok(()),
            _ => Err(Error::Unanswered { command }),
        }
    }

    /// RFC 5321 §4.5.3.2: five minutes, ten for the reply to a message.
    fn time_limit(&self) -> Duration {
        match self.pending.front() {
            Some(Pending::Message(_)) => Duration::from_secs(600),
            _ => Duration::from_secs(300),
        }
    }

    fn timed_out(&mut self, _: &mut Output) {
        self.state = State::Closed;
    }
}

/// What had to end the line.
fn line_end(error: LineError) -> &'static str {
    match error {
        LineError::TooLong => "CRLF within the limit (line too long)",
        LineError::BareNewline => "CRLF and no CR or LF alone",
    }
}

#[cfg(test)]
mod tests;
