//! MTA-STS (RFC 8461): the record, and the policy that others fetch.

use hikyaku_relay::sts::policy::{Mode, Policy};
use hikyaku_relay::sts::record::Record;

use super::finding::Finding;
use super::page::{Page, PageError, fetch};
use super::shown::Shown;
use super::subject::{Subject, unanswered};

/// Where a policy lies on its host.
const PATH: &str = "/.well-known/mta-sts.txt";
/// A policy that holds for less is hardly one (RFC 8461 §3.2 recommends weeks).
const DAY: u32 = 86_400;

/// Looks at the record of a domain and at its policy, which has to name all hosts of the MX records, if they are right.
pub(super) async fn look(
    subject: &Subject<'_>,
    domain: &str,
    hosts: Option<&[String]>,
) -> (Option<Finding>, Option<Shown>) {
    let about = format!("MTA-STS of {domain}");
    let name = format!("_mta-sts.{domain}");
    let texts = match subject.dns.txt(&name).await {
        Ok(found) => found.records,
        Err(error) => return (Some(unanswered(about, &error)), None),
    };
    let line = subject.zone(domain).mta_sts();
    let begun = texts.iter().filter(|text| text.starts_with(b"v=STSv1"));
    let begun: Vec<_> = begun.map(|text| String::from_utf8_lossy(text)).collect();
    match (Record::of(&texts), begun.as_slice()) {
        (Some(_), _) => {}
        (None, []) => return (missing(subject, about, line), None),
        (None, texts) => {
            let finding = Finding::fault(about, format!("{}: it is not one", texts.join(", ")));
            return (Some(finding.wanted("one record").record(line)), None);
        }
    }
    match fetch(subject, &format!("mta-sts.{domain}"), PATH).await {
        Ok(page) => {
            let finding = policy(subject, about, &page, hosts);
            (Some(finding), Some(page.shown))
        }
        Err(error) => (Some(unfetched(subject, about, domain, &error)), None),
    }
}

/// Without the record there is no policy, whatever the server says by HTTPS.
fn missing(subject: &Subject<'_>, about: String, line: String) -> Option<Finding> {
    let finding = Finding::advice(about, "no record")
        .wanted("a policy: others may otherwise be led to send in clear")
        .record(line);
    Some(match subject.config.mta_sts.mode {
        Some(_) => finding,
        None => finding.setting("[mta_sts] mode = \"testing\""),
    })
}

fn unfetched(subject: &Subject<'_>, about: String, domain: &str, error: &PageError) -> Finding {
    if let PageError::Lookup(error) = error {
        return unanswered(about, error);
    }
    let seen = format!("the record is there, and its policy is not: {error}");
    let finding = Finding::fault(about, seen).wanted(format!("https://mta-sts.{domain}{PATH}"));
    match error {
        PageError::NoAddress => finding.record(subject.zone(domain).policy_host()),
        _ => served(subject, finding),
    }
}

/// What has to be configured for a policy to be served.
fn served(subject: &Subject<'_>, mut finding: Finding) -> Finding {
    if subject.config.listen.https.is_empty() {
        finding = finding.setting("[listen] https = \"[::]:443\"");
    }
    if subject.config.mta_sts.mode.is_none() {
        finding = finding.setting("[mta_sts] mode = \"testing\"");
    }
    finding.deed("start the server again; open TCP port 443; or take the record out of the zone")
}

fn policy(subject: &Subject<'_>, about: String, page: &Page, hosts: Option<&[String]>) -> Finding {
    let fault = |seen: String| served(subject, Finding::fault(&about, seen));
    if page.status != 200 {
        return fault(format!(
            "the record is there, and its policy is not: HTTP status {}",
            page.status
        ));
    }
    let media_type = page.content_type.split(';').next().unwrap_or("").trim();
    if !media_type.eq_ignore_ascii_case("text/plain") {
        return fault(format!(
            "its policy is of type \"{}\", not text/plain",
            page.content_type
        ));
    }
    let policy = match Policy::parse(&page.body) {
        Ok(policy) => policy,
        Err(error) => return fault(error.to_string()),
    };
    if policy.mode() != Mode::None {
        let Some(hosts) = hosts else {
            let seen = "its hosts are not looked at before the MX record is right";
            return Finding::unknown(about, seen);
        };
        let unnamed = hosts.iter().filter(|host| !policy.allows(host));
        let unnamed: Vec<&str> = unnamed.map(String::as_str).collect();
        if !unnamed.is_empty() {
            let patterns: Vec<_> = policy.patterns().collect();
            let seen = format!("the policy has mx: {}", patterns.join(", "));
            return Finding::fault(about, seen)
                .wanted(format!(
                    "mx: {}; others do not send to hosts that it does not name",
                    unnamed.join(", ")
                ))
                .setting(setting(subject, &unnamed))
                .deed("give the record another id after the change");
        }
    }
    let mode = match policy.mode() {
        Mode::Enforce => "enforce",
        Mode::Testing => "testing",
        _ => "none",
    };
    if policy.max_age() < DAY {
        let seen = format!("{mode}, for {} seconds", policy.max_age());
        return Finding::advice(about, seen)
            .wanted("a week or more: the policy protects while others remember it")
            .setting("[mta_sts] max_age = \"7d\"");
    }
    Finding::well(about, mode)
}

/// The hosts of the configuration, the server if it has none, and those that are missing.
fn setting(subject: &Subject<'_>, unnamed: &[&str]) -> String {
    let mut all: Vec<&str> = match subject.config.mta_sts.mx.as_slice() {
        [] => vec![&subject.hostname],
        hosts => hosts.iter().map(String::as_str).collect(),
    };
    for host in unnamed {
        if !all.iter().any(|one| is_for(one, host)) {
            all.push(host);
        }
    }
    let all: Vec<_> = all.iter().map(|one| format!("\"{one}\"")).collect();
    format!("[mta_sts] mx = [{}]", all.join(", "))
}

/// Whether a pattern of the configuration is for a host (RFC 8461 §4.1).
fn is_for(pattern: &str, host: &str) -> bool {
    match (pattern.strip_prefix("*."), host.split_once('.')) {
        (Some(rest), Some((_, above))) => above.eq_ignore_ascii_case(rest),
        _ => pattern.eq_ignore_ascii_case(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::doctor::finding::Grade;
    use rustls::RootCertStore;
    use rustls_pki_types::CertificateDer;
    use std::sync::Arc;

    /// What is found where these are configured, served, and in the MX records.
    fn found(configured: &str, served: &[&str], hosts: &[&str]) -> (Grade, String) {
        let text = format!(
            "hostname = \"mail.test\"\ndomains = [\"a.test\"]\n[relay]\ndns = [\"127.0.0.1:9\"]\n\
             [mta_sts]\nmode = \"testing\"\nmx = [{configured}]\n"
        );
        let config = Config::parse(&text).unwrap();
        let roots = Arc::new(RootCertStore::empty());
        let subject = Subject::new(&config, None, &[], roots).unwrap();
        let served: String = served.iter().map(|host| format!("mx: {host}\n")).collect();
        let body = format!("version: STSv1\nmode: testing\nmax_age: 604800\n{served}");
        let page = Page {
            status: 200,
            content_type: "text/plain".into(),
            body: body.into(),
            shown: Shown {
                place: String::new(),
                name: String::new(),
                leaf: CertificateDer::from(Vec::new()),
                others: Vec::new(),
            },
        };
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let hosts = (!hosts.is_empty()).then_some(hosts.as_slice());
        let finding = policy(&subject, "policy".into(), &page, hosts);
        (finding.grade, finding.to_string())
    }

    #[test]
    fn the_policy_names_the_hosts_of_the_mx_records_and_not_the_server() {
        let other_name = found("\"mx1.test\"", &["mx1.test"], &["mx1.test"]);
        assert_eq!(other_name.0, Grade::Well, "{}", other_name.1);
        // The server's name in the policy is no help where mail goes to another.
        let (grade, text) = found("", &["mail.test"], &["mail.test", "mx1.test"]);
        assert_eq!(grade, Grade::Fault);
        assert!(
            text.contains("wanted: mx: mx1.test;")
                && text.contains("[mta_sts] mx = [\"mail.test\", \"mx1.test\"]"),
            "{text}"
        );
    }

    #[test]
    fn hosts_of_the_configuration_stay_in_the_setting() {
        let (_, text) = found(
            "\"mx1.test\", \"*.far.test\"",
            &["mx9.test"],
            &["mx1.test", "b.far.test", "mx2.test"],
        );
        assert!(
            text.contains("[mta_sts] mx = [\"mx1.test\", \"*.far.test\", \"mx2.test\"]"),
            "{text}"
        );
        // Nobody knows the hosts before the MX records are right.
        assert_eq!(found("", &["mx9.test"], &[]).0, Grade::Unknown);
    }
}
