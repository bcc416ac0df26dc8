//! The server machine (RFC 3501, RFC 9051 §3 to §7).
//!
//! It knows which command is legal when, which messages the client knows of (the [`View`]), and when
//! it may be told that some are gone.

mod capability;
mod event;
mod fetching;
mod view;

pub use event::{Error, Event, Misuse, Options};
pub use view::View;

use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::time::Duration;
use hikyaku_wire::{Machine, Output, SaslLine, Step, decode_sasl, encode_sasl};

use crate::frame::{Framed, Framer, Refusal, tag_of};
use crate::response::write_status;
use crate::{Append, Authenticate, Command, Response, ResponseCode, Status, Tagged};
use fetching::Fetching;

/// One connection, from the greeting to its end.
#[derive(Debug)]
pub struct Connection {
    options: Options,
    framer: Framer,
    state: State,
    authenticated: bool,
    selected: Option<View>,
    condstore: bool,
    fetching: Option<Fetching>,
    errors: u32,
}

#[derive(Debug)]
enum State {
    Start,
    Command,
    /// The application was told and has not answered.
    Asked(Asked),
    /// A challenge was sent.
    Sasl(Bytes),
    Message(Message),
    Idle(Bytes),
    StartTls,
    Closed,
}

/// A command that waits for its end.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    tag: Bytes,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Connected,
    Login,
    Authenticate,
    Select,
    Leave,
    /// APPEND, before its message.
    Append {
        octets: u64,
        synchronizing: bool,
    },
    /// FETCH, STORE or SEARCH with sequence numbers: EXPUNGE waits (RFC 9051 §7.5.1).
    Numbered,
    Other,
}

/// APPEND's message, on its way in.
#[derive(Debug)]
struct Message {
    tag: Bytes,
    left: u64,
    refused: bool,
}

impl Connection {
    /// Stands before the greeting.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            framer: Framer::default(),
            state: State::Start,
            authenticated: false,
            selected: None,
            condstore: false,
            fetching: None,
            errors: 0,
        }
    }

    /// The selected mailbox, as the client knows it.
    #[must_use]
    pub fn selected(&self) -> Option<&View> {
        self.selected.as_ref()
    }

    /// The tag of the command that waits for its end.
    #[must_use]
    pub fn tag(&self) -> Option<&Bytes> {
        match &self.state {
            State::Asked(asked) => Some(&asked.tag),
            _ => None,
        }
    }

    /// Whether the client wants mod-sequences (RFC 7162 §3.1).
    #[must_use]
    pub fn condstore(&self) -> bool {
        self.condstore
    }

    /// Whether IDLE is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle(_))
    }

    /// Answers [`Event::Connected`].
    ///
    /// # Errors
    /// [`Misuse`] at any other time.
    pub fn greet(&mut self, text: &str, output: &mut Output) -> Result<(), Misuse> {
        match &self.state {
            State::Asked(asked) if asked.what == What::Connected => {}
            _ => return Err(Misuse),
        }
        self.state = State::Command;
        let code = ResponseCode::Capability(self.capabilities());
        output.write(b"* ");
        write_status(Status::Ok, Some(&code), text.as_bytes(), output);
        Ok(())
    }

    /// Says BYE and closes, at any time but inside of a FETCH.
    pub fn bye(&mut self, code: Option<&ResponseCode>, text: &str, output: &mut Output) {
        if !matches!(self.state, State::Closed) && self.fetching.is_none() {
            output.write(b"* ");
            write_status(Status::Bye, code, text.as_bytes(), output);
        }
        self.state = State::Closed;
    }

    /// Sends an untagged response.
    pub fn respond(&mut self, response: &Response, output: &mut Output) {
        response.encode(output);
    }

    /// Goes on with a SASL exchange.
    ///
    /// # Errors
    /// [`Misuse`] when no exchange is under way.
    pub fn challenge(&mut self, challenge: &[u8], output: &mut Output) -> Result<(), Misuse> {
        let State::Asked(asked) = &self.state else {
            return Err(Misuse);
        };
        if asked.what != What::Authenticate {
            return Err(Misuse);
        }
        output.write(b"+ ");
        output.write(&encode_sasl(challenge));
        output.write(b"\r\n");
        self.state = State::Sasl(asked.tag.clone());
        Ok(())
    }

    /// Lets an APPEND's message come.
    ///
    /// # Errors
    /// [`Misuse`] when none is announced.
    pub fn accept(&mut self, output: &mut Output) -> Result<(), Misuse> {
        let State::Asked(asked) = &self.state else {
            return Err(Misuse);
        };
        let What::Append {
            octets,
            synchronizing,
        } = asked.what
        else {
            return Err(Misuse);
        };
        if synchronizing {
            output.write(b"+ OK\r\n");
        }
        self.state = State::Message(Message {
            tag: asked.tag.clone(),
            left: octets,
            refused: false,
        });
        Ok(())
    }

    /// Answers SELECT or EXAMINE, before `complete` with OK: the UIDs in the mailbox, ascending; those
    /// from `recent_from` on are `\Recent`. Tells EXISTS and RECENT.
    pub fn select(
        &mut self,
        uids: Vec<u32>,
        recent_from: u32,
        read_only: bool,
        output: &mut Output,
    ) {
        self.selected = Some(View::new(uids, recent_from, read_only));
        self.tell_counts(output);
    }

    /// New messages in the selected mailbox, ascending; those from `recent_from` on are `\Recent`.
    /// Tells EXISTS and RECENT.
    pub fn appeared(&mut self, uids: &[u32], recent_from: u32, output: &mut Output) {
        if let Some(view) = &mut self.selected
            && view.append(uids, recent_from)
        {
            self.tell_counts(output);
        }
    }

    fn tell_counts(&self, output: &mut Output) {
        let Some(view) = &self.selected else { return };
        output.write(b"* ");
        output.write_number(u64::from(view.len()));
        output.write(b" EXISTS\r\n* ");
        output.write_number(view.recent().len() as u64);
        output.write(b" RECENT\r\n");
    }

    /// Messages that are gone from the selected mailbox. EXPUNGE is told at once where the command
    /// under way allows it, else at the end of the next one that does.
    pub fn vanished(&mut self, uids: impl IntoIterator<Item = u32>, output: &mut Output) {
        let Some(view) = &mut self.selected else {
            return;
        };
        view.vanish(uids);
        let allowed = match &self.state {
            State::Idle(_) => true,
            State::Asked(asked) => asked.what != What::Numbered,
            _ => false,
        };
        if allowed && self.fetching.is_none() {
            self.expunge(output);
        }
    }

    fn expunge(&mut self, output: &mut Output) {
        let Some(view) = &mut self.selected else {
            return;
        };
        for sequence in view.expunge() {
            output.write(b"* ");
            output.write_number(u64::from(sequence));
            output.write(b" EXPUNGE\r\n");
        }
    }

    /// Ends the command that waits. OK to a login logs in, to SELECT selects; anything else does not.
    ///
    /// # Errors
    /// [`Misuse`] when no command waits.
    pub fn complete(
        &mut self,
        status: Status,
        mut code: Option<ResponseCode>,
        text: &str,
        output: &mut Output,
    ) -> Result<(), Misuse> {
        if self.fetching.is_some() {
            return Err(Misuse);
        }
        let State::Asked(asked) = &self.state else {
            return Err(Misuse);
        };
        let Asked { tag, what } = asked.clone();
        let ok = status == Status::Ok;

        self.state = State::Command;
        match what {
            What::Connected => return Err(Misuse),
            What::Login | What::Authenticate if ok => {
                self.authenticated = true;
                code = code.or_else(|| Some(ResponseCode::Capability(self.capabilities())));
            }
            What::Select if !ok => self.selected = None,
            What::Leave if ok => self.selected = None,
            What::Append {
                octets,
                synchronizing,
            } if !synchronizing => self.framer.skip_octets(octets),
            _ => {}
        }
        if what != What::Numbered {
            self.expunge(output);
        }
        output.write(&tag);
        output.write(b" ");
        write_status(status, code.as_ref(), text.as_bytes(), output);
        self.count(status, output);
        Ok(())
    }

    /// TLS began after [`Step::StartTls`].
    pub fn tls_established(&mut self) {
        self.options.tls = true;
        if let State::StartTls = self.state {
            self.state = State::Command;
        }
    }

    fn count(&mut self, status: Status, output: &mut Output) {
        match status {
            Status::Bad => {
                self.errors += 1;
                if self.errors >= self.options.limits.errors {
                    self.bye(None, "Too many errors", output);
                }
            }
            Status::Ok => self.errors = 0,
            _ => {}
        }
    }

    /// A tagged response of the machine's own; untagged where there is no tag.
    fn say(
        &mut self,
        tag: Option<&Bytes>,
        status: Status,
        code: Option<&ResponseCode>,
        text: &str,
        output: &mut Output,
    ) {
        output.write(tag.map_or(b"*", |tag| &tag[..]));
        output.write(b" ");
        write_status(status, code, text.as_bytes(), output);
        self.count(status, output);
    }

    fn ask(&mut self, tag: Bytes, what: What, event: Event) -> Option<Step<Event>> {
        self.state = State::Asked(Asked { tag, what });
        Some(Step::Event(event))
    }

    fn unit(
        &mut self,
        unit: BytesMut,
        input: &BytesMut,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        let unit = unit.freeze();
        match Tagged::parse(&unit, &self.options.limits) {
            Ok(tagged) => self.command(tagged, input, output),
            Err(error) => {
                let text = alloc::format!("Expected {} at octet {}", error.expected, error.offset);
                self.say(error.tag.as_ref(), Status::Bad, None, &text, output);
                None
            }
        }
    }

    fn may_log_in(&self) -> bool {
        self.options.tls || !self.options.login_needs_tls
    }

    fn command(
        &mut self,
        tagged: Tagged,
        input: &BytesMut,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        use Command as C;
        let Tagged { tag, command } = tagged;
        let legal = match &command {
            C::Capability | C::Noop | C::Logout | C::Id(_) => true,
            C::StartTls | C::Login { .. } | C::Authenticate(_) => !self.authenticated,
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
            | C::Move { .. } => self.selected.is_some(),
            _ => self.authenticated,
        };
        if !legal {
            self.say(Some(&tag), Status::Bad, None, "Not in this state", output);
            return None;
        }
        match command {
            C::Capability => {
                Response::Capability(self.capabilities()).encode(output);
                self.say(Some(&tag), Status::Ok, None, "That is all", output);
                None
            }
            C::Logout => {
                output.write(b"* BYE Logging out\r\n");
                self.say(Some(&tag), Status::Ok, None, "Bye", output);
                self.state = State::Closed;
                None
            }
            C::StartTls => self.starttls(&tag, input, output),
            C::Login { name, password } => {
                if !self.may_log_in() {
                    let code = Some(&ResponseCode::PrivacyRequired);
                    self.say(Some(&tag), Status::No, code, "STARTTLS first", output);
                    return None;
                }
                self.ask(tag, What::Login, Event::Login { name, password })
            }
            C::Authenticate(Authenticate { mechanism, initial }) => {
                let refusal = match () {
                    () if !self.may_log_in() => {
                        Some((Some(&ResponseCode::PrivacyRequired), "STARTTLS first"))
                    }
                    () if !self.options.mechanisms.contains(&mechanism) => {
                        Some((None, "Mechanism not supported"))
                    }
                    () => None,
                };
                if let Some((code, text)) = refusal {
                    self.say(Some(&tag), Status::No, code, text, output);
                    return None;
                }
                let event = Event::Authenticate { mechanism, initial };
                self.ask(tag, What::Authenticate, event)
            }
            C::Enable(names) => {
                let is = |name: &Bytes| name.eq_ignore_ascii_case(b"CONDSTORE");
                let known: Vec<Bytes> = names.into_iter().filter(is).collect();
                self.condstore |= !known.is_empty();
                Response::Enabled(known).encode(output);
                self.say(Some(&tag), Status::Ok, None, "Enabled", output);
                None
            }
            C::Idle => {
                output.write(b"+ idling\r\n");
                self.state = State::Idle(tag);
                Some(Step::Event(Event::Idle))
            }
            command => {
                self.condstore |= asks_for_modseq(&command);
                let what = match &command {
                    C::Select { .. } => {
                        self.selected = None;
                        What::Select
                    }
                    C::Close | C::Unselect => What::Leave,
                    C::Fetch { uid: false, .. }
                    | C::Store { uid: false, .. }
                    | C::Search { uid: false, .. }
                    | C::Sort { uid: false, .. }
                    | C::Thread { uid: false, .. } => What::Numbered,
                    _ => What::Other,
                };
                self.ask(tag, what, Event::Command(command))
            }
        }
    }

    fn starttls(
        &mut self,
        tag: &Bytes,
        input: &BytesMut,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        if !self.options.starttls || self.options.tls {
            self.say(Some(tag), Status::Bad, None, "No STARTTLS here", output);
        } else if !input.is_empty() {
            // What follows was sent in clear: never taken for a command under TLS (CVE-2011-0411).
            self.say(
                Some(tag),
                Status::Bad,
                None,
                "Nothing may follow STARTTLS",
                output,
            );
            self.bye(None, "Nothing may follow STARTTLS", output);
        } else {
            self.say(Some(tag), Status::Ok, None, "Begin TLS", output);
            self.state = State::StartTls;
        }
        None
    }

    fn append(
        &mut self,
        tag: Bytes,
        append: Append,
        octets: u64,
        synchronizing: bool,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        if !self.authenticated {
            if !synchronizing {
                self.framer.skip_octets(octets);
            }
            self.say(Some(&tag), Status::Bad, None, "Not in this state", output);
            return None;
        }
        let what = What::Append {
            octets,
            synchronizing,
        };
        self.ask(tag, what, Event::Append { append, octets })
    }

    fn message(&mut self, input: &mut BytesMut, output: &mut Output) -> Option<Step<Event>> {
        let State::Message(message) = &mut self.state else {
            return None;
        };
        if message.left > 0 {
            if input.is_empty() {
                return Some(Step::NeedInput);
            }
            let some = usize::try_from(message.left)
                .unwrap_or(usize::MAX)
                .min(input.len());
            let chunk = input.split_to(some).freeze();
            message.left -= some as u64;
            if message.refused {
                return None;
            }
            // RFC 9051 §9: a literal holds no NUL.
            if memchr::memchr(0, &chunk).is_some() {
                message.refused = true;
                return Some(Step::Event(Event::MessageRefused));
            }
            return Some(Step::Event(Event::Chunk(chunk)));
        }
        let (tag, refused) = (message.tag.clone(), message.refused);
        let text = match input.get(..2).unwrap_or(input) {
            b"" | b"\r" => return Some(Step::NeedInput),
            b"\r\n" => {
                let _ = input.split_to(2);
                if !refused {
                    return self.ask(tag, What::Other, Event::EndOfMessage);
                }
                "NUL in a literal"
            }
            _ => {
                self.framer.skip_line();
                "Expected the end of the command"
            }
        };
        self.state = State::Command;
        self.say(Some(&tag), Status::Bad, None, text, output);
        (!refused).then_some(Step::Event(Event::MessageRefused))
    }

    /// A line that is no command: a SASL response, or DONE.
    fn line(&mut self, line: &[u8], output: &mut Output) -> Option<Step<Event>> {
        match core::mem::replace(&mut self.state, State::Command) {
            State::Idle(tag) => {
                if line.eq_ignore_ascii_case(b"DONE") {
                    return self.ask(tag, What::Other, Event::IdleDone);
                }
                self.say(Some(&tag), Status::Bad, None, "Expected DONE", output);
                Some(Step::Event(Event::IdleDone))
            }
            State::Sasl(tag) => {
                let text = match decode_sasl(line) {
                    Ok(SaslLine::Response(response)) => {
                        let event = Event::SaslResponse(response);
                        return self.ask(tag, What::Authenticate, event);
                    }
                    Ok(SaslLine::Cancel) => "Cancelled",
                    Err(_) => "Not base64",
                };
                self.say(Some(&tag), Status::Bad, None, text, output);
                Some(Step::Event(Event::SaslCancelled))
            }
            state => {
                self.state = state;
                None
            }
        }
    }

    fn refused(
        &mut self,
        head: &[u8],
        refusal: Refusal,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        if !matches!(self.state, State::Command) {
            return self.line(b"?", output);
        }
        let tag = tag_of(head);
        let (code, text) = match refusal {
            Refusal::TooLong => (None, "Command too long"),
            Refusal::LiteralTooBig => (Some(&ResponseCode::TooBig), "Literal too big"),
            Refusal::LiteralEndless => {
                (Some(&ResponseCode::TooBig), "Literal of more than 63 bits")
            }
            Refusal::BareNewline => (None, "Bare CR or LF"),
        };
        self.say(tag.as_ref(), Status::Bad, code, text, output);
        if refusal == Refusal::LiteralEndless {
            self.bye(None, "Where this command ends cannot be known", output);
        }
        None
    }

    fn framed(&mut self, input: &mut BytesMut, output: &mut Output) -> Option<Step<Event>> {
        let limits = &self.options.limits;
        let (limit, literal) = match self.state {
            State::Command if self.authenticated => (limits.command, limits.literal),
            State::Command => (limits.command_before_login, limits.literal),
            _ => (limits.sasl_line, 0),
        };
        match self.framer.next(input, limit, literal) {
            None => Some(Step::NeedInput),
            Some(Framed::Continue) => {
                output.write(b"+ OK\r\n");
                None
            }
            Some(Framed::Unit(unit)) if matches!(self.state, State::Command) => {
                self.unit(unit, input, output)
            }
            Some(Framed::Unit(line)) => self.line(&line, output),
            Some(Framed::Message {
                tag,
                append,
                octets,
                synchronizing,
            }) if matches!(self.state, State::Command) => {
                self.append(tag, append, octets, synchronizing, output)
            }
            Some(Framed::Message { .. }) => self.line(b"?", output),
            Some(Framed::Refused(head, refusal)) => self.refused(&head, refusal, output),
        }
    }
}

/// Whether the command is one that turns mod-sequences on (RFC 7162 §3.1).
fn asks_for_modseq(command: &Command) -> bool {
    use crate::{FetchAttribute, StatusAttribute};
    match command {
        Command::Select { condstore, .. } => *condstore,
        Command::Status(_, attributes) => attributes.contains(&StatusAttribute::HighestModSeq),
        Command::Fetch { fetch, .. } => {
            fetch.changed_since.is_some() || fetch.attributes.contains(&FetchAttribute::ModSeq)
        }
        Command::Store { store, .. } => store.unchanged_since.is_some(),
        Command::Search { search, .. } => search.key.has_modseq(),
        _ => false,
    }
}

impl Machine for Connection {
    type Event = Event;
    type Error = Error;

    fn poll(&mut self, input: &mut BytesMut, output: &mut Output) -> Result<Step<Event>, Error> {
        loop {
            let step = match self.state {
                State::Start => self.ask(Bytes::new(), What::Connected, Event::Connected),
                State::Asked(_) => Some(Step::NeedAnswer),
                State::StartTls => Some(Step::StartTls),
                State::Closed => {
                    input.clear();
                    Some(Step::Closed)
                }
                State::Message(_) => self.message(input, output),
                State::Command | State::Sasl(_) | State::Idle(_) => self.framed(input, output),
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        match core::mem::replace(&mut self.state, State::Closed) {
            State::Message(_) | State::Sasl(_) => Err(Error::InsideCommand),
            State::Command if self.framer.is_in_command() => Err(Error::InsideCommand),
            _ => Ok(()),
        }
    }

    /// At least 30 minutes after login (RFC 9051 §5.4); one minute before.
    fn time_limit(&self) -> Duration {
        let minutes = if self.authenticated { 30 } else { 1 };
        Duration::from_secs(60 * minutes)
    }

    fn timed_out(&mut self, output: &mut Output) {
        self.bye(None, "Autologout; idle for too long", output);
    }
}

#[cfg(test)]
mod tests;
