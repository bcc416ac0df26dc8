//! The client machine: what reads mail where it rests (RFC 3501, RFC 9051 and their extensions).
//!
//! Commands are issued through methods in any number; the machine sends them together where the RFC
//! allows it, waits behind literals, and reports [`Event::Completed`] with the [`Handle`] of each at its
//! end. It keeps track of what the server can do and of the selected mailbox, whose [`View`] turns
//! sequence numbers into UIDs.
//!
//! # States
//!
//! "Issue" is [`issue`](Connection::issue) with that command. Data may come in every state after the greeting.
//!
//! | State | What happens | Next state |
//! |---|---|---|
//! | greeting | OK: [`Event::Connected`] | not authenticated |
//! | | PREAUTH: [`Event::Connected`] with `preauth` | authenticated |
//! | | BYE: [`Event::Bye`] | closed |
//! | not authenticated | issue STARTTLS: [`Event::Completed`] with OK, [`Step::StartTls`], then [`Machine::tls_established`]; [`Event::Connected`] comes again | not authenticated |
//! | | [`login`](Connection::login), [`authenticate`](Connection::authenticate) | login |
//! | login | AUTHENTICATE only: [`Event::Challenge`], answered by [`respond`](Connection::respond) | login |
//! | | [`Event::Authenticated`] | authenticated |
//! | | [`Event::AuthenticationRefused`] | not authenticated |
//! | authenticated | issue SELECT, EXAMINE: [`Event::Completed`] with OK | selected |
//! | selected | issue CLOSE, UNSELECT: [`Event::Completed`] with OK; issue SELECT, EXAMINE: when it is sent | authenticated |
//! | authenticated, selected | [`append`](Connection::append): [`Event::SendBody`], [`chunk`](Connection::chunk)s, [`Event::Completed`] | unchanged |
//! | | issue IDLE: [`Event::Idling`]; [`done`](Connection::done) or any other command: [`Event::Completed`] | unchanged |
//! | | issue COMPRESS: [`Event::Completed`] with OK, [`Step::Compress`], then [`Machine::compression_active`] | unchanged |
//! | | issue UNAUTHENTICATE: [`Event::Completed`] with OK | not authenticated |
//! | any | issue LOGOUT: [`Event::Completed`]; [`Event::Bye`]; the methods of "ending" below | closed |
//! | closed | [`Step::Closed`] at every poll | |
//!
//! # Methods, in the order of their calls
//!
//! | Kind | Methods |
//! |---|---|
//! | Setting up | [`Options`], [`Connection::new`] |
//! | Feeding | [`Machine::poll`]; [`Machine::tls_established`], [`Machine::compression_active`] after their steps |
//! | Logging in | [`login`](Connection::login), [`authenticate`](Connection::authenticate); [`respond`](Connection::respond) to `Challenge` |
//! | Issuing commands | [`issue`](Connection::issue), [`move_messages`](Connection::move_messages), [`append`](Connection::append); [`chunk`](Connection::chunk) after `SendBody` |
//! | During IDLE | [`renew_idle`](Connection::renew_idle), [`done`](Connection::done) |
//! | Learning UIDs from an earlier session or a SEARCH | [`learn`](Connection::learn) |
//! | Asking | [`capabilities`](Connection::capabilities), [`selected`](Connection::selected), [`is_tls`](Connection::is_tls), [`is_authenticated`](Connection::is_authenticated), [`Machine::time_limit`] |
//! | Ending | [`Machine::shut_down`], [`Machine::timed_out`] (renews an IDLE instead), [`Machine::end_of_input`] |

mod capabilities;
mod ended;
mod event;
mod faults;
mod fetched;
pub(crate) mod frame;
mod issue;
mod kind;
mod options;
mod received;
mod selected;
mod view;

pub use capabilities::Capabilities;
pub use event::{During, Error, Event, Handle};
pub use hikyaku_wire::Misuse;
pub use options::Options;
pub use selected::Selected;
pub use view::View;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Buf as _, Bytes, BytesMut};
use core::time::Duration;
use hikyaku_wire::{Excerpt, Machine, Output, Step};

use crate::response::Frequent;
use crate::{Command, FetchItem, Leniency, Received, Response, SequenceNumber, SyntaxError};
use frame::{Framed, Framer, Malformed};
use kind::{Kind, Waiting};

/// One connection to a server.
#[derive(Debug)]
pub struct Connection {
    options: Options,
    framer: Framer,
    state: State,
    capabilities: Capabilities,
    /// They were named since the last thing that may have changed them.
    fresh: bool,
    /// They were named in this response: one more line adds to them.
    listing: bool,
    /// The event when they are known.
    withheld: Option<Event>,
    selected: Option<Selected>,
    /// What comes may still be of the mailbox that was selected before.
    stale: bool,
    waiting: VecDeque<Waiting>,
    sent: Vec<Sent>,
    /// Pieces of the command sent last, behind literals that wait.
    holding: VecDeque<Bytes>,
    appending: Option<Appending>,
    idle: Idle,
    reading: Reading,
    /// A FETCH response that has begun.
    fetching: Option<Fetching>,
    /// The text of the tagged response that came last, when nothing has come since.
    said: Bytes,
    events: VecDeque<Event>,
    issued: u64,
    /// Mailbox names are in UTF-8.
    utf8: bool,
    /// Whether they will be is not known.
    enabling: bool,
    logging_in: bool,
    logging_out: bool,
    /// SELECTs under way.
    selecting: usize,
    compressed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Greeting,
    NotAuthenticated,
    Authenticated,
    StartTls,
    Compress,
    Closed,
}

/// A command that was sent and has not ended.
#[derive(Debug)]
struct Sent {
    id: u64,
    handle: Handle,
    /// The command.
    name: &'static str,
    kind: Kind,
}

/// APPEND's message, on its way out.
#[derive(Debug)]
struct Appending {
    handle: Handle,
    left: u64,
    /// The caller was asked for it.
    asked: bool,
    /// The server has to be asked first.
    waits: bool,
    /// A parenthesis closes it.
    utf8: bool,
}

/// A FETCH response with a section that streams.
#[derive(Debug, Default)]
struct Fetching {
    /// None where only UIDs are used.
    sequence: Option<SequenceNumber>,
    items: Vec<FetchItem>,
    /// What was held of it, sections aside.
    octets: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Idle {
    Not,
    /// The server has not said `+` yet.
    Asked,
    /// As `Asked`, and to be ended at once.
    Unwanted,
    Idling,
    /// DONE was said.
    Done,
    /// DONE was said, and IDLE follows.
    Renewing,
}

/// What the next octets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Response,
    /// So many octets of a section; reported, when it has a name that is known.
    Section {
        left: u64,
        reported: bool,
    },
}

impl Connection {
    /// Waits for the greeting.
    ///
    /// ```
    /// use hikyaku_imap_proto::client::{Connection, Options};
    /// let machine = Connection::new(Options::default());
    /// assert!(!machine.is_authenticated());
    /// ```
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            framer: Framer::default(),
            state: State::Greeting,
            capabilities: Capabilities::default(),
            fresh: false,
            listing: false,
            withheld: None,
            selected: None,
            stale: false,
            waiting: VecDeque::new(),
            sent: Vec::new(),
            holding: VecDeque::new(),
            appending: None,
            idle: Idle::Not,
            reading: Reading::Response,
            fetching: None,
            said: Bytes::new(),
            events: VecDeque::new(),
            issued: 0,
            utf8: false,
            enabling: false,
            logging_in: false,
            logging_out: false,
            selecting: 0,
            compressed: false,
        }
    }

    /// What the server can do, as it said last.
    ///
    /// ```
    /// # use hikyaku_imap_proto::client::{Connection, Options};
    /// # let mut options = Options::default();
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("* OK [CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS LITERAL+ AUTH=PLAIN] ready\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(machine.capabilities().has("MOVE"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The selected mailbox.
    ///
    /// ```
    /// # use hikyaku_imap_proto::client::{Connection, Options};
    /// # let mut options = Options::default();
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("* OK [CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS LITERAL+ AUTH=PLAIN] ready\r\n");
    /// # { let (machine, output) = scene.split(); machine.login("alice", b"sesame".to_vec().into(), output)?; }
    /// # scene.hears("a1 OK [CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS LITERAL+] in\r\n");
    /// # scene.sent();
    /// # { let (machine, output) = scene.split(); machine.issue(hikyaku_imap_proto::Command::select(hikyaku_imap_proto::MailboxName::new("INBOX")), output)?; }
    /// # scene.hears("* 3 EXISTS\r\n* OK [UIDVALIDITY 1] x\r\na2 OK done\r\n");
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert_eq!(machine.selected().map(|selected| selected.view.len()), Some(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn selected(&self) -> Option<&Selected> {
        self.selected.as_ref()
    }

    /// Whether what is sent now is protected by TLS.
    ///
    /// ```
    /// # use hikyaku_imap_proto::client::{Connection, Options};
    /// # let mut options = Options::default();
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("* OK [CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS LITERAL+ AUTH=PLAIN] ready\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(machine.is_tls());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.options.tls
    }

    /// Whether a login has succeeded.
    ///
    /// ```
    /// # use hikyaku_imap_proto::client::{Connection, Options};
    /// # let mut options = Options::default();
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("* OK [CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS LITERAL+ AUTH=PLAIN] ready\r\n");
    /// # { let (machine, output) = scene.split(); machine.login("alice", b"sesame".to_vec().into(), output)?; }
    /// # scene.hears("a1 OK [CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS LITERAL+] in\r\n");
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(machine.is_authenticated());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.state == State::Authenticated
    }

    /// The mailbox that responses are about: also one whose SELECT has not ended.
    fn current(&mut self) -> Option<&mut Selected> {
        match self.sent.first_mut().map(|sent| &mut sent.kind) {
            Some(Kind::Select(selected)) => Some(selected),
            _ => self.selected.as_mut(),
        }
    }

    /// Whether a SELECT is under way, whose answers add up.
    fn is_opening(&self) -> bool {
        matches!(
            self.sent.first().map(|sent| &sent.kind),
            Some(Kind::Select(_))
        )
    }

    /// A line that is empty is no response.
    fn is_passed_over(&self, line: &[u8]) -> bool {
        let lenient = self.options.limits.leniencies.contains(Leniency::EmptyLine);
        lenient && line.trim_ascii().is_empty()
    }

    /// Whether a line that is no response is the text of the one before once more.
    fn repeats(&self, said: &[u8], line: &[u8]) -> bool {
        let leniencies = self.options.limits.leniencies;
        leniencies.contains(Leniency::RepeatedText) && !said.is_empty() && said == line
    }

    fn report(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// What the response says behind what is in `events`: it need not go through there where that is empty.
    fn received(
        &mut self,
        received: Result<Received, SyntaxError>,
        line: &[u8],
        output: &mut Output,
    ) -> Result<Option<Event>, Error> {
        let said = core::mem::take(&mut self.said);
        let received = match received {
            Ok(received) => received,
            Err(_) if self.repeats(&said, line) => return Ok(None),
            Err(error) => return Err(self.no_response(error.expected, line)),
        };
        if self.state == State::Greeting {
            self.greeting(received, line, output)?;
            return Ok(None);
        }
        match received {
            Received::Continuation(text) => self.continuation(&text, line, output)?,
            Received::Untagged(response) => return Ok(self.untagged(response)),
            Received::Tagged(tag, completion) => self.tagged(&tag, completion, line, output)?,
        }
        Ok(None)
    }
}

impl Machine for Connection {
    type Event = Event;
    type Error = Error;

    fn poll(&mut self, input: &mut BytesMut, output: &mut Output) -> Result<Step<Event>, Error> {
        loop {
            self.end_of_message(output);
            if let Some(event) = self.events.pop_front() {
                return Ok(Step::Event(event));
            }
            match self.state {
                State::Closed => {
                    self.framer.give_back(input);
                    input.clear();
                    return Ok(Step::Closed);
                }
                State::StartTls => {
                    // Said in clear, so by whoever: never taken for what the server says under TLS.
                    self.framer.give_back(input);
                    if !input.is_empty() {
                        let found = Excerpt::of(input);
                        return Err(Error::Injected { found });
                    }
                    return Ok(Step::StartTls);
                }
                State::Compress => {
                    self.framer.give_back(input);
                    return Ok(Step::Compress);
                }
                _ => {}
            }
            match self.reading {
                Reading::Section { left: 0, reported } => {
                    self.reading = Reading::Response;
                    self.framer.behind_section();
                    if reported {
                        return Ok(Step::Event(Event::EndOfBody));
                    }
                }
                Reading::Section { left, reported } => {
                    if input.is_empty() {
                        return Ok(Step::NeedInput);
                    }
                    let some = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let left = left - some as u64;
                    self.reading = Reading::Section { left, reported };
                    if reported {
                        return Ok(Step::Event(Event::Chunk(input.split_to(some).freeze())));
                    }
                    input.advance(some);
                }
                Reading::Response => {
                    let limits = &self.options.limits;
                    let next =
                        self.framer
                            .next(input, limits.response, limits.response_literal, None);
                    let event = match next {
                        None => return Ok(Step::NeedInput),
                        Some(Err(Malformed::TooLong | Malformed::LineTooLong)) => {
                            return Err(self.too_long(input));
                        }
                        Some(Err(Malformed::Literal)) => {
                            return Err(self.no_response("a literal of at most 63 bits", input));
                        }
                        Some(Ok(Framed::Section(head, octets))) => {
                            self.section(&head, octets)?;
                            None
                        }
                        Some(Ok(Framed::Line(place))) => {
                            let lines = self.framer.lines();
                            if self.is_passed_over(lines.get(place.clone()).unwrap_or(&[])) {
                                continue;
                            }
                            let usual = self.state != State::Greeting;
                            let frequent = usual
                                .then(|| Frequent::read(lines, &place, limits, self.utf8))
                                .flatten();
                            match frequent {
                                Some(Frequent::List(list)) => {
                                    Some(Event::Data(Response::List(list)))
                                }
                                Some(Frequent::Fetch(sequence, items)) => {
                                    self.fetched(Some(sequence), items)
                                }
                                None => {
                                    let line = lines.slice(place.clone());
                                    let received = Received::read(lines, place, limits, self.utf8);
                                    self.received(received, &line, output)?
                                }
                            }
                        }
                        Some(Ok(Framed::Unit(unit))) => match self.fetching.take() {
                            Some(begun) => self.rest_of_fetch(&unit, begun),
                            None if self.is_passed_over(&unit) => None,
                            None => {
                                let received = Received::parse_as(&unit, limits, self.utf8);
                                self.received(received, &unit, output)?
                            }
                        },
                    };
                    match event {
                        Some(event) if self.events.is_empty() => return Ok(Step::Event(event)),
                        event => self.events.extend(event),
                    }
                }
            }
        }
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        let during = self.during();
        let before = core::mem::replace(&mut self.state, State::Closed);
        let owed = self.fetching.is_some()
            || self.framer.is_inside()
            || self.appending.is_some()
            || self
                .sent
                .iter()
                .any(|sent| !matches!(sent.kind, Kind::Logout));
        match before {
            State::Closed => Ok(()),
            State::NotAuthenticated | State::Authenticated if !owed => Ok(()),
            _ => Err(Error::Unanswered { during }),
        }
    }

    fn time_limit(&self) -> Duration {
        match self.idle {
            Idle::Idling => self.options.idle_renewal,
            _ => self.options.patience,
        }
    }

    fn timed_out(&mut self, output: &mut Output) {
        if self.renew_idle(output).is_err() {
            self.state = State::Closed;
        }
    }

    /// The server is asked anew what it can do, and [`Event::Connected`] comes once more.
    fn tls_established(&mut self, output: &mut Output) {
        if self.state == State::StartTls {
            self.state = State::NotAuthenticated;
            self.options.tls = true;
            self.capabilities = Capabilities::default();
            let text = Bytes::new();
            let preauth = false;
            self.withheld = Some(Event::Connected { preauth, text });
            self.ask_capabilities(output);
        }
    }

    fn compression_active(&mut self) {
        if self.state == State::Compress {
            self.state = State::Authenticated;
            self.compressed = true;
        }
    }

    /// Says LOGOUT where nothing is under way.
    fn shut_down(&mut self, output: &mut Output) {
        if self.is_quiet() {
            let _ = self.issue(Command::Logout, output);
        }
        self.state = State::Closed;
    }
}

#[cfg(test)]
mod tests;
