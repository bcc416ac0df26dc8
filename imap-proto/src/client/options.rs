//! How the machine is set up.

use core::time::Duration;

use crate::Limits;

/// How a client machine behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Whether the stream is under TLS from the start.
    pub tls: bool,
    /// LOGIN and AUTHENTICATE only under TLS (the default); without it they are a [`Misuse`](super::Misuse).
    pub login_needs_tls: bool,
    /// One command at a time, whatever could go together.
    pub one_by_one: bool,
    /// IDLE is ended and begun anew after this time without a word (9 minutes; RFC 9051 §6.3.13 asks
    /// for less than 29, and NAT forgets sooner).
    pub idle_renewal: Duration,
    /// How long the server may be silent otherwise (5 minutes).
    pub patience: Duration,
    /// What the server may make us hold.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tls: false,
            login_needs_tls: true,
            one_by_one: false,
            idle_renewal: Duration::from_secs(9 * 60),
            patience: Duration::from_secs(5 * 60),
            limits: Limits::default(),
        }
    }
}
