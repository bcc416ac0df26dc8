#![doc = include_str!("../README.md")]

mod account;
mod authorities;
mod carried;
pub mod compose;
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
mod server;
pub mod show;
mod submission;
mod sync;
mod trust;
mod unsaid;
pub mod visible;

pub use account::{Account, Bodies, Deletion, Interval, Kind, private_folder};
pub use authorities::authorities;
pub use connect::{Dial, Tcp, Wire};
pub use discover::{Found, Http, Web, discover};
pub use error::{Error, Result};
pub use limits::{Limits, Octets};
pub use local::{Folder, Local, Message};
pub use outbox::{
    Failure, Outgoing, queue, queued, queued_message, recover, renew, requeue, send_all, send_one,
    unqueue,
};
pub use pending::Op;
pub use progress::Progress;
pub use secret::Password;
pub use server::{Security, Server};
pub use submission::{Fate, Submission};
pub use sync::{Report, fetch_whole, sync};
pub use trust::{Fingerprint, one_or_many};
