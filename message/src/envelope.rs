//! What the header section says of a message: ENVELOPE (RFC 9051 §7.5.2).

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use super::Address;

/// What ENVELOPE shows of a message (RFC 9051 §7.5.2). Values are unfolded and not decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Envelope {
    /// Date
    pub date: Option<Vec<u8>>,
    /// Subject
    pub subject: Option<Vec<u8>>,
    /// From
    pub from: Vec<Address>,
    /// Sender; From, when there is none.
    pub sender: Vec<Address>,
    /// Reply-To; From, when there is none.
    pub reply_to: Vec<Address>,
    /// To
    pub to: Vec<Address>,
    /// Cc
    pub cc: Vec<Address>,
    /// Bcc
    pub bcc: Vec<Address>,
    /// In-Reply-To
    pub in_reply_to: Option<Vec<u8>>,
    /// Message-ID
    pub message_id: Option<Vec<u8>>,
    /// References
    pub references: Option<Vec<u8>>,
}
