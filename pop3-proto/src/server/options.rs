//! How the machine is set up.

use alloc::vec::Vec;
use bytes::Bytes;

use crate::{Expire, Limits};

/// How a server machine behaves. CAPA lists what is set here, and what the machine does by itself.
///
/// By default nobody can log in without TLS: set [`tls`](Self::tls) where the stream is under TLS, offer
/// [`stls`](Self::stls), or allow logins in clear with [`login_needs_tls`](Self::login_needs_tls).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Whether STLS is offered.
    pub stls: bool,
    /// Whether the stream is under TLS from the start.
    pub tls: bool,
    /// SASL mechanisms, in upper case. Without any there is no AUTH.
    pub mechanisms: Vec<Bytes>,
    /// USER, PASS and AUTH only under TLS (the default). APOP, which sends no password, needs a
    /// [`timestamp`](Self::timestamp) instead.
    pub login_needs_tls: bool,
    /// The greeting's `<..@..>` for APOP, another one each time; without it there is no APOP.
    pub timestamp: Option<Bytes>,
    /// UTF8 is offered (RFC 6856): the application serves messages with UTF-8 in their header sections, and asks
    /// [`Connection::is_utf8`](super::Connection::is_utf8) where that matters.
    pub utf8: bool,
    /// AUTH-RESP-CODE is offered (RFC 3206): the application refuses wrong credentials with
    /// [`ResponseCode::Auth`](crate::ResponseCode::Auth).
    pub auth_response_code: bool,
    /// How long retrieved messages are kept: EXPIRE (RFC 2449 §6.7).
    pub expire: Option<Expire>,
    /// What CAPA calls the implementation (RFC 2449 §6.9).
    pub implementation: Option<Bytes>,
    /// What a peer may make us hold.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            stls: false,
            tls: false,
            mechanisms: Vec::new(),
            login_needs_tls: true,
            timestamp: None,
            utf8: false,
            auth_response_code: false,
            expire: None,
            implementation: None,
            limits: Limits::default(),
        }
    }
}
