//! The room that is left on the disk.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::connections::lock;
use crate::{Error, Result};

/// More than is written within [`FRESH`].
const PLENTY: u64 = 1 << 30;
/// How long a measurement is used again where there is plenty: every message asks.
const FRESH: Duration = Duration::from_millis(20);

/// How much room there is, and how much has to stay.
#[derive(Debug)]
pub(super) struct Room {
    path: PathBuf,
    least: u64,
    /// When it was looked for last, and what was found.
    last: Mutex<Option<(Instant, u64)>>,
}

impl Room {
    /// The room where `path` is, of which `least` octets stay free.
    pub(super) fn new(path: PathBuf, least: u64) -> Self {
        Self {
            path,
            least,
            last: Mutex::default(),
        }
    }

    /// Octets that are free for messages.
    pub(super) fn free(&self) -> Option<u64> {
        let mut last = lock(&self.last);
        if let Some((when, free)) = *last
            && free > PLENTY
            && when.elapsed() < FRESH
        {
            return Some(free);
        }
        let found = rustix::fs::statvfs(&self.path).ok()?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        let free = free.saturating_sub(self.least);
        *last = Some((Instant::now(), free));
        Some(free)
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
