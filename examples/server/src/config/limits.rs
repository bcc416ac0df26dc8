//! `[limits]`: how much there may be.

use serde::Deserialize;

use super::size::Size;

/// `[limits]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Limits {
    /// The largest message, in octets.
    pub message_size: Size,
    /// The quota of a new account, in octets.
    pub quota: Size,
    /// The most connections at a time; fewer if there are not two file descriptors for each.
    pub connections: usize,
    /// The most connections for each protocol from one IPv4 address or one IPv6 /64.
    pub connections_per_ip: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_size: Size(50 << 20),
            quota: Size(1 << 30),
            connections: 4096,
            connections_per_ip: 64,
        }
    }
}
