//! The selected mailbox as the client knows it: sequence numbers, and the UIDs behind them.

use alloc::vec::Vec;

use crate::{Numbers, SequenceNumber, SequenceSet, Uid};

/// UIDs by sequence number. Messages that are gone stay in it until the client knows.
#[derive(Debug, Clone, Default)]
pub struct View {
    uids: Vec<Uid>,
    read_only: bool,
    /// Gone, and not reported yet.
    vanished: Vec<Uid>,
    /// UIDs of messages that this session is the first to see, ascending (RFC 3501 §2.3.2).
    recent: Vec<Uid>,
    /// What the last SEARCH with SAVE found: `$`, ascending.
    saved: Vec<Uid>,
}

impl View {
    pub(super) fn new(uids: Vec<Uid>, recent_from: Option<Uid>, read_only: bool) -> Self {
        let recent = uids
            .iter()
            .copied()
            .filter(|&uid| is_recent(uid, recent_from));
        Self {
            recent: recent.collect(),
            uids,
            read_only,
            vanished: Vec::new(),
            saved: Vec::new(),
        }
    }

    /// UIDs with `\Recent`, ascending.
    #[must_use]
    pub fn recent(&self) -> &[Uid] {
        &self.recent
    }

    /// Whether it was opened with EXAMINE.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// UIDs, ascending; the first has sequence number 1.
    #[must_use]
    pub fn uids(&self) -> &[Uid] {
        &self.uids
    }

    /// The sequence number of a UID.
    #[must_use]
    pub fn sequence(&self, uid: Uid) -> Option<SequenceNumber> {
        SequenceNumber::at(self.uids.binary_search(&uid).ok()?)
    }

    /// The same; quick where the UID stands behind so many others.
    pub(super) fn sequence_near(&self, uid: Uid, behind: usize) -> Option<SequenceNumber> {
        match self.uids.get(behind) {
            Some(&there) if there == uid => SequenceNumber::at(behind),
            _ => self.sequence(uid),
        }
    }

    /// How many messages the client knows of.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.uids.len()).unwrap_or(u32::MAX)
    }

    /// Whether it knows of none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.uids.is_empty()
    }

    /// The UIDs a set means, as ascending ranges that neither touch nor overlap; there may be UIDs in
    /// them that do not exist. `None`: a sequence number that there is not, which is a BAD.
    #[must_use]
    pub fn resolve(&self, set: &SequenceSet, numbers: Numbers) -> Option<Vec<(u32, u32)>> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        if set.is_saved() {
            ranges.extend(self.saved.iter().map(|uid| (uid.get(), uid.get())));
        } else if numbers.is_uid() {
            // `*` in an empty mailbox means nothing that there is.
            let largest = self.uids.last().map_or(u32::MAX, |uid| uid.get());
            ranges.extend(set.ranges(largest));
        } else {
            for (low, high) in set.ranges(self.len()) {
                ranges.push((self.uid(low)?, self.uid(high)?));
            }
        }
        Some(merged(ranges))
    }

    /// As [`View::resolve`], with numbers that there are not passed over: they match nothing.
    #[must_use]
    pub fn matching(&self, set: &SequenceSet, numbers: Numbers) -> Vec<(u32, u32)> {
        if numbers.is_uid() || set.is_saved() {
            return self.resolve(set, Numbers::Uid).unwrap_or_default();
        }
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for (low, high) in set.ranges(self.len()) {
            if let Some(pair) = self.uid(low).zip(self.uid(high.min(self.len()))) {
                ranges.push(pair);
            }
        }
        merged(ranges)
    }

    /// The number of the UID of that sequence number.
    fn uid(&self, sequence: u32) -> Option<u32> {
        let sequence = SequenceNumber::new(sequence)?;
        self.uids.get(sequence.index()).map(|uid| uid.get())
    }

    /// Adds UIDs that are larger than all before; whether there were any.
    pub(super) fn append(&mut self, uids: &[Uid], recent_from: Option<Uid>) -> bool {
        let last = self.uids.last().copied();
        let before = self.uids.len();
        let new = uids.iter().copied().filter(|&uid| Some(uid) > last);
        self.recent
            .extend(new.clone().filter(|&uid| is_recent(uid, recent_from)));
        self.uids.extend(new);
        self.uids.len() > before
    }

    pub(super) fn save(&mut self, uids: impl IntoIterator<Item = Uid>) {
        self.saved = uids.into_iter().collect();
        self.saved.sort_unstable();
        self.saved.dedup();
    }

    pub(super) fn vanish(&mut self, uids: impl IntoIterator<Item = Uid>) {
        self.vanished.extend(uids);
    }

    /// Takes out what is gone, as UIDs.
    pub(super) fn expunge_uids(&mut self) -> Vec<(u32, u32)> {
        let mut gone = core::mem::take(&mut self.vanished);
        gone.retain(|&uid| self.sequence(uid).is_some());
        gone.sort_unstable();
        gone.dedup();
        self.vanished.clone_from(&gone);
        self.expunge();
        merged(gone.iter().map(|uid| (uid.get(), uid.get())).collect())
    }

    /// Takes out what is gone: its sequence numbers, the highest first, so that none moves another.
    pub(super) fn expunge(&mut self) -> Vec<SequenceNumber> {
        let mut gone = core::mem::take(&mut self.vanished);
        gone.sort_unstable();
        gone.dedup();
        self.saved.retain(|uid| gone.binary_search(uid).is_err());
        let mut sequences: Vec<SequenceNumber> =
            gone.iter().filter_map(|&uid| self.sequence(uid)).collect();
        sequences.reverse();
        if !sequences.is_empty() {
            self.uids.retain(|uid| gone.binary_search(uid).is_err());
            self.recent.retain(|uid| gone.binary_search(uid).is_err());
        }
        sequences
    }
}

fn is_recent(uid: Uid, recent_from: Option<Uid>) -> bool {
    recent_from.is_some_and(|first| uid >= first)
}

/// Ascending ranges that neither touch nor overlap.
fn merged(mut ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ranges.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match merged.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    merged
}
