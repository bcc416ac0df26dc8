//! The client machine: what hands a message on (RFC 5321, 2920, 3207, 4954, 2033).
//!
//! After the greeting it says EHLO (HELO where that is refused) and tells [`Event::Ready`]. Then the
//! caller begins one thing at a time: [`Connection::starttls`], [`Connection::auth`],
//! [`Connection::send`], [`Connection::quit`].

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::time::Duration;
use hikyaku_wire::{
    DotEncoder, LineFramer, Machine, Output, SaslLine, Secret, Step, decode_sasl, encode_sasl,
};

use crate::reply::Builder;
use crate::{
    Capabilities, Command, ForwardPath, Limits, MailParameters, RcptParameters, Reply, ReversePath,
};

/// What a client machine is set up with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// What it calls itself in EHLO.
    pub hostname: Bytes,
    /// LMTP: LHLO, and a reply for each recipient.
    pub lmtp: bool,
    /// What the server may make us hold.
    pub limits: Limits,
}

impl Options {
    /// An SMTP client of that name.
    #[must_use]
    pub fn new(hostname: impl Into<Bytes>) -> Self {
        Self {
            hostname: hostname.into(),
            lmtp: false,
            limits: Limits::default(),
        }
    }
}

/// A message to hand on.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// MAIL FROM.
    pub reverse_path: ReversePath,
    /// Its parameters: those that the server does not announce are the caller's to leave out.
    pub parameters: MailParameters,
    /// RCPT TO, in order.
    pub forward_paths: Vec<ForwardPath>,
}

/// What the caller has to know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The server said what it can do; under TLS once more.
    Ready(Capabilities),
    /// The server will not talk to us (greeting or EHLO), or closes (421, at any moment).
    Refused(Reply),
    /// STARTTLS was refused; the connection goes on without.
    NoTls(Reply),
    /// SASL: answer with [`Connection::respond`].
    Challenge(Secret),
    /// The exchange has ended.
    Authenticated(Reply),
    /// MAIL was refused: the message is not sent; [`Event::Done`] follows.
    MailRefused(Reply),
    /// What became of RCPT number `index`.
    Recipient {
        /// Counts the envelope's forward-paths from 0.
        index: usize,
        /// The server's words.
        reply: Reply,
    },
    /// Send the message now: [`Connection::chunk`], then [`Connection::end_of_body`].
    SendBody,
    /// What became of the message, for the recipient of that index, or all accepted ones.
    Delivered {
        /// With LMTP, whose.
        index: Option<usize>,
        /// The server's words: only a positive one makes it the server's.
        reply: Reply,
    },
    /// DATA was refused: no recipient got it.
    DataRefused(Reply),
    /// The transaction is over: the next thing may begin.
    Done,
}

/// What the server did that ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a reply, or too long a one.
    #[error("not a reply: {0}")]
    NoReply(&'static str),
    /// A reply that nothing was asked for.
    #[error("a reply to nothing")]
    Unasked,
    /// It closed before it had answered: whether a message was taken is not known.
    #[error("the connection ended before the reply")]
    Unanswered,
}

/// Something was begun before the last was done, or was not legal then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not now")]
pub struct Misuse;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Auth,
    Mail,
    Rcpt(usize),
    Data,
    Message(Option<usize>),
    Reset,
    Quit,
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
    forward_paths: VecDeque<(usize, ForwardPath)>,
    mail_refused: bool,
    body: Option<DotEncoder>,
    /// TLS is to begin; the connection is over.
    tls: bool,
    closed: bool,
    done: bool,
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
            body: None,
            tls: false,
            closed: false,
            done: false,
        }
    }

    /// What the server can do, as it said last.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn begin(
        &mut self,
        command: &Command,
        pending: Pending,
        output: &mut Output,
    ) -> Result<(), Misuse> {
        if self.closed || self.tls || self.body.is_some() || !self.pending.is_empty() {
            return Err(Misuse);
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
        self.begin(&Command::StartTls, Pending::StartTls, output)
    }

    /// TLS began: the server is asked anew what it can do.
    pub fn tls_established(&mut self, output: &mut Output) {
        self.tls = false;
        self.capabilities = Capabilities::default();
        self.ehlo(output);
    }

    /// AUTH. [`Event::Challenge`] or [`Event::Authenticated`] follows.
    ///
    /// # Errors
    /// [`Misuse`] when something else is under way.
    pub fn auth(
        &mut self,
        mechanism: impl Into<Bytes>,
        initial: Option<Secret>,
        output: &mut Output,
    ) -> Result<(), Misuse> {
        let mechanism = mechanism.into();
        self.begin(&Command::Auth { mechanism, initial }, Pending::Auth, output)
    }

    /// Answers a challenge; `None` cancels.
    ///
    /// # Errors
    /// [`Misuse`] when something else is under way.
    pub fn respond(
        &mut self,
        response: Option<&Secret>,
        output: &mut Output,
    ) -> Result<(), Misuse> {
        if !self.pending.is_empty() || self.closed {
            return Err(Misuse);
        }
        match response {
            Some(response) => output.write(&encode_sasl(response.expose())),
            None => output.write(b"*"),
        }
        output.write(b"\r\n");
        self.pending.push_back(Pending::Auth);
        Ok(())
    }

    /// Begins a transaction: MAIL and all RCPTs, at once where the server has PIPELINING.
    ///
    /// # Errors
    /// [`Misuse`] when something else is under way.
    pub fn send(&mut self, envelope: Envelope, output: &mut Output) -> Result<(), Misuse> {
        let mail = Command::Mail(envelope.reverse_path, envelope.parameters);
        self.begin(&mail, Pending::Mail, output)?;
        self.accepted.clear();
        self.mail_refused = false;
        self.forward_paths = envelope.forward_paths.into_iter().enumerate().collect();
        if self.capabilities.pipelining {
            while self.next_rcpt(output) {}
        }
        Ok(())
    }

    fn next_rcpt(&mut self, output: &mut Output) -> bool {
        let Some((index, path)) = self.forward_paths.pop_front() else {
            return false;
        };
        let rcpt = Command::Rcpt(path, RcptParameters::default());
        self.say(&rcpt, Pending::Rcpt(index), output);
        true
    }

    /// The next octets of the message, after [`Event::SendBody`].
    ///
    /// # Errors
    /// [`Misuse`] when it was not asked for.
    pub fn chunk(&mut self, chunk: Bytes, output: &mut Output) -> Result<(), Misuse> {
        self.body.as_mut().ok_or(Misuse)?.chunk(chunk, output);
        Ok(())
    }

    /// The message is whole.
    ///
    /// # Errors
    /// [`Misuse`] when it was not asked for.
    pub fn end_of_body(&mut self, output: &mut Output) -> Result<(), Misuse> {
        self.body.take().ok_or(Misuse)?.end(output);
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
        self.begin(&Command::Quit, Pending::Quit, output)
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

    fn take(&mut self, reply: Reply, output: &mut Output) -> Result<Option<Event>, Error> {
        if reply.code() == 421 {
            self.closed = true;
            return Ok(Some(Event::Refused(reply)));
        }
        let pending = self.pending.pop_front().ok_or(Error::Unasked)?;
        let positive = reply.is_positive();
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
                self.closed = true;
                Event::Refused(reply)
            }
            Pending::StartTls if positive => {
                self.tls = true;
                return Ok(None);
            }
            Pending::StartTls => Event::NoTls(reply),
            Pending::Auth if reply.code() == 334 => {
                let text = reply.lines().first().map_or(&[][..], |line| line);
                match decode_sasl(text) {
                    Ok(SaslLine::Response(challenge)) => Event::Challenge(challenge),
                    _ => return Err(Error::NoReply("expected a challenge in base64")),
                }
            }
            Pending::Auth => Event::Authenticated(reply),
            Pending::Mail => {
                self.mail_refused = !positive;
                if !positive {
                    self.forward_paths.clear();
                    self.after_rcpt(output);
                    return Ok(Some(Event::MailRefused(reply)));
                }
                if !self.next_rcpt(output) {
                    self.after_rcpt(output);
                }
                return Ok(None);
            }
            Pending::Rcpt(index) => {
                if positive && !self.mail_refused {
                    self.accepted.push(index);
                }
                if !self.next_rcpt(output) {
                    self.after_rcpt(output);
                }
                if self.mail_refused {
                    return Ok(None);
                }
                Event::Recipient { index, reply }
            }
            Pending::Data if reply.code() == 354 => {
                self.body = Some(DotEncoder::new());
                Event::SendBody
            }
            Pending::Data => {
                self.reset(output);
                Event::DataRefused(reply)
            }
            Pending::Message(index) => {
                self.done = self.pending.is_empty();
                Event::Delivered { index, reply }
            }
            Pending::Reset => {
                self.done = true;
                return Ok(None);
            }
            Pending::Quit => {
                self.closed = true;
                return Ok(None);
            }
        };
        Ok(Some(event))
    }

    /// When the last RCPT is answered: DATA, or nothing to send.
    fn after_rcpt(&mut self, output: &mut Output) {
        if !self.pending.is_empty() {
            return;
        }
        if self.accepted.is_empty() {
            self.reset(output);
        } else {
            self.say(&Command::Data, Pending::Data, output);
        }
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
            if self.closed {
                input.clear();
                return Ok(Step::Closed);
            }
            if self.tls {
                // Said in clear, so by whoever: never taken for what the server says under TLS.
                if !input.is_empty() {
                    return Err(Error::Unasked);
                }
                return Ok(Step::StartTls);
            }
            if core::mem::take(&mut self.done) {
                return Ok(Step::Event(Event::Done));
            }
            let line = match self.framer.next(input, self.options.limits.reply_line) {
                None => return Ok(Step::NeedInput),
                Some(Err(_)) => return Err(Error::NoReply("line too long or bare CR or LF")),
                Some(Ok(line)) => line.freeze(),
            };
            if self.reply.lines() >= self.options.limits.reply_lines {
                return Err(Error::NoReply("too many lines"));
            }
            let Some(reply) = self.reply.push(&line).map_err(Error::NoReply)? else {
                continue;
            };
            if let Some(event) = self.take(reply, output)? {
                return Ok(Step::Event(event));
            }
        }
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        let closed = core::mem::replace(&mut self.closed, true);
        let owed = self.pending.iter().any(|p| !matches!(p, Pending::Quit));
        if closed || (!owed && self.body.is_none()) {
            return Ok(());
        }
        Err(Error::Unanswered)
    }

    /// RFC 5321 §4.5.3.2: five minutes, ten for the reply to a message.
    fn time_limit(&self) -> Duration {
        match self.pending.front() {
            Some(Pending::Message(_)) => Duration::from_secs(600),
            _ => Duration::from_secs(300),
        }
    }

    fn timed_out(&mut self, _: &mut Output) {
        self.closed = true;
    }
}

#[cfg(test)]
mod tests;
