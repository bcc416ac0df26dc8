//! Where the server is: the addresses that DNS has for its name (RFC 5321 §5.1).

use hikyaku_wire::is_global;
use std::net::IpAddr;

use super::finding::Finding;
use super::subject::{Subject, unanswered};

/// Addresses that are looked at.
const MOST: usize = 8;

/// What DNS has for the server's name.
pub(super) struct Addresses {
    pub(super) findings: Vec<Finding>,
    /// The addresses that others connect to.
    pub(super) published: Vec<IpAddr>,
    /// Whether what depends on them can be looked at.
    pub(super) are_right: bool,
    /// Why DNS has not answered, where it has not.
    pub(super) silence: Option<String>,
}

/// Looks the server's name up.
pub(super) async fn look(subject: &Subject<'_>) -> Addresses {
    let host = &subject.hostname;
    let about = format!("address of {host}");
    let own = &subject.config.doctor.addresses;
    let mut published = match subject.dns.host(host).await {
        Ok(found) => found.addresses,
        Err(error) => {
            return Addresses {
                findings: vec![unanswered(about, &error)],
                published: Vec::new(),
                are_right: false,
                silence: Some(error.to_string()),
            };
        }
    };
    published.truncate(MOST);
    let findings = judge(subject, &about, own, &published);
    Addresses {
        are_right: findings.is_empty(),
        findings: match findings.is_empty() {
            true => vec![Finding::well(about, listed(&published))],
            false => findings,
        },
        published,
        silence: None,
    }
}

fn judge(subject: &Subject<'_>, about: &str, own: &[IpAddr], published: &[IpAddr]) -> Vec<Finding> {
    let zone = subject.zone(&subject.hostname);
    if published.is_empty() {
        let finding = Finding::fault(about, "none").wanted("an A or AAAA record");
        return vec![match own {
            [] => finding.record(format!("{}. IN A ADDRESS", subject.hostname)),
            own => own
                .iter()
                .fold(finding, |finding, one| finding.record(zone.address(*one))),
        }];
    }
    let missing = own.iter().filter(|one| !published.contains(one));
    let missing: Vec<IpAddr> = missing.copied().collect();
    let foreign = published.iter().filter(|one| match own {
        [] => !is_global(**one),
        own => !own.contains(one),
    });
    let foreign: Vec<IpAddr> = foreign.copied().collect();
    if missing.is_empty() && foreign.is_empty() {
        return Vec::new();
    }
    let wanted = match own {
        [] => "addresses that the whole world can reach".to_owned(),
        own => listed(own),
    };
    let mut finding = Finding::fault(about, listed(published)).wanted(wanted);
    for one in &missing {
        finding = finding.record(zone.address(*one));
    }
    if !foreign.is_empty() {
        finding = finding.deed(format!("take {} out of the zone", listed(&foreign)));
    }
    if !own.is_empty() {
        finding = finding.deed("or, if the server has moved, change addresses of [doctor]");
    }
    vec![finding]
}

/// The addresses in one line.
pub(super) fn listed(all: &[IpAddr]) -> String {
    let all: Vec<_> = all.iter().map(ToString::to_string).collect();
    all.join(", ")
}
