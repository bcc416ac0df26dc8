//! What a store returns: accounts, mailboxes, rows of messages, changes.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::BitOr;
use std::time::{Duration, SystemTime};

use crate::{
    AccountId, BodyId, Claim, EmailId, Flags, MailboxId, ModSeq, QueueId, ThreadId, Uid, UidSet,
    UidValidity,
};

/// What an account may hold and holds. Octets count each message once for each mailbox it is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
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
    /// Returns whether `octets` in `messages` more fit.
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
    /// The lowest UID that the next message can get.
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
    /// Opaque to the store: access list, annotations. [`Store::mailboxes`](crate::Store::mailboxes) returns
    /// them.
    pub properties: BTreeMap<String, Bytes>,
}

impl Account {
    /// Creates a new account, without properties or limits.
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
    /// Creates an empty mailbox, made at that mod-sequence.
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
#[allow(clippy::exhaustive_structs, reason = "backends make it")]
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
#[allow(clippy::exhaustive_structs, reason = "backends make it")]
pub struct BodyRef {
    /// Identifies the body.
    pub id: BodyId,
    /// Its size in octets.
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
    /// When it was put into this mailbox, in seconds since 1970 (SAVEDATE, RFC 8514); `None` for a message that
    /// was there before the store kept this date.
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
    /// Creates a row without flags, dates or a summary, whose EMAILID and THREADID are 0.
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

/// Which rows [`Store::messages`](crate::Store::messages) reads.
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

/// Which columns that cost extra are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Want(u8);

impl Want {
    /// The row alone.
    pub const ROW: Self = Self(0);
    /// Its summary too.
    pub const SUMMARY: Self = Self(1);

    /// Returns whether `other` is wanted.
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
#[allow(clippy::exhaustive_structs, reason = "backends make it")]
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
#[allow(clippy::exhaustive_enums, reason = "backends make it")]
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

/// Returns the time of a queue entry that is parked: no clock makes it due and none brings it forward. Only a claim by its
/// number takes it ([`Claim::only`](crate::Claim::only)).
#[must_use]
pub fn never() -> SystemTime {
    // The end of the year 9999, which every system's clock can say.
    SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799)
}

/// How many entries the relay queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct QueueLength {
    /// Entries that nobody has claimed, and that are due.
    pub due: u64,
    /// Entries that nobody has claimed, and that are due later.
    pub waiting: u64,
    /// Entries that somebody holds.
    pub claimed: u64,
    /// Entries that are parked ([`never()`]).
    pub parked: u64,
    /// The entry that was queued first, of those that are not parked.
    pub oldest: Option<QueueId>,
}

impl QueueLength {
    /// Counts one more entry, as it is at that time. Entries come by their numbers.
    pub fn add(&mut self, entry: &QueueEntry, now: SystemTime) {
        if entry.is_parked() {
            self.parked += 1;
            return;
        }
        match entry.token != 0 && entry.due > now {
            true => self.claimed += 1,
            false if entry.due <= now => self.due += 1,
            false => self.waiting += 1,
        }
        self.oldest.get_or_insert(entry.id);
    }
}

/// An entry of the relay queue: a message that waits to be handed on to one next hop.
///
/// [`Operation::Enqueue`](crate::Operation::Enqueue) makes one, [`Store::claim`](crate::Store::claim) leases it, and
/// [`Operation::Settle`](crate::Operation::Settle) removes it or puts it off.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueEntry {
    /// Identifies the entry, in its store.
    pub id: QueueId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// Where the message goes, opaque to the store. Entries with an equal one are claimed few at a time.
    pub next_hop: String,
    /// The message.
    pub body: BodyRef,
    /// Opaque to the store: paths, attempts, expiry.
    pub envelope: Bytes,
    /// When the entry is due; while it is claimed, when the claim ends.
    pub due: SystemTime,
    /// Proof of the claim, for [`Operation::Settle`](crate::Operation::Settle): different for each claim, and 0 when
    /// nobody has claimed the entry.
    pub token: u64,
}

impl QueueEntry {
    /// Creates an entry that nobody has claimed, with an empty envelope.
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

    /// Returns whether the entry waits until somebody claims it by its number ([`never()`]).
    #[must_use]
    pub fn is_parked(&self) -> bool {
        self.due == never()
    }

    /// Returns whether a claim may take the entry, as far as it depends on the entry alone.
    #[must_use]
    pub fn may_be_claimed(&self, claim: &Claim) -> bool {
        let is_due = self.due <= claim.now && !self.is_parked();
        match &claim.only {
            None => is_due,
            Some(only) => only.contains(&self.id) && (self.token == 0 || is_due),
        }
    }

    /// Returns whether that owner ([`Claim::owner`](crate::Claim#structfield.owner)) has claimed the entry and not
    /// settled it since.
    #[must_use]
    pub fn is_held_by(&self, owner: u32) -> bool {
        crate::contract::claim::is_held_by(owner, self.token)
    }
}
