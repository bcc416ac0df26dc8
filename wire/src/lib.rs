#![doc = include_str!("../README.md")]
#![no_std]
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
#[cfg(any(feature = "std", test))]
extern crate std;

mod dot;
#[cfg(feature = "std")]
pub mod drive;
mod line;
mod machine;
mod output;
mod sasl;
mod secret;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use dot::{DotDecoder, DotEncoder, DotStep, Irregular};
pub use line::{LineError, LineFramer};
pub use machine::{Machine, Step};
pub use output::Output;
pub use sasl::{SaslError, SaslLine, decode_sasl, encode_sasl, split_initial, write_response};
pub use secret::Secret;
