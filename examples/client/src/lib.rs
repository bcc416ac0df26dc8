#![doc = include_str!("../README.md")]

mod carried;
pub mod cli;
pub mod clock;
pub mod compose;
mod config;
mod connect;
mod discover;
mod error;
pub mod file_name;
pub mod html;
pub mod imap;
mod limits;
mod local;
mod outbox;
mod pace;
mod pending;
pub mod pop;
mod progress;
mod recipient;
mod secret;
pub mod show;
mod submission;
mod sync;
pub mod terminal;
mod trust;
pub mod visible;
mod watch;

pub use config::{Account, Bodies, Config, Deletion, Interval, Kind, Server};
pub use connect::{Dial, Security, Tcp, Wire};
pub use discover::{Found, Http, Web, discover};
pub use error::{Error, Result};
pub use limits::{Limits, Octets};
pub use local::{Folder, Local, Message};
pub use outbox::{
    Failure, Outgoing, queue, queued, queued_message, renew, requeue, send_all, send_one, unqueue,
};
pub use pending::Op;
pub use progress::Progress;
pub use secret::Password;
pub use submission::{Fate, Submission};
pub use sync::{Report, fetch_whole, sync};
pub use trust::{Fingerprint, one_or_many};
pub use watch::{Dialer, Told, watch};
