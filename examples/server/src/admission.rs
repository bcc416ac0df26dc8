//! How many connections there may be, and what for.

use std::sync::Arc;
use webmail::{Admission, Places};

use crate::config::Limits;
use crate::descriptors;
use crate::protocol::Protocol;

/// Connections that are reserved for each purpose, where there are enough in all.
const KEPT: usize = 64;

/// What connections are for: each of these has places of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Reception,
    Submission,
    Lmtp,
    Pop3,
    Imap,
    Web,
    Metrics,
}

impl Purpose {
    const COUNT: usize = Self::Metrics as usize + 1;

    pub(crate) fn of(service: Protocol) -> Self {
        match service {
            Protocol::Smtp => Self::Reception,
            Protocol::Submission | Protocol::Submissions => Self::Submission,
            Protocol::Lmtp => Self::Lmtp,
            Protocol::Pop3 | Protocol::Pop3s => Self::Pop3,
            Protocol::Imap | Protocol::Imaps => Self::Imap,
            Protocol::Https | Protocol::Http => Self::Web,
            Protocol::Metrics => Self::Metrics,
        }
    }
}

/// The places that a configuration gives, as far as there are file descriptors.
pub(crate) fn admission(limits: &Limits) -> Arc<Admission> {
    let places = Places {
        total: descriptors::connections(limits.connections),
        per_network: limits.connections_per_ip,
        kept: KEPT,
    };
    Admission::new(places, Purpose::COUNT)
}
