//! The program as it is run, and the crate against servers of all kinds.

#![cfg(unix)]

mod endless;
mod found;
mod keyring;
mod terminal;
