//! How the machine is set up.

use crate::Limits;

/// What a client machine is set up with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Whether the stream is under TLS from the start.
    pub tls: bool,
    /// USER, PASS and AUTH only under TLS (the default); without it they are a [`Misuse`](super::Misuse). APOP sends no
    /// password, and is allowed.
    pub login_needs_tls: bool,
    /// Send one command after the other even where the server has PIPELINING.
    pub one_by_one: bool,
    /// What a server may make us hold.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tls: false,
            login_needs_tls: true,
            one_by_one: false,
            limits: Limits::default(),
        }
    }
}
