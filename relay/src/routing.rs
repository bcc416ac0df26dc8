//! The hosts that an attempt may ask, one after the other: by rule, or as DNS says.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::candidate::{Candidate, Peer};
use crate::demands::{Demanded, Demands};
use crate::dns::{Destination, Exchange, NoRoute};
use crate::envelope::Envelope;
use crate::relay::Relay;
use crate::routes::{HostTls, NextHost, Place, Route, Via};
use crate::security::Security;
use crate::tls_report::session::Session;
use hikyaku_mailstore::unix_now;

/// Addresses of one host that are tried, so that a host with many does not hide the next.
const ADDRESSES: usize = 4;
/// How long a TLS report is handed on, in seconds (RFC 8460 §5.5).
const REPORT: i64 = 24 * 60 * 60;

/// Finds the hosts for mail of a next hop, in the order in which they are to be tried.
///
/// # Errors
/// [`NoRoute`], when there is none.
pub(crate) async fn candidates(
    relay: &Relay,
    next_hop: &str,
    envelope: &Envelope,
) -> Result<Vec<Candidate>, NoRoute> {
    if let Some(text) = &envelope.route {
        return by_hand(relay, text, envelope.asked().1.requiretls).await;
    }
    let (reverse_path, asked) = envelope.asked();
    let sender = reverse_path.0.map(|mailbox| mailbox.to_string());
    let fits = |route: &&Route| route.fits(next_hop, sender.as_deref());
    let route = relay.options.routes.iter().find(fits);
    let must_verify = asked.requiretls || route.is_some_and(|route| route.must_verify);
    match route.map(|route| &route.via) {
        Some(Via::Hosts(hosts)) => named(relay, hosts, asked.requiretls).await,
        Some(Via::Exchangers) | None => {
            let destination = relay.dns.destination(next_hop).await?;
            if envelope.is_tls_report() {
                return report(&destination, envelope);
            }
            let demands = Demands::new(relay, &destination, must_verify);
            exchangers(&destination, &demands).await
        }
    }
}

/// The host that an operator has named for this message. A login there is that of a rule which names it too.
async fn by_hand(relay: &Relay, text: &str, requiretls: bool) -> Result<Vec<Candidate>, NoRoute> {
    let host: Result<NextHost, _> = text.parse();
    let mut host = host.map_err(|error| NoRoute::Temporary(format!("451 4.4.4 {error}")))?;
    let routes = relay.options.routes.iter();
    let mut named = routes.flat_map(|route| match &route.via {
        Via::Hosts(hosts) => &hosts[..],
        Via::Exchangers => &[],
    });
    let same = named.find(|one| one.place == host.place && one.tls == host.tls);
    host.login = same.and_then(|one| one.login.clone());
    self::named(relay, &[host], requiretls).await
}

/// Hosts that a rule names.
async fn named(
    relay: &Relay,
    hosts: &[NextHost],
    requiretls: bool,
) -> Result<Vec<Candidate>, NoRoute> {
    let (mut all, mut last) = (Vec::new(), None);
    for (preference, host) in (0_u16..).zip(hosts) {
        let candidate = |name: &str, peer| Candidate {
            name: name.to_owned(),
            peer,
            preference,
            security: match host.tls {
                HostTls::Never => Security::Clear,
                HostTls::Opportunistic if !requiretls => Security::Opportunistic,
                // RFC 8689 §4.2.1: a certificate that is checked.
                HostTls::Opportunistic | HostTls::StartTls | HostTls::Implicit => {
                    Security::Verified {
                        names: vec![name.to_owned()],
                    }
                }
            },
            implicit_tls: host.tls == HostTls::Implicit,
            login: host.login.clone().map(Arc::new),
            lmtp: host.lmtp,
            session: Session::default(),
            demand: None,
        };
        match &host.place {
            Place::Socket(path) => {
                all.push(candidate("localhost", Peer::Socket(Arc::new(path.clone()))));
            }
            Place::Host { name, port } => match addresses(relay, name).await {
                Ok(addresses) => all.extend(
                    addresses
                        .into_iter()
                        .take(ADDRESSES)
                        .map(|ip| candidate(name, Peer::Tcp(SocketAddr::new(ip, *port)))),
                ),
                Err(error) => last = Some(error),
            },
        }
    }
    match last {
        Some(error) if all.is_empty() => Err(error),
        _ => Ok(all),
    }
}

async fn addresses(relay: &Relay, name: &str) -> Result<Vec<IpAddr>, NoRoute> {
    if let Ok(ip) = name.parse() {
        return Ok(vec![ip]);
    }
    let host = relay.dns.host(name).await?;
    match host.addresses.is_empty() {
        // Who has configured it may mend it.
        true => Err(NoRoute::Temporary(format!(
            "451 4.4.4 {name} has no address"
        ))),
        false => Ok(host.addresses),
    }
}

/// The exchangers that DNS names.
async fn exchangers(
    destination: &Destination,
    demands: &Demands<'_>,
) -> Result<Vec<Candidate>, NoRoute> {
    let (mut all, mut last) = (Vec::new(), None::<NoRoute>);
    for exchange in &destination.hosts {
        let known = match &exchange.host {
            Err(error) => Err(error.clone()),
            Ok(host) => demands.of(host).await,
        };
        match (known, &last) {
            (Ok(demanded), _) => all.extend(addresses_of(destination, exchange, &demanded)),
            // As long as one of them may come back, the domain may.
            (Err(NoRoute::Permanent(_)), Some(NoRoute::Temporary(_))) => {}
            (Err(error), _) => last = Some(error),
        }
    }
    match last {
        Some(error) if all.is_empty() => Err(error),
        _ => Ok(all),
    }
}

/// The addresses of one exchanger.
fn addresses_of<'a>(
    destination: &'a Destination,
    exchange: &'a Exchange,
    demanded: &'a Demanded,
) -> impl Iterator<Item = Candidate> + 'a {
    let hosts = exchange.host.iter();
    hosts.flat_map(move |host| {
        let addresses = host.addresses.iter().take(ADDRESSES);
        addresses.map(move |ip| Candidate {
            name: host.name.clone(),
            peer: Peer::Tcp(SocketAddr::new(*ip, destination.port)),
            preference: exchange.preference,
            security: demanded.security.clone(),
            implicit_tls: false,
            login: None,
            lmtp: false,
            session: demanded.session(),
            demand: demanded.demand,
        })
    })
}

/// The exchangers for a TLS report. It goes out whatever is wrong with TLS, for a day (RFC 8460 §3, §5.5).
fn report(destination: &Destination, envelope: &Envelope) -> Result<Vec<Candidate>, NoRoute> {
    if unix_now().saturating_sub(envelope.queued) > REPORT {
        let why = "550 5.4.7 The time for this report is over";
        return Err(NoRoute::Permanent(why.to_owned()));
    }
    let demanded = Demanded::nothing();
    let all = destination.hosts.iter();
    let all: Vec<Candidate> = all
        .flat_map(|exchange| addresses_of(destination, exchange, &demanded))
        .collect();
    let errors = destination.hosts.iter();
    let mut errors = errors.filter_map(|exchange| exchange.host.clone().err());
    match errors.next() {
        Some(error) if all.is_empty() => Err(error),
        _ => Ok(all),
    }
}
