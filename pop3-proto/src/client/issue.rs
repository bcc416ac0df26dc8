//! Commands as the caller issues them, and when they are sent.

use bytes::Bytes;
use hikyaku_wire::{Output, Reason, Secret, split_initial, write_response};

use super::{Connection, Handle, Misuse, Sent, State};
use crate::Command;

/// The most octets of AUTH's line, its initial response with it (RFC 5034 §4).
const AUTH_LINE: usize = 255;

impl Connection {
    /// Issues CAPA. [`Event::Capabilities`](super::Event::Capabilities) follows; from then on the machine pipelines
    /// when PIPELINING is listed.
    ///
    /// ```
    /// # use hikyaku_pop3_proto::client::{Connection, Options};
    /// # let mut options = Options::default();
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("+OK <1@example.org> ready\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// let handle = machine.capa(output)?;
    /// // CAPA
    /// # assert_eq!(scene.sent(), "CAPA\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] before the greeting and after QUIT.
    pub fn capa(&mut self, output: &mut Output) -> Result<Handle, Misuse> {
        match self.state {
            State::Authorization | State::Transaction => self.queue(Command::Capa, output),
            _ => Err(self.misuse("capa", Reason::State)),
        }
    }

    /// Issues STLS. When it is accepted, [`Step::StartTls`](hikyaku_wire::Step::StartTls) follows its
    /// [`Event::Completed`](super::Event::Completed).
    ///
    /// ```
    /// # use hikyaku_pop3_proto::client::{Connection, Options};
    /// # let mut options = Options::default();
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("+OK <1@example.org> ready\r\n");
    /// # let mut options = Options::default();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("+OK\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.stls(output)?;
    /// // STLS
    /// # assert_eq!(scene.sent(), "STLS\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] outside the AUTHORIZATION state, or when anything else is under way.
    pub fn stls(&mut self, output: &mut Output) -> Result<Handle, Misuse> {
        if !self.is_quiet() {
            return Err(self.misuse("stls", Reason::State));
        }
        self.issue(State::Authorization, Command::Stls, output)
    }

    /// Issues USER, and PASS when that is accepted. [`Event::Authenticated`](super::Event::Authenticated) or
    /// [`Event::AuthenticationRefused`](super::Event::AuthenticationRefused) follows, as for every login.
    ///
    /// ```
    /// # use hikyaku_pop3_proto::client::{Connection, Options};
    /// # let mut options = Options::default();
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("+OK <1@example.org> ready\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// // PASS follows by itself.
    /// machine.login("alice", b"sesame".to_vec().into(), output)?;
    /// // USER alice
    /// # assert_eq!(scene.sent(), "USER alice\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// Issues APOP. `digest` is the MD5 of the greeting's timestamp and the password (RFC 1939 §7).
    ///
    /// ```
    /// # use hikyaku_pop3_proto::client::{Connection, Options};
    /// # let mut options = Options::default();
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("+OK <1@example.org> ready\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// # let digest = [0; 16];
    /// // MD5 of the greeting's timestamp and the password.
    /// machine.apop("alice", digest, output)?;
    /// // APOP alice 00000000000000000000000000000000
    /// # assert_eq!(scene.sent(), "APOP alice 00000000000000000000000000000000\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// Issues AUTH. An initial response that is too long for the line is kept until the server asks for it.
    ///
    /// ```
    /// # use hikyaku_pop3_proto::client::{Connection, Options};
    /// # let mut options = Options::default();
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("+OK <1@example.org> ready\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.authenticate("PLAIN", None, output)?;
    /// // AUTH PLAIN
    /// # assert_eq!(scene.sent(), "AUTH PLAIN\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`login`](Self::login).
    pub fn authenticate(
        &mut self,
        mechanism: impl Into<Bytes>,
        initial: Option<Secret>,
        output: &mut Output,
    ) -> Result<Handle, Misuse> {
        self.may_log_in("authenticate")?;
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
    /// ```
    /// # use hikyaku_pop3_proto::client::{Connection, Options};
    /// # let mut options = Options::default();
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("+OK <1@example.org> ready\r\n");
    /// # { let (machine, output) = scene.split(); machine.authenticate("PLAIN", None, output)?; }
    /// # scene.hears("+ \r\n");
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// // After `Event::Challenge`; `None` gives up.
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
        match self.sent.front_mut() {
            Some((_, Sent::Auth { challenged, .. })) if *challenged => *challenged = false,
            _ => return Err(self.misuse("respond", Reason::State)),
        }
        write_response(response, output);
        Ok(())
    }

    /// Issues UTF8 (RFC 6856): messages may then hold UTF-8 in their header sections.
    ///
    /// ```
    /// # use hikyaku_pop3_proto::client::{Connection, Options};
    /// # let mut options = Options::default();
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("+OK <1@example.org> ready\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.utf8(output)?;
    /// // UTF8
    /// # assert_eq!(scene.sent(), "UTF8\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] outside the AUTHORIZATION state.
    pub fn utf8(&mut self, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Authorization, Command::Utf8, output)
    }

    /// Issues STAT. [`Event::Maildrop`](super::Event::Maildrop) follows.
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
    /// machine.stat(output)?;
    /// // STAT
    /// # assert_eq!(scene.sent(), "STAT\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] outside the TRANSACTION state.
    pub fn stat(&mut self, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Transaction, Command::Stat, output)
    }

    /// Issues LIST, of one message or all. An [`Event::Size`](super::Event::Size) follows for each.
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
    /// machine.list(None, output)?;
    /// // LIST
    /// # assert_eq!(scene.sent(), "LIST\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`stat`](Self::stat).
    pub fn list(&mut self, number: Option<u32>, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Transaction, Command::List(number), output)
    }

    /// Issues UIDL, of one message or all. An [`Event::UniqueId`](super::Event::UniqueId) follows for each.
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
    /// machine.uidl(Some(7), output)?;
    /// // UIDL 7
    /// # assert_eq!(scene.sent(), "UIDL 7\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`stat`](Self::stat).
    pub fn uidl(&mut self, number: Option<u32>, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Transaction, Command::Uidl(number), output)
    }

    /// Issues RETR. [`Event::Message`](super::Event::Message), [`Event::Chunk`](super::Event::Chunk)s and
    /// [`Event::Completed`](super::Event::Completed) follow.
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
    /// machine.retr(7, output)?;
    /// // RETR 7
    /// # assert_eq!(scene.sent(), "RETR 7\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`stat`](Self::stat).
    pub fn retr(&mut self, number: u32, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Transaction, Command::Retr(number), output)
    }

    /// Issues TOP, for the header section and `lines` lines of the body. They are reported as for
    /// [`retr`](Self::retr).
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
    /// // The header section and two lines.
    /// machine.top(7, 2, output)?;
    /// // TOP 7 2
    /// # assert_eq!(scene.sent(), "TOP 7 2\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`stat`](Self::stat).
    pub fn top(&mut self, number: u32, lines: u32, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Transaction, Command::Top { number, lines }, output)
    }

    /// Issues DELE, which marks the message as deleted. It is gone when QUIT is answered `+OK`.
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
    /// // Deleted when QUIT succeeds, and not before.
    /// machine.dele(7, output)?;
    /// // DELE 7
    /// # assert_eq!(scene.sent(), "DELE 7\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`stat`](Self::stat).
    pub fn dele(&mut self, number: u32, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Transaction, Command::Dele(number), output)
    }

    /// Issues RSET: no message is marked as deleted any more.
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
    /// machine.rset(output)?;
    /// // RSET
    /// # assert_eq!(scene.sent(), "RSET\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`stat`](Self::stat).
    pub fn rset(&mut self, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Transaction, Command::Rset, output)
    }

    /// Issues NOOP, which keeps a connection alive.
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
    /// machine.noop(output)?;
    /// // NOOP
    /// # assert_eq!(scene.sent(), "NOOP\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`stat`](Self::stat).
    pub fn noop(&mut self, output: &mut Output) -> Result<Handle, Misuse> {
        self.issue(State::Transaction, Command::Noop, output)
    }

    /// Issues QUIT, which is sent when all commands before it have ended.
    /// [`Step::Closed`](hikyaku_wire::Step::Closed) follows its [`Event::Completed`](super::Event::Completed).
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
    /// machine.quit(output)?;
    /// // QUIT
    /// # assert_eq!(scene.sent(), "QUIT\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
        if self.state == State::StartTls {
            // What waits is sent when TLS has begun.
            return;
        }
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
