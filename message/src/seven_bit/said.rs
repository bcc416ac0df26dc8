//! What a part says of itself.

use crate::Content;

/// Returns whether a part says 8bit or binary.
pub(super) fn is_labelled(content: &Content) -> bool {
    let encoding = content.encoding.as_deref().unwrap_or(b"7bit");
    encoding.eq_ignore_ascii_case(b"8bit") || encoding.eq_ignore_ascii_case(b"binary")
}

/// Returns whether a part may be read by people as it is.
pub(super) fn is_text(content: &Content) -> bool {
    content.is("text", "*") || content.is("message", "*")
}
