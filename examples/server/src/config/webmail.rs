//! `[webmail]`

use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

use super::span::Span;

/// `[webmail]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Webmail {
    /// Whether users may name servers within this network for their accounts elsewhere.
    pub outside_private: bool,
    /// How often the mail of accounts elsewhere is fetched.
    pub outside_interval: Span,
    /// A certificate authority to trust for accounts elsewhere, besides the system's: a PEM file.
    pub outside_ca: Option<PathBuf>,
}

impl Default for Webmail {
    fn default() -> Self {
        Self {
            outside_private: false,
            outside_interval: Span(Duration::from_secs(15 * 60)),
            outside_ca: None,
        }
    }
}
