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
    /// Octets of a response line with its CRLF (4 096; the RFC's 512 are passed by real servers).
    /// Past it the client ends.
    pub response_line: usize,
    /// Lines of one LIST or UIDL that a client reads (1 000 000).
    pub listing: usize,
    /// Lines of one CAPA that a client reads (256). Past either the client ends.
    pub capabilities: usize,
    /// Commands that a client has on their way at once where the server has PIPELINING (64).
    pub in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 1024,
            sasl_line: 12_288,
            errors: 20,
            response_line: 4096,
            listing: 1_000_000,
            capabilities: 256,
            in_flight: 64,
        }
    }
}
