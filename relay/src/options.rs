//! How mail is relayed.

use crate::clock::Clock;
use crate::routes::Route;
use crate::seal::Seal;
use crate::sts::settings::MtaSts;
use crate::tls_report::settings::TlsReports;
use crate::traced::Trace;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What happened, for programs that count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happened {
    /// A message that waited was put into a mailbox here.
    Delivered,
    /// A recipient was handed on to another server.
    Relayed,
    /// An attempt is to be repeated.
    Deferred,
    /// A recipient was given up.
    GivenUp,
    /// Recipients were given up, and no sender could be notified.
    NotificationDropped,
    /// The sender is notified that a recipient takes long.
    Late,
    /// A host did not do what its domain's MTA-STS policy or its TLSA records demand. Whether it got the mail all the
    /// same is the policy's choice.
    TlsPolicyFailed,
    /// A step is over: how long it took.
    Took(Step, Duration),
}

/// A step on the way of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// From when the message was queued until a recipient had it.
    Queue,
    /// Looking up where mail for a domain goes.
    Lookup,
    /// Until a host could be handed a message: connection, first words, TLS, login. Also where it did not come to that.
    Connect,
    /// Handing one message to a host that was ready.
    Conversation,
    /// Storing a message in a mailbox here.
    Mailbox,
}

/// Who validates what DNS answers (RFC 7672 §2.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Dnssec {
    /// Nobody. DANE is off.
    #[default]
    Off,
    /// This program.
    Validate {
        /// The trusted keys: lines of DNSKEY records, as in a zone file. `None` for the keys of the root.
        anchors: Option<String>,
    },
    /// The servers in [`Options::dns`], by their AD bit. They must be named, and be on this machine or behind a path on
    /// which nobody else can answer.
    TrustAd,
}

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Family {
    /// IPv6.
    #[default]
    V6,
    /// IPv4.
    V4,
}

/// How mail is relayed.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// This server's name, in EHLO and in notifications.
    pub hostname: String,
    /// DNS servers, `host:port`; those of the system, when empty.
    pub dns: Vec<String>,
    /// How long the answer to a DNS question may take.
    pub dns_timeout: Duration,
    /// Who validates what DNS answers.
    pub dnssec: Dnssec,
    /// The family of a host's first address. The others alternate (RFC 8305 §4).
    pub first_family: Family,
    /// The port of mail exchangers.
    pub port: u16,
    /// The host that all mail goes to instead, without a login and over TLS where it has it: `host` or `host:port`. See
    /// [`routes`](Self::routes) for others.
    pub smarthost: Option<String>,
    /// Rules for mail that goes elsewhere, or otherwise; the first that fits holds.
    pub routes: Vec<Route>,
    /// The trusted roots that certificates must lead to where they are checked. Without any, no such host gets mail.
    pub roots: Option<Arc<rustls::RootCertStore>>,
    /// How MTA-STS is used (RFC 8461); not at all, when it is `None` or there are no [`roots`](Self::roots).
    pub mta_sts: Option<MtaSts>,
    /// How domains that want it are sent reports about TLS (RFC 8460); not at all, when it is `None`.
    pub tls_reports: Option<TlsReports>,
    /// The author of notifications, an address; `MAILER-DAEMON` at this server by default.
    pub notify_as: String,
    /// Signs notifications.
    pub seal: Option<Seal>,
    /// The time of day, for policies and reports.
    pub clock: Clock,
    /// How long to wait before each next attempt; the last one repeats.
    pub retry: Vec<Duration>,
    /// After this time the sender is notified that it takes long, once; never, when it is not before `expire`.
    pub delay: Duration,
    /// After this time the sender is notified that it failed.
    pub expire: Duration,
    /// Connections to other servers at a time.
    pub connections: usize,
    /// How many of these connections may go to one domain, and to one host, at most. A host gets five at first, more as
    /// it answers all of them, and one when it has failed.
    pub connections_per_destination: usize,
    /// How long a host may take to accept a connection and to answer EHLO, the first time.
    pub patience: Duration,
    /// Called for each thing that happens.
    pub observe: Arc<dyn Fn(Happened) + Send + Sync>,
    /// Called with all that happens to messages, in order: what an operator may want to know of each.
    pub trace: Option<Trace>,
}

impl Options {
    /// Creates the defaults, for a server of that name: retries as RFC 5321 §4.5.4.1 asks for, five days.
    pub fn new(hostname: impl Into<String>) -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let hostname = hostname.into();
        Self {
            notify_as: format!("MAILER-DAEMON@{hostname}"),
            seal: None,
            hostname,
            dns: Vec::new(),
            dns_timeout: Duration::from_secs(10),
            dnssec: Dnssec::Off,
            first_family: Family::V6,
            port: 25,
            smarthost: None,
            routes: Vec::new(),
            roots: None,
            mta_sts: None,
            tls_reports: None,
            clock: Clock::default(),
            retry: [5, 15, 30, 60, 120, 240].map(minutes).into(),
            delay: minutes(4 * 60),
            expire: minutes(5 * 24 * 60),
            connections: 200,
            connections_per_destination: 20,
            patience: Duration::from_secs(30),
            observe: Arc::new(|_| {}),
            trace: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("hostname", &self.hostname)
            .field("dnssec", &self.dnssec)
            .field("smarthost", &self.smarthost)
            .field("routes", &self.routes)
            .field("mta_sts", &self.mta_sts)
            .field("tls_reports", &self.tls_reports)
            .field("retry", &self.retry)
            .field("expire", &self.expire)
            .finish_non_exhaustive()
    }
}
