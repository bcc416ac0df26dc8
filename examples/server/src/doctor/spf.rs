//! SPF (RFC 7208): the records are evaluated as other servers do, for each address of the server and for a stranger.

use hikyaku_trust::{Arrival, Checker, Outcome, Spf};
use std::net::IpAddr;

use super::finding::Finding;
use super::subject::Subject;

/// Addresses of documentation (RFC 5737, RFC 3849), from which nobody sends.
const STRANGERS: [&str; 4] = [
    "192.0.2.217",
    "198.51.100.217",
    "203.0.113.217",
    "2001:db8:217::d9",
];

/// Looks at the record of a domain.
pub(super) async fn look(subject: &Subject<'_>, domain: &str, addresses: &[IpAddr]) -> Finding {
    let about = format!("SPF of {domain}");
    let line = subject.zone(domain).spf();
    let finding = judge(subject, &about, domain, addresses).await;
    remedied(finding, line)
}

/// Looks at the record of the server's name, which counts where the reverse-path is empty (RFC 7208 §2.4).
pub(super) async fn look_at_host(subject: &Subject<'_>, addresses: &[IpAddr]) -> Finding {
    let about = format!("SPF of {}", subject.hostname);
    let line = subject.zone(&subject.hostname).spf_of_host();
    match judge(subject, &about, &subject.hostname, addresses).await {
        // Nothing is refused for the lack of it.
        Err(Judged::Missing(_)) => Finding::advice(about, "none")
            .wanted("a record: notifications have no other sender")
            .record(line),
        other => remedied(other, line),
    }
}

enum Judged {
    Missing(Finding),
    Wrong(Finding),
    Unknown(Finding),
}

fn remedied(judged: Result<Finding, Judged>, line: String) -> Finding {
    match judged {
        Ok(finding) | Err(Judged::Unknown(finding)) => finding,
        Err(Judged::Missing(finding) | Judged::Wrong(finding)) => finding.record(line),
    }
}

async fn judge(
    subject: &Subject<'_>,
    about: &str,
    domain: &str,
    addresses: &[IpAddr],
) -> Result<Finding, Judged> {
    let checker = subject.checker().map_err(Judged::Unknown)?;
    let mut passing = Vec::new();
    for address in addresses {
        let found = evaluate(&checker, subject, domain, *address).await;
        let outcome = found.as_ref().map_or(Outcome::TempError, |spf| spf.outcome);
        let why = found.and_then(|spf| spf.reason).unwrap_or_default();
        match outcome {
            Outcome::Pass => passing.push(why),
            Outcome::None => {
                let finding = Finding::fault(about, "none");
                return Err(Judged::Missing(finding.wanted("one record")));
            }
            Outcome::TempError => return Err(Judged::Unknown(Finding::unknown(about, why))),
            Outcome::PermError => {
                let finding = Finding::fault(about, format!("it cannot be used: {why}"));
                return Err(Judged::Wrong(finding.wanted("one record, well-formed")));
            }
            other => {
                let seen = format!("{other} for {address}, by \"{why}\"");
                let finding = Finding::fault(about, seen);
                return Err(Judged::Wrong(
                    finding.wanted("pass for all addresses of the server"),
                ));
            }
        }
    }
    if passing.is_empty() {
        let seen = "not looked at: the server has no address";
        return Err(Judged::Unknown(Finding::unknown(about, seen)));
    }
    if is_open(&checker, subject, domain, addresses).await {
        let finding = Finding::fault(about, "pass for everybody: anyone may send in your name");
        return Err(Judged::Wrong(
            finding.wanted("pass for the server, fail for others"),
        ));
    }
    passing.dedup();
    let terms = passing.join(", ");
    Ok(Finding::well(about, format!("pass by \"{terms}\"")))
}

/// Whether strangers pass: none of ours, and from networks that have nothing in common.
async fn is_open(
    checker: &Checker,
    subject: &Subject<'_>,
    domain: &str,
    addresses: &[IpAddr],
) -> bool {
    let strangers = STRANGERS.iter().filter_map(|one| one.parse().ok());
    let mut passed = 0;
    for stranger in strangers.filter(|one| !addresses.contains(one)) {
        let found = evaluate(checker, subject, domain, stranger).await;
        passed += usize::from(found.is_some_and(|spf| spf.outcome == Outcome::Pass));
    }
    passed > 1
}

async fn evaluate(
    checker: &Checker,
    subject: &Subject<'_>,
    domain: &str,
    address: IpAddr,
) -> Option<Spf> {
    let mail_from = format!("postmaster@{domain}");
    let arrival = Arrival {
        address,
        helo: &subject.hostname,
        mail_from: &mail_from,
        message: b"",
    };
    checker.check(arrival).await.verdicts.spf
}
