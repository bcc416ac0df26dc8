//! The checks on reception.

pub(crate) mod arc;
pub(crate) mod dkim;
pub(crate) mod dmarc;
pub(crate) mod iprev;
mod keys;
mod known;

pub(crate) use known::deaf;
