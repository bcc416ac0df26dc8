//! What the server says it can do (RFC 9051 §6.1.1, §7.2.2).

use alloc::vec::Vec;
use bytes::Bytes;

use crate::Literals;

/// So many are kept: each question looks at all.
const MOST: usize = 500;

/// The capabilities of a server, as it said last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities(Vec<Bytes>);

impl Capabilities {
    pub(crate) fn new(mut all: Vec<Bytes>) -> Self {
        all.truncate(MOST);
        Self(all)
    }

    /// More lines of the same answer.
    pub(super) fn add(&mut self, more: Vec<Bytes>) {
        self.0.extend(more);
        self.0.truncate(MOST);
    }

    /// Whether it has that one; `AUTH=PLAIN` is one.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|one| one.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// All, as they were sent.
    #[must_use]
    pub fn all(&self) -> &[Bytes] {
        &self.0
    }

    /// SASL mechanisms, as they were sent.
    pub fn mechanisms(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter_map(|one| {
            let (head, name) = one.split_at_checked(5)?;
            head.eq_ignore_ascii_case(b"AUTH=").then_some(name)
        })
    }

    /// MOVE (RFC 6851; part of IMAP4rev2).
    #[must_use]
    pub fn can_move(&self) -> bool {
        self.has("MOVE") || self.has("IMAP4rev2")
    }

    /// UIDPLUS (RFC 4315; part of IMAP4rev2): UID EXPUNGE, APPENDUID and COPYUID.
    #[must_use]
    pub fn has_uid_plus(&self) -> bool {
        self.has("UIDPLUS") || self.has("IMAP4rev2")
    }

    /// CONDSTORE (RFC 7162), which QRESYNC implies.
    #[must_use]
    pub fn has_condstore(&self) -> bool {
        self.has("CONDSTORE") || self.has("QRESYNC")
    }

    /// What it can do about literals.
    #[must_use]
    pub fn literals(&self) -> Literals {
        if self.has("LITERAL+") {
            Literals::NonSynchronizing
        } else if self.has("LITERAL-") || self.has("IMAP4rev2") {
            Literals::Short
        } else {
            Literals::Synchronizing
        }
    }
}
