//! A message that is kept whole until it was examined, within bounds that all of them share.

use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Octets of one permit.
const UNIT: usize = 4096;

/// The room that the messages have together that are examined.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Semaphore>);

impl Room {
    pub(crate) fn of(octets: usize) -> Self {
        let permits = (octets / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(permits)))
    }
}

/// A message as far as it has come.
pub(super) struct Whole {
    octets: BytesMut,
    room: Room,
    held: Option<OwnedSemaphorePermit>,
}

impl Whole {
    pub(super) fn begin(room: &Room) -> Self {
        Self {
            octets: BytesMut::new(),
            room: room.clone(),
            held: None,
        }
    }

    /// Adds octets; `false` when there is no room for them.
    pub(super) fn add(&mut self, octets: &[u8]) -> bool {
        let held = self
            .held
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let more = (self.octets.len() + octets.len())
            .div_ceil(UNIT)
            .saturating_sub(held);
        let taken = u32::try_from(more)
            .ok()
            .and_then(|more| Arc::clone(&self.room.0).try_acquire_many_owned(more).ok());
        let Some(taken) = taken else {
            return false;
        };
        match &mut self.held {
            Some(held) => held.merge(taken),
            None => self.held = Some(taken),
        }
        self.octets.extend_from_slice(octets);
        true
    }

    /// The message; its room is held until the permit is dropped.
    pub(super) fn end(self) -> (Bytes, Option<OwnedSemaphorePermit>) {
        (self.octets.freeze(), self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_shared_and_given_back() {
        let room = Room::of(4 * UNIT);
        let (mut one, mut other) = (Whole::begin(&room), Whole::begin(&room));
        assert!(one.add(&[0; 2 * UNIT]) && one.add(&[0; 10]));
        assert!(other.add(&[0; UNIT]) && !other.add(&[0; 1]));
        let (octets, held) = one.end();
        assert_eq!(octets.len(), 2 * UNIT + 10);
        assert!(!other.add(&[0; 1]));
        drop(held);
        assert!(other.add(&[0; 3 * UNIT]) && !other.add(&[0; 1]));
    }
}
