#![doc = include_str!("../README.md")]

mod accept;
mod accounts;
mod body;
mod config;
pub mod control;
mod deflated;
mod descriptors;
mod imap;
mod listener;
mod login;
mod metrics;
mod network;
mod pop3;
mod prepare;
mod private;
mod queue;
mod remembered;
mod server;
mod smtp;
mod store_health;
mod tls;
mod weak;
mod web;

pub use accounts::{AccountError, Accounts, ScramKeys, generated_password};
pub use config::{
    Addresses, Auth, Config, ConfigError, Limits, Listen, Plaintext, Relay, Senders, Size, Span,
    Store, StoreKind, Tls, Webmail,
};
pub use network::{Network, Networks};
pub use prepare::{Findings, check};
pub use server::{Server, Service, StartError, open_store};
pub use tls::TlsError;
pub use weak::hint;

/// Seconds since 1970.
pub(crate) fn unix_now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0))
}
