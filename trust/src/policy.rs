//! What the operator wants to be done.

/// What becomes of a message that fails a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Policy {
    /// The check is not made for its own sake, and nothing is written about it.
    Off,
    /// Its result is written into the message.
    #[default]
    Mark,
    /// What fails is refused as well, and deferred while the result cannot be found out.
    Reject,
}

/// What becomes of a message that fails DMARC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum DmarcPolicy {
    /// As [`Policy::Off`].
    Off,
    /// As [`Policy::Mark`].
    Mark,
    /// What the author's domain wants (RFC 7489 §6.3). Without exactly one author's domain it is quarantined.
    #[default]
    Honour,
    /// It is refused, whatever the domain wants. Domains without a record do not fail.
    Reject,
}

/// The policy of each check.
///
/// Mail that bears a name of our own is no question of policy: see [`Checker`](crate::Checker).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Policies {
    /// SPF, for MAIL FROM and for HELO. [`Policy::Reject`] refuses `fail` and `permerror`.
    pub spf: Policy,
    /// DKIM. [`Policy::Reject`] refuses messages without any signature that passes.
    pub dkim: Policy,
    /// DMARC.
    pub dmarc: DmarcPolicy,
    /// ARC. [`Policy::Reject`] refuses broken chains, which RFC 8617 §5.2 advises against.
    pub arc: Policy,
    /// The reverse name. [`Policy::Reject`] refuses addresses without one that leads back.
    pub iprev: Policy,
}
