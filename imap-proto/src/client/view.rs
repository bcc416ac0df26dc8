//! The selected mailbox as the server described it: sequence numbers, and the UIDs behind them.

use alloc::vec::Vec;

use crate::{SequenceNumber, Uid};

/// So many UIDs are in a piece at most: taking one out moves no more than these.
const PIECE: usize = 512;

/// UIDs by sequence number, as far as they are known. Kept right by EXISTS, EXPUNGE, VANISHED and FETCH.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Pieces of UIDs in order, none empty, some not known.
    pieces: Vec<Vec<Option<Uid>>>,
    /// How many are in the pieces. Those above were never named.
    held: u32,
    /// How many messages there are.
    len: u32,
}

impl View {
    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The UID of a sequence number, when it is known.
    #[must_use]
    pub fn uid(&self, sequence: SequenceNumber) -> Option<Uid> {
        let (piece, at) = self.place(sequence.index())?;
        *self.pieces.get(piece)?.get(at)?
    }

    /// The UIDs that are known, in the order of their sequence numbers.
    pub fn uids(&self) -> impl Iterator<Item = Uid> + '_ {
        self.pieces.iter().flatten().copied().flatten()
    }

    /// Whether the UID of every message is known.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.held == self.len && self.pieces.iter().flatten().all(Option::is_some)
    }

    fn place(&self, index: usize) -> Option<(usize, usize)> {
        let mut left = index;
        for (at, piece) in self.pieces.iter().enumerate() {
            match left.checked_sub(piece.len()) {
                None => return Some((at, left)),
                Some(rest) => left = rest,
            }
        }
        None
    }

    /// EXISTS. Fewer than before is against the RFC; the last ones are taken for gone.
    pub(super) fn exists(&mut self, count: u32) {
        self.len = count;
        while self.held > count {
            let Some(piece) = self.pieces.last_mut() else {
                break;
            };
            piece.pop();
            self.held -= 1;
            if piece.is_empty() {
                self.pieces.pop();
            }
        }
    }

    /// EXPUNGE: the UID that had that number, when it is known; `false` when there is no such number.
    pub(super) fn expunge(&mut self, sequence: SequenceNumber) -> Option<Option<Uid>> {
        if sequence.get() > self.len {
            return None;
        }
        self.len -= 1;
        let place = self.place(sequence.index());
        Some(place.and_then(|(piece, at)| self.remove(piece, at)))
    }

    fn remove(&mut self, piece: usize, at: usize) -> Option<Uid> {
        let uids = self.pieces.get_mut(piece)?;
        if at >= uids.len() {
            return None;
        }
        let uid = uids.remove(at);
        if uids.is_empty() {
            self.pieces.remove(piece);
        }
        self.held -= 1;
        uid
    }

    /// FETCH named both. At most `most` are held: beyond, a number stays unknown.
    pub(super) fn learn(&mut self, sequence: SequenceNumber, uid: Uid, most: u32) {
        if sequence.get() > most {
            return;
        }
        self.len = self.len.max(sequence.get());
        while self.held < sequence.get() {
            match self.pieces.last_mut() {
                Some(piece) if piece.len() < PIECE => piece.push(None),
                _ => {
                    let mut piece = Vec::with_capacity(PIECE);
                    piece.push(None);
                    self.pieces.push(piece);
                }
            }
            self.held += 1;
        }
        if let Some((piece, at)) = self.place(sequence.index())
            && let Some(place) = self
                .pieces
                .get_mut(piece)
                .and_then(|piece| piece.get_mut(at))
        {
            *place = Some(uid);
        }
    }

    /// All UIDs at once, ascending; `false`, and nothing learnt, when they are not as many as there are
    /// messages.
    pub(super) fn learn_all(&mut self, uids: impl IntoIterator<Item = Uid>, most: u32) -> bool {
        let mut all = Self::default();
        let mut last = None;
        for uid in uids {
            let next = all.len.checked_add(1).and_then(SequenceNumber::new);
            let Some(next) = next.filter(|_| all.len < self.len.min(most) && Some(uid) > last)
            else {
                return false;
            };
            last = Some(uid);
            all.learn(next, uid, most);
        }
        if all.len != self.len {
            return false;
        }
        *self = all;
        true
    }

    /// VANISHED, of messages that are counted: takes them out. For a UID that is not known the first
    /// unknown number goes that may be its.
    pub(super) fn vanished(&mut self, ranges: &[(u32, u32)]) {
        if ranges.len() > 16 && self.pieces.iter().flatten().any(Option::is_none) {
            // To look for each among unknown ones would cost the square: the numbers are forgotten.
            let gone = ranges
                .iter()
                .map(|(low, high)| high.saturating_sub(*low).saturating_add(1));
            self.len = gone.fold(self.len, u32::saturating_sub);
            (self.pieces, self.held) = (Vec::new(), 0);
            return;
        }
        let (mut before, mut first) = (0, 0);
        for &(low, high) in ranges {
            let mut left = high.saturating_sub(low).saturating_add(1);
            // Where ranges ascend, as they do, none looks at what an earlier one has passed.
            first = if low > before { first } else { 0 };
            before = high;
            let (mut piece, mut at) = (first, 0);
            let mut unknown = None;
            // Pieces whose last known UID is below are passed over whole, but for what is unknown.
            while left > 0 && self.len > 0 {
                let Some(uids) = self.pieces.get(piece) else {
                    break;
                };
                let last = uids.last().copied().flatten();
                if at == 0 && last.is_some_and(|last| last.get() < low) {
                    piece += 1;
                    first = piece;
                    continue;
                }
                let Some(&uid) = uids.get(at) else {
                    (piece, at) = (piece + 1, 0);
                    continue;
                };
                let Some(uid) = uid else {
                    unknown = unknown.or(Some((piece, at)));
                    at += 1;
                    continue;
                };
                if uid.get() > high {
                    break;
                }
                if uid.get() < low {
                    at += 1;
                    continue;
                }
                let pieces = self.pieces.len();
                self.remove(piece, at);
                self.len -= 1;
                left -= 1;
                if self.pieces.len() < pieces {
                    at = 0;
                }
            }
            // What is left has no known number. Those never named are the last ones.
            let never_named = self.len - self.held;
            if left > 0 && unknown.is_none() {
                self.len -= left.min(never_named);
            } else if let Some((piece, at)) = unknown.filter(|_| left > 0) {
                self.remove(piece, at);
                self.len -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{sequence, uid, uids};
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Step {
        Arrive(u32),
        Expunge(u32),
        Vanish(u32, u32),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1..700_u32).prop_map(Step::Arrive),
            any::<u32>().prop_map(Step::Expunge),
            (any::<u32>(), 0..300_u32).prop_map(|(at, many)| Step::Vanish(at, many)),
        ]
    }

    proptest! {
        #[test]
        fn it_is_what_a_plain_list_is(steps in proptest::collection::vec(any_step(), 0..20)) {
            let (mut view, mut model, mut next) = (View::default(), Vec::new(), 1);
            for step in steps {
                let at = |at: u32, model: &Vec<u32>| at as usize % model.len().max(1);
                match step {
                    Step::Arrive(count) => {
                        view.exists(view.len() + count);
                        for _ in 0..count {
                            next += 3;
                            model.push(next);
                            view.learn(sequence(model.len() as u32), uid(next), u32::MAX);
                        }
                    }
                    Step::Expunge(place) if !model.is_empty() => {
                        let place = at(place, &model);
                        let gone = model.remove(place);
                        prop_assert_eq!(view.expunge(sequence(place as u32 + 1)), Some(Uid::new(gone)));
                    }
                    Step::Vanish(place, many) if !model.is_empty() => {
                        let low = model[at(place, &model)];
                        model.retain(|&uid| !(low..=low + many).contains(&uid));
                        view.vanished(&[(low, low + many)]);
                    }
                    _ => {}
                }
                prop_assert_eq!(view.uids().map(Uid::get).collect::<Vec<_>>(), &model[..]);
                prop_assert!(view.is_complete() && view.len() as usize == model.len());
            }
            for (index, &uid) in model.iter().enumerate() {
                prop_assert_eq!(view.uid(sequence(index as u32 + 1)), Uid::new(uid));
            }
            let mut again = View::default();
            again.exists(model.len() as u32);
            prop_assert!(again.learn_all(uids(model.iter().copied()), u32::MAX));
            prop_assert_eq!(again.uids().map(Uid::get).collect::<Vec<_>>(), model);
        }
    }

    #[test]
    fn what_a_server_says_costs_no_memory() {
        let mut view = View::default();
        view.exists(u32::MAX);
        view.learn(sequence(u32::MAX), uid(7), 1000);
        assert!(view.pieces.is_empty() && view.len() == u32::MAX);
        view.vanished(&[(1, 5)]);
        assert_eq!(view.len(), u32::MAX - 5);
        assert_eq!(view.expunge(sequence(3)), Some(None));
        assert_eq!(view.expunge(sequence(u32::MAX)), None);
        assert!(!view.learn_all(uids([1, 2]), 1000));
        view.exists(2);
        view.learn(sequence(2), uid(9), 1000);
        assert_eq!(
            (
                view.uid(sequence(1)),
                view.uid(sequence(2)),
                view.is_complete()
            ),
            (None, Uid::new(9), false)
        );
        view.vanished(&[(4, 4)]);
        assert_eq!((view.uid(sequence(1)), view.len()), (Uid::new(9), 1));
    }
}
