//! Lists of addresses in DNS (RFC 5782).

use hikyaku_trust::dns::{Ask, Family};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use crate::network::Networks;

/// Where a list has an address (§2.1, §2.4).
pub(super) fn name(address: IpAddr, zone: &str) -> String {
    let mut name = String::new();
    match address.to_canonical() {
        IpAddr::V4(address) => {
            for octet in address.octets().iter().rev() {
                let _ = write!(name, "{octet}.");
            }
        }
        IpAddr::V6(address) => {
            for octet in address.octets().iter().rev() {
                let _ = write!(name, "{:x}.{:x}.", octet & 15, octet >> 4);
            }
        }
    }
    name + zone.trim_end_matches('.')
}

/// Whether an answer says that the address is on the list: what is outside of 127.0.0.0/8 comes from a zone that is gone,
/// and 127.255.255.x says that the list does not answer us.
fn counts(answer: IpAddr, wanted: &Networks) -> bool {
    let IpAddr::V4(address) = answer else {
        return false;
    };
    let is_error = matches!(address.octets(), [127, 255, 255, _]);
    let is_wanted = wanted.0.is_empty() || wanted.contains(answer);
    address.is_loopback() && address != Ipv4Addr::LOCALHOST && !is_error && is_wanted
}

/// Whether the address is on the list. Without an answer it is not.
pub(super) async fn is_listed(dns: &dyn Ask, name: &str, wanted: &Networks) -> bool {
    let found = dns.addresses(name, Family::V4).await;
    found.is_ok_and(|found| found.records.iter().any(|one| counts(*one, wanted)))
}

/// What the list says of the address (§2.1).
pub(super) async fn reason(dns: &dyn Ask, name: &str) -> Option<String> {
    let texts = dns.txt(name).await.ok()?.records;
    texts
        .first()
        .map(|text| String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_asked_for_backwards() {
        for (address, expected) in [
            ("192.0.2.99", "99.2.0.192.bad.example.com"),
            ("::ffff:192.0.2.99", "99.2.0.192.bad.example.com"),
            (
                "2001:db8:1:2:3:4:567:89ab",
                "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bad.example.com",
            ),
        ] {
            assert_eq!(name(address.parse().unwrap(), "bad.example.com."), expected);
        }
    }

    #[test]
    fn errors_and_zones_that_are_gone_list_nobody() {
        let (all, some) = (
            Networks::default(),
            Networks(vec!["127.0.0.8/29".parse().unwrap()]),
        );
        for (answer, expected) in [
            ("127.0.0.2", [true, false]),
            ("127.0.0.10", [true, true]),
            ("127.1.2.3", [true, false]),
            ("127.0.0.1", [false, false]),
            ("127.255.255.254", [false, false]),
            ("192.0.2.1", [false, false]),
            ("::1", [false, false]),
        ] {
            let counted = [&all, &some].map(|wanted| counts(answer.parse().unwrap(), wanted));
            assert_eq!(counted, expected, "{answer}");
        }
    }
}
