//! Changes made offline, which the next sync replays on the server in order.

use bytes::Bytes;
use hikyaku_mailstore::Operation;
use serde::{Deserialize, Serialize};

use crate::{Local, Result};

/// A change made here and not yet on the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Op {
    /// Flags were added and removed.
    Flags {
        /// The mailbox.
        mailbox: String,
        /// The UID of the message.
        uid: u32,
        /// The flags, as IMAP writes them.
        add: Vec<String>,
        /// The flags, as IMAP writes them.
        remove: Vec<String>,
    },
    /// A message was moved.
    Move {
        /// The mailbox that it was in.
        mailbox: String,
        /// Its UID.
        uid: u32,
        /// The mailbox that it goes to.
        to: String,
    },
    /// A message was deleted for good.
    Delete {
        /// The mailbox that it was in.
        mailbox: String,
        /// Its UID.
        uid: u32,
    },
    /// A message was written, or sent.
    Append {
        /// The mailbox that it goes to.
        to: String,
        /// Its origin in the store.
        origin: String,
        /// The flags, as IMAP writes them.
        flags: Vec<String>,
        /// Whether it was begun once; then the server is searched for it first.
        tried: bool,
    },
}

const PREFIX: &str = "op/";
/// Digits of a change's number in its key.
const DIGITS: usize = 16;

impl Op {
    pub(crate) fn property(&self, key: String) -> Operation {
        let value = postcard::to_allocvec(self).ok().map(Bytes::from);
        Operation::SetProperty { key, value }
    }
}

impl Local {
    /// Lists the waiting changes in order, each with its key.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn ops(&self) -> Result<Vec<(String, Op)>> {
        if self.account == self.side {
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        for account in [self.account, self.side] {
            let properties = self.properties(account).await?;
            let ops = properties
                .into_iter()
                .filter(|(key, _)| key.starts_with(PREFIX));
            all.extend(
                ops.filter_map(|(key, value)| Some((key, postcard::from_bytes(&value).ok()?))),
            );
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(all)
    }

    /// The change that notes one more.
    pub(crate) async fn note(&self, op: &Op) -> Result<Operation> {
        let mut all = self.notes(std::slice::from_ref(op)).await?;
        all.pop().ok_or_else(|| {
            hikyaku_mailstore::Error::Damaged("a note", hikyaku_mailstore::About::Nothing).into()
        })
    }

    /// The changes that note some more, in that order.
    pub(crate) async fn notes(&self, ops: &[Op]) -> Result<Vec<Operation>> {
        let mut last = 0_u64;
        for (key, _) in self.ops().await? {
            last = last.max(number(&key).unwrap_or(0));
        }
        let noted = ops.iter().zip(last + 1..).map(|(op, number)| {
            // Two that are noted in one moment do not take each other's place.
            op.property(format!("{PREFIX}{number:0DIGITS$}-{}", mark()))
        });
        Ok(noted.collect())
    }
}

/// The place of a change among those that wait, by its key.
fn number(key: &str) -> Option<u64> {
    key.strip_prefix(PREFIX)?.get(..DIGITS)?.parse().ok()
}

/// A few letters that are others each time.
fn mark() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let hash = RandomState::new().hash_one(std::time::SystemTime::now());
    format!("{:08x}", hash & 0xffff_ffff)
}
