//! What a peer may make us hold.

/// Limits of the machines.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of a command line with its CRLF (1 024; RFC 2449 §4 asks for 255). Past it: -ERR.
    pub line: usize,
    /// Octets of a SASL line (12 288). Past it: -ERR, and the exchange is over.
    pub sasl_line: usize,
    /// -ERRs in a row (20). Then the end. Stops guessing.
    pub errors: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 1024,
            sasl_line: 12_288,
            errors: 20,
        }
    }
}
