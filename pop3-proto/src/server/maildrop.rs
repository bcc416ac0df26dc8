//! The maildrop: what was there when it was opened (RFC 1939 §4), and what is marked as deleted.

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::{Excerpt, Output};

/// Sizes and unique-ids; message numbers count from 1 and stay for the whole session.
#[derive(Debug, Clone, Default)]
pub struct Maildrop {
    messages: Vec<Message>,
}

#[derive(Debug, Clone)]
struct Message {
    octets: u64,
    unique_id: Bytes,
    deleted: bool,
}

/// A unique-id that no line of UIDL can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a unique-id has 1 to 70 octets from 33 to 126, found {found}")]
#[non_exhaustive]
pub struct InvalidUniqueId {
    /// Its first octets.
    pub found: Excerpt,
}

impl Maildrop {
    /// Creates an empty maildrop.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next message.
    ///
    /// # Errors
    /// [`InvalidUniqueId`] when `unique_id` has not 1 to 70 octets from 33 to 126 (RFC 1939 §7). The message is not
    /// added, and the next one gets its number.
    pub fn push(
        &mut self,
        octets: u64,
        unique_id: impl Into<Bytes>,
    ) -> Result<(), InvalidUniqueId> {
        let unique_id = unique_id.into();
        let fits = (1..=70).contains(&unique_id.len());
        if !fits || !unique_id.iter().all(u8::is_ascii_graphic) {
            return Err(InvalidUniqueId {
                found: Excerpt::of(&unique_id),
            });
        }
        self.messages.push(Message {
            octets,
            unique_id,
            deleted: false,
        });
        Ok(())
    }

    fn live(&self) -> impl Iterator<Item = (usize, &Message)> {
        let numbered = self.messages.iter().enumerate();
        numbered
            .filter(|(_, message)| !message.deleted)
            .map(|(at, m)| (at + 1, m))
    }

    fn get(&self, number: u32) -> Option<&Message> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        self.messages.get(at).filter(|message| !message.deleted)
    }

    /// Messages that are not deleted, and their octets.
    pub(super) fn count(&self) -> (usize, u64) {
        self.live()
            .fold((0, 0), |(n, octets), (_, m)| (n + 1, octets + m.octets))
    }

    pub(super) fn octets(&self, number: u32) -> Option<u64> {
        self.get(number).map(|message| message.octets)
    }

    pub(super) fn unique_id(&self, number: u32) -> Option<&Bytes> {
        self.get(number).map(|message| &message.unique_id)
    }

    pub(super) fn delete(&mut self, number: u32) -> bool {
        let at = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
        let message = at.and_then(|at| self.messages.get_mut(at));
        message.is_some_and(|message| !core::mem::replace(&mut message.deleted, true))
    }

    pub(super) fn restore(&mut self) {
        self.messages
            .iter_mut()
            .for_each(|message| message.deleted = false);
    }

    pub(super) fn deleted(&self) -> Vec<u32> {
        let numbered = (1..).zip(&self.messages);
        numbered
            .filter(|(_, message)| message.deleted)
            .map(|(n, _)| n)
            .collect()
    }

    pub(super) fn list(&self, output: &mut Output) {
        self.listing(output, |message, output| {
            output.write_number(message.octets);
        });
    }

    pub(super) fn unique_ids(&self, output: &mut Output) {
        self.listing(output, |message, output| output.write(&message.unique_id));
    }

    fn listing(&self, output: &mut Output, what: impl Fn(&Message, &mut Output)) {
        output.write(b"+OK\r\n");
        for (number, message) in self.live() {
            output.write_number(number as u64);
            output.write(b" ");
            what(message, output);
            output.write(b"\r\n");
        }
        output.write(b".\r\n");
    }
}

/// Where TOP ends: after the header section and the lines of the body that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// `None` is the whole message.
    lines: Option<u32>,
    in_body: bool,
    /// Octets of the line under way, CR not counted.
    line: u64,
}

impl Cut {
    pub(super) fn after(lines: Option<u32>) -> Self {
        Self {
            lines,
            in_body: false,
            line: 0,
        }
    }

    /// How many octets of `chunk` are wanted.
    pub(super) fn take(&mut self, chunk: &[u8]) -> usize {
        let Some(lines) = &mut self.lines else {
            return chunk.len();
        };
        for (at, &octet) in chunk.iter().enumerate() {
            if self.in_body && *lines == 0 {
                return at;
            }
            match octet {
                b'\n' if self.in_body => *lines -= 1,
                b'\n' => {
                    self.in_body = self.line == 0;
                    self.line = 0;
                }
                b'\r' => {}
                _ => self.line += 1,
            }
        }
        chunk.len()
    }
}
