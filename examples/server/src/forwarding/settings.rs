//! `[forward]`: how mail is passed on to other servers.

use serde::Deserialize;

/// `[forward]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Forward {
    /// Whether the reverse-path of a stranger's message is rewritten to one of ours (SRS), which SPF passes for.
    pub srs: bool,
    /// The domain of rewritten paths, one of this server; the first of `domains` by default.
    pub domain: Option<String>,
    /// Whether a message gets an ARC set of ours (RFC 8617), where it was checked and there is a key.
    pub seal: bool,
}

impl Default for Forward {
    fn default() -> Self {
        Self {
            srs: true,
            domain: None,
            seal: true,
        }
    }
}
