//! Access control lists (RFC 4314).

use bytes::Bytes;
use hikyaku_wire::Output;

use crate::MailboxName;
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::write_astring;
use crate::value::mailbox::mailbox;

/// A set of rights, a letter or digit each.
///
/// ```
/// use hikyaku_imap_proto::Rights;
/// let rights = Rights::parse(b"swrl").unwrap();
/// assert!(rights.contains(b'r') && !rights.contains(b'a'));
/// assert_eq!(rights.to_string(), "lrsw");
/// // RFC 4314 §2.1.1: what RFC 2086 called `d` is three rights now.
/// assert_eq!(Rights::parse(b"d").unwrap().modern().to_string(), "xte");
/// assert_eq!(Rights::parse(b"lx").unwrap().with_obsolete().to_string(), "lxd");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Rights(u64);

/// RFC 4314 §2.1, in its order; what others there are follows.
const ORDER: &[u8] = b"lrswipkxteacdbfghjmnoquvyz0123456789";

impl Rights {
    /// None.
    pub const NONE: Self = Self(0);

    /// All that RFC 4314 §2.1 knows.
    #[must_use]
    pub fn all() -> Self {
        Self::parse(b"lrswipkxtea").unwrap_or_default()
    }

    /// The letters of a string; `None` where one is no right.
    #[must_use]
    pub fn parse(letters: &[u8]) -> Option<Self> {
        let mut each = letters.iter().map(|&letter| bit(letter));
        each.try_fold(Self::NONE, |all, one| Some(Self(all.0 | one?)))
    }

    /// Whether the right is among them.
    #[must_use]
    pub fn contains(self, right: u8) -> bool {
        bit(right).is_some_and(|bit| self.0 & bit != 0)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Both sets.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These but those.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// What is in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// With `k` for the obsolete `c`, and `x`, `t` and `e` for `d` (RFC 4314 §2.1.1).
    #[must_use]
    pub fn modern(self) -> Self {
        let mut all = self;
        for (old, new) in [(b'c', &b"k"[..]), (b'd', b"xte")] {
            if self.contains(old) {
                all = all.without(Self(bit(old).unwrap_or(0)));
                all = all.with(Self::parse(new).unwrap_or_default());
            }
        }
        all
    }

    /// The reverse of [`modern`](Self::modern): with the obsolete `c` and `d` where one of theirs is, as
    /// they have to be sent.
    #[must_use]
    pub fn with_obsolete(self) -> Self {
        let mut all = self;
        for (old, new) in [(b'c', &b"k"[..]), (b'd', b"xte")] {
            if new.iter().any(|&right| self.contains(right)) {
                all = all.with(Self(bit(old).unwrap_or(0)));
            }
        }
        all
    }

    /// The rights, in the order of the RFC.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        ORDER
            .iter()
            .copied()
            .filter(move |&right| self.contains(right))
    }

    pub(crate) fn encode(self, output: &mut Output) {
        if self.is_empty() {
            return output.write(b"\"\"");
        }
        self.iter().for_each(|right| output.write(&[right]));
    }
}

impl core::fmt::Display for Rights {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        use core::fmt::Write as _;
        self.iter()
            .try_for_each(|right| f.write_char(char::from(right)))
    }
}

fn bit(right: u8) -> Option<u64> {
    let at = ORDER.iter().position(|&known| known == right)?;
    Some(1 << at)
}

/// How SETACL changes rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "its parts are the grammar's")]
pub enum AclChange {
    /// These and no others.
    Replace,
    /// `+`: these too.
    Add,
    /// `-`: not these.
    Remove,
}

/// SETACL: gives somebody rights in a mailbox, or takes them away (RFC 4314 §3.1).
///
/// ```
/// use bytes::Buf;
/// use hikyaku_imap_proto::{AclChange, Command, MailboxName, Rights, SetAcl, Tagged};
/// let set = SetAcl {
///     mailbox: MailboxName::new("Team"),
///     identifier: "bob".into(),
///     change: AclChange::Add,
///     rights: Rights::parse(b"lr").unwrap(),
/// };
/// let mut output = hikyaku_wire::Output::new();
/// Tagged { tag: "a1".into(), command: Command::SetAcl(set) }.encode(&mut output);
/// assert_eq!(output.copy_to_bytes(output.len()), "a1 SETACL Team bob +lr\r\n");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct SetAcl {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// The user or the group, as the server names them. With `-` before the name these rights are denied, whatever
    /// others grant (§2).
    pub identifier: Bytes,
    /// Whether the rights replace those there are, are added, or are taken away.
    pub change: AclChange,
    /// The rights.
    pub rights: Rights,
}

/// A mailbox's list: who has which rights (RFC 4314 §3.6).
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Acl {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// Identifiers with their rights.
    pub entries: alloc::vec::Vec<(Bytes, Rights)>,
}

/// The rights that somebody can be given in a mailbox (RFC 4314 §3.7): what a form with a box for each right needs.
///
/// ```
/// use hikyaku_imap_proto::{Limits, Received, Response, Rights};
/// let line = "* LISTRIGHTS INBOX bob la r swicd".into();
/// let received = Received::parse(&line, &Limits::default())?;
/// let Received::Untagged(Response::ListRights(list)) = received else {
///     panic!("another response");
/// };
/// assert_eq!(list.required, Rights::parse(b"la").unwrap());
/// assert_eq!(list.optional.len(), 2, "r alone, and s, w, i, c, d together");
/// # Ok::<(), hikyaku_imap_proto::SyntaxError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct ListRights {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// The user or the group that was asked about.
    pub identifier: Bytes,
    /// The rights that they always have there.
    pub required: Rights,
    /// The rights that they may be given. Those in one set are given and taken together.
    pub optional: alloc::vec::Vec<Rights>,
}

impl SetAcl {
    /// Appends what follows `SETACL `.
    pub(crate) fn encode(&self, output: &mut Output) {
        self.mailbox.encode(output);
        output.write(b" ");
        write_astring(&self.identifier, output);
        output.write(match self.change {
            AclChange::Replace => b" ",
            AclChange::Add => b" +",
            AclChange::Remove => b" -",
        });
        if self.change == AclChange::Replace || !self.rights.is_empty() {
            self.rights.encode(output);
        }
    }
}

impl Acl {
    /// Appends what follows `* ACL `.
    pub(crate) fn encode(&self, output: &mut Output) {
        self.mailbox.encode(output);
        for (identifier, rights) in &self.entries {
            output.write(b" ");
            write_astring(identifier, output);
            output.write(b" ");
            rights.encode(output);
        }
    }
}

impl ListRights {
    /// Appends what follows `* LISTRIGHTS `.
    pub(crate) fn encode(&self, output: &mut Output) {
        self.mailbox.encode(output);
        output.write(b" ");
        write_astring(&self.identifier, output);
        for rights in [self.required].iter().chain(&self.optional) {
            output.write(b" ");
            rights.encode(output);
        }
    }
}

/// Behind `SETACL `.
pub(crate) fn set_acl(cursor: &mut Cursor<'_>) -> Result<SetAcl> {
    let (mailbox, identifier) = named(cursor)?;
    cursor.sp()?;
    let start = cursor.clone();
    let text = cursor.astring()?;
    let (change, letters) = match text.split_first() {
        Some((b'+', rest)) => (AclChange::Add, rest),
        Some((b'-', rest)) => (AclChange::Remove, rest),
        _ => (AclChange::Replace, &text[..]),
    };
    let Some(rights) = Rights::parse(letters) else {
        return start.fail("rights in lower case");
    };
    Ok(SetAcl {
        mailbox,
        identifier,
        change,
        rights,
    })
}

/// `mailbox SP identifier`
pub(crate) fn named(cursor: &mut Cursor<'_>) -> Result<(MailboxName, Bytes)> {
    let mailbox = mailbox(cursor)?;
    cursor.sp()?;
    Ok((mailbox, cursor.astring()?))
}

pub(crate) fn rights(cursor: &mut Cursor<'_>) -> Result<Rights> {
    let start = cursor.clone();
    let text = cursor.astring()?;
    match Rights::parse(&text) {
        Some(rights) => Ok(rights),
        None => start.fail("rights in lower case"),
    }
}

/// Behind `* ACL `.
pub(crate) fn acl(cursor: &mut Cursor<'_>) -> Result<Acl> {
    let mailbox = mailbox(cursor)?;
    let mut entries = alloc::vec::Vec::new();
    while cursor.eat(b' ') && !cursor.is_at_end() {
        let identifier = cursor.astring()?;
        cursor.sp()?;
        entries.push((identifier, rights(cursor)?));
    }
    Ok(Acl { mailbox, entries })
}

/// Behind `* LISTRIGHTS `.
pub(crate) fn list_rights(cursor: &mut Cursor<'_>) -> Result<ListRights> {
    let (mailbox, identifier) = named(cursor)?;
    cursor.sp()?;
    let required = rights(cursor)?;
    let mut optional = alloc::vec::Vec::new();
    while cursor.eat(b' ') && !cursor.is_at_end() {
        optional.push(rights(cursor)?);
    }
    Ok(ListRights {
        mailbox,
        identifier,
        required,
        optional,
    })
}
