//! What the configuration says of looking at mail.

use serde::Deserialize;
use std::path::PathBuf;

/// `[checks]`: whether mail is from whom it says it is. Without the table nothing is checked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Checks {
    /// SPF (RFC 7208).
    pub spf: Check,
    /// DKIM (RFC 6376).
    pub dkim: Check,
    /// DMARC (RFC 7489).
    pub dmarc: DmarcCheck,
    /// ARC (RFC 8617).
    pub arc: Check,
    /// The name of the client's address (RFC 8601 §2.7.3).
    pub iprev: Check,
    /// Who answers for DMARC's aggregate reports, which domains get that want them: an address. None are sent without.
    pub dmarc_reports: Option<String>,
    /// Addresses that reports of others come to, besides those that the records of the domains here name.
    pub dmarc_inbox: Vec<String>,
}

/// What becomes of a message that fails a check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Check {
    /// It is not checked.
    Off,
    /// It is accepted, with a header field that says so.
    #[default]
    Mark,
    /// It is refused.
    Reject,
}

/// What becomes of a message that fails DMARC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DmarcCheck {
    /// It is not checked.
    Off,
    /// It is accepted, with a header field that says so.
    Mark,
    /// What the domain that it names wants.
    #[default]
    Honour,
    /// It is refused.
    Reject,
}

/// `[[filters]]`: a program that looks at mail from other servers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Filter {
    /// The protocol that it speaks.
    pub kind: FilterKind,
    /// Where it listens: `host:port` or `unix:/path`.
    pub at: String,
    /// What becomes of mail while it is away.
    #[serde(default)]
    pub away: FilterAway,
}

/// The protocol of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FilterKind {
    /// rspamd's HTTP.
    Rspamd,
    /// libmilter's.
    Milter,
}

/// What becomes of mail while a filter is away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FilterAway {
    /// The client is asked to come again.
    #[default]
    Defer,
    /// It is accepted without it.
    Accept,
}

/// `[[dkim]]`: a key that signs what accounts send.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DkimKey {
    /// The domain of the authors, with all below it.
    pub domain: String,
    /// The key's place in DNS: `SELECTOR._domainkey.DOMAIN`.
    pub selector: String,
    /// A PEM file (PKCS #8), RSA or Ed25519; relative names are in the data folder. `mailserver dkim` makes one.
    pub key: PathBuf,
}
