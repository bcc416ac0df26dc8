//! Stores: what a backend's author writes, in memory, and on disk.

pub(crate) mod apply;
pub(crate) mod backend;
pub(crate) mod blocking;
#[cfg(feature = "disk")]
pub(crate) mod disk;
pub mod engine;
pub(crate) mod memory;
pub(crate) mod patience;
pub(crate) mod readers;
pub(crate) mod tables;
pub(crate) mod watchers;
pub(crate) mod writer;
