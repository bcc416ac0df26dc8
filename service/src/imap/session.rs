//! The state of one connection, and how it answers.

use hikyaku_imap_proto::server::Connection;
use hikyaku_imap_proto::{Numbers, Response, ResponseCode, Rights, SequenceSet, Status};
use hikyaku_mailstore::{AccountId, Flags, MailboxId, ModSeq, Uid, UidSet};
use hikyaku_wire::drive::Driver;

use super::asked::{Asked, Watching};
use super::context::Context;
use super::convert::uid_set;
use super::end::End;
use super::incoming::Incoming;
use super::snapshot::Snapshot;
use super::text::Text as T;
use crate::Guest;
use crate::login::Login;
use crate::service::Service;
use crate::stream::Stream;

/// The mailbox that is selected.
pub(super) struct Selected {
    pub(super) mailbox: MailboxId,
    /// What the client may do there.
    pub(super) rights: Rights,
    /// The state that the client knows.
    pub(super) at: ModSeq,
    /// States that this session itself made, and has sent, ascending: not sent again.
    pub(super) own: Vec<ModSeq>,
    /// The keywords that FLAGS has named.
    pub(super) keywords: Flags,
    /// Of its account, when that is somebody else's.
    pub(super) watch: Watching,
    /// Searches that are reported when their results change.
    pub(super) contexts: Vec<Context>,
    /// The UIDs that are new or changed since these were reported; only while there are any.
    pub(super) touched: Vec<Uid>,
}

pub(super) struct Session<'a> {
    pub(super) service: &'a Service,
    pub(super) guest: &'a dyn Guest,
    pub(super) driver: Driver<Connection, Stream>,
    pub(super) login: Login<'a>,
    pub(super) account: AccountId,
    /// The account's name.
    pub(super) name: String,
    pub(super) watch: Watching,
    pub(super) selected: Option<Selected>,
    pub(super) incoming: Option<Incoming>,
    /// Whether the client knows that mod-sequences are on.
    pub(super) condstore: bool,
    /// What the client wants to hear unasked.
    pub(super) notify: Option<Asked>,
    /// What the client knows of other mailboxes, when it wants to hear of them.
    pub(super) snapshot: Option<Snapshot>,
    /// Whether texts are in Japanese.
    pub(super) japanese: bool,
}

impl Session<'_> {
    pub(super) fn respond(&mut self, response: &Response) {
        let (machine, output) = self.driver.split();
        machine.respond(response, output);
    }

    pub(super) fn untagged_ok(&mut self, code: ResponseCode, text: T) {
        self.respond(&Response::Status(Status::Ok, Some(code), text.into()));
    }

    pub(super) fn bye(&mut self, text: T) {
        let (machine, output) = self.driver.split();
        machine.bye(None, text.english(), output);
    }

    pub(super) fn complete(&mut self, end: End) {
        let End(status, code, text) = end;
        let (machine, output) = self.driver.split();
        let _ = machine.complete(status, code, &text, output);
    }

    /// The mailbox that is selected; the machine lets no command through that needs one without.
    pub(super) fn current(&self) -> Result<MailboxId, End> {
        let selected = self.selected.as_ref();
        selected
            .map(|selected| selected.mailbox)
            .ok_or(End::bad(T::NoMailboxIsSelected))
    }

    /// Whether the client has that right in the mailbox that is selected.
    pub(super) fn may(&self, right: u8) -> bool {
        let selected = self.selected.as_ref();
        selected.is_some_and(|selected| selected.rights.contains(right))
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.driver
            .machine
            .selected()
            .is_some_and(hikyaku_imap_proto::server::View::is_read_only)
    }

    /// The UIDs that a set means.
    pub(super) fn resolve(&self, set: &SequenceSet, numbers: Numbers) -> Result<UidSet, End> {
        let view = self.driver.machine.selected();
        let ranges = view.and_then(|view| view.resolve(set, numbers));
        let ranges = ranges.ok_or(End::bad(T::ThereIsNoSuchSequence))?;
        Ok(uid_set(&ranges))
    }
}
