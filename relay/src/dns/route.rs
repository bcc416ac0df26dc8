//! Where a domain's mail goes: MX records, or the host itself (RFC 5321 §5.1, RFC 7505).

use std::net::IpAddr;
use tokio::task::JoinSet;

use super::answer::{LookupError, text};
use super::host::Host;
use super::resolver::{Dns, Mx, name};

/// Hosts of a domain that are looked up.
const HOSTS: usize = 10;

/// Why there is nowhere to go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoRoute {
    /// It will not be there tomorrow either.
    #[error("{0}")]
    Permanent(String),
    /// It may be there another time.
    #[error("{0}")]
    Temporary(String),
}

/// Where mail for a next hop goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Destination {
    /// The next hop: a domain, the smarthost, or an address in brackets.
    pub domain: String,
    /// The name at the end of the domain's aliases, in small letters. It is the domain's own when it has none.
    pub expanded: String,
    /// Whether it has MX records. Otherwise it is its own only host.
    pub has_mx: bool,
    /// Whether DNSSEC vouches for the MX records, and for each alias that leads to them.
    pub secure: bool,
    /// The port that its hosts listen on.
    pub port: u16,
    /// Its hosts, in the order in which they are to be tried. This server and `localhost` may be among them, which is for
    /// the caller to handle.
    pub hosts: Vec<Exchange>,
}

/// A host that takes a domain's mail: one of its MX records, with what became of looking it up.
///
/// A host that is not found does not end the others: the relay goes on to the next one (RFC 5321 §5.1), and a domain has no
/// route once none of its hosts has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exchange {
    /// The record's preference: hosts with a lower one are tried first. 0 for a domain without MX records.
    pub preference: u16,
    /// The host, or why it is not known where it is.
    pub host: Result<Host, NoRoute>,
}

impl From<LookupError> for NoRoute {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::NotAName { .. } => Self::Permanent(format!("550 5.1.2 {error}")),
            error => Self::Temporary(format!("451 4.4.3 {error}")),
        }
    }
}

impl Destination {
    /// The names of which a host's certificate must have one, where names matter (RFC 7672 §3.2.2). The TLSA base domain
    /// is the first.
    pub fn reference_identifiers(&self, host: &Host, base: &str) -> Vec<String> {
        let domain = name(&self.domain).map(|domain| text(&domain));
        let mut names = vec![base, &host.name];
        // What was found through insecure MX records is the host at most, and never the domain.
        if self.secure || !self.has_mx {
            names.push(domain.as_ref().unwrap_or(&self.domain));
            names.push(&self.expanded);
        }
        let mut all = Vec::<String>::new();
        for name in names {
            if !all.iter().any(|other| other.eq_ignore_ascii_case(name)) {
                all.push(name.to_owned());
            }
        }
        all
    }
}

impl Dns {
    /// Looks up the hosts that take mail for a domain, or the smarthost's addresses. Takes twice the time of a question
    /// at most.
    ///
    /// # Errors
    /// [`NoRoute`], when the hosts are not known. A host that cannot be looked up is an [`Exchange`] with an error.
    pub async fn destination(&self, domain: &str) -> Result<Destination, NoRoute> {
        if let Some(smarthost) = &self.smarthost {
            let (name, port) = host_and_port(smarthost, self.port);
            let host = self.exchange_host(&name).await;
            return Ok(own_host(&name, port, host));
        }
        if let Some(literal) = domain
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            let Some(ip) = address_of(literal) else {
                return Err(NoRoute::Permanent(format!(
                    "550 5.1.2 {domain} is no address"
                )));
            };
            return Ok(own_host(domain, self.port, Ok(Host::at(domain, ip))));
        }
        let answer = self.mx(domain).await?;
        if !answer.exists {
            return Err(NoRoute::Permanent(format!(
                "550 5.1.2 there is no domain {domain}"
            )));
        }
        if answer.records.is_empty() {
            let host = self.exchange_host(domain).await;
            return Ok(own_host(domain, self.port, host));
        }
        if let [only] = answer.records.as_slice()
            && only.exchange.is_empty()
        {
            return Err(NoRoute::Permanent(format!(
                "556 5.1.10 {domain} takes no mail"
            )));
        }
        let mut hosts = answer.records;
        // RFC 5321 §5.1: an MX record has a host's name. Records with an address instead are ignored.
        hosts.retain(|mx| !mx.exchange.is_empty() && mx.exchange.parse::<IpAddr>().is_err());
        if hosts.is_empty() {
            return Err(NoRoute::Permanent(format!(
                "550 5.4.4 the MX records of {domain} name no host"
            )));
        }
        let hosts = in_order(hosts, &mut fastrand::Rng::new());
        // All at once: a name server that is silent about one of them holds up no other.
        let mut lookups = JoinSet::new();
        for (nth, mx) in hosts.into_iter().take(HOSTS).enumerate() {
            let dns = self.clone();
            lookups.spawn(async move {
                let exchange = Exchange {
                    preference: mx.preference,
                    host: dns.exchange_host(&mx.exchange).await,
                };
                (nth, exchange)
            });
        }
        let mut all = lookups.join_all().await;
        all.sort_unstable_by_key(|(nth, _)| *nth);
        Ok(Destination {
            domain: domain.to_owned(),
            expanded: answer.name,
            has_mx: true,
            secure: answer.secure,
            port: self.port,
            hosts: all.into_iter().map(|(_, exchange)| exchange).collect(),
        })
    }

    /// A host that has addresses.
    async fn exchange_host(&self, name: &str) -> Result<Host, NoRoute> {
        let name = name.trim_end_matches('.');
        if let Ok(ip) = name.parse::<IpAddr>() {
            return Ok(Host::at(name, ip));
        }
        let host = self.host(name).await?;
        match host.addresses.is_empty() {
            true if !host.exists => Err(NoRoute::Permanent(format!(
                "550 5.1.2 there is no host {name}"
            ))),
            true => Err(NoRoute::Temporary(format!(
                "451 4.4.3 {name} has no address"
            ))),
            false => Ok(host),
        }
    }
}

/// A destination that is its own only host.
fn own_host(domain: &str, port: u16, host: Result<Host, NoRoute>) -> Destination {
    let expanded = host.as_ref().map(|host| host.expanded.clone());
    Destination {
        domain: domain.to_owned(),
        expanded: expanded.unwrap_or_else(|_| domain.to_owned()),
        has_mx: false,
        secure: host.as_ref().is_ok_and(|host| host.secure),
        port,
        hosts: vec![Exchange {
            preference: 0,
            host,
        }],
    }
}

/// The address within a domain literal (RFC 5321 §4.1.3), whose tag is in letters of either case.
fn address_of(literal: &str) -> Option<IpAddr> {
    let address = match literal.split_at_checked(5) {
        Some((tag, rest)) if tag.eq_ignore_ascii_case("IPv6:") => rest,
        _ => literal,
    };
    address.parse().ok()
}

/// The host and the port of `host`, `host:port`, `[IPv6]:port`, `[IPv6]` or an IPv6 address alone.
fn host_and_port(text: &str, otherwise: u16) -> (String, u16) {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if name.ends_with(']') || !name.contains(':') => {
            port.parse().map_or((text, otherwise), |port| (name, port))
        }
        _ => (text, otherwise),
    };
    (name.trim_matches(['[', ']']).to_owned(), port)
}

/// By preference; those of the same one are shuffled, so that they share the load (RFC 5321 §5.1).
fn in_order(mut hosts: Vec<Mx>, random: &mut fastrand::Rng) -> Vec<Mx> {
    random.shuffle(&mut hosts);
    // Stable: what was shuffled stays so.
    hosts.sort_by_key(|mx| mx.preference);
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn hosts(all: &[(u16, &str)]) -> Vec<Mx> {
        let all = all.iter().map(|(preference, name)| Mx {
            preference: *preference,
            exchange: (*name).into(),
        });
        all.collect()
    }

    #[test]
    fn hosts_of_equal_preference_share_the_load() {
        let all = hosts(&[
            (10, "c"),
            (20, "d"),
            (10, "a"),
            (5, "first"),
            (10, "b"),
            (20, "e"),
        ]);
        let mut random = fastrand::Rng::with_seed(7);
        let mut seconds = BTreeMap::<String, u32>::new();
        let mut orders = BTreeSet::new();
        for _ in 0..3000 {
            let order = in_order(all.clone(), &mut random);
            let preferences: Vec<u16> = order.iter().map(|mx| mx.preference).collect();
            assert_eq!(preferences, [5, 10, 10, 10, 20, 20]);
            *seconds.entry(order[1].exchange.clone()).or_default() += 1;
            orders.insert(order.into_iter().map(|mx| mx.exchange).collect::<Vec<_>>());
        }
        assert_eq!(orders.len(), 3 * 2 * 2, "every order of equals occurs");
        let names: Vec<&str> = seconds.keys().map(String::as_str).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert!(
            seconds.values().all(|count| (850..1150).contains(count)),
            "{seconds:?}"
        );
    }

    #[test]
    fn domain_literals_and_smarthosts_are_read() {
        for (literal, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("IPv6:2001:db8::1", Some("2001:db8::1")),
            // Next hops are in small letters.
            ("ipv6:2001:db8::1", Some("2001:db8::1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("IPv6:IPv6:2001:db8::1", None),
            ("IPv6:", None),
            ("x400:a", None),
            ("\u{e9}\u{e9}\u{e9}", None),
            ("", None),
        ] {
            let expected = expected.map(|address| address.parse().unwrap());
            assert_eq!(address_of(literal), expected, "{literal}");
        }
        for (text, host, port) in [
            ("relay.test", "relay.test", 25),
            ("relay.test:587", "relay.test", 587),
            ("192.0.2.1:587", "192.0.2.1", 587),
            ("[2001:db8::1]:587", "2001:db8::1", 587),
            ("[2001:db8::1]", "2001:db8::1", 25),
            ("2001:db8::1", "2001:db8::1", 25),
        ] {
            assert_eq!(host_and_port(text, 25), (host.into(), port), "{text}");
        }
    }

    #[test]
    fn a_seed_gives_one_order() {
        let all = hosts(&[(1, "a"), (1, "b"), (1, "c"), (1, "d"), (1, "e")]);
        let order = |seed| in_order(all.clone(), &mut fastrand::Rng::with_seed(seed));
        assert_eq!(order(3), order(3));
        assert!((0..20).any(|seed| order(seed) != order(3)));
    }
}
