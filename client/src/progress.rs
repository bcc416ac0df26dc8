//! The progress of long work.

/// Shows the progress of long work that goes through a number of items. `()` shows nothing.
pub trait Progress: Send + Sync {
    /// Begins work on `count` items of `what`, a name that a server may have chosen.
    fn begin(&self, what: &str, count: u64);
    /// One item is done.
    fn step(&self);
    /// The work has ended, with all items or not.
    fn end(&self);
}

impl Progress for () {
    fn begin(&self, _: &str, _: u64) {}
    fn step(&self) {}
    fn end(&self) {}
}
