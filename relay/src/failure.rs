//! Why a conversation with a host ends early.

use hikyaku_smtp_proto::client;
use hikyaku_wire::drive::DriveError;
use std::time::Duration;

/// Why a conversation ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Connect(std::io::Error),
    #[error("no answer within {} seconds", .0.as_secs_f32())]
    Silent(Duration),
    #[error("no answer yet, and others wait for the connection")]
    Cut,
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    #[error("login: {0}")]
    Login(String),
    #[error("the connection was over: {0}")]
    Stale(String),
    #[error("the message cannot be read: {0}")]
    Store(#[from] hikyaku_mailstore::Error),
    #[error(transparent)]
    Drive(#[from] DriveError<client::Error>),
    #[error(transparent)]
    Misuse(#[from] client::Misuse),
    #[error(transparent)]
    Body(#[from] client::BodyError),
}

impl Failure {
    /// The enhanced status code of it: 4.7.5 for cryptography that failed, 4.7.8 for a login (RFC 3463 §3.8, RFC 5248).
    pub(crate) fn status(&self) -> &'static str {
        match self {
            Self::Tls(_) => "4.7.5",
            Self::Login(_) => "4.7.8",
            _ => "4.4.2",
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Drive(error.into())
    }
}
