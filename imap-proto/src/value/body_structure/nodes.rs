//! How the parts of a message lie in one tape.

use alloc::vec::Vec;

use crate::Envelope;
use crate::plumbing::tape::Tape;

/// The parts of a message, one behind the other.
#[derive(Clone, Default)]
pub(super) struct Nodes {
    /// A node is, in this order: what it is; the place behind it; then a multipart's count of parts, its parts, its
    /// subtype and fields; or a part's texts and numbers in the order of the RFC, a message's envelope and node
    /// where they are there.
    pub(super) tape: Tape,
    pub(super) envelopes: Vec<Envelope>,
}

/// What a node is.
pub(super) const PART: u64 = 0;
pub(super) const MULTIPART: u64 = 1;
pub(super) const MESSAGE: u64 = 2;

/// A place in the tape.
pub(super) fn place(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
