//! The name of a client's address (RFC 8601 §2.7.3).

use hikyaku_trust::dns::{Ask, Family};
use std::net::IpAddr;

/// Names of an address that are looked at: whoever has it may give it a thousand.
const NAMES: usize = 10;

/// What is wrong with the name of an address. Without an answer nobody is accused.
pub(super) async fn wrong(dns: &dyn Ask, address: IpAddr) -> Option<&'static str> {
    let names = dns.names(address).await.ok()?.records;
    if names.is_empty() {
        return Some("none");
    }
    for name in names.iter().take(NAMES) {
        let found = dns.addresses(name, Family::of(address)).await.ok()?;
        if found.records.contains(&address) {
            return None;
        }
    }
    Some("unconfirmed")
}
