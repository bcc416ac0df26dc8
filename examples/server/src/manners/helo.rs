//! The name of HELO or EHLO (RFC 5321 §4.1.1.1, §4.1.4).
//!
//! A name that does not lead to the client is no reason to refuse it (§4.1.4), and is not looked at here.

use hikyaku_trust::dns::{Ask, Family};
use std::net::IpAddr;

/// What is wrong with a name, as far as it can be seen without DNS.
pub(super) fn wrong(
    name: &str,
    client: IpAddr,
    is_ours: impl Fn(&str) -> bool,
) -> Option<&'static str> {
    let name = name.trim_end_matches('.');
    if let Some(literal) = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        let is_tagged = literal
            .get(..5)
            .is_some_and(|tag| tag.eq_ignore_ascii_case("IPv6:"));
        let address = if is_tagged {
            literal.get(5..).unwrap_or("")
        } else {
            literal
        };
        let address = address.parse::<IpAddr>().ok();
        return match address {
            Some(address) if address.to_canonical() == client.to_canonical() => None,
            _ => Some("literal of another address"),
        };
    }
    if name.parse::<IpAddr>().is_ok() {
        return Some("bare address");
    }
    if is_ours(name) {
        return Some("our own name");
    }
    match name.contains('.') {
        true => None,
        false => Some("no domain"),
    }
}

/// Whether DNS knows no such host. Without an answer nobody is accused.
pub(super) async fn is_nowhere(dns: &dyn Ask, name: &str) -> bool {
    let name = name.trim_end_matches('.');
    if name.starts_with('[') || !name.is_ascii() {
        return false;
    }
    let (v4, v6, mx) = tokio::join!(
        dns.addresses(name, Family::V4),
        dns.addresses(name, Family::V6),
        dns.exchanges(name),
    );
    let (Ok(v4), Ok(v6), Ok(mx)) = (v4, v6, mx) else {
        return false;
    };
    v4.records.is_empty() && v6.records.is_empty() && mx.records.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_by_what_they_are() {
        for (name, client, expected) in [
            ("mail.example.com", "192.0.2.1", None),
            ("mail.example.com.", "192.0.2.1", None),
            ("mx.our.test", "192.0.2.1", Some("our own name")),
            ("MX.our.test.", "192.0.2.1", Some("our own name")),
            ("amx.our.test", "192.0.2.1", None),
            ("localhost", "192.0.2.1", Some("no domain")),
            ("", "192.0.2.1", Some("no domain")),
            ("192.0.2.1", "192.0.2.1", Some("bare address")),
            ("2001:db8::1", "2001:db8::1", Some("bare address")),
            ("[192.0.2.1]", "192.0.2.1", None),
            ("[192.0.2.1]", "::ffff:192.0.2.1", None),
            (
                "[192.0.2.2]",
                "192.0.2.1",
                Some("literal of another address"),
            ),
            ("[IPv6:2001:db8::1]", "2001:db8::1", None),
            ("[ipv6:2001:DB8::1]", "2001:db8::1", None),
            (
                "[é:2001:DB8::1]",
                "2001:db8::1",
                Some("literal of another address"),
            ),
            ("[]", "192.0.2.1", Some("literal of another address")),
        ] {
            let is_ours = |name: &str| name.eq_ignore_ascii_case("mx.our.test");
            let wrong = wrong(name, client.parse().unwrap(), is_ours);
            assert_eq!(wrong, expected, "{name} from {client}");
        }
    }
}
