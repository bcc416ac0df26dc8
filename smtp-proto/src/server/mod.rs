//! The server machine: SMTP reception, submission and LMTP (RFC 5321, 6409, 2033).
//!
//! # States
//!
//! A positive reply is 2yz or 3yz. A command that this table does not name in a state is answered by the machine,
//! without an event.
//!
//! | State | What happens | Next state |
//! |---|---|---|
//! | start | [`Event::Connected`], answered 220 | before EHLO |
//! | | answered with a negative reply | closed |
//! | before EHLO, ready, transaction | [`Event::Hello`], answered with a positive reply | ready |
//! | | STARTTLS: [`Step::StartTls`], then [`Machine::tls_established`] | before EHLO |
//! | | [`Event::Verify`], [`Event::Expand`], [`Event::Etrn`], [`Event::XForward`], answered | unchanged |
//! | | [`Event::XClient`], answered with a positive reply | before EHLO |
//! | | QUIT | closed |
//! | ready | [`Event::Mail`], answered with a positive reply | transaction |
//! | | [`Event::Authenticate`] (after EHLO; once) | login |
//! | login | [`challenge`](Connection::challenge); the client's next line is [`Event::SaslResponse`] | login |
//! | | [`grant`](Connection::grant), [`refuse`](Connection::refuse) or [`Event::SaslCancelled`] | ready |
//! | transaction | [`Event::Rcpt`]: a positive reply adds a recipient | transaction |
//! | | [`Event::Data`] (with a recipient), answered with a positive reply | body |
//! | | RSET: [`Event::Reset`] | ready |
//! | body | [`Event::Chunk`]s, then [`Event::EndOfBody`], answered (LMTP: one reply for each recipient) | ready |
//! | | between two BDATs: RSET: [`Event::Reset`] | ready |
//! | | [`Event::Burl`], answered | body; ready behind the last |
//! | | [`Event::BodyRefused`]; the machine skips the rest and answers at its end | ready |
//! | any | 421 as an answer, [`Limits::errors`](crate::Limits::errors), the methods of "ending" below | closed |
//! | closed | [`Step::Closed`] at every poll | |
//!
//! # Methods, in the order of their calls
//!
//! | Kind | Methods |
//! |---|---|
//! | Setting up | [`Options::new`], [`Connection::new`] |
//! | Feeding | [`Machine::poll`]; [`Machine::tls_established`] after [`Step::StartTls`] |
//! | Answering any event that waits | [`accept`](Connection::accept), [`reply`](Connection::reply) |
//! | Answering `Connected` | [`greet`](Connection::greet) |
//! | Answering `Authenticate`, `SaslResponse` | [`challenge`](Connection::challenge), then [`grant`](Connection::grant) or [`refuse`](Connection::refuse) |
//! | Asking | [`is_tls`](Connection::is_tls), [`is_authenticated`](Connection::is_authenticated), [`Machine::time_limit`] |
//! | Ending | [`Machine::shut_down`], [`Machine::timed_out`], [`Machine::end_of_input`] |

mod announce;
mod body;
mod checks;
mod event;
mod options;

pub use event::{Error, Event};
pub use hikyaku_wire::Misuse;
pub use options::Options;

use bytes::{Bytes, BytesMut};
use core::fmt::Write as _;
use core::time::Duration;
use hikyaku_wire::{
    LineError, LineFramer, LoginRefusal, Machine, Output, Reason, SaslLine, Step, decode_sasl,
    encode_sasl,
};

use crate::command::line::Command;
use crate::parameter::body_type::BodyType;
use crate::parameter::mail::MailParameters;
use crate::parameter::rcpt::RcptParameters;
use crate::path::forward::ForwardPath;
use crate::path::reverse::ReversePath;
use crate::reply::Reply;
use crate::server::body::{Body, Progress};

/// One connection, from the greeting to its end.
#[derive(Debug)]
pub struct Connection {
    options: Options,
    framer: LineFramer,
    state: State,
    hello: Hello,
    authenticated: bool,
    transaction: Option<Transaction>,
    errors: u32,
}

/// What the client said first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hello {
    Not,
    Helo,
    Ehlo,
}

/// A mail transaction (§3.3): between a MAIL that was accepted and the end of its message.
#[derive(Debug, Default)]
struct Transaction {
    recipients: usize,
    smtputf8: bool,
    binary: bool,
    /// What has come by BDAT, between two chunks.
    body: Option<Body>,
}

#[derive(Debug)]
enum State {
    Start,
    Command,
    /// The application has the event and has not answered.
    Asked(Asked),
    /// A challenge was sent.
    Sasl,
    Body(Body),
    /// Octets of BDAT that nobody waits for, then the answer.
    Skip {
        left: u64,
        reply: Reply,
    },
    StartTls,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Connected,
    Hello(Hello),
    Mail {
        smtputf8: bool,
        binary: bool,
    },
    Rcpt,
    Data,
    /// The first BDAT.
    Chunk {
        octets: u64,
        last: bool,
    },
    /// BURL that is not the last.
    Burl,
    Etrn,
    Expand,
    XClient,
    XForward,
    /// How many replies are due: one, or with LMTP one for each recipient.
    Message {
        replies: usize,
    },
    Auth,
    Verify,
}

impl Connection {
    /// Creates a machine that stands before the greeting.
    ///
    /// ```
    /// use hikyaku_smtp_proto::server::{Connection, Options};
    /// let mut options = Options::new("mx.example.org");
    /// options.starttls = true;
    /// let machine = Connection::new(options);
    /// assert!(!machine.is_tls());
    /// ```
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            framer: LineFramer::default(),
            state: State::Start,
            hello: Hello::Not,
            authenticated: false,
            transaction: None,
            errors: 0,
        }
    }

    /// Returns whether a SASL exchange has succeeded.
    ///
    /// ```
    /// # use hikyaku_smtp_proto::server::{Connection, Options};
    /// # let mut options = Options::new("mx.example.org");
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.accept(output));
    /// # scene.hears("EHLO client.example\r\n");
    /// # scene.answer(|machine, output| machine.accept(output));
    /// # scene.sent();
    /// # scene.hears("AUTH PLAIN AGEAYg==\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.grant(output)?;
    /// assert!(machine.is_authenticated());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// Returns whether what is sent now is protected by TLS.
    ///
    /// ```
    /// # use hikyaku_smtp_proto::server::{Connection, Options};
    /// # let mut options = Options::new("mx.example.org");
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// // As the options say, until STARTTLS.
    /// assert!(machine.is_tls());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.options.tls
    }

    /// Answers [`Event::Connected`] with 220, the server's name, and `text`.
    ///
    /// ```
    /// # use hikyaku_smtp_proto::server::{Connection, Options};
    /// # let mut options = Options::new("mx.example.org");
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.greet("at your service", output)?;
    /// // 220 mx.example.org ESMTP at your service
    /// # assert_eq!(scene.sent(), "220 mx.example.org ESMTP at your service\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when no greeting is due.
    pub fn greet(&mut self, text: &str, output: &mut Output) -> Result<(), Misuse> {
        if !matches!(self.state, State::Asked(Asked::Connected | Asked::XClient)) {
            return Err(self.misuse("greet"));
        }
        let kind = if self.options.lmtp { "LMTP" } else { "ESMTP" };
        let mut line = [&self.options.hostname[..], b" ", kind.as_bytes()].concat();
        if !text.is_empty() {
            line.extend_from_slice(&[b" ", text.as_bytes()].concat());
        }
        self.reply(&Reply::new(220, "", line), output)
    }

    /// Grants a login: answers it with 235.
    ///
    /// ```
    /// # use hikyaku_smtp_proto::server::{Connection, Options};
    /// # let mut options = Options::new("mx.example.org");
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.accept(output));
    /// # scene.hears("EHLO client.example\r\n");
    /// # scene.answer(|machine, output| machine.accept(output));
    /// # scene.sent();
    /// # scene.hears("AUTH PLAIN AGEAYg==\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.grant(output)?;
    /// // 235 2.7.0 Authentication succeeded
    /// # assert_eq!(scene.sent(), "235 2.7.0 Authentication succeeded\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when no login waits.
    pub fn grant(&mut self, output: &mut Output) -> Result<(), Misuse> {
        match self.state {
            State::Asked(Asked::Auth) => self.accept(output),
            _ => Err(self.misuse("grant")),
        }
    }

    /// Refuses a login: answers it with 535 or 454 (RFC 4954 §6).
    ///
    /// ```
    /// # use hikyaku_smtp_proto::server::{Connection, Options};
    /// # let mut options = Options::new("mx.example.org");
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.accept(output));
    /// # scene.hears("EHLO client.example\r\n");
    /// # scene.answer(|machine, output| machine.accept(output));
    /// # scene.sent();
    /// # scene.hears("AUTH PLAIN AGEAYg==\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// use hikyaku_wire::LoginRefusal;
    /// machine.refuse(LoginRefusal::Credentials, output)?;
    /// // 535 5.7.8 Authentication credentials invalid
    /// # assert_eq!(scene.sent(), "535 5.7.8 Authentication credentials invalid\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when no login waits.
    pub fn refuse(&mut self, why: LoginRefusal, output: &mut Output) -> Result<(), Misuse> {
        let State::Asked(Asked::Auth) = self.state else {
            return Err(self.misuse("refuse"));
        };
        let reply = match why {
            LoginRefusal::Credentials => {
                Reply::new(535, "5.7.8", "Authentication credentials invalid")
            }
            _ => Reply::new(454, "4.7.0", "Try again later"),
        };
        self.reply(&reply, output)
    }

    /// Answers the last event with the RFC's reply for success.
    ///
    /// ```
    /// # use hikyaku_smtp_proto::server::{Connection, Options};
    /// # let mut options = Options::new("mx.example.org");
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.accept(output));
    /// # scene.hears("EHLO client.example\r\n");
    /// # scene.answer(|machine, output| machine.accept(output));
    /// # scene.sent();
    /// # scene.hears("MAIL FROM:<alice@example.org>\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.accept(output)?;
    /// // 250 2.1.0 Originator ok
    /// # assert_eq!(scene.sent(), "250 2.1.0 Originator ok\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when nothing waits for an answer.
    pub fn accept(&mut self, output: &mut Output) -> Result<(), Misuse> {
        let State::Asked(asked) = self.state else {
            return Err(self.misuse("accept"));
        };
        let reply = match asked {
            Asked::Connected | Asked::XClient => return self.greet("", output),
            Asked::Hello(Hello::Ehlo) => {
                Reply::of_lines(250, "", self.options.lines(self.authenticated))
            }
            Asked::Hello(_) => Reply::new(250, "", self.options.hostname.clone()),
            Asked::Mail { .. } => Reply::new(250, "2.1.0", "Originator ok"),
            Asked::Rcpt => Reply::new(250, "2.1.5", "Recipient ok"),
            Asked::Data | Asked::Chunk { .. } => {
                Reply::new(354, "", "Go ahead, end with CRLF.CRLF")
            }
            Asked::Burl => Reply::new(250, "2.5.0", "Fetched"),
            Asked::Etrn => Reply::new(250, "2.0.0", "Queuing started"),
            Asked::Expand => Reply::new(252, "2.1.5", "Cannot expand, send some mail and see"),
            Asked::XForward => Reply::new(250, "2.0.0", "Ok"),
            Asked::Message { .. } => Reply::new(250, "2.0.0", "Message accepted"),
            Asked::Auth => Reply::new(235, "2.7.0", "Authentication succeeded"),
            Asked::Verify => Reply::new(252, "2.1.5", "Cannot verify, send some mail and see"),
        };
        self.reply(&reply, output)
    }

    fn misuse(&self, method: &'static str) -> Misuse {
        self.misuse_of(method, Reason::State)
    }

    fn misuse_of(&self, method: &'static str, reason: Reason) -> Misuse {
        let state = match &self.state {
            State::Start => "before the greeting",
            State::Command => "while no event waits for an answer",
            State::Asked(Asked::Connected) => "while Connected waits for an answer",
            State::Asked(Asked::Hello(_)) => "while Hello waits for an answer",
            State::Asked(Asked::Mail { .. }) => "while Mail waits for an answer",
            State::Asked(Asked::Rcpt) => "while Rcpt waits for an answer",
            State::Asked(Asked::Data | Asked::Chunk { .. }) => "while Data waits for an answer",
            State::Asked(Asked::Burl) => "while Burl waits for an answer",
            State::Asked(Asked::Etrn) => "while Etrn waits for an answer",
            State::Asked(Asked::Expand) => "while Expand waits for an answer",
            State::Asked(Asked::XClient) => "while XClient waits for an answer",
            State::Asked(Asked::XForward) => "while XForward waits for an answer",
            State::Asked(Asked::Message { .. }) => "while EndOfBody waits for an answer",
            State::Asked(Asked::Auth) => "while AUTH waits for an answer",
            State::Asked(Asked::Verify) => "while Verify waits for an answer",
            State::Sasl => "while the client's SASL response is due",
            State::Body(_) | State::Skip { .. } => "inside a message",
            State::StartTls => "before TLS has begun",
            State::Closed => "after the end of the connection",
        };
        Misuse::new(method, state, reason)
    }

    /// Answers the last event. What the event asks for is done when the reply is positive (2yz or 3yz), else not.
    /// A 421 ends the connection. With LMTP, [`Event::EndOfBody`] takes one reply for each
    /// recipient, in their order.
    ///
    /// ```
    /// # use hikyaku_smtp_proto::server::{Connection, Options};
    /// # let mut options = Options::new("mx.example.org");
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.accept(output));
    /// # scene.hears("EHLO client.example\r\n");
    /// # scene.answer(|machine, output| machine.accept(output));
    /// # scene.sent();
    /// # scene.hears("MAIL FROM:<alice@example.org>\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// use hikyaku_smtp_proto::Reply;
    /// machine.reply(&Reply::new(550, "5.7.1", "Not from there"), output)?;
    /// // 550 5.7.1 Not from there
    /// # assert_eq!(scene.sent(), "550 5.7.1 Not from there\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when nothing waits for an answer, at a 2yz reply to [`Event::Data`], and at a 3yz one to any other.
    pub fn reply(&mut self, reply: &Reply, output: &mut Output) -> Result<(), Misuse> {
        let State::Asked(asked) = self.state else {
            return Err(self.misuse("reply"));
        };
        // Only DATA has an intermediate reply, and no other that lets the message come (§4.3.2).
        let positive = match asked {
            Asked::Data | Asked::Chunk { .. } => reply.is_intermediate(),
            _ => reply.is_positive(),
        };
        if !positive && (reply.is_positive() || reply.is_intermediate()) {
            return Err(self.misuse_of("reply", Reason::Argument));
        }
        if let Asked::Chunk { octets, last } = asked {
            self.answer_chunk(reply, octets, last);
            return Ok(());
        }
        match asked {
            Asked::Connected | Asked::XClient | Asked::Hello(_) => reply.encode(output),
            _ if self.hello != Hello::Ehlo => reply.encode(output),
            // ENHANCEDSTATUSCODES was announced.
            _ => reply.encode_enhanced(output),
        }
        self.state = State::Command;
        match asked {
            Asked::Connected if !positive => self.state = State::Closed,
            Asked::Hello(hello) if positive => {
                self.hello = hello;
                self.transaction = None;
            }
            Asked::XClient if positive => {
                self.hello = Hello::Not;
                self.authenticated = false;
            }
            Asked::Mail { smtputf8, binary } if positive => {
                self.transaction = Some(Transaction {
                    smtputf8,
                    binary,
                    ..Transaction::default()
                });
            }
            Asked::Rcpt if positive => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.recipients += 1;
                }
            }
            Asked::Data if positive => self.state = State::Body(self.new_body()),
            Asked::Burl if !positive => self.transaction = None,
            Asked::Message { replies } if replies > 1 => {
                self.state = State::Asked(Asked::Message {
                    replies: replies - 1,
                });
            }
            Asked::Message { .. } => {
                self.transaction = None;
                if positive {
                    self.errors = 0;
                }
            }
            Asked::Auth if positive => self.authenticated = true,
            _ => {}
        }
        self.count(reply, output);
        Ok(())
    }

    fn new_body(&self) -> Body {
        let binary = self.transaction.as_ref().is_some_and(|one| one.binary);
        let Options {
            bare_newlines,
            limits,
            ..
        } = &self.options;
        Body::of_data(binary, *bare_newlines, limits.message)
    }

    /// The octets of BDAT follow whatever is answered (RFC 3030 §2): a refusal is sent behind them.
    fn answer_chunk(&mut self, reply: &Reply, octets: u64, last: bool) {
        self.state = match reply.is_intermediate() {
            true => {
                let mut body = self.new_body();
                body.expect_chunk(octets, last);
                State::Body(body)
            }
            false => {
                self.transaction = None;
                State::Skip {
                    left: octets,
                    reply: reply.clone(),
                }
            }
        };
    }

    /// Sends a SASL challenge: the answer to [`Event::Authenticate`] or [`Event::SaslResponse`].
    ///
    /// ```
    /// # use hikyaku_smtp_proto::server::{Connection, Options};
    /// # let mut options = Options::new("mx.example.org");
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.accept(output));
    /// # scene.hears("EHLO client.example\r\n");
    /// # scene.answer(|machine, output| machine.accept(output));
    /// # scene.sent();
    /// # scene.hears("AUTH PLAIN\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.challenge(b"", output)?;
    /// // 334
    /// # assert_eq!(scene.sent(), "334 \r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when no exchange is under way.
    pub fn challenge(&mut self, challenge: &[u8], output: &mut Output) -> Result<(), Misuse> {
        let State::Asked(Asked::Auth) = self.state else {
            return Err(self.misuse("challenge"));
        };
        output.write(b"334 ");
        output.write(&encode_sasl(challenge));
        output.write(b"\r\n");
        self.state = State::Sasl;
        Ok(())
    }

    /// A reply of the machine's own.
    fn say(&mut self, code: u16, enhanced: &str, text: &str, output: &mut Output) {
        let reply = Reply::new(code, enhanced, Bytes::copy_from_slice(text.as_bytes()));
        self.answer(&reply, output);
    }

    fn answer(&mut self, reply: &Reply, output: &mut Output) {
        reply.encode(output);
        self.count(reply, output);
    }

    fn count(&mut self, reply: &Reply, output: &mut Output) {
        if reply.code() == 421 {
            self.state = State::Closed;
        } else if reply.code() >= 500 {
            self.errors += 1;
            if self.errors >= self.options.limits.errors && !matches!(self.state, State::Closed) {
                self.state = State::Closed;
                let _ = output.write_str("421 4.7.0 Too many errors\r\n");
            }
        }
    }

    fn ask(&mut self, asked: Asked, event: Event) -> Option<Step<Event>> {
        self.state = State::Asked(asked);
        Some(Step::Event(event))
    }

    /// One command: the event of it, or `None` when it was answered here.
    fn command(
        &mut self,
        line: &Bytes,
        input: &BytesMut,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        let command = match Command::read(line, self.options.limits.leniencies) {
            Ok(command) => command.within(line),
            Err(error) if error.offset > 0 => {
                self.say(501, "5.5.2", "Syntax error in the arguments", output);
                return None;
            }
            Err(_) => {
                self.say(500, "5.5.2", "Command not recognized", output);
                if self.hello == Hello::Not && is_web(line) {
                    self.state = State::Closed;
                }
                return None;
            }
        };
        let lmtp = self.options.lmtp;
        match command {
            Command::Ehlo(name) | Command::Lhlo(name)
                if lmtp == line.first().is_some_and(|o| o.eq_ignore_ascii_case(&b'l')) =>
            {
                let event = Event::Hello {
                    name,
                    extended: true,
                };
                self.ask(Asked::Hello(Hello::Ehlo), event)
            }
            Command::Helo(name) if !lmtp => {
                let event = Event::Hello {
                    name,
                    extended: false,
                };
                self.ask(Asked::Hello(Hello::Helo), event)
            }
            Command::Ehlo(_) | Command::Helo(_) | Command::Lhlo(_) => {
                self.say(500, "5.5.1", "Not a command here", output);
                None
            }
            Command::Mail {
                reverse_path,
                parameters,
            } => self.mail(reverse_path, parameters, output),
            Command::Rcpt {
                forward_path,
                parameters,
            } => self.rcpt(forward_path, parameters, output),
            Command::Data => self.data(output),
            Command::Bdat { octets, last } => self.bdat(octets, last),
            Command::Burl { url, last } => self.burl(url, last, output),
            Command::Rset => {
                self.say(250, "2.0.0", "Reset", output);
                self.transaction.take().map(|_| Step::Event(Event::Reset))
            }
            Command::Noop(_) => {
                self.say(250, "2.0.0", "Nothing done", output);
                None
            }
            Command::Quit => {
                self.say(221, "2.0.0", "Bye", output);
                self.state = State::Closed;
                None
            }
            Command::Vrfy { string, smtputf8 } => {
                self.ask(Asked::Verify, Event::Verify { string, smtputf8 })
            }
            Command::Expn { string, smtputf8 } if self.options.expn => {
                self.ask(Asked::Expand, Event::Expand { string, smtputf8 })
            }
            Command::Expn { .. } => {
                self.say(502, "5.5.1", "Command not implemented", output);
                None
            }
            Command::Help(_) => {
                let text = self.options.help();
                self.say(214, "2.0.0", &text, output);
                None
            }
            Command::StartTls => self.starttls(input, output),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial, output),
            Command::Etrn { scope, node } if self.options.etrn => {
                if self.hello == Hello::Not || self.transaction.is_some() {
                    self.say(503, "5.5.1", "Not now", output);
                    return None;
                }
                self.ask(Asked::Etrn, Event::Etrn { scope, node })
            }
            Command::XClient(attributes) if self.options.xclient => {
                if self.transaction.is_some() {
                    self.say(503, "5.5.1", "A transaction is under way", output);
                    return None;
                }
                self.ask(Asked::XClient, Event::XClient(attributes))
            }
            Command::XForward(attributes) if self.options.xforward => {
                if self.transaction.is_some() {
                    self.say(503, "5.5.1", "A transaction is under way", output);
                    return None;
                }
                self.ask(Asked::XForward, Event::XForward(attributes))
            }
            Command::Etrn { .. }
            | Command::XClient(_)
            | Command::XForward(_)
            | Command::Other { .. } => {
                self.say(500, "5.5.2", "Command not recognized", output);
                if self.hello == Hello::Not && is_web(line) {
                    self.state = State::Closed;
                }
                None
            }
        }
    }

    fn auth(
        &mut self,
        mechanism: Bytes,
        initial: Option<hikyaku_wire::Secret>,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        let refusal = if self.options.mechanisms().next().is_none() {
            Some((502, "5.5.1", "No authentication here"))
        } else if !self.options.may_authenticate() && self.options.starttls {
            Some((538, "5.7.11", "Encryption required: STARTTLS first"))
        } else if !self.options.may_authenticate() {
            Some((538, "5.7.11", "Encryption required"))
        } else if self.hello != Hello::Ehlo {
            Some((503, "5.5.1", "EHLO first"))
        } else if self.authenticated || self.transaction.is_some() {
            Some((503, "5.5.1", "Not now"))
        } else if !self.options.mechanisms.contains(&mechanism) {
            Some((504, "5.5.4", "Mechanism not supported"))
        } else {
            None
        };
        if let Some((code, enhanced, text)) = refusal {
            self.say(code, enhanced, text, output);
            return None;
        }
        self.ask(Asked::Auth, Event::Authenticate { mechanism, initial })
    }

    fn data(&mut self, output: &mut Output) -> Option<Step<Event>> {
        let text = match &self.transaction {
            None => "MAIL first",
            Some(one) if one.recipients == 0 => "No valid recipients",
            Some(one) if one.body.is_some() => "The message has begun with BDAT",
            // RFC 3030 §3.
            Some(one) if one.binary => "BDAT is for binary messages",
            Some(_) => return self.ask(Asked::Data, Event::Data),
        };
        self.say(503, "5.5.1", text, output);
        None
    }

    /// BDAT: its octets follow at once, whatever is answered (RFC 3030 §2).
    fn bdat(&mut self, octets: u64, last: bool) -> Option<Step<Event>> {
        let refusal = match &mut self.transaction {
            _ if !self.options.chunking => (502, "Command not implemented"),
            None => (503, "MAIL first"),
            Some(one) if one.recipients == 0 => (503, "No valid recipients"),
            Some(one) => {
                let Some(mut body) = one.body.take() else {
                    return self.ask(Asked::Chunk { octets, last }, Event::Data);
                };
                body.expect_chunk(octets, last);
                self.state = State::Body(body);
                return None;
            }
        };
        let (code, text) = refusal;
        self.state = State::Skip {
            left: octets,
            reply: Reply::new(code, "5.5.1", text),
        };
        None
    }

    fn burl(&mut self, url: Bytes, last: bool, output: &mut Output) -> Option<Step<Event>> {
        let refusal = match &mut self.transaction {
            _ if !self.options.burl => (500, "5.5.2", "Command not recognized"),
            _ if !self.authenticated => (530, "5.7.0", "Authentication required"),
            None => (503, "5.5.1", "MAIL first"),
            Some(one) if one.recipients == 0 => (503, "5.5.1", "No valid recipients"),
            Some(one) if last => {
                let replies = if self.options.lmtp { one.recipients } else { 1 };
                return self.ask(Asked::Message { replies }, Event::Burl { url, last });
            }
            Some(_) => return self.ask(Asked::Burl, Event::Burl { url, last }),
        };
        let (code, enhanced, text) = refusal;
        self.say(code, enhanced, text, output);
        None
    }

    fn mail(
        &mut self,
        reverse_path: ReversePath,
        parameters: MailParameters,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        let refusal = if self.hello == Hello::Not {
            Some((503, "5.5.1", "EHLO first"))
        } else if self.transaction.is_some() {
            Some((503, "5.5.1", "A transaction is under way"))
        } else if self.options.auth_required && !self.authenticated {
            Some((530, "5.7.0", "Authentication required"))
        } else if let Some(refusal) = self.options.refuses_mail(&parameters) {
            Some(refusal)
        } else if reverse_path.is_international() && !parameters.smtputf8 {
            // RFC 6531 §3.5.
            Some((550, "5.6.7", "Address needs SMTPUTF8"))
        } else {
            None
        };
        if let Some((code, enhanced, text)) = refusal {
            self.say(code, enhanced, text, output);
            return None;
        }
        let asked = Asked::Mail {
            smtputf8: parameters.smtputf8,
            binary: parameters.body == Some(BodyType::BinaryMime),
        };
        let event = Event::Mail {
            reverse_path,
            parameters,
        };
        self.ask(asked, event)
    }

    fn rcpt(
        &mut self,
        forward_path: ForwardPath,
        parameters: RcptParameters,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        let refusal = match &self.transaction {
            _ if self.options.refuses_rcpt(&parameters).is_some() => {
                self.options.refuses_rcpt(&parameters)
            }
            None => Some((503, "5.5.1", "MAIL first")),
            Some(one) if one.body.is_some() => Some((503, "5.5.1", "The message has begun")),
            Some(one) if forward_path.is_international() && !one.smtputf8 => {
                Some((553, "5.6.7", "Address needs SMTPUTF8"))
            }
            Some(one) if one.recipients >= self.options.limits.recipients => {
                Some((452, "4.5.3", "Too many recipients"))
            }
            Some(_) => None,
        };
        if let Some((code, enhanced, text)) = refusal {
            self.say(code, enhanced, text, output);
            return None;
        }
        let event = Event::Rcpt {
            forward_path,
            parameters,
        };
        self.ask(Asked::Rcpt, event)
    }

    fn starttls(&mut self, input: &BytesMut, output: &mut Output) -> Option<Step<Event>> {
        if !self.options.starttls || self.options.tls {
            self.say(502, "5.5.1", "No STARTTLS here", output);
        } else if !input.is_empty() {
            // What follows was sent in clear: never taken for a command under TLS (CVE-2011-0411).
            self.say(421, "4.5.1", "Nothing may follow STARTTLS", output);
        } else {
            self.say(220, "2.0.0", "Ready to start TLS", output);
            self.state = State::StartTls;
            // RFC 3207 §4.2: what was said before is forgotten.
            return self.transaction.take().map(|_| Step::Event(Event::Reset));
        }
        None
    }

    fn body(&mut self, input: &mut BytesMut, output: &mut Output) -> Option<Step<Event>> {
        let State::Body(body) = &mut self.state else {
            return None;
        };
        match body.next(input) {
            Progress::NeedInput => Some(Step::NeedInput),
            Progress::Octets(octets) => Some(Step::Event(Event::Chunk(octets))),
            Progress::Refused => Some(Step::Event(Event::BodyRefused)),
            Progress::Skipped => None,
            Progress::Chunk(octets) => {
                self.end_of_chunk(octets, output);
                None
            }
            Progress::End => {
                let recipients = self.transaction.as_ref().map_or(1, |one| one.recipients);
                let replies = if self.options.lmtp { recipients } else { 1 };
                if !body.is_refused() {
                    return self.ask(Asked::Message { replies }, Event::EndOfBody);
                }
                let reply = body.refusal();
                self.state = State::Command;
                self.transaction = None;
                for _ in 0..replies {
                    self.answer(&reply, output);
                }
                None
            }
        }
    }

    /// A chunk that is not the last is whole.
    fn end_of_chunk(&mut self, octets: u64, output: &mut Output) {
        let State::Body(body) = core::mem::replace(&mut self.state, State::Command) else {
            return;
        };
        if body.is_refused() {
            // What is pipelined behind it has no transaction any more (RFC 3030 §2).
            self.transaction = None;
            return self.answer(&body.refusal(), output);
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.body = Some(body);
        }
        let text = alloc::format!("{octets} octets received");
        self.say(250, "2.0.0", &text, output);
    }

    /// Passes over octets of BDAT, then answers it.
    fn skip(&mut self, input: &mut BytesMut, output: &mut Output) -> Option<Step<Event>> {
        let State::Skip { left, reply } = &mut self.state else {
            return None;
        };
        let some = usize::try_from(*left).unwrap_or(usize::MAX);
        let some = some.min(input.len());
        bytes::Buf::advance(input, some);
        *left -= some as u64;
        if *left > 0 {
            return Some(Step::NeedInput);
        }
        let reply = reply.clone();
        self.state = State::Command;
        self.answer(&reply, output);
        None
    }

    fn sasl(&mut self, line: &[u8], output: &mut Output) -> Option<Step<Event>> {
        match decode_sasl(line) {
            Ok(SaslLine::Response(secret)) => self.ask(Asked::Auth, Event::SaslResponse(secret)),
            cancelled => {
                self.state = State::Command;
                let text = if cancelled.is_ok() {
                    "Cancelled"
                } else {
                    "Not base64"
                };
                self.say(501, "5.5.2", text, output);
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
                State::Asked(_) => Some(Step::NeedAnswer),
                State::StartTls => Some(Step::StartTls),
                State::Closed => {
                    input.clear();
                    Some(Step::Closed)
                }
                State::Body(_) => self.body(input, output),
                State::Skip { .. } => self.skip(input, output),
                State::Command | State::Sasl => {
                    let sasl = matches!(self.state, State::Sasl);
                    let limits = &self.options.limits;
                    let limit = if sasl { limits.sasl_line } else { limits.line };
                    match self.framer.next(input, limit) {
                        None => Some(Step::NeedInput),
                        Some(Ok(line)) if sasl => self.sasl(&line, output),
                        Some(Ok(line)) => self.command(&line.freeze(), input, output),
                        Some(Err(error)) => {
                            let (code, text) = match error {
                                LineError::TooLong => (500, "Line too long"),
                                // No octet of base64 (RFC 4954 §4).
                                LineError::BareNewline if sasl => (501, "Bare CR or LF"),
                                LineError::BareNewline => (500, "Bare CR or LF"),
                            };
                            self.say(code, "5.5.2", text, output);
                            if sasl {
                                if let State::Sasl = self.state {
                                    self.state = State::Command;
                                }
                                Some(Step::Event(Event::SaslCancelled))
                            } else {
                                None
                            }
                        }
                    }
                }
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        let state = core::mem::replace(&mut self.state, State::Closed);
        match state {
            State::Body(_) | State::Skip { .. } | State::Asked(Asked::Chunk { .. }) => {
                Err(Error::InsideBody)
            }
            State::Command
                if self
                    .transaction
                    .as_ref()
                    .is_some_and(|one| one.body.is_some()) =>
            {
                Err(Error::InsideBody)
            }
            State::Sasl => Err(Error::InsideSasl),
            _ => Ok(()),
        }
    }

    /// At least five minutes (§4.5.3.2.7).
    fn time_limit(&self) -> Duration {
        Duration::from_secs(300)
    }

    fn timed_out(&mut self, output: &mut Output) {
        let _ = output.write_str("421 4.4.2 Timeout\r\n");
        self.state = State::Closed;
    }

    /// Forgets EHLO and the transaction (RFC 3207 §4.2). A login in clear, which
    /// `login_needs_tls = false` allows, stays.
    fn tls_established(&mut self, _: &mut Output) {
        if let State::StartTls = self.state {
            self.options.tls = true;
            self.hello = Hello::Not;
            self.authenticated = false;
            self.transaction = None;
            self.state = State::Command;
        }
    }

    /// Says 421. Nothing is said in the middle of a body.
    fn shut_down(&mut self, output: &mut Output) {
        if matches!(self.state, State::Start | State::Command | State::Sasl) {
            self.say(421, "4.3.2", "Service shutting down", output);
        }
        self.state = State::Closed;
    }
}

/// A browser that was tricked into speaking to us: the rest is not worth reading.
fn is_web(line: &[u8]) -> bool {
    [
        &b"GET "[..],
        b"POST ",
        b"PUT ",
        b"HEAD ",
        b"OPTIONS ",
        b"CONNECT ",
    ]
    .iter()
    .any(|verb| line.starts_with(verb))
}

#[cfg(test)]
mod tests;
