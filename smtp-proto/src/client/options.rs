//! How the machine is set up.

use bytes::Bytes;

use crate::limits::Limits;

/// What a client machine is set up with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// What it calls itself in EHLO: a domain or an address literal. Other octets are replaced when it is sent.
    pub hostname: Bytes,
    /// Whether the stream is under TLS from the start.
    pub tls: bool,
    /// AUTH only under TLS (the default). In clear it is a [`Misuse`](super::Misuse) then.
    pub login_needs_tls: bool,
    /// LMTP: LHLO, and a reply for each recipient.
    pub lmtp: bool,
    /// Send commands together where the server has PIPELINING (the default). Some servers announce it and do not have
    /// it.
    pub pipelining: bool,
    /// When messages go by BDAT instead of DATA (RFC 3030).
    pub bdat: Bdat,
    /// Send octets over 127 even to a server without 8BITMIME. Otherwise such a message is
    /// [`SendError::Needs8BitMime`](super::SendError::Needs8BitMime), or
    /// [`BodyError::Needs8BitMime`](super::BodyError::Needs8BitMime) when the envelope did not say so.
    pub eight_bit_anyway: bool,
    /// What the server may make us hold.
    pub limits: Limits,
}

/// When a message goes by BDAT, where the server has CHUNKING.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bdat {
    /// When DATA cannot carry it: a binary message.
    #[default]
    WhenNeeded,
    /// Always: no dot is doubled, and the server knows how much comes.
    WhenOffered,
    /// Never. A binary message is [`SendError::NeedsBinaryMime`](super::SendError::NeedsBinaryMime).
    Never,
}

impl Options {
    /// Creates the options of an SMTP client of that name.
    #[must_use]
    pub fn new(hostname: impl Into<Bytes>) -> Self {
        Self {
            hostname: hostname.into(),
            tls: false,
            login_needs_tls: true,
            lmtp: false,
            pipelining: true,
            bdat: Bdat::default(),
            eight_bit_anyway: false,
            limits: Limits::default(),
        }
    }
}
