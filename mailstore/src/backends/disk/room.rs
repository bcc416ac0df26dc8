//! The room that is left on the disk.

use std::path::PathBuf;

use crate::{Error, Result};

/// How much room there is, and how much has to stay.
#[derive(Debug)]
pub(super) struct Room {
    path: PathBuf,
    least: u64,
}

impl Room {
    /// The room where `path` is, of which `least` octets stay free.
    pub(super) fn new(path: PathBuf, least: u64) -> Self {
        Self { path, least }
    }

    /// Octets that are free for messages.
    pub(super) fn free(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(&self.path).ok()?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        Some(free.saturating_sub(self.least))
    }

    /// Checks that messages of that many octets fit.
    ///
    /// # Errors
    /// [`Error::StorageFull`].
    pub(super) fn admits(&self, octets: u64) -> Result<()> {
        match self.free() {
            Some(free) if free < octets.max(1) => Err(Error::StorageFull),
            _ => Ok(()),
        }
    }
}
