//! What a recipient costs that is not here.

use std::time::Duration;

/// As much as so many give back that are here and get a message: a list with a few dead addresses never reaches the limit.
pub(super) const UNKNOWN: u32 = 10;
/// What limits by the hour count in.
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
/// What each limit counts; there is one kind in each.
pub(super) const ALL: u8 = 0;
