//! `[store]`: where mail is kept.

use serde::Deserialize;

use super::error::Wrong;
use super::size::Size;

/// `[store]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Store {
    /// The backend.
    pub kind: StoreKind,
    /// For `postgres`.
    pub url: Option<String>,
    /// Whether searches keep an index of texts beside the store.
    pub text_index: bool,
    /// Octets to keep free on the disk; new messages are refused before they would take them.
    pub min_free: Size,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            kind: StoreKind::default(),
            url: None,
            text_index: true,
            min_free: Size(128 << 20),
        }
    }
}

/// What keeps the mail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum StoreKind {
    #[default]
    Disk,
    Memory,
    Maildir,
    Postgres,
}

impl Store {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        match self.kind {
            StoreKind::Disk | StoreKind::Memory => Ok(()),
            StoreKind::Maildir | StoreKind::Postgres => Err((
                "kind",
                "not yet: this store does not exist so far, use \"disk\"".into(),
            )),
        }
    }
}
