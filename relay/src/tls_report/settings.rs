//! How TLS reports are sent.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::seal::Seal;

/// How TLS reports are sent. See [`Options::tls_reports`](crate::Options::tls_reports).
#[derive(Clone)]
#[non_exhaustive]
pub struct TlsReports {
    /// Who answers for the reports: an address, whose domain is named as their submitter.
    pub contact: String,
    /// The organization that sends them.
    pub organization: String,
    /// The folder in which counts outlive a restart; `None` to have them in memory alone.
    pub folder: Option<PathBuf>,
    /// How long after the end of a day, at most, its reports are sent: each at a random time (RFC 8460 §4.1).
    pub spread: Duration,
    /// Signs a report that goes by mail. RFC 8460 §3 demands a DKIM signature of the contact's domain, and recipients
    /// ignore reports without one.
    pub seal: Option<Seal>,
    /// The port of servers whose URI names none: 443, but in tests.
    pub port: u16,
    /// Whether servers that take reports may have addresses of a private network, or of this machine. A stranger's DNS
    /// would otherwise decide what is sent there.
    pub may_ask_private: bool,
}

impl TlsReports {
    /// Creates the defaults: sent within four hours, by an organization that is called as the contact's domain.
    pub fn new(contact: impl Into<String>, folder: impl Into<Option<PathBuf>>) -> Self {
        let contact = contact.into();
        let mut reports = Self {
            contact,
            organization: String::new(),
            folder: folder.into(),
            spread: Duration::from_secs(4 * 60 * 60),
            seal: None,
            port: 443,
            may_ask_private: false,
        };
        reports.organization = reports.submitter().to_owned();
        reports
    }

    /// The domain of the contact.
    pub(crate) fn submitter(&self) -> &str {
        let domain = self.contact.rsplit_once('@');
        domain.map_or(&self.contact, |(_, domain)| domain)
    }
}

impl fmt::Debug for TlsReports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsReports")
            .field("contact", &self.contact)
            .field("organization", &self.organization)
            .field("folder", &self.folder)
            .field("spread", &self.spread)
            .finish_non_exhaustive()
    }
}
