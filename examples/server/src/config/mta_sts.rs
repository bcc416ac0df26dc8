//! `[mta_sts]`: what others are to demand of connections to this server.

use serde::Deserialize;
use std::time::Duration;

use super::error::{Wrong, is_host};
use super::span::Span;

/// `[mta_sts]`: the policy of the domains here (RFC 8461).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct MtaSts {
    /// What other servers do when they cannot connect as the policy says; no policy if left out.
    pub mode: Option<MtaStsMode>,
    /// How long other servers keep the policy.
    pub max_age: Span,
    /// The hosts that take mail to the domains, as in their MX records: `mx.example.org`, `*.example.org`; this server if
    /// empty.
    pub mx: Vec<String>,
}

impl Default for MtaSts {
    fn default() -> Self {
        Self {
            mode: None,
            max_age: Span(Duration::from_secs(7 * 86_400)),
            mx: Vec::new(),
        }
    }
}

/// `mode` of `[mta_sts]` (RFC 8461 §5)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MtaStsMode {
    /// There was a policy, and there is none any more.
    None,
    /// They report what fails, and send all the same.
    Testing,
    /// They do not send.
    Enforce,
}

impl MtaSts {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        // RFC 8461 §3.2
        if self.max_age.0 > Duration::from_secs(31_557_600) {
            return Err(("max_age", "max_age is more than a year".into()));
        }
        let mut hosts = self.mx.iter();
        match hosts.find(|host| !is_host(host.strip_prefix("*.").unwrap_or(host))) {
            Some(bad) => Err(("mx", format!("\"{bad}\" is not a host name"))),
            None => Ok(()),
        }
    }
}
