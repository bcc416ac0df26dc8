//! What an error is about.

use std::fmt;
use std::sync::Arc;

use crate::{AccountId, BodyId, MailboxId, Uid};

/// What an error is about, for logs: numbers as the store has them, not as clients know them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum About {
    /// Not known.
    #[default]
    Nothing,
    /// An account.
    Account(AccountId),
    /// A mailbox.
    Mailbox(MailboxId),
    /// A message in a mailbox.
    Message(MailboxId, Uid),
    /// A body, as it is named on disk.
    Body(BodyId),
    /// An account or a mailbox of that name, or a file.
    Name(Arc<str>),
}

impl fmt::Display for About {
    /// Behind a sentence: begins with a colon, or is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Account(id) => write!(f, ": account {}", id.0),
            Self::Mailbox(id) => write!(f, ": mailbox {} of account {}", id.number, id.account.0),
            Self::Message(id, uid) => write!(
                f,
                ": UID {uid} in mailbox {} of account {}",
                id.number, id.account.0
            ),
            Self::Body(id) => write!(f, ": body {}", id.0),
            Self::Name(name) => write!(f, ": {name:?}"),
        }
    }
}

impl From<AccountId> for About {
    fn from(id: AccountId) -> Self {
        Self::Account(id)
    }
}

impl From<MailboxId> for About {
    fn from(id: MailboxId) -> Self {
        Self::Mailbox(id)
    }
}

impl From<BodyId> for About {
    fn from(id: BodyId) -> Self {
        Self::Body(id)
    }
}

impl From<&str> for About {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Memory, ModSeq, Operation, Store as _, Transaction, Want, block_on};

    #[test]
    fn errors_say_what_they_are_about() {
        let store = Memory::new();
        let alice = block_on(store.create_account("alice")).unwrap();
        let nowhere = MailboxId {
            account: alice,
            number: 99,
        };
        let refused = |operation| {
            let transaction = Transaction::new(alice).with(operation);
            block_on(store.commit(transaction)).unwrap_err().to_string()
        };
        let said = [
            block_on(store.create_account("alice"))
                .unwrap_err()
                .to_string(),
            block_on(store.changes(nowhere, ModSeq(0), Want::ROW, 1))
                .unwrap_err()
                .to_string(),
            refused(Operation::Delete(nowhere)),
            refused(Operation::Create {
                name: "INBOX".into(),
                special_use: None,
                uid_validity: None,
            }),
            block_on(store.remove_account(AccountId(77)))
                .unwrap_err()
                .to_string(),
        ];
        let account = alice.0;
        assert_eq!(
            said,
            [
                "it exists already: \"alice\"".to_owned(),
                format!("no such mailbox: mailbox 99 of account {account}"),
                format!("no such mailbox: mailbox 99 of account {account}"),
                "it exists already: \"INBOX\"".to_owned(),
                "no such account: account 77".to_owned(),
            ]
        );
    }
}
