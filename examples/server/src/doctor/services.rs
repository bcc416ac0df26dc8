//! The ports that DNS names to mail programs (RFC 6186, RFC 8314 §5.1): whether they are what the records say.

use hikyaku_relay::dns::Srv;
use std::net::SocketAddr;

use super::dialogue::Speech;
use super::finding::Finding;
use super::shown::Shown;
use super::subject::{Subject, unanswered};
use super::visit::visit;
use crate::config::Addresses;

/// A service that mail programs look for.
struct Service<'a> {
    label: &'static str,
    speech: Speech,
    is_tls: bool,
    /// Where the server listens for it.
    listens: &'a Addresses,
}

/// Records of one service, and addresses of one host, that are tried.
const RECORDS: usize = 4;
const ADDRESSES: usize = 4;

/// Looks at all services of a domain, side by side.
pub(super) async fn look(subject: &Subject<'_>, domain: &str) -> (Vec<Finding>, Vec<Shown>) {
    let listen = &subject.config.listen;
    let of = |label, speech, is_tls, listens| {
        let service = Service {
            label,
            speech,
            is_tls,
            listens,
        };
        one(subject, domain, service)
    };
    let (a, b, c, d, e, f) = tokio::join!(
        of("submissions", Speech::Smtp, true, &listen.submissions),
        of("submission", Speech::Smtp, false, &listen.submission),
        of("imaps", Speech::Imap, true, &listen.imaps),
        of("imap", Speech::Imap, false, &listen.imap),
        of("pop3s", Speech::Pop3, true, &listen.pop3s),
        of("pop3", Speech::Pop3, false, &listen.pop3),
    );
    let all = [a, b, c, d, e, f].into_iter();
    let (findings, shown): (Vec<_>, Vec<_>) = all.unzip();
    (
        findings.into_iter().flatten().collect(),
        shown.into_iter().flatten().collect(),
    )
}

async fn one(
    subject: &Subject<'_>,
    domain: &str,
    service: Service<'_>,
) -> (Option<Finding>, Vec<Shown>) {
    let name = format!("_{}._tcp.{domain}", service.label);
    let about = format!("SRV {name}");
    let found = match subject.dns.srv(&name).await {
        Ok(found) => found.records,
        Err(error) => return (Some(unanswered(about, &error)), Vec::new()),
    };
    let port = listened(&service);
    let line = port.map(|port| subject.zone(domain).service(service.label, port));
    let remedied = |finding: Finding| match &line {
        Some(line) => finding.record(line),
        None => finding.deed("take the record out of the zone: the server does not listen for it"),
    };
    let mut named = found
        .into_iter()
        .filter(|srv| !srv.target.is_empty())
        .peekable();
    if named.peek().is_none() {
        // STARTTLS beside TLS at once, and POP3, are for old programs.
        let is_wanted = line.is_some() && service.is_tls && service.speech != Speech::Pop3;
        let missing =
            Finding::advice(about, "none").wanted("a record: some mail programs look for it");
        return (is_wanted.then(|| remedied(missing)), Vec::new());
    }
    let mut shown = Vec::new();
    let mut places = Vec::new();
    for srv in named.take(RECORDS) {
        match visited(subject, &service, &srv).await {
            Ok(all) => shown.extend(all),
            Err(seen) => {
                let finding = Finding::fault(about, seen).wanted(wanted(&service));
                return (Some(remedied(finding)), shown);
            }
        }
        places.push(format!("{}:{}", srv.target, srv.port));
    }
    (Some(Finding::well(about, places.join(", "))), shown)
}

/// The first port that the server listens on for a service, where it does.
fn listened(service: &Service<'_>) -> Option<u16> {
    let all = service.listens.resolve().unwrap_or_default();
    all.first().map(SocketAddr::port)
}

fn wanted(service: &Service<'_>) -> String {
    let speech = match service.speech {
        Speech::Smtp => "submission",
        Speech::Imap => "IMAP",
        Speech::Pop3 => "POP3",
    };
    let tls = if service.is_tls {
        "TLS at once"
    } else {
        "STARTTLS"
    };
    format!("{speech} with {tls}")
}

/// Visits what a record names; says what is wrong there.
async fn visited(
    subject: &Subject<'_>,
    service: &Service<'_>,
    srv: &Srv,
) -> Result<Vec<Shown>, String> {
    let (target, port) = (&srv.target, srv.port);
    let host = subject.dns.host(target).await;
    let addresses = host.map_err(|error| error.to_string())?.addresses;
    if addresses.is_empty() {
        return Err(format!("{target}, which has no address"));
    }
    let mut shown = Vec::new();
    for address in addresses.into_iter().take(ADDRESSES) {
        let at = SocketAddr::new(address, port);
        let visit = visit(
            at,
            service.speech,
            service.is_tls,
            target,
            &subject.hostname,
        );
        let visit = visit.await;
        let visit = visit.map_err(|error| format!("{target}:{port} ({address}): {error}"))?;
        shown.push(visit.shown);
    }
    Ok(shown)
}
