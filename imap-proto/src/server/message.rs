//! A command whose messages stream: APPEND, REPLACE, CATENATE.

use alloc::collections::VecDeque;
use bytes::Bytes;

use crate::MailboxName;
use crate::command::append::{Piece, Place};
use crate::plumbing::frame::Literal;

/// A command whose messages stream, on its way in.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) tag: Bytes,
    /// Of the first message, and so of all.
    pub(super) mailbox: Option<MailboxName>,
    pub(super) place: Place,
    /// What the segment read last says, and is not reported yet.
    pub(super) pieces: VecDeque<Piece>,
    /// The literal behind that segment.
    pub(super) literal: Option<Literal>,
    /// Octets of the literal under way; `None` between literals.
    pub(super) left: Option<u64>,
    /// It may hold NUL.
    pub(super) binary: bool,
    /// No literal stands behind that segment.
    pub(super) ended: bool,
    /// REPLACE.
    pub(super) replaces: bool,
    /// An event was given out: `BodyRefused` is due when it fails.
    pub(super) begun: bool,
}
