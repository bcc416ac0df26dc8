//! The server's side: commands are decoded, responses encoded.

use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use hikyaku_wire::{Output, SaslLine, decode_sasl};
use tokio_util::codec::{Decoder, Encoder};

use super::append::{Message, Next};
use super::command_item::CommandItem;
use super::{Error, put};
use crate::plumbing::framer::{CommandFrame, CommandFramer, Literal, Refusal};
use crate::{Command, FetchAttribute, FetchItem, Limits, Received, Response, Status, Tagged};

/// What a server sends.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendResponse {
    /// A whole response.
    Response(Received),
    /// FETCH up to a section whose octets follow as [`Chunk`](Self::Chunk)s. May come again in the same response, when
    /// they have; [`EndOfFetch`](Self::EndOfFetch) ends it.
    Section {
        /// The message's sequence number, or its UID.
        number: u32,
        /// UIDFETCH (RFC 9586).
        uid: bool,
        /// Items that stand before it.
        items: Vec<FetchItem>,
        /// The section's name.
        name: FetchAttribute,
        /// How many octets it has.
        octets: u64,
    },
    /// The next octets of the section.
    Chunk(Bytes),
    /// The items that stand behind the last section, and the end of the response.
    EndOfFetch(Vec<FetchItem>),
}

impl From<Received> for SendResponse {
    fn from(received: Received) -> Self {
        Self::Response(received)
    }
}

/// Decodes commands and encodes responses.
#[derive(Debug)]
pub struct ServerCodec {
    framer: CommandFramer,
    limits: Limits,
    utf8: bool,
    state: State,
    message: Option<Message>,
    /// A message's literal that is waited for, to be given as one chunk.
    folding: Option<u64>,
    /// Octets that are owed to the section under way, in a FETCH response that has begun.
    section: Option<u64>,
}

#[derive(Debug)]
enum State {
    Commands,
    /// What comes next depends on the answer.
    Asked(Bytes, What),
    /// The next line is no command.
    Line(Bytes, What),
    /// STARTTLS or COMPRESS was answered OK.
    Over,
    Endless,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// A synchronizing literal.
    Literal,
    Authenticate,
    Idle,
    /// STARTTLS or COMPRESS.
    Layer,
}

impl ServerCodec {
    /// Stands before the first command.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            framer: CommandFramer::new(&limits),
            limits,
            utf8: false,
            state: State::Commands,
            message: None,
            folding: None,
            section: None,
        }
    }

    /// Whether `+` or a tagged NO or BAD is due before the client goes on.
    #[must_use]
    pub fn is_continuation_due(&self) -> bool {
        matches!(&self.state, State::Asked(_, what) if *what != What::Layer)
    }

    /// Whether mailbox names are in UTF-8: so it is from [`Response::Enabled`] with IMAP4rev2 or UTF8=ACCEPT on.
    pub fn set_utf8(&mut self, utf8: bool) {
        self.utf8 = utf8;
    }

    /// A command, and whether an answer decides what comes behind it.
    fn command(&mut self, unit: &Bytes) -> CommandItem {
        match Tagged::parse_as(unit, &self.limits, self.utf8) {
            Ok(tagged) => {
                let what = match &tagged.command {
                    Command::Authenticate(_) => Some(What::Authenticate),
                    Command::Idle => Some(What::Idle),
                    Command::StartTls | Command::Compress(_) => Some(What::Layer),
                    _ => None,
                };
                if let Some(what) = what {
                    self.state = State::Asked(tagged.tag.clone(), what);
                }
                CommandItem::Command(tagged)
            }
            Err(error) => CommandItem::Malformed(error),
        }
    }

    fn line(&mut self, line: Result<Bytes, Refusal>) -> CommandItem {
        let state = core::mem::replace(&mut self.state, State::Commands);
        match state {
            State::Line(tag, What::Authenticate) => {
                // Another challenge may follow.
                self.state = State::Asked(tag, What::Authenticate);
                match line.as_deref().map(decode_sasl) {
                    Ok(Ok(SaslLine::Response(response))) => CommandItem::SaslResponse(response),
                    _ => CommandItem::SaslCancelled,
                }
            }
            _ => CommandItem::EndOfIdle {
                done: line.is_ok_and(|line| line.eq_ignore_ascii_case(b"DONE")),
            },
        }
    }

    /// What is given of the message under way without looking at the input.
    fn announced(&mut self) -> Option<CommandItem> {
        let message = self.message.as_mut()?;
        match message.next() {
            Next::Item(item, literal) => {
                if let Some(Literal {
                    octets,
                    synchronizing,
                }) = literal
                {
                    let folds = octets <= self.limits.folded && octets > 0;
                    self.folding = folds.then_some(octets);
                    if synchronizing {
                        self.state = State::Asked(message.tag.clone(), What::Literal);
                    }
                }
                Some(*item)
            }
            Next::Chunks => None,
            Next::End => {
                let tag = self.message.take().map(|message| message.tag);
                Some(CommandItem::EndOfAppend {
                    tag: tag.unwrap_or_default(),
                })
            }
        }
    }

    fn refuse(&mut self) {
        self.framer.refuse();
        self.message = None;
        self.folding = None;
    }

    fn frame(&mut self, src: &mut BytesMut) -> Option<CommandItem> {
        loop {
            if let Some(item) = self.announced() {
                return Some(item);
            }
            if let Some(octets) = self.folding {
                let octets = usize::try_from(octets).unwrap_or(usize::MAX);
                if src.len() < octets {
                    src.reserve(octets - src.len());
                    return None;
                }
                self.folding = None;
            }
            match self.framer.next(src)? {
                CommandFrame::Command(unit) => return Some(self.command(&unit)),
                CommandFrame::Continue { tag, octets } => {
                    let message = self.message.as_ref();
                    let tag = message.map_or(tag, |message| Some(message.tag.clone()));
                    let asked = tag.clone().unwrap_or_default();
                    self.state = State::Asked(asked, What::Literal);
                    return Some(CommandItem::Continue { tag, octets });
                }
                CommandFrame::Segment { head, literal } => {
                    let message = self.message.get_or_insert_default();
                    if let Err(error) = message.read(&head, literal, self.utf8) {
                        self.refuse();
                        return Some(CommandItem::Malformed(error));
                    }
                }
                CommandFrame::Chunk(octets) => {
                    let message = self.message.as_ref();
                    let binary = message.is_some_and(|message| message.binary);
                    if !binary && memchr::memchr(0, &octets).is_some() {
                        let tag = message.map(|message| message.tag.clone());
                        self.refuse();
                        let refusal = Refusal::Nul;
                        return Some(CommandItem::Refused { tag, refusal });
                    }
                    return Some(CommandItem::Chunk(octets));
                }
                CommandFrame::Refused { tag, refusal } => {
                    let message = self.message.take();
                    let tag = message.map_or(tag, |message| Some(message.tag));
                    if refusal == Refusal::LiteralEndless {
                        self.state = State::Endless;
                    }
                    return Some(CommandItem::Refused { tag, refusal });
                }
            }
        }
    }

    /// What the encoding of a response changes for the decoder.
    fn answered(&mut self, received: &Received) -> Result<(), Error> {
        if self.section.is_some() {
            return Err(Error::NotNow("a FETCH response has begun"));
        }
        match (received, &mut self.state) {
            (Received::Continuation(_), State::Asked(_, What::Literal)) => {
                self.state = State::Commands;
            }
            (Received::Continuation(_), State::Asked(tag, what)) if *what != What::Layer => {
                self.state = State::Line(core::mem::take(tag), *what);
            }
            (Received::Continuation(_), _) => {
                return Err(Error::NotNow("the client waits for no continuation"));
            }
            (Received::Tagged(tag, end), State::Asked(asked, what)) if tag == asked => {
                let layer = *what == What::Layer && end.status == Status::Ok;
                let literal = *what == What::Literal;
                self.state = match layer {
                    true => State::Over,
                    false => State::Commands,
                };
                if literal {
                    self.refuse();
                }
            }
            (Received::Tagged(tag, _), State::Line(asked, _)) if tag == asked => {
                self.state = State::Commands;
            }
            (Received::Tagged(tag, _), _) => {
                let message = self.message.as_ref();
                if message.is_some_and(|message| message.tag == *tag) {
                    self.refuse();
                }
            }
            (
                Received::Untagged(Response::Status(Status::Bad, ..)),
                State::Asked(asked, What::Literal),
            ) if asked.is_empty() => {
                self.state = State::Commands;
                self.refuse();
            }
            (Received::Untagged(_), _) => {}
        }
        Ok(())
    }
}

impl Decoder for ServerCodec {
    type Item = CommandItem;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<CommandItem>, Error> {
        match &self.state {
            State::Commands => Ok(self.frame(src)),
            State::Asked(_, what) => {
                let early = match what {
                    What::Literal => self.framer.early(src),
                    _ => src.len(),
                };
                if early > 0 {
                    return Err(Error::Early);
                }
                Ok(None)
            }
            State::Line(..) => {
                let line = self.framer.next_line(src);
                Ok(line.map(|line| self.line(line)))
            }
            State::Over if src.is_empty() => Ok(None),
            State::Over => Err(Error::Injected),
            State::Endless => Err(Error::Endless),
        }
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<CommandItem>, Error> {
        if let Some(item) = self.decode(src)? {
            return Ok(Some(item));
        }
        let authenticating = matches!(
            &self.state,
            State::Asked(_, What::Authenticate) | State::Line(_, What::Authenticate)
        );
        if authenticating || self.message.is_some() || self.framer.is_inside(src) {
            return Err(Error::Inside);
        }
        Ok(None)
    }
}

impl Encoder<SendResponse> for ServerCodec {
    type Error = Error;

    fn encode(&mut self, item: SendResponse, dst: &mut BytesMut) -> Result<(), Error> {
        let mut output = Output::new();
        match item {
            SendResponse::Response(received) => {
                self.answered(&received)?;
                match received {
                    Received::Untagged(response) if self.utf8 => {
                        response.in_utf8().encode(&mut output);
                    }
                    received => {
                        received.encode(&mut output);
                        if let Received::Untagged(Response::Enabled(names)) = &received {
                            self.utf8 |= names.iter().any(|name| is_utf8(name));
                        }
                    }
                }
            }
            SendResponse::Section {
                number,
                uid,
                items,
                name,
                octets,
            } => {
                match self.section {
                    None => {
                        output.write(b"* ");
                        output.write_number(u64::from(number));
                        output.write(if uid { b" UIDFETCH (" } else { b" FETCH (" });
                    }
                    Some(0) => output.write(b" "),
                    Some(_) => return Err(Error::NotNow("the section before has more octets")),
                }
                for item in &items {
                    item.encode(&mut output);
                    output.write(b" ");
                }
                name.encode_name(&mut output);
                let any = matches!(name, FetchAttribute::Binary { .. });
                output.write(if any { b" ~{" } else { b" {" });
                output.write_number(octets);
                output.write(b"}\r\n");
                self.section = Some(octets);
            }
            SendResponse::Chunk(octets) => {
                let left = self.section.ok_or(Error::NotNow("no section has begun"))?;
                let left = left.checked_sub(octets.len() as u64);
                self.section = Some(left.ok_or(Error::TooManyOctets)?);
                output.push(octets);
            }
            SendResponse::EndOfFetch(items) => {
                match self.section {
                    Some(0) => {}
                    Some(_) => return Err(Error::NotNow("the section has more octets")),
                    None => return Err(Error::NotNow("no section has begun")),
                }
                for item in &items {
                    output.write(b" ");
                    item.encode(&mut output);
                }
                output.write(b")\r\n");
                self.section = None;
            }
        }
        put(output, dst);
        Ok(())
    }
}

/// Whether ENABLE of that makes mailbox names UTF-8.
pub(super) fn is_utf8(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"IMAP4rev2") || name.eq_ignore_ascii_case(b"UTF8=ACCEPT")
}
