//! What a client may send now, and what it holds back (RFC 9051 §4.3, §5.5; RFC 7888).

use alloc::collections::VecDeque;
use bytes::{Bytes, BytesMut};

use super::Error;
use crate::Fragments;

/// The commands that are on their way out.
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// Of which the first was begun.
    current: Option<Outgoing>,
    waiting: VecDeque<Entry>,
    /// Octets in both.
    held: usize,
    /// Octets of the message announced last that the caller has not passed yet.
    owed: u64,
    /// So many of them the server does not want.
    dropping: u64,
    /// Something may be sent that was held back.
    released: bool,
}

#[derive(Debug)]
enum Entry {
    Command(Outgoing),
    Chunk(Bytes),
}

/// A command that is not sent as a whole.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) tag: Bytes,
    pub(super) fragments: Fragments,
    pub(super) then: Then,
    pub(super) gate: Gate,
}

/// What comes behind a command's last fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The next command.
    Next,
    /// Lines that are no commands, until its tagged response.
    Dialogue(Dialogue),
    /// A message of so many octets; `waits` for `+` first, and a parenthesis closes it when `utf8`.
    Message {
        octets: u64,
        waits: bool,
        utf8: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialogue {
    Authenticate,
    Idle,
    StartTls,
    Compress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    /// `+` has to come first.
    Literal,
    /// So many octets of its message are still to be sent.
    Message(u64),
    /// Its tagged response has to come first.
    Dialogue,
}

/// What a `+` was for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Continued {
    /// A literal: what is held back may go.
    Literal,
    /// The message of the command with that tag.
    Message(Bytes),
    /// A line of the caller's, or nothing that was asked for.
    Line,
}

impl Sending {
    /// Whether anything is held back, or the caller has to wait for the server itself.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
            || self
                .current
                .as_ref()
                .is_some_and(|current| !matches!(current.gate, Gate::Message(_)))
    }

    /// Whether something may be sent that was held back; once.
    pub(super) fn take_released(&mut self) -> bool {
        core::mem::take(&mut self.released)
    }

    /// The dialogue under way.
    pub(super) fn dialogue(&self) -> Option<Dialogue> {
        match self.current.as_ref() {
            Some(Outgoing {
                gate: Gate::Dialogue,
                then: Then::Dialogue(dialogue),
                ..
            }) => Some(*dialogue),
            _ => None,
        }
    }

    pub(super) fn command(&mut self, command: Outgoing, limit: usize) -> Result<(), Error> {
        if self.owed > 0 {
            return Err(Error::NotNow("the message before has more octets"));
        }
        let octets = command.fragments.octets();
        // A command alone is as large as its caller has made it.
        if self.held > 0 && self.held.saturating_add(octets) > limit {
            return Err(Error::HeldBack);
        }
        self.held += octets;
        self.dropping = 0;
        if let Then::Message { octets, .. } = command.then {
            self.owed = octets;
        }
        self.waiting.push_back(Entry::Command(command));
        Ok(())
    }

    /// The next octets of the message announced last. Those of one that the server refused are dropped.
    pub(super) fn chunk(&mut self, chunk: Bytes, limit: usize) -> Result<(), Error> {
        let octets = chunk.len() as u64;
        if self.owed == 0 && self.dropping > 0 {
            let left = self.dropping.checked_sub(octets);
            self.dropping = left.ok_or(Error::TooManyOctets)?;
            return Ok(());
        }
        let owed = self.owed.checked_sub(octets).ok_or(Error::TooManyOctets)?;
        let goes = self.waiting.is_empty()
            && self
                .current
                .as_ref()
                .is_some_and(|current| matches!(current.gate, Gate::Message(_)));
        if !goes && self.held.saturating_add(chunk.len()) > limit {
            return Err(Error::HeldBack);
        }
        self.owed = owed;
        if !chunk.is_empty() {
            self.held += chunk.len();
            self.waiting.push_back(Entry::Chunk(chunk));
        }
        Ok(())
    }

    /// Writes what may be sent.
    pub(super) fn pump(&mut self, dst: &mut BytesMut) {
        self.released = false;
        loop {
            let current = match &mut self.current {
                Some(current) => current,
                None => match self.waiting.pop_front() {
                    Some(Entry::Command(next)) => self.current.insert(next),
                    // A chunk stands behind its command, and nothing behind nothing.
                    Some(Entry::Chunk(_)) => continue,
                    None => return,
                },
            };
            match current.gate {
                Gate::Literal | Gate::Dialogue => return,
                Gate::Open => {
                    if let Some(fragment) = current.fragments.next() {
                        self.held -= fragment.len();
                        dst.extend_from_slice(&fragment);
                    }
                    if current.fragments.len() > 0 {
                        current.gate = Gate::Literal;
                        continue;
                    }
                    match current.then {
                        Then::Next => self.current = None,
                        Then::Dialogue(_) => current.gate = Gate::Dialogue,
                        Then::Message { waits: true, .. } => current.gate = Gate::Literal,
                        Then::Message { octets, .. } => current.gate = Gate::Message(octets),
                    }
                }
                Gate::Message(0) => {
                    let utf8 = matches!(current.then, Then::Message { utf8: true, .. });
                    dst.extend_from_slice(if utf8 { b")\r\n" } else { b"\r\n" });
                    self.current = None;
                }
                Gate::Message(left) => {
                    let Some(Entry::Chunk(_)) = self.waiting.front() else {
                        return;
                    };
                    if let Some(Entry::Chunk(chunk)) = self.waiting.pop_front() {
                        current.gate = Gate::Message(left.saturating_sub(chunk.len() as u64));
                        self.held -= chunk.len();
                        dst.extend_from_slice(&chunk);
                    }
                }
            }
        }
    }

    /// `+` came.
    pub(super) fn continued(&mut self) -> Continued {
        let Some(current) = self.current.as_mut().filter(|c| c.gate == Gate::Literal) else {
            return Continued::Line;
        };
        match current.then {
            Then::Message { octets, .. } if current.fragments.len() == 0 => {
                current.gate = Gate::Message(octets);
                // An empty message has no chunk that would end it.
                self.released = octets == 0 || !self.waiting.is_empty();
                Continued::Message(current.tag.clone())
            }
            _ => {
                current.gate = Gate::Open;
                self.released = true;
                Continued::Literal
            }
        }
    }

    /// The tagged response came: a dialogue is over, or what waits for `+` was refused. The dialogue, when it was one.
    pub(super) fn ended(&mut self, tag: &Bytes) -> Option<Dialogue> {
        let current = self.current.as_ref().filter(|c| c.tag == *tag)?;
        let dialogue = match (current.gate, current.then) {
            (Gate::Dialogue, Then::Dialogue(dialogue)) => Some(dialogue),
            (Gate::Literal, _) => None,
            // What was announced has to follow, whatever becomes of it.
            _ => return None,
        };
        let left = current.fragments.octets();
        self.held -= left;
        let is_message = matches!(current.then, Then::Message { .. });
        self.current = None;
        if dialogue.is_none() && is_message {
            while let Some(Entry::Chunk(_)) = self.waiting.front() {
                if let Some(Entry::Chunk(chunk)) = self.waiting.pop_front() {
                    self.held -= chunk.len();
                }
            }
            if self.waiting.is_empty() {
                // It was the last command: what its caller still passes is dropped.
                self.dropping = core::mem::take(&mut self.owed);
            }
        }
        self.released = !self.waiting.is_empty();
        dialogue
    }
}
