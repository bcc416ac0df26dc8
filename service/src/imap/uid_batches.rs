//! UIDBATCHES: where to cut a mailbox into batches of a given size (RFC 10022).
//!
//! They are read from the view, so that asking again costs next to nothing and needs no limit.

use hikyaku_imap_proto::{Batches, Response, ResponseCode, Status, Uid, UidBatches};

use super::end::End;
use super::session::Session;
use super::text::Text as T;

/// A batch has at least so many messages (RFC 10022 §3.1.3.2).
const LEAST: usize = 500;
/// Those of a range of batches have at most so many (§3.1.5).
const MOST: usize = 100_000;
/// More than so many batches are not sent for one command.
const BATCHES: usize = 10_000;

impl Session<'_> {
    pub(super) fn uid_batches(&mut self, asked: &UidBatches) -> Result<End, End> {
        let index = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        let size = index(asked.size);
        if size < LEAST {
            let text = T::ABatchHasAt;
            return Err(End::no(ResponseCode::TooFew, text));
        }
        let uids = self
            .driver
            .machine
            .selected()
            .map_or(&[][..], |view| view.uids());
        let (first, last) = match asked.batches {
            Some((first, last)) => (index(first), index(last)),
            None => (1, uids.len().div_ceil(size)),
        };
        if last < first && asked.batches.is_some() {
            let code = Some(ResponseCode::ClientBug);
            return Err(End(Status::Bad, code, T::TheLowerBatchComes.into()));
        }
        let count = (last + 1).saturating_sub(first);
        let messages = count.saturating_mul(size);
        if count > BATCHES || (asked.batches.is_some() && messages > MOST) {
            return Err(End::no(ResponseCode::TooMany, T::TooManyMessagesAt));
        }
        // The newest batch is the first, and the oldest one ends with 1, which says that it is (§3.1.4).
        let oldest = uids.first().map(|uid| uid.get());
        let ends = |batch: &[Uid]| {
            let (high, low) = (batch.last()?.get(), batch.first()?.get());
            Some((high, if Some(low) == oldest { 1 } else { low }))
        };
        let batches = uids.rchunks(size).skip(first.saturating_sub(1)).take(count);
        let ranges = batches.filter_map(ends).collect();
        let tag = self.driver.machine.tag().cloned().unwrap_or_default();
        self.respond(&Response::UidBatches(Batches { tag, ranges }));
        Ok(End::ok(T::Batches))
    }
}
