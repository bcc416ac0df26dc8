//! Search keys: what a message must have.

use crate::{EmailId, Flags, ModSeq, ThreadId, UidSet};

/// What a message must have to be found. Texts match without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Key {
    /// Every message.
    All,
    /// All of these flags; with `false`, none of them.
    Flags(Flags, bool),
    /// One of these UIDs.
    Uids(UidSet),
    /// More octets than this.
    Larger(u64),
    /// Fewer octets than this.
    Smaller(u64),
    /// When it was received: the day of INTERNALDATE in its own zone, in days since 1970.
    Received(When, i64),
    /// When it was sent: the day of its Date field in that field's zone, in days since 1970.
    Sent(When, i64),
    /// Received at that moment or earlier, in seconds since 1970.
    ReceivedUntil(i64),
    /// When it was put into the mailbox: the day in UTC, in days since 1970. A row without
    /// [`saved`](crate::Row::saved) never matches.
    Saved(When, i64),
    /// Changed at this mod-sequence or later.
    Modified(ModSeq),
    /// This EMAILID.
    Email(EmailId),
    /// This THREADID.
    Thread(ThreadId),
    /// A header field of that name holds the text; an empty text matches any such field.
    Header(String, String),
    /// The body holds the text.
    Body(String),
    /// The header section or the body holds the text.
    Text(String),
    /// The key does not match.
    Not(Box<Self>),
    /// All of the keys match.
    And(Vec<Self>),
    /// At least one of the keys matches.
    Or(Vec<Self>),
}

/// How a day compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum When {
    /// Earlier.
    Before,
    /// That day.
    On,
    /// That day or later.
    Since,
}

impl When {
    pub(super) fn holds(self, day: i64, than: i64) -> bool {
        match self {
            Self::Before => day < than,
            Self::On => day == than,
            Self::Since => day >= than,
        }
    }
}

impl Key {
    /// No message outside of these has it.
    pub(super) fn bounds(&self) -> UidSet {
        match self {
            Self::Uids(uids) => uids.clone(),
            Self::And(keys) => {
                let bounds = keys.iter().map(Self::bounds);
                bounds.fold(UidSet::all(), |all, one| all.intersection(&one))
            }
            _ => UidSet::all(),
        }
    }
}
