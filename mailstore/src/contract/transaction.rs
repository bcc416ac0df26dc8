//! Changes: a transaction is all or nothing.

use bytes::Bytes;
use std::time::SystemTime;

use crate::{
    AccountId, BodyRef, EmailId, Flags, MailboxId, ModSeq, QueueId, Staged, ThreadId, Uid, UidSet,
    UidValidity,
};

/// Operations on one account, committed together or not at all.
///
/// ```
/// use hikyaku_mailstore::{AccountId, Operation, Transaction};
/// let create = Transaction::new(AccountId(1)).with(Operation::Create {
///     name: "Sent".into(),
///     special_use: Some("\\Sent".into()),
///     uid_validity: None,
/// });
/// # let _ = create;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Transaction {
    /// The account that it changes.
    pub account: AccountId,
    /// What must hold when it is committed; otherwise nothing is done.
    pub requirements: Vec<Requirement>,
    /// What is done, in order.
    pub operations: Vec<Operation>,
}

/// What must hold when the transaction is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Requirement {
    /// The mailbox still has this UIDVALIDITY.
    UidValidity(MailboxId, UidValidity),
    /// Nothing in the account has changed since this mod-sequence.
    Unchanged(ModSeq),
    /// The mailbox holds no message.
    Empty(MailboxId),
}

/// How flags change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlagChange {
    /// Sets these flags and clears all others.
    Set(Flags),
    /// Sets these flags, and leaves the others.
    Add(Flags),
    /// Clears these flags, and leaves the others.
    Remove(Flags),
}

/// A message to append.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Append {
    /// The mailbox it is added to.
    pub mailbox: MailboxId,
    /// Its octets.
    pub body: Staged,
    /// Its flags.
    pub flags: Flags,
    /// INTERNALDATE: seconds since 1970, zone in minutes.
    pub received: (i64, i16),
    /// What an indexer computed.
    pub summary: Bytes,
    /// Its name from where it came, up to 64 octets: appended again it is not doubled.
    pub origin: Option<Bytes>,
    /// A UID not below UIDNEXT, when a copy is restored.
    pub uid: Option<Uid>,
    /// Its identity, when a copy is restored.
    pub identity: Option<(EmailId, ThreadId)>,
}

impl Append {
    /// Creates a new message, without flags.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// let mut stage = store.stage().await?;
    /// stage.write("Subject: hello\r\n\r\n".into()).await?;
    /// // Received in November 2023, in UTC.
    /// let mut append = Append::new(inbox.id, stage.finish().await?, (1_700_000_000, 0));
    /// append.flags = Flags::SEEN;
    /// store.commit(Transaction::new(alice).with(Operation::Append(Box::new(append)))).await?;
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn new(mailbox: MailboxId, body: Staged, received: (i64, i16)) -> Self {
        Self {
            mailbox,
            body,
            flags: Flags::NONE,
            received,
            summary: Bytes::new(),
            origin: None,
            uid: None,
            identity: None,
        }
    }
}

/// One change.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Operation {
    /// Adds a message. Its outcome is [`Outcome::Appended`] or [`Outcome::Existed`].
    Append(Box<Append>),
    /// Changes flags. Its outcome is [`Outcome::Flagged`].
    Flags {
        /// The mailbox they are in.
        mailbox: MailboxId,
        /// The messages; those that do not exist are passed over.
        uids: UidSet,
        /// What becomes of the flags.
        change: FlagChange,
        /// Only messages not changed after this (RFC 7162 UNCHANGEDSINCE).
        unchanged_since: Option<ModSeq>,
    },
    /// Copies messages, also into another account's mailbox. Its outcome is [`Outcome::Copied`].
    Copy {
        /// The mailbox they are in.
        from: MailboxId,
        /// The messages.
        uids: UidSet,
        /// The mailbox they get into.
        to: MailboxId,
    },
    /// Moves messages. Its outcome is [`Outcome::Copied`].
    Move {
        /// The mailbox they are in.
        from: MailboxId,
        /// The messages.
        uids: UidSet,
        /// The mailbox they get into.
        to: MailboxId,
    },
    /// Removes messages. Its outcome is [`Outcome::Expunged`].
    Expunge {
        /// The mailbox they are in.
        mailbox: MailboxId,
        /// The messages; those that do not exist are passed over.
        uids: UidSet,
        /// Only those with `\Deleted`.
        deleted_only: bool,
    },
    /// Creates a mailbox. Its outcome is [`Outcome::Created`].
    Create {
        /// Its name.
        name: String,
        /// Its special-use attribute.
        special_use: Option<String>,
        /// Its UIDVALIDITY, when a copy is restored.
        uid_validity: Option<UidValidity>,
    },
    /// Gives a mailbox, and all below it, another name.
    Rename {
        /// The mailbox.
        mailbox: MailboxId,
        /// Its new name.
        to: String,
    },
    /// Removes a mailbox with its messages; what is below it stays.
    Delete(MailboxId),
    /// Adds or removes a subscription; the name need not exist.
    Subscribe {
        /// The mailbox name.
        name: String,
        /// Whether it is subscribed from now on.
        subscribed: bool,
    },
    /// Sets what the account may hold; what it holds already stays.
    SetQuota {
        /// The most octets.
        octets: Option<u64>,
        /// The most messages.
        messages: Option<u64>,
    },
    /// Sets or removes a property of the account.
    SetProperty {
        /// Its key.
        key: String,
        /// Its value; `None` removes it.
        value: Option<Bytes>,
    },
    /// Sets or removes a property of a mailbox, which counts as a change of it.
    SetMailboxProperty {
        /// The mailbox.
        mailbox: MailboxId,
        /// Its key.
        key: String,
        /// Its value; `None` removes it.
        value: Option<Bytes>,
    },
    /// Queues a message to be handed on. Its outcome is [`Outcome::Enqueued`].
    Enqueue {
        /// When it is to be tried first.
        due: SystemTime,
        /// Where it goes.
        next_hop: String,
        /// The message.
        body: Staged,
        /// Opaque.
        envelope: Bytes,
    },
    /// Ends a claim: `Some` tries again at that time with that envelope, `None` removes the entry.
    Settle {
        /// The entry.
        id: QueueId,
        /// The claim's proof; an expired claim fails the transaction.
        token: u64,
        /// When and what next.
        again: Option<(SystemTime, Bytes)>,
    },
}

/// The outcome of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// A new message.
    Appended {
        /// Its UID.
        uid: Uid,
        /// The UIDVALIDITY it belongs to.
        uid_validity: UidValidity,
        /// Where it lies.
        body: BodyRef,
    },
    /// The origin is known: nothing was added.
    Existed {
        /// The UID it got then.
        uid: Uid,
        /// The UIDVALIDITY it belongs to.
        uid_validity: UidValidity,
    },
    /// Flags were changed.
    Flagged {
        /// Those that were changed or were so already.
        changed: UidSet,
        /// Those that `unchanged_since` kept from being changed.
        modified: UidSet,
    },
    /// Messages were copied or moved: their old and new UIDs.
    Copied {
        /// The UIDVALIDITY of the new ones.
        uid_validity: UidValidity,
        /// Ascending by the old.
        pairs: Vec<(Uid, Uid)>,
    },
    /// What was removed.
    Expunged(UidSet),
    /// A new mailbox.
    Created {
        /// Its number.
        id: MailboxId,
        /// Its UIDVALIDITY.
        uid_validity: UidValidity,
    },
    /// A new queue entry.
    Enqueued(QueueId),
    /// It is done.
    Done,
}

/// The outcomes of a commit, which is on stable storage.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "backends make it")]
pub struct Committed {
    /// The account's state after it.
    pub at: ModSeq,
    /// Other accounts that messages were copied into, and their state.
    pub also: Vec<(AccountId, ModSeq)>,
    /// One for each operation.
    pub outcomes: Vec<Outcome>,
}

impl Transaction {
    /// Creates an empty transaction.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// let nothing = Transaction::new(alice);
    /// assert!(store.commit(nothing).await?.outcomes.is_empty());
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn new(account: AccountId) -> Self {
        Self {
            account,
            requirements: Vec::new(),
            operations: Vec::new(),
        }
    }

    /// Adds an operation.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// let create = |name: &str| Operation::Create {
    ///     name: name.into(),
    ///     special_use: None,
    ///     uid_validity: None,
    /// };
    /// // Both, or none of them.
    /// let both = Transaction::new(alice).with(create("Sent")).with(create("Drafts"));
    /// assert_eq!(store.commit(both).await?.outcomes.len(), 2);
    /// # let _ = (&store, alice, &inbox, &row);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn with(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// Adds a requirement.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/inbox.rs")); }
    /// # use hikyaku_mailstore::*;
    /// # block_on(async {
    /// # let (store, alice, inbox, row) = doc::inbox().await?;
    /// // Only while nobody has put anything into it.
    /// let delete = Transaction::new(alice)
    ///     .requiring(Requirement::Empty(inbox.id))
    ///     .with(Operation::Create { name: "Other".into(), special_use: None, uid_validity: None });
    /// assert!(store.commit(delete).await.is_err());
    /// # let _ = row;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn requiring(mut self, requirement: Requirement) -> Self {
        self.requirements.push(requirement);
        self
    }
}
