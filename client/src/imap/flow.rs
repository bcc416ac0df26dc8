//! How much a server may say before the command under way has ended.
//!
//! What it says is kept by whoever asked, so what comes is weighed: each line, each octet that is no section's, and
//! each name in it. A mailbox of a million messages may say a million lines of itself; one of three may not.

use hikyaku_imap_proto::client::Event;
use hikyaku_imap_proto::{FetchItem, Response};

use crate::pace::Pace;
use crate::{Error, Result};

/// Rows that a mailbox may have as often as it has messages: what changes while it is listed is listed again.
const AGAIN: u64 = 4;
/// Sections that come besides: of a mailbox that grows, and several of a message.
const SECTIONS: u64 = 1_000;
/// More messages than this are not believed.
const MESSAGES: u32 = 4 * 1024 * 1024;
/// What may be held of an answer, whatever the mailbox; for each of its messages; and at most, in octets.
const WEIGHT: u64 = 32 * 1024 * 1024;
const WEIGHT_EACH: u64 = 384;
const WEIGHT_MOST: u64 = 384 * 1024 * 1024;
/// What a line, and a name in it, takes besides its octets.
const LINE: u64 = 64;
const NAME: u64 = 64;

/// What came since the last command ended.
#[derive(Debug, Default)]
pub(super) struct Flow {
    lines: u64,
    mailboxes: u64,
    weight: u64,
    /// Sections, and their octets.
    sections: u64,
    octets: u64,
    /// Messages of the mailbox, as the server counts them.
    messages: u32,
}

/// Whether a command has ended with it, or the greeting.
pub(super) fn ends(event: &Event) -> bool {
    matches!(
        event,
        Event::Connected { .. }
            | Event::Completed(..)
            | Event::Authenticated(..)
            | Event::AuthenticationRefused(..)
    )
}

impl Flow {
    /// Takes note of what came.
    ///
    /// # Errors
    /// [`Error::Protocol`], when it is too much.
    pub(super) fn take(&mut self, event: &Event, pace: &Pace) -> Result<()> {
        if ends(event) {
            *self = Self {
                messages: self.messages,
                ..Self::default()
            };
            return Ok(());
        }
        match event {
            Event::Chunk(octets) => {
                self.octets += octets.len() as u64;
                return Ok(());
            }
            Event::Section { .. } => self.sections += 1,
            Event::Exists(count) => self.messages = (*count).min(MESSAGES),
            Event::Fetch { items, .. } => self.weight += NAME * names(items),
            Event::Data(Response::List(list)) => {
                self.mailboxes += 1;
                let attributes = list.attributes.iter().count() as u64;
                self.weight += NAME * attributes + 2 * list.name.as_str().len() as u64;
            }
            _ => {}
        }
        self.lines += 1;
        self.weight += LINE;
        let limits = pace.limits();
        if self.mailboxes > limits.mailboxes {
            return Err(Error::Protocol(format!(
                "more than {} mailboxes in one list",
                limits.mailboxes
            )));
        }
        let messages = u64::from(self.messages);
        if self.lines > limits.lines + AGAIN * messages {
            let lines = self.lines - 1;
            return Err(Error::Protocol(format!(
                "{lines} lines, and no end of them"
            )));
        }
        if self.sections > SECTIONS + AGAIN * messages {
            let sections = self.sections - 1;
            return Err(Error::Protocol(format!(
                "{sections} sections of {messages} messages, and no end of them"
            )));
        }
        let weight = self.weight + pace.came().saturating_sub(self.octets);
        let most = (WEIGHT + WEIGHT_EACH * messages).min(WEIGHT_MOST);
        if weight > most {
            return Err(Error::Protocol(format!(
                "an answer of more than {} MiB, and no end of it",
                most >> 20
            )));
        }
        Ok(())
    }
}

/// How many names of flags stand in a row.
fn names(items: &[FetchItem]) -> u64 {
    let names = items.iter().map(|item| match item {
        FetchItem::Flags(flags) => flags.iter().count() as u64,
        _ => 0,
    });
    names.sum()
}
