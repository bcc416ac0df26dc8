//! The selected mailbox as the server told it: sequence numbers, and the UIDs behind them.

use alloc::vec::Vec;

/// So many UIDs are in a piece at most: taking one out moves no more than these.
const PIECE: usize = 512;

/// UIDs by sequence number, as far as they are known. Kept right by EXISTS, EXPUNGE, VANISHED and FETCH.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Pieces of UIDs in order, none empty; 0 stands for one that is not known.
    pieces: Vec<Vec<u32>>,
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
    pub fn uid(&self, sequence: u32) -> Option<u32> {
        let (piece, at) = self.place(sequence.checked_sub(1)?)?;
        let uid = *self.pieces.get(piece)?.get(at)?;
        (uid != 0).then_some(uid)
    }

    /// The UIDs that are known, in the order of their sequence numbers.
    pub fn uids(&self) -> impl Iterator<Item = u32> + '_ {
        self.pieces
            .iter()
            .flatten()
            .copied()
            .filter(|&uid| uid != 0)
    }

    /// Whether the UID of every message is known.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.held == self.len && self.pieces.iter().flatten().all(|&uid| uid != 0)
    }

    fn place(&self, index: u32) -> Option<(usize, usize)> {
        let mut left = usize::try_from(index).ok()?;
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
    pub(super) fn expunge(&mut self, sequence: u32) -> Option<Option<u32>> {
        if sequence == 0 || sequence > self.len {
            return None;
        }
        self.len -= 1;
        let Some((piece, at)) = self.place(sequence - 1) else {
            return Some(None);
        };
        let uid = self.remove(piece, at);
        Some((uid != 0).then_some(uid))
    }

    fn remove(&mut self, piece: usize, at: usize) -> u32 {
        let Some(uids) = self.pieces.get_mut(piece).filter(|uids| at < uids.len()) else {
            return 0;
        };
        let uid = uids.remove(at);
        if uids.is_empty() {
            self.pieces.remove(piece);
        }
        self.held -= 1;
        uid
    }

    /// FETCH told both. At most `most` are held: beyond, a number stays unknown.
    pub(super) fn learn(&mut self, sequence: u32, uid: u32, most: u32) {
        let Some(index) = sequence.checked_sub(1).filter(|&index| index < most) else {
            return;
        };
        self.len = self.len.max(sequence);
        while self.held <= index {
            match self.pieces.last_mut() {
                Some(piece) if piece.len() < PIECE => piece.push(0),
                _ => {
                    let mut piece = Vec::with_capacity(PIECE);
                    piece.push(0);
                    self.pieces.push(piece);
                }
            }
            self.held += 1;
        }
        if let Some((piece, at)) = self.place(index)
            && let Some(place) = self
                .pieces
                .get_mut(piece)
                .and_then(|piece| piece.get_mut(at))
        {
            *place = uid;
        }
    }

    /// All UIDs at once, ascending; `false`, and nothing learnt, when they are not as many as there are
    /// messages.
    pub(super) fn learn_all(&mut self, uids: impl IntoIterator<Item = u32>, most: u32) -> bool {
        let mut all = Self::default();
        let mut last = 0;
        for uid in uids {
            if uid <= last || all.len >= self.len.min(most) {
                return false;
            }
            last = uid;
            all.learn(all.len + 1, uid, most);
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
        if ranges.len() > 16 && self.pieces.iter().flatten().any(|&uid| uid == 0) {
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
                if at == 0 && uids.last().is_some_and(|&last| last != 0 && last < low) {
                    piece += 1;
                    first = piece;
                    continue;
                }
                let Some(&uid) = uids.get(at) else {
                    (piece, at) = (piece + 1, 0);
                    continue;
                };
                if uid > high {
                    break;
                }
                if uid == 0 {
                    unknown = unknown.or(Some((piece, at)));
                }
                if uid < low {
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
                            view.learn(model.len() as u32, next, u32::MAX);
                        }
                    }
                    Step::Expunge(place) if !model.is_empty() => {
                        let place = at(place, &model);
                        let uid = model.remove(place);
                        prop_assert_eq!(view.expunge(place as u32 + 1), Some(Some(uid)));
                    }
                    Step::Vanish(place, many) if !model.is_empty() => {
                        let low = model[at(place, &model)];
                        model.retain(|&uid| !(low..=low + many).contains(&uid));
                        view.vanished(&[(low, low + many)]);
                    }
                    _ => {}
                }
                prop_assert_eq!(view.uids().collect::<Vec<_>>(), &model[..]);
                prop_assert!(view.is_complete() && view.len() as usize == model.len());
            }
            for (index, &uid) in model.iter().enumerate() {
                prop_assert_eq!(view.uid(index as u32 + 1), Some(uid));
            }
            let mut again = View::default();
            again.exists(model.len() as u32);
            prop_assert!(again.learn_all(model.iter().copied(), u32::MAX));
            prop_assert_eq!(again.uids().collect::<Vec<_>>(), model);
        }
    }

    #[test]
    fn what_a_server_says_costs_no_memory() {
        let mut view = View::default();
        view.exists(u32::MAX);
        view.learn(u32::MAX, 7, 1000);
        assert!(view.pieces.is_empty() && view.len() == u32::MAX);
        view.vanished(&[(1, 5)]);
        assert_eq!(view.len(), u32::MAX - 5);
        assert_eq!(view.expunge(3), Some(None));
        assert_eq!(view.expunge(0), None);
        assert!(!view.learn_all([1, 2], 1000));
        view.exists(2);
        view.learn(2, 9, 1000);
        assert_eq!(
            (view.uid(1), view.uid(2), view.is_complete()),
            (None, Some(9), false)
        );
        view.vanished(&[(4, 4)]);
        assert_eq!((view.uid(1), view.len()), (Some(9), 1));
    }
}
