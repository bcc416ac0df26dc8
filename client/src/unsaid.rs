//! Octets that come and say nothing.

use std::io;

/// Octets that may come without anything being said by them: a response that is longer is none.
pub(crate) const UNSAID: u64 = 32 * 1024 * 1024;

/// [`UNSAID`] octets came, and nothing with them.
#[derive(Debug, thiserror::Error)]
#[error("{} MiB came that say nothing", UNSAID >> 20)]
pub(crate) struct Unsaid;

impl Unsaid {
    pub(crate) fn is(error: &io::Error) -> bool {
        error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Self>())
            .is_some()
    }
}
