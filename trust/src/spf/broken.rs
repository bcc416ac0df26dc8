//! What is wrong with a record.

/// A record that nobody can evaluate: the part of it that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} in the record is wrong")]
pub(crate) struct Broken(pub(crate) &'static str);
