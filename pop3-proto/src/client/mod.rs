//! The client machine: what fetches a maildrop (RFC 1939, 2449, 2595, 5034, 6856).
//!
//! Commands are issued through methods in any number; the machine sends them at once where the
//! server has PIPELINING and one by one where not. Each method returns a [`Handle`], and
//! [`Event::Completed`] names it at the command's end.

mod event;

pub use event::{Error, Event, Handle, Misuse, Options};

use alloc::collections::VecDeque;
use bytes::{Bytes, BytesMut};
use core::time::Duration;
use hikyaku_wire::{
    DotDecoder, DotStep, LineFramer, Machine, Output, SaslLine, Secret, Step, decode_sasl,
    encode_sasl,
};

use crate::command::number;
use crate::{Capabilities, Command, Response};

/// AUTH with its initial response must fit into a line of so many octets (RFC 5034 §4).
const AUTH_LINE: usize = 255;

/// One connection to a server.
#[derive(Debug)]
pub struct Connection {
    options: Options,
    framer: LineFramer,
    state: State,
    /// What was issued and not sent.
    waiting: VecDeque<(Handle, Command)>,
    /// What was sent and not answered, in order.
    sent: VecDeque<(Handle, Sent)>,
    reading: Reading,
    pipelining: bool,
    issued: u64,
}

/// RFC 1939 §3, as the client knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Greeting,
    Authorization,
    Transaction,
    /// QUIT was issued.
    Update,
    StartTls,
    Closed,
}

/// What the next octets are.
#[derive(Debug)]
enum Reading {
    Response,
    /// A listing after its first line.
    Listing(Response, usize),
    Capabilities(Response, Capabilities),
    Message(Response, DotDecoder),
    /// Nothing: all is told but the command's end.
    Told(Response),
}

#[derive(Debug)]
enum Sent {
    /// USER; PASS follows when it is accepted.
    User(Secret),
    Login,
    Auth {
        /// An initial response that did not fit into the line.
        held: Option<Secret>,
        /// The caller has to respond.
        challenged: bool,
    },
    Stls,
    Capa,
    Stat,
    List(Option<u32>),
    Uidl(Option<u32>),
    Message(u32),
    Quit,
    Plain,
}

impl Sent {
    /// Whether nothing may be sent before its response is there.
    fn is_barrier(&self) -> bool {
        matches!(
            self,
            Self::User(_) | Self::Login | Self::Auth { .. } | Self::Stls | Self::Quit
        )
    }
}

impl Connection {
    /// Waits for the greeting.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            framer: LineFramer::default(),
            state: State::Greeting,
            waiting: VecDeque::new(),
            sent: VecDeque::new(),
            reading: Reading::Response,
            pipelining: false,
            issued: 0,
        }
    }

    /// Whether a maildrop is open.
    #[must_use]
    pub fn is_logged_in(&self) -> bool {
        self.state == State::Transaction
    }

    fn issue(
        &mut self,
        state: State,
        command: Command,
        output: &mut Output,
    ) -> Result<Handle, Misuse> {
        if self.state != state {
            return Err(Misuse);
        }
        self.queue(command, output)
    }

    fn queue(&mut self, command: Command, output: &mut Output) -> Result<Handle, Misuse> {
        if !command.is_encodable() {
            return Err(Misuse);
        }
        self.issued += 1;
        let handle = Handle(self.issued);
        self.waiting.push_back((handle, command));
        self.send(output);
        Ok(handle)
    }

    /// Sends what may be sent. No more is on its way than the server's and our own buffers hold, or
    /// both would write and neither read.
    fn send(&mut self, output: &mut Output) {
        while let Some((_, command)) = self.waiting.front() {
            let window = if self.pipelining && !self.options.one_by_one {
                self.options.limits.in_flight.max(1)
            } else {
                1
            };
            // QUIT's response means something only when all others are known.
            let alone = matches!(
                command,
                Command::Quit | Command::Stls | Command::Auth { .. }
            );
            let barrier = self.sent.back().is_some_and(|(_, sent)| sent.is_barrier());
            if self.sent.len() >= window || barrier || (alone && !self.sent.is_empty()) {
                return;
            }
            let Some((handle, command)) = self.waiting.pop_front() else {
                return;
            };
            let sent = Self::write(command, output);
            self.sent.push_back((handle, sent));
        }
    }

    fn write(command: Command, output: &mut Output) -> Sent {
        match command {
            Command::Auth { mechanism, initial } => {
                let length = |secret: &Secret| secret.expose().len().div_ceil(3) * 4;
                let line = 5 + mechanism.len() + 1 + initial.as_ref().map_or(0, length) + 2;
                let (initial, held) = if line > AUTH_LINE {
                    (None, initial)
                } else {
                    (initial, None)
                };
                Command::Auth { mechanism, initial }.encode(output);
                Sent::Auth {
                    held,
                    challenged: false,
                }
            }
            command => {
                command.encode(output);
                match command {
                    Command::Pass(_) | Command::Apop { .. } => Sent::Login,
                    Command::Stls => Sent::Stls,
                    Command::Capa => Sent::Capa,
                    Command::Stat => Sent::Stat,
                    Command::List(number) => Sent::List(number),
                    Command::Uidl(number) => Sent::Uidl(number),
                    Command::Retr(number) | Command::Top { number, .. } => Sent::Message(number),
                    Command::Quit => Sent::Quit,
                    _ => Sent::Plain,
                }
            }
        }
    }

    /// CAPA: [`Event::Capabilities`] follows, and the machine pipelines where it says so.
    ///
    /// # Errors
    /// [`Misuse`] before the greeting and after QUIT.
    pub fn capa(&mut self, output: &mut Output) -> Result<Handle, Misuse> {
        match self.state {
            State::Authorization | State::Transaction => self.queue(Command::Capa, output),
            _ => Err(Misuse),
        }
    }

    /// STLS. When it is accepted, [`Step::StartTls`] follows its [`Event::Completed`].
    ///
    /// # Errors
    /// [`Misuse`] outside the AUTHORIZATION state, or when anything else is under way.
    pub fn stls(&mut self, output: &mut Output) -> Result<Handle, Misuse> {
        if !self.waiting.is_empty() || !self.sent.is_empty() {
            return Err(Misuse);
        }
        self.issue(State::Authorization, Command::Stls, output)
    }

    /// TLS began. What the server said it can do is forgotten: ask again (RFC 2595 §4).
    pub fn tls_established(&mut self) {
        if self.state == State::StartTls {
            self.state = State::Authorization;
            self.pipelining = false;
        }
    }

    /// USER, and PASS when that is accepted; [`Event::Completed`] comes once.
    ///
    /// # Errors
    /// [`Misuse`] outside the AUTHORIZATION state, while another login is under way, or with CR,
    /// LF or NUL in an argument.
    pub fn login(
        &mut self,
        name: impl Into<Bytes>,
        password: Secret,
        output: &mut Output,
    ) -> Result<Handle, Misuse> {
        let user = Command::User(name.into());
        let fits = user.is_encodable() && Command::Pass(password.clone()).is_encodable();
        if !fits || self.state != State::Authorization || !self.is_quiet() {
            return Err(Misuse);
        }
        user.encode(output);
        self.issued += 1;
        let handle = Handle(self.issued);
        self.sent.push_back((handle, Sent::User(password)));
        Ok(handle)
    }

    /// APOP: `digest` is the MD5 of the greeting's timestamp and the password (RFC 1939 §7).
    ///
    /// # Errors
    /// As [`login`](Self::login).
    pub fn apop(
        &mut self,
        name: impl Into<Bytes>,
        digest: [u8; 16],
        output: &mut Output,
    ) -> Result<Handle, Misuse> {
        if !self.is_quiet() {
            return Err(Misuse);
        }
        let name = name.into();
        self.issue(State::Authorization, Command::Apop { name, digest }, output)
    }

    /// AUTH. An initial response that is too long for the line is kept until it is asked for.
    ///
    /// # Errors
    /// As [`login`](Self::login).
    pub fn auth(
        &mut self,
        mechanism: impl Into<Bytes>,
        initial: Option<Secret>,
        output: &mut Output,
    ) -> Result<Handle, Misuse> {
        if !self.is_quiet() {
            return Err(Misuse);
        }
        let mechanism = mechanism.into();
        let command = Command::Auth { mechanism, initial };
        self.issue(State::Authorization, command, output)
    }

    fn is_quiet(&self) -> bool {
        self.waiting.is_empty() && self.sent.is_empty()
    }

    /// Answers an [`Event::Challenge`]; `None` cancels the exchange.
    ///
    /// # Errors
    /// [`Misuse`] when none was told.
    pub fn respond(
        &mut self,
        response: Option<&Secret>,
        output: &mut Output,
    ) -> Result<(), Misuse> {
        match self.sent.front_mut() {
            Some((_, Sent::Auth { challenged, .. })) if *challenged => *challenged = false,
            _ => return Err(Misuse),
        }
        match response {
            Some(response) => output.write(&encode_sasl(response.expose())),
            None => output.write(b"*"),
        }
        output.write(b"\r\n");
        Ok(())
    }

    /// UTF8 (RFC 6856): messages may then hold UTF-8 in their header sections.
    ///
    /// # Errors
    /// [`Misuse`] outside the AUTHORIZATION state.
    pub fn utf8(&mut self, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Authorization, Command::Utf8, output)
    }

    /// STAT: [`Event::Maildrop`] follows.
    ///
    /// # Errors
    /// [`Misuse`] outside the TRANSACTION state; so for all that follow.
    pub fn stat(&mut self, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Transaction, Command::Stat, output)
    }

    /// LIST, of one message or all: an [`Event::Size`] for each.
    ///
    /// # Errors
    /// As [`stat`](Self::stat).
    pub fn list(&mut self, number: Option<u32>, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Transaction, Command::List(number), output)
    }

    /// UIDL, of one message or all: an [`Event::UniqueId`] for each.
    ///
    /// # Errors
    /// As [`stat`](Self::stat).
    pub fn uidl(&mut self, number: Option<u32>, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Transaction, Command::Uidl(number), output)
    }

    /// RETR: [`Event::Message`], [`Event::Chunk`]s, [`Event::Completed`].
    ///
    /// # Errors
    /// As [`stat`](Self::stat).
    pub fn retr(&mut self, number: u32, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Transaction, Command::Retr(number), output)
    }

    /// TOP: the header section and so many lines of the body, told as by [`retr`](Self::retr).
    ///
    /// # Errors
    /// As [`stat`](Self::stat).
    pub fn top(&mut self, number: u32, lines: u32, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Transaction, Command::Top { number, lines }, output)
    }

    /// DELE: marked as deleted, and gone when QUIT is answered `+OK`.
    ///
    /// # Errors
    /// As [`stat`](Self::stat).
    pub fn dele(&mut self, number: u32, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Transaction, Command::Dele(number), output)
    }

    /// RSET: no message is marked as deleted any more.
    ///
    /// # Errors
    /// As [`stat`](Self::stat).
    pub fn rset(&mut self, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Transaction, Command::Rset, output)
    }

    /// NOOP
    ///
    /// # Errors
    /// As [`stat`](Self::stat).
    pub fn noop(&mut self, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Transaction, Command::Noop, output)
    }

    /// QUIT, after all that was issued. [`Step::Closed`] follows its [`Event::Completed`].
    ///
    /// # Errors
    /// [`Misuse`] before the greeting and after another QUIT.
    pub fn quit(&mut self, output: &mut Output) -> Result<Handle, Misuse> {
        match self.state {
            State::Authorization | State::Transaction => {}
            _ => return Err(Misuse),
        }
        let handle = self.queue(Command::Quit, output)?;
        self.state = State::Update;
        Ok(handle)
    }

    fn line(&mut self, line: &Bytes, output: &mut Output) -> Result<Option<Event>, Error> {
        match &mut self.reading {
            Reading::Listing(..) | Reading::Capabilities(..) => self.listed(line, output),
            _ if self.state == State::Greeting => self.greeting(line),
            _ => self.response(line, output),
        }
    }

    fn greeting(&mut self, line: &Bytes) -> Result<Option<Event>, Error> {
        let response = Response::parse(line).ok_or(Error::NoResponse("no greeting"))?;
        self.state = if response.is_ok {
            State::Authorization
        } else {
            State::Closed
        };
        let timestamp = timestamp(&response.text);
        Ok(Some(Event::Connected {
            response,
            timestamp,
        }))
    }

    fn response(&mut self, line: &Bytes, output: &mut Output) -> Result<Option<Event>, Error> {
        if let Some((_, Sent::Auth { held, challenged })) = self.sent.front_mut()
            && let Some(challenge) = line.strip_prefix(b"+").filter(|rest| !is_ok(rest))
        {
            let Ok(SaslLine::Response(challenge)) = decode_sasl(challenge.trim_ascii()) else {
                return Err(Error::NoResponse("expected a challenge in base64"));
            };
            if core::mem::replace(challenged, true) {
                return Err(Error::NoResponse(
                    "a challenge before the response to the last",
                ));
            }
            let Some(initial) = held.take() else {
                return Ok(Some(Event::Challenge(challenge)));
            };
            self.respond(Some(&initial), output).ok();
            return Ok(None);
        }
        let response = Response::parse(line).ok_or(Error::NoResponse("neither +OK nor -ERR"))?;
        let Some((handle, sent)) = self.sent.pop_front() else {
            self.state = State::Closed;
            return Ok(Some(Event::Farewell(response)));
        };
        if !response.is_ok {
            if let Sent::Quit = sent {
                self.state = State::Closed;
            }
            self.send(output);
            return Ok(Some(Event::Completed { handle, response }));
        }
        let mut told = None;
        match sent {
            Sent::User(password) => {
                Command::Pass(password).encode(output);
                self.sent.push_front((handle, Sent::Login));
                return Ok(None);
            }
            Sent::Login | Sent::Auth { .. } => self.state = State::Transaction,
            Sent::Stls => self.state = State::StartTls,
            Sent::Quit => self.state = State::Closed,
            Sent::Capa => {
                self.sent.push_front((handle, sent));
                self.reading = Reading::Capabilities(response, Capabilities::default());
                return Ok(None);
            }
            Sent::List(None) | Sent::Uidl(None) => {
                self.sent.push_front((handle, sent));
                self.reading = Reading::Listing(response, 0);
                return Ok(None);
            }
            Sent::Message(number) => {
                self.sent.push_front((handle, sent));
                let octets = leading_number(&response.text);
                self.reading = Reading::Message(response, DotDecoder::new());
                return Ok(Some(Event::Message {
                    handle,
                    number,
                    octets,
                }));
            }
            // Of three positive answers the numbers are all that matters.
            Sent::Stat => told = Some(maildrop(&response.text).ok_or(STAT)?),
            Sent::List(Some(_)) => told = Some(size(&response.text).ok_or(LIST)?),
            Sent::Uidl(Some(_)) => told = Some(unique_id(&response.text).ok_or(UIDL)?),
            Sent::Plain => {}
        }
        if told.is_some() {
            self.sent.push_front((handle, Sent::Plain));
            self.reading = Reading::Told(response);
            return Ok(told);
        }
        self.send(output);
        Ok(Some(Event::Completed { handle, response }))
    }

    /// A line of a listing, or its end.
    fn listed(&mut self, line: &Bytes, output: &mut Output) -> Result<Option<Event>, Error> {
        let text = match line.strip_prefix(b".") {
            Some([]) => return Ok(self.end_of_listing(output)),
            Some(rest) => line.slice_ref(rest),
            None => line.clone(),
        };
        match (&mut self.reading, self.sent.front()) {
            (Reading::Capabilities(_, all), _) => {
                all.push(&text);
                if all.other.len() + all.mechanisms.len() > self.options.limits.capabilities {
                    return Err(Error::TooMany);
                }
                Ok(None)
            }
            (Reading::Listing(_, count), Some((_, sent))) => {
                *count += 1;
                if *count > self.options.limits.listing {
                    return Err(Error::TooMany);
                }
                // A line that says nothing costs that line.
                Ok(match sent {
                    Sent::Uidl(_) => unique_id(&text),
                    _ => size(&text),
                })
            }
            _ => Ok(None),
        }
    }

    fn end_of_listing(&mut self, output: &mut Output) -> Option<Event> {
        let reading = core::mem::replace(&mut self.reading, Reading::Response);
        if let Reading::Capabilities(response, all) = reading {
            self.pipelining = all.pipelining;
            self.reading = Reading::Told(response);
            return Some(Event::Capabilities(all));
        }
        self.complete(reading, output)
    }

    fn complete(&mut self, reading: Reading, output: &mut Output) -> Option<Event> {
        let (handle, _) = self.sent.pop_front()?;
        self.send(output);
        match reading {
            Reading::Listing(response, _)
            | Reading::Message(response, _)
            | Reading::Told(response) => Some(Event::Completed { handle, response }),
            Reading::Response | Reading::Capabilities(..) => None,
        }
    }
}

/// Whether what follows a `+` makes it `+OK`.
fn is_ok(rest: &[u8]) -> bool {
    rest.get(..2)
        .is_some_and(|ok| ok.eq_ignore_ascii_case(b"OK"))
        && rest.get(2).is_none_or(|&o| o == b' ')
}

/// `<..@..>` in a greeting.
fn timestamp(text: &Bytes) -> Option<Bytes> {
    let begin = memchr::memchr(b'<', text)?;
    let rest = text.get(begin..)?;
    let end = memchr::memchr(b'>', rest)?;
    let all = rest.get(..=end)?;
    memchr::memchr(b'@', all)?;
    Some(text.slice_ref(all))
}

fn leading_number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_start();
    let end = text.iter().position(|o| !o.is_ascii_digit());
    let digits = text.get(..end.unwrap_or(text.len()))?;
    core::str::from_utf8(digits).ok()?.parse().ok()
}

/// A number, and what follows the blanks behind it.
fn pair(text: &[u8]) -> Option<(u32, &[u8])> {
    let text = text.trim_ascii();
    let end = memchr::memchr(b' ', text)?;
    let (first, rest) = text.split_at(end);
    Some((number(first)?, rest.trim_ascii_start()))
}

const STAT: Error = Error::NoResponse("expected two numbers after STAT");
const LIST: Error = Error::NoResponse("expected two numbers after LIST");
const UIDL: Error = Error::NoResponse("expected a number and a unique-id after UIDL");

fn maildrop(text: &[u8]) -> Option<Event> {
    let (messages, rest) = pair(text)?;
    let octets = leading_number(rest)?;
    Some(Event::Maildrop { messages, octets })
}

fn size(text: &[u8]) -> Option<Event> {
    let (number, rest) = pair(text).filter(|(number, _)| *number > 0)?;
    let octets = leading_number(rest)?;
    Some(Event::Size { number, octets })
}

fn unique_id(text: &Bytes) -> Option<Event> {
    let (number, rest) = pair(text).filter(|(number, _)| *number > 0)?;
    let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    let unique_id = text.slice_ref(rest.get(..end)?);
    Some(Event::UniqueId { number, unique_id })
}

impl Machine for Connection {
    type Event = Event;
    type Error = Error;

    fn poll(&mut self, input: &mut BytesMut, output: &mut Output) -> Result<Step<Event>, Error> {
        loop {
            match (&mut self.reading, self.state) {
                (_, State::Closed) => {
                    input.clear();
                    return Ok(Step::Closed);
                }
                (_, State::StartTls) => {
                    // Said in clear, so by whoever: never taken for what the server says under TLS.
                    if !input.is_empty() {
                        return Err(Error::Injected);
                    }
                    return Ok(Step::StartTls);
                }
                (Reading::Told(_), _) => {
                    let reading = core::mem::replace(&mut self.reading, Reading::Response);
                    if let Some(event) = self.complete(reading, output) {
                        return Ok(Step::Event(event));
                    }
                }
                (Reading::Message(_, decoder), _) => match decoder.next(input) {
                    DotStep::Chunk(chunk) => return Ok(Step::Event(Event::Chunk(chunk))),
                    DotStep::NeedInput => return Ok(Step::NeedInput),
                    DotStep::End => {
                        let reading = core::mem::replace(&mut self.reading, Reading::Response);
                        if let Some(event) = self.complete(reading, output) {
                            return Ok(Step::Event(event));
                        }
                    }
                },
                _ => {
                    let line = match self.framer.next(input, self.options.limits.response_line) {
                        None => return Ok(Step::NeedInput),
                        Some(Err(_)) => {
                            return Err(Error::NoResponse("line too long or bare CR or LF"));
                        }
                        Some(Ok(line)) => line.freeze(),
                    };
                    if let Some(event) = self.line(&line, output)? {
                        return Ok(Step::Event(event));
                    }
                }
            }
        }
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        let before = core::mem::replace(&mut self.state, State::Closed);
        let idle = self.is_quiet() && matches!(self.reading, Reading::Response);
        match before {
            State::Closed => Ok(()),
            State::Greeting => Err(Error::Unanswered),
            _ if idle => Ok(()),
            _ => Err(Error::Unanswered),
        }
    }

    /// The RFC gives servers no limit; five minutes are what SMTP gives them.
    fn time_limit(&self) -> Duration {
        Duration::from_secs(300)
    }

    fn timed_out(&mut self, _: &mut Output) {
        self.state = State::Closed;
    }
}

#[cfg(test)]
mod tests;
