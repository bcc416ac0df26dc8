//! Identifiers: all are allocated inside the commit that makes them visible.

use std::fmt;
use std::num::NonZeroU32;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(clippy::exhaustive_structs, reason = "a name is its number")]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// An account: a login and what it owns. [`AccountId::SYSTEM`] owns what the server itself sends.
    AccountId(u64)
}
id! {
    /// A message of a mailbox (RFC 9051 §2.3.1.1): never used again under one UIDVALIDITY.
    Uid(NonZeroU32)
}
id! {
    /// Which life of a mailbox name its UIDs belong to (RFC 9051 §2.3.1.1).
    UidValidity(NonZeroU32)
}
id! {
    /// The state of an account after a commit: one counter an account, 63 bits (RFC 7162).
    ModSeq(u64)
}
id! {
    /// EMAILID (RFC 8474): kept by COPY and MOVE, unique in its account.
    EmailId(u64)
}
id! {
    /// THREADID (RFC 8474).
    ThreadId(u64)
}
id! {
    /// A body at rest, unique in its store.
    BodyId(u64)
}
id! {
    /// An entry of the relay queue, unique in its store.
    QueueId(u64)
}

impl AccountId {
    /// The server itself: it owns queue entries alone.
    pub const SYSTEM: Self = Self(0);
}

impl Uid {
    /// Creates the UID of that number; `None` for 0, which is no UID (RFC 9051 §2.3.1.1).
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// Returns the number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl UidValidity {
    /// Creates the UIDVALIDITY of that number; `None` for 0, which is no UIDVALIDITY.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// Returns the number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

/// A mailbox, stable when it is renamed (MAILBOXID, RFC 8474).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_structs, reason = "backends make it")]
pub struct MailboxId {
    /// The account that it belongs to.
    pub account: AccountId,
    /// Its number there, never used again.
    pub number: u32,
}
