//! APPEND's message: announced, accepted or not, and streamed (RFC 9051 §6.3.12, RFC 7888).

use bytes::{Bytes, BytesMut};
use hikyaku_wire::{Output, Step};

use super::{Connection, Event, Misuse, State, What};
use crate::{Append, Status};

/// APPEND's message, on its way in.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) tag: Bytes,
    pub(super) left: u64,
    pub(super) refused: bool,
}

impl Connection {
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

    pub(super) fn append(
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

    pub(super) fn message(
        &mut self,
        input: &mut BytesMut,
        output: &mut Output,
    ) -> Option<Step<Event>> {
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
}
