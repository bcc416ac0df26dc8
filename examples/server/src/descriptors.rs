//! File descriptors: every connection is one, and the store, DNS and the relay need some, too.

use rustix::process::{Resource, getrlimit, setrlimit};
use tracing::{debug, warn};

/// Those that connections never take: for the store and its readers, the listeners, DNS and mail that goes out.
const KEPT: u64 = 192;

/// Raises the limit as far as the system lets a process raise it, and returns it.
fn raise() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit {
            current: limit.maximum,
            ..limit
        };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit.current = limit.maximum,
            Err(error) => warn!(%error, "the limit of file descriptors could not be raised"),
        }
    }
    limit.current.unwrap_or(u64::MAX)
}

/// How many connections there may be: as many as `wanted`, if there are descriptors for so many.
pub(crate) fn connections(wanted: usize) -> usize {
    let descriptors = raise();
    let possible = possible(descriptors);
    if possible < wanted {
        warn!(
            descriptors,
            connections = possible,
            "the limit of file descriptors allows fewer connections than `connections` in [limits]: raise it (LimitNOFILE= in a systemd unit)"
        );
    } else {
        debug!(descriptors, connections = wanted, "file descriptors");
    }
    wanted.min(possible)
}

/// A connection may have a message on its way into a file.
fn possible(descriptors: u64) -> usize {
    let connections = (descriptors.saturating_sub(KEPT) / 2).max(descriptors / 4);
    usize::try_from(connections).unwrap_or(usize::MAX).max(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        let rows = [(64, 16), (256, 64), (1024, 416), (20_000, 9904)];
        for (descriptors, expected) in rows {
            assert_eq!(possible(descriptors), expected, "{descriptors}");
        }
        assert!(possible(u64::MAX) > 1 << 32);
    }

    #[test]
    fn the_limit_is_the_hard_one() {
        connections(1);
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
