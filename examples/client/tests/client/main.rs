//! The program as it is run, and the crate against servers of all kinds.

#![cfg(unix)]

mod endless;
mod keyring;
mod terminal;
