//! A body, read piece by piece.

use bytes::Bytes;
use std::ops::Range;

use crate::{Bodies, BodyRef, Error, Result, Store};

/// Octets that are read at a time.
const PIECE: u64 = 64 * 1024;

/// What is left of a range of a body.
#[derive(Debug, Clone)]
struct Left {
    body: BodyRef,
    at: u64,
    end: u64,
    most: u64,
}

impl Left {
    fn of(body: &BodyRef, range: Range<u64>) -> Self {
        Self {
            body: *body,
            at: range.start,
            end: range.end,
            most: PIECE,
        }
    }

    /// What is asked for next; `None` at the end.
    fn range(&self) -> Option<Range<u64>> {
        (self.at < self.end).then(|| self.at..self.end.min(self.at.saturating_add(self.most)))
    }

    fn take(&mut self, piece: Bytes) -> Result<Option<Bytes>> {
        if piece.is_empty() {
            return Err(Error::Damaged(
                "a body that is too short",
                self.body.id.into(),
            ));
        }
        self.at += piece.len() as u64;
        Ok(Some(piece))
    }
}

/// A range of a body, read piece by piece: only some KiB are in memory at a time.
///
/// A body that ends before its range is an error, and never taken for a whole one.
///
/// ```
/// # use hikyaku_mailstore::{BodyRef, Pieces, Result, Store};
/// async fn count_lines(store: &dyn Store, body: &BodyRef) -> Result<usize> {
///     let mut lines = 0;
///     let mut pieces = Pieces::whole(store, body);
///     while let Some(piece) = pieces.next().await? {
///         lines += piece.iter().filter(|octet| **octet == b'\n').count();
///     }
///     Ok(lines)
/// }
/// ```
pub struct Pieces<'a> {
    store: &'a dyn Store,
    left: Left,
}

impl std::fmt::Debug for Pieces<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pieces")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl<'a> Pieces<'a> {
    /// Creates a reader of a range, in octets from the start of the body. [`next`](Self::next) fails when the range
    /// ends behind the body.
    pub fn of(store: &'a dyn Store, body: &BodyRef, range: Range<u64>) -> Self {
        let left = Left::of(body, range);
        Self { store, left }
    }

    /// Creates a reader of a whole body.
    pub fn whole(store: &'a dyn Store, body: &BodyRef) -> Self {
        Self::of(store, body, 0..body.octets)
    }

    /// Reads pieces as large as the store returns them, instead of 64 KiB at most.
    #[must_use]
    pub fn large(mut self) -> Self {
        self.left.most = u64::MAX;
        self
    }

    /// Reads the next piece; `None` at the end of the range.
    ///
    /// # Errors
    /// Those of [`Store::read`], and [`Error::Damaged`] when the body ends before the range.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        match self.left.range() {
            Some(range) => {
                let piece = self.store.read(&self.left.body, range).await?;
                self.left.take(piece)
            }
            None => Ok(None),
        }
    }

    /// Returns where the next piece begins, in octets from the start of the body (not of the range).
    #[must_use]
    pub fn at(&self) -> u64 {
        self.left.at
    }

    /// Reads the rest into memory. A rest that the store returns in one piece is not copied.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn gather(mut self) -> Result<Bytes> {
        self.left.most = u64::MAX;
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next().await? else {
            return Ok(first);
        };
        let mut octets = [first, second].concat();
        while let Some(piece) = self.next().await? {
            octets.extend_from_slice(&piece);
        }
        Ok(octets.into())
    }
}

/// As [`Pieces`], where rows are visited.
pub(crate) struct VisitedPieces<'a> {
    bodies: &'a mut dyn Bodies,
    left: Left,
}

impl<'a> VisitedPieces<'a> {
    pub(crate) fn of(bodies: &'a mut dyn Bodies, body: &BodyRef, range: Range<u64>) -> Self {
        let left = Left::of(body, range);
        Self { bodies, left }
    }

    pub(crate) fn next(&mut self) -> Result<Option<Bytes>> {
        match self.left.range() {
            Some(range) => {
                let piece = self.bodies.read(&self.left.body, range)?;
                self.left.take(piece)
            }
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Append, Memory, Operation, Transaction, Want, Which, block_on};

    #[test]
    fn a_body_comes_whole_or_not_at_all() {
        let store = Memory::new();
        let octets: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let body = block_on(async {
            let account = store.create_account("a").await?;
            let inbox = store
                .mailbox(account, "INBOX")
                .await?
                .ok_or(Error::NoSuchMailbox(crate::About::Nothing))?;
            let mut stage = store.stage().await?;
            for piece in octets.chunks(70_000) {
                stage.write(piece.to_vec().into()).await?;
            }
            let append = Append::new(inbox.id, stage.finish().await?, (0, 0));
            let append = Operation::Append(Box::new(append));
            store.commit(Transaction::new(account).with(append)).await?;
            let page = store.messages(inbox.id, &Which::After(None), Want::ROW, 1);
            Ok::<_, Error>(page.await?.rows.remove(0).body)
        });
        let body = body.unwrap();
        let (mut came, mut count) = (Vec::new(), 0);
        let mut pieces = Pieces::of(&store, &body, 1..199_999);
        while let Some(piece) = block_on(pieces.next()).unwrap() {
            assert!(piece.len() as u64 <= PIECE);
            came.extend_from_slice(&piece);
            count += 1;
        }
        assert!(count >= 4 && came == octets[1..199_999]);
        assert_eq!(pieces.at(), 199_999);
        assert!(block_on(Pieces::whole(&store, &body).gather()).unwrap() == octets);
        assert!(
            block_on(Pieces::of(&store, &body, 5..5).gather())
                .unwrap()
                .is_empty()
        );
        let longer = BodyRef {
            octets: 200_001,
            ..body
        };
        let cut = block_on(Pieces::whole(&store, &longer).gather());
        assert!(matches!(cut, Err(Error::Damaged(..))), "{cut:?}");
    }
}
