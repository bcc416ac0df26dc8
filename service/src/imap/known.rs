//! What the client knows of the selected mailbox: its messages, and their numbers.

use hikyaku_imap_proto::{Numbers, SequenceNumber};
use hikyaku_mailstore::Uid;

use super::convert::{imap_uid, kept_uid};
use super::session::Session;

impl Session<'_> {
    /// The UIDs of the messages that it knows, ascending; none where no mailbox is selected.
    pub(super) fn known(&self) -> impl DoubleEndedIterator<Item = Uid> + ExactSizeIterator + '_ {
        let view = self.driver.machine.selected();
        let known = view.map_or(&[][..], |view| view.uids());
        known.iter().copied().map(kept_uid)
    }

    pub(super) fn is_known(&self, uid: Uid) -> bool {
        self.sequence(uid).is_some()
    }

    /// Its sequence number, where the client knows it.
    pub(super) fn sequence(&self, uid: Uid) -> Option<SequenceNumber> {
        self.driver.machine.selected()?.sequence(imap_uid(uid))
    }

    /// The number that the client is to have of it.
    pub(super) fn number(&self, uid: Uid, numbers: Numbers) -> Option<u32> {
        match numbers {
            Numbers::Uid => Some(uid.get()),
            Numbers::Sequence => self.sequence(uid).map(SequenceNumber::get),
        }
    }
}
