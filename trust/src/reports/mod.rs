//! DMARC aggregate reports (RFC 7489 §7.2): those of others, read, and our own, counted and written.
//!
//! | what | file |
//! |---|---|
//! | a report that came as a message | `received.rs` |
//! | a report of ours as a message | `message.rs` |
//! | what came here, counted until a report is made of it | `tally.rs` |

mod message;
mod received;
mod tally;

pub use received::{ReportError, ReportLimits, Source, Summary, read_report};
pub use tally::{Collected, Reporter, Tally};
