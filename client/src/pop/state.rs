//! What is known of a session while it runs: messages, what it is at, and what went wrong.

use bytes::Bytes;
use hikyaku_mailstore::{EmailId, Operation, Staged, Transaction, Want, Which};
use std::collections::{BTreeSet, HashSet};

use super::record::{Hash, Print};
use crate::{Local, Result};

/// The property with the ids of messages over which the server broke off: they come last.
pub(super) const LAST: &str = "pop-last";

/// A message on the server.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) number: u32,
    pub(super) octets: Option<u64>,
    pub(super) id: Option<Hash>,
    /// The id is another message's too, or may be made of the number.
    pub(super) is_weak: bool,
    /// Its record, and whether its octets were looked at in this session.
    pub(super) claim: Option<(usize, bool)>,
}

/// A message of the session, as far as it is known without its octets.
pub(super) type Name = (u32, Option<Hash>);

/// What a session is at, for when it breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    Listing,
    Ids,
    Header,
    Message(Name),
    Deleting,
}

/// Messages over which the server broke off.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    pub(super) rounds: usize,
    /// In this sync: they come last.
    pub(super) once: HashSet<Name>,
    /// In this sync, twice: they are left for the next.
    pub(super) given_up: HashSet<Name>,
    /// By id, at any time.
    pub(super) last: BTreeSet<Hash>,
}

impl Trouble {
    pub(super) async fn keep(&mut self, local: &Local, before: Option<&Bytes>) -> Result<()> {
        while self.last.len() > 100 {
            self.last.pop_first();
        }
        let value = match self.last.is_empty() {
            true => None,
            false => postcard::to_allocvec(&self.last).ok().map(Bytes::from),
        };
        if value.as_ref() != before {
            let key = LAST.to_owned();
            let set = Operation::SetProperty { key, value };
            let transaction = Transaction::new(local.account).with(set);
            local.commit(transaction).await?;
        }
        Ok(())
    }
}

/// How the session goes on after what is put on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    /// The last message may not be whole until the server has answered something after it.
    AllButLast,
    All,
    /// The last message may not be whole.
    BrokenOff,
}

/// A message that came, and is not on the disk.
pub(super) struct Waiting {
    pub(super) listed: usize,
    pub(super) body: Staged,
    pub(super) summary: Bytes,
    pub(super) print: Print,
}

/// Messages that are here and not in the trash.
pub(super) async fn emails(local: &Local) -> Result<BTreeSet<EmailId>> {
    let mut all = BTreeSet::new();
    for folder in local.folders().await? {
        if folder.special_use.as_deref() == Some("\\Trash") {
            continue;
        }
        let which = Which::After(None);
        let rows = local
            .store
            .messages(folder.id, &which, Want::ROW, usize::MAX)
            .await?
            .rows;
        all.extend(rows.into_iter().map(|row| row.email));
    }
    Ok(all)
}
