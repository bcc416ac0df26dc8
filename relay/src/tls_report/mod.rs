//! TLS reports: how often TLS with a domain's hosts came about, and why it did not (RFC 8460). See
//! [`Options::tls_reports`](crate::Options::tls_reports). The record's grammar is here for others:
//!
//! ```
//! let records = [b"v=TLSRPTv1; rua=mailto:reports@example.org".to_vec()];
//! assert_eq!(hikyaku_relay::tls_report::places(&records).len(), 1);
//! ```
//!
//! | rule | file |
//! |---|---|
//! | where a domain wants its reports (§3) | `record.rs` |
//! | what can go wrong (§4.3) | `result_type.rs` |
//! | what is counted, for each day and domain; kept over a restart | `tally.rs` |
//! | one session with one host is counted once | `session.rs` |
//! | the report as JSON (§4.4) | `json.rs` |
//! | the report as a message (§5.3) | `message.rs` |
//! | when and where it is sent (§4.1, §5.4, §5.5) | `send.rs` |

mod json;
mod message;
mod record;
pub(crate) mod reports;
pub(crate) mod result_type;
pub(crate) mod send;
pub(crate) mod session;
pub(crate) mod settings;
pub(crate) mod tally;

pub use record::{Place, places};
