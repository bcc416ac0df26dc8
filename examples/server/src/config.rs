//! The configuration: one TOML file, or none at all.

use crate::acme::Acme;
use crate::examine::{Checks, DkimKey, Filter};
use crate::network::Networks;
use crate::privileges::Run;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An error in the configuration, in one line: where it is and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

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
    /// Programs that look at mail before it is accepted, one after the other.
    #[serde(default)]
    pub filters: Vec<Filter>,
    /// The keys that sign what accounts send.
    #[serde(default)]
    pub dkim: Vec<DkimKey>,
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
    /// Whether the server was started without a configuration; then LMTP is left out if its port is taken.
    #[serde(skip)]
    pub quickstart: bool,
}

fn default_data() -> PathBuf {
    "mailserver-data".into()
}

/// `[listen]`: each is "host:port" or a list of them; a missing one is not opened.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the names are the protocols'")]
#[non_exhaustive]
pub struct Listen {
    pub smtp: Addresses,
    pub submission: Addresses,
    pub submissions: Addresses,
    pub lmtp: Addresses,
    pub pop3: Addresses,
    pub pop3s: Addresses,
    pub imap: Addresses,
    pub imaps: Addresses,
    pub http: Addresses,
    pub https: Addresses,
    pub metrics: Addresses,
}

/// One address, or several.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(untagged)]
pub enum Addresses {
    /// None.
    #[default]
    None,
    /// "host:port"
    One(String),
    /// `["host:port", ..]`
    Many(Vec<String>),
}

impl Addresses {
    /// Returns whether it names none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::One(_) => false,
            Self::Many(names) => names.is_empty(),
        }
    }

    /// Resolves all of them.
    ///
    /// # Errors
    /// Names the one that is not an address.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, ConfigError> {
        let names: &[String] = match self {
            Self::None => &[],
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        };
        let mut all = Vec::new();
        for name in names {
            let found = name.to_socket_addrs().map_err(|error| {
                ConfigError(format!("\"{name}\" is not a \"host:port\" ({error}): write, for example, \"127.0.0.1:2525\""))
            })?;
            all.extend(found);
        }
        Ok(all)
    }
}

/// `[tls]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Tls {
    /// A PEM file, the server's certificate first; without it, a private CA signs one.
    pub cert: Option<PathBuf>,
    /// A PEM file.
    pub key: Option<PathBuf>,
    /// Further certificates, for clients that name a host of theirs.
    pub certificates: Vec<TlsCertificate>,
}

/// `[[tls.certificates]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsCertificate {
    /// A PEM file, the server's certificate first.
    pub cert: PathBuf,
    /// A PEM file.
    pub key: PathBuf,
}

/// `[auth]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Auth {
    /// When passwords may be sent.
    pub plaintext: Plaintext,
    /// Networks whose logins are not slowed down: a webmail or a proxy there does so itself.
    pub exempt: Networks,
}

/// `[proxies]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Proxies {
    /// Networks whose connections begin with the PROXY protocol, version 1 or 2.
    pub protocol: Networks,
    /// Networks whose SMTP clients may say for whom they speak by XCLIENT, and where a message came from by XFORWARD.
    pub xclient: Networks,
}

/// When passwords may be sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plaintext {
    /// Under TLS only.
    #[default]
    Tls,
    /// Also in clear, for tests and for a trusted network.
    Always,
}

/// `[store]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Store {
    /// Which backend.
    pub kind: StoreKind,
    /// For `postgres`.
    pub url: Option<String>,
    /// Whether searches keep an index of texts beside the store.
    pub text_index: bool,
    /// Octets to keep free on the disk; new messages are refused before they would take them.
    pub min_free: Size,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            kind: StoreKind::default(),
            url: None,
            text_index: true,
            min_free: Size(128 << 20),
        }
    }
}

/// Which backend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum StoreKind {
    #[default]
    Disk,
    Memory,
    Maildir,
    Postgres,
}

/// `[limits]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Limits {
    /// The largest message, in octets.
    pub message_size: Size,
    /// The quota of a new account, in octets.
    pub quota: Size,
    /// The most connections at a time; fewer if there are not two file descriptors for each.
    pub connections: usize,
    /// The most connections for each protocol from one IPv4 address or one IPv6 /64.
    pub connections_per_ip: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_size: Size(50 << 20),
            quota: Size(1 << 30),
            connections: 4096,
            connections_per_ip: 64,
        }
    }
}

/// `[imap]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Imap {
    /// The most messages that one command may name (RFC 9738).
    pub message_limit: Option<NonZeroU32>,
    /// How often a waiting client is sent the progress of its command.
    pub progress: Span,
}

impl Default for Imap {
    fn default() -> Self {
        Self {
            message_limit: None,
            // RFC 9585 §4 asks for 10 to 15 seconds.
            progress: Span(Duration::from_secs(10)),
        }
    }
}

/// `[addresses]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Reading {
    /// The characters that begin a detail, which does not count: `alice+news` is `alice`. None if empty.
    pub separators: String,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            separators: "+".into(),
        }
    }
}

/// `[senders]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Senders {
    /// Whether users write under their own addresses only: in MAIL FROM, From and Sender.
    pub own_only: bool,
    /// Whether only users who have logged in write as one of [`Config::domains`].
    pub protect: bool,
    /// Networks that `protect` does not apply to.
    pub exempt: Networks,
    /// Further addresses that an account may write as, by account: an address, or `@` and a domain.
    pub aliases: BTreeMap<String, Vec<String>>,
    /// Whether users may write as the aliases that stand for them, too.
    pub as_member: bool,
}

impl Default for Senders {
    fn default() -> Self {
        Self {
            own_only: true,
            protect: true,
            exempt: Networks::default(),
            aliases: BTreeMap::new(),
            as_member: true,
        }
    }
}

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

/// `[trace]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Trace {
    /// How long it is kept; 0 for no log at all.
    pub keep: Span,
    /// The most octets it may have; the oldest part goes first. 0 for no log at all.
    pub size: Size,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            keep: Span(Duration::from_secs(7 * 86_400)),
            size: Size(256 << 20),
        }
    }
}

/// `[webmail]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Webmail {
    /// Whether users may name servers within this network for their accounts elsewhere.
    pub outside_private: bool,
    /// How often the mail of accounts elsewhere is fetched.
    pub outside_interval: Span,
    /// A certificate authority to trust for accounts elsewhere, besides the system's: a PEM file.
    pub outside_ca: Option<PathBuf>,
}

impl Default for Webmail {
    fn default() -> Self {
        Self {
            outside_private: false,
            outside_interval: Span(Duration::from_secs(15 * 60)),
            outside_ca: None,
        }
    }
}

/// Octets: a number, or one with a unit, as in "50 MiB".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl std::str::FromStr for Size {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text
            .trim()
            .trim_end_matches(|c: char| c.is_alphabetic())
            .trim_end();
        let unit = text
            .trim()
            .get(digits.len()..)
            .unwrap_or("")
            .trim()
            .to_ascii_lowercase();
        let shift = match unit.as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => {
                return Err(format!(
                    "\"{text}\" is not a size: write, for example, \"50 MiB\""
                ));
            }
        };
        let number = digits.parse::<u64>().ok();
        let octets = number.and_then(|number| number.checked_mul(1 << shift));
        octets.map(Self).ok_or(format!(
            "\"{text}\" is not a size: write, for example, \"50 MiB\""
        ))
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if self.0 >= 1 << shift {
                let tenths = (u128::from(self.0) * 10) >> shift;
                return write!(f, "{}.{} {unit}", tenths / 10, tenths % 10);
            }
        }
        write!(f, "{} B", self.0)
    }
}

/// Longer ones leave what the clock can say.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A time: a number with a unit, as in "30s", "5m", "1h", "5d"; "500ms" too. A hundred years at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl std::str::FromStr for Span {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let milliseconds = match text.get(digits.len()..).unwrap_or("") {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            // Nothing has no unit.
            "" if text == "0" => 1,
            _ => {
                return Err(format!(
                    "\"{text}\" is not a time: write, for example, \"30m\""
                ));
            }
        };
        let number = digits.trim().parse::<u64>().ok();
        let span = number.and_then(|number| number.checked_mul(milliseconds));
        let span = span.map(|span| Self(Duration::from_millis(span)));
        let span = span.ok_or(format!(
            "\"{text}\" is not a time: write, for example, \"30m\""
        ))?;
        match span.0 > LONGEST {
            true => Err(format!("\"{text}\" is more than a hundred years")),
            false => Ok(span),
        }
    }
}

/// A number, or a text that says one.
#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(u64),
    Text(String),
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match NumberOrText::deserialize(deserializer)? {
            NumberOrText::Number(octets) => Ok(Self(octets)),
            NumberOrText::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
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

    /// What can be wrong with values that are well-formed: a key, and what to do.
    fn check(&self) -> Result<(), (&'static str, String)> {
        let is_name =
            |name: &str| hikyaku_smtp_proto::Mailbox::parse(format!("a@{name}").as_bytes()).is_ok();
        if !is_name(&self.hostname) {
            return Err((
                "hostname",
                format!("\"{}\" is not a host name", self.hostname),
            ));
        }
        if self.domains.is_empty() {
            return Err(("domains", "domains is empty: name at least one".into()));
        }
        if let Some(bad) = self.domains.iter().find(|name| !is_name(name)) {
            return Err(("domains", format!("\"{bad}\" is not a domain")));
        }
        if self.run.group.is_some() && self.run.user.is_none() {
            return Err(("[run]", "group needs user: give both".into()));
        }
        if self.tls.cert.is_some() != self.tls.key.is_some() {
            return Err((
                "[tls]",
                "cert and key go together: give both or neither".into(),
            ));
        }
        let listen = &self.listen;
        let mut tls = [
            &listen.https,
            &listen.imaps,
            &listen.pop3s,
            &listen.submissions,
        ]
        .into_iter();
        let names = self.acme.names(&self.hostname, &self.domains);
        let (has_http, has_tls) = (!listen.http.is_empty(), tls.any(|one| !one.is_empty()));
        self.acme.check(&names, has_http, has_tls)?;
        // RFC 8461 §3.2
        if self.mta_sts.max_age.0 > Duration::from_secs(31_557_600) {
            return Err(("max_age", "max_age is more than a year".into()));
        }
        let mut hosts = self.mta_sts.mx.iter();
        if let Some(bad) = hosts.find(|host| !is_name(host.strip_prefix("*.").unwrap_or(host))) {
            return Err(("mx", format!("\"{bad}\" is not a host name")));
        }
        if self.store.kind == StoreKind::Maildir || self.store.kind == StoreKind::Postgres {
            return Err((
                "kind",
                "not yet: this store does not exist so far, use \"disk\"".into(),
            ));
        }
        if self.relay.retry.is_empty() {
            return Err(("retry", "retry is empty: give at least one time".into()));
        }
        for route in &self.relay.routes {
            for host in &route.hosts {
                if let Err(error) = host.parse::<hikyaku_relay::NextHost>() {
                    return Err(("hosts", error.to_string()));
                }
            }
            if route.user.is_some() != route.password_file.is_some() {
                return Err(("user", "user and password_file go together".into()));
            }
        }
        if self.relay.dnssec == DnssecMode::TrustAd && self.relay.dns.is_empty() {
            return Err((
                "dnssec",
                "\"trust-ad\" needs dns: name the resolver that is trusted".into(),
            ));
        }
        let separators = &self.addresses.separators;
        let is_separator = |c: char| c.is_ascii_punctuation() && !"@.\"\\".contains(c);
        if separators.len() > 8 || !separators.chars().all(is_separator) {
            return Err((
                "separators",
                format!("\"{separators}\" are no separators: write, for example, \"+\" or \"+-\""),
            ));
        }
        let is_address = |text: &str| hikyaku_smtp_proto::Mailbox::parse(text.as_bytes()).is_ok();
        let contact = self.relay.tls_reports.as_ref();
        if let Some(bad) = contact.filter(|contact| !contact.is_ascii() || !is_address(contact)) {
            return Err((
                "tls_reports",
                format!(
                    "\"{bad}\" is not an address: write, for example, \"postmaster@example.org\""
                ),
            ));
        }
        if let Some(bad) = self.senders.aliases.keys().find(|name| !is_address(name)) {
            return Err((
                "[senders.aliases]",
                format!("\"{bad}\" is not an account: write its whole address"),
            ));
        }
        for alias in self.senders.aliases.values().flatten() {
            let whole = match alias.strip_prefix('@') {
                Some(domain) => format!("a@{domain}"),
                None => alias.clone(),
            };
            if !is_address(&whole) {
                return Err((
                    "[senders.aliases]",
                    format!("\"{alias}\" is neither an address nor \"@\" and a domain"),
                ));
            }
        }
        let all = &self.listen;
        for (key, addresses) in [
            ("smtp", &all.smtp),
            ("submission", &all.submission),
            ("submissions", &all.submissions),
            ("lmtp", &all.lmtp),
            ("pop3", &all.pop3),
            ("pop3s", &all.pop3s),
            ("imap", &all.imap),
            ("imaps", &all.imaps),
            ("http", &all.http),
            ("https", &all.https),
            ("metrics", &all.metrics),
        ] {
            addresses
                .resolve()
                .map_err(|error| (key, error.to_string()))?;
        }
        Ok(())
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
            filters: Vec::new(),
            dkim: Vec::new(),
            relay: Relay::default(),
            mta_sts: MtaSts::default(),
            trace: Trace::default(),
            webmail: Webmail::default(),
            quickstart: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let example = include_str!("../mailserver.toml");
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
