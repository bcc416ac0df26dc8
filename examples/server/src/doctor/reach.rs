//! Port 25: whether others reach the server, and whether it reaches them.

use hikyaku_wire::is_global;
use std::io;
use std::net::{IpAddr, SocketAddr};

use super::dialogue::Speech;
use super::finding::Finding;
use super::shown::Shown;
use super::subject::{Subject, unanswered};
use super::visit::{Trouble, greeted, visit};
use crate::config::{Relay, RelayRoute};

/// Addresses of others that are tried, to see whether any answers.
const TRIES: usize = 4;

/// Looks at the port of mail from others, at one address of the server.
pub(super) async fn inward(subject: &Subject<'_>, address: IpAddr) -> (Finding, Option<Shown>) {
    let port = subject.config.relay.port;
    let host = &subject.hostname;
    let about = format!("port {port} of {address}");
    let visited = visit(
        SocketAddr::new(address, port),
        Speech::Smtp,
        false,
        host,
        host,
    );
    let (greeting, ended) = match visited.await {
        Ok(visit) => (visit.greeting, Ok(visit.shown)),
        Err(Trouble::NoStartTls { greeting }) => (greeting, Err("no STARTTLS")),
        Err(error @ Trouble::Connect(_)) => {
            let finding = Finding::fault(about, error).wanted("a connection");
            return (closed(subject, finding, port), None);
        }
        Err(error) => {
            let finding = Finding::fault(about, error).wanted("SMTP with STARTTLS");
            return (between(subject, finding, address), None);
        }
    };
    if let Some(finding) = misnamed(&about, host, &greeting, address) {
        return (finding, None);
    }
    match ended {
        Ok(shown) => (Finding::well(about, "SMTP with STARTTLS"), Some(shown)),
        Err(seen) => {
            let finding = Finding::fault(about, seen).wanted("STARTTLS");
            (between(subject, finding, address), None)
        }
    }
}

/// A greeting with another name than the server's (RFC 5321 §4.2).
fn misnamed(about: &str, host: &str, greeting: &str, address: IpAddr) -> Option<Finding> {
    let name = greeting.get(4..).unwrap_or("").split_whitespace().next();
    let name = name.unwrap_or_default();
    (!name.eq_ignore_ascii_case(host)).then(|| {
        Finding::fault(about, format!("it greets as \"{name}\""))
            .wanted(host)
            .deed(format!("{address} is another server, or another name: correct the address record, or hostname in the configuration"))
    })
}

fn closed(subject: &Subject<'_>, finding: Finding, port: u16) -> Finding {
    let finding = match subject.config.listen.smtp.is_empty() {
        true => finding.setting(format!("[listen] smtp = \"[::]:{port}\"")),
        false => finding.command(subject.command("check")),
    };
    finding.deed(format!(
        "start the server; open TCP port {port} in the firewall, and at whoever gives you the machine"
    ))
}

fn between(subject: &Subject<'_>, finding: Finding, address: IpAddr) -> Finding {
    finding.deed(format!(
        "{address} is not {}, or what lies between changes SMTP: a firewall that looks into it has to stop that",
        subject.hostname
    ))
}

/// Looks whether mail can leave: at an exchanger of a domain that has some.
pub(super) async fn outward(subject: &Subject<'_>, own: &[IpAddr]) -> Vec<Finding> {
    let port = subject.config.relay.port;
    let about = format!("port {port} outward");
    if let Some(host) = elsewhere(&subject.config.relay) {
        return vec![Finding::well(
            about,
            format!("not needed: mail goes to {host}"),
        )];
    }
    let domain = &subject.config.doctor.exchanger;
    let hosts = match exchangers(subject, &about, domain).await {
        Ok(hosts) => hosts,
        Err(finding) => return vec![finding],
    };
    let visit = |address| greeted(SocketAddr::new(address, port));
    let (answers, refused) = visited(hosts, visit).await;
    let mut findings: Vec<Finding> = Vec::new();
    for (host, answer) in answers {
        let answered = match &answer {
            Ok(_) => Finding::well(&about, format!("{host} answers")),
            // It answers, though not to us: the port is open.
            Err(error) => Finding::advice(&about, format!("{host} answers, and then {error}"))
                .deed("if it names a blocklist, ask there to be removed"),
        };
        let stranger = answer.ok().and_then(|from| stranger(subject, own, from));
        for finding in [answered].into_iter().chain(stranger) {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
    if !findings.is_empty() {
        return findings;
    }
    vec![
        Finding::fault(about, refused.join("; "))
            .wanted("a connection to other servers: mail cannot leave")
            .deed(format!("have TCP port {port} opened outward by whoever gives you the machine"))
            .setting("[relay] smarthost = \"HOST:587\", or a [[relay.routes]] with a login, where that cannot be"),
    ]
}

/// A host that answered, and the address that mail to it leaves from.
type Answered = (String, Result<IpAddr, io::Error>);

/// Visits the hosts until one of each family answers: a family that the machine has no route for never does. Returns
/// those, and why others did not.
async fn visited(
    hosts: Vec<(String, IpAddr)>,
    visit: impl AsyncFn(IpAddr) -> Result<(String, IpAddr), Trouble>,
) -> (Vec<Answered>, Vec<String>) {
    let (mut answers, mut refused) = (Vec::new(), Vec::new());
    let mut families = Vec::new();
    for (host, address) in hosts {
        if families.contains(&address.is_ipv4()) {
            continue;
        }
        let answer = match visit(address).await {
            Ok((_, from)) => Ok(from),
            Err(Trouble::Words(error)) => Err(error),
            Err(error) => {
                refused.push(format!("{host} ({address}): {error}"));
                continue;
            }
        };
        families.push(address.is_ipv4());
        answers.push((host, answer));
    }
    (answers, refused)
}

/// The host that all mail goes to in place of exchangers. A rule comes before the smarthost.
pub(super) fn elsewhere(relay: &Relay) -> Option<&str> {
    let is_for_all = |route: &&RelayRoute| {
        let mut domains = route.domains.iter();
        let domains = route.domains.is_empty() || domains.any(|domain| domain == "*");
        domains && route.senders.is_empty() && !route.hosts.is_empty()
    };
    let route = relay.routes.iter().find(is_for_all);
    let host = route.and_then(|route| route.hosts.first());
    host.or(relay.smarthost.as_ref()).map(String::as_str)
}

/// Addresses of the domain's exchangers, each with its host's name.
async fn exchangers(
    subject: &Subject<'_>,
    about: &str,
    domain: &str,
) -> Result<Vec<(String, IpAddr)>, Finding> {
    let found = subject.dns.mx(domain).await;
    let mut found = found.map_err(|error| unanswered(about, &error))?.records;
    found.sort_by_key(|mx| mx.preference);
    let mut all = Vec::new();
    for mx in found.into_iter().take(TRIES) {
        if let Ok(host) = subject.dns.host(&mx.exchange).await {
            let addresses = host.addresses.into_iter().take(2);
            all.extend(addresses.map(|address| (mx.exchange.clone(), address)));
        }
    }
    all.truncate(TRIES);
    match all.is_empty() {
        true => Err(
            Finding::unknown(about, format!("{domain} has no mail exchanger"))
                .setting("[doctor] exchanger = \"DOMAIN\""),
        ),
        false => Ok(all),
    }
}

/// An address that mail leaves from and that nobody knows. One of a network behind NAT says nothing, nor does any while
/// our own are not known.
fn stranger(subject: &Subject<'_>, own: &[IpAddr], from: IpAddr) -> Option<Finding> {
    if !is_global(from) || own.is_empty() || own.contains(&from) {
        return None;
    }
    let finding = Finding::fault("address that mail leaves from", from)
        .wanted("one of those that DNS has for the server: others refuse it by SPF and its reverse name")
        .record(subject.zone(&subject.hostname).address(from));
    Some(finding.deed("or let the system use another source address"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use rustls::RootCertStore;
    use std::sync::{Arc, Mutex};

    #[test]
    fn mail_that_all_goes_to_one_host_needs_no_port_25() {
        let of = |rest: &str| {
            let head = "hostname = \"mx.test\"\ndomains = [\"a.test\"]\n[relay]\n";
            let config = Config::parse(&format!("{head}{rest}")).unwrap();
            elsewhere(&config.relay).map(str::to_owned)
        };
        let route = "[[relay.routes]]\nhosts = [\"smtp://b.test\"]\n";
        assert_eq!(of("smarthost = \"b.test\"\n").as_deref(), Some("b.test"));
        assert_eq!(of(route).as_deref(), Some("smtp://b.test"));
        assert_eq!(
            of(&format!("{route}domains = [\"*\"]\n")).as_deref(),
            Some("smtp://b.test")
        );
        assert_eq!(of(&format!("{route}domains = [\"c.test\"]\n")), None);
        assert_eq!(of(&format!("{route}senders = [\"@a.test\"]\n")), None);
        assert_eq!(of("[[relay.routes]]\nmust_verify = true\n"), None);
        assert_eq!(
            of(&format!("smarthost = \"c.test\"\n{route}")).as_deref(),
            Some("smtp://b.test")
        );
    }

    #[test]
    fn an_address_that_nobody_knows_is_a_fault_and_one_behind_nat_is_not() {
        let text =
            "hostname = \"mx.test\"\ndomains = [\"a.test\"]\n[relay]\ndns = [\"127.0.0.1:9\"]\n";
        let config = Config::parse(text).unwrap();
        let roots = Arc::new(RootCertStore::empty());
        let subject = Subject::new(&config, None, &[], roots).unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let own = [ip("192.0.43.8")];
        let found = |from| stranger(&subject, &own, ip(from)).map(|one| one.to_string());
        assert!(
            found("2a00:1450::1")
                .unwrap()
                .contains("mx.test. IN AAAA 2a00:1450::1")
        );
        assert_eq!(found("192.0.43.8"), None);
        assert_eq!(found("10.0.0.5"), None);
        // Nobody knows ours.
        assert!(stranger(&subject, &[], ip("2a00:1450::1")).is_none());
    }

    #[tokio::test]
    async fn one_address_of_each_family_is_visited() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let hosts = ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2"];
        let hosts: Vec<_> = hosts.map(|one| (format!("at {one}"), ip(one))).into();
        let asked = Mutex::new(Vec::new());
        let visit = async |address: IpAddr| {
            asked.lock().unwrap().push(address);
            match address == ip("2001:db8::1") {
                true => Err(Trouble::Connect(io::Error::other("closed"))),
                false => Ok((String::new(), address)),
            }
        };
        let (answers, refused) = visited(hosts.clone(), visit).await;
        let from: Vec<_> = answers.into_iter().map(|(_, from)| from.unwrap()).collect();
        assert_eq!(from, [ip("192.0.2.1"), ip("2001:db8::2")]);
        assert_eq!(refused, ["at 2001:db8::1 (2001:db8::1): closed"]);
        assert_eq!(asked.lock().unwrap().len(), 3);
        // Without a route all of a family are refused, which says nothing where the other answers.
        let no_route = async |address: IpAddr| match address {
            IpAddr::V6(_) => Err(Trouble::Connect(io::ErrorKind::NetworkUnreachable.into())),
            IpAddr::V4(_) => Err(Trouble::Words(io::Error::other("554"))),
        };
        let (answers, refused) = visited(hosts, no_route).await;
        assert!(answers.len() == 1 && answers[0].1.is_err() && refused.len() == 2);
    }
}
