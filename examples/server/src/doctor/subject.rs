//! What is looked at: the server of a configuration, and how DNS is asked about it.

use hikyaku_relay::Dnssec;
use hikyaku_relay::dns::{Dns, DnsError, LookupError};
use hikyaku_trust::{DmarcPolicy, Policies, Policy};
use rustls::RootCertStore;
use std::sync::Arc;

use super::asking::Asking;
use super::finding::Finding;
use crate::config::Config;
use crate::relaying;
use crate::setup::zone::Zone;

/// The server that is looked at.
pub(super) struct Subject<'a> {
    pub(super) config: &'a Config,
    /// The configuration's file, for commands.
    pub(super) file: Option<&'a str>,
    /// In small letters.
    pub(super) hostname: String,
    pub(super) dns: Dns,
    /// The same, validating: whether DNSSEC vouches for an answer.
    pub(super) validating: Dns,
    pub(super) roots: Arc<RootCertStore>,
}

impl<'a> Subject<'a> {
    /// Sets up what DNS is asked with: the named servers, else those of the configuration, else those of the system.
    pub(super) fn new(
        config: &'a Config,
        file: Option<&'a str>,
        servers: &[String],
        roots: Arc<RootCertStore>,
    ) -> Result<Self, DnsError> {
        let mut options = hikyaku_relay::Options::new(config.hostname.clone());
        options.dns = match servers {
            [] => config.relay.dns.clone(),
            named => named.to_vec(),
        };
        options.dns_timeout = config.relay.dns_timeout.0;
        options.dnssec = relaying::dnssec(config.relay.dnssec);
        let dns = Dns::new(&options)?.without_hosts_file();
        if options.dnssec == Dnssec::Off {
            options.dnssec = Dnssec::Validate { anchors: None };
        }
        Ok(Self {
            config,
            file,
            hostname: config.hostname.to_ascii_lowercase(),
            dns,
            validating: Dns::new(&options)?.without_hosts_file(),
            roots,
        })
    }

    /// Returns the records that a domain should have.
    pub(super) fn zone<'b>(&'b self, domain: &'b str) -> Zone<'b> {
        Zone {
            hostname: &self.hostname,
            domain,
        }
    }

    /// Returns a command of this program.
    pub(super) fn command(&self, words: &str) -> String {
        match self.file {
            Some(file) => format!("mailserver --config {file} {words}"),
            None => format!("mailserver {words}"),
        }
    }

    /// Looks up texts, as far as they are texts.
    pub(super) async fn txt(&self, about: &str, name: &str) -> Result<Vec<String>, Finding> {
        let found = self.dns.txt(name).await;
        let found = found.map_err(|error| unanswered(about, &error))?;
        let texts = found.records.iter();
        Ok(texts
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .collect())
    }

    /// Creates what checks mail that is from a domain here, as another server would.
    pub(super) fn checker(&self) -> Result<hikyaku_trust::Checker, Finding> {
        let dns = Arc::new(Asking(self.dns.clone()));
        let nobody: [&str; 0] = [];
        let checker = hikyaku_trust::Checker::new(&self.hostname, nobody, dns);
        let mut checker = checker.map_err(|error| Finding::unknown("DNS", error))?;
        let mut policies = Policies::default();
        policies.spf = Policy::Mark;
        policies.dkim = Policy::Mark;
        policies.dmarc = DmarcPolicy::Mark;
        policies.arc = Policy::Off;
        policies.iprev = Policy::Off;
        checker.policies = policies;
        Ok(checker)
    }
}

/// What DNS has not answered.
pub(super) fn unanswered(about: impl Into<String>, error: &LookupError) -> Finding {
    match error {
        LookupError::Bogus { .. } => Finding::fault(about, error)
            .wanted("an answer whose signatures hold: others who validate see nothing of it")
            .deed("sign the zone anew, or have the DS records taken out of the zone above it"),
        LookupError::Aliases { name } => Finding::fault(about, error)
            .wanted("an answer: the aliases lead in a circle")
            .deed(format!("look where the CNAME record of {name} leads")),
        LookupError::NotAName { .. } => Finding::fault(about, error).wanted("a name"),
        _ => Finding::unknown(about, error).deed("ask another DNS server: add --dns ADDRESS:53"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Grade;

    #[test]
    fn what_the_zone_is_to_blame_for_is_a_fault_and_silence_is_none() {
        let name = || "a.test".to_owned();
        for (error, grade) in [
            (LookupError::Bogus { name: name() }, Grade::Fault),
            (LookupError::Aliases { name: name() }, Grade::Fault),
            (LookupError::NotAName { name: name() }, Grade::Fault),
            (LookupError::Silent { name: name() }, Grade::Unknown),
        ] {
            assert_eq!(unanswered("x", &error).grade, grade, "{error}");
        }
    }
}
