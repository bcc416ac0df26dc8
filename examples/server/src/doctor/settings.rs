//! `[doctor]` of the configuration.

use serde::Deserialize;
use std::net::IpAddr;

/// `[doctor]`: what `mailserver doctor` looks at.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Doctor {
    /// The server's addresses, as the world sees them; if empty, those that DNS has for its name.
    pub addresses: Vec<IpAddr>,
    /// A domain whose mail exchangers are connected to, to see whether port 25 is open outward. Nothing is sent to them.
    pub exchanger: String,
    /// The NTP server that the clock is compared with, `host` or `host:port`; none if empty.
    pub clock: String,
    /// Blocklists of addresses (RFC 5782).
    pub blocklists: Vec<String>,
    /// Blocklists of domains.
    pub domain_blocklists: Vec<String>,
    /// The port of web servers: 443, but in tests. That of mail exchangers is `port` of `[relay]`.
    pub https_port: u16,
}

impl Default for Doctor {
    fn default() -> Self {
        let names = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        Self {
            addresses: Vec::new(),
            exchanger: "gmail.com".into(),
            clock: "pool.ntp.org".into(),
            blocklists: names(&["zen.spamhaus.org", "bl.spamcop.net", "psbl.surriel.com"]),
            domain_blocklists: names(&["dbl.spamhaus.org"]),
            https_port: 443,
        }
    }
}
