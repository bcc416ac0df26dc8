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
#[cfg(any(feature = "std", test))]
extern crate std;

mod dot;
#[cfg(feature = "std")]
pub mod drive;
mod excerpt;
mod global;
mod line;
mod login;
mod machine;
mod misuse;
mod output;
mod regular;
mod sasl;
mod secret;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use dot::{DotDecoder, DotEncoder, DotStep, Irregular};
pub use excerpt::Excerpt;
pub use global::is_global;
pub use line::{LineError, LineFramer};
pub use login::LoginRefusal;
pub use machine::{Machine, Step};
pub use misuse::{Misuse, Reason};
pub use output::Output;
pub use regular::is_regular;
pub use sasl::{
    LOGIN_PROMPTS, SaslError, SaslLine, decode_sasl, encode_sasl, split_initial, write_response,
};
pub use secret::Secret;
