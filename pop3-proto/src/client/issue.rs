//! Commands as the caller issues them, and when they are sent.

use bytes::Bytes;
use hikyaku_wire::{Output, Reason, Secret, split_initial, write_response};

use super::{Connection, Handle, Misuse, Sent, State};
use crate::Command;

/// The most octets of AUTH's line, its initial response with it (RFC 5034 §4).
const AUTH_LINE: usize = 255;

impl Connection {
    /// CAPA: [`Event::Capabilities`](super::Event::Capabilities) follows, and the machine pipelines where it says so.
    ///
    /// # Errors
    /// [`Misuse`] before the greeting and after QUIT.
    pub fn capa(&mut self, output: &mut Output) -> Result<Handle, Misuse> {
        match self.state {
            State::Authorization | State::Transaction => self.queue(Command::Capa, output),
            _ => Err(self.misuse("capa", Reason::State)),
        }
    }

    /// STLS. When it is accepted, [`Step::StartTls`](hikyaku_wire::Step::StartTls) follows its [`Event::Completed`](super::Event::Completed).
    ///
    /// # Errors
    /// [`Misuse`] outside the AUTHORIZATION state, or when anything else is under way.
    pub fn stls(&mut self, output: &mut Output) -> Result<Handle, Misuse> {
        if !self.is_quiet() {
            return Err(self.misuse("stls", Reason::State));
        }
        self.issue(State::Authorization, Command::Stls, output)
    }

    /// TLS began. What the server said it can do is forgotten: ask again (RFC 2595 §4).
    pub fn tls_established(&mut self) {
        if self.state == State::StartTls {
            self.state = State::Authorization;
            self.options.tls = true;
            self.pipelining = false;
        }
    }

    /// USER, and PASS when that is accepted. [`Event::Authenticated`](super::Event::Authenticated) or
    /// [`Event::AuthenticationRefused`](super::Event::AuthenticationRefused) follows, as for every login.
    ///
    /// # Errors
    /// [`Misuse`] outside the AUTHORIZATION state, while anything else is under way, without TLS unless
    /// [`Options::login_needs_tls`](super::Options::login_needs_tls) is off, or with CR, LF or NUL in an argument.
    pub fn login(
        &mut self,
        name: impl Into<Bytes>,
        password: Secret,
        output: &mut Output,
    ) -> Result<Handle, Misuse> {
        self.may_log_in("login")?;
        let (user, pass) = (Command::User(name.into()), Command::Pass(password));
        if !user.is_encodable() || !pass.is_encodable() {
            return Err(self.misuse("login", Reason::Argument));
        }
        user.encode(output);
        self.issued += 1;
        let handle = Handle(self.issued);
        self.sent.push_back((handle, Sent::User(pass)));
        Ok(handle)
    }

    /// APOP: `digest` is the MD5 of the greeting's timestamp and the password (RFC 1939 §7).
    ///
    /// # Errors
    /// As [`login`](Self::login), but it needs no TLS: the password is not sent.
    pub fn apop(
        &mut self,
        name: impl Into<Bytes>,
        digest: [u8; 16],
        output: &mut Output,
    ) -> Result<Handle, Misuse> {
        if !self.is_quiet() {
            return Err(self.misuse("apop", Reason::State));
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
        self.may_log_in("auth")?;
        let mechanism = mechanism.into();
        let command = Command::Auth { mechanism, initial };
        self.issue(State::Authorization, command, output)
    }

    fn may_log_in(&self, method: &'static str) -> Result<(), Misuse> {
        if self.state != State::Authorization || !self.is_quiet() {
            return Err(self.misuse(method, Reason::State));
        }
        match self.options.login_needs_tls && !self.options.tls {
            true => Err(self.misuse(method, Reason::NeedsTls)),
            false => Ok(()),
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.waiting.is_empty() && self.sent.is_empty()
    }

    /// Answers an [`Event::Challenge`](super::Event::Challenge); `None` cancels the exchange.
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
            _ => return Err(self.misuse("respond", Reason::State)),
        }
        write_response(response, output);
        Ok(())
    }

    /// UTF8 (RFC 6856): messages may then hold UTF-8 in their header sections.
    ///
    /// # Errors
    /// [`Misuse`] outside the AUTHORIZATION state.
    pub fn utf8(&mut self, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Authorization, Command::Utf8, output)
    }

    /// STAT: [`Event::Maildrop`](super::Event::Maildrop) follows.
    ///
    /// # Errors
    /// [`Misuse`] outside the TRANSACTION state; so for all that follow.
    pub fn stat(&mut self, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Transaction, Command::Stat, output)
    }

    /// LIST, of one message or all: an [`Event::Size`](super::Event::Size) for each.
    ///
    /// # Errors
    /// As [`stat`](Self::stat).
    pub fn list(&mut self, number: Option<u32>, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Transaction, Command::List(number), output)
    }

    /// UIDL, of one message or all: an [`Event::UniqueId`](super::Event::UniqueId) for each.
    ///
    /// # Errors
    /// As [`stat`](Self::stat).
    pub fn uidl(&mut self, number: Option<u32>, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Transaction, Command::Uidl(number), output)
    }

    /// RETR: [`Event::Message`](super::Event::Message), [`Event::Chunk`](super::Event::Chunk)s, [`Event::Completed`](super::Event::Completed).
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

    /// QUIT, after all that was issued. [`Step::Closed`](hikyaku_wire::Step::Closed) follows its [`Event::Completed`](super::Event::Completed).
    ///
    /// # Errors
    /// [`Misuse`] before the greeting and after another QUIT.
    pub fn quit(&mut self, output: &mut Output) -> Result<Handle, Misuse> {
        match self.state {
            State::Authorization | State::Transaction => {}
            _ => return Err(self.misuse("quit", Reason::State)),
        }
        let handle = self.queue(Command::Quit, output)?;
        self.state = State::Update;
        Ok(handle)
    }

    fn misuse(&self, method: &'static str, reason: Reason) -> Misuse {
        let state = match self.state {
            State::Greeting => "before the greeting",
            State::Authorization if !self.is_quiet() => {
                "before login, while a command is under way"
            }
            State::Authorization => "before login",
            State::Transaction if !self.is_quiet() => "after login, while a command is under way",
            State::Transaction => "after login",
            State::Update => "after QUIT",
            State::StartTls => "before TLS has begun",
            State::Closed => "after the end of the connection",
        };
        Misuse::new(method, state, reason)
    }

    fn issue(
        &mut self,
        state: State,
        command: Command,
        output: &mut Output,
    ) -> Result<Handle, Misuse> {
        if self.state != state {
            return Err(self.misuse(command.name(), Reason::State));
        }
        self.queue(command, output)
    }

    fn queue(&mut self, command: Command, output: &mut Output) -> Result<Handle, Misuse> {
        if !command.is_encodable() {
            return Err(self.misuse(command.name(), Reason::Argument));
        }
        self.issued += 1;
        let handle = Handle(self.issued);
        self.waiting.push_back((handle, command));
        self.send(output);
        Ok(handle)
    }

    /// Sends what may be sent. No more is on its way than the server's and our own buffers hold, or
    /// both would write and neither read.
    pub(super) fn send(&mut self, output: &mut Output) {
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
                let room = AUTH_LINE.saturating_sub("AUTH  \r\n".len() + mechanism.len());
                let (initial, held) = split_initial(initial, room);
                Command::Auth { mechanism, initial }.encode(output);
                Sent::Auth {
                    held,
                    challenged: false,
                }
            }
            command => {
                command.encode(output);
                match command {
                    Command::Pass(_) | Command::Apop { .. } => Sent::Login(command.name()),
                    Command::Stls => Sent::Stls,
                    Command::Capa => Sent::Capa,
                    Command::Stat => Sent::Stat,
                    Command::List(number) => Sent::List(number),
                    Command::Uidl(number) => Sent::Uidl(number),
                    Command::Retr(number) | Command::Top { number, .. } => Sent::Message(number),
                    Command::Quit => Sent::Quit,
                    command => Sent::Plain(command.name()),
                }
            }
        }
    }
}
