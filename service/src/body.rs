//! Octets of a body that are announced before they are sent.

use bytes::Bytes;
use hikyaku_mailstore::{BodyRef, Pieces, Result, Store};
use std::ops::Range;

/// Octets that are held from before their length is announced; what is longer is read again.
pub(crate) const HELD: u64 = 64 * 1024;

/// Reads a range of a body to know that it can be sent whole, before its length is announced and nothing
/// can be said any more. Returns the octets where they are no more than `held`.
///
/// # Errors
/// What [`Pieces`] says.
pub(crate) async fn checked(
    store: &dyn Store,
    body: &BodyRef,
    range: Range<u64>,
    held: u64,
) -> Result<Option<Bytes>> {
    if range.is_empty() {
        return Ok(Some(Bytes::new()));
    }
    let length = range.end - range.start;
    let mut pieces = Pieces::of(store, body, range).large();
    while let Some(piece) = pieces.next().await? {
        if piece.len() as u64 == length && length <= held {
            return Ok(Some(piece));
        }
    }
    Ok(None)
}
