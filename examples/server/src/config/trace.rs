//! `[trace]`: the log of what became of messages.

use serde::Deserialize;
use std::time::Duration;

use super::size::Size;
use super::span::Span;

/// `[trace]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Trace {
    /// How long it is kept; 0 for no log at all.
    pub keep: Span,
    /// The most octets it may have; the oldest part goes first. 0 for no log at all.
    pub size: Size,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            keep: Span(Duration::from_secs(7 * 86_400)),
            size: Size(256 << 20),
        }
    }
}
