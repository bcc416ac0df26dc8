//! Lines on their way to the log: made by whoever has something to say, gathered, and written together.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Octets that wait to be written. More are dropped, and counted.
const MOST: usize = 4 << 20;
/// How long lines are gathered: to wake the writer costs more than to make a line.
const GATHERED: Duration = Duration::from_millis(20);

/// Whole lines, in the order in which they came.
#[derive(Debug, Default)]
struct Lines {
    /// Those of one day each: its number since 1970, and the lines.
    days: Vec<(i64, Vec<u8>)>,
    octets: usize,
    /// How many found no room.
    lost: u64,
    is_closed: bool,
}

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    lines: Mutex<Lines>,
    /// There is something, or there will be nothing any more.
    woken: Condvar,
}

/// What a writer takes.
#[derive(Debug)]
pub(super) struct Taken {
    /// Lines of one day each: its number since 1970, and the lines.
    pub(super) days: Vec<(i64, Vec<u8>)>,
    /// How many lines found no room meanwhile.
    pub(super) lost: u64,
    /// Nothing comes any more.
    pub(super) is_last: bool,
}

impl Waiting {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line of that day. Returns whether there was room for it. Never waits for a disk.
    pub(super) fn add(&self, day: i64, line: &[u8]) -> bool {
        let mut lines = self.lines();
        if lines.is_closed || lines.octets + line.len() > MOST {
            lines.lost += 1;
            return false;
        }
        let is_first = lines.octets == 0;
        lines.octets += line.len();
        match lines.days.last_mut() {
            Some((last, all)) if *last == day => all.extend_from_slice(line),
            _ => lines.days.push((day, line.to_vec())),
        }
        drop(lines);
        if is_first {
            self.woken.notify_all();
        }
        true
    }

    /// Counts lines that could not be written.
    pub(super) fn lose(&self, count: u64) {
        self.lines().lost += count;
    }

    /// Waits until there is something, for that long at most, and takes it.
    pub(super) fn take(&self, patience: Duration) -> Taken {
        let nothing = |lines: &mut Lines| lines.octets == 0 && !lines.is_closed;
        let waited = self
            .woken
            .wait_timeout_while(self.lines(), patience, nothing);
        let (lines, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let more = |lines: &mut Lines| lines.octets > 0 && !lines.is_closed;
        let waited = self.woken.wait_timeout_while(lines, GATHERED, more);
        let (mut lines, _) = waited.unwrap_or_else(PoisonError::into_inner);
        lines.octets = 0;
        Taken {
            days: std::mem::take(&mut lines.days),
            lost: std::mem::take(&mut lines.lost),
            is_last: lines.is_closed,
        }
    }

    /// Lets the writer take what there is, and nobody add more.
    pub(super) fn close(&self) {
        self.lines().is_closed = true;
        self.woken.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_in_order_and_what_finds_no_room_is_counted() {
        let waiting = Waiting::default();
        assert!(waiting.add(1, b"a\n") && waiting.add(1, b"b\n") && waiting.add(2, b"c\n"));
        assert!(!waiting.add(2, &vec![b'x'; MOST]));
        let taken = waiting.take(Duration::ZERO);
        let days = [(1, b"a\nb\n".to_vec()), (2, b"c\n".to_vec())];
        assert_eq!(
            (taken.days, taken.lost, taken.is_last),
            (days.into(), 1, false)
        );
        // There is room again.
        assert!(waiting.add(2, b"d\n"));
        waiting.close();
        assert!(!waiting.add(2, b"e\n"));
        let taken = waiting.take(Duration::ZERO);
        assert_eq!((taken.days.len(), taken.lost, taken.is_last), (1, 1, true));
    }
}
