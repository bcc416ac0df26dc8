//! How the machine is set up.

use alloc::vec::Vec;
use bytes::Bytes;

use crate::Limits;

/// How a server machine behaves. CAPABILITY lists what is set here, and what the machine does by itself: IMAP4rev1,
/// LITERAL+ and ENABLE.
///
/// By default nobody can log in without TLS: set [`tls`](Self::tls) where the stream is under TLS, offer
/// [`starttls`](Self::starttls), or allow logins in clear with [`login_needs_tls`](Self::login_needs_tls).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Whether STARTTLS is offered.
    pub starttls: bool,
    /// Whether the stream is under TLS from the start.
    pub tls: bool,
    /// SASL mechanisms, in upper case. Without any there is no AUTHENTICATE.
    pub mechanisms: Vec<Bytes>,
    /// LOGIN and AUTHENTICATE only under TLS (the default): LOGINDISABLED until then.
    pub login_needs_tls: bool,
    /// What the application can do: names of capabilities such as `IDLE`, `ID`, `UNSELECT` or `MOVE`, whose events and
    /// commands it answers. IDLE is refused unless it, or IMAP4rev2, is among them; ENABLE enables what is among them.
    pub capabilities: Vec<Bytes>,
    /// COMPRESS is offered (RFC 4978).
    pub compress: bool,
    /// Whether the stream is compressed from the start.
    pub compressed: bool,
    /// What a peer may make us hold.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            starttls: false,
            tls: false,
            mechanisms: Vec::new(),
            login_needs_tls: true,
            capabilities: Vec::new(),
            compress: false,
            compressed: false,
            limits: Limits::default(),
        }
    }
}
