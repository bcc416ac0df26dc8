//! The client's side: commands are encoded, responses decoded.

use alloc::vec::Vec;
use bytes::{Buf as _, Bytes, BytesMut};
use hikyaku_wire::{Output, Secret, write_response};
use tokio_util::codec::{Decoder, Encoder};

use super::sending::{Continued, Dialogue, Gate, Outgoing, Sending, Then};
use super::server::is_utf8;
use super::{Error, put};
use crate::client::Capabilities;
use crate::plumbing::cursor::Cursor;
use crate::plumbing::framer::{ResponseFrame, ResponseFramer};
use crate::{
    Append, Command, FetchAttribute, FetchItem, Fragments, Leniency, Limits, Literals, Received,
    Response, ResponseCode, Status, SyntaxError, Tagged, command::fetch,
};

/// What a client sends.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendCommand {
    /// A command. What may not be sent of it yet is held back, and so is what comes behind it.
    Command(Tagged),
    /// APPEND or REPLACE of a message of so many octets, which follow as [`Chunk`](Self::Chunk)s. Chunks are held back
    /// where the server has to be asked first ([`ClientCodec::is_waiting`]), up to [`Limits::held_back`]: for a larger
    /// message wait for [`ResponseItem::SendBody`].
    Append {
        /// What its end will be reported under.
        tag: Bytes,
        /// Where the message goes, and how.
        append: Append,
        /// How many octets it has.
        octets: u64,
    },
    /// The next octets of that message; dropped when the server has refused it before any was sent.
    Chunk(Bytes),
    /// Answers a challenge of AUTHENTICATE, which comes as [`Received::Continuation`]; `None` cancels.
    SaslResponse(Option<Secret>),
    /// Ends IDLE.
    Done,
    /// Nothing more than what was held back and may go now: answers [`ResponseItem::Resume`].
    Resume,
}

impl From<Tagged> for SendCommand {
    fn from(command: Tagged) -> Self {
        Self::Command(command)
    }
}

/// What a server sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseItem {
    /// A whole response. A `+` that lets a literal go is none: `Resume` or `SendBody` stands for it.
    Response(Received),
    /// FETCH up to a section that passes [`Limits::folded`], whose octets follow as [`Chunk`](Self::Chunk)s. May come
    /// again in the same response; [`EndOfFetch`](Self::EndOfFetch) ends it.
    Section {
        /// The message's sequence number, or its UID.
        number: u32,
        /// UIDFETCH (RFC 9586).
        uid: bool,
        /// Items that stand before it, since the last section.
        items: Vec<FetchItem>,
        /// The section's name.
        name: FetchAttribute,
        /// How many octets it has.
        octets: u64,
    },
    /// The next octets of the section, never empty.
    Chunk(Bytes),
    /// The items behind the last section. Where they are not as the grammar has it, those that are.
    EndOfFetch(Vec<FetchItem>),
    /// The server waits for the message of the APPEND with that tag.
    SendBody {
        /// The command's.
        tag: Bytes,
    },
    /// Something that was held back may go: encode [`SendCommand::Resume`], or any other item. [`Client`](super::Client)
    /// does so by itself and gives none.
    Resume,
    /// A line that is no response.
    Malformed(SyntaxError),
    /// A response passes [`Limits::response`], and was passed over.
    TooLong,
}

/// Encodes commands and decodes responses.
#[derive(Debug)]
pub struct ClientCodec {
    framer: ResponseFramer,
    limits: Limits,
    literals: Literals,
    utf8: bool,
    sending: Sending,
    fetching: Option<Fetching>,
    layer: Option<Dialogue>,
}

/// A FETCH response with a section that streams.
#[derive(Debug, Clone, Copy)]
struct Fetching {
    number: u32,
    uid: bool,
    /// The name of the section under way could be read.
    given: bool,
}

impl ClientCodec {
    /// Stands before the greeting, or behind STARTTLS.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            framer: ResponseFramer::new(&limits),
            limits,
            literals: Literals::default(),
            utf8: false,
            sending: Sending::default(),
            fetching: None,
            layer: None,
        }
    }

    /// How literals are announced. The decoder learns it from the capabilities that the server lists.
    pub fn set_literals(&mut self, literals: Literals) {
        self.literals = literals;
    }

    /// Whether mailbox names are in UTF-8: so it is when the server has enabled IMAP4rev2 or UTF8=ACCEPT.
    pub fn set_utf8(&mut self, utf8: bool) {
        self.utf8 = utf8;
    }

    /// Whether what was encoded last has to wait for the server. It is sent when responses are decoded.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.sending.is_waiting()
    }

    fn learn(&mut self, received: &Received) {
        let all = match received {
            Received::Untagged(Response::Capability(all)) => all,
            Received::Untagged(Response::Status(_, Some(ResponseCode::Capability(all)), _)) => all,
            Received::Tagged(_, end) => match &end.code {
                Some(ResponseCode::Capability(all)) => all,
                _ => return,
            },
            Received::Untagged(Response::Enabled(names)) => {
                self.utf8 |= names.iter().any(|name| is_utf8(name));
                return;
            }
            _ => return,
        };
        self.literals = Capabilities::new(all.clone()).literals();
    }

    /// What is given of a response; `None` for one that stands for nothing.
    fn received(&mut self, received: Received, src: &mut BytesMut) -> Option<ResponseItem> {
        self.learn(&received);
        match &received {
            Received::Continuation(_) => match self.sending.continued() {
                Continued::Literal => return None,
                Continued::Message(tag) => return Some(ResponseItem::SendBody { tag }),
                Continued::Line => {}
            },
            Received::Tagged(tag, end) => {
                let dialogue = self.sending.ended(tag);
                let layer = matches!(dialogue, Some(Dialogue::StartTls | Dialogue::Compress));
                if layer && end.status == Status::Ok {
                    self.layer = dialogue;
                    self.framer.give_back(src);
                }
            }
            Received::Untagged(_) => {}
        }
        Some(ResponseItem::Response(received))
    }

    /// A FETCH response up to a section that streams.
    fn section(&mut self, head: &Bytes, octets: u64) -> Option<ResponseItem> {
        let mut cursor = Cursor::new(head);
        cursor.set_leniencies(self.limits.leniencies);
        let mut fetching = self.fetching.take().unwrap_or_else(|| {
            let _ = cursor.eat_prefix("* ");
            let number = cursor.number().unwrap_or(0);
            let uid = cursor.eat_prefix(" UIDFETCH (");
            if !uid {
                let _ = cursor.eat_prefix(" FETCH (");
            }
            Fetching {
                number,
                uid,
                given: true,
            }
        });
        let mut items = Vec::new();
        let name = fetch::items_to_section(&mut cursor, self.limits.nesting, &mut items);
        fetching.given = name.is_ok();
        let Fetching { number, uid, .. } = *self.fetching.insert(fetching);
        match name {
            Ok(name) => Some(ResponseItem::Section {
                number,
                uid,
                items,
                name,
                octets,
            }),
            // One that cannot be named costs itself.
            Err(_) => None,
        }
    }

    /// What stands behind the last section.
    fn rest(&mut self, rest: &Bytes) -> ResponseItem {
        self.fetching = None;
        let mut cursor = Cursor::new(rest);
        cursor.set_leniencies(self.limits.leniencies);
        let mut items = Vec::new();
        let _ = fetch::items(&mut cursor, self.limits.nesting, &mut items);
        ResponseItem::EndOfFetch(items)
    }
}

impl Decoder for ClientCodec {
    type Item = ResponseItem;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<ResponseItem>, Error> {
        loop {
            if self.sending.take_released() {
                return Ok(Some(ResponseItem::Resume));
            }
            match self.layer {
                // Sent in clear, so by anybody.
                Some(Dialogue::StartTls) if !src.is_empty() => return Err(Error::Injected),
                Some(_) => return Ok(None),
                None => {}
            }
            let item = match self.framer.next(src) {
                None => return Ok(None),
                Some(Err(_)) => return Err(Error::Endless),
                Some(Ok(ResponseFrame::Response(unit))) => {
                    let empty = unit.trim_ascii().is_empty();
                    if empty && self.limits.leniencies.contains(Leniency::EmptyLine) {
                        continue;
                    }
                    match Received::parse_as(&unit, &self.limits, self.utf8) {
                        Ok(received) => self.received(received, src),
                        Err(error) => Some(ResponseItem::Malformed(error)),
                    }
                }
                Some(Ok(ResponseFrame::Section { head, octets })) => self.section(&head, octets),
                Some(Ok(ResponseFrame::Chunk(octets))) => {
                    let given = self.fetching.is_some_and(|fetching| fetching.given);
                    given.then_some(ResponseItem::Chunk(octets))
                }
                Some(Ok(ResponseFrame::Rest(rest))) => Some(self.rest(&rest)),
                Some(Ok(ResponseFrame::TooLong)) => {
                    self.fetching = None;
                    Some(ResponseItem::TooLong)
                }
            };
            if item.is_some() {
                return Ok(item);
            }
        }
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<ResponseItem>, Error> {
        if let Some(item) = self.decode(src)? {
            return Ok(Some(item));
        }
        if self.layer.is_none() && self.framer.is_inside(src) {
            return Err(Error::Inside);
        }
        Ok(None)
    }
}

impl ClientCodec {
    fn command(&mut self, Tagged { tag, command }: Tagged) -> Result<(), Error> {
        let then = match &command {
            Command::Authenticate(_) => Then::Dialogue(Dialogue::Authenticate),
            Command::Idle => Then::Dialogue(Dialogue::Idle),
            Command::StartTls => Then::Dialogue(Dialogue::StartTls),
            Command::Compress(_) => Then::Dialogue(Dialogue::Compress),
            _ => Then::Next,
        };
        let command = match self.utf8 {
            true => command.in_utf8(),
            false => command,
        };
        let tagged = Tagged { tag, command };
        let fragments = Fragments::of(&tagged, self.literals).ok_or(Error::Unencodable)?;
        self.begin(tagged.tag, fragments, then)
    }

    fn append(&mut self, tag: Bytes, mut append: Append, octets: u64) -> Result<(), Error> {
        if self.utf8 {
            append.mailbox = append.mailbox.in_utf8();
        }
        let mut line = Output::new();
        line.write(&tag);
        line.write(b" ");
        append.encode(&mut line);
        line.write(b"\r\n");
        if line.has_replaced() {
            return Err(Error::Unencodable);
        }
        let line = line.copy_to_bytes(line.len());
        let waits = self.literals.waits(octets);
        let fragments = Fragments::new(&line, self.literals).ok_or(Error::Unencodable)?;
        let then = Then::Message {
            octets,
            waits,
            utf8: append.utf8,
        };
        self.begin(tag, fragments.announcing(octets, waits), then)
    }

    fn begin(&mut self, tag: Bytes, fragments: Fragments, then: Then) -> Result<(), Error> {
        if tag.is_empty() || !tag.iter().copied().all(crate::plumbing::text::is_tag_char) {
            return Err(Error::Unencodable);
        }
        let gate = Gate::Open;
        let outgoing = Outgoing {
            tag,
            fragments,
            then,
            gate,
        };
        self.sending.command(outgoing, self.limits.held_back)
    }
}

impl Encoder<SendCommand> for ClientCodec {
    type Error = Error;

    fn encode(&mut self, item: SendCommand, dst: &mut BytesMut) -> Result<(), Error> {
        match item {
            SendCommand::Command(tagged) => self.command(tagged)?,
            SendCommand::Append {
                tag,
                append,
                octets,
            } => self.append(tag, append, octets)?,
            SendCommand::Chunk(octets) => self.sending.chunk(octets, self.limits.held_back)?,
            SendCommand::SaslResponse(response) => {
                if self.sending.dialogue() != Some(Dialogue::Authenticate) {
                    return Err(Error::NotNow("AUTHENTICATE is not under way"));
                }
                let mut line = Output::new();
                write_response(response.as_ref(), &mut line);
                put(line, dst);
            }
            SendCommand::Done => {
                if self.sending.dialogue() != Some(Dialogue::Idle) {
                    return Err(Error::NotNow("IDLE is not under way"));
                }
                dst.extend_from_slice(b"DONE\r\n");
            }
            SendCommand::Resume => {}
        }
        self.sending.pump(dst);
        Ok(())
    }
}
