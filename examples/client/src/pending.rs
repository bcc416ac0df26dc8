//! What was done here and waits for the server: replayed at the next sync, in order.

use bytes::Bytes;
use mailstore::Operation;
use serde::{Deserialize, Serialize};

use crate::{Local, Result};

/// Something that was done here, and not yet on the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Flags came and went.
    Flags {
        /// In which mailbox.
        mailbox: String,
        /// Of which message.
        uid: u32,
        /// As IMAP writes them.
        add: Vec<String>,
        /// As IMAP writes them.
        remove: Vec<String>,
    },
    /// A message was moved.
    Move {
        /// From where.
        mailbox: String,
        /// Which.
        uid: u32,
        /// Where to.
        to: String,
    },
    /// A message was deleted for good.
    Delete {
        /// From where.
        mailbox: String,
        /// Which.
        uid: u32,
    },
    /// A message was written, or sent.
    Append {
        /// Where to.
        to: String,
        /// Its origin where it waits.
        origin: String,
        /// As IMAP writes them.
        flags: Vec<String>,
        /// It was begun once: whether it came to something has to be looked up first.
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
    /// What waits, in the order it was done, with the key of each.
    ///
    /// # Errors
    /// The store's.
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
        all.pop()
            .ok_or_else(|| mailstore::Error::Damaged("a note").into())
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
