//! The client machine: what reads mail where it rests (RFC 3501, RFC 9051 and their extensions).
//!
//! Commands are issued through methods in any number; the machine sends them together where the RFC
//! allows it, waits behind literals, and tells [`Event::Completed`] with the [`Handle`] of each at its
//! end. It keeps track of what the server can do and of the selected mailbox, whose [`View`] turns
//! sequence numbers into UIDs.

mod capabilities;
mod event;
pub(crate) mod frame;
mod issue;
mod selected;
mod view;

pub use capabilities::Capabilities;
pub use event::{During, Error, Event, Handle, Options};
pub use hikyaku_wire::Misuse;
pub use selected::Selected;
pub use view::View;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Buf as _, Bytes, BytesMut};
use core::time::Duration;
use hikyaku_wire::{Excerpt, Machine, Output, SaslLine, Secret, Step, decode_sasl};

use crate::cursor::Cursor;
use crate::response::Frequent;
use crate::{
    Completion, FetchItem, Leniency, Received, Response, ResponseCode, Status, SyntaxError, fetch,
};
use frame::{Framed, Framer, Malformed};
use issue::{Kind, Waiting};

/// One connection to a server.
#[derive(Debug)]
pub struct Connection {
    options: Options,
    framer: Framer,
    state: State,
    capabilities: Capabilities,
    /// They were told since the last thing that may have changed them.
    fresh: bool,
    /// They were told in this answer: one more line adds to them.
    listing: bool,
    /// What is told when they are known.
    withheld: Option<Event>,
    selected: Option<Selected>,
    /// What is told may still be of the mailbox that was selected before.
    stale: bool,
    waiting: VecDeque<Waiting>,
    sent: Vec<Sent>,
    /// Pieces of the command sent last, behind literals that wait.
    holding: VecDeque<Bytes>,
    appending: Option<Appending>,
    idle: Idle,
    reading: Reading,
    /// A FETCH response that has begun.
    fetching: Option<Fetching>,
    /// The text of the tagged response that came last, when nothing has come since.
    said: Bytes,
    told: VecDeque<Event>,
    issued: u64,
    /// Mailbox names are in UTF-8.
    utf8: bool,
    /// Whether they will be is not known.
    enabling: bool,
    logging_in: bool,
    logging_out: bool,
    /// SELECTs under way.
    selecting: usize,
    compressed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Greeting,
    NotAuthenticated,
    Authenticated,
    StartTls,
    Compress,
    Closed,
}

/// A command that was sent and has not ended.
#[derive(Debug)]
struct Sent {
    id: u64,
    handle: Handle,
    /// The command.
    name: &'static str,
    kind: Kind,
}

/// APPEND's message, on its way out.
#[derive(Debug)]
struct Appending {
    handle: Handle,
    left: u64,
    /// The caller was asked for it.
    asked: bool,
    /// The server has to be asked first.
    waits: bool,
    /// A parenthesis closes it.
    utf8: bool,
}

/// A FETCH response with a section that streams.
#[derive(Debug, Default)]
struct Fetching {
    sequence: u32,
    items: Vec<FetchItem>,
    /// What was held of it, sections aside.
    octets: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Idle {
    Not,
    /// The server has not said `+` yet.
    Asked,
    /// As `Asked`, and to be ended at once.
    Unwanted,
    Idling,
    /// DONE was said.
    Done,
    /// DONE was said, and IDLE follows.
    Renewing,
}

/// What the next octets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Response,
    /// So many octets of a section; told, when it has a name that is known.
    Section {
        left: u64,
        told: bool,
    },
}

impl Connection {
    /// Waits for the greeting.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            framer: Framer::default(),
            state: State::Greeting,
            capabilities: Capabilities::default(),
            fresh: false,
            listing: false,
            withheld: None,
            selected: None,
            stale: false,
            waiting: VecDeque::new(),
            sent: Vec::new(),
            holding: VecDeque::new(),
            appending: None,
            idle: Idle::Not,
            reading: Reading::Response,
            fetching: None,
            said: Bytes::new(),
            told: VecDeque::new(),
            issued: 0,
            utf8: false,
            enabling: false,
            logging_in: false,
            logging_out: false,
            selecting: 0,
            compressed: false,
        }
    }

    /// What the server can do, as it said last.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The selected mailbox.
    #[must_use]
    pub fn selected(&self) -> Option<&Selected> {
        self.selected.as_ref()
    }

    /// Whether a login has succeeded.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.state == State::Authenticated
    }

    /// The mailbox that responses are about: also one whose SELECT has not ended.
    fn current(&mut self) -> Option<&mut Selected> {
        match self.sent.first_mut().map(|sent| &mut sent.kind) {
            Some(Kind::Select(selected)) => Some(selected),
            _ => self.selected.as_mut(),
        }
    }

    /// Whether a SELECT is under way, whose answers add up.
    fn is_opening(&self) -> bool {
        matches!(
            self.sent.first().map(|sent| &sent.kind),
            Some(Kind::Select(_))
        )
    }

    /// A line that is empty is no response.
    fn is_passed_over(&self, line: &[u8]) -> bool {
        let lenient = self.options.limits.leniencies.contains(Leniency::EmptyLine);
        lenient && line.trim_ascii().is_empty()
    }

    /// Whether a line that is no response is the text of the one before once more.
    fn repeats(&self, said: &[u8], line: &[u8]) -> bool {
        let leniencies = self.options.limits.leniencies;
        leniencies.contains(Leniency::RepeatedText) && !said.is_empty() && said == line
    }

    fn tell(&mut self, event: Event) {
        self.told.push_back(event);
    }

    /// What the response tells behind what is in `told`: it need not go through there where that is empty.
    fn received(
        &mut self,
        received: Result<Received, SyntaxError>,
        line: &[u8],
        output: &mut Output,
    ) -> Result<Option<Event>, Error> {
        let said = core::mem::take(&mut self.said);
        let received = match received {
            Ok(received) => received,
            Err(_) if self.repeats(&said, line) => return Ok(None),
            Err(error) => return Err(self.no_response(error.expected, line)),
        };
        if self.state == State::Greeting {
            self.greeting(received, line, output)?;
            return Ok(None);
        }
        match received {
            Received::Continuation(text) => self.continuation(&text, line, output)?,
            Received::Untagged(response) => return Ok(self.untagged(response)),
            Received::Tagged(tag, completion) => self.tagged(&tag, completion, line, output)?,
        }
        Ok(None)
    }

    /// What was under way when an error came.
    fn during(&self) -> During {
        During {
            command: self.sent.first().map(|sent| sent.name),
            state: self.situation(),
        }
    }

    /// Lines of a login are not shown: a server may repeat what it was sent.
    fn excerpt(&self, line: &[u8]) -> Excerpt {
        match self.logging_in {
            true => Excerpt::hidden(),
            false => Excerpt::of(line),
        }
    }

    fn no_response(&self, expected: &'static str, line: &[u8]) -> Error {
        Error::NoResponse {
            during: self.during(),
            expected,
            found: self.excerpt(line),
        }
    }

    fn unasked(&self, line: &[u8]) -> Error {
        Error::Unasked {
            during: self.during(),
            found: self.excerpt(line),
        }
    }

    fn too_long(&self, octets: &[u8]) -> Error {
        Error::TooLong {
            during: self.during(),
            most: self.options.limits.response,
            found: self.excerpt(octets),
        }
    }

    fn greeting(
        &mut self,
        received: Received,
        line: &[u8],
        output: &mut Output,
    ) -> Result<(), Error> {
        let Received::Untagged(Response::Status(status, code, text)) = received else {
            return Err(self.no_response("a greeting", line));
        };
        match status {
            Status::Ok => self.state = State::NotAuthenticated,
            Status::PreAuth => self.state = State::Authenticated,
            Status::Bye => {
                self.state = State::Closed;
                self.tell(Event::Bye(code, text));
                return Ok(());
            }
            Status::No | Status::Bad => return Err(self.no_response("a greeting", line)),
        }
        let preauth = status == Status::PreAuth;
        let connected = Event::Connected { preauth, text };
        match code {
            Some(ResponseCode::Capability(all)) => {
                self.capabilities = Capabilities::new(all);
                self.tell(connected);
            }
            _ => {
                self.withheld = Some(connected);
                self.ask_capabilities(output);
            }
        }
        Ok(())
    }

    fn continuation(
        &mut self,
        text: &Bytes,
        line: &[u8],
        output: &mut Output,
    ) -> Result<(), Error> {
        let leniencies = self.options.limits.leniencies;
        if let Some(piece) = self.holding.pop_front() {
            output.push(piece);
            self.ask_for_message();
            self.send(output);
            return Ok(());
        }
        if let Some(appending) = self.appending.as_mut().filter(|a| a.waits && !a.asked) {
            appending.asked = true;
            let event = Event::SendMessage(appending.handle);
            self.tell(event);
            return Ok(());
        }
        let unasked = self.unasked(line);
        let Some(sent) = self.sent.first_mut() else {
            return Err(unasked);
        };
        match (&mut sent.kind, self.idle) {
            (Kind::Idle, Idle::Asked) => {
                let (handle, first) = (sent.handle, sent.handle.0 == sent.id);
                self.idle = Idle::Idling;
                if first {
                    self.tell(Event::Idling(handle));
                }
                self.send(output);
                Ok(())
            }
            (Kind::Idle, Idle::Unwanted) => {
                output.write(b"DONE\r\n");
                self.idle = Idle::Done;
                Ok(())
            }
            (Kind::Authenticate { held, challenged }, _) => {
                let challenge = match decode_sasl(text.trim_ascii()) {
                    Ok(SaslLine::Response(challenge)) => challenge,
                    _ if leniencies.contains(Leniency::ChallengeInWords) => Secret::default(),
                    _ => return Err(self.no_response("a challenge in base64", line)),
                };
                if core::mem::replace(challenged, true) {
                    return Err(unasked);
                }
                match held.take() {
                    Some(initial) => drop(self.respond(Some(&initial), output)),
                    None => self.tell(Event::Challenge(challenge)),
                }
                Ok(())
            }
            _ => Err(unasked),
        }
    }

    fn untagged(&mut self, response: Response) -> Option<Event> {
        match response {
            Response::Status(Status::Bye, code, text) => {
                if self.logging_out {
                    return None;
                }
                self.state = State::Closed;
                Some(Event::Bye(code, text))
            }
            Response::Status(status, code, text) => {
                if let Some(code) = &code {
                    self.code(code);
                }
                Some(Event::Status(status, code, text))
            }
            Response::Capability(all) => {
                self.fresh = true;
                match core::mem::replace(&mut self.listing, true) {
                    true => self.capabilities.add(all),
                    false => self.capabilities = Capabilities::new(all),
                }
                None
            }
            Response::Fetch(sequence, items) => self.fetched(sequence, items),
            Response::UidFetch(uid, mut items) => {
                items.push(FetchItem::Uid(uid));
                self.fetched(0, items)
            }
            Response::Enabled(names) => {
                let utf8 = |name: &Bytes| {
                    let all: [&[u8]; 2] = [b"IMAP4rev2", b"UTF8=ACCEPT"];
                    all.iter().any(|one| name.eq_ignore_ascii_case(one))
                };
                self.utf8 |= names.iter().any(utf8);
                Some(Event::Data(Response::Enabled(names)))
            }
            Response::Exists(_) | Response::Expunge(_) | Response::Vanished { .. } => {
                self.counted(response)
            }
            Response::Flags(flags) => {
                self.no_longer_stale();
                let opening = self.is_opening();
                match self.current() {
                    Some(selected) => {
                        selected.may_have(flags, opening);
                        None
                    }
                    None => Some(Event::Data(Response::Flags(flags))),
                }
            }
            other => Some(Event::Data(other)),
        }
    }

    /// Servers without the CLOSED code say first what the new mailbox has.
    fn no_longer_stale(&mut self) {
        let says_closed = self.capabilities.has("QRESYNC") || self.capabilities.has("IMAP4rev2");
        self.stale &= says_closed;
    }

    /// What changes sequence numbers.
    fn counted(&mut self, response: Response) -> Option<Event> {
        if let Response::Exists(_) = response {
            self.no_longer_stale();
        }
        if self.stale {
            return None;
        }
        let Some(selected) = self.current() else {
            return Some(Event::Data(response));
        };
        Some(match response {
            Response::Exists(count) => {
                selected.view.exists(count);
                Event::Exists(count)
            }
            Response::Expunge(sequence) => match selected.view.expunge(sequence) {
                Some(uid) => Event::Expunged { sequence, uid },
                None => Event::Data(response),
            },
            Response::Vanished { earlier, uids } => {
                if !earlier {
                    selected.view.vanished(&uids);
                }
                Event::Vanished { earlier, uids }
            }
            other => Event::Data(other),
        })
    }

    fn code(&mut self, code: &ResponseCode) {
        match code {
            ResponseCode::Capability(all) => {
                self.fresh = true;
                self.capabilities = Capabilities::new(all.clone());
            }
            ResponseCode::Closed => self.stale = false,
            code => {
                let opening = self.is_opening();
                if let Some(selected) = self.current() {
                    selected.told(code, opening);
                }
            }
        }
    }

    /// The UID among the items, or the one that is known.
    fn uid_of(&mut self, sequence: u32, items: &[FetchItem]) -> Option<u32> {
        let told = items.iter().find_map(|item| match item {
            FetchItem::Uid(uid) => Some(*uid),
            _ => None,
        });
        told.or_else(|| self.current()?.view.uid(sequence))
    }

    fn fetched(&mut self, sequence: u32, mut items: Vec<FetchItem>) -> Option<Event> {
        if self.stale {
            return None;
        }
        let uid = self.uid_of(sequence, &items);
        let most = self.options.limits.messages;
        if let Some((uid, selected)) = uid.zip(self.current()) {
            selected.view.learn(sequence, uid, most);
        }
        // Sections that came in quotes, or not at all, are told as those are that stream.
        let mut sections = Vec::new();
        let streams = |item: &FetchItem| matches!(item, FetchItem::Section(..));
        if !items.iter().any(streams) {
            return Some(Event::Fetch {
                sequence,
                uid,
                items,
            });
        }
        items.retain_mut(|item| match item {
            FetchItem::Section(name, octets) => {
                sections.push((name.clone(), octets.take()));
                false
            }
            _ => true,
        });
        for (name, text) in sections {
            let octets = text.as_ref().map(|text| text.len() as u64);
            self.tell(Event::Section {
                sequence,
                uid,
                name,
                octets,
            });
            let text = text.filter(|text| !text.is_empty());
            text.into_iter()
                .for_each(|text| self.tell(Event::Chunk(text)));
            self.tell(Event::SectionEnd);
        }
        Some(Event::Fetch {
            sequence,
            uid,
            items,
        })
    }

    /// A FETCH response up to the literal of a section.
    fn section(&mut self, head: &Bytes, octets: u64) -> Result<(), Error> {
        let limits = &self.options.limits;
        let mut cursor = Cursor::new(head);
        cursor.set_leniencies(limits.leniencies);
        let mut begun = self.fetching.take().unwrap_or_else(|| {
            let _ = cursor.eat_prefix("* ");
            let sequence = cursor.number().unwrap_or(0);
            let mut begun = Fetching {
                sequence,
                ..Fetching::default()
            };
            if cursor.eat_prefix(" UIDFETCH (") {
                begun.items.push(FetchItem::Uid(sequence));
                begun.sequence = 0;
            } else {
                let _ = cursor.eat_prefix(" FETCH (");
            }
            begun
        });
        begun.octets += head.len();
        if begun.octets > limits.response {
            return Err(self.too_long(head));
        }
        let name = fetch::items_to_section(&mut cursor, limits.nesting, &mut begun.items).ok();
        let sequence = begun.sequence;
        let uid = self.uid_of(sequence, &begun.items);
        self.reading = Reading::Section {
            left: octets,
            told: name.is_some() && !self.stale,
        };
        self.fetching = Some(begun);
        if let Some(name) = name.filter(|_| !self.stale) {
            let octets = Some(octets);
            self.tell(Event::Section {
                sequence,
                uid,
                name,
                octets,
            });
        }
        Ok(())
    }

    /// What is left of a FETCH response behind its last section. One that is not as the RFC has it costs
    /// the items in it.
    fn rest_of_fetch(&mut self, unit: &Bytes, mut begun: Fetching) -> Option<Event> {
        let limits = &self.options.limits;
        if unit.is_empty() && limits.leniencies.contains(Leniency::LiteralTooShort) {
            self.framer.behind_section();
            self.fetching = Some(begun);
            return None;
        }
        let mut cursor = Cursor::new(unit);
        cursor.set_leniencies(limits.leniencies);
        let _ = fetch::items(&mut cursor, limits.nesting, &mut begun.items);
        self.fetched(begun.sequence, begun.items)
    }

    fn tagged(
        &mut self,
        tag: &Bytes,
        completion: Completion,
        line: &[u8],
        output: &mut Output,
    ) -> Result<(), Error> {
        let id = tag
            .strip_prefix(b"a")
            .and_then(|digits| core::str::from_utf8(digits).ok());
        let id: Option<u64> = id.and_then(|digits| digits.parse().ok());
        self.listing = false;
        self.said = completion.text.clone();
        let at = self.sent.iter().position(|sent| Some(sent.id) == id);
        let Some(at) = at else {
            return Err(self.unasked(line));
        };
        if let Some(code) = &completion.code {
            self.code(code);
        }
        let last = at + 1 == self.sent.len();
        let Sent { handle, kind, .. } = self.sent.remove(at);
        if last {
            // It was refused before all of it was sent.
            self.holding.clear();
            if self
                .appending
                .as_ref()
                .is_some_and(|appending| !appending.asked)
            {
                self.appending = None;
            }
        }
        let ok = completion.status == Status::Ok;
        let mut event = Some(Event::Completed(handle, completion));
        match kind {
            Kind::Capability => event = self.withheld.take(),
            Kind::StartTls if ok => self.state = State::StartTls,
            Kind::Login | Kind::Authenticate { .. } => {
                self.logging_in = false;
                if let Some(Event::Completed(_, end)) = event.take() {
                    event = Some(match ok {
                        true => Event::Authenticated(handle, end),
                        false => Event::AuthenticationRefused(handle, end),
                    });
                }
                if ok {
                    self.state = State::Authenticated;
                    if !self.fresh {
                        self.withheld = event.take();
                        self.ask_capabilities(output);
                    }
                }
            }
            Kind::Select(selected) => {
                self.selecting = self.selecting.saturating_sub(1);
                self.stale = false;
                self.selected = ok.then_some(*selected);
            }
            Kind::Leave if ok => self.selected = None,
            Kind::Enable(_) => self.enabling = false,
            Kind::Compress if ok => self.state = State::Compress,
            Kind::Unauthenticate if ok => {
                self.state = State::NotAuthenticated;
                self.selected = None;
                self.utf8 = false;
                self.withheld = event.take();
                self.ask_capabilities(output);
            }
            Kind::Idle => {
                let renew = self.idle == Idle::Renewing && ok && self.waiting.is_empty();
                self.idle = Idle::Not;
                if renew {
                    event = None;
                    self.idle_again(handle, output);
                }
            }
            Kind::Logout => self.state = State::Closed,
            Kind::Move(step, set) if ok && step != issue::Step::Last => {
                if let Some(Event::Completed(_, end)) = event.take()
                    && end.code.is_some()
                {
                    self.tell(Event::Status(end.status, end.code, end.text));
                }
                self.go_on_moving(handle, step, set, output);
            }
            _ => {}
        }
        event.into_iter().for_each(|event| self.tell(event));
        self.send(output);
        Ok(())
    }
}

impl Machine for Connection {
    type Event = Event;
    type Error = Error;

    fn poll(&mut self, input: &mut BytesMut, output: &mut Output) -> Result<Step<Event>, Error> {
        loop {
            self.end_of_message(output);
            if let Some(event) = self.told.pop_front() {
                return Ok(Step::Event(event));
            }
            match self.state {
                State::Closed => {
                    self.framer.give_back(input);
                    input.clear();
                    return Ok(Step::Closed);
                }
                State::StartTls => {
                    // Said in clear, so by whoever: never taken for what the server says under TLS.
                    self.framer.give_back(input);
                    if !input.is_empty() {
                        let found = Excerpt::of(input);
                        return Err(Error::Injected { found });
                    }
                    return Ok(Step::StartTls);
                }
                State::Compress => {
                    self.framer.give_back(input);
                    return Ok(Step::Compress);
                }
                _ => {}
            }
            match self.reading {
                Reading::Section { left: 0, told } => {
                    self.reading = Reading::Response;
                    self.framer.behind_section();
                    if told {
                        return Ok(Step::Event(Event::SectionEnd));
                    }
                }
                Reading::Section { left, told } => {
                    if input.is_empty() {
                        return Ok(Step::NeedInput);
                    }
                    let some = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let left = left - some as u64;
                    self.reading = Reading::Section { left, told };
                    if told {
                        return Ok(Step::Event(Event::Chunk(input.split_to(some).freeze())));
                    }
                    input.advance(some);
                }
                Reading::Response => {
                    let limits = &self.options.limits;
                    let next =
                        self.framer
                            .next(input, limits.response, limits.response_literal, None);
                    let event = match next {
                        None => return Ok(Step::NeedInput),
                        Some(Err(Malformed::TooLong | Malformed::LineTooLong)) => {
                            return Err(self.too_long(input));
                        }
                        Some(Err(Malformed::Literal)) => {
                            return Err(self.no_response("a literal of at most 63 bits", input));
                        }
                        Some(Ok(Framed::Section(head, octets))) => {
                            self.section(&head, octets)?;
                            None
                        }
                        Some(Ok(Framed::Line(place))) => {
                            let lines = self.framer.lines();
                            if self.is_passed_over(lines.get(place.clone()).unwrap_or(&[])) {
                                continue;
                            }
                            let usual = self.state != State::Greeting;
                            let frequent = usual
                                .then(|| Frequent::read(lines, &place, limits, self.utf8))
                                .flatten();
                            match frequent {
                                Some(Frequent::List(list)) => {
                                    Some(Event::Data(Response::List(list)))
                                }
                                Some(Frequent::Fetch(sequence, items)) => {
                                    self.fetched(sequence, items)
                                }
                                None => {
                                    let line = lines.slice(place.clone());
                                    let received = Received::read(lines, place, limits, self.utf8);
                                    self.received(received, &line, output)?
                                }
                            }
                        }
                        Some(Ok(Framed::Unit(unit))) => match self.fetching.take() {
                            Some(begun) => self.rest_of_fetch(&unit, begun),
                            None if self.is_passed_over(&unit) => None,
                            None => {
                                let received = Received::parse_as(&unit, limits, self.utf8);
                                self.received(received, &unit, output)?
                            }
                        },
                    };
                    match event {
                        Some(event) if self.told.is_empty() => return Ok(Step::Event(event)),
                        event => self.told.extend(event),
                    }
                }
            }
        }
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        let during = self.during();
        let before = core::mem::replace(&mut self.state, State::Closed);
        let owed = self.fetching.is_some()
            || self.framer.is_inside()
            || self.appending.is_some()
            || self
                .sent
                .iter()
                .any(|sent| !matches!(sent.kind, Kind::Logout));
        match before {
            State::Closed => Ok(()),
            State::NotAuthenticated | State::Authenticated if !owed => Ok(()),
            _ => Err(Error::Unanswered { during }),
        }
    }

    fn time_limit(&self) -> Duration {
        match self.idle {
            Idle::Idling => self.options.idle_renewal,
            _ => self.options.patience,
        }
    }

    fn timed_out(&mut self, output: &mut Output) {
        if self.renew_idle(output).is_err() {
            self.state = State::Closed;
        }
    }
}

#[cfg(test)]
mod tests;
