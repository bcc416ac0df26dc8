//! The names of an address (RFC 1035 §3.5, RFC 3596 §2.5).

use hickory_resolver::proto::rr::{Name, RData, RecordType};
use std::net::IpAddr;

use super::answer::{Answer, LookupError, text};
use super::resolver::Dns;

impl Dns {
    /// Looks up the names of an address, in small letters and without their last dots. Whether they lead back to it is
    /// not looked at.
    ///
    /// # Errors
    /// As [`mx`](Self::mx).
    pub async fn names(&self, address: IpAddr) -> Result<Answer<String>, LookupError> {
        let answer = self.lookup(&Name::from(address), RecordType::PTR).await?;
        Ok(answer.filter_map(|rdata| match rdata {
            RData::PTR(name) => Some(text(&name.0)),
            _ => None,
        }))
    }
}
