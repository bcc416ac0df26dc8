//! UIDBATCHES: where to cut a mailbox into pieces of so many messages (RFC 10022).

use imap_proto::{Batches, Response, UidBatches};

use super::{End, Session};

/// More than so many batches one command is not told.
const MOST: usize = 10_000;

impl Session<'_> {
    pub(super) fn uid_batches(&mut self, asked: &UidBatches) -> End {
        let uids = self
            .driver
            .machine
            .selected()
            .map_or(&[][..], |view| view.uids());
        let size = usize::try_from(asked.size).unwrap_or(usize::MAX);
        // The newest batch is the first.
        let batches = uids.rchunks(size);
        let index = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        let (from, to) = asked
            .batches
            .map_or((1, u32::MAX), |(a, b)| (a.min(b), a.max(b)));
        let count = (index(to) - index(from)).saturating_add(1);
        let some = batches
            .skip(index(from).saturating_sub(1))
            .take(count.min(MOST));
        let ends = |batch: &[u32]| Some((*batch.last()?, *batch.first()?));
        let ranges = some.filter_map(ends).collect();
        let tag = self.driver.machine.tag().cloned().unwrap_or_default();
        self.respond(&Response::UidBatches(Batches { tag, ranges }));
        End::ok("Batches")
    }
}
