//! The field Authentication-Results (RFC 8601): ours, written, and those that others wrote in our name.

mod foreign;
mod write;

pub use foreign::{fields_named, foreign_results};
pub(crate) use write::Results;
