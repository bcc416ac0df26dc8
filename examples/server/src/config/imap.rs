//! `[imap]`

use serde::Deserialize;
use std::num::NonZeroU32;
use std::time::Duration;

use super::span::Span;

/// `[imap]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Imap {
    /// The most messages that one command may name (RFC 9738).
    pub message_limit: Option<NonZeroU32>,
    /// How often a waiting client is sent the progress of its command.
    pub progress: Span,
}

impl Default for Imap {
    fn default() -> Self {
        Self {
            message_limit: None,
            // RFC 9585 §4 asks for 10 to 15 seconds.
            progress: Span(Duration::from_secs(10)),
        }
    }
}
