//! Certificates from an ACME server (RFC 8555): HTTP-01 and TLS-ALPN-01 (RFC 8737), renewal, and what failed tried again.

mod account;
mod challenges;
mod failure;
mod files;
mod http;
mod keeper;
mod order;
mod schedule;
mod settings;
mod state;

pub(crate) use files::certificate as certificate_file;
pub(crate) use keeper::start;
pub use settings::{Acme, AcmeChallenge};
pub(crate) use state::AcmeState;
