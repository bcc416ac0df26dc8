//! What the checks found out about a message.

use crate::authors::Authors;
use crate::outcome::Outcome;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What SPF says about one identity (RFC 7208 §2.3, §2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spf {
    /// The domain whose record was asked for. Empty where there is none.
    pub domain: String,
    /// The result.
    pub outcome: Outcome,
    /// Why: the term that matched, or what is wrong.
    pub reason: Option<String>,
    /// What the domain says to those it fails (RFC 7208 §6.2), in visible ASCII. Whoever controls the domain wrote it.
    pub explanation: Option<String>,
}

/// What DKIM says about one signature (RFC 6376).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signature {
    /// The domain that signed, `d=`. Empty when the field cannot be read.
    pub domain: String,
    /// The key's selector, `s=`.
    pub selector: String,
    /// The algorithm, `a=`.
    pub algorithm: &'static str,
    /// The first eight characters of the signature, by which signatures of one domain differ (RFC 6008 §4).
    pub beginning: String,
    /// The result.
    pub outcome: Outcome,
    /// Why, where it did not pass.
    pub reason: Option<String>,
}

/// What a domain wants to be done with mail in its name that is not authenticated (RFC 7489 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Wish {
    /// Nothing: it wants reports.
    None,
    /// It is suspicious.
    Quarantine,
    /// It should be refused.
    Reject,
}

impl Wish {
    /// Returns the word that stands for it in a record.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    /// Returns the wish for messages that `pct=` or `t=y` excepts: one step milder (RFC 7489 §6.6.4).
    #[must_use]
    pub fn milder(self) -> Self {
        match self {
            Self::Reject => Self::Quarantine,
            Self::Quarantine | Self::None => Self::None,
        }
    }
}

/// What DMARC says about the author's domain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dmarc {
    /// The author's domain. Empty where there is not exactly one.
    pub domain: String,
    /// The result.
    pub outcome: Outcome,
    /// Whether SPF passed with a domain that is aligned (RFC 7489 §3.1.2).
    pub is_spf_aligned: bool,
    /// Whether a signature passed with a domain that is aligned (RFC 7489 §3.1.1).
    pub is_dkim_aligned: bool,
    /// What the domain wants, subdomains and test mode considered. `None` where there is no record.
    pub wish: Option<Wish>,
    /// The share of messages in percent that this holds for (`pct=`). For others it is one step milder.
    pub percent: u8,
    /// What the record says, for reports.
    pub published: Option<Published>,
    /// Why it did not pass.
    pub reason: Option<String>,
}

/// A DMARC record (RFC 7489 §6.3), as far as reports repeat it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Published {
    /// The domain that published it.
    pub domain: String,
    /// Alignment of DKIM is strict.
    pub is_dkim_strict: bool,
    /// Alignment of SPF is strict.
    pub is_spf_strict: bool,
    /// What is wanted for the domain.
    pub wish: Wish,
    /// What is wanted for its subdomains.
    pub subdomain_wish: Wish,
    /// Where aggregate reports are wanted: `mailto:` addresses.
    pub reports_to: Vec<Destination>,
}

/// Where aggregate reports are wanted (RFC 7489 §6.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Destination {
    /// The address.
    pub address: String,
    /// The largest message that is taken there, in octets.
    pub most: Option<u64>,
}

/// What ARC says (RFC 8617 §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arc {
    /// The result for the whole chain.
    pub outcome: Outcome,
    /// Who sealed the message, the first one first.
    pub sealers: Vec<String>,
    /// Why it did not pass.
    pub reason: Option<String>,
}

/// Whether the address has a name that leads back to it (RFC 8601 §2.7.3).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Iprev {
    /// The result.
    pub outcome: Outcome,
    /// The name.
    pub name: Option<String>,
    /// Why it did not pass.
    pub reason: Option<String>,
}

/// What all checks found out. A check that was not made is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdicts {
    /// The connection's address.
    pub address: IpAddr,
    /// Whose name the message bears.
    pub authors: Authors,
    /// SPF for MAIL FROM. With the null path, for the HELO name (RFC 7208 §2.4).
    pub spf: Option<Spf>,
    /// SPF for HELO.
    pub spf_helo: Option<Spf>,
    /// DKIM, a verdict for each signature. Empty where there is none.
    pub dkim: Option<Vec<Signature>>,
    /// DMARC.
    pub dmarc: Option<Dmarc>,
    /// ARC.
    pub arc: Option<Arc>,
    /// The reverse name.
    pub iprev: Option<Iprev>,
}
