#![doc = include_str!("../README.md")]
#![allow(
    clippy::exhaustive_structs,
    clippy::exhaustive_enums,
    reason = "the library of a program"
)]

mod accept;
mod accounts;
mod acme;
mod activation;
mod address_request;
mod addresses;
mod admission;
mod association;
mod certificates;
mod config;
pub mod control;
mod descriptors;
mod dmarc;
mod doctor;
mod examine;
mod forwarding;
mod found;
mod histogram;
mod made;
mod manners;
mod metrics;
mod metrics_page;
mod network;
mod open_store;
mod prepare;
mod printable;
mod private;
mod privileges;
mod protocol;
mod proxied;
mod queue_request;
pub mod queue_view;
mod queued;
mod relaying;
mod remembered;
mod residents;
mod server;
mod setup;
mod shared;
mod start_error;
mod store_health;
mod timings;
mod tls;
pub mod trace;
mod weak;
mod web;

pub use accounts::{AccountError, Accounts, generated_password};
pub use acme::{Acme, AcmeChallenge};
pub use activation::ActivationError;
pub use address_request::AddressRequest;
pub use addresses::{AddressBook, AddressError};
pub use config::{
    AccountLimits, Addresses, Auth, Config, ConfigError, DnssecMode, Imap, Limits, Listen, MtaSts,
    MtaStsMode, Plaintext, Proxies, Reading, Relay, RelayRoute, Senders, Size, Span, Store,
    StoreKind, Tls, TlsCertificate, Trace, Webmail,
};
pub use dmarc::dmarc_table;
pub use doctor::{Consultation, Doctor, DoctorError, Report, Verdict, diagnose};
pub use examine::{
    Check, Checks, DkimError, DkimKey, DmarcCheck, ExamineError, Filter, FilterAway, FilterKind,
    new_dkim_key,
};
pub use forwarding::{Forward, SrsError};
pub use manners::{Courtesy, Delay, Dnsbl, Manner, Weights};
pub use network::{Network, Networks};
pub use open_store::open_store;
pub use prepare::{Findings, check};
pub use privileges::{PrivilegesError, Run, drop_privileges};
pub use protocol::Protocol;
pub use queue_request::{
    Done, Listed, ListedRecipient, Ordered, Page, Picked, QueueError, QueueRequest,
};
pub use relaying::RelayError;
pub use server::Server;
pub use setup::{Setup, SetupError, setup};
pub use start_error::StartError;
pub use tls::TlsError;
pub use weak::hint;
