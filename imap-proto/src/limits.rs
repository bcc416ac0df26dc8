//! What a peer may make us hold.

use crate::Leniencies;

/// Limits of both machines.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of a command before login, its small literals included (36 KiB: an ID of RFC 2971 §3.3 has
    /// 30 fields of up to 1 054). Past it: BAD.
    pub command_before_login: usize,
    /// Octets of a command, its small literals included (64 KiB; RFC 7162 §4 asks for 8 192). Past
    /// it: BAD, and the rest is skipped. Stops endless commands.
    pub command: usize,
    /// Octets of a literal that is held with its command (16 KiB). Past it: BAD `[TOOBIG]`.
    pub literal: u64,
    /// Octets of a SASL line (12 288).
    pub sasl_line: usize,
    /// Parentheses and NOTs within each other in SEARCH (64), and parts of a BODYSTRUCTURE. Past it: BAD, or the item
    /// is reported as it was sent. Stops deep recursion in whoever evaluates it.
    pub nesting: usize,
    /// Octets of a LIST pattern (1 024: names have 1 000). Past it: BAD.
    pub pattern: usize,
    /// Patterns of one LIST (100). Past it: BAD. Together they bound what matching costs.
    pub patterns: usize,
    /// BADs in a row (20). Then BYE. Stops guessing.
    pub errors: u32,
    /// Octets of a response that a client holds, sections aside, which stream (16 MiB: two million
    /// numbers of a SEARCH). Past it the connection ends.
    pub response: usize,
    /// Octets of a literal in such a response (1 MiB). Past it NIL stands for it.
    pub response_literal: u64,
    /// Octets of a section that `codec` and [`framer`](crate::plumbing::framer) fold into its FETCH response, and of a message
    /// that `codec` gives as one chunk (16 KiB). What is larger streams.
    pub folded: u64,
    /// Octets of commands that `codec`'s client holds back behind one that waits (1 MiB). Past it: an error where they
    /// are sent.
    pub held_back: usize,
    /// UIDs that a client's view holds (4 194 304, four octets each). Past it they are not known.
    pub messages: u32,
    /// Commands that a client has under way at once (32). The rest waits in it.
    pub in_flight: usize,
    /// What servers may do against the grammar: no limit, and it goes the same way.
    pub leniencies: Leniencies,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_before_login: 36 * 1024,
            command: 64 * 1024,
            literal: 16 * 1024,
            sasl_line: 12_288,
            nesting: 64,
            pattern: 1024,
            patterns: 100,
            errors: 20,
            response: 16 * 1024 * 1024,
            response_literal: 1024 * 1024,
            folded: 16 * 1024,
            held_back: 1024 * 1024,
            messages: 4 * 1024 * 1024,
            in_flight: 32,
            leniencies: Leniencies::ALL,
        }
    }
}
