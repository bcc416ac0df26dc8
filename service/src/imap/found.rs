//! A mailbox that was found, with the rights of this client.

use hikyaku_imap_proto::{ResponseCode, Rights};
use hikyaku_mailstore::{AccountId, Mailbox};

use super::end::End;
use super::text::Text as T;

/// A mailbox, and what may be done with it.
pub(super) struct Found {
    pub(super) mailbox: Mailbox,
    pub(super) rights: Rights,
}

impl Found {
    /// Fails without the right; who does not even see the mailbox hears that there is none.
    pub(super) fn needs(self, right: u8) -> Result<Self, End> {
        if self.rights.contains(right) {
            return Ok(self);
        }
        Err(self.refusal())
    }

    pub(super) fn refusal(&self) -> End {
        match self.rights.contains(b'l') {
            true => End::no(ResponseCode::NoPerm, T::ThatIsNotAllowed),
            false => no_such_mailbox(),
        }
    }
}

pub(super) fn no_such_mailbox() -> End {
    End::no(ResponseCode::NonExistent, T::ThereIsNoSuch)
}

/// Where a name leads: whose mailbox, and what it is called there.
pub(super) struct Place {
    pub(super) account: AccountId,
    pub(super) name: String,
}
