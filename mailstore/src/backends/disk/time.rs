//! Times as the database keeps them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// [`never`](crate::never), as the database keeps it.
pub(super) const NEVER: i64 = 253_402_300_799_000;

/// A time as the database keeps it: milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn from_millis(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_is_kept_as_it_is() {
        assert_eq!(millis(crate::never()), NEVER);
        assert_eq!(from_millis(NEVER), crate::never());
    }
}
