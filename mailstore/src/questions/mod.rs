//! What is asked of many messages at once: searching, sorting, threading.

pub(crate) mod casemap;
pub(crate) mod columns;
pub(crate) mod field_text;
pub(crate) mod forest;
pub(crate) mod join;
pub mod search;
pub(crate) mod sort;
pub(crate) mod thread;
