#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation
    )
)]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod capabilities;
pub mod client;
#[cfg(feature = "codec")]
pub mod codec;
mod command;
#[cfg(test)]
mod conversation;
pub mod framer;
#[cfg(test)]
mod hostile;
mod limits;
mod response;
pub mod server;

pub use capabilities::{Capabilities, Expire};
pub use command::{Command, SyntaxError};
pub use limits::Limits;
pub use response::{Response, ResponseCode};
