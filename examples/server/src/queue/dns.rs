//! Where a domain's mail goes: MX records, or the host itself (RFC 5321 §5.1, RFC 7505).

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::Relay;

/// Hosts of a domain that are looked up.
const HOSTS: usize = 10;
/// Addresses of one of them that are tried, so that a host with many does not hide the next.
const ADDRESSES: usize = 4;
/// Questions that may be under way at a time. Those to silent servers take long, and others are not to wait for them.
const QUESTIONS: usize = 4096;

#[derive(Clone)]
pub(super) struct Dns {
    resolver: TokioResolver,
    port: u16,
    smarthost: Option<(String, u16)>,
    /// How long the answer to one question may take.
    patience: Duration,
}

/// Why there is nowhere to go.
#[derive(Debug)]
pub(super) enum NoRoute {
    /// It will not be there tomorrow either.
    Permanent(String),
    Temporary(String),
}

/// One address of a host that takes mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exchanger {
    /// The host's name.
    pub(super) name: String,
    pub(super) address: SocketAddr,
    /// The MX record's: hosts with a lower one are tried first.
    pub(super) preference: u16,
}

impl Dns {
    pub(super) fn new(relay: &Relay) -> Result<Self, String> {
        let mut builder = if relay.dns.is_empty() {
            match TokioResolver::builder_tokio() {
                Ok(builder) => builder,
                // A machine without resolv.conf has mail of its own domains still.
                Err(_) => TokioResolver::builder_with_config(
                    ResolverConfig::from_parts(None, Vec::new(), Vec::new()),
                    TokioRuntimeProvider::default(),
                ),
            }
        } else {
            let mut servers = Vec::new();
            for name in &relay.dns {
                let addresses = name
                    .to_socket_addrs()
                    .map_err(|error| format!("\"{name}\": {error}"))?;
                for address in addresses {
                    let at = |mut connection: ConnectionConfig| {
                        connection.port = address.port();
                        connection
                    };
                    let connections =
                        vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())];
                    servers.push(NameServerConfig::new(address.ip(), true, connections));
                }
            }
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let patience = relay.dns_timeout.0;
        let options = builder.options_mut();
        options.max_active_requests = QUESTIONS;
        // A question or its answer may be lost: it is asked twice in that time.
        options.attempts = 1;
        options.timeout = (patience / 2).min(Duration::from_secs(5));
        let smarthost = relay.smarthost.as_deref();
        let smarthost = smarthost.map(|host| host_and_port(host, relay.port));
        Ok(Self {
            resolver: builder.build().map_err(|error| error.to_string())?,
            port: relay.port,
            smarthost,
            patience,
        })
    }

    /// The addresses that take mail for `domain`, in the order in which they are to be tried. Takes twice the time of
    /// a question at most.
    pub(super) async fn route(&self, domain: &str) -> Result<Vec<Exchanger>, NoRoute> {
        if let Some((name, port)) = &self.smarthost {
            return self.addresses(name, 0, *port).await;
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
            return Ok(vec![Exchanger {
                name: domain.into(),
                address: SocketAddr::new(ip, self.port),
                preference: 0,
            }]);
        }
        let hosts = in_order(
            self.mail_exchangers(domain).await?,
            &mut fastrand::Rng::new(),
        );
        // All at once: a name server that is silent about one of them holds up no other.
        let mut lookups = JoinSet::new();
        for (nth, (preference, name)) in hosts.into_iter().take(HOSTS).enumerate() {
            let dns = self.clone();
            lookups.spawn(async move { (nth, dns.addresses(&name, preference, dns.port).await) });
        }
        let mut all = lookups.join_all().await;
        all.sort_unstable_by_key(|(nth, _)| *nth);
        let (mut exchangers, mut last) = (Vec::new(), None::<NoRoute>);
        for (_, found) in all {
            match (found, &last) {
                (Ok(some), _) => exchangers.extend(some.into_iter().take(ADDRESSES)),
                // As long as one of them may come back, the domain may.
                (Err(NoRoute::Permanent(_)), Some(NoRoute::Temporary(_))) => {}
                (Err(error), _) => last = Some(error),
            }
        }
        match last {
            Some(error) if exchangers.is_empty() => Err(error),
            _ => Ok(exchangers),
        }
    }

    /// The hosts that take mail for a domain, as they came.
    async fn mail_exchangers(&self, domain: &str) -> Result<Vec<(u16, String)>, NoRoute> {
        let mut hosts = Vec::new();
        match timeout(self.patience, self.resolver.mx_lookup(absolute(domain))).await {
            Ok(Ok(lookup)) => {
                for record in lookup.answers() {
                    if let RData::MX(mx) = &record.data {
                        hosts.push((mx.preference, mx.exchange.to_ascii()));
                    }
                }
            }
            Ok(Err(error)) if error.is_nx_domain() => {
                return Err(NoRoute::Permanent(format!(
                    "550 5.1.2 there is no domain {domain}"
                )));
            }
            Ok(Err(error)) if error.is_no_records_found() => {}
            Ok(Err(error)) => {
                return Err(NoRoute::Temporary(format!("451 4.4.3 {domain}: {error}")));
            }
            Err(_) => return Err(silent(domain)),
        }
        if let [(_, only)] = hosts.as_slice()
            && only == "."
        {
            return Err(NoRoute::Permanent(format!(
                "556 5.1.10 {domain} takes no mail"
            )));
        }
        if hosts.is_empty() {
            hosts.push((0, domain.to_owned()));
        }
        Ok(hosts)
    }

    async fn addresses(
        &self,
        name: &str,
        preference: u16,
        port: u16,
    ) -> Result<Vec<Exchanger>, NoRoute> {
        let name = name.trim_end_matches('.').to_owned();
        let at = |ip| Exchanger {
            name: name.clone(),
            address: SocketAddr::new(ip, port),
            preference,
        };
        if let Ok(ip) = name.parse::<IpAddr>() {
            return Ok(vec![at(ip)]);
        }
        match timeout(self.patience, self.resolver.lookup_ip(absolute(&name))).await {
            Ok(Ok(lookup)) => Ok(lookup.iter().map(at).collect()),
            Ok(Err(error)) if error.is_nx_domain() => Err(NoRoute::Permanent(format!(
                "550 5.1.2 there is no host {name}"
            ))),
            Ok(Err(error)) => Err(NoRoute::Temporary(format!("451 4.4.3 {name}: {error}"))),
            Err(_) => Err(silent(&name)),
        }
    }
}

/// The address within a domain literal (RFC 5321 §4.1.3), whose tag is in letters of either case.
fn address_of(literal: &str) -> Option<IpAddr> {
    let tag = literal.get(..5);
    let address = match tag.is_some_and(|tag| tag.eq_ignore_ascii_case("IPv6:")) {
        true => &literal[5..],
        false => literal,
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

fn silent(name: &str) -> NoRoute {
    NoRoute::Temporary(format!("451 4.4.3 {name}: no answer from DNS in time"))
}

/// By preference; those of the same one are shuffled, so that they share the load (RFC 5321 §5.1).
fn in_order(mut hosts: Vec<(u16, String)>, random: &mut fastrand::Rng) -> Vec<(u16, String)> {
    random.shuffle(&mut hosts);
    // Stable: what was shuffled stays so.
    hosts.sort_by_key(|(preference, _)| *preference);
    hosts
}

/// With its last dot: no search list.
fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn hosts(all: &[(u16, &str)]) -> Vec<(u16, String)> {
        all.iter().map(|(n, name)| (*n, (*name).into())).collect()
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
            let preferences: Vec<u16> = order.iter().map(|(n, _)| *n).collect();
            assert_eq!(preferences, [5, 10, 10, 10, 20, 20]);
            *seconds.entry(order[1].1.clone()).or_default() += 1;
            orders.insert(order);
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
