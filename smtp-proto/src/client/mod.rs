//! The client machine: what hands a message on (RFC 5321, 2920, 3207, 4954, 2033).
//!
//! After the greeting the machine sends EHLO by itself (HELO where that is refused). From then on it does one
//! thing at a time: the methods of the state "ready" are a [`Misuse`] in any other state.
//!
//! # States
//!
//! | State | What happens | Next state |
//! |---|---|---|
//! | greeting | 220 and a positive reply to EHLO or HELO: [`Event::Connected`] | ready |
//! | | refused: [`Event::Bye`] | closed |
//! | ready | [`starttls`](Connection::starttls): [`Step::StartTls`], then [`Machine::tls_established`]; [`Event::Connected`] comes again | ready |
//! | | the same: [`Event::NoTls`] | ready |
//! | | [`authenticate`](Connection::authenticate) | login |
//! | | [`send`](Connection::send) | transaction |
//! | | [`noop`](Connection::noop): [`Event::Completed`] | ready |
//! | | [`quit`](Connection::quit) | closed |
//! | login | [`Event::Challenge`], answered by [`respond`](Connection::respond) | login |
//! | | [`Event::Authenticated`] or [`Event::AuthenticationRefused`] | ready |
//! | transaction | [`Event::Recipient`] for each forward-path, then [`Event::SendBody`] | body |
//! | | [`Event::MailRefused`], [`Event::DataRefused`] or no recipient accepted: RSET, [`Event::Completed`] | ready |
//! | body | [`chunk`](Connection::chunk)s, then [`end_of_body`](Connection::end_of_body) | delivery |
//! | | a negative reply before the end: [`Event::Delivered`]; [`BodyError::Needs8BitMime`] | closed |
//! | delivery | [`Event::Delivered`] (LMTP: one for each accepted recipient), [`Event::Completed`] | ready |
//! | any | 421: [`Event::Bye`]; the methods of "ending" below | closed |
//! | closed | [`Step::Closed`] at every poll | |
//!
//! # Methods, in the order of their calls
//!
//! | Kind | Methods |
//! |---|---|
//! | Setting up | [`Options::new`], [`Connection::new`] |
//! | Feeding | [`Machine::poll`]; [`Machine::tls_established`] after [`Step::StartTls`] |
//! | Issuing commands | [`starttls`](Connection::starttls), [`authenticate`](Connection::authenticate), [`send`](Connection::send), [`noop`](Connection::noop), [`quit`](Connection::quit) |
//! | Answering `Challenge` | [`respond`](Connection::respond) |
//! | Answering `SendBody` | [`chunk`](Connection::chunk), [`end_of_body`](Connection::end_of_body) |
//! | Asking | [`capabilities`](Connection::capabilities), [`is_tls`](Connection::is_tls), [`is_authenticated`](Connection::is_authenticated), [`Machine::time_limit`] |
//! | Ending | [`Machine::shut_down`], [`Machine::timed_out`], [`Machine::end_of_input`] |
//!
//! [`Envelope::of_message`] and [`Survey`] find out what a message asks of the server before it is sent.

mod asked;
mod event;
mod options;
mod outgoing;
mod survey;

pub use event::{BodyError, Envelope, Error, Event, Recipient, SendError};
pub use hikyaku_wire::Misuse;
pub use options::{Bdat, Options};
pub use survey::Survey;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::time::Duration;
use hikyaku_wire::{
    DotEncoder, Excerpt, LineError, LineFramer, Machine, Output, Reason, SaslLine, Secret, Step,
    decode_sasl, split_initial, write_response,
};

use crate::capabilities::Capabilities;
use crate::client::outgoing::{Chunks, Outgoing};
use crate::command::line::Command;
use crate::mechanism::is_mechanism;
use crate::reply::Builder;
use crate::reply::Reply;

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
    /// A chunk that is not the last.
    Chunk,
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
            Self::Chunk => "BDAT",
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
    recipients: VecDeque<(usize, Recipient)>,
    /// The message goes by BDAT, and how.
    bdat: Option<ByBdat>,
    mail_refused: bool,
    /// DATA or BDAT was refused: what answers come for the message say nothing new.
    body_refused: bool,
    authenticated: bool,
    state: State,
}

/// How a message goes by BDAT.
#[derive(Debug, Clone, Copy)]
struct ByBdat {
    binary: bool,
    octets: Option<u64>,
}

#[derive(Debug)]
enum State {
    Open,
    /// The server waits for the response to its challenge.
    Challenged,
    /// BDAT may be sent: reported at the next poll.
    Ready(ByBdat),
    /// The message goes out.
    Body(Outgoing),
    /// Reported at the next poll.
    Done,
    StartTls,
    Closed,
}

impl Connection {
    /// Creates a machine that waits for the greeting.
    ///
    /// ```
    /// use hikyaku_smtp_proto::client::{Connection, Options};
    /// // It waits for the greeting, then says EHLO by itself.
    /// let machine = Connection::new(Options::new("client.example"));
    /// assert!(!machine.is_authenticated());
    /// ```
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            framer: LineFramer::default(),
            reply: Builder::default(),
            pending: [Pending::Greeting].into(),
            capabilities: Capabilities::default(),
            accepted: Vec::new(),
            recipients: VecDeque::new(),
            bdat: None,
            mail_refused: false,
            body_refused: false,
            authenticated: false,
            state: State::Open,
        }
    }

    /// Returns the extensions that the server announced last.
    ///
    /// ```
    /// # use hikyaku_smtp_proto::client::{Connection, Options};
    /// # let mut options = Options::new("client.example");
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("220 mx.example.org\r\n250-mx.example.org\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n");
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(machine.capabilities().mechanisms().eq([b"PLAIN"]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Returns whether what is sent now is protected by TLS.
    ///
    /// ```
    /// # use hikyaku_smtp_proto::client::{Connection, Options};
    /// # let mut options = Options::new("client.example");
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("220 mx.example.org\r\n250-mx.example.org\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n");
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(machine.is_tls());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.options.tls
    }

    /// Returns whether a login has succeeded.
    ///
    /// ```
    /// # use hikyaku_smtp_proto::client::{Connection, Options};
    /// # let mut options = Options::new("client.example");
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("220 mx.example.org\r\n250-mx.example.org\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n");
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(!machine.is_authenticated());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
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
            (State::Ready(_) | State::Body(_), _) => "inside a message",
            (State::Done, _) => "before Done is reported",
            (State::Open, None) => "between two commands",
            (State::Open, Some(pending)) => match pending {
                Pending::Greeting => "before the greeting",
                Pending::Ehlo | Pending::Helo => "before the reply to EHLO",
                Pending::StartTls => "while STARTTLS is under way",
                Pending::Auth(_) => "while AUTH is under way",
                Pending::Mail | Pending::Rcpt(_) | Pending::Data => "while MAIL is under way",
                Pending::Chunk | Pending::Message(_) | Pending::NoMessage => {
                    "before the reply to the message"
                }
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

    /// Issues STARTTLS. [`Step::StartTls`] or [`Event::NoTls`] follows.
    ///
    /// ```
    /// # use hikyaku_smtp_proto::client::{Connection, Options};
    /// # let mut options = Options::new("client.example");
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("220 mx.example.org\r\n250-mx.example.org\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n");
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.starttls(output)?;
    /// // STARTTLS
    /// # assert_eq!(scene.sent(), "STARTTLS\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when another command is under way.
    pub fn starttls(&mut self, output: &mut Output) -> Result<(), Misuse> {
        self.begin("starttls", &Command::StartTls, Pending::StartTls, output)
    }

    /// Issues AUTH. [`Event::Challenge`], [`Event::Authenticated`] or [`Event::AuthenticationRefused`] follows. An
    /// initial response that is too long for the line is kept until the server asks for it.
    ///
    /// ```
    /// # use hikyaku_smtp_proto::client::{Connection, Options};
    /// # let mut options = Options::new("client.example");
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("220 mx.example.org\r\n250-mx.example.org\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n");
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.authenticate("PLAIN", Some(b"\0alice\0sesame".to_vec().into()), output)?;
    /// // AUTH PLAIN AGFsaWNlAHNlc2FtZQ==
    /// # assert_eq!(scene.sent(), "AUTH PLAIN AGFsaWNlAHNlc2FtZQ==\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when another command is under way, without TLS unless [`Options::login_needs_tls`] is off, or when
    /// `mechanism` is not the name of a mechanism.
    pub fn authenticate(
        &mut self,
        mechanism: impl Into<Bytes>,
        initial: Option<Secret>,
        output: &mut Output,
    ) -> Result<(), Misuse> {
        let mechanism = mechanism.into();
        if !self.is_idle() {
            return Err(self.misuse("authenticate", Reason::State));
        }
        if self.options.login_needs_tls && !self.options.tls {
            return Err(self.misuse("authenticate", Reason::NeedsTls));
        }
        if !is_mechanism(&mechanism) {
            return Err(self.misuse("authenticate", Reason::Argument));
        }
        let room = AUTH_LINE.saturating_sub("AUTH  \r\n".len() + mechanism.len());
        let (initial, held) = split_initial(initial, room);
        let command = Command::Auth { mechanism, initial };
        self.begin("authenticate", &command, Pending::Auth(held), output)
    }

    /// Answers [`Event::Challenge`]; `None` cancels the exchange.
    ///
    /// ```
    /// # use hikyaku_smtp_proto::client::{Connection, Options};
    /// # let mut options = Options::new("client.example");
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("220 mx.example.org\r\n250-mx.example.org\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n");
    /// # scene.sent();
    /// # { let (machine, output) = scene.split(); machine.authenticate("PLAIN", None, output)?; }
    /// # scene.hears("334 \r\n");
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// // After `Event::Challenge`.
    /// machine.respond(Some(&b"\0alice\0sesame".to_vec().into()), output)?;
    /// // AGFsaWNlAHNlc2FtZQ==
    /// # assert_eq!(scene.sent(), "AGFsaWNlAHNlc2FtZQ==\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when no challenge waits.
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

    /// Issues NOOP, which keeps a connection alive. [`Event::Completed`] follows.
    ///
    /// ```
    /// # use hikyaku_smtp_proto::client::{Connection, Options};
    /// # let mut options = Options::new("client.example");
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("220 mx.example.org\r\n250-mx.example.org\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n");
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.noop(output)?;
    /// // NOOP
    /// # assert_eq!(scene.sent(), "NOOP\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when another command is under way.
    pub fn noop(&mut self, output: &mut Output) -> Result<(), Misuse> {
        self.begin("noop", &Command::Noop(None), Pending::Noop, output)
    }

    /// Begins a transaction: MAIL, the RCPTs and DATA, together where the server has PIPELINING and
    /// one by one where not. SIZE, BODY and SMTPUTF8 are sent when the message needs them and the
    /// server announces them.
    ///
    /// ```
    /// # use hikyaku_smtp_proto::client::{Connection, Options};
    /// # let mut options = Options::new("client.example");
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("220 mx.example.org\r\n250-mx.example.org\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n");
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// use hikyaku_smtp_proto::{ForwardPath, Mailbox, ReversePath, client::Envelope};
    /// let from = ReversePath(Some(Mailbox::parse(b"alice@example.org")?));
    /// let to = ForwardPath::Mailbox(Mailbox::parse(b"bob@example.net")?);
    /// machine.send(Envelope::new(from, vec![to]), output)?;
    /// // MAIL FROM:<alice@example.org>
    /// # assert_eq!(scene.sent(), "MAIL FROM:<alice@example.org>\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SendError`] when another command is under way, or the server has announced that it does not
    /// take such a message. Nothing was sent then.
    pub fn send(&mut self, envelope: Envelope, output: &mut Output) -> Result<(), SendError> {
        let parameters = asked::mail_parameters(&envelope, &self.capabilities, &self.options)?;
        let by_bdat = asked::goes_by_bdat(&envelope, &self.capabilities, &self.options);
        self.bdat = by_bdat.then_some(ByBdat {
            binary: envelope.binary,
            octets: envelope.octets,
        });
        let reverse_path = envelope.reverse_path;
        let mail = Command::Mail {
            reverse_path,
            parameters,
        };
        self.begin("send", &mail, Pending::Mail, output)
            .map_err(SendError::Misuse)?;
        self.accepted.clear();
        (self.mail_refused, self.body_refused) = (false, false);
        self.recipients = envelope.recipients.into_iter().enumerate().collect();
        self.go_on(output);
        Ok(())
    }

    /// Sends as much of the transaction as may be sent. No more replies are owed than our own and
    /// the server's buffers hold, or both would write and neither read (RFC 2920 §3.1).
    fn go_on(&mut self, output: &mut Output) {
        let pipelining = self.capabilities.pipelining && self.options.pipelining;
        let window = if pipelining {
            self.options.limits.in_flight.max(1)
        } else {
            1
        };
        while self.pending.len() < window {
            let Some((index, recipient)) = self.recipients.pop_front() else {
                return self.after_rcpts(pipelining, output);
            };
            let rcpt = Command::Rcpt {
                forward_path: recipient.forward_path,
                parameters: asked::rcpt_parameters(recipient.parameters, &self.capabilities),
            };
            self.say(&rcpt, Pending::Rcpt(index), output);
        }
    }

    /// All RCPTs are sent: DATA, or nothing to send. BDAT waits until a recipient is accepted. LMTP has no reply to a message without
    /// recipients (RFC 2033 §4.2), so there DATA waits until one is accepted.
    fn after_rcpts(&mut self, pipelining: bool, output: &mut Output) {
        let asked = |pending: &Pending| matches!(pending, Pending::Mail | Pending::Rcpt(_));
        if !self.pending.iter().all(asked) {
            return;
        }
        let waits = !self.pending.is_empty();
        if let Some(bdat) = self.bdat {
            match (waits, self.accepted.is_empty()) {
                (true, _) => {}
                (false, true) => self.reset(output),
                (false, false) => self.state = State::Ready(bdat),
            }
            return;
        }
        let together = pipelining && waits && !self.options.lmtp && !self.mail_refused;
        if together || (self.pending.is_empty() && !self.accepted.is_empty()) {
            self.say(&Command::Data, Pending::Data, output);
        } else if self.pending.is_empty() {
            self.reset(output);
        }
    }

    /// Sends the next octets of the message, after [`Event::SendBody`].
    ///
    /// Dots at line starts are doubled. LF alone and CR alone leave as CRLF, since neither may be sent
    /// (RFC 5321 §2.3.8), and a last line without its end gets one: [`Survey`] counts these octets, for SIZE.
    /// Nothing else changes, not even lines of more than 998 octets.
    ///
    /// ```
    /// # use hikyaku_smtp_proto::client::{Connection, Options};
    /// # let mut options = Options::new("client.example");
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("220 mx.example.org\r\n250-mx.example.org\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n");
    /// # scene.sent();
    /// # {
    /// #     use hikyaku_smtp_proto::{ForwardPath, Mailbox, ReversePath, client::Envelope};
    /// #     let to = ForwardPath::Mailbox(Mailbox::parse(b"bob@example.org")?);
    /// #     let (machine, output) = scene.split();
    /// #     machine.send(Envelope::new(ReversePath(None), vec![to]), output)?;
    /// #     scene.hears("250 ok\r\n250 ok\r\n354 go\r\n");
    /// #     scene.sent();
    /// # }
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// // After `Event::SendBody`; pieces may end anywhere.
    /// machine.chunk("Subject: hello\r\n\r\n".into(), output)?;
    /// machine.chunk(".\r\n".into(), output)?;
    /// # assert_eq!(scene.sent(), "Subject: hello\r\n\r\n..\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BodyError::Misuse`] without [`Event::SendBody`]. [`BodyError::Needs8BitMime`] when octets over 127 come
    /// that the server does not take, whatever the envelope said; the message is then never completed.
    pub fn chunk(&mut self, chunk: Bytes, output: &mut Output) -> Result<(), BodyError> {
        let State::Body(outgoing) = &mut self.state else {
            return match self.body_refused {
                true => Ok(()),
                false => Err(BodyError::Misuse(self.misuse("chunk", Reason::State))),
            };
        };
        let binary = self.bdat.is_some_and(|bdat| bdat.binary);
        let takes_all = binary || self.capabilities.eight_bit_mime || self.options.eight_bit_anyway;
        if !takes_all && !chunk.is_ascii() {
            self.state = State::Closed;
            return Err(BodyError::Needs8BitMime);
        }
        match outgoing {
            Outgoing::Dots(encoder) => encoder.chunk(chunk, output),
            Outgoing::Chunks(chunks) => match chunks.chunk(chunk, self.pending.len(), output) {
                Ok(true) => self.pending.push_back(Pending::Chunk),
                Ok(false) => {}
                Err(_) => {
                    self.state = State::Closed;
                    return Err(BodyError::WrongSize);
                }
            },
        }
        Ok(())
    }

    /// Ends the message. [`Event::Delivered`] follows, with LMTP one for each accepted recipient.
    ///
    /// ```
    /// # use hikyaku_smtp_proto::client::{Connection, Options};
    /// # let mut options = Options::new("client.example");
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("220 mx.example.org\r\n250-mx.example.org\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n");
    /// # scene.sent();
    /// # {
    /// #     use hikyaku_smtp_proto::{ForwardPath, Mailbox, ReversePath, client::Envelope};
    /// #     let to = ForwardPath::Mailbox(Mailbox::parse(b"bob@example.org")?);
    /// #     let (machine, output) = scene.split();
    /// #     machine.send(Envelope::new(ReversePath(None), vec![to]), output)?;
    /// #     scene.hears("250 ok\r\n250 ok\r\n354 go\r\n");
    /// #     scene.sent();
    /// # }
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.chunk("Subject: hello\r\n".into(), output)?;
    /// machine.end_of_body(output)?;
    /// # assert_eq!(scene.sent(), "Subject: hello\r\n.\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BodyError::Misuse`] without [`Event::SendBody`]; [`BodyError::WrongSize`] when fewer octets came than BDAT has
    /// announced, and the message is never completed then.
    pub fn end_of_body(&mut self, output: &mut Output) -> Result<(), BodyError> {
        let State::Body(outgoing) = &mut self.state else {
            return match self.body_refused {
                true => Ok(()),
                false => Err(BodyError::Misuse(self.misuse("end_of_body", Reason::State))),
            };
        };
        let outgoing = core::mem::replace(outgoing, Outgoing::Dots(DotEncoder::new()));
        let ended = match outgoing {
            Outgoing::Dots(encoder) => {
                encoder.end(output);
                Ok(())
            }
            Outgoing::Chunks(chunks) => chunks.end(output),
        };
        if ended.is_err() {
            self.state = State::Closed;
            return Err(BodyError::WrongSize);
        }
        self.state = State::Open;
        if self.options.lmtp {
            let each = self.accepted.iter().map(|&i| Pending::Message(Some(i)));
            self.pending.extend(each);
        } else {
            self.pending.push_back(Pending::Message(None));
        }
        Ok(())
    }

    /// Issues QUIT. [`Step::Closed`] follows.
    ///
    /// ```
    /// # use hikyaku_smtp_proto::client::{Connection, Options};
    /// # let mut options = Options::new("client.example");
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("220 mx.example.org\r\n250-mx.example.org\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n");
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.quit(output)?;
    /// // QUIT
    /// # assert_eq!(scene.sent(), "QUIT\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when another command is under way.
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
            return Ok(Some(Event::Bye(reply)));
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
                self.capabilities = Capabilities::of(reply);
                Event::Connected(self.capabilities.clone())
            }
            Pending::Ehlo if !self.options.lmtp && !reply.is_transient() => {
                let name = self.options.hostname.clone();
                self.say(&Command::Helo(name), Pending::Helo, output);
                return Ok(None);
            }
            Pending::Helo if positive => Event::Connected(Capabilities::default()),
            Pending::Greeting | Pending::Ehlo | Pending::Helo => {
                self.state = State::Closed;
                Event::Bye(reply)
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
            Pending::Auth(_) if positive => {
                self.authenticated = true;
                Event::Authenticated(reply)
            }
            Pending::Auth(_) => Event::AuthenticationRefused(reply),
            Pending::Mail => {
                self.mail_refused = !positive;
                if !positive {
                    self.recipients.clear();
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
                self.state = State::Body(Outgoing::Dots(DotEncoder::new()));
                Event::SendBody
            }
            Pending::Chunk if positive || self.body_refused => {
                self.after_refusal(output);
                return Ok(None);
            }
            Pending::Chunk => {
                self.body_refused = true;
                if let State::Body(_) = self.state {
                    self.state = State::Open;
                }
                self.after_refusal(output);
                Event::DataRefused(reply)
            }
            Pending::Message(_) if self.body_refused => {
                self.after_refusal(output);
                return Ok(None);
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

    /// Once all answers to a message that was refused have come, the transaction is given up.
    fn after_refusal(&mut self, output: &mut Output) {
        if self.body_refused && self.pending.is_empty() {
            self.reset(output);
        }
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
                    return Ok(Step::Event(Event::Completed));
                }
                State::Ready(bdat) => {
                    let chunks = Chunks::new(bdat.binary, bdat.octets, output);
                    self.state = State::Body(Outgoing::Chunks(chunks));
                    return Ok(Step::Event(Event::SendBody));
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
            let reply = match self.reply.push(&line, self.options.limits.leniencies) {
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

    /// The server is asked anew what it can do.
    fn tls_established(&mut self, output: &mut Output) {
        if let State::StartTls = self.state {
            self.state = State::Open;
            self.options.tls = true;
            self.authenticated = false;
            self.capabilities = Capabilities::default();
            self.ehlo(output);
        }
    }

    /// Says QUIT where nothing is under way.
    fn shut_down(&mut self, output: &mut Output) {
        if self.is_idle() {
            Command::<Bytes>::Quit.encode(output);
        }
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
