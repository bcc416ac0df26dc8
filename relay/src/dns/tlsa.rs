//! A host's TLSA records, and the name that they are found by (RFC 7672 §2.2.2, §2.2.3).

use hickory_resolver::proto::rr::{RData, RecordType};

use super::answer::{Answer, LookupError};
use super::host::Host;
use super::resolver::{Dns, name};
use super::route::Destination;
use crate::dane::policy::Policy;
use crate::dane::record::Tlsa;
use crate::options::Dnssec;

impl Dns {
    /// Looks up the TLSA records at a TLSA base domain. Records at the end of an alias are the base domain's (§2.2.3).
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn tlsa_at(&self, base: &str, port: u16) -> Result<Answer<Tlsa>, LookupError> {
        let not_a_name = |_| LookupError::NotAName {
            name: base.to_owned(),
        };
        let owner = name(base)?.prepend_label("_tcp").map_err(not_a_name)?;
        let owner = owner.prepend_label(format!("_{port}"));
        let owner = owner.map_err(not_a_name)?;
        let answer = self.lookup(&owner, RecordType::TLSA).await?;
        Ok(answer.filter_map(|rdata| match rdata {
            RData::TLSA(tlsa) => Some(Tlsa {
                usage: tlsa.cert_usage.into(),
                selector: tlsa.selector.into(),
                matching: tlsa.matching.into(),
                data: tlsa.cert_data,
            }),
            _ => None,
        }))
    }

    /// Looks up the secure TLSA records of a host's port, and the TLSA base domain that has them. `None` when there are
    /// none: DANE does not apply, and TLS is opportunistic.
    ///
    /// How the host was found does not matter here; [`dane`](Self::dane) checks it.
    ///
    /// # Errors
    /// [`LookupError`]. Then nothing is to be sent to the host (§2.1.2).
    pub async fn tlsa(
        &self,
        host: &Host,
        port: u16,
    ) -> Result<Option<(String, Vec<Tlsa>)>, LookupError> {
        for base in self.base_domains(host).await? {
            let answer = self.tlsa_at(base, port).await?;
            if answer.secure && !answer.records.is_empty() {
                return Ok(Some((base.to_owned(), answer.records)));
            }
        }
        Ok(None)
    }

    /// The names that TLSA records may be found by, the preferred one first (§2.2.2). Those of insecure zones are not
    /// asked: some of their servers fail for TLSA, and mail would never be delivered.
    async fn base_domains<'a>(&self, host: &'a Host) -> Result<Vec<&'a str>, LookupError> {
        let is_alias = host.expanded != host.name;
        if self.dnssec == Dnssec::Off || host.addresses.is_empty() {
            return Ok(Vec::new());
        }
        Ok(match (host.secure, is_alias) {
            (true, true) => vec![&host.expanded, &host.name],
            (true, false) => vec![&host.name],
            (false, false) => Vec::new(),
            // The alias may be secure, and what it leads to not.
            (false, true) => match self.cname(&host.name).await?.secure {
                true => vec![&host.name],
                false => Vec::new(),
            },
        })
    }

    /// Looks up what DANE demands of a destination's host. `None` when DANE does not apply: the host was found through
    /// MX records that are insecure (§2.2.1), or has no secure TLSA records.
    ///
    /// # Errors
    /// As [`tlsa`](Self::tlsa).
    pub async fn dane(
        &self,
        destination: &Destination,
        host: &Host,
    ) -> Result<Option<Policy>, LookupError> {
        if destination.has_mx && !destination.secure {
            return Ok(None);
        }
        let found = self.tlsa(host, destination.port).await?;
        Ok(found.map(|(base, records)| {
            let names = destination.reference_identifiers(host, &base);
            Policy::new(records, base, names)
        }))
    }
}
