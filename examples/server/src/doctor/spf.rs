//! SPF (RFC 7208): the records are evaluated as other servers do, for each address of the server and for a stranger.

use hikyaku_relay::dns::LookupError;
use hikyaku_relay::{NextHost, Place};
use hikyaku_trust::{Arrival, Checker, Outcome, Spf};
use hikyaku_wire::is_global;
use std::net::IpAddr;

use super::finding::Finding;
use super::quoted;
use super::reach::elsewhere;
use super::spf_record::{Mend, Own, is_record, mended, names_nobody_else};
use super::subject::{Subject, unanswered};
use crate::printable::printable;

/// Addresses of documentation (RFC 5737, RFC 3849, RFC 9637), from which nobody sends.
const STRANGERS: [&str; 5] = [
    "192.0.2.217",
    "198.51.100.217",
    "203.0.113.217",
    "2001:db8:217::d9",
    "3fff:217::d9",
];

/// Looks at the record of a domain.
pub(super) async fn look(subject: &Subject<'_>, domain: &str, addresses: &[IpAddr]) -> Finding {
    let about = format!("SPF of {domain}");
    if let Some(host) = elsewhere(&subject.config.relay) {
        return of_smarthost(subject, &about, domain, host).await;
    }
    let line = subject.zone(domain).spf();
    let own = ["mx", &format!("a:{}", subject.hostname)];
    match judge(subject, &about, domain, addresses).await {
        Ok(finding) | Err(Judged::Unknown(finding)) => finding,
        Err(Judged::Missing(finding)) => finding.record(line),
        Err(Judged::Wrong(finding, mend)) => {
            remedied(subject, domain, finding, &mend, Some(own)).await
        }
    }
}

/// Looks at the record of the server's name, which counts where the reverse-path is empty (RFC 7208 §2.4).
pub(super) async fn look_at_host(subject: &Subject<'_>, addresses: &[IpAddr]) -> Finding {
    let host = &subject.hostname;
    let about = format!("SPF of {host}");
    if let Some(other) = elsewhere(&subject.config.relay) {
        return Finding::well(about, format!("not needed: mail goes to {other}"));
    }
    let own = ["a", &format!("a:{host}")];
    match judge(subject, &about, host, addresses).await {
        Ok(finding) | Err(Judged::Unknown(finding)) => finding,
        // Nothing is refused for the lack of it.
        Err(Judged::Missing(_)) => Finding::advice(about, "none")
            .wanted("a record: notifications have no other sender")
            .record(subject.zone(host).spf_of_host()),
        Err(Judged::Wrong(finding, mend)) => {
            remedied(subject, host, finding, &mend, Some(own)).await
        }
    }
}

enum Judged {
    Missing(Finding),
    Wrong(Finding, Mend),
    Unknown(Finding),
}

/// Adds the record with what is at fault changed. What is in it for others stays.
async fn remedied(
    subject: &Subject<'_>,
    domain: &str,
    mut finding: Finding,
    mend: &Mend,
    own: Option<Own<'_>>,
) -> Finding {
    let Ok(records) = records(subject, domain).await else {
        return finding;
    };
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let (text, broken) = mended(&records, mend, own);
    if !broken.is_empty() {
        let broken = printable(&broken.join(" "));
        finding = finding.deed(format!(
            "{broken}: write it right behind v=spf1, if it is needed"
        ));
    }
    let line = quoted::line(domain, &text).filter(|_| records != [text.as_str()]);
    match line {
        Some(line) => finding.record(line),
        None => finding.deed("correct the term that is to blame, or the record that it names"),
    }
}

async fn records(subject: &Subject<'_>, domain: &str) -> Result<Vec<String>, Finding> {
    let mut texts = subject.txt("SPF", domain).await?;
    texts.retain(|text| is_record(text));
    Ok(texts)
}

/// Looks at the record of a domain whose mail leaves through another host. From which addresses that sends, only those
/// know who run it: it is likely, and not sure, that those in DNS are among them.
async fn of_smarthost(subject: &Subject<'_>, about: &str, domain: &str, host: &str) -> Finding {
    let name = name_of(host);
    let shown = name.as_deref().unwrap_or(host);
    let addresses = match &name {
        Some(name) => match public(subject, name).await {
            Ok(addresses) => addresses,
            Err(error) => return unanswered(about, &error),
        },
        None => Vec::new(),
    };
    let ask = |finding: Finding| {
        finding.deed(format!(
            "put what whoever runs {shown} says, such as include:DOMAIN, behind v=spf1"
        ))
    };
    // Nobody sends from there: what is to be known is whether there is a record at all.
    let nobody: Vec<IpAddr> = STRANGERS
        .iter()
        .filter_map(|one| one.parse().ok())
        .take(1)
        .collect();
    let is_known = !addresses.is_empty();
    let asked = if is_known { &addresses } else { &nobody };
    let unsure = || {
        let seen = format!("whether {shown} may send is not seen from here");
        Finding::advice(about, seen)
            .wanted(format!("pass for the addresses that {shown} sends from"))
    };
    match judge(subject, about, domain, asked).await {
        Ok(finding) if is_known => finding,
        Err(Judged::Unknown(finding)) => finding,
        Err(Judged::Missing(finding)) => ask(finding),
        Err(Judged::Wrong(finding, mend)) if !mend.lacks || !mend.opens.is_empty() => {
            let finding = remedied(subject, domain, finding, &mend, None).await;
            if mend.lacks { ask(finding) } else { finding }
        }
        Err(Judged::Wrong(finding, _)) if is_known => {
            let records = records(subject, domain).await.unwrap_or_default();
            match records.iter().all(|record| names_nobody_else(record)) {
                true => ask(finding.wanted(format!("pass for {shown}, through which mail leaves"))),
                false => ask(unsure()),
            }
        }
        Ok(_) | Err(Judged::Wrong(..)) => ask(unsure()),
    }
}

/// The name or the address of a host as the configuration writes it; `None` for a socket.
fn name_of(host: &str) -> Option<String> {
    let text = match host.contains("://") || host.starts_with("lmtp:/") {
        true => host.to_owned(),
        false => format!("smtp://{host}"),
    };
    match text.parse::<NextHost>().ok()?.place {
        Place::Host { name, .. } => Some(name),
        _ => None,
    }
}

/// The addresses of a host that others see; one of a private network leaves by another.
async fn public(subject: &Subject<'_>, name: &str) -> Result<Vec<IpAddr>, LookupError> {
    let mut addresses = match name.parse() {
        Ok(address) => vec![address],
        Err(_) => subject.dns.host(name).await?.addresses,
    };
    addresses.retain(|one| is_global(*one));
    Ok(addresses)
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
                let finding = finding.wanted("one record, well-formed");
                return Err(Judged::Wrong(finding, Mend::default()));
            }
            other => {
                let seen = format!("{other} for {address}, by \"{why}\"");
                let finding = Finding::fault(about, seen);
                let mend = Mend {
                    lacks: true,
                    opens: Vec::new(),
                };
                return Err(Judged::Wrong(
                    finding.wanted("pass for all addresses of the server"),
                    mend,
                ));
            }
        }
    }
    if passing.is_empty() {
        let seen = "not looked at: the server has no address";
        return Err(Judged::Unknown(Finding::unknown(about, seen)));
    }
    let opens = opens(&checker, subject, domain, addresses).await;
    if opens.len() > 1 {
        let finding = Finding::fault(about, "pass for everybody: anyone may send in your name");
        let finding = finding.wanted("pass for the server, fail for others");
        // The server must not lose what it passes by.
        let lacks = passing.iter().any(|term| opens.contains(term));
        return Err(Judged::Wrong(finding, Mend { lacks, opens }));
    }
    passing.dedup();
    let terms = passing.join(", ");
    Ok(Finding::well(about, format!("pass by \"{terms}\"")))
}

/// The terms by which strangers pass: none of ours, and from networks that have nothing in common.
async fn opens(
    checker: &Checker,
    subject: &Subject<'_>,
    domain: &str,
    addresses: &[IpAddr],
) -> Vec<String> {
    let strangers = STRANGERS.iter().filter_map(|one| one.parse().ok());
    let mut opens = Vec::new();
    for stranger in strangers.filter(|one| !addresses.contains(one)) {
        let found = evaluate(checker, subject, domain, stranger).await;
        let passing = found.filter(|spf| spf.outcome == Outcome::Pass);
        opens.extend(passing.map(|spf| spf.reason.unwrap_or_default()));
    }
    opens
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_known_by_their_names() {
        for (host, name) in [
            ("b.test", Some("b.test")),
            ("b.test:587", Some("b.test")),
            ("[2001:db8::1]:25", Some("2001:db8::1")),
            ("smtps://b.test", Some("b.test")),
            ("lmtp:/run/lmtp", None),
        ] {
            assert_eq!(name_of(host).as_deref(), name, "{host}");
        }
    }
}
