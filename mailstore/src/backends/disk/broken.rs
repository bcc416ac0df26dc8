//! That changes are refused, and until when.

use std::time::{Duration, Instant};

/// The store takes no changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Broken {
    /// Not before this is it tried again.
    pub(super) again: Instant,
    pub(super) pause: Duration,
}
