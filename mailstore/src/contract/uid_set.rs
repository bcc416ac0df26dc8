//! Sets of UIDs, kept as ranges.

use crate::Uid;

/// A set of UIDs: sorted ranges that neither touch nor overlap.
///
/// ```
/// use hikyaku_mailstore::{Uid, UidSet};
/// let set: UidSet = [3, 1, 2, 9].into_iter().filter_map(Uid::new).collect();
/// assert_eq!(set.ranges(), [(1, 3), (9, 9)]);
/// assert_eq!(set.len(), 4);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UidSet(Vec<(u32, u32)>);

impl UidSet {
    /// Creates an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates the set of all UIDs.
    #[must_use]
    pub fn all() -> Self {
        Self(vec![(1, u32::MAX)])
    }

    /// Creates the set of those inclusive ranges, in any order, either end first. 0 is left out.
    #[must_use]
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut sorted: Vec<(u32, u32)> = ranges
            .into_iter()
            .map(|(a, b)| (a.min(b).max(1), a.max(b)))
            .filter(|&(low, high)| low <= high)
            .collect();
        sorted.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(sorted.len());
        for (low, high) in sorted {
            match merged.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        Self(merged)
    }

    /// Adds one UID: in constant time when it is greater than all in the set, else in the time that moving or merging
    /// the ranges takes.
    pub fn insert(&mut self, uid: Uid) {
        let uid = uid.get();
        match self.0.last_mut() {
            Some(last) if last.1.checked_add(1) == Some(uid) => last.1 = uid,
            Some(last) if uid <= last.1 => {
                if !self.contains_number(uid) {
                    let at = self.0.partition_point(|range| range.0 < uid);
                    self.0.insert(at, (uid, uid));
                    *self = Self::from_ranges(std::mem::take(&mut self.0));
                }
            }
            _ => self.0.push((uid, uid)),
        }
    }

    /// Returns whether `uid` is in the set.
    #[must_use]
    pub fn contains(&self, uid: Uid) -> bool {
        self.contains_number(uid.get())
    }

    fn contains_number(&self, uid: u32) -> bool {
        let at = self.0.partition_point(|range| range.1 < uid);
        self.0.get(at).is_some_and(|range| range.0 <= uid)
    }

    /// Returns the ranges, ascending, both ends inclusive.
    #[must_use]
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }

    /// Returns the UIDs, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Uid> + '_ {
        self.0
            .iter()
            .flat_map(|&(low, high)| low..=high)
            .filter_map(Uid::new)
    }

    /// Returns the UIDs that are in both sets.
    ///
    /// ```
    /// use hikyaku_mailstore::UidSet;
    /// let one = UidSet::from_ranges([(1, 5), (10, 20)]);
    /// let other = UidSet::from_ranges([(3, 11), (19, 40)]);
    /// assert_eq!(one.intersection(&other).ranges(), [(3, 5), (10, 11), (19, 20)]);
    /// ```
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut common, mut rest) = (Vec::new(), other.ranges());
        for &(low, high) in &self.0 {
            while let [(_, end), after @ ..] = rest
                && *end < low
            {
                rest = after;
            }
            let overlapping = rest.iter().take_while(|range| range.0 <= high);
            common.extend(overlapping.map(|&(l, h)| (l.max(low), h.min(high))));
        }
        Self(common)
    }

    /// Returns the UIDs that are greater than `uid`.
    #[must_use]
    pub fn above(&self, uid: Uid) -> Self {
        let higher = self.0.iter().filter(|range| range.1 > uid.get());
        let cut = |&(low, high): &(u32, u32)| (low.max(uid.get().saturating_add(1)), high);
        Self(higher.map(cut).collect())
    }

    /// Returns the number of UIDs.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0
            .iter()
            .map(|&(low, high)| u64::from(high - low) + 1)
            .sum()
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> Self {
        Self::from_ranges(uids.into_iter().map(|uid| (uid.get(), uid.get())))
    }
}

impl From<Uid> for UidSet {
    fn from(uid: Uid) -> Self {
        Self(vec![(uid.get(), uid.get())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(numbers in proptest::collection::vec(1_u32..40, 0..40)) {
            let expected: BTreeSet<u32> = numbers.iter().copied().collect();
            let mut one_by_one = UidSet::new();
            for &number in &numbers {
                one_by_one.insert(Uid::new(number).unwrap());
            }
            let at_once: UidSet = numbers.iter().copied().filter_map(Uid::new).collect();
            prop_assert_eq!(&one_by_one, &at_once);
            prop_assert_eq!(at_once.iter().map(Uid::get).collect::<BTreeSet<_>>(), expected.clone());
            prop_assert_eq!(at_once.len(), expected.len() as u64);
            for number in 1..45 {
                prop_assert_eq!(at_once.contains(Uid::new(number).unwrap()), expected.contains(&number));
            }
        }
    }

    #[test]
    fn the_ends_of_the_number_space_hold() {
        let mut set = UidSet::from_ranges([(u32::MAX, 0), (5, 2)]);
        assert_eq!(set, UidSet::all());
        set.insert(Uid::new(u32::MAX).unwrap());
        assert_eq!(set.len(), u64::from(u32::MAX));
    }
}
