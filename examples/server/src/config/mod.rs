//! The configuration: one TOML file, or none at all.

mod auth;
mod error;
mod imap;
mod limits;
mod listen;
mod mta_sts;
mod proxies;
mod relay;
mod senders;
mod size;
mod span;
mod store;
mod tls;
mod trace;
mod webmail;

use serde::Deserialize;
use std::path::{Path, PathBuf};

use crate::acme::Acme;
use crate::doctor::Doctor;
use crate::examine::{Checks, DkimKey, Filter};
use crate::forwarding::Forward;
use crate::manners::Manner;
use crate::privileges::Run;
pub use auth::{Auth, Plaintext};
pub use error::ConfigError;
use error::{Wrong, is_address, is_host};
pub use imap::Imap;
pub use limits::{AccountLimits, Limits};
pub use listen::{Addresses, Listen};
pub use mta_sts::{MtaSts, MtaStsMode};
pub use proxies::Proxies;
pub use relay::{DnssecMode, Relay, RelayRoute};
pub use senders::{Reading, Senders};
pub use size::Size;
pub use span::Span;
pub use store::{Store, StoreKind};
pub use tls::{Tls, TlsCertificate};
pub use trace::Trace;
pub use webmail::Webmail;

/// The configuration. `mailserver.toml` describes every key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The server's name.
    pub hostname: String,
    /// The data folder.
    #[serde(default = "default_data")]
    pub data: PathBuf,
    /// Domains whose mail is delivered here.
    pub domains: Vec<String>,
    /// Who the server runs as.
    #[serde(default)]
    pub run: Run,
    /// The addresses to listen on.
    #[serde(default)]
    pub listen: Listen,
    /// The certificate.
    #[serde(default)]
    pub tls: Tls,
    /// Certificates from an ACME server.
    #[serde(default)]
    pub acme: Acme,
    /// Settings of logins.
    #[serde(default)]
    pub auth: Auth,
    /// The store.
    #[serde(default)]
    pub store: Store,
    /// Limits.
    #[serde(default)]
    pub limits: Limits,
    /// Proxies in front.
    #[serde(default)]
    pub proxies: Proxies,
    /// Settings of IMAP.
    #[serde(default)]
    pub imap: Imap,
    /// How addresses are read.
    #[serde(default)]
    pub addresses: Reading,
    /// Which addresses messages may have in From and Sender.
    #[serde(default)]
    pub senders: Senders,
    /// Whether mail is from whom it says it is; nothing is checked without it.
    #[serde(default)]
    pub checks: Option<Checks>,
    /// What is looked at of clients that have not logged in; nothing without it.
    #[serde(default)]
    pub manners: Option<Manner>,
    /// Programs that look at mail before it is accepted, one after the other.
    #[serde(default)]
    pub filters: Vec<Filter>,
    /// The keys that sign what accounts send.
    #[serde(default)]
    pub dkim: Vec<DkimKey>,
    /// How mail is passed on to other servers.
    #[serde(default)]
    pub forward: Forward,
    /// Mail to other domains.
    #[serde(default)]
    pub relay: Relay,
    /// What other servers are to demand of connections to this one.
    #[serde(default)]
    pub mta_sts: MtaSts,
    /// The log of what became of messages.
    #[serde(default)]
    pub trace: Trace,
    /// The webmail.
    #[serde(default)]
    pub webmail: Webmail,
    /// What `mailserver doctor` looks at.
    #[serde(default)]
    pub doctor: Doctor,
    /// Whether the server was started without a configuration; then LMTP is left out if its port is taken.
    #[serde(skip)]
    pub quickstart: bool,
}

fn default_data() -> PathBuf {
    "mailserver-data".into()
}

impl Config {
    /// Reads a file and checks it.
    ///
    /// # Errors
    /// One line: the file, the line in it, what is wrong and what to do.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError(format!("{name}: {error}: is that the right path?")))?;
        Self::parse(&text).map_err(|error| ConfigError(format!("{name}: {error}")))
    }

    /// Reads a text and checks it.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = text.get(..at).unwrap_or("").matches('\n').count() + 1;
            let message = error.message().replace('\n', " ");
            ConfigError(format!("line {line}: {message}"))
        })?;
        let line = |key: &str| {
            let found = text
                .lines()
                .position(|line| line.trim_start().starts_with(key));
            found.map_or(1, |line| line + 1)
        };
        config
            .check()
            .map_err(|(key, what)| ConfigError(format!("line {}: {what}", line(key))))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Wrong> {
        if !is_host(&self.hostname) {
            let what = format!("\"{}\" is not a host name", self.hostname);
            return Err(("hostname", what));
        }
        if self.domains.is_empty() {
            return Err(("domains", "domains is empty: name at least one".into()));
        }
        if let Some(bad) = self.domains.iter().find(|name| !is_host(name)) {
            return Err(("domains", format!("\"{bad}\" is not a domain")));
        }
        if self.run.group.is_some() && self.run.user.is_none() {
            return Err(("[run]", "group needs user: give both".into()));
        }
        self.tls.check()?;
        let names = self.acme.names(&self.hostname, &self.domains);
        let has_http = !self.listen.http.is_empty();
        self.acme.check(&names, has_http, self.listen.has_tls())?;
        let forward = &self.forward.domain;
        if let Some(bad) = forward.as_ref().filter(|name| !is_host(name)) {
            return Err(("[forward]", format!("\"{bad}\" is not a domain")));
        }
        if let Some(checks) = &self.checks {
            let all = checks.dmarc_reports.iter().chain(&checks.dmarc_inbox);
            if let Some(bad) = all
                .into_iter()
                .find(|one| !one.is_ascii() || !is_address(one))
            {
                let what = format!(
                    "\"{bad}\" is not an address: write, for example, \"dmarc@example.org\""
                );
                return Err(("dmarc_", what));
            }
        }
        self.mta_sts.check()?;
        self.store.check()?;
        self.relay.check()?;
        self.addresses.check()?;
        self.senders.check()?;
        if let Some(wrong) = self.manners.as_ref().and_then(Manner::check) {
            return Err(wrong);
        }
        self.listen.check()
    }

    /// Returns the configuration of `mailserver` without arguments: loopback only, ports plus 2000.
    #[must_use]
    pub fn quickstart() -> Self {
        let at = |port: u16| Addresses::One(format!("127.0.0.1:{port}"));
        Self {
            hostname: "localhost".into(),
            data: default_data(),
            domains: vec!["example.test".into()],
            listen: Listen {
                smtp: at(2025),
                submission: at(2587),
                submissions: at(2465),
                lmtp: at(2024),
                pop3: at(2110),
                pop3s: at(2995),
                imap: at(2143),
                imaps: at(2993),
                http: at(2080),
                https: at(2443),
                ..Listen::default()
            },
            run: Run::default(),
            tls: Tls::default(),
            acme: Acme::default(),
            auth: Auth::default(),
            store: Store::default(),
            limits: Limits::default(),
            proxies: Proxies::default(),
            imap: Imap::default(),
            addresses: Reading::default(),
            senders: Senders::default(),
            checks: None,
            manners: None,
            filters: Vec::new(),
            dkim: Vec::new(),
            forward: Forward::default(),
            relay: Relay::default(),
            mta_sts: MtaSts::default(),
            trace: Trace::default(),
            webmail: Webmail::default(),
            doctor: Doctor::default(),
            quickstart: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const HEAD: &str = "hostname = \"mx.test\"\ndomains = [\"a.test\"]\n";

    fn error(rest: &str) -> String {
        Config::parse(&format!("{HEAD}{rest}"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn errors_name_the_line_and_the_remedy() {
        assert!(error("wrong = 1\n").starts_with("line 3: unknown field `wrong`"));
        assert!(error("\n[store]\nkind = \"postgres\"\n").starts_with("line 5: not yet"));
        assert!(error("[limits]\nquota = \"1 XB\"\n").contains("not a size"));
        assert!(error("[listen]\nsmtp = \"nowhere\"\n").starts_with("line 4: \"nowhere\""));
        assert!(error("[tls]\ncert = \"x\"\n").starts_with("line 3: cert and key"));
        assert!(
            error("[relay]\ntls_reports = \"me\"\n")
                .starts_with("line 4: \"me\" is not an address")
        );
        assert!(Config::parse("domains = []").is_err());
        assert!(
            error("[addresses]\nseparators = \"+.\"\n")
                .starts_with("line 4: \"+.\" are no separators")
        );
        assert!(
            error("[senders.aliases]\nalice = [\"sales@a.test\"]\n").contains("its whole address")
        );
        assert!(
            error("[senders.aliases]\n\"alice@a.test\" = [\"sales\"]\n")
                .contains("neither an address")
        );
    }

    #[test]
    fn the_documented_example_is_valid() {
        let example = include_str!("../../mailserver.toml");
        let config = Config::parse(example).unwrap();
        assert_eq!(config.limits.message_size, Size(50 << 20));
        assert_eq!(config.relay.expire, Span(Duration::from_secs(5 * 86_400)));
        assert_eq!(config.relay.delay, Span(Duration::from_secs(4 * 3_600)));
        assert_eq!(config.trace.keep, Span(Duration::from_secs(7 * 86_400)));
        assert_eq!(config.trace.size, Size(256 << 20));
    }

    #[test]
    fn sizes_and_times() {
        assert_eq!("2GiB".parse(), Ok(Size(2 << 30)));
        assert_eq!(Size(1536).to_string(), "1.5 KiB");
        assert_eq!("0".parse(), Ok(Span(Duration::ZERO)));
        assert!("5".parse::<Span>().is_err());
        assert_eq!("500ms".parse(), Ok(Span(Duration::from_millis(500))));
        assert!("99999999999999 TiB".parse::<Size>().is_err());
        assert!("36500d".parse::<Span>().is_ok());
        for long in ["36501d", "99999999999999d", "18446744073709551615ms"] {
            assert!(long.parse::<Span>().is_err(), "{long}");
        }
    }
}
