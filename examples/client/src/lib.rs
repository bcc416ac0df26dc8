#![doc = include_str!("../README.md")]
#![allow(
    clippy::exhaustive_structs,
    clippy::exhaustive_enums,
    reason = "the library of a program"
)]

pub mod cli;
pub mod clock;
mod config;
mod progress;
mod store;
pub mod terminal;
mod watch;

pub use config::Config;
pub use watch::{Dialer, Synced, watch};
