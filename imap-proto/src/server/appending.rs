//! APPEND and REPLACE: announced, accepted or not, and streamed (RFC 9051 §6.3.12, RFC 7888, 3502, 4469, 8508).

use alloc::collections::VecDeque;
use bytes::{Bytes, BytesMut};
use hikyaku_wire::{Output, Step};

use super::message::Message;
use super::text::Text;
use super::{Connection, Event, Misuse, State, What};
use crate::Status;
use crate::command::append::{Piece, Place, segment};
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::frame::{Framed, Literal};
use crate::plumbing::text::is_tag_char;

impl Connection {
    /// Lets a message come, or a part of one.
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b APPEND INBOX {5000}\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// // After `Event::Append`: the message may come.
    /// machine.accept(output)?;
    /// # assert!(scene.sent().contains("+ "));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when none is announced.
    pub fn accept(&mut self, output: &mut Output) -> core::result::Result<(), Misuse> {
        match &self.state {
            State::Asked(asked) if asked.what == What::Append => {}
            _ => return Err(self.misuse("accept")),
        }
        let misuse = self.misuse("accept");
        let Some(message) = self.message.as_mut() else {
            return Err(misuse);
        };
        if message.pieces.is_empty()
            && let Some(literal) = message.literal.take()
        {
            if literal.synchronizing {
                output.write(b"+ OK\r\n");
            }
            message.left = Some(literal.octets);
        }
        self.state = State::Message;
        Ok(())
    }

    /// A segment of an APPEND: the first one has the tag and the name before it.
    pub(super) fn append_segment(
        &mut self,
        head: &Bytes,
        literal: Option<Literal>,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        let mut message = self.message.take().unwrap_or_default();
        let mut cursor = Cursor::new(head);
        cursor.set_utf8(self.names_in_utf8());
        cursor.set_of_command();
        let first = message.place == Place::Name;
        let read = self.read_segment(&mut message, &mut cursor, first, literal.is_some());
        let error = match read {
            Ok(pieces) => {
                message.pieces = pieces;
                message.ended = literal.is_none();
                message.literal = literal;
                self.message = Some(message);
                self.state = State::Message;
                return None;
            }
            Err(error) => error,
        };
        if let Some(literal) = literal {
            // A synchronizing one does not come: no `+` was said.
            if !literal.synchronizing {
                self.framer.skip_octets(literal.octets);
            }
        }
        self.state = State::Command;
        let tag = Some(message.tag).filter(|t| !t.is_empty());
        let text = alloc::format!("Expected {} at octet {}", error.expected, error.offset);
        self.say(tag.as_ref(), Status::Bad, None, &text, output);
        message.begun.then_some(Step::Event(Event::BodyRefused))
    }

    fn read_segment(
        &self,
        message: &mut Message,
        cursor: &mut Cursor<'_>,
        first: bool,
        literal: bool,
    ) -> Result<VecDeque<Piece>> {
        if first {
            let tag = cursor.word(is_tag_char, "a tag")?;
            message.tag = cursor.unit().slice_ref(tag);
            cursor.sp()?;
            if !self.authenticated {
                return cursor.fail("another command in this state");
            }
        }
        let mailbox = message.mailbox.clone();
        let before = mailbox.as_ref().map(|mailbox| (mailbox, message.replaces));
        let pieces = segment(cursor, &mut message.place, before, literal)?;
        if let Some(Piece::Message(append) | Piece::Catenate(append)) = pieces.first() {
            if first && append.replaces.is_some() && self.selected.is_none() {
                return cursor.fail("another command in this state");
            }
            if append
                .replaces
                .as_ref()
                .is_some_and(|(_, numbers)| !numbers.is_uid())
                && self.enabled.uid_only
            {
                return cursor.fail("UID before it");
            }
            message.replaces |= append.replaces.is_some();
            message.mailbox = Some(append.mailbox.clone());
        }
        Ok(pieces.into())
    }

    /// The application said no: what is still to come of the command is passed over.
    pub(super) fn refuse_append(&mut self) {
        let literal = self.message.take().and_then(|message| message.literal);
        if let Some(literal) = literal.filter(|literal| !literal.synchronizing) {
            self.framer.skip_octets(literal.octets);
        }
    }

    pub(super) fn message(
        &mut self,
        input: &mut BytesMut,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        let Some(message) = self.message.as_mut() else {
            self.state = State::Command;
            return None;
        };
        if let Some(piece) = message.pieces.pop_front() {
            let octets = message.literal.map(|literal| literal.octets);
            let tag = message.tag.clone();
            message.begun = true;
            let event = match piece {
                Piece::Message(append) => {
                    message.binary = append.binary;
                    Event::Append { append, octets }
                }
                Piece::Catenate(append) => Event::Append {
                    append,
                    octets: None,
                },
                Piece::Url(url) => Event::CatenateUrl(url),
                Piece::Text(binary) => {
                    message.binary = binary;
                    Event::CatenateText(octets.unwrap_or(0))
                }
            };
            return self.ask(tag, What::Append, event);
        }
        match message.left {
            Some(0) => {
                message.left = None;
                None
            }
            Some(left) => {
                if input.is_empty() {
                    return Some(Step::NeedInput);
                }
                let some = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                let chunk = input.split_to(some).freeze();
                message.left = Some(left - some as u64);
                // RFC 9051 §9: a literal holds no NUL, unless it is a literal8.
                if !message.binary && memchr::memchr(0, &chunk).is_some() {
                    let tag = message.tag.clone();
                    self.framer.skip_octets(left - some as u64);
                    self.message = None;
                    self.state = State::Command;
                    self.say(
                        Some(&tag),
                        Status::Bad,
                        None,
                        Text::NulInALiteral.as_str(),
                        output,
                    );
                    return Some(Step::Event(Event::BodyRefused));
                }
                Some(Step::Event(Event::Chunk(chunk)))
            }
            None => self.between_literals(input, output),
        }
    }

    /// Behind a literal, or a segment that has none: the end, or what comes next.
    fn between_literals(
        &mut self,
        input: &mut BytesMut,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        let message = self.message.as_mut()?;
        if message.ended {
            let tag = message.tag.clone();
            self.message = None;
            return self.ask(tag, What::Other, Event::EndOfBody);
        }
        let tag = message.tag.clone();
        let limits = &self.options.limits;
        let framed = self
            .framer
            .next(input, limits.command, limits.literal, true);
        match framed {
            None => Some(Step::NeedInput),
            Some(Framed::Continue(_)) => {
                output.write(b"+ OK\r\n");
                None
            }
            Some(Framed::Unit(rest)) => self.append_segment(&rest.freeze(), None, output),
            Some(Framed::Append(head, literal)) => {
                self.append_segment(&head, Some(literal), output)
            }
            Some(Framed::Refused(_, refusal)) => {
                self.message = None;
                self.state = State::Command;
                self.refuse_command(Some(&tag), refusal, output);
                Some(Step::Event(Event::BodyRefused))
            }
        }
    }
}
