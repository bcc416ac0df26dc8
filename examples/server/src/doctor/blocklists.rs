//! Blocklists (RFC 5782): whether the server's addresses, or its domains, are listed.

use std::net::{IpAddr, Ipv4Addr};

use super::backwards::backwards;
use super::finding::{Finding, Grade};
use super::subject::Subject;

/// Lists that are asked.
const LISTS: usize = 64;
/// How much of a list's reason is shown.
const REASON: usize = 200;

/// What is looked up.
#[derive(Debug, Clone, Copy)]
pub(super) enum Listed<'a> {
    Address(IpAddr),
    Domain(&'a str),
}

impl Listed<'_> {
    /// The name below a list's own (§2.1, §2.4, §3).
    fn label(self) -> String {
        match self {
            Self::Address(address) => backwards(address),
            Self::Domain(domain) => domain.to_owned(),
        }
    }

    /// What each list that works has, and what none has (§5).
    fn tests(self) -> [&'static str; 2] {
        match self {
            Self::Address(_) => ["2.0.0.127", "1.0.0.127"],
            Self::Domain(_) => ["test", "invalid"],
        }
    }

    fn about(self) -> String {
        match self {
            Self::Address(address) => format!("blocklists of {address}"),
            Self::Domain(domain) => format!("blocklists of {domain}"),
        }
    }
}

/// What a list says about one name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Listed,
    No,
    /// It is no answer: why.
    Refused(String),
}

/// Asks all lists.
pub(super) async fn look(subject: &Subject<'_>, listed: Listed<'_>) -> Vec<Finding> {
    let settings = &subject.config.doctor;
    let lists = match listed {
        Listed::Address(_) => &settings.blocklists,
        Listed::Domain(_) => &settings.domain_blocklists,
    };
    let mut findings = Vec::new();
    let mut clean = Vec::new();
    for list in lists.iter().take(LISTS) {
        match one(subject, listed, list).await {
            Some(finding) => findings.push(finding),
            None => clean.push(list.as_str()),
        }
    }
    if !clean.is_empty() && findings.iter().all(|one| one.grade != Grade::Fault) {
        findings.push(Finding::well(
            listed.about(),
            format!("not in {}", clean.join(", ")),
        ));
    }
    findings
}

async fn one(subject: &Subject<'_>, listed: Listed<'_>, list: &str) -> Option<Finding> {
    let about = listed.about();
    let name = format!("{}.{list}", listed.label());
    let (answer, tests) = tokio::join!(ask(subject, &name), tests(subject, listed, list));
    if let Some(why) = broken(&answer, &tests) {
        let finding = Finding::unknown(about, format!("{list}: {why}"));
        return Some(finding.setting(
            "[relay] dns = [\"127.0.0.1:53\"], a resolver of your own, or another list in [doctor]",
        ));
    }
    if answer != Answer::Listed {
        return None;
    }
    let seen = match reason(subject, &name).await {
        Some(reason) => format!("listed in {list}: {reason}"),
        None => format!("listed in {list}"),
    };
    Some(
        Finding::fault(about, seen)
            .wanted("not listed: many servers refuse mail from it")
            .deed("find out what sent what it should not (mailserver queue list, mailserver trace), then ask the list to remove it"),
    )
}

/// Why a list cannot be believed.
fn broken(answer: &Answer, [has, has_not]: &[Answer; 2]) -> Option<String> {
    match (answer, has, has_not) {
        (Answer::Refused(why), ..) | (_, Answer::Refused(why), _) => Some(why.clone()),
        (_, _, Answer::Listed) => Some("it lists everything".to_owned()),
        (_, Answer::No, _) => Some("it does not even list its test entry".to_owned()),
        _ => None,
    }
}

/// Why a name is listed, in the list's words.
async fn reason(subject: &Subject<'_>, name: &str) -> Option<String> {
    let found = subject.dns.txt(name).await.ok()?;
    let first = found.records.first()?;
    Some(
        String::from_utf8_lossy(first)
            .chars()
            .take(REASON)
            .collect(),
    )
}

async fn tests(subject: &Subject<'_>, listed: Listed<'_>, list: &str) -> [Answer; 2] {
    let [has, has_not] = listed.tests().map(|label| format!("{label}.{list}"));
    let both = tokio::join!(ask(subject, &has), ask(subject, &has_not));
    [both.0, both.1]
}

async fn ask(subject: &Subject<'_>, name: &str) -> Answer {
    match subject.dns.host(name).await {
        Err(error) => Answer::Refused(error.to_string()),
        Ok(found) => {
            let four = found.addresses.iter().filter_map(|one| match one {
                IpAddr::V4(four) => Some(*four),
                IpAddr::V6(_) => None,
            });
            read(&four.collect::<Vec<_>>())
        }
    }
}

/// §2.1: what is listed has an address of 127.0.0.0/8. Some lists answer 127.255.255.x to resolvers that they do not serve.
fn read(addresses: &[Ipv4Addr]) -> Answer {
    let is_refusal = |one: &&Ipv4Addr| one.octets().starts_with(&[127, 255, 255]);
    if let Some(code) = addresses.iter().find(is_refusal) {
        return Answer::Refused(format!("it does not answer this DNS resolver ({code})"));
    }
    match addresses {
        [] => Answer::No,
        all if all.iter().all(Ipv4Addr::is_loopback) => Answer::Listed,
        [other, ..] => Answer::Refused(format!("it answers {other}, which no list does")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_127_are_listings_and_refusals_are_none() {
        let read = |texts: &[&str]| {
            let all: Vec<_> = texts.iter().map(|text| text.parse().unwrap()).collect();
            super::read(&all)
        };
        assert_eq!(read(&[]), Answer::No);
        assert_eq!(read(&["127.0.0.2", "127.0.0.10"]), Answer::Listed);
        assert!(matches!(read(&["127.255.255.254"]), Answer::Refused(_)));
        assert!(matches!(
            read(&["127.0.0.2", "127.255.255.252"]),
            Answer::Refused(_)
        ));
        assert!(matches!(read(&["192.0.2.7"]), Answer::Refused(_)));
    }
}
