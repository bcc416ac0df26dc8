//! Mail that is passed on to other servers: its reverse-path is one of ours (SRS), which notifications come back to.

mod keeper;
mod rewriter;
mod secrets;
mod settings;

pub(crate) use keeper::start;
pub use rewriter::SrsError;
pub(crate) use rewriter::{Returned, Rewriter};
pub use settings::Forward;
