//! What a peer may make us hold, and what deviations from the grammar it may send.

use crate::leniency::Leniencies;

/// Limits of both machines.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of a command line with its CRLF (4 096; RFC 5321 §4.5.3.1.4 asks for 512, extensions
    /// for more). Past it: 500 5.5.2. Stops endless lines.
    pub line: usize,
    /// Octets of a SASL line (12 288, RFC 4954 §4). Past it: 500 5.5.6.
    pub sasl_line: usize,
    /// Octets of a message (50 MiB), announced as SIZE. Past it: 552 5.3.4.
    pub message: u64,
    /// Recipients of one message (1 000; RFC 5321 §4.5.3.1.8 asks for 100). Past it: 452 4.5.3.
    pub recipients: usize,
    /// 5yz replies without an accepted message in between (20). Then 421 4.7.0 and the end. Stops guessing.
    pub errors: u32,
    /// Octets of a reply line that a client takes (4 096). Past it the connection ends.
    pub reply_line: usize,
    /// Lines of a reply that a client takes (100). Past it the connection ends.
    pub reply_lines: usize,
    /// Replies that a client lets the server owe it (100), where the server has PIPELINING.
    pub in_flight: usize,
    /// Deviations from the grammar that are accepted (all).
    pub leniencies: Leniencies,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 4096,
            sasl_line: 12_288,
            message: 50 * 1024 * 1024,
            recipients: 1000,
            errors: 20,
            reply_line: 4096,
            reply_lines: 100,
            in_flight: 100,
            leniencies: Leniencies::ALL,
        }
    }
}
