//! Why a message stays as it is.

/// Why a message cannot go to a server without 8BITMIME (RFC 6152 §3): it is undeliverable there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSevenBit {
    /// A header section has octets over 127: 5.6.7.
    #[error("a header section needs SMTPUTF8")]
    International,
    /// A signed part has octets over 127, and encoding it would break the signature: 5.6.3.
    #[error("a signed part has octets over 127 and cannot be encoded")]
    Signed,
    /// A part of a type or an encoding that must not be encoded has octets over 127: 5.6.3.
    #[error("a part with octets over 127 is of a kind that cannot be encoded")]
    Composite,
}
