#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod body;
mod deflated;
mod directory;
mod examiner;
mod exchange;
mod guest;
mod imap;
mod limiter;
mod login;
mod options;
mod pop3;
mod queue;
mod serve;
mod service;
mod smtp;
mod stream;
mod traced;

pub use directory::{Directory, Guess, ScramKeys, StandsFor, TooMany, Turn, Whose};
pub use examiner::{Arrival, Examiner, Opinion, Remarks};
pub use guest::{Guest, Leave};
pub use limiter::{Limiter, Rate};
pub use options::{Happened, Options, Step};
pub use queue::{Became, NextHop, Outgoing, OutgoingRecipient, Queue};
pub use service::Service;
pub use smtp::{Authors, Reception, base_address};
pub use stream::Stream;
pub use traced::{Client, Trace, Traced, What};
