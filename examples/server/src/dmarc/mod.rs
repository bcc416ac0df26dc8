//! DMARC's aggregate reports (RFC 7489 §7.2): those that others want of us, and what others say about our domains.

mod counts;
mod inbox;
mod log;
mod send;
mod table;

pub(crate) use counts::Counts;
pub(crate) use inbox::Inbox;
pub(crate) use send::start;
pub use table::dmarc_table;
