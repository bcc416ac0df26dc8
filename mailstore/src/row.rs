//! What a store tells: accounts, mailboxes, rows of messages, changes.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::BitOr;
use std::time::SystemTime;

use crate::{
    AccountId, BodyId, EmailId, Flags, MailboxId, ModSeq, QueueId, ThreadId, Uid, UidSet,
    UidValidity,
};

/// What an account may hold and holds. Octets count each message once for each mailbox it is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// The most octets, when there is a limit.
    pub octets: Option<u64>,
    /// The most messages, when there is a limit.
    pub messages: Option<u64>,
    /// The octets held.
    pub used_octets: u64,
    /// The messages held.
    pub used_messages: u64,
}

impl Quota {
    /// Whether `octets` in `messages` more fit.
    #[must_use]
    pub fn admits(&self, octets: u64, messages: u64) -> bool {
        let fits = |limit: Option<u64>, used: u64, more: u64| {
            limit.is_none_or(|limit| used.saturating_add(more) <= limit)
        };
        fits(self.octets, self.used_octets, octets)
            && fits(self.messages, self.used_messages, messages)
    }
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// Its number.
    pub id: AccountId,
    /// Its name, unique in the store: in a mail server, the address.
    pub name: String,
    /// The state this was read at.
    pub at: ModSeq,
    /// What it may hold and holds.
    pub quota: Quota,
    /// Opaque to the store: password verifier, settings.
    pub properties: BTreeMap<String, Bytes>,
}

/// A mailbox and its counters.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mailbox {
    /// Its number, kept when it is renamed.
    pub id: MailboxId,
    /// Its name in UTF-8; `/` separates the levels.
    pub name: String,
    /// Rises whenever a name is created again.
    pub uid_validity: UidValidity,
    /// What the next message gets, at least.
    pub uid_next: u32,
    /// The last change of it or of anything in it.
    pub highest: ModSeq,
    /// Changes up to here are forgotten.
    pub horizon: ModSeq,
    /// Messages in it.
    pub messages: u32,
    /// Those without `\Seen`.
    pub unseen: u32,
    /// Those with `\Deleted`.
    pub deleted: u32,
    /// Octets in it.
    pub octets: u64,
    /// Its special-use attribute (RFC 6154), such as `\Sent`.
    pub special_use: Option<String>,
    /// Opaque to the store: access list, annotations. [`Store::mailboxes`](crate::Store::mailboxes) tells
    /// them.
    pub properties: BTreeMap<String, Bytes>,
}

impl Account {
    /// An account without properties or limits, at its beginning.
    #[must_use]
    pub fn new(id: AccountId, name: String) -> Self {
        Self {
            id,
            name,
            at: ModSeq(0),
            quota: Quota::default(),
            properties: BTreeMap::new(),
        }
    }
}

impl Mailbox {
    /// An empty mailbox, made at that mod-sequence.
    #[must_use]
    pub fn new(id: MailboxId, name: String, uid_validity: UidValidity, made: ModSeq) -> Self {
        Self {
            id,
            name,
            uid_validity,
            uid_next: 1,
            highest: made,
            horizon: made,
            messages: 0,
            unseen: 0,
            deleted: 0,
            octets: 0,
            special_use: None,
            properties: BTreeMap::new(),
        }
    }

    /// Counts a message with those flags in or out.
    pub(crate) fn count(&mut self, flags: &Flags, comes: bool) {
        let step = |counter: &mut u32, counts: bool| {
            if counts {
                *counter = if comes {
                    counter.saturating_add(1)
                } else {
                    counter.saturating_sub(1)
                };
            }
        };
        step(&mut self.unseen, !flags.contains(&Flags::SEEN));
        step(&mut self.deleted, flags.contains(&Flags::DELETED));
    }
}

/// The mailboxes of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailboxes {
    /// The state this was read at.
    pub at: ModSeq,
    /// Sorted by name.
    pub mailboxes: Vec<Mailbox>,
    /// Subscribed names, sorted; they need not exist.
    pub subscribed: Vec<String>,
}

/// Where a body lies. It can be read for as long as a row names it, and a grace time longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyRef {
    /// Which.
    pub id: BodyId,
    /// Its octets.
    pub octets: u64,
}

/// A message as a mailbox lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// Its UID.
    pub uid: Uid,
    /// Its last change.
    pub modified: ModSeq,
    /// Its flags.
    pub flags: Flags,
    /// When it was received (INTERNALDATE), in seconds since 1970, and the zone in minutes.
    pub received: (i64, i16),
    /// When it was put into this mailbox, in seconds since 1970 (SAVEDATE, RFC 8514); `None` for one that
    /// was there before that was kept.
    pub saved: Option<i64>,
    /// Its EMAILID.
    pub email: EmailId,
    /// Its THREADID.
    pub thread: ThreadId,
    /// Its octets at rest; its size is [`BodyRef::octets`].
    pub body: BodyRef,
    /// What was computed from it on append; empty unless asked for with [`Want::SUMMARY`].
    pub summary: Bytes,
}

impl Row {
    /// A row without flags, dates, summary, whose EMAILID and THREADID are 0.
    #[must_use]
    pub fn new(uid: Uid, modified: ModSeq, body: BodyRef) -> Self {
        Self {
            uid,
            modified,
            flags: Flags::NONE,
            received: (0, 0),
            saved: None,
            email: EmailId(0),
            thread: ThreadId(0),
            body,
            summary: Bytes::new(),
        }
    }
}

/// Which rows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Which {
    /// Those UIDs, ascending.
    Uids(UidSet),
    /// All with a larger UID (all, for `None`), ascending.
    After(Option<Uid>),
    /// The newest first, from below that UID (from the top, for `None`).
    NewestBefore(Option<Uid>),
    /// The message that was appended with this origin.
    Origin(Bytes),
}

impl Which {
    /// What of them comes behind a row of that UID.
    #[must_use]
    pub(crate) fn behind(self, uid: Uid) -> Self {
        match self {
            Self::Uids(uids) => Self::Uids(uids.above(uid)),
            Self::After(_) => Self::After(Some(uid)),
            Self::NewestBefore(_) => Self::NewestBefore(Some(uid)),
            // There is one at most.
            Self::Origin(_) => Self::Uids(UidSet::new()),
        }
    }
}

/// Which columns cost extra.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Want(u8);

impl Want {
    /// The row alone.
    pub const ROW: Self = Self(0);
    /// Its summary too.
    pub const SUMMARY: Self = Self(1);

    /// Whether `other` is wanted.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Want {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Some of the rows asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The state this was read at.
    pub at: ModSeq,
    /// In the order asked for.
    pub rows: Vec<T>,
    /// Whether there are more behind the last.
    pub more: bool,
}

/// What came since a mod-sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Applied to the state at `since` it gives the state at `at`.
    Known {
        /// The state this leads to.
        at: ModSeq,
        /// What is new or changed, ascending by UID.
        rows: Vec<Row>,
        /// What is gone.
        vanished: UidSet,
    },
    /// `since` lies before the horizon: read everything again.
    TooOld {
        /// What is remembered begins here.
        horizon: ModSeq,
    },
}

/// A message that waits to be handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueEntry {
    /// Its number.
    pub id: QueueId,
    /// Whose it is.
    pub account: AccountId,
    /// Where it goes: opaque to the store, entries with the same one are claimed few at a time.
    pub next_hop: String,
    /// The message.
    pub body: BodyRef,
    /// Opaque to the store: paths, attempts, expiry.
    pub envelope: Bytes,
    /// When it was due, or until when its claim holds.
    pub due: SystemTime,
    /// Proof of the claim, for [`crate::Operation::Settle`]; another for each claim.
    pub token: u64,
}

impl QueueEntry {
    /// An entry that nobody has claimed, without an envelope.
    #[must_use]
    pub fn new(
        id: QueueId,
        account: AccountId,
        next_hop: String,
        body: BodyRef,
        due: SystemTime,
    ) -> Self {
        Self {
            id,
            account,
            next_hop,
            body,
            envelope: Bytes::new(),
            due,
            token: 0,
        }
    }

    /// Whether that owner has claimed it ([`Claim::owner`](crate::Claim::owner)) and not settled it since.
    #[must_use]
    pub fn is_held_by(&self, owner: u32) -> bool {
        crate::claim::is_held_by(owner, self.token)
    }
}
