//! Memory for what is large: of what is held as a whole, such as a message with its attachments, no more at once than
//! there is room for. Each person, and each network of strangers, has one turn at a
//! time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::aside::Busy;
use crate::spool::Owner;

/// How much room there is.
const ROOM: usize = 256 * 1024 * 1024;
/// Octets of a piece, in which it is given.
const PIECE: usize = 64 * 1024;
/// Who needs no more than that needs nobody's leave.
const SMALL: usize = 256 * 1024;
/// How long somebody waits for room.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whose turn it is, and how much is left.
#[derive(Debug)]
pub(crate) struct Room {
    pieces: Arc<Semaphore>,
    turns: Mutex<HashMap<Owner, Weak<tokio::sync::Mutex<()>>>>,
}

/// Room that somebody has, until this is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    _pieces: OwnedSemaphorePermit,
    _turn: OwnedMutexGuard<()>,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self {
            pieces: Arc::new(Semaphore::new(ROOM / PIECE)),
            turns: Mutex::default(),
        }
    }

    fn turn(&self, of: Owner) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&of).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(of, Arc::downgrade(&turn));
        turn
    }

    /// Waits for room for that many octets, at most for all of it. What is small needs none.
    pub(crate) async fn take(&self, of: Owner, octets: usize) -> Result<Option<Taken>, Busy> {
        if octets <= SMALL {
            return Ok(None);
        }
        let turn = self.turn(of);
        let taken = async {
            let turn = turn.lock_owned().await;
            let pieces = octets.min(ROOM).div_ceil(PIECE);
            let pieces = u32::try_from(pieces).unwrap_or(u32::MAX);
            let pieces = Arc::clone(&self.pieces).acquire_many_owned(pieces).await;
            let pieces = pieces.map_err(|_| Busy)?;
            Ok(Some(Taken {
                _pieces: pieces,
                _turn: turn,
            }))
        };
        let taken = tokio::time::timeout(PATIENCE, taken).await;
        taken.map_err(|_| Busy)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_mailstore::AccountId;

    #[tokio::test(start_paused = true)]
    async fn what_is_large_waits_for_what_is_large() {
        let room = Room::new();
        let [one, other] = [1, 2].map(|id| Owner::Person(AccountId(id)));
        let [near, far] = [1, 2].map(|n| Owner::Stranger(Some([192, 0, 2, n].into())));
        let first = room.take(one, ROOM / 2).await.unwrap();
        assert!(first.is_some());
        // One's own next one waits although there is room, another's does not.
        assert_eq!(room.take(one, ROOM / 4).await.err(), Some(Busy));
        let second = room.take(other, ROOM / 4).await.unwrap();
        assert!(second.is_some());
        // Nor does a stranger for those of another network.
        let third = room.take(near, ROOM / 8).await.unwrap();
        assert_eq!(room.take(near, ROOM / 16).await.err(), Some(Busy));
        assert!(room.take(far, ROOM / 16).await.unwrap().is_some());
        assert_eq!(room.take(far, ROOM).await.err(), Some(Busy));
        assert!(room.take(one, SMALL).await.unwrap().is_none());
        drop((first, second, third));
        assert!(room.take(one, usize::MAX).await.unwrap().is_some());
    }
}
