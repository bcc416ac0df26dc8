//! `mailserver`'s SMTP with programs nobody here wrote.
//!
//! | file | what lies there |
//! |---|---|
//! | `house.rs` | a server in this process, with accounts |
//! | `postfix.rs` | Debian's Postfix, with Dovecot for its logins |
//! | `provider.rs` | Postfix with OpenDKIM, OpenDMARC and policyd-spf |
//! | `exim.rs` | Debian's Exim |
//! | `sink.rs` | `smtp-sink`, which takes mail and keeps its envelopes |
//! | `program.rs` | a program that runs to its end, and one that serves until it is dropped |
//! | `certificate.rs` | certificates of an authority of their own |
//!
//! Everything listens on loopback, in folders of its own, and ends with the test. Postfix and Dovecot need root; without
//! it their tests say so and do nothing.

#![forbid(unsafe_code)]
#![allow(
    clippy::exhaustive_structs,
    clippy::exhaustive_enums,
    reason = "tests write them out"
)]

mod certificate;
mod exim;
mod house;
mod postfix;
mod program;
mod provider;
mod sink;

pub use certificate::Authority;
pub use exim::Exim;
pub use hikyaku_test_dns::free_port;
pub use house::{House, PASSWORD};
pub use postfix::{Postfix, Smarthost};
pub use program::{Done, run, run_with};
pub use provider::Provider;
pub use sink::{Sink, Taken};
