//! The server machine (RFC 3501, RFC 9051 §3 to §7, and the extensions that change what is said when).
//!
//! It knows which command is legal when, which messages the client knows of (the [`View`]), and when
//! it may be told that some are gone.

mod appending;
mod capability;
mod dispatch;
mod event;
mod fetching;
mod view;

pub use event::{Error, Event, Options};
pub use hikyaku_wire::Misuse;
pub use view::View;

use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::time::Duration;
use hikyaku_wire::{Machine, Output, Reason, SaslLine, Step, decode_sasl, encode_sasl};

use crate::frame::{Framed, Framer, Refusal, begins_append, tag_of};
use crate::response::write_status;
use crate::{Response, ResponseCode, Status, Tagged};
use appending::Message;
use fetching::Fetching;

/// One connection, from the greeting to its end.
#[derive(Debug)]
pub struct Connection {
    options: Options,
    framer: Framer,
    state: State,
    authenticated: bool,
    selected: Option<View>,
    enabled: Enabled,
    fetching: Option<Fetching>,
    /// What was to be sent inside of that FETCH response: it follows its end.
    late: Output,
    /// Behind so many messages the next one to be fetched probably is.
    next_fetched: u32,
    /// An APPEND under way.
    message: Option<Message>,
    errors: u32,
    texts: Option<Translation>,
}

/// A text in another language, where there is one.
pub type Translation = fn(&str) -> Option<&'static str>;

/// What the client has turned on.
#[derive(Debug, Clone, Copy, Default)]
struct Enabled {
    condstore: bool,
    qresync: bool,
    rev2: bool,
    utf8: bool,
    uid_only: bool,
    metadata: bool,
    /// EXPUNGE between commands (RFC 5465 §3.1).
    unasked: bool,
}

#[derive(Debug)]
enum State {
    Start,
    Command,
    /// The application was told and has not answered.
    Asked(Asked),
    /// A challenge was sent.
    Sasl(Bytes),
    /// A message comes, or what stands between two.
    Message,
    Idle(Bytes),
    StartTls,
    /// What was sent was the end of COMPRESS.
    Compress,
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
    Unauthenticate,
    Compress,
    /// SEARCH or SORT with SAVE: whether its numbers are sequence numbers.
    Save(bool),
    /// APPEND, before a message or a part of one.
    Append,
    /// FETCH, STORE or SEARCH with sequence numbers: EXPUNGE waits (RFC 9051 §7.5.1).
    Numbered,
    Other,
}

impl What {
    fn situation(self) -> &'static str {
        match self {
            Self::Connected => "while Connected waits for an answer",
            Self::Login => "while LOGIN waits for an answer",
            Self::Authenticate => "while AUTHENTICATE waits for an answer",
            Self::Select => "while SELECT waits for its end",
            Self::Append => "while APPEND waits for an answer",
            Self::Leave
            | Self::Unauthenticate
            | Self::Compress
            | Self::Save(_)
            | Self::Numbered
            | Self::Other => "while a command waits for its end",
        }
    }
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
            enabled: Enabled::default(),
            fetching: None,
            late: Output::new(),
            next_fetched: 0,
            message: None,
            errors: 0,
            texts: None,
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
        self.enabled.condstore
    }

    /// Whether VANISHED stands for EXPUNGE (RFC 7162 §3.2.10, RFC 9586).
    #[must_use]
    pub fn qresync(&self) -> bool {
        self.enabled.qresync
    }

    /// Whether the client speaks IMAP4rev2 (RFC 9051).
    #[must_use]
    pub fn rev2(&self) -> bool {
        self.enabled.rev2
    }

    /// Whether the client takes UTF-8 in headers (RFC 6855).
    #[must_use]
    pub fn utf8(&self) -> bool {
        self.enabled.utf8
    }

    /// Whether messages have no sequence numbers (RFC 9586).
    #[must_use]
    pub fn uid_only(&self) -> bool {
        self.enabled.uid_only
    }

    /// Whether the client wants to be told of annotations that change (RFC 5464).
    #[must_use]
    pub fn metadata(&self) -> bool {
        self.enabled.metadata
    }

    /// Whether EXPUNGE may be told between commands, as a client wants it that has asked for it with
    /// NOTIFY (RFC 5465 §3.1).
    pub fn expunge_unasked(&mut self, may: bool) {
        self.enabled.unasked = may;
    }

    /// Whether IDLE is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle(_))
    }

    fn misuse(&self, method: &'static str) -> Misuse {
        self.misuse_for(method, Reason::State)
    }

    fn misuse_for(&self, method: &'static str, reason: Reason) -> Misuse {
        let state = match &self.state {
            State::Closed => "after the end of the connection",
            _ if self.fetching.is_some() => "inside a FETCH response",
            State::Start => "before the greeting",
            State::Command => "while no command waits for its end",
            State::Asked(asked) => asked.what.situation(),
            State::Sasl(_) => "while the client's SASL response is due",
            State::Message => "inside a message",
            State::Idle(_) => "during IDLE",
            State::StartTls => "before TLS has begun",
            State::Compress => "before the compression has begun",
        };
        Misuse::new(method, state, reason)
    }

    /// Answers [`Event::Connected`].
    ///
    /// # Errors
    /// [`Misuse`] at any other time.
    pub fn greet(&mut self, text: &str, output: &mut Output) -> Result<(), Misuse> {
        match &self.state {
            State::Asked(asked) if asked.what == What::Connected => {}
            _ => return Err(self.misuse("greet")),
        }
        self.state = State::Command;
        let code = ResponseCode::Capability(self.capabilities());
        self.write(None, Status::Ok, Some(&code), text, output);
        Ok(())
    }

    /// Says BYE and closes, at any time but inside of a FETCH.
    pub fn bye(&mut self, code: Option<&ResponseCode>, text: &str, output: &mut Output) {
        if !matches!(self.state, State::Closed) && self.fetching.is_none() {
            self.write(None, Status::Bye, code, text, output);
        }
        self.state = State::Closed;
    }

    /// What texts are in another language: whatever is said from here on is looked up there, this machine's
    /// own texts with the others (RFC 5255 §3.2). UNAUTHENTICATE and TLS end it.
    pub fn speak(&mut self, texts: Option<Translation>) {
        self.texts = texts;
    }

    /// A status, in the language that is spoken.
    fn write(
        &self,
        tag: Option<&Bytes>,
        status: Status,
        code: Option<&ResponseCode>,
        text: &str,
        output: &mut Output,
    ) {
        output.write(tag.map_or(b"*", |tag| &tag[..]));
        output.write(b" ");
        let text = self.texts.and_then(|texts| texts(text)).unwrap_or(text);
        write_status(status, code, text.as_bytes(), output);
    }

    /// Sends an untagged response. Inside of a FETCH response it waits for the end of that one.
    pub fn respond(&mut self, response: &Response, output: &mut Output) {
        if self.fetching.is_some() {
            let mut late = core::mem::take(&mut self.late);
            self.write_response(response, &mut late);
            self.late = late;
        } else {
            self.write_response(response, output);
        }
    }

    fn write_response(&self, response: &Response, output: &mut Output) {
        if let Response::Status(status, code, text) = response
            && let Ok(text) = core::str::from_utf8(text)
        {
            return self.write(None, *status, code.as_ref(), text, output);
        }
        match self.names_in_utf8() {
            true => response.clone().in_utf8().encode(output),
            false => response.encode(output),
        }
    }

    fn names_in_utf8(&self) -> bool {
        self.enabled.utf8 || self.enabled.rev2
    }

    /// Goes on with a SASL exchange.
    ///
    /// # Errors
    /// [`Misuse`] when no exchange is under way.
    pub fn challenge(&mut self, challenge: &[u8], output: &mut Output) -> Result<(), Misuse> {
        let State::Asked(asked) = &self.state else {
            return Err(self.misuse("challenge"));
        };
        if asked.what != What::Authenticate {
            return Err(self.misuse("challenge"));
        }
        output.write(b"+ ");
        output.write(&encode_sasl(challenge));
        output.write(b"\r\n");
        self.state = State::Sasl(asked.tag.clone());
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

    /// Keeps what a SEARCH with SAVE found, as UIDs (RFC 5182). Nothing is kept until then.
    pub fn save(&mut self, uids: impl IntoIterator<Item = u32>) {
        if let Some(view) = &mut self.selected {
            view.save(uids);
        }
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

    fn tell_counts(&mut self, output: &mut Output) {
        let Some(view) = &self.selected else { return };
        let output = match self.fetching {
            Some(_) => &mut self.late,
            None => output,
        };
        output.write(b"* ");
        output.write_number(u64::from(view.len()));
        output.write(b" EXISTS\r\n");
        if !self.enabled.rev2 {
            output.write(b"* ");
            output.write_number(view.recent().len() as u64);
            output.write(b" RECENT\r\n");
        }
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
            State::Asked(asked) => self.may_expunge(asked.what),
            State::Command => self.enabled.unasked,
            _ => false,
        };
        if allowed && self.fetching.is_none() {
            self.expunge(output);
        }
    }

    fn may_expunge(&self, what: What) -> bool {
        // Without sequence numbers nothing can be taken for something else.
        let numbered = matches!(what, What::Numbered | What::Save(true));
        !numbered || self.enabled.uid_only
    }

    fn expunge(&mut self, output: &mut Output) {
        let Some(view) = &mut self.selected else {
            return;
        };
        if self.enabled.qresync || self.enabled.uid_only {
            let uids = view.expunge_uids();
            if !uids.is_empty() {
                let earlier = false;
                Response::Vanished { earlier, uids }.encode(output);
            }
            return;
        }
        for sequence in view.expunge() {
            output.write(b"* ");
            output.write_number(u64::from(sequence));
            output.write(b" EXPUNGE\r\n");
        }
    }

    /// Ends the command that waits. OK to a login logs in, to SELECT selects; anything else does not.
    ///
    /// # Errors
    /// [`Misuse`] when no command waits, inside of a FETCH response, or when `status` is none of OK, NO and BAD.
    pub fn complete(
        &mut self,
        status: Status,
        mut code: Option<ResponseCode>,
        text: &str,
        output: &mut Output,
    ) -> Result<(), Misuse> {
        if self.fetching.is_some() {
            return Err(self.misuse("complete"));
        }
        let State::Asked(asked) = &self.state else {
            return Err(self.misuse("complete"));
        };
        if asked.what == What::Connected {
            return Err(self.misuse("complete"));
        }
        if !matches!(status, Status::Ok | Status::No | Status::Bad) {
            return Err(self.misuse_for("complete", Reason::Argument));
        }
        let Asked { tag, what } = asked.clone();
        let ok = status == Status::Ok;

        self.state = State::Command;
        match what {
            What::Login | What::Authenticate if ok => {
                self.authenticated = true;
                code = code.or_else(|| Some(ResponseCode::Capability(self.capabilities())));
            }
            What::Select if !ok => self.selected = None,
            What::Leave if ok => self.selected = None,
            What::Unauthenticate if ok => {
                self.selected = None;
                self.authenticated = false;
                self.enabled = Enabled::default();
                self.texts = None;
            }
            What::Save(_) if status == Status::No => self.save([]),
            What::Append => self.refuse_append(),
            _ => {}
        }
        if self.may_expunge(what) {
            self.expunge(output);
        }
        self.write(Some(&tag), status, code.as_ref(), text, output);
        self.count(status, output);
        if what == What::Compress && ok {
            self.state = State::Compress;
        }
        Ok(())
    }

    /// What was written last was the end of COMPRESS; whatever comes and goes now is compressed
    /// (RFC 4978).
    pub fn compression_active(&mut self) {
        if let State::Compress = self.state {
            self.options.compressed = true;
            self.state = State::Command;
        }
    }

    /// TLS began after [`Step::StartTls`].
    pub fn tls_established(&mut self) {
        self.options.tls = true;
        self.texts = None;
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
        self.write(tag, status, code, text, output);
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
        if begins_append(&unit) {
            return self.append_segment(&unit, None, output);
        }
        let utf8 = self.names_in_utf8();
        match Tagged::parse_as(&unit, &self.options.limits, utf8) {
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
        self.refuse(tag.as_ref(), refusal, output);
        None
    }

    fn refuse(&mut self, tag: Option<&Bytes>, refusal: Refusal, output: &mut Output) {
        let (code, text) = match refusal {
            Refusal::TooLong => (None, "Command too long"),
            Refusal::LiteralTooBig => (Some(&ResponseCode::TooBig), "Literal too big"),
            Refusal::LiteralEndless => {
                (Some(&ResponseCode::TooBig), "Literal of more than 63 bits")
            }
            Refusal::BareNewline => (None, "Bare CR or LF"),
            Refusal::Nul => (None, "NUL in a literal"),
        };
        self.say(tag, Status::Bad, code, text, output);
        if refusal == Refusal::LiteralEndless {
            self.bye(None, "Where this command ends cannot be known", output);
        }
    }

    fn framed(&mut self, input: &mut BytesMut, output: &mut Output) -> Option<Step<Event>> {
        let limits = &self.options.limits;
        let (limit, literal) = match self.state {
            State::Command if self.authenticated => (limits.command, limits.literal),
            State::Command => (limits.command_before_login, limits.literal),
            _ => (limits.sasl_line, 0),
        };
        match self.framer.next(input, limit, literal, false) {
            None => Some(Step::NeedInput),
            Some(Framed::Continue(_)) => {
                output.write(b"+ OK\r\n");
                None
            }
            Some(Framed::Unit(unit)) if matches!(self.state, State::Command) => {
                self.unit(unit, input, output)
            }
            Some(Framed::Unit(line)) => self.line(&line, output),
            Some(Framed::Append(head, literal)) if matches!(self.state, State::Command) => {
                self.append_segment(&head, Some(literal), output)
            }
            Some(Framed::Append(..)) => self.line(b"?", output),
            Some(Framed::Refused(head, refusal)) => self.refused(&head, refusal, output),
        }
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
                State::Compress => Some(Step::Compress),
                State::Closed => {
                    input.clear();
                    Some(Step::Closed)
                }
                // What was begun ends before anything else is sent.
                _ if self.fetching.is_some() => Some(Step::NeedAnswer),
                State::Message => self.message(input, output),
                State::Command | State::Sasl(_) | State::Idle(_) => self.framed(input, output),
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        match core::mem::replace(&mut self.state, State::Closed) {
            State::Message | State::Sasl(_) => Err(Error::InsideCommand),
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
