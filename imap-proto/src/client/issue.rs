//! Commands as the caller issues them, and when they are sent (RFC 9051 §5.5).

use bytes::{Buf as _, Bytes};
use hikyaku_wire::{Output, Reason, Secret, write_response};

use super::kind::{Kind, Step, Waiting};
use super::{Appending, Connection, Event, Handle, Idle, Misuse, Sent, State};
use crate::plumbing::literal::pieces;
use crate::{
    Append, Authenticate, Command, Flag, MailboxName, Needs, Numbers, SequenceSet, Store,
    StoreAction, Tagged, Uid,
};

/// Whether message sequence numbers are in it.
fn is_numbered(command: &Command) -> bool {
    use Command as C;
    match command {
        C::Fetch { numbers, .. }
        | C::Store { numbers, .. }
        | C::Copy { numbers, .. }
        | C::Move { numbers, .. } => !numbers.is_uid(),
        C::Search { search, .. } => search.key.has_sequence(),
        C::Sort { sort, .. } => sort.key.has_sequence(),
        C::Thread { thread, .. } => thread.key.has_sequence(),
        C::ESearch { search, .. } => search.key.has_sequence(),
        C::StoreLabels { numbers, .. } | C::Convert { numbers, .. } => !numbers.is_uid(),
        _ => false,
    }
}

impl Connection {
    /// Issues a command. It is sent at once, or when what is under way lets it: the machine pipelines
    /// where RFC 9051 §5.5 allows it. [`Event::Completed`] names the handle. LOGIN, AUTHENTICATE and
    /// APPEND have methods of their own; an IDLE under way ends by itself.
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
    /// use hikyaku_imap_proto::Command;
    /// let handle = machine.issue(Command::Noop, output)?;
    /// // `Event::Completed` names the handle.
    /// // a2 NOOP
    /// # assert_eq!(scene.sent(), "a2 NOOP\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when the command is not legal in this state or as it is written, when it has sequence
    /// numbers while something is under way that may change them (use UIDs), while an ENABLE of
    /// IMAP4rev2 or UTF8=ACCEPT is under way (how names are written is not known until then), and as for
    /// [`login`](Self::login) when it is LOGIN.
    pub fn issue(&mut self, command: Command, output: &mut Output) -> Result<Handle, Misuse> {
        use Command as C;
        let before_login = self.state == State::NotAuthenticated && !self.logging_in;
        let logged_in = self.state == State::Authenticated;
        let legal = match &command {
            C::Authenticate(_) => return Err(self.misuse("AUTHENTICATE", Reason::State)),
            C::Login { .. } => before_login && !self.capabilities.has("LOGINDISABLED"),
            C::StartTls => before_login && self.is_quiet(),
            C::Compress(_) => logged_in && self.is_quiet() && !self.compressed,
            // RFC 8437 §4.1: it would end the compression.
            C::Unauthenticate => logged_in && !self.compressed,
            command => match command.needs() {
                Needs::Nothing => true,
                Needs::NoLogin => before_login,
                Needs::Login => logged_in || self.logging_in,
                Needs::Mailbox => self.selected.is_some() || self.selecting > 0,
            },
        };
        if !legal || (is_numbered(&command) && !self.numbers_are_certain()) {
            return Err(self.misuse(command.name(), Reason::State));
        }
        if let C::Login { .. } = command {
            self.may_log_in("LOGIN")?;
        }
        let kind = Kind::of(&command);
        self.queue(command, kind, output)
    }

    /// LOGIN; [`Event::Authenticated`] or [`Event::AuthenticationRefused`] ends it.
    ///
    /// ```
    /// # use hikyaku_imap_proto::client::{Connection, Options};
    /// # let mut options = Options::default();
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("* OK [CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS LITERAL+ AUTH=PLAIN] ready\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.login("alice", b"sesame".to_vec().into(), output)?;
    /// // a1 LOGIN alice sesame
    /// # assert_eq!(scene.sent(), "a1 LOGIN alice sesame\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when logged in, where the server will not have it (LOGINDISABLED), and without TLS unless
    /// [`Options::login_needs_tls`](super::Options::login_needs_tls) is off.
    pub fn login(
        &mut self,
        name: impl Into<Bytes>,
        password: Secret,
        output: &mut Output,
    ) -> Result<Handle, Misuse> {
        let name = name.into();
        self.issue(Command::Login { name, password }, output)
    }

    /// AUTHENTICATE. The initial response goes with it where the server has SASL-IR, and is kept
    /// until it is asked for where not. [`Event::Authenticated`] or [`Event::AuthenticationRefused`] ends it.
    ///
    /// ```
    /// # use hikyaku_imap_proto::client::{Connection, Options};
    /// # let mut options = Options::default();
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("* OK [CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS LITERAL+ AUTH=PLAIN] ready\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// let initial = b"\0alice\0sesame".to_vec().into();
    /// machine.authenticate("PLAIN", Some(initial), output)?;
    /// // a1 AUTHENTICATE PLAIN
    /// # assert_eq!(scene.sent(), "a1 AUTHENTICATE PLAIN\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when logged in, and without TLS unless
    /// [`Options::login_needs_tls`](super::Options::login_needs_tls) is off.
    pub fn authenticate(
        &mut self,
        mechanism: impl Into<Bytes>,
        initial: Option<Secret>,
        output: &mut Output,
    ) -> Result<Handle, Misuse> {
        if self.state != State::NotAuthenticated || self.logging_in {
            return Err(self.misuse("authenticate", Reason::State));
        }
        self.may_log_in("authenticate")?;
        let mechanism = mechanism.into();
        let (initial, held) = match self.capabilities.has("SASL-IR") {
            true => (initial, None),
            false => (None, initial),
        };
        let command = Command::Authenticate(Authenticate { mechanism, initial });
        let challenged = false;
        self.queue(command, Kind::Authenticate { held, challenged }, output)
    }

    fn may_log_in(&self, method: &'static str) -> Result<(), Misuse> {
        match self.options.login_needs_tls && !self.options.tls {
            true => Err(self.misuse(method, Reason::NeedsTls)),
            false => Ok(()),
        }
    }

    /// Answers an [`Event::Challenge`]; `None` cancels the exchange.
    ///
    /// ```
    /// # use hikyaku_imap_proto::client::{Connection, Options};
    /// # let mut options = Options::default();
    /// # options.tls = true;
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("* OK [CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS LITERAL+ AUTH=PLAIN] ready\r\n");
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
    /// [`Misuse`] when none was named.
    pub fn respond(
        &mut self,
        response: Option<&Secret>,
        output: &mut Output,
    ) -> Result<(), Misuse> {
        match self.sent.first_mut().map(|sent| &mut sent.kind) {
            Some(Kind::Authenticate { challenged, .. }) if *challenged => *challenged = false,
            _ => return Err(self.misuse("respond", Reason::State)),
        }
        write_response(response, output);
        Ok(())
    }

    /// APPEND or REPLACE of a message of so many octets. [`Event::SendBody`] asks for it; where the server
    /// refuses, [`Event::Completed`] comes instead. That may also come before the message is whole:
    /// then go on all the same, or close.
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
    /// use hikyaku_imap_proto::{Append, MailboxName};
    /// let sent = Append::new(MailboxName::new("Sent"));
    /// machine.append(&sent, 5, output)?;
    /// // After `Event::SendBody`.
    /// # scene.hears("");
    /// # let (machine, output) = scene.split();
    /// machine.chunk("hello".into(), output)?;
    /// # assert_eq!(scene.sent(), "a2 APPEND Sent {5+}\r\nhello\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] before login.
    pub fn append(
        &mut self,
        append: &Append,
        octets: u64,
        output: &mut Output,
    ) -> Result<Handle, Misuse> {
        if self.state != State::Authenticated && !self.logging_in {
            return Err(self.misuse("append", Reason::State));
        }
        let mut line = Output::new();
        let id = self.next_id();
        line.write(&tag(id));
        line.write(b" ");
        let mut append = append.clone();
        if self.utf8 {
            append.mailbox = append.mailbox.in_utf8();
        }
        append.encode(&mut line);
        line.write(b"\r\n");
        let name = match append.replaces {
            Some(_) => "REPLACE",
            None => "APPEND",
        };
        self.push(id, name, Kind::Append, line, Some(octets), output)
    }

    /// The next octets of an APPEND's message.
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
    /// # { let (machine, output) = scene.split(); machine.append(&hikyaku_imap_proto::Append::new(hikyaku_imap_proto::MailboxName::new("Sent")), 5, output)?; }
    /// # scene.hears("");
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.chunk("he".into(), output)?;
    /// machine.chunk("llo".into(), output)?;
    /// // hello
    /// # assert_eq!(scene.sent(), "hello\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when they were not asked for, or are more than were announced: nothing is sent.
    pub fn chunk(&mut self, chunk: Bytes, output: &mut Output) -> Result<(), Misuse> {
        let misuse = |reason| Misuse::new("chunk", self.situation(), reason);
        let (misplaced, too_many) = (misuse(Reason::State), misuse(Reason::Argument));
        let appending = self.appending.as_mut().filter(|appending| appending.asked);
        let appending = appending.ok_or(misplaced)?;
        let left = appending.left.checked_sub(chunk.len() as u64);
        appending.left = left.ok_or(too_many)?;
        output.push(chunk);
        self.end_of_message(output);
        Ok(())
    }

    /// Ends the command when the message is whole.
    pub(super) fn end_of_message(&mut self, output: &mut Output) {
        if self
            .appending
            .as_ref()
            .is_some_and(|a| a.asked && a.left == 0)
        {
            let utf8 = self.appending.take().is_some_and(|a| a.utf8);
            output.write(if utf8 { b")\r\n" } else { b"\r\n" });
            self.send(output);
        }
    }

    /// Moves messages, by UID. Without MOVE they are copied, marked as `\Deleted`, and expunged where the
    /// server has UIDPLUS; where it has not, they stay, marked: EXPUNGE would take others with them.
    /// COPYUID comes as [`Event::Status`] either way.
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
    /// use hikyaku_imap_proto::{MailboxName, SequenceSet};
    /// // With MOVE where the server has it, else by COPY, STORE and EXPUNGE.
    /// machine.move_messages(SequenceSet::of_numbers([7]).expect("a set"), MailboxName::new("Trash"), output)?;
    /// // a3 UID MOVE 7 Trash
    /// # assert_eq!(scene.sent(), "a3 UID MOVE 7 Trash\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when no mailbox is selected.
    pub fn move_messages(
        &mut self,
        set: SequenceSet,
        mailbox: MailboxName,
        output: &mut Output,
    ) -> Result<Handle, Misuse> {
        let numbers = Numbers::Uid;
        if self.capabilities.can_move() {
            return self.issue(
                Command::Move {
                    set,
                    mailbox,
                    numbers,
                },
                output,
            );
        }
        if self.selected.is_none() && self.selecting == 0 {
            return Err(self.misuse("move_messages", Reason::State));
        }
        let kind = Kind::Move(Step::Store, set.clone());
        self.queue(
            Command::Copy {
                set,
                mailbox,
                numbers,
            },
            kind,
            output,
        )
    }

    /// The next command of a move, under the same handle.
    pub(super) fn go_on_moving(
        &mut self,
        handle: Handle,
        step: Step,
        set: SequenceSet,
        output: &mut Output,
    ) {
        let (command, next) = match step {
            Step::Store => {
                let store = Store {
                    set: set.clone(),
                    unchanged_since: None,
                    action: StoreAction::Add,
                    silent: true,
                    flags: [Flag::Deleted].into(),
                };
                let last = match self.capabilities.has_uid_plus() {
                    true => Step::Expunge,
                    false => Step::Last,
                };
                (
                    Command::Store {
                        store,
                        numbers: Numbers::Uid,
                    },
                    last,
                )
            }
            Step::Expunge | Step::Last => (Command::Expunge(Some(set.clone())), Step::Last),
        };
        let id = self.next_id();
        let name = command.name();
        let waiting = Waiting {
            id,
            handle,
            name,
            line: whole(encoded(id, command)),
            message: None,
            kind: Kind::Move(next, set),
        };
        self.waiting.push_front(waiting);
        self.send(output);
    }

    /// Ends an IDLE. So does any other command that is issued.
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
    /// # { let (machine, output) = scene.split(); machine.issue(hikyaku_imap_proto::Command::Idle, output)?; }
    /// # scene.hears("+ idling\r\n");
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.done(output)?;
    /// // DONE
    /// # assert_eq!(scene.sent(), "DONE\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when none is under way.
    pub fn done(&mut self, output: &mut Output) -> Result<(), Misuse> {
        match self.idle {
            Idle::Asked => self.idle = Idle::Unwanted,
            Idle::Idling => {
                output.write(b"DONE\r\n");
                self.idle = Idle::Done;
            }
            Idle::Renewing => self.idle = Idle::Done,
            Idle::Not => return Err(self.misuse("done", Reason::State)),
            Idle::Unwanted | Idle::Done => {}
        }
        Ok(())
    }

    /// Ends an IDLE and begins it anew, under the same handle, so that the server keeps the connection.
    /// The machine does it itself after a time without a word: `idle_renewal`. Where words keep coming it
    /// knows no time: call it every 29 minutes at least.
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
    /// # { let (machine, output) = scene.split(); machine.issue(hikyaku_imap_proto::Command::Idle, output)?; }
    /// # scene.hears("+ idling\r\n");
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// // It is begun anew when its end has come.
    /// machine.renew_idle(output)?;
    /// // DONE
    /// # assert_eq!(scene.sent(), "DONE\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when none has begun.
    pub fn renew_idle(&mut self, output: &mut Output) -> Result<(), Misuse> {
        if self.idle != Idle::Idling {
            return Err(self.misuse("renew_idle", Reason::State));
        }
        output.write(b"DONE\r\n");
        self.idle = Idle::Renewing;
        Ok(())
    }

    /// Begins an IDLE anew.
    pub(super) fn idle_again(&mut self, handle: Handle, output: &mut Output) {
        let id = self.next_id();
        let waiting = Waiting {
            id,
            handle,
            name: "IDLE",
            line: whole(encoded(id, Command::Idle)),
            message: None,
            kind: Kind::Idle,
        };
        self.waiting.push_front(waiting);
        self.send(output);
    }

    /// Takes the UIDs of all messages, ascending, as a `UID SEARCH ALL` gave them or as a
    /// QRESYNC leaves them. `false`, and nothing is learnt, when they are not as many as there are.
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
    /// use hikyaku_imap_proto::{SequenceNumber, Uid};
    /// // From an earlier session: the UIDs of all three messages.
    /// assert!(machine.learn([4, 7, 9].into_iter().filter_map(Uid::new)));
    /// let second = SequenceNumber::new(2).and_then(|second| machine.selected()?.view.uid(second));
    /// assert_eq!(second, Uid::new(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn learn(&mut self, uids: impl IntoIterator<Item = Uid>) -> bool {
        let most = self.options.limits.messages;
        let selected = self.selected.as_mut();
        selected.is_some_and(|selected| selected.view.learn_all(uids, most))
    }

    pub(super) fn ask_capabilities(&mut self, output: &mut Output) {
        let id = self.next_id();
        let waiting = Waiting {
            id,
            handle: Handle(id),
            name: "CAPABILITY",
            line: whole(encoded(id, Command::Capability)),
            message: None,
            kind: Kind::Capability,
        };
        self.waiting.push_front(waiting);
        self.send(output);
    }

    fn next_id(&mut self) -> u64 {
        self.issued += 1;
        self.issued
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.waiting.is_empty() && self.sent.is_empty()
    }

    /// Whether no EXPUNGE can come before the server reads the next command.
    fn numbers_are_certain(&self) -> bool {
        let quiet = |sent: &Sent| matches!(sent.kind, Kind::Quiet | Kind::QuietSearch);
        self.waiting.is_empty()
            && self.selected.is_some()
            && self.sent.iter().all(quiet)
            && self.sent.len() < self.window()
    }

    pub(super) fn situation(&self) -> &'static str {
        match self.state {
            State::Greeting => "before the greeting",
            State::StartTls => "before TLS has begun",
            State::Compress => "before the compression has begun",
            State::Closed => "after the end of the connection",
            _ if self.logging_out => "after LOGOUT",
            _ if self.enabling => "while ENABLE is under way",
            State::NotAuthenticated if self.logging_in => "while a login is under way",
            State::NotAuthenticated => "before login",
            State::Authenticated if self.selected.is_some() => "with a mailbox selected",
            State::Authenticated => "with no mailbox selected",
        }
    }

    fn misuse(&self, method: &'static str, reason: Reason) -> Misuse {
        Misuse::new(method, self.situation(), reason)
    }

    fn window(&self) -> usize {
        match self.options.one_by_one {
            true => 1,
            false => self.options.limits.in_flight.max(1),
        }
    }

    fn queue(
        &mut self,
        command: Command,
        kind: Kind,
        output: &mut Output,
    ) -> Result<Handle, Misuse> {
        let id = self.next_id();
        let command = match self.utf8 {
            true => command.in_utf8(),
            false => command,
        };
        let name = command.name();
        let line = encoded(id, command);
        self.push(id, name, kind, line, None, output)
    }

    fn push(
        &mut self,
        id: u64,
        name: &'static str,
        kind: Kind,
        line: Output,
        message: Option<u64>,
        output: &mut Output,
    ) -> Result<Handle, Misuse> {
        let open = matches!(self.state, State::NotAuthenticated | State::Authenticated);
        if !open || self.enabling || self.logging_out {
            return Err(self.misuse(name, Reason::State));
        }
        let replaced = line.has_replaced();
        let line = whole(line);
        if replaced || pieces(&line, self.capabilities.literals()).is_none() {
            return Err(self.misuse(name, Reason::Argument));
        }
        match kind {
            Kind::Login | Kind::Authenticate { .. } => self.logging_in = true,
            Kind::Select(_) => self.selecting += 1,
            Kind::Logout => self.logging_out = true,
            Kind::Enable(names) => self.enabling = names,
            _ => {}
        }
        let handle = Handle(id);
        self.waiting.push_back(Waiting {
            id,
            handle,
            name,
            line,
            message,
            kind,
        });
        self.send(output);
        Ok(handle)
    }

    fn may_send(&self, next: &Waiting) -> bool {
        let open = matches!(self.state, State::NotAuthenticated | State::Authenticated);
        let negotiated = self.holding.is_empty() && self.appending.is_none();
        let alone = next.kind.is_alone() && !self.sent.is_empty();
        let listing = |sent: &Sent| {
            let listing = next.kind.listing();
            listing.is_some() && sent.kind.listing() == listing
        };
        open && negotiated
            && !alone
            && self.sent.len() < self.window()
            && !self
                .sent
                .iter()
                .any(|sent| sent.kind.is_alone() || listing(sent))
    }

    /// Sends what may be sent.
    pub(super) fn send(&mut self, output: &mut Output) {
        while let Some(next) = self.waiting.front() {
            if self.idle != Idle::Not {
                let _ = self.done(output);
                return;
            }
            if !self.may_send(next) {
                return;
            }
            let Some(next) = self.waiting.pop_front() else {
                return;
            };
            self.write(next, output);
        }
    }

    fn write(&mut self, next: Waiting, output: &mut Output) {
        let literals = self.capabilities.literals();
        if let Some(octets) = next.message {
            self.holding = pieces(&next.line, literals).unwrap_or_default();
            self.announce(octets, next.handle, literals.waits(octets));
        } else {
            self.holding = pieces(&next.line, literals).unwrap_or_default();
        }
        match &next.kind {
            Kind::Idle => self.idle = Idle::Asked,
            Kind::StartTls | Kind::Login | Kind::Authenticate { .. } => self.fresh = false,
            Kind::Select(_) => {
                self.stale = self.selected.is_some();
                self.selected = None;
            }
            _ => {}
        }
        if let Some(piece) = self.holding.pop_front() {
            output.push(piece);
        }
        self.sent.push(Sent {
            id: next.id,
            handle: next.handle,
            name: next.name,
            kind: next.kind,
        });
        self.ask_for_message();
    }

    /// Puts the announcement of a message at the end of its command.
    fn announce(&mut self, octets: u64, handle: Handle, waits: bool) {
        let mut utf8 = false;
        if let Some(last) = self.holding.pop_back() {
            let line = last.strip_suffix(b"\r\n").unwrap_or(&last);
            utf8 = line.ends_with(b" UTF8 (~");
            let mut announced = Output::new();
            announced.write(line);
            announced.write(b"{");
            announced.write_number(octets);
            announced.write(if waits { b"}\r\n" } else { b"+}\r\n" });
            self.holding
                .push_back(announced.copy_to_bytes(announced.len()));
        }
        self.appending = Some(Appending {
            handle,
            left: octets,
            asked: false,
            waits,
            utf8,
        });
    }

    /// Once all of the command but the message is sent, and the server need not be asked.
    pub(super) fn ask_for_message(&mut self) {
        let ready = self.holding.is_empty();
        if let Some(appending) = self.appending.as_mut()
            && ready
            && !appending.waits
            && !appending.asked
        {
            appending.asked = true;
            self.events.push_back(Event::SendBody(appending.handle));
        }
    }
}

fn tag(id: u64) -> Bytes {
    let mut tag = Output::new();
    tag.write(b"a");
    tag.write_number(id);
    tag.copy_to_bytes(tag.len())
}

fn encoded(id: u64, command: Command) -> Output {
    let mut line = Output::new();
    let tag = tag(id);
    Tagged { tag, command }.encode(&mut line);
    line
}

fn whole(mut line: Output) -> Bytes {
    let length = line.len();
    line.copy_to_bytes(length)
}
