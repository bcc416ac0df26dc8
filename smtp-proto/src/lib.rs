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

pub mod client;
#[cfg(feature = "codec")]
pub mod codec;
mod command;
#[cfg(test)]
mod conversation;
mod ehlo;
mod error;
pub mod framer;
#[cfg(test)]
mod hostile;
mod limits;
mod parameter;
mod path;
mod reply;
pub mod server;

pub use command::Command;
pub use ehlo::Capabilities;
pub use error::SyntaxError;
pub use limits::Limits;
pub use parameter::{BodyType, MailParameters, Parameter, RcptParameters};
pub use path::{ForwardPath, Mailbox, ReversePath};
pub use reply::{EnhancedCode, Reply};
