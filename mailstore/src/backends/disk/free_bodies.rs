//! Which bodies nobody needs any more.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::BodyId;

/// How long a body can be read after its last reference.
pub(super) const GRACE: Duration = Duration::from_secs(60);
/// How many are removed at a time: commits wait meanwhile.
pub(super) const AT_ONCE: usize = 2_000;

/// Bodies without a reference, and since when; the oldest first.
#[derive(Debug, Default)]
pub(super) struct FreeBodies(pub(super) VecDeque<(Instant, BodyId)>);

impl FreeBodies {
    pub(super) fn add(&mut self, bodies: impl IntoIterator<Item = BodyId>) {
        let now = Instant::now();
        self.0.extend(bodies.into_iter().map(|id| (now, id)));
    }

    /// Some whose time is over.
    pub(super) fn due(&self) -> Vec<BodyId> {
        let old = self
            .0
            .iter()
            .take_while(|(since, _)| since.elapsed() > GRACE);
        old.take(AT_ONCE).map(|(_, id)| *id).collect()
    }

    /// Forgets the `count` oldest.
    pub(super) fn forget(&mut self, count: usize) {
        self.0.drain(..count.min(self.0.len()));
    }
}
