//! Where a domain's mail goes: MX records, or the host itself (RFC 5321 §5.1, RFC 7505).

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};

use crate::config::Relay;

pub(super) struct Dns {
    resolver: TokioResolver,
    port: u16,
    smarthost: Option<(String, u16)>,
}

/// Why there is nowhere to go.
pub(super) enum NoRoute {
    /// It will not be there tomorrow either.
    Permanent(String),
    Temporary(String),
}

/// A host to try, with its addresses.
pub(super) struct Exchanger {
    pub(super) name: String,
    pub(super) addresses: Vec<SocketAddr>,
}

impl Dns {
    pub(super) fn new(relay: &Relay) -> Result<Self, String> {
        let builder = if relay.dns.is_empty() {
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
        let smarthost = relay
            .smarthost
            .as_deref()
            .map(|host| match host.rsplit_once(':') {
                Some((name, port)) if port.parse::<u16>().is_ok() => {
                    (name.to_owned(), port.parse().unwrap_or(relay.port))
                }
                _ => (host.to_owned(), relay.port),
            });
        Ok(Self {
            resolver: builder.build().map_err(|error| error.to_string())?,
            port: relay.port,
            smarthost,
        })
    }

    /// The hosts that take mail for `domain`, the preferred first.
    pub(super) async fn route(&self, domain: &str) -> Result<Vec<Exchanger>, NoRoute> {
        if let Some((name, port)) = &self.smarthost {
            return Ok(vec![self.addresses(name, *port).await?]);
        }
        if let Some(literal) = domain
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            let literal = literal.trim_start_matches("IPv6:");
            let Ok(ip) = literal.parse::<IpAddr>() else {
                return Err(NoRoute::Permanent(format!("{domain} is no address")));
            };
            return Ok(vec![Exchanger {
                name: domain.into(),
                addresses: vec![SocketAddr::new(ip, self.port)],
            }]);
        }
        let mut exchangers = Vec::new();
        match self.resolver.mx_lookup(absolute(domain)).await {
            Ok(lookup) => {
                for record in lookup.answers() {
                    if let RData::MX(mx) = &record.data {
                        exchangers.push((mx.preference, mx.exchange.to_ascii()));
                    }
                }
            }
            Err(error) if error.is_nx_domain() => {
                return Err(NoRoute::Permanent(format!(
                    "550 5.1.2 there is no domain {domain}"
                )));
            }
            Err(error) if error.is_no_records_found() => {}
            Err(error) => return Err(NoRoute::Temporary(format!("451 4.4.3 {domain}: {error}"))),
        }
        if let [(_, only)] = exchangers.as_slice()
            && only == "."
        {
            return Err(NoRoute::Permanent(format!(
                "556 5.1.10 {domain} takes no mail"
            )));
        }
        if exchangers.is_empty() {
            exchangers.push((0, domain.to_owned()));
        }
        exchangers.sort();
        let (mut hosts, mut last) = (Vec::new(), None);
        for (_, name) in exchangers.into_iter().take(10) {
            match self.addresses(&name, self.port).await {
                Ok(host) => hosts.push(host),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) if hosts.is_empty() => Err(error),
            _ => Ok(hosts),
        }
    }

    async fn addresses(&self, name: &str, port: u16) -> Result<Exchanger, NoRoute> {
        let name = name.trim_end_matches('.').to_owned();
        if let Ok(ip) = name.parse::<IpAddr>() {
            let addresses = vec![SocketAddr::new(ip, port)];
            return Ok(Exchanger { name, addresses });
        }
        match self.resolver.lookup_ip(absolute(&name)).await {
            Ok(lookup) => {
                let addresses = lookup.iter().map(|ip| SocketAddr::new(ip, port)).collect();
                Ok(Exchanger { name, addresses })
            }
            Err(error) if error.is_nx_domain() => Err(NoRoute::Permanent(format!(
                "550 5.1.2 there is no host {name}"
            ))),
            Err(error) => Err(NoRoute::Temporary(format!("451 4.4.3 {name}: {error}"))),
        }
    }
}

/// With its last dot: no search list.
fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}
