//! `[relay]`: mail to other domains.

use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

use super::error::{Wrong, is_address};
use super::span::Span;

/// `[relay]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Relay {
    /// The DNS servers; the system's if empty.
    pub dns: Vec<String>,
    /// The port of mail exchangers.
    pub port: u16,
    /// Who validates what DNS answers: `"off"`, `"validate"`, or `"trust-ad"` for a resolver on this machine. DANE needs
    /// it.
    pub dnssec: DnssecMode,
    /// Whether policies of domains hold that say by HTTPS which hosts take their mail, with a certificate that is checked
    /// (MTA-STS).
    pub mta_sts: bool,
    /// Who answers for reports about TLS, which domains get that want them: an address. No reports are sent without.
    pub tls_reports: Option<String>,
    /// A host that receives all mail to other domains instead.
    pub smarthost: Option<String>,
    /// Rules for mail that goes elsewhere; the first that fits holds.
    pub routes: Vec<RelayRoute>,
    /// A certificate authority to trust where certificates are checked, besides the system's: a PEM file.
    pub ca: Option<PathBuf>,
    /// How long to wait before each next attempt; the last one repeats.
    pub retry: Vec<Span>,
    /// When the sender gets a notification that it takes long, once; never if 0, or not before `expire`.
    pub delay: Span,
    /// When to give up: the sender then gets a notification.
    pub expire: Span,
    /// The most connections to other servers at a time.
    pub connections: usize,
    /// The most connections to one domain, and to one host.
    pub connections_per_destination: usize,
    /// How long a host may take to accept a connection and to say what it can do.
    pub patience: Span,
    /// How long the answer to a DNS question may take.
    pub dns_timeout: Span,
}

impl Default for Relay {
    fn default() -> Self {
        // RFC 5321 §4.5.4.1: at least 30 minutes after the first attempts; give up after 4 or 5 days.
        let minutes = |n: u64| Span(Duration::from_secs(60 * n));
        Self {
            dns: Vec::new(),
            port: 25,
            dnssec: DnssecMode::Off,
            mta_sts: true,
            tls_reports: None,
            smarthost: None,
            routes: Vec::new(),
            ca: None,
            retry: [5, 15, 30, 60, 120, 240].map(minutes).into(),
            delay: minutes(4 * 60),
            expire: minutes(5 * 24 * 60),
            connections: 200,
            connections_per_destination: 20,
            patience: Span(Duration::from_secs(30)),
            dns_timeout: Span(Duration::from_secs(10)),
        }
    }
}

/// `dnssec` of `[relay]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DnssecMode {
    /// Nobody validates. DANE is off.
    Off,
    /// The server does, from the root's keys.
    Validate,
    /// The named resolvers do, on this machine or behind a path that nobody else can answer on.
    TrustAd,
}

/// `[[relay.routes]]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RelayRoute {
    /// Domains of recipients: `example.net`, `*.example.net`, `*`; all if empty.
    pub domains: Vec<String>,
    /// Reverse-paths: `alice@example.org`, `@example.org`, `<>`; all if empty.
    pub senders: Vec<String>,
    /// The hosts that the mail goes to, one after the other until one takes it; the exchangers of the domain if empty.
    pub hosts: Vec<String>,
    /// Who to log in as at these hosts.
    pub user: Option<String>,
    /// A file whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// Whether exchangers must have a certificate that is checked.
    pub must_verify: bool,
}

impl Relay {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        if self.retry.is_empty() {
            return Err(("retry", "retry is empty: give at least one time".into()));
        }
        for route in &self.routes {
            route.check()?;
        }
        if self.dnssec == DnssecMode::TrustAd && self.dns.is_empty() {
            return Err((
                "dnssec",
                "\"trust-ad\" needs dns: name the resolver that is trusted".into(),
            ));
        }
        let contact = self.tls_reports.as_ref();
        if let Some(bad) = contact.filter(|contact| !contact.is_ascii() || !is_address(contact)) {
            return Err((
                "tls_reports",
                format!(
                    "\"{bad}\" is not an address: write, for example, \"postmaster@example.org\""
                ),
            ));
        }
        Ok(())
    }
}

impl RelayRoute {
    fn check(&self) -> Result<(), Wrong> {
        for host in &self.hosts {
            if let Err(error) = host.parse::<hikyaku_relay::NextHost>() {
                return Err(("hosts", error.to_string()));
            }
        }
        if self.user.is_some() != self.password_file.is_some() {
            return Err(("user", "user and password_file go together".into()));
        }
        Ok(())
    }
}
