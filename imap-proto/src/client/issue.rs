//! Commands as the caller issues them, and when they are sent (RFC 9051 §5.5).

use alloc::boxed::Box;
use bytes::{Buf as _, Bytes};
use hikyaku_wire::{Output, Reason, Secret, write_response};

use super::{Appending, Connection, Event, Handle, Idle, Misuse, Selected, Sent, State};
use crate::literal::pieces;
use crate::{
    Append, Authenticate, Command, Flag, MailboxName, SequenceSet, Store, StoreAction, Tagged,
};

/// What a command does besides what its response says.
#[derive(Debug)]
pub(super) enum Kind {
    /// CAPABILITY that the machine asks for itself.
    Capability,
    StartTls,
    Login,
    Authenticate {
        /// An initial response that waits until it is asked for.
        held: Option<Secret>,
        challenged: bool,
    },
    Select(Box<Selected>),
    Leave,
    Idle,
    Logout,
    Append,
    /// Whether it asks for mailbox names in UTF-8.
    Enable(bool),
    Unauthenticate,
    Compress,
    /// A move without MOVE: what is left to be done.
    Move(Step, SequenceSet),
    /// Its data do not name the command: one of a name at a time.
    Listing(&'static str),
    /// FETCH or STORE by sequence numbers, while which no EXPUNGE is told.
    Quiet,
    /// So is SEARCH, and its data do not name it.
    QuietSearch,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Store,
    Expunge,
    Last,
}

/// What was issued and not sent.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: u64,
    pub(super) handle: Handle,
    /// The command.
    name: &'static str,
    /// As it is written, but for how its literals are announced.
    line: Bytes,
    /// Octets of an APPEND's message.
    message: Option<u64>,
    kind: Kind,
}

impl Kind {
    fn is_alone(&self) -> bool {
        matches!(
            self,
            Self::Capability
                | Self::StartTls
                | Self::Login
                | Self::Authenticate { .. }
                | Self::Select(_)
                | Self::Leave
                | Self::Idle
                | Self::Logout
                | Self::Append
                | Self::Enable(_)
                | Self::Unauthenticate
                | Self::Compress
        )
    }

    fn listing(&self) -> Option<&'static str> {
        match self {
            Self::Listing(name) => Some(name),
            Self::QuietSearch => Some("SEARCH"),
            _ => None,
        }
    }

    fn of(command: &Command) -> Self {
        use Command as C;
        match command {
            C::StartTls => Self::StartTls,
            C::Login { .. } => Self::Login,
            C::Select {
                mailbox, read_only, ..
            } => Self::Select(Box::new(Selected::new(mailbox.clone(), *read_only))),
            C::Close | C::Unselect => Self::Leave,
            C::Idle => Self::Idle,
            C::Logout => Self::Logout,
            C::Enable(names) => {
                let is = |name: &Bytes| {
                    let all: [&[u8]; 2] = [b"IMAP4rev2", b"UTF8=ACCEPT"];
                    all.iter().any(|one| name.eq_ignore_ascii_case(one))
                };
                Self::Enable(names.iter().any(is))
            }
            C::Unauthenticate => Self::Unauthenticate,
            C::Compress(_) => Self::Compress,
            C::Search { uid: true, .. } => Self::Listing("SEARCH"),
            C::Sort { .. } => Self::Listing("SORT"),
            C::Thread { .. } => Self::Listing("THREAD"),
            C::List(_) => Self::Listing("LIST"),
            C::Lsub { .. } => Self::Listing("LSUB"),
            C::Fetch { uid: false, .. } | C::Store { uid: false, .. } => Self::Quiet,
            C::Search { uid: false, .. } => Self::QuietSearch,
            _ => Self::Other,
        }
    }
}

/// Whether message sequence numbers are in it.
fn is_numbered(command: &Command) -> bool {
    use Command as C;
    match command {
        C::Fetch { uid, .. } | C::Store { uid, .. } | C::Copy { uid, .. } | C::Move { uid, .. } => {
            !uid
        }
        C::Search { search, .. } => search.key.has_sequence(),
        C::Sort { sort, .. } => sort.key.has_sequence(),
        C::Thread { thread, .. } => thread.key.has_sequence(),
        C::ESearch { search, .. } => search.key.has_sequence(),
        C::StoreLabels { uid, .. } | C::Convert { uid, .. } => !uid,
        _ => false,
    }
}

impl Connection {
    /// Issues a command. It is sent at once, or when what is under way lets it: the machine pipelines
    /// where RFC 9051 §5.5 allows it. [`Event::Completed`] names the handle. LOGIN, AUTHENTICATE and
    /// APPEND have methods of their own; an IDLE under way ends by itself.
    ///
    /// # Errors
    /// [`Misuse`] when the command is not legal in this state or as it is written, when it has sequence
    /// numbers while something is under way that may change them (use UIDs), while an ENABLE of
    /// IMAP4rev2 or UTF8=ACCEPT is under way (how names are written is not known until then), and as for
    /// [`login`](Self::login) when it is LOGIN.
    pub fn issue(&mut self, command: Command, output: &mut Output) -> Result<Handle, Misuse> {
        use Command as C;
        let before_login = self.state == State::NotAuthenticated && !self.logging_in;
        let legal = match &command {
            C::Authenticate(_) => return Err(self.misuse("AUTHENTICATE", Reason::State)),
            C::Login { .. } => before_login && !self.capabilities.has("LOGINDISABLED"),
            C::StartTls => before_login && self.is_quiet(),
            C::Capability | C::Noop | C::Logout | C::Id(_) | C::Language(_) => true,
            C::Compress(_) => {
                self.state == State::Authenticated && self.is_quiet() && !self.compressed
            }
            C::ESearch { sources, .. } if !sources.is_empty() => {
                self.state == State::Authenticated || self.logging_in
            }
            C::Check
            | C::Close
            | C::Unselect
            | C::Expunge(_)
            | C::Search { .. }
            | C::Sort { .. }
            | C::Thread { .. }
            | C::Fetch { .. }
            | C::Store { .. }
            | C::Copy { .. }
            | C::ESearch { .. }
            | C::CancelUpdate(_)
            | C::UidBatches(_)
            | C::StoreLabels { .. }
            | C::Convert { .. }
            | C::Move { .. } => self.selected.is_some() || self.selecting > 0,
            // RFC 8437 §4.1: it would end the compression.
            C::Unauthenticate => self.state == State::Authenticated && !self.compressed,
            _ => self.state == State::Authenticated || self.logging_in,
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
    /// # Errors
    /// [`Misuse`] when none was told.
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

    /// APPEND or REPLACE of a message of so many octets. [`Event::SendMessage`] asks for it; where the server
    /// refuses, [`Event::Completed`] comes instead. That may also come before the message is whole:
    /// then go on all the same, or close.
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
    /// # Errors
    /// [`Misuse`] when no mailbox is selected.
    pub fn move_messages(
        &mut self,
        set: SequenceSet,
        mailbox: MailboxName,
        output: &mut Output,
    ) -> Result<Handle, Misuse> {
        let uid = true;
        if self.capabilities.can_move() {
            return self.issue(Command::Move { set, mailbox, uid }, output);
        }
        if self.selected.is_none() && self.selecting == 0 {
            return Err(self.misuse("move_messages", Reason::State));
        }
        let kind = Kind::Move(Step::Store, set.clone());
        self.queue(Command::Copy { set, mailbox, uid }, kind, output)
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
                (Command::Store { store, uid: true }, last)
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

    /// Tells the machine the UIDs of all messages, ascending, as a `UID SEARCH ALL` gave them or as a
    /// QRESYNC leaves them. `false`, and nothing is learnt, when they are not as many as there are.
    pub fn learn(&mut self, uids: impl IntoIterator<Item = u32>) -> bool {
        let most = self.options.limits.messages;
        let selected = self.selected.as_mut();
        selected.is_some_and(|selected| selected.view.learn_all(uids, most))
    }

    /// TLS began: the server is asked anew what it can do, and [`Event::Connected`] comes once more.
    pub fn tls_established(&mut self, output: &mut Output) {
        if self.state == State::StartTls {
            self.state = State::NotAuthenticated;
            self.options.tls = true;
            self.capabilities = super::Capabilities::default();
            let text = Bytes::new();
            let preauth = false;
            self.withheld = Some(Event::Connected { preauth, text });
            self.ask_capabilities(output);
        }
    }

    /// What is said from now on is compressed both ways, after [`Step::Compress`](hikyaku_wire::Step).
    pub fn compression_active(&mut self) {
        if self.state == State::Compress {
            self.state = State::Authenticated;
            self.compressed = true;
        }
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

    fn is_quiet(&self) -> bool {
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
            self.told.push_back(Event::SendMessage(appending.handle));
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
