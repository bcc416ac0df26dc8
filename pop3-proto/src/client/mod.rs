//! The client machine: what fetches a maildrop (RFC 1939, 2449, 2595, 5034, 6856).
//!
//! Commands are issued through methods in any number; the machine sends them at once where the
//! server has PIPELINING and one by one where not. Each method returns a [`Handle`], and
//! [`Event::Completed`] names it at the command's end.
//!
//! # States
//!
//! | State | What happens | Next state |
//! |---|---|---|
//! | greeting | `+OK`: [`Event::Connected`] | AUTHORIZATION |
//! | | `-ERR`: [`Event::Connected`] | closed |
//! | AUTHORIZATION | [`stls`](Connection::stls): [`Event::Completed`] with `+OK`, [`Step::StartTls`], then [`Machine::tls_established`] | AUTHORIZATION |
//! | | [`login`](Connection::login), [`apop`](Connection::apop), [`authenticate`](Connection::authenticate) | login |
//! | | [`utf8`](Connection::utf8): [`Event::Completed`] | AUTHORIZATION |
//! | login | AUTH only: [`Event::Challenge`], answered by [`respond`](Connection::respond) | login |
//! | | [`Event::Authenticated`] | TRANSACTION |
//! | | [`Event::AuthenticationRefused`] | AUTHORIZATION |
//! | TRANSACTION | the commands issued after login, below: their data, then [`Event::Completed`] | TRANSACTION |
//! | AUTHORIZATION, TRANSACTION | [`capa`](Connection::capa): [`Event::Capabilities`], [`Event::Completed`] | unchanged |
//! | | [`quit`](Connection::quit) | UPDATE |
//! | UPDATE | what was issued before QUIT ends, then [`Event::Completed`] of QUIT | closed |
//! | any | [`Event::Bye`]; the methods of "ending" below, which do not send QUIT: nothing is deleted | closed |
//! | closed | [`Step::Closed`] at every poll | |
//!
//! # Methods, in the order of their calls
//!
//! | Kind | Methods |
//! |---|---|
//! | Setting up | [`Options`], [`Connection::new`] |
//! | Feeding | [`Machine::poll`]; [`Machine::tls_established`] after [`Step::StartTls`] |
//! | Issuing commands before login | [`capa`](Connection::capa), [`stls`](Connection::stls), [`utf8`](Connection::utf8), [`login`](Connection::login), [`apop`](Connection::apop), [`authenticate`](Connection::authenticate) |
//! | Answering `Challenge` | [`respond`](Connection::respond) |
//! | Issuing commands after login | [`stat`](Connection::stat), [`list`](Connection::list), [`uidl`](Connection::uidl), [`top`](Connection::top), [`retr`](Connection::retr), [`dele`](Connection::dele), [`rset`](Connection::rset), [`noop`](Connection::noop), [`capa`](Connection::capa), [`quit`](Connection::quit) |
//! | Asking | [`is_tls`](Connection::is_tls), [`is_authenticated`](Connection::is_authenticated), [`Machine::time_limit`] |
//! | Ending | [`Machine::shut_down`], [`Machine::timed_out`], [`Machine::end_of_input`] |

mod event;
mod issue;
mod listing;
mod options;

pub use event::{Error, Event, Handle};
pub use hikyaku_wire::Misuse;
pub use options::Options;

use alloc::collections::VecDeque;
use bytes::{Bytes, BytesMut};
use core::time::Duration;
use hikyaku_wire::{
    DotDecoder, DotStep, Excerpt, LineError, LineFramer, Machine, Output, SaslLine, Secret, Step,
    decode_sasl,
};

use crate::{Capabilities, Command, Response};
use listing::{is_ok, leading_number, maildrop, size, timestamp, unique_id};

/// What the first line answers.
const GREETING: &str = "the connection";

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
    /// Lines of the listing under way.
    listed: usize,
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
    Listing(Response),
    Capabilities(Response, Capabilities),
    Message(Response, DotDecoder),
    /// Nothing: all is given but the command's end.
    Given(Response),
}

#[derive(Debug)]
enum Sent {
    /// USER; the PASS with it follows when it is accepted.
    User(Command),
    /// PASS or APOP.
    Login(&'static str),
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
    /// Any other; what it is called.
    Plain(&'static str),
}

impl Sent {
    /// The command.
    fn name(&self) -> &'static str {
        match self {
            Self::User(_) => "USER",
            Self::Login(name) | Self::Plain(name) => name,
            Self::Auth { .. } => "AUTH",
            Self::Stls => "STLS",
            Self::Capa => "CAPA",
            Self::Stat => "STAT",
            Self::List(_) => "LIST",
            Self::Uidl(_) => "UIDL",
            Self::Message(_) => "RETR or TOP",
            Self::Quit => "QUIT",
        }
    }

    /// Returns whether nothing may be sent before its response is there.
    fn is_barrier(&self) -> bool {
        matches!(
            self,
            Self::User(_) | Self::Login(_) | Self::Auth { .. } | Self::Stls | Self::Quit
        )
    }
}

impl Connection {
    /// Creates a machine that waits for the greeting.
    ///
    /// ```
    /// use hikyaku_pop3_proto::client::{Connection, Options};
    /// let machine = Connection::new(Options::default());
    /// assert!(!machine.is_authenticated());
    /// ```
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            framer: LineFramer::default(),
            state: State::Greeting,
            waiting: VecDeque::new(),
            sent: VecDeque::new(),
            reading: Reading::Response,
            listed: 0,
            pipelining: false,
            issued: 0,
        }
    }

    /// Returns whether what is sent now is protected by TLS.
    ///
    /// ```
    /// # use hikyaku_pop3_proto::client::{Connection, Options};
    /// # let mut options = Options::default();
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("+OK <1@example.org> ready\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(machine.is_tls());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.options.tls
    }

    /// Returns whether a maildrop is open.
    ///
    /// ```
    /// # use hikyaku_pop3_proto::client::{Connection, Options};
    /// # let mut options = Options::default();
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("+OK <1@example.org> ready\r\n");
    /// # { let (machine, output) = scene.split(); machine.login("alice", b"sesame".to_vec().into(), output)?; }
    /// # scene.hears("+OK\r\n+OK\r\n");
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(machine.is_authenticated());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.state == State::Transaction
    }

    /// What the next response answers.
    fn awaited(&self) -> &'static str {
        match (self.state, self.sent.front(), self.waiting.front()) {
            (State::Greeting, ..) => GREETING,
            (_, Some((_, sent)), _) => sent.name(),
            (_, None, Some((_, command))) => command.name(),
            (_, None, None) => "no command",
        }
    }

    /// `line` is no response. Lines of a login are not shown: a server may repeat what it was sent.
    fn no_response(&self, expected: &'static str, line: &[u8]) -> Error {
        let login = |(_, sent): &(Handle, Sent)| {
            matches!(sent, Sent::User(_) | Sent::Login(_) | Sent::Auth { .. })
        };
        Error::NoResponse {
            command: self.awaited(),
            expected,
            found: match self.sent.front().is_some_and(login) {
                true => Excerpt::hidden(),
                false => Excerpt::of(line),
            },
        }
    }

    fn line(&mut self, line: &Bytes, output: &mut Output) -> Result<Option<Event>, Error> {
        match &mut self.reading {
            Reading::Listing(..) | Reading::Capabilities(..) => self.listed(line, output),
            _ if self.state == State::Greeting => self.greeting(line),
            _ => self.response(line, output),
        }
    }

    fn greeting(&mut self, line: &Bytes) -> Result<Option<Event>, Error> {
        let Some(response) = Response::parse(line) else {
            return Err(self.no_response("+OK or -ERR", line));
        };
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
                return Err(self.no_response("a challenge in base64", line));
            };
            if core::mem::replace(challenged, true) {
                return Err(self.no_response("no challenge before the response to the last", line));
            }
            let Some(initial) = held.take() else {
                return Ok(Some(Event::Challenge(challenge)));
            };
            self.respond(Some(&initial), output).ok();
            return Ok(None);
        }
        if line.is_empty() {
            // Between two responses: outlook.office365.com sends one before its answer to DELE.
            return Ok(None);
        }
        let Some(response) = Response::parse(line) else {
            return Err(self.no_response("+OK or -ERR", line));
        };
        let Some((handle, sent)) = self.sent.pop_front() else {
            self.state = State::Closed;
            return Ok(Some(Event::Bye(response)));
        };
        if !response.is_ok {
            if let Sent::Quit = sent {
                self.state = State::Closed;
            }
            self.send(output);
            return Ok(Some(match sent {
                Sent::User(_) | Sent::Login(_) | Sent::Auth { .. } => {
                    Event::AuthenticationRefused { handle, response }
                }
                _ => Event::Completed { handle, response },
            }));
        }
        let mut numbers = None;
        match sent {
            Sent::User(pass) => {
                pass.encode(output);
                self.sent.push_front((handle, Sent::Login(pass.name())));
                return Ok(None);
            }
            Sent::Login(_) | Sent::Auth { .. } => {
                if self.state != State::Update {
                    self.state = State::Transaction;
                }
                self.send(output);
                return Ok(Some(Event::Authenticated { handle, response }));
            }
            Sent::Stls => self.state = State::StartTls,
            Sent::Quit => self.state = State::Closed,
            Sent::Capa => {
                self.sent.push_front((handle, sent));
                self.reading = Reading::Capabilities(response, Capabilities::default());
                return Ok(None);
            }
            Sent::List(None) | Sent::Uidl(None) => {
                self.sent.push_front((handle, sent));
                self.reading = Reading::Listing(response);
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
            Sent::Stat => numbers = Some((maildrop(&response.text), "two numbers")),
            Sent::List(Some(_)) => numbers = Some((size(&response.text), "two numbers")),
            Sent::Uidl(Some(_)) => {
                numbers = Some((unique_id(&response.text), "a number and a unique-id"));
            }
            Sent::Plain(_) => {}
        }
        if let Some((event, expected)) = numbers {
            let command = sent.name();
            self.sent.push_front((handle, Sent::Plain(command)));
            let event = event.ok_or_else(|| self.no_response(expected, line))?;
            self.reading = Reading::Given(response);
            return Ok(Some(event));
        }
        self.send(output);
        Ok(Some(Event::Completed { handle, response }))
    }

    /// A line of a listing, or its end.
    fn listed(&mut self, line: &Bytes, output: &mut Output) -> Result<Option<Event>, Error> {
        let text = match line.strip_prefix(b".") {
            Some([]) => {
                self.listed = 0;
                return Ok(self.end_of_listing(output));
            }
            Some(rest) => line.slice_ref(rest),
            None => line.clone(),
        };
        self.listed += 1;
        let limit = match self.reading {
            Reading::Capabilities(..) => self.options.limits.capabilities,
            _ => self.options.limits.listing,
        };
        if self.listed > limit {
            return Err(Error::TooMany {
                command: self.awaited(),
                most: limit,
            });
        }
        // A line that says nothing costs that line.
        Ok(match (&mut self.reading, self.sent.front()) {
            (Reading::Capabilities(_, all), _) => {
                all.push(&text);
                None
            }
            (_, Some((_, Sent::Uidl(_)))) => unique_id(&text),
            _ => size(&text),
        })
    }

    fn end_of_listing(&mut self, output: &mut Output) -> Option<Event> {
        let reading = core::mem::replace(&mut self.reading, Reading::Response);
        if let Reading::Capabilities(response, all) = reading {
            self.pipelining = all.pipelining;
            self.reading = Reading::Given(response);
            return Some(Event::Capabilities(all));
        }
        self.complete(reading, output)
    }

    fn complete(&mut self, reading: Reading, output: &mut Output) -> Option<Event> {
        let (handle, _) = self.sent.pop_front()?;
        self.send(output);
        match reading {
            Reading::Listing(response)
            | Reading::Message(response, _)
            | Reading::Given(response) => Some(Event::Completed { handle, response }),
            Reading::Response | Reading::Capabilities(..) => None,
        }
    }
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
                        let found = Excerpt::of(input);
                        return Err(Error::Injected { found });
                    }
                    return Ok(Step::StartTls);
                }
                (Reading::Given(_), _) => {
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
                    let head = Excerpt::of(input);
                    let line = match self.framer.next(input, self.options.limits.response_line) {
                        None => return Ok(Step::NeedInput),
                        Some(Err(error)) => {
                            return Err(self.no_response(line_end(error), head.octets()));
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
            State::Greeting => Err(Error::Unanswered { command: GREETING }),
            _ if idle => Ok(()),
            _ => Err(Error::Unanswered {
                command: self.awaited(),
            }),
        }
    }

    /// The RFC gives servers no limit; five minutes are what SMTP gives them.
    fn time_limit(&self) -> Duration {
        Duration::from_secs(300)
    }

    fn timed_out(&mut self, _: &mut Output) {
        self.state = State::Closed;
    }

    /// What the server said it can do is forgotten: ask again (RFC 2595 §4).
    fn tls_established(&mut self, output: &mut Output) {
        if self.state == State::StartTls {
            let quits = |(_, command): &(Handle, Command)| matches!(command, Command::Quit);
            self.state = match self.waiting.iter().any(quits) {
                true => State::Update,
                false => State::Authorization,
            };
            self.options.tls = true;
            self.pipelining = false;
            self.send(output);
        }
    }

    /// Closes without QUIT, which would delete what is marked.
    fn shut_down(&mut self, _: &mut Output) {
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
