//! rspamd, asked by its HTTP protocol.

mod answer;
mod examiner;
mod http;
mod question;
mod status;
mod verdict;

pub use examiner::Rspamd;
