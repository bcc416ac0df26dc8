//! The time of day, which tests may set.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// Says what time it is, for how long a policy holds and for which day a session is counted.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// Creates a clock that shows what `now` returns.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Returns seconds since 1970.
    pub(crate) fn seconds(&self) -> i64 {
        let since = (self.0)().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
    }
}

impl Default for Clock {
    /// Creates the system's clock.
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.seconds()).finish()
    }
}
