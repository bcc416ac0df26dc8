//! Names accepted messages, for logs and Received fields.

use std::sync::atomic::{AtomicU64, Ordering};

/// A name that no other message has.
pub(super) fn queue_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = since.map_or(0, |since| since.as_micros());
    format!("{now:x}.{:x}", NEXT.fetch_add(1, Ordering::Relaxed))
}
