//! `mailserver doctor`: what the world sees of the server and its domains, and what to type where it is wrong.
//!
//! Everything is evaluated as another server does it, and not compared with what `setup` printed: what is otherwise and works
//! is well.
//!
//! | what | file |
//! |---|---|
//! | addresses of the server, names of the addresses | `addresses.rs`, `reverse.rs` |
//! | port 25 inward and outward, ports of mail programs | `reach.rs`, `services.rs` |
//! | certificates, TLSA, CAA | `certificate.rs`, `tlsa.rs`, `caa.rs` |
//! | MX, SPF, DKIM, DMARC, MTA-STS, TLSRPT, autoconfig | `exchanges.rs`, `spf.rs`, `spf_record.rs`, `dkim.rs`, `dmarc.rs`, `mta_sts.rs`, `tls_reports.rs`, `files.rs` |
//! | clock, blocklists | `clock.rs`, `blocklists.rs` |
//! | the server, a domain: what is looked at before what, and for how long | `server.rs`, `domain.rs`, `patience.rs` |
//! | one thing that was looked at; all of them | `finding.rs`, `found.rs`, `report.rs` |
//! | DNS, a port, a page, the certificates that are shown | `subject.rs`, `visit.rs`, `page.rs`, `shown.rs` |
//! | tags of a record, a text for the zone | `tags.rs`, `quoted.rs` |

mod addresses;
mod asking;
mod backwards;
mod blocklists;
mod caa;
mod certificate;
mod clock;
mod dialogue;
mod dkim;
mod dmarc;
mod domain;
mod exchanges;
mod files;
mod finding;
mod found;
mod mta_sts;
mod page;
mod patience;
mod quoted;
mod reach;
mod report;
mod reverse;
mod server;
mod services;
mod settings;
mod shown;
mod spf;
mod spf_record;
mod subject;
mod tags;
mod tls_reports;
mod tlsa;
mod visit;

use hikyaku_smtp_proto::Mailbox;
use std::net::IpAddr;

use crate::config::Config;
use crate::relaying::{self, RelayError};
use found::Found;
use patience::Patience;
pub use report::{Report, Verdict};
pub use settings::Doctor;
use shown::Shown;
use subject::Subject;

/// What is to be looked at.
#[derive(Debug, Clone, Default)]
pub struct Consultation {
    /// A domain; all of the configuration if `None`.
    pub domain: Option<String>,
    /// DNS servers, `host:port`; those of `[relay] dns` if empty, else the system's.
    pub dns: Vec<String>,
    /// The file of the configuration, which commands to type name.
    pub file: Option<String>,
}

/// Why nothing could be looked at: one line, with the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DoctorError {
    /// DNS cannot be asked, or a file cannot be read.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// Nothing answers.
    #[error("{0}: name a DNS server that answers with --dns ADDRESS:PORT")]
    Silent(String),
    /// The domain.
    #[error("\"{0}\" is not the name of a domain: write, for example, example.org")]
    Domain(String),
}

/// Looks at everything that the world sees of a server and its domains.
///
/// # Errors
/// One line, with the remedy: nothing was looked at.
pub async fn diagnose(config: &Config, wanted: &Consultation) -> Result<Report, DoctorError> {
    let domains = match &wanted.domain {
        Some(domain) => vec![domain_of(domain)?],
        None => config
            .domains
            .iter()
            .map(|one| one.to_ascii_lowercase())
            .collect(),
    };
    let roots = relaying::roots(config.relay.ca.as_deref())?;
    let subject = Subject::new(config, wanted.file.as_deref(), &wanted.dns, roots);
    let subject = subject.map_err(RelayError::from)?;
    let addresses = addresses::look(&subject).await;
    if let Some(silence) = &addresses.silence {
        // Another name is asked for, so that it is not the zone of the server alone.
        let others = subject.dns.mx(&config.doctor.exchanger).await;
        others.map_err(|_| DoctorError::Silent(silence.clone()))?;
    }
    let own = match config.doctor.addresses.as_slice() {
        [] => addresses.published.clone(),
        own => own.to_vec(),
    };
    let about = format!("The server {}", subject.hostname);
    let are_right = addresses.are_right;
    let (of_server, of_domains) = tokio::join!(
        server::look(&subject, Patience::new(), are_right, &own),
        each(&subject, &domains, are_right, &own)
    );
    let tlsa = tlsa::look(&subject, of_server.shown.first()).await;
    let others = of_domains.iter().flat_map(|(_, found)| &found.shown);
    let shown: Vec<Shown> = of_server.shown.iter().chain(others).cloned().collect();
    let mut findings = addresses.findings;
    findings.extend(of_server.findings);
    findings.extend(tlsa);
    findings.extend(certificate::judge(&subject, &shown));
    let mut report = Report::default();
    report.add(about, findings);
    for (about, found) in of_domains {
        report.add(about, found.findings);
    }
    Ok(report)
}

/// Looks at all domains, one after the other.
async fn each(
    subject: &Subject<'_>,
    domains: &[String],
    are_right: bool,
    own: &[IpAddr],
) -> Vec<(String, Found)> {
    let mut all = Vec::new();
    for domain in domains {
        let about = format!("The domain {domain}");
        let found = domain::look(subject, Patience::new(), domain, are_right, own).await;
        all.push((about, found));
    }
    all
}

fn domain_of(text: &str) -> Result<String, DoctorError> {
    let domain = text.trim_end_matches('.').to_ascii_lowercase();
    let is_name = domain.contains('.') && domain.is_ascii() && !domain.contains(['[', '"']);
    match is_name && Mailbox::parse(format!("a@{domain}").as_bytes()).is_ok() {
        true => Ok(domain),
        false => Err(DoctorError::Domain(text.to_owned())),
    }
}
