//! The reverse names of the server's addresses, which have to lead back to them (RFC 1912 §2.1, RFC 8601 §2.7.3).

use std::net::IpAddr;

use super::backwards::backwards;
use super::finding::Finding;
use super::subject::{Subject, unanswered};

/// Names of one address that are looked at.
const NAMES: usize = 8;

/// Looks at the names of one address.
pub(super) async fn look(subject: &Subject<'_>, address: IpAddr) -> Finding {
    let host = &subject.hostname;
    let about = format!("reverse name of {address}");
    let names = match subject.dns.names(address).await {
        Ok(found) => found.records,
        Err(error) => return unanswered(about, &error),
    };
    let remedy = |finding: Finding| {
        finding
            .wanted(host.as_str())
            .record(format!("{} IN PTR {host}.", owner(address)))
            .deed(format!(
                "ask whoever gives you {address} to set it: that zone is theirs"
            ))
    };
    if names.is_empty() {
        return remedy(Finding::fault(about, "none"));
    }
    let (mut leading_back, mut silence) = (Vec::new(), None);
    for name in names.iter().take(NAMES) {
        match subject.dns.host(name).await {
            Ok(found) if found.addresses.contains(&address) => leading_back.push(name.as_str()),
            Ok(_) => {}
            Err(error) => silence = Some(error),
        }
    }
    match (leading_back.as_slice(), silence) {
        // It may well be the one that leads back.
        ([], Some(error)) => unanswered(about, &error),
        ([], None) => {
            let seen = format!("{}, which does not lead back to it", names.join(", "));
            remedy(Finding::fault(about, seen))
        }
        (names, _) if names.contains(&host.as_str()) => Finding::well(about, host),
        (names, _) => remedy(Finding::advice(about, names.join(", "))),
    }
}

/// The name whose PTR record has the address's name.
fn owner(address: IpAddr) -> String {
    let zone = if address.is_ipv4() { "in-addr" } else { "ip6" };
    format!("{}.{zone}.arpa.", backwards(address))
}
