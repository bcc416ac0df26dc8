//! Where a service of a domain is (RFC 2782), and who may issue certificates for a name (RFC 8659).

use hickory_resolver::proto::rr::{RData, RecordType};

use super::answer::{Answer, LookupError, text};
use super::resolver::{Dns, name};

/// An SRV record (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Srv {
    /// Hosts with a lower one are tried first.
    pub priority: u16,
    /// How often a host is chosen among those of one priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host, in small letters and without its last dot. Empty when the domain does not have the service.
    pub target: String,
}

/// A CAA record (RFC 8659 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caa {
    /// Whether an issuer that does not know the tag may not issue.
    pub is_critical: bool,
    /// What it is about, in small letters: `issue`, `issuewild`, `iodef`.
    pub tag: String,
    /// As it is in DNS.
    pub value: Vec<u8>,
}

impl Dns {
    /// Looks up the SRV records of a name such as `_imaps._tcp.example.org`, in no order.
    ///
    /// # Errors
    /// As [`mx`](Self::mx).
    pub async fn srv(&self, service: &str) -> Result<Answer<Srv>, LookupError> {
        let answer = self.lookup(&name(service)?, RecordType::SRV).await?;
        Ok(answer.filter_map(|rdata| match rdata {
            RData::SRV(srv) => Some(Srv {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: text(&srv.target),
            }),
            _ => None,
        }))
    }

    /// Looks up the CAA records of a name. Those of the names above it are not looked up (RFC 8659 §3).
    ///
    /// # Errors
    /// As [`mx`](Self::mx).
    pub async fn caa(&self, host: &str) -> Result<Answer<Caa>, LookupError> {
        let answer = self.lookup(&name(host)?, RecordType::CAA).await?;
        Ok(answer.filter_map(|rdata| match rdata {
            RData::CAA(caa) => Some(Caa {
                is_critical: caa.issuer_critical,
                tag: caa.tag.to_ascii_lowercase(),
                value: caa.value,
            }),
            _ => None,
        }))
    }
}
