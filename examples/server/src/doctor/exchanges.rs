//! Where the domain's mail goes (RFC 5321 §5.1).

use hikyaku_relay::dns::Mx;
use std::net::IpAddr;

use super::finding::{Finding, Grade};
use super::subject::{Subject, unanswered};

/// Exchangers that are looked at.
const MOST: usize = 16;

/// Where a domain's mail goes.
pub(super) struct Exchangers {
    pub(super) finding: Finding,
    /// Their names, in the order in which they are tried.
    pub(super) hosts: Vec<String>,
}

impl Exchangers {
    /// Returns the names, unless what depends on them cannot be looked at yet.
    pub(super) fn right(&self) -> Option<&[String]> {
        let is_right = matches!(self.finding.grade, Grade::Well | Grade::Advice);
        is_right.then_some(self.hosts.as_slice())
    }
}

impl From<Finding> for Exchangers {
    /// None are known.
    fn from(finding: Finding) -> Self {
        Self {
            finding,
            hosts: Vec::new(),
        }
    }
}

/// Looks at the MX records of a domain.
pub(super) async fn look(subject: &Subject<'_>, domain: &str) -> Exchangers {
    let about = format!("MX of {domain}");
    let mut found = match subject.dns.mx(domain).await {
        Ok(found) => found.records,
        Err(error) => return unanswered(about, &error).into(),
    };
    found.sort_by_key(|mx| mx.preference);
    found.truncate(MOST);
    Exchangers {
        finding: judge(subject, domain, about, &found).await,
        hosts: found.into_iter().map(|mx| mx.exchange).collect(),
    }
}

async fn judge(subject: &Subject<'_>, domain: &str, about: String, found: &[Mx]) -> Finding {
    let host = &subject.hostname;
    let (others, own): (Vec<&Mx>, Vec<&Mx>) =
        found.iter().partition(|mx| !is_own(subject, &mx.exchange));
    let names = |all: &[&Mx]| -> String {
        let all: Vec<_> = all.iter().map(|mx| name(&mx.exchange)).collect();
        all.join(", ")
    };
    let wanted = |finding: Finding| {
        let finding = finding.wanted(host.as_str());
        finding.record(subject.zone(domain).mx())
    };
    for mx in found {
        if let Some(finding) = broken(subject, &about, mx).await {
            return wanted(finding);
        }
    }
    match (own.as_slice(), others.as_slice()) {
        ([], []) => wanted(Finding::fault(about, "none")),
        ([], others) => wanted(Finding::fault(about, names(others))),
        (own, []) => Finding::well(about, names(own)),
        (own, others) => Finding::advice(about, format!("{}, and {}", names(own), names(others)))
            .wanted("the other servers know all addresses of the domain, and refuse what is spam")
            .deed("take them out of the zone if they do not"),
    }
}

/// Whether mail goes to the server itself under that name.
fn is_own(subject: &Subject<'_>, exchange: &str) -> bool {
    let mut further = subject.config.mta_sts.mx.iter();
    exchange == subject.hostname || further.any(|name| name.eq_ignore_ascii_case(exchange))
}

fn name(exchange: &str) -> &str {
    match exchange {
        "" => ".",
        name => name,
    }
}

/// What no exchanger may be: nothing (RFC 7505), an address, an alias (RFC 2181 §10.3).
async fn broken(subject: &Subject<'_>, about: &str, mx: &Mx) -> Option<Finding> {
    let exchange = &mx.exchange;
    if exchange.is_empty() {
        let seen = "\".\", which says that the domain takes no mail";
        return Some(Finding::fault(about, seen));
    }
    if exchange.parse::<IpAddr>().is_ok() {
        let seen = format!("{exchange}, an address where a name has to be");
        return Some(Finding::fault(about, seen));
    }
    match subject.dns.cname(exchange).await {
        Ok(found) => found.records.first().map(|target| {
            let seen = format!("{exchange}, an alias of {target}: exchangers must not be aliases");
            Finding::fault(about, seen)
        }),
        Err(error) => Some(unanswered(about, &error)),
    }
}
