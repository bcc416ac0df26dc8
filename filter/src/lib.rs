#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod away;
mod edited;
mod endpoint;
mod fault;
mod field;
mod filters;
mod milter;
mod rspamd;
mod text;

pub use away::Away;
pub use endpoint::{BadEndpoint, Endpoint};
pub use filters::Filters;
pub use milter::Milter;
pub use rspamd::Rspamd;
