//! What a server machine is set up with.

use alloc::vec::Vec;
use bytes::Bytes;

use crate::Limits;

/// How a server machine behaves. EHLO announces what is set here, and what the machine does by itself.
///
/// By default nobody can log in without TLS: set [`tls`](Self::tls) where the stream is under TLS, offer
/// [`starttls`](Self::starttls), or allow logins in clear with [`login_needs_tls`](Self::login_needs_tls).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// What the server calls itself.
    pub hostname: Bytes,
    /// LMTP instead of SMTP (RFC 2033): LHLO, and a reply for each recipient.
    pub lmtp: bool,
    /// Whether STARTTLS is offered.
    pub starttls: bool,
    /// Whether the stream is under TLS from the start.
    pub tls: bool,
    /// SASL mechanisms, in upper case. Without any there is no AUTH.
    pub mechanisms: Vec<Bytes>,
    /// AUTH only under TLS (the default).
    pub login_needs_tls: bool,
    /// SMTPUTF8 is offered (RFC 6531): the application takes international addresses and header sections.
    pub smtputf8: bool,
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
            login_needs_tls: true,
            smtputf8: false,
            auth_required: false,
            limits: Limits::default(),
        }
    }
}
