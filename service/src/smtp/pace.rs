//! The pace at which a message arrives.

use std::time::Duration;
use tokio::time::Instant;

/// How quickly a message comes.
pub(super) struct Pace {
    since: Instant,
    pub(super) octets: u64,
}

impl Pace {
    /// How long a message may come more slowly than it must.
    const HEAD_START: Duration = Duration::from_secs(300);
    /// Octets a second.
    const RATE: u64 = 512;

    pub(super) fn begin() -> Self {
        Self {
            since: Instant::now(),
            octets: 0,
        }
    }

    /// Counts what came; whether that was in time.
    pub(super) fn keeps(&mut self, octets: usize) -> bool {
        self.octets = self.octets.saturating_add(octets as u64);
        let may = Self::HEAD_START + Duration::from_secs(self.octets / Self::RATE);
        self.since.elapsed() < may
    }
}
