//! What numbers of messages are: sequence numbers or UIDs (RFC 9051 §2.3.1).

use core::fmt;
use core::num::NonZeroU32;

use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::nz_number;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// The one of that number; `None` for 0, which none has.
            #[must_use]
            pub const fn new(number: u32) -> Option<Self> {
                match NonZeroU32::new(number) {
                    Some(number) => Some(Self(number)),
                    None => None,
                }
            }

            /// Its number.
            #[must_use]
            pub const fn get(self) -> u32 {
                self.0.get()
            }
        }

        impl fmt::Debug for $name {
            /// The number alone, as numbers of the standard library that are not zero have it.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<NonZeroU32> for $name {
            fn from(number: NonZeroU32) -> Self {
                Self(number)
            }
        }

        impl From<$name> for NonZeroU32 {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

number! {
    /// A unique identifier of a message (RFC 9051 §2.3.1.1): never used again in its mailbox under one
    /// UIDVALIDITY.
    ///
    /// ```
    /// use hikyaku_imap_proto::Uid;
    /// let uids: Vec<Uid> = [4, 7, 0].into_iter().filter_map(Uid::new).collect();
    /// assert_eq!(uids.last().map(ToString::to_string), Some("7".to_owned()));
    /// ```
    Uid
}

number! {
    /// A message sequence number (RFC 9051 §2.3.1.2): a position in the selected mailbox, the first is 1.
    /// It changes when messages before it go.
    SequenceNumber
}

impl SequenceNumber {
    /// The number of what stands at that index of a list; `None` beyond 4294967294.
    pub(crate) fn at(index: usize) -> Option<Self> {
        Self::new(u32::try_from(index).ok()?.checked_add(1)?)
    }

    /// The index in a list of what has it.
    pub(crate) fn index(self) -> usize {
        usize::try_from(self.get() - 1).unwrap_or(usize::MAX)
    }
}

/// Reads a UID.
pub(crate) fn uid(cursor: &mut Cursor<'_>) -> Result<Uid> {
    let number = cursor.take(nz_number)?;
    Uid::new(number).map_or_else(|| cursor.fail("a UID"), Ok)
}

/// What the numbers of a command, or of a result, are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::exhaustive_enums, reason = "RFC 9051 §2.3.1 has these two")]
pub enum Numbers {
    /// Message sequence numbers: positions in the selected mailbox, which change when messages go.
    #[default]
    Sequence,
    /// Unique identifiers, which stay.
    Uid,
}

impl Numbers {
    /// Whether they are UIDs.
    #[must_use]
    pub const fn is_uid(self) -> bool {
        matches!(self, Self::Uid)
    }

    /// UIDs where that is so, else sequence numbers.
    #[must_use]
    pub(crate) const fn uids(are: bool) -> Self {
        if are { Self::Uid } else { Self::Sequence }
    }
}
