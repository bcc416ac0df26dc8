//! The crate against servers.

mod certificates;
