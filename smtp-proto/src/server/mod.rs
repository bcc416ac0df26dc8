//! The server machine: SMTP reception, submission and LMTP (RFC 5321, 6409, 2033).

mod event;
mod options;

pub use event::{Error, Event};
pub use hikyaku_wire::Misuse;
pub use options::Options;

use bytes::{Bytes, BytesMut};
use core::fmt::Write as _;
use core::time::Duration;
use hikyaku_wire::{
    DotDecoder, DotStep, LineError, LineFramer, Machine, Output, Reason, SaslLine, Step,
    decode_sasl, encode_sasl,
};

use crate::command::{Refused, is_mechanism};
use crate::{BodyType, Command, ForwardPath, MailParameters, Reply, ReversePath};

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

/// A mail transaction (§3.3): between a MAIL that was accepted and the end of its DATA.
#[derive(Debug, Clone, Copy, Default)]
struct Transaction {
    recipients: usize,
}

#[derive(Debug)]
enum State {
    Start,
    Command,
    /// The application was told and has not answered.
    Asked(Asked),
    /// A challenge was sent.
    Sasl,
    Body(Body),
    StartTls,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Connected,
    Hello(Hello),
    Mail,
    Rcpt,
    Data,
    /// So many replies are due: one, or with LMTP one for each recipient.
    Message {
        replies: usize,
    },
    Auth,
    Verify,
}

#[derive(Debug)]
struct Body {
    decoder: DotDecoder,
    octets: u64,
    /// The application knows that nothing comes of it.
    refused: bool,
}

impl Connection {
    /// Stands before the greeting.
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

    /// Whether a SASL exchange has succeeded.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// Whether what is sent now is protected by TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.options.tls
    }

    /// Answers the last event the way the RFC has it for success.
    ///
    /// # Errors
    /// [`Misuse`] when nothing waits for an answer.
    pub fn accept(&mut self, output: &mut Output) -> Result<(), Misuse> {
        let State::Asked(asked) = self.state else {
            return Err(self.misuse("accept"));
        };
        let reply = match asked {
            Asked::Connected => {
                let kind = if self.options.lmtp { "LMTP" } else { "ESMTP" };
                let mut line = self.options.hostname.to_vec();
                line.push(b' ');
                line.extend_from_slice(kind.as_bytes());
                Reply::new(220, "", line)
            }
            Asked::Hello(Hello::Ehlo) => self.capabilities(),
            Asked::Hello(_) => Reply::new(250, "", self.options.hostname.clone()),
            Asked::Mail => Reply::new(250, "2.1.0", "Originator ok"),
            Asked::Rcpt => Reply::new(250, "2.1.5", "Recipient ok"),
            Asked::Data => Reply::new(354, "", "Go ahead, end with CRLF.CRLF"),
            Asked::Message { .. } => Reply::new(250, "2.0.0", "Message accepted"),
            Asked::Auth => Reply::new(235, "2.7.0", "Authentication succeeded"),
            Asked::Verify => Reply::new(252, "2.1.5", "Cannot verify, send some mail and see"),
        };
        self.reply(&reply, output)
    }

    fn misuse(&self, method: &'static str) -> Misuse {
        let state = match &self.state {
            State::Start => "before the greeting",
            State::Command => "while no event waits for an answer",
            State::Asked(Asked::Connected) => "while Connected waits for an answer",
            State::Asked(Asked::Hello(_)) => "while Hello waits for an answer",
            State::Asked(Asked::Mail) => "while Mail waits for an answer",
            State::Asked(Asked::Rcpt) => "while Rcpt waits for an answer",
            State::Asked(Asked::Data) => "while Data waits for an answer",
            State::Asked(Asked::Message { .. }) => "while EndOfData waits for an answer",
            State::Asked(Asked::Auth) => "while AUTH waits for an answer",
            State::Asked(Asked::Verify) => "while Verify waits for an answer",
            State::Sasl => "while the client's SASL response is due",
            State::Body(_) => "inside a message",
            State::StartTls => "before TLS has begun",
            State::Closed => "after the end of the connection",
        };
        Misuse::new(method, state, Reason::State)
    }

    /// Answers the last event: what it asked for happens when the reply is a positive one, else not.
    /// A 421 ends the connection. With LMTP, [`Event::EndOfData`] takes one reply for each
    /// recipient, in their order.
    ///
    /// # Errors
    /// [`Misuse`] when nothing waits for an answer.
    pub fn reply(&mut self, reply: &Reply, output: &mut Output) -> Result<(), Misuse> {
        let State::Asked(asked) = self.state else {
            return Err(self.misuse("reply"));
        };
        match asked {
            Asked::Connected | Asked::Hello(_) => reply.encode(output),
            _ if self.hello != Hello::Ehlo => reply.encode(output),
            // ENHANCEDSTATUSCODES was announced.
            _ => reply.encode_enhanced(output),
        }
        let positive = reply.is_positive() || reply.is_intermediate();
        self.state = State::Command;
        match asked {
            Asked::Connected if !positive => self.state = State::Closed,
            Asked::Hello(hello) if positive => {
                self.hello = hello;
                self.transaction = None;
            }
            Asked::Mail if positive => self.transaction = Some(Transaction::default()),
            Asked::Rcpt if positive => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.recipients += 1;
                }
            }
            Asked::Data if positive => {
                self.state = State::Body(Body {
                    decoder: DotDecoder::new(),
                    octets: 0,
                    refused: false,
                });
            }
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

    /// Goes on with a SASL exchange: the answer to [`Event::Auth`] or [`Event::SaslResponse`].
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

    /// TLS began after [`Step::StartTls`]: everything known of the client is forgotten (RFC 3207 §4.2).
    pub fn tls_established(&mut self) {
        self.options.tls = true;
        self.hello = Hello::Not;
        self.transaction = None;
        if let State::StartTls = self.state {
            self.state = State::Command;
        }
    }

    /// Says 421 and closes, when the server stops. Nothing is said in the middle of a body.
    pub fn shut_down(&mut self, output: &mut Output) {
        if matches!(self.state, State::Start | State::Command | State::Sasl) {
            self.say(421, "4.3.2", "Service shutting down", output);
        }
        self.state = State::Closed;
    }

    fn capabilities(&self) -> Reply {
        use alloc::{format, vec};
        let mut lines = vec![
            self.options.hostname.clone(),
            "PIPELINING".into(),
            format!("SIZE {}", self.options.limits.message).into(),
            "8BITMIME".into(),
        ];
        if self.options.smtputf8 {
            lines.push("SMTPUTF8".into());
        }
        lines.push("ENHANCEDSTATUSCODES".into());
        if self.options.starttls && !self.options.tls {
            lines.push("STARTTLS".into());
        }
        if self.may_authenticate() && !self.authenticated {
            let mut line = BytesMut::from("AUTH");
            for mechanism in self.mechanisms() {
                line.extend_from_slice(b" ");
                line.extend_from_slice(mechanism);
            }
            lines.push(line.freeze());
        }
        Reply::of_lines(250, "", lines)
    }

    fn may_authenticate(&self) -> bool {
        self.mechanisms().next().is_some() && (self.options.tls || !self.options.login_needs_tls)
    }

    /// Those that a line can name.
    fn mechanisms(&self) -> impl Iterator<Item = &Bytes> {
        let all = self.options.mechanisms.iter();
        all.filter(|name| is_mechanism(name))
    }

    /// The commands that HELP lists.
    fn help(&self) -> alloc::string::String {
        let hello = match self.options.lmtp {
            true => "LHLO",
            false => "EHLO HELO",
        };
        let mut text = alloc::format!("Commands: {hello} MAIL RCPT DATA RSET NOOP QUIT VRFY HELP");
        if self.options.starttls && !self.options.tls {
            text.push_str(" STARTTLS");
        }
        if self.may_authenticate() {
            text.push_str(" AUTH");
        }
        text
    }

    /// A reply of the machine's own.
    fn say(&mut self, code: u16, enhanced: &str, text: &str, output: &mut Output) {
        let reply = Reply::new(code, enhanced, Bytes::copy_from_slice(text.as_bytes()));
        reply.encode(output);
        self.count(&reply, output);
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

    /// One command: what is told of it, or `None` when it was answered here.
    fn command(
        &mut self,
        line: &Bytes,
        input: &BytesMut,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        let command = match Command::parse_line(line) {
            Ok(command) => command,
            Err(Refused::Syntax(_)) => {
                self.say(501, "5.5.2", "Syntax error in the arguments", output);
                return None;
            }
            Err(Refused::Unknown) => {
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
            Command::Ehlo(_) | Command::Helo(_) | Command::Lhlo(_) | Command::Etrn(_) => {
                self.say(500, "5.5.1", "Not a command here", output);
                None
            }
            Command::Mail(reverse_path, parameters) => self.mail(reverse_path, parameters, output),
            Command::Rcpt(forward_path, parameters) => {
                if !parameters.others.is_empty() {
                    self.say(555, "5.5.4", "Parameter not supported", output);
                    return None;
                }
                self.rcpt(forward_path, output)
            }
            Command::Data => match self.transaction {
                Some(transaction) if transaction.recipients > 0 => {
                    self.ask(Asked::Data, Event::Data)
                }
                Some(_) => {
                    self.say(503, "5.5.1", "No valid recipients", output);
                    None
                }
                None => {
                    self.say(503, "5.5.1", "MAIL first", output);
                    None
                }
            },
            Command::Bdat { .. } | Command::Expn(_) => {
                self.say(502, "5.5.1", "Command not implemented", output);
                None
            }
            Command::Rset => {
                self.say(250, "2.0.0", "Reset", output);
                self.transaction.take().map(|_| Step::Event(Event::Reset))
            }
            Command::Noop => {
                self.say(250, "2.0.0", "Nothing done", output);
                None
            }
            Command::Quit => {
                self.say(221, "2.0.0", "Bye", output);
                self.state = State::Closed;
                None
            }
            Command::Vrfy(text) => self.ask(Asked::Verify, Event::Verify(text)),
            Command::Help(_) => {
                let text = self.help();
                self.say(214, "2.0.0", &text, output);
                None
            }
            Command::StartTls => self.starttls(input, output),
            Command::Auth { mechanism, initial } => {
                let refusal = if self.mechanisms().next().is_none() {
                    Some((502, "5.5.1", "No authentication here"))
                } else if !self.may_authenticate() && self.options.starttls {
                    Some((538, "5.7.11", "Encryption required: STARTTLS first"))
                } else if !self.may_authenticate() {
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
                self.ask(Asked::Auth, Event::Auth { mechanism, initial })
            }
        }
    }

    fn mail(
        &mut self,
        reverse_path: ReversePath,
        parameters: MailParameters,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        let international = reverse_path
            .0
            .as_ref()
            .is_some_and(crate::Mailbox::is_international);
        let unsupported = !parameters.others.is_empty()
            || parameters.body == Some(BodyType::BinaryMime)
            || (parameters.smtputf8 && !self.options.smtputf8)
            || (parameters.auth.is_some() && self.mechanisms().next().is_none());
        let refusal = if self.hello == Hello::Not {
            Some((503, "5.5.1", "EHLO first"))
        } else if self.transaction.is_some() {
            Some((503, "5.5.1", "A transaction is under way"))
        } else if self.options.auth_required && !self.authenticated {
            Some((530, "5.7.0", "Authentication required"))
        } else if unsupported {
            Some((555, "5.5.4", "Parameter not supported"))
        } else if international && !parameters.smtputf8 {
            Some((553, "5.6.7", "Address needs SMTPUTF8"))
        } else if parameters
            .size
            .is_some_and(|size| size > self.options.limits.message)
        {
            Some((552, "5.3.4", "Message too large"))
        } else {
            None
        };
        if let Some((code, enhanced, text)) = refusal {
            self.say(code, enhanced, text, output);
            return None;
        }
        let event = Event::Mail {
            reverse_path,
            parameters,
        };
        self.ask(Asked::Mail, event)
    }

    fn rcpt(&mut self, forward_path: ForwardPath, output: &mut Output) -> Option<Step<Event>> {
        let international = forward_path
            .mailbox()
            .is_some_and(crate::Mailbox::is_international);
        match self.transaction {
            None => self.say(503, "5.5.1", "MAIL first", output),
            Some(_) if international && !self.options.smtputf8 => {
                self.say(553, "5.6.7", "No international addresses here", output);
            }
            Some(transaction) if transaction.recipients >= self.options.limits.recipients => {
                self.say(452, "4.5.3", "Too many recipients", output);
            }
            Some(_) => return self.ask(Asked::Rcpt, Event::Rcpt { forward_path }),
        }
        None
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
        match body.decoder.next(input) {
            DotStep::NeedInput => Some(Step::NeedInput),
            DotStep::Chunk(chunk) => {
                body.octets += chunk.len() as u64;
                if body.refused {
                    return None;
                }
                let irregular = body.decoder.irregular();
                let too_large = body.octets > self.options.limits.message;
                if irregular.bare_newline || irregular.nul || too_large {
                    body.refused = true;
                    return Some(Step::Event(Event::BodyRefused));
                }
                Some(Step::Event(Event::Chunk(chunk)))
            }
            DotStep::End => {
                let recipients = self.transaction.map_or(1, |t| t.recipients);
                let replies = if self.options.lmtp { recipients } else { 1 };
                if !body.refused {
                    return self.ask(Asked::Message { replies }, Event::EndOfData);
                }
                // The whole decides, so that the answer is the same in whatever pieces it came.
                let irregular = body.decoder.irregular();
                let irregular = irregular.bare_newline || irregular.nul;
                self.state = State::Command;
                self.transaction = None;
                for _ in 0..replies {
                    if irregular {
                        self.say(554, "5.6.0", "NUL or bare CR or LF in the message", output);
                    } else {
                        self.say(552, "5.3.4", "Message too large", output);
                    }
                }
                None
            }
        }
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
                State::Command | State::Sasl => {
                    let sasl = matches!(self.state, State::Sasl);
                    let limits = &self.options.limits;
                    let limit = if sasl { limits.sasl_line } else { limits.line };
                    match self.framer.next(input, limit) {
                        None => Some(Step::NeedInput),
                        Some(Ok(line)) if sasl => self.sasl(&line, output),
                        Some(Ok(line)) => self.command(&line.freeze(), input, output),
                        Some(Err(error)) => {
                            let text = match error {
                                LineError::TooLong => "Line too long",
                                LineError::BareNewline => "Bare CR or LF",
                            };
                            self.say(500, "5.5.2", text, output);
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
            State::Body(_) => Err(Error::InsideBody),
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
