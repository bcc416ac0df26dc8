//! What a server machine is set up with.

use alloc::vec::Vec;
use bytes::Bytes;

use crate::Limits;

/// How a server machine behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// What the server calls itself.
    pub hostname: Bytes,
    /// LMTP instead of SMTP (RFC 2033): LHLO, and a reply for each recipient.
    pub lmtp: bool,
    /// Whether STARTTLS is offered.
    pub starttls: bool,
    /// Whether TLS is there from the start.
    pub tls: bool,
    /// SASL mechanisms, in upper case; none: no AUTH.
    pub mechanisms: Vec<Bytes>,
    /// AUTH only under TLS (the default).
    pub auth_needs_tls: bool,
    /// MAIL only after AUTH: submission (RFC 6409 §4.3).
    pub auth_required: bool,
    /// What a peer may make us hold.
    pub limits: Limits,
}

impl Options {
    /// SMTP reception without TLS and without AUTH.
    #[must_use]
    pub fn new(hostname: impl Into<Bytes>) -> Self {
        Self {
            hostname: hostname.into(),
            lmtp: false,
            starttls: false,
            tls: false,
            mechanisms: Vec::new(),
            auth_needs_tls: true,
            auth_required: false,
            limits: Limits::default(),
        }
    }
}
