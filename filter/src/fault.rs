//! Why a filter gave no opinion.

use std::io;
use std::time::Duration;

/// Why a filter gave no opinion. It stays within the crate: [`Away`](crate::Away) decides what comes of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("the connection broke: {0}")]
    Broke(io::Error),
    #[error("no answer within {0:?}")]
    Silent(Duration),
    #[error("the answer is longer than {0} octets")]
    TooLong(usize),
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("HTTP: the answer broke off: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error("HTTP: status {0}")]
    Status(hyper::StatusCode),
    #[error("the answer is no JSON: {0}")]
    Json(serde_json::Error),
    #[error("the answer lacks {0}")]
    Lacks(&'static str),
    #[error("the milter speaks version {0}")]
    Version(u32),
    #[error("the milter demands actions that were not offered: {0:#x}")]
    Demands(u32),
    #[error("unexpected answer {:?} to {:?}", char::from(*.answer), char::from(*.command))]
    Unexpected { answer: u8, command: u8 },
    #[error("the arguments of the answer {:?} cannot be read", char::from(*.0))]
    Arguments(u8),
    #[error("more than {0} changes to one message")]
    Changes(usize),
}
