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

/// Looks at the record of a domain and at its policy.
pub(super) async fn look(subject: &Subject<'_>, domain: &str) -> (Option<Finding>, Option<Shown>) {
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
            let finding = policy(subject, about, &page);
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

fn policy(subject: &Subject<'_>, about: String, page: &Page) -> Finding {
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
    let host = &subject.hostname;
    if policy.mode() != Mode::None && !policy.allows(host) {
        let patterns: Vec<_> = policy.patterns().collect();
        let seen = format!("the policy has mx: {}", patterns.join(", "));
        return Finding::fault(about, seen)
            .wanted(format!(
                "mx: {host}; others do not send to hosts that it does not name"
            ))
            .setting(format!("[mta_sts] mx = [\"{host}\"]"))
            .deed("give the record another id after the change");
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
