//! Object identifiers (RFC 8474).

use bytes::Bytes;

use crate::plumbing::cursor::{Cursor, Result};

/// `objectid`: up to 255 letters, digits, `_` and `-` (RFC 8474 §7).
pub(crate) fn object_id(cursor: &mut Cursor<'_>) -> Result<Bytes> {
    let start = cursor.clone();
    let is = |o: u8| o.is_ascii_alphanumeric() || matches!(o, b'_' | b'-');
    let id = cursor.word(is, "an object identifier")?;
    if id.len() > 255 {
        return start.fail("an object identifier");
    }
    Ok(cursor.unit().slice_ref(id))
}
