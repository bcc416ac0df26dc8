//! The reverse name of an address (RFC 8601 §2.7.3).

use crate::dns::{Family, Questions};
use crate::limits::Limits;
use crate::outcome::Outcome;
use crate::verdicts::Iprev;
use std::net::IpAddr;

/// Looks for a name of the address that leads back to it.
pub(crate) async fn check(dns: &Questions<'_>, limits: &Limits, address: IpAddr) -> Iprev {
    let without = |outcome, reason: &str| Iprev {
        outcome,
        name: None,
        reason: Some(reason.to_owned()),
    };
    let found = match dns.names(address).await {
        Ok(found) => found.records,
        Err(_) => return without(Outcome::TempError, "no answer from DNS"),
    };
    if found.is_empty() {
        return without(Outcome::PermError, "the address has no name");
    }
    let mut is_unanswered = false;
    for name in found.iter().take(limits.spf_names) {
        match dns.addresses(name, Family::of(address)).await {
            Ok(found) if found.records.contains(&address) => {
                return Iprev {
                    outcome: Outcome::Pass,
                    name: Some(name.trim_end_matches('.').to_ascii_lowercase()),
                    reason: None,
                };
            }
            Ok(_) => {}
            Err(_) => is_unanswered = true,
        }
    }
    match is_unanswered {
        true => without(Outcome::TempError, "no answer from DNS"),
        false => without(Outcome::Fail, "no name leads back to the address"),
    }
}
