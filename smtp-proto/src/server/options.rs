//! What a server machine is set up with.

use alloc::vec::Vec;
use bytes::Bytes;

use crate::capabilities::FutureRelease;
use crate::limits::Limits;
use crate::newlines::BareNewlines;

/// How a server machine behaves. EHLO announces what is set here, and what the machine does by itself.
///
/// By default nobody can log in without TLS: set [`tls`](Self::tls) where the stream is under TLS, offer
/// [`starttls`](Self::starttls), or allow logins in clear with [`login_needs_tls`](Self::login_needs_tls).
///
/// What is offered beyond RFC 5321 is what the application does: it gets the parameters with
/// [`Event::Mail`](super::Event::Mail) and [`Event::Rcpt`](super::Event::Rcpt), and answers for them.
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
    /// CHUNKING is offered (RFC 3030; the default): BDAT is the same to the application as DATA.
    pub chunking: bool,
    /// BINARYMIME is offered (RFC 3030), where CHUNKING is: the application takes messages of any octets.
    pub binary_mime: bool,
    /// DSN is offered (RFC 3461): the application notifies as it is asked, or passes the request on.
    pub dsn: bool,
    /// REQUIRETLS is offered under TLS (RFC 8689): the application hands such a message on over verified TLS or returns
    /// it.
    pub requiretls: bool,
    /// DELIVERBY is offered (RFC 2852), with the least seconds that BY may ask for; 0 names none.
    pub deliver_by: Option<u32>,
    /// FUTURERELEASE is offered (RFC 4865): the application holds messages as long.
    pub future_release: Option<FutureRelease>,
    /// MT-PRIORITY is offered (RFC 6710).
    pub mt_priority: bool,
    /// NO-SOLICITING is offered (RFC 3865), with keywords between commas, or an empty text.
    pub no_soliciting: Option<Bytes>,
    /// RRVS is offered (RFC 7293): the application knows since when mailboxes have their owners.
    pub rrvs: bool,
    /// BURL is offered to clients that have logged in (RFC 4468): the application fetches the octets.
    pub burl: bool,
    /// ETRN is offered (RFC 1985).
    pub etrn: bool,
    /// EXPN is answered by the application.
    pub expn: bool,
    /// XCLIENT is offered: the client is a proxy that may say for whom it speaks. For trusted addresses alone.
    pub xclient: bool,
    /// XFORWARD is offered: the client is a filter that may say where a message came from. For trusted addresses alone.
    pub xforward: bool,
    /// MAIL only after AUTH: submission (RFC 6409 §4.3).
    pub auth_required: bool,
    /// What is done with CR or LF alone in a message.
    pub bare_newlines: BareNewlines,
    /// What a peer may make us hold.
    pub limits: Limits,
}

impl Options {
    /// Creates the options of SMTP reception without TLS and without AUTH.
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
            chunking: true,
            binary_mime: false,
            dsn: false,
            requiretls: false,
            deliver_by: None,
            future_release: None,
            mt_priority: false,
            no_soliciting: None,
            rrvs: false,
            burl: false,
            etrn: false,
            expn: false,
            xclient: false,
            xforward: false,
            auth_required: false,
            bare_newlines: BareNewlines::Refuse,
            limits: Limits::default(),
        }
    }
}
