//! Commands: what a client sends (RFC 5321 §4.1.1 and the extensions that add some).

pub(crate) mod etrn;
pub(crate) mod line;
mod parse;
pub(crate) mod proxied;
#[cfg(test)]
pub(crate) mod tests;
mod write;
