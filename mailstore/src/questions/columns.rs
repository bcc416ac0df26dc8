//! One value for each message of a mailbox: what was worked out once, for the next time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{MailboxId, Uid};

/// Values by UID, ascending; not every message needs to have one.
pub(crate) type Column<T> = Arc<Vec<(Uid, T)>>;

/// How many columns are kept: a small one costs more than its values.
const COLUMNS: usize = 1000;

/// What a value costs.
pub(crate) trait Weigh {
    /// Octets beside those of its type.
    fn octets(&self) -> usize;
}

/// Columns of several mailboxes, the last ones used. A message never changes, so neither does what is
/// worked out of it: nothing here is ever out of date, only incomplete.
#[derive(Debug)]
pub(crate) struct Columns<K, T> {
    most: usize,
    kept: Mutex<Kept<K, T>>,
}

#[derive(Debug)]
struct Kept<K, T> {
    columns: HashMap<(MailboxId, K), Entry<T>>,
    /// Counts the uses, so that the oldest is known.
    clock: u64,
}

#[derive(Debug)]
struct Entry<T> {
    column: Column<T>,
    octets: usize,
    used: u64,
}

impl<K: Hash + Eq + Clone, T: Weigh + Clone> Columns<K, T> {
    /// Keeps at most `most` octets.
    pub(crate) fn new(most: usize) -> Self {
        let kept = Kept {
            columns: HashMap::new(),
            clock: 0,
        };
        Self {
            most,
            kept: Mutex::new(kept),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept<K, T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known.
    pub(crate) fn get(&self, mailbox: MailboxId, key: &K) -> Column<T> {
        let mut kept = self.kept();
        kept.clock += 1;
        let clock = kept.clock;
        match kept.columns.get_mut(&(mailbox, key.clone())) {
            Some(entry) => {
                entry.used = clock;
                Arc::clone(&entry.column)
            }
            None => Column::default(),
        }
    }

    /// Adds what was learned, and forgets what is of no message that is `there`. The column as it is then,
    /// whether it is kept or not.
    pub(crate) fn add(
        &self,
        mailbox: MailboxId,
        key: &K,
        new: Vec<(Uid, T)>,
        there: impl Fn(Uid) -> bool,
    ) -> Column<T> {
        let mut column = self.get(mailbox, key);
        let values = Arc::make_mut(&mut column);
        values.extend(new);
        values.sort_by_key(|(uid, _)| *uid);
        values.dedup_by_key(|(uid, _)| *uid);
        values.retain(|(uid, _)| there(*uid));
        let each = size_of::<(Uid, T)>();
        let octets = values.iter().map(|(_, value)| each + value.octets());
        let octets: usize = octets.sum();
        let mut kept = self.kept();
        // What has no room pushes nothing else out.
        if octets > self.most {
            kept.columns.remove(&(mailbox, key.clone()));
            return column;
        }
        kept.clock += 1;
        let entry = Entry {
            column: Arc::clone(&column),
            octets,
            used: kept.clock,
        };
        kept.columns.insert((mailbox, key.clone()), entry);
        let octets = |kept: &Kept<K, T>| kept.columns.values().map(|one| one.octets).sum::<usize>();
        while octets(&kept) > self.most || kept.columns.len() > COLUMNS {
            let oldest = kept.columns.iter().min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            kept.columns.remove(&oldest);
        }
        column
    }
}

/// Finds values for UIDs that mostly ascend.
#[derive(Debug)]
pub(crate) struct Walk<'a, T> {
    column: &'a [(Uid, T)],
    at: usize,
}

impl<'a, T> Walk<'a, T> {
    pub(crate) fn new(column: &'a [(Uid, T)]) -> Self {
        Self { column, at: 0 }
    }

    pub(crate) fn get(&mut self, uid: Uid) -> Option<&'a T> {
        let before = self.at.checked_sub(1).and_then(|at| self.column.get(at));
        if before.is_some_and(|(before, _)| *before >= uid) {
            self.at = self.column.partition_point(|(known, _)| *known < uid);
        }
        loop {
            let (known, value) = self.column.get(self.at)?;
            match (*known).cmp(&uid) {
                std::cmp::Ordering::Less => self.at += 1,
                std::cmp::Ordering::Equal => return Some(value),
                std::cmp::Ordering::Greater => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AccountId;

    impl Weigh for u32 {
        fn octets(&self) -> usize {
            100
        }
    }

    fn uid(number: u32) -> Uid {
        Uid::new(number).unwrap()
    }

    fn mailbox(number: u32) -> MailboxId {
        MailboxId {
            account: AccountId(1),
            number,
        }
    }

    #[test]
    fn what_was_added_is_known_as_long_as_there_is_room() {
        let each = 100 + size_of::<(Uid, u32)>();
        let columns = Columns::<char, u32>::new(4 * each);
        columns.add(mailbox(1), &'a', vec![(uid(5), 50), (uid(2), 20)], |_| true);
        columns.add(mailbox(1), &'a', vec![(uid(3), 30), (uid(2), 20)], |one| {
            one != uid(5)
        });
        assert_eq!(*columns.get(mailbox(1), &'a'), [(uid(2), 20), (uid(3), 30)]);
        assert!(columns.get(mailbox(1), &'b').is_empty());
        columns.add(mailbox(2), &'a', vec![(uid(1), 1), (uid(2), 2)], |_| true);
        columns.get(mailbox(1), &'a');
        columns.add(mailbox(3), &'a', vec![(uid(1), 1)], |_| true);
        assert!(columns.get(mailbox(2), &'a').is_empty());
        assert_eq!(columns.get(mailbox(1), &'a').len(), 2);
        let many = (1..9).map(|one| (uid(one), one)).collect();
        assert_eq!(columns.add(mailbox(1), &'b', many, |_| true).len(), 8);
        assert!(columns.get(mailbox(1), &'b').is_empty());
    }

    #[test]
    fn what_has_no_room_pushes_nothing_out_and_columns_are_counted() {
        let each = 100 + size_of::<(Uid, u32)>();
        let columns = Columns::<u32, u32>::new(4000 * each);
        columns.add(mailbox(1), &0, vec![(uid(1), 1)], |_| true);
        let many = (1..5000).map(|one| (uid(one), one)).collect();
        columns.add(mailbox(1), &1, many, |_| true);
        assert_eq!(columns.get(mailbox(1), &0).len(), 1);
        for key in 2..2000 {
            columns.add(mailbox(1), &key, vec![(uid(1), 1)], |_| true);
        }
        assert_eq!(columns.kept().columns.len(), COLUMNS);
    }

    #[test]
    fn a_walk_finds_what_there_is_in_any_order() {
        let column = [(uid(2), 'b'), (uid(4), 'd'), (uid(9), 'i')];
        let mut walk = Walk::new(&column);
        for (asked, found) in [
            (1, None),
            (2, Some('b')),
            (2, Some('b')),
            (5, None),
            (4, Some('d')),
            (9, Some('i')),
            (12, None),
            (1, None),
            (9, Some('i')),
        ] {
            assert_eq!(walk.get(uid(asked)).copied(), found, "{asked}");
        }
    }
}
