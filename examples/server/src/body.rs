//! Octets of a body that are announced before they are sent.

use bytes::Bytes;
use mailstore::{BodyRef, Error, Result, Store};
use std::ops::Range;

/// Reads a range of a body to know that it can be sent whole, before its length is announced and nothing
/// can be said any more. Returns the octets where they are no more than `held`.
///
/// # Errors
/// [`Error::Damaged`] and whatever else the store says.
pub(crate) async fn checked(
    store: &dyn Store,
    body: &BodyRef,
    range: Range<u64>,
    held: u64,
) -> Result<Option<Bytes>> {
    if range.is_empty() {
        return Ok(Some(Bytes::new()));
    }
    let mut at = range.start;
    while at < range.end {
        let piece = store.read(body, at..range.end).await?;
        if piece.is_empty() {
            return Err(Error::Damaged("a body that is too short"));
        }
        let whole = piece.len() as u64 == range.end - range.start;
        if whole && piece.len() as u64 <= held {
            return Ok(Some(piece));
        }
        at += piece.len() as u64;
    }
    Ok(None)
}
