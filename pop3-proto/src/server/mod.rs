//! The server machine (RFC 1939 §3 to §6).
//!
//! The machine holds what the maildrop listed when it was opened, and answers CAPA, STAT, LIST, UIDL, DELE, RSET
//! and NOOP by itself. The application checks logins, reads messages, and deletes at the end.
//!
//! # States
//!
//! | State | What happens | Next state |
//! |---|---|---|
//! | start | [`Event::Connected`]: [`greet`](Connection::greet) | AUTHORIZATION |
//! | | [`Event::Connected`]: [`err`](Connection::err) | closed |
//! | AUTHORIZATION | [`Event::Login`] (USER and PASS), [`Event::Apop`], [`Event::Authenticate`] | login |
//! | | STLS: [`Step::StartTls`], then [`Machine::tls_established`] | AUTHORIZATION |
//! | | QUIT | closed |
//! | login | [`grant`](Connection::grant) with the [`Maildrop`] | TRANSACTION |
//! | | [`refuse`](Connection::refuse), [`err`](Connection::err) or [`Event::SaslCancelled`] | AUTHORIZATION |
//! | | AUTH only: [`challenge`](Connection::challenge); the client's next line is [`Event::SaslResponse`] | login |
//! | TRANSACTION | [`Event::Message`] (RETR, TOP): [`begin`](Connection::begin) | message |
//! | | [`Event::Message`]: [`err`](Connection::err) | TRANSACTION |
//! | | QUIT: [`Event::Update`] | UPDATE |
//! | message | [`chunk`](Connection::chunk)s, then [`end`](Connection::end) | TRANSACTION |
//! | UPDATE | [`ok`](Connection::ok) or [`err`](Connection::err), after the deletion | closed |
//! | any | [`Limits::errors`](crate::Limits::errors), the methods of "ending" below: nothing is deleted | closed |
//! | closed | [`Step::Closed`] at every poll | |
//!
//! # Methods, in the order of their calls
//!
//! | Kind | Methods |
//! |---|---|
//! | Setting up | [`Options`], [`Connection::new`] |
//! | Feeding | [`Machine::poll`]; [`Machine::tls_established`] after [`Step::StartTls`] |
//! | Answering `Connected` | [`greet`](Connection::greet) |
//! | Answering a login | [`challenge`](Connection::challenge), then [`grant`](Connection::grant) or [`refuse`](Connection::refuse) |
//! | Answering `Message` | [`begin`](Connection::begin), [`chunk`](Connection::chunk), [`end`](Connection::end) |
//! | Answering `Update` | [`ok`](Connection::ok) |
//! | Answering any of them with `-ERR` | [`err`](Connection::err) |
//! | Asking | [`maildrop`](Connection::maildrop), [`is_authenticated`](Connection::is_authenticated), [`is_tls`](Connection::is_tls), [`is_utf8`](Connection::is_utf8), [`Machine::time_limit`] |
//! | Ending | [`abort`](Connection::abort), [`Machine::shut_down`], [`Machine::timed_out`], [`Machine::end_of_input`] |

mod event;
mod maildrop;
mod options;

pub use event::{Error, Event};
pub use hikyaku_wire::Misuse;
pub use maildrop::{InvalidUniqueId, Maildrop};
pub use options::Options;

use bytes::{Bytes, BytesMut};
use core::time::Duration;
use hikyaku_wire::{
    DotEncoder, LineFramer, LoginRefusal, Machine, Output, Reason, SaslLine, Step, decode_sasl,
    encode_sasl,
};

use crate::command::write_mechanism;
use crate::{Capabilities, Command, Response, ResponseCode};
use maildrop::Cut;

/// One connection, from the greeting to its end.
#[derive(Debug)]
pub struct Connection {
    options: Options,
    framer: LineFramer,
    state: State,
    user: Option<Bytes>,
    maildrop: Option<Maildrop>,
    utf8: bool,
    errors: u32,
}

#[derive(Debug)]
enum State {
    Start,
    /// Reading commands: in the AUTHORIZATION state without a maildrop, else in TRANSACTION.
    Command,
    Asked(Asked),
    Sasl,
    /// A message is being sent.
    Message(DotEncoder, Cut),
    StartTls,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Connected,
    Login,
    Auth,
    Message(Cut),
    Update,
}

impl Connection {
    /// Creates a machine that stands before the greeting.
    ///
    /// ```
    /// use hikyaku_pop3_proto::server::{Connection, Options};
    /// let mut options = Options::default();
    /// options.stls = true;
    /// let machine = Connection::new(options);
    /// assert!(!machine.is_authenticated());
    /// ```
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            framer: LineFramer::default(),
            state: State::Start,
            user: None,
            maildrop: None,
            utf8: false,
            errors: 0,
        }
    }

    /// Returns whether the client asked for UTF-8 (RFC 6856).
    ///
    /// ```
    /// # use hikyaku_pop3_proto::server::*;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(!machine.is_utf8());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_utf8(&self) -> bool {
        self.utf8
    }

    /// Returns the open maildrop.
    ///
    /// ```
    /// # use hikyaku_pop3_proto::server::*;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("USER alice\r\nPASS sesame\r\n");
    /// # scene.sent();
    /// # let mut maildrop = Maildrop::new();
    /// # maildrop.push(24, "a1")?;
    /// # scene.answer(|machine, output| machine.grant(maildrop, output));
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(machine.maildrop().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn maildrop(&self) -> Option<&Maildrop> {
        self.maildrop.as_ref()
    }

    /// Returns whether what is sent now is protected by TLS.
    ///
    /// ```
    /// # use hikyaku_pop3_proto::server::*;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(machine.is_tls());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.options.tls
    }

    /// Returns whether somebody has logged in.
    ///
    /// ```
    /// # use hikyaku_pop3_proto::server::*;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("USER alice\r\nPASS sesame\r\n");
    /// # scene.sent();
    /// # let mut maildrop = Maildrop::new();
    /// # maildrop.push(24, "a1")?;
    /// # scene.answer(|machine, output| machine.grant(maildrop, output));
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(machine.is_authenticated());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.maildrop.is_some()
    }

    /// Answers [`Event::Connected`] with `+OK`, `text` and, for APOP, the timestamp of the options.
    ///
    /// ```
    /// # use hikyaku_pop3_proto::server::*;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.greet("ready", output)?;
    /// // +OK ready
    /// # assert_eq!(scene.sent(), "+OK ready\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when no greeting is due.
    pub fn greet(&mut self, text: &str, output: &mut Output) -> Result<(), Misuse> {
        match self.state {
            State::Asked(Asked::Connected) => self.ok(text, output),
            _ => Err(self.misuse("greet")),
        }
    }

    /// Answers [`Event::Connected`] and [`Event::Update`] positively.
    ///
    /// ```
    /// # use hikyaku_pop3_proto::server::*;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("USER alice\r\nPASS sesame\r\n");
    /// # scene.sent();
    /// # let mut maildrop = Maildrop::new();
    /// # maildrop.push(24, "a1")?;
    /// # scene.answer(|machine, output| machine.grant(maildrop, output));
    /// # scene.sent();
    /// # scene.hears("QUIT\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// // After `Event::Update`, when what it names is deleted.
    /// machine.ok("Bye", output)?;
    /// // +OK Bye
    /// # assert_eq!(scene.sent(), "+OK Bye\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when neither event waits.
    pub fn ok(&mut self, text: &str, output: &mut Output) -> Result<(), Misuse> {
        match self.state {
            State::Asked(Asked::Connected) => {
                let mut line = text.as_bytes().to_vec();
                if let Some(timestamp) = &self.options.timestamp {
                    line.push(b' ');
                    line.extend_from_slice(timestamp);
                }
                self.say(true, None, line, output);
                self.state = State::Command;
            }
            State::Asked(Asked::Update) => {
                self.say(true, None, text.as_bytes().to_vec(), output);
                self.state = State::Closed;
            }
            _ => return Err(self.misuse("ok")),
        }
        Ok(())
    }

    /// Grants a login: answers it with `+OK`, and opens the maildrop.
    ///
    /// ```
    /// # use hikyaku_pop3_proto::server::*;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("USER alice\r\nPASS sesame\r\n");
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// use hikyaku_pop3_proto::server::Maildrop;
    /// let mut maildrop = Maildrop::new();
    /// maildrop.push(120, "a1")?;
    /// machine.grant(maildrop, output)?;
    /// // +OK 1 messages (120 octets)
    /// # assert_eq!(scene.sent(), "+OK 1 messages (120 octets)\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when no login waits.
    pub fn grant(&mut self, maildrop: Maildrop, output: &mut Output) -> Result<(), Misuse> {
        let State::Asked(Asked::Login | Asked::Auth) = self.state else {
            return Err(self.misuse("grant"));
        };
        let (messages, octets) = maildrop.count();
        let text = alloc::format!("{messages} messages ({octets} octets)");
        self.say(true, None, text.into_bytes(), output);
        self.maildrop = Some(maildrop);
        self.errors = 0;
        self.state = State::Command;
        Ok(())
    }

    /// Refuses a login: answers it with `-ERR` (RFC 2449 §8, RFC 3206).
    ///
    /// ```
    /// # use hikyaku_pop3_proto::server::*;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("USER alice\r\nPASS sesame\r\n");
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// use hikyaku_wire::LoginRefusal;
    /// machine.refuse(LoginRefusal::Unavailable, output)?;
    /// // -ERR [SYS/TEMP] Try again later
    /// # assert_eq!(scene.sent(), "-ERR [SYS/TEMP] Try again later\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when no login waits.
    pub fn refuse(&mut self, why: LoginRefusal, output: &mut Output) -> Result<(), Misuse> {
        let State::Asked(Asked::Login | Asked::Auth) = self.state else {
            return Err(self.misuse("refuse"));
        };
        match why {
            LoginRefusal::Credentials => {
                self.err(Some(ResponseCode::Auth), "Wrong name or password", output)
            }
            _ => self.err(Some(ResponseCode::SysTemp), "Try again later", output),
        }
    }

    /// Answers the last event negatively. After `Connected` and `Update` the connection ends.
    ///
    /// ```
    /// # use hikyaku_pop3_proto::server::*;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("USER alice\r\nPASS sesame\r\n");
    /// # scene.sent();
    /// # let mut maildrop = Maildrop::new();
    /// # maildrop.push(24, "a1")?;
    /// # scene.answer(|machine, output| machine.grant(maildrop, output));
    /// # scene.sent();
    /// # scene.hears("RETR 1\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.err(None, "It is damaged on the server", output)?;
    /// // -ERR It is damaged on the server
    /// # assert_eq!(scene.sent(), "-ERR It is damaged on the server\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when no event waits for an answer.
    pub fn err(
        &mut self,
        code: Option<ResponseCode>,
        text: &str,
        output: &mut Output,
    ) -> Result<(), Misuse> {
        let State::Asked(asked) = self.state else {
            return Err(self.misuse("err"));
        };
        self.state = match asked {
            Asked::Connected | Asked::Update => State::Closed,
            _ => State::Command,
        };
        self.user = None;
        self.say(false, code, text.as_bytes().to_vec(), output);
        Ok(())
    }

    /// Sends a SASL challenge: the answer to [`Event::Authenticate`] or [`Event::SaslResponse`].
    ///
    /// ```
    /// # use hikyaku_pop3_proto::server::*;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("AUTH PLAIN\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.challenge(b"", output)?;
    /// // +
    /// # assert_eq!(scene.sent(), "+ \r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when no exchange is under way.
    pub fn challenge(&mut self, challenge: &[u8], output: &mut Output) -> Result<(), Misuse> {
        let State::Asked(Asked::Auth) = self.state else {
            return Err(self.misuse("challenge"));
        };
        output.write(b"+ ");
        output.write(&encode_sasl(challenge));
        output.write(b"\r\n");
        self.state = State::Sasl;
        Ok(())
    }

    /// Begins the message that [`Event::Message`] asks for.
    ///
    /// ```
    /// # use hikyaku_pop3_proto::server::*;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("USER alice\r\nPASS sesame\r\n");
    /// # scene.sent();
    /// # let mut maildrop = Maildrop::new();
    /// # maildrop.push(24, "a1")?;
    /// # scene.answer(|machine, output| machine.grant(maildrop, output));
    /// # scene.sent();
    /// # scene.hears("RETR 1\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.begin(output)?;
    /// machine.chunk("Subject: hi\r\n\r\n.hello\r\n".into(), output)?;
    /// machine.end(output)?;
    /// # assert_eq!(scene.sent(), "+OK Message follows\r\nSubject: hi\r\n\r\n..hello\r\n.\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when no [`Event::Message`] waits.
    pub fn begin(&mut self, output: &mut Output) -> Result<(), Misuse> {
        let State::Asked(Asked::Message(cut)) = self.state else {
            return Err(self.misuse("begin"));
        };
        self.say(true, None, b"Message follows".to_vec(), output);
        self.state = State::Message(DotEncoder::new(), cut);
        Ok(())
    }

    /// Sends the next octets of the message. Returns whether more are wanted: for TOP, not after its last line.
    ///
    /// ```
    /// # use hikyaku_pop3_proto::server::*;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("USER alice\r\nPASS sesame\r\n");
    /// # scene.sent();
    /// # let mut maildrop = Maildrop::new();
    /// # maildrop.push(24, "a1")?;
    /// # scene.answer(|machine, output| machine.grant(maildrop, output));
    /// # scene.sent();
    /// # scene.hears("RETR 1\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.begin(output)?;
    /// // TOP wants no more at some time.
    /// let wants_more = machine.chunk("Subject: hi\r\n".into(), output)?;
    /// assert!(wants_more);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when no message was begun.
    pub fn chunk(&mut self, mut chunk: Bytes, output: &mut Output) -> Result<bool, Misuse> {
        let State::Message(encoder, cut) = &mut self.state else {
            return Err(self.misuse("chunk"));
        };
        let (length, wanted) = (chunk.len(), cut.take(&chunk));
        chunk.truncate(wanted);
        encoder.chunk(chunk, output);
        Ok(wanted == length)
    }

    /// Ends the message.
    ///
    /// ```
    /// # use hikyaku_pop3_proto::server::*;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("USER alice\r\nPASS sesame\r\n");
    /// # scene.sent();
    /// # let mut maildrop = Maildrop::new();
    /// # maildrop.push(24, "a1")?;
    /// # scene.answer(|machine, output| machine.grant(maildrop, output));
    /// # scene.sent();
    /// # scene.hears("RETR 1\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.begin(output)?;
    /// machine.chunk("Subject: hi\r\n".into(), output)?;
    /// machine.end(output)?;
    /// # assert_eq!(scene.sent(), "+OK Message follows\r\nSubject: hi\r\n.\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when no message was begun.
    pub fn end(&mut self, output: &mut Output) -> Result<(), Misuse> {
        let State::Message(encoder, _) = &mut self.state else {
            return Err(self.misuse("end"));
        };
        core::mem::take(encoder).end(output);
        self.state = State::Command;
        Ok(())
    }

    fn misuse(&self, method: &'static str) -> Misuse {
        let state = match &self.state {
            State::Start => "before the greeting",
            State::Command => "while no event waits for an answer",
            State::Asked(Asked::Connected) => "while Connected waits for an answer",
            State::Asked(Asked::Login) => "while a login waits for an answer",
            State::Asked(Asked::Auth) => "while AUTH waits for an answer",
            State::Asked(Asked::Message(_)) => "while Message waits for an answer",
            State::Asked(Asked::Update) => "while Update waits for an answer",
            State::Sasl => "while the client's SASL response is due",
            State::Message(..) => "inside a message",
            State::StartTls => "before TLS has begun",
            State::Closed => "after the end of the connection",
        };
        Misuse::new(method, state, Reason::State)
    }

    /// Ends the connection, when a message that was begun cannot be finished, or the server stops.
    /// Nothing is deleted.
    ///
    /// ```
    /// # use hikyaku_pop3_proto::server::*;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("USER alice\r\nPASS sesame\r\n");
    /// # scene.sent();
    /// # let mut maildrop = Maildrop::new();
    /// # maildrop.push(24, "a1")?;
    /// # scene.answer(|machine, output| machine.grant(maildrop, output));
    /// # scene.sent();
    /// # scene.hears("RETR 1\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.begin(output)?;
    /// // The rest cannot be read: half a message may not look like a whole one.
    /// machine.abort();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn abort(&mut self) {
        self.state = State::Closed;
    }

    fn say(
        &mut self,
        is_ok: bool,
        code: Option<ResponseCode>,
        text: impl Into<Bytes>,
        output: &mut Output,
    ) {
        let response = Response {
            is_ok,
            code,
            text: text.into(),
        };
        response.encode(output);
        if is_ok {
            return;
        }
        self.errors += 1;
        if self.errors >= self.options.limits.errors {
            self.state = State::Closed;
        }
    }

    fn fail(&mut self, text: &'static str, output: &mut Output) -> Option<Step<Event>> {
        self.say(false, None, text, output);
        None
    }

    fn ask(&mut self, asked: Asked, event: Event) -> Option<Step<Event>> {
        self.state = State::Asked(asked);
        Some(Step::Event(event))
    }

    fn may_log_in(&self) -> bool {
        self.options.tls || !self.options.login_needs_tls
    }

    fn capabilities(&self, output: &mut Output) {
        let log_in = self.may_log_in();
        let mechanisms = if log_in {
            &self.options.mechanisms[..]
        } else {
            &[]
        };
        let all = Capabilities {
            user: log_in,
            mechanisms: mechanisms.to_vec(),
            stls: self.options.stls && !self.options.tls && self.maildrop.is_none(),
            top: true,
            uidl: true,
            response_codes: true,
            auth_response_code: self.options.auth_response_code,
            pipelining: true,
            utf8: self.options.utf8,
            expire: self.options.expire,
            implementation: self.options.implementation.clone(),
            ..Capabilities::default()
        };
        output.write(b"+OK Capability list follows\r\n");
        all.encode(output);
        output.write(b".\r\n");
    }

    fn command(
        &mut self,
        line: &Bytes,
        input: &BytesMut,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        let Ok(command) = Command::parse(line) else {
            return self.fail("Not a command", output);
        };
        match command {
            Command::Capa => {
                self.capabilities(output);
                None
            }
            Command::Quit if self.maildrop.is_none() => {
                self.say(true, None, "Bye", output);
                self.state = State::Closed;
                None
            }
            command if self.maildrop.is_none() => self.authorization(command, input, output),
            command => self.transaction(&command, output),
        }
    }

    fn authorization(
        &mut self,
        command: Command,
        input: &BytesMut,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        let protected = matches!(
            command,
            Command::User(_) | Command::Pass(_) | Command::Auth { .. } | Command::AuthList
        );
        if protected && !self.may_log_in() {
            let text = match self.options.stls {
                true => "Encryption required: STLS first",
                false => "Encryption required",
            };
            return self.fail(text, output);
        }
        match command {
            Command::User(name) => {
                self.user = Some(name);
                self.say(true, None, "Password, please", output);
                None
            }
            Command::Pass(password) => match self.user.take() {
                Some(name) => self.ask(Asked::Login, Event::Login { name, password }),
                None => self.fail("USER first", output),
            },
            Command::Apop { name, digest } if self.options.timestamp.is_some() => {
                self.ask(Asked::Login, Event::Apop { name, digest })
            }
            Command::Auth { mechanism, initial } => {
                if self.options.mechanisms.contains(&mechanism) {
                    return self.ask(Asked::Auth, Event::Authenticate { mechanism, initial });
                }
                self.fail("Mechanism not supported", output)
            }
            Command::AuthList => {
                output.write(b"+OK Mechanisms follow\r\n");
                for mechanism in &self.options.mechanisms {
                    write_mechanism(mechanism, output);
                    output.write(b"\r\n");
                }
                output.write(b".\r\n");
                None
            }
            Command::Stls if self.options.stls && !self.options.tls => {
                if !input.is_empty() {
                    // What follows was sent in clear: never a command under TLS.
                    self.state = State::Closed;
                    return self.fail("Nothing may follow STLS", output);
                }
                self.say(true, None, "Begin TLS", output);
                self.state = State::StartTls;
                None
            }
            Command::Utf8 if self.options.utf8 => {
                self.utf8 = true;
                self.say(true, None, "UTF-8 it is", output);
                None
            }
            _ => self.fail("Not now", output),
        }
    }

    fn transaction(&mut self, command: &Command, output: &mut Output) -> Option<Step<Event>> {
        const NO_SUCH: &str = "No such message";
        let Some(maildrop) = &mut self.maildrop else {
            return None;
        };
        match *command {
            Command::Stat => {
                let (messages, octets) = maildrop.count();
                let text = alloc::format!("{messages} {octets}");
                self.say(true, None, text, output);
            }
            Command::Noop => self.say(true, None, "", output),
            Command::Rset => {
                maildrop.restore();
                self.say(true, None, "Nothing is deleted", output);
            }
            Command::List(None) => maildrop.list(output),
            Command::Uidl(None) => maildrop.unique_ids(output),
            Command::List(Some(number)) => {
                let Some(octets) = maildrop.octets(number) else {
                    return self.fail(NO_SUCH, output);
                };
                self.say(true, None, alloc::format!("{number} {octets}"), output);
            }
            Command::Uidl(Some(number)) => {
                let Some(id) = maildrop.unique_id(number) else {
                    return self.fail(NO_SUCH, output);
                };
                let mut text = alloc::format!("{number} ").into_bytes();
                text.extend_from_slice(id);
                self.say(true, None, text, output);
            }
            Command::Dele(number) => {
                if !maildrop.delete(number) {
                    return self.fail(NO_SUCH, output);
                }
                self.say(true, None, "Deleted", output);
            }
            Command::Retr(number) | Command::Top { number, .. } => {
                if maildrop.octets(number).is_none() {
                    return self.fail(NO_SUCH, output);
                }
                let lines = match *command {
                    Command::Top { lines, .. } => Some(lines),
                    _ => None,
                };
                let event = Event::Message {
                    number,
                    whole: lines.is_none(),
                };
                return self.ask(Asked::Message(Cut::after(lines)), event);
            }
            Command::Quit => {
                let deleted = maildrop.deleted();
                return self.ask(Asked::Update, Event::Update { deleted });
            }
            _ => return self.fail("Not now", output),
        }
        None
    }

    fn sasl(&mut self, line: &[u8], output: &mut Output) -> Option<Step<Event>> {
        match decode_sasl(line) {
            Ok(SaslLine::Response(response)) => {
                self.ask(Asked::Auth, Event::SaslResponse(response))
            }
            cancelled => {
                self.state = State::Command;
                let text = if cancelled.is_ok() {
                    "Cancelled"
                } else {
                    "Not base64"
                };
                self.say(false, None, text, output);
                Some(Step::Event(Event::SaslCancelled))
            }
        }
    }
}

impl Machine for Connection {
    type Event = Event;
    type Error = Error;

    fn poll(&mut self, input: &mut BytesMut, output: &mut Output) -> Result<Step<Event>, Error> {
        loop {
            let step = match self.state {
                State::Start => self.ask(Asked::Connected, Event::Connected),
                State::Asked(_) | State::Message(..) => Some(Step::NeedAnswer),
                State::StartTls => Some(Step::StartTls),
                State::Closed => {
                    input.clear();
                    Some(Step::Closed)
                }
                State::Command | State::Sasl => {
                    let sasl = matches!(self.state, State::Sasl);
                    let limits = &self.options.limits;
                    let limit = if sasl { limits.sasl_line } else { limits.line };
                    match self.framer.next(input, limit) {
                        None => Some(Step::NeedInput),
                        Some(Ok(line)) if sasl => self.sasl(&line, output),
                        Some(Ok(line)) => self.command(&line.freeze(), input, output),
                        Some(Err(_)) if sasl => self.sasl(b"?", output),
                        Some(Err(_)) => self.fail("Line too long, or bare CR or LF", output),
                    }
                }
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    /// Without QUIT nothing is deleted (RFC 1939 §6).
    fn end_of_input(&mut self) -> Result<(), Error> {
        match core::mem::replace(&mut self.state, State::Closed) {
            State::Sasl => Err(Error::InsideSasl),
            _ => Ok(()),
        }
    }

    /// At least ten minutes (RFC 1939 §3).
    fn time_limit(&self) -> Duration {
        Duration::from_secs(600)
    }

    /// Closes without a word and without deleting anything.
    fn timed_out(&mut self, _: &mut Output) {
        self.state = State::Closed;
    }

    /// What was said before is forgotten (RFC 2595 §4).
    fn tls_established(&mut self, _: &mut Output) {
        if let State::StartTls = self.state {
            self.options.tls = true;
            self.user = None;
            self.utf8 = false;
            self.state = State::Command;
        }
    }

    /// Closes without a word, since nothing may be said unasked, and without deleting anything.
    fn shut_down(&mut self, _: &mut Output) {
        self.state = State::Closed;
    }
}

#[cfg(test)]
mod tests;
