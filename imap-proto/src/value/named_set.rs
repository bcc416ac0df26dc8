//! Sets of names of which most have few: a bit for each name that is known, the others as they came.

use alloc::vec::Vec;

use crate::plumbing::cursor::Cursor;

/// Names, the known ones by where they stand in the table of their kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedSet<T> {
    known: u32,
    others: Vec<T>,
}

impl<T> Default for NamedSet<T> {
    fn default() -> Self {
        let (known, others) = (0, Vec::new());
        Self { known, others }
    }
}

impl<T> NamedSet<T> {
    /// Adds the known name of that place, which is below 32.
    pub(crate) fn set(&mut self, at: usize) {
        self.known |= 1 << at;
    }

    /// Adds a name that is not known.
    pub(crate) fn push(&mut self, other: T) {
        self.others.push(other);
    }

    pub(crate) fn has(&self, at: usize) -> bool {
        self.known & (1 << at) != 0
    }

    /// The places of the known ones, ascending.
    pub(crate) fn known(&self) -> impl Iterator<Item = usize> + use<T> {
        let known = self.known;
        (0..32_usize).filter(move |at| known & (1 << at) != 0)
    }

    pub(crate) fn others(&self) -> &[T] {
        &self.others
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.known == 0 && self.others.is_empty()
    }
}

/// Takes one of the names that most have, as servers write it, and what it stands for in `names`.
#[inline]
pub(crate) fn usual<const N: usize>(
    cursor: &mut Cursor<'_>,
    names: [(&'static [u8], usize); N],
) -> Option<usize> {
    let rest = cursor.rest();
    for (name, at) in names {
        if rest.starts_with(name) {
            if !matches!(rest.get(name.len()), Some(b' ' | b')')) {
                return None;
            }
            cursor.pass(name.len());
            return Some(at);
        }
    }
    None
}
