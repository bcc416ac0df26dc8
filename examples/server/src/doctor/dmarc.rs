//! DMARC (RFC 7489): which record holds for the domain, and what it wants.

use hikyaku_trust::{Arrival, Outcome, Wish};
use std::net::{IpAddr, Ipv4Addr};

use super::finding::Finding;
use super::subject::Subject;
use super::tags::Tags;

/// Looks at the record of a domain.
pub(super) async fn look(subject: &Subject<'_>, domain: &str) -> Finding {
    let about = format!("DMARC of {domain}");
    let line = subject.zone(domain).dmarc();
    let texts = match subject.txt(&about, &format!("_dmarc.{domain}")).await {
        Ok(texts) => texts,
        Err(finding) => return finding,
    };
    let records = texts.iter().filter(|text| is_meant(text));
    let records: Vec<&String> = records.collect();
    let fault = |seen: &str| {
        let finding = Finding::fault(&about, seen);
        finding.wanted("one record, well-formed").record(&line)
    };
    match records.as_slice() {
        // A record of a domain above holds as well.
        [] => {}
        [one] if !one.starts_with("v=DMARC1") => return fault(one),
        [one] if Tags::of(one).value("p").is_none() => {
            return fault(&format!("{one}: without p= it says nothing"));
        }
        [one] if !is_policy(Tags::of(one).value("p")) => {
            return fault(&format!("{one}: p= is none, quarantine or reject"));
        }
        [_] => {}
        several => return fault(&format!("{} records, which are none", several.len())),
    }
    match published(subject, domain).await {
        Err(finding) => finding,
        Ok(None) if records.is_empty() => fault("none"),
        Ok(None) => fault(&format!("{}: it cannot be read", texts.join(", "))),
        Ok(Some((_, Wish::None))) => {
            Finding::advice(&about, "p=none: nothing is done with mail that is forged")
                .wanted("p=quarantine, then p=reject once the reports say that all is well")
                .record(&line)
        }
        Ok(Some((owner, wish))) if owner == domain => {
            Finding::well(&about, format!("p={}", wish.word()))
        }
        Ok(Some((owner, wish))) => {
            Finding::well(&about, format!("{} by the record of {owner}", wish.word()))
        }
    }
}

/// Whether a text is to be a record, well-formed or not.
fn is_meant(text: &str) -> bool {
    let begin: String = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .take(7)
        .collect();
    begin.eq_ignore_ascii_case("v=DMARC")
}

fn is_policy(value: Option<&str>) -> bool {
    let policies = ["none", "quarantine", "reject"];
    value.is_some_and(|value| policies.iter().any(|one| one.eq_ignore_ascii_case(value)))
}

/// What holds for mail from the domain, and whose record says so.
async fn published(subject: &Subject<'_>, domain: &str) -> Result<Option<(String, Wish)>, Finding> {
    let message = format!("From: postmaster@{domain}\r\nSubject: test\r\n\r\nHello.\r\n");
    let checker = subject.checker()?;
    let checked = checker.check(Arrival {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        helo: &subject.hostname,
        mail_from: "",
        message: message.as_bytes(),
    });
    let Some(verdict) = checked.await.verdicts.dmarc else {
        return Ok(None);
    };
    if verdict.outcome == Outcome::TempError {
        let about = format!("DMARC of {domain}");
        return Err(Finding::unknown(about, verdict.reason.unwrap_or_default()));
    }
    let found = verdict.published.zip(verdict.wish);
    Ok(found.map(|(published, wish)| (published.domain, wish)))
}
