//! The log of what became of messages, for `mailserver trace`: an append-only log of JSON lines in the data folder, in
//! files by day and size.

mod log;
mod reader;
mod record;
mod sources;
mod story;
mod waiting;

pub(crate) use log::TraceLog;
pub(crate) use sources::{relay, service};
pub use story::{Query, report};
