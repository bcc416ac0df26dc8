//! A FETCH response on its way out.

/// A FETCH response that was begun.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fetching {
    /// Whether an item was written.
    pub(super) any: bool,
    /// Octets of the literal that are due.
    pub(super) left: u64,
}
