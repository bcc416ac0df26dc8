//! Messages on their way into the store.

use bytes::Bytes;
use hikyaku_mailstore::{Flags, Mailbox, MailboxId, Stage, Uid};
use hikyaku_message::Scanner;

use super::found::Found;

/// What comes of one command.
pub(super) struct Incoming {
    pub(super) target: Found,
    /// Messages that are whole.
    pub(super) whole: Vec<hikyaku_mailstore::Append>,
    /// The one on its way.
    pub(super) message: Message,
    /// Octets of all of them.
    pub(super) octets: u64,
    /// REPLACE: what goes when they have come.
    pub(super) replaces: Option<(MailboxId, Uid)>,
}

/// A message on its way in.
pub(super) struct Message {
    pub(super) flags: Flags,
    pub(super) received: (i64, i16),
    pub(super) stage: Box<dyn Stage>,
    pub(super) scanner: Scanner,
    pub(super) octets: u64,
    /// Its literal may hold NUL, and does.
    pub(super) has_nul: bool,
    pub(super) failed: Option<hikyaku_mailstore::Error>,
}

impl Message {
    async fn chunk(&mut self, chunk: Bytes) {
        self.scanner.feed(&chunk);
        self.octets += chunk.len() as u64;
        self.has_nul |= memchr::memchr(0, &chunk).is_some();
        if self.failed.is_none() {
            self.failed = self.stage.write(chunk).await.err();
        }
    }
}

impl Incoming {
    pub(super) async fn chunk(&mut self, chunk: Bytes) {
        self.message.chunk(chunk).await;
    }

    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.target.mailbox
    }
}
