//! DMARC (RFC 7489): which record holds for the domain, and what it wants.

use hikyaku_trust::{Arrival, Outcome, Wish};
use std::net::{IpAddr, Ipv4Addr};

use super::finding::Finding;
use super::quoted;
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
    let fault = |seen: &str| Finding::fault(&about, seen).wanted("one record, well-formed");
    let broken = |seen: &str, text: &str| remedied(fault(seen), domain, text, true);
    match records.as_slice() {
        // A record of a domain above holds as well.
        [] => {}
        [one] if !one.starts_with("v=DMARC1") => return broken(one, one),
        [one] if Tags::of(one).value("p").is_none() => {
            return broken(&format!("{one}: without p= it says nothing"), one);
        }
        [one] if !is_policy(Tags::of(one).value("p")) => {
            return broken(&format!("{one}: p= is none, quarantine or reject"), one);
        }
        [_] => {}
        several => {
            return fault(&format!("{} records, which are none", several.len()))
                .deed("keep one of them, and take the others out of the zone");
        }
    }
    match (published(subject, domain).await, records.as_slice()) {
        (Err(finding), _) => finding,
        (Ok(None), [one, ..]) => broken(&format!("{one}: it cannot be read"), one),
        (Ok(None), []) => fault("none").record(line),
        (Ok(Some((_, Wish::None))), records) => {
            let finding =
                Finding::advice(&about, "p=none: nothing is done with mail that is forged")
                    .wanted("p=quarantine, then p=reject once the reports say that all is well");
            match records {
                [one, ..] => remedied(finding, domain, one, false),
                [] => finding.record(line),
            }
        }
        (Ok(Some((owner, wish))), _) if owner == domain => {
            Finding::well(&about, format!("p={}", wish.word()))
        }
        (Ok(Some((owner, wish))), _) => {
            Finding::well(&about, format!("{} by the record of {owner}", wish.word()))
        }
    }
}

/// Adds the record with what is at fault changed: who gets reports, and all else that it says, stays.
fn remedied(finding: Finding, domain: &str, text: &str, may_be_none: bool) -> Finding {
    let mended = mended(text, may_be_none);
    let line = quoted::line(&format!("_dmarc.{domain}"), &mended);
    match line.filter(|_| mended != text) {
        Some(line) => finding.record(line),
        None => finding.deed("write the record anew"),
    }
}

/// A record with its version and a policy in front (RFC 7489 §6.3), and its other tags as they were.
fn mended(text: &str, may_be_none: bool) -> String {
    let tags = Tags::of(text);
    let policy = tags.value("p").filter(|policy| {
        is_policy(Some(policy)) && (may_be_none || !policy.eq_ignore_ascii_case("none"))
    });
    let mut record = format!("v=DMARC1; p={}", policy.unwrap_or("quarantine"));
    let is_other = |name: &str| !["v", "p"].iter().any(|one| one.eq_ignore_ascii_case(name));
    for (name, value) in tags.all().filter(|(name, _)| is_other(name)) {
        record += &format!("; {name}={value}");
    }
    record
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_at_fault_is_changed() {
        for (text, may_be_none, expected) in [
            (
                "v=DMARC1; p=none; rua=mailto:r@x.test; adkim=s; sp=none",
                false,
                "v=DMARC1; p=quarantine; rua=mailto:r@x.test; adkim=s; sp=none",
            ),
            (
                "v=DMARC1;rua=mailto:r@x.test",
                true,
                "v=DMARC1; p=quarantine; rua=mailto:r@x.test",
            ),
            (
                "v=dmarc1; aspf=s; p=reject",
                true,
                "v=DMARC1; p=reject; aspf=s",
            ),
            ("v=DMARC1; p=refuse", true, "v=DMARC1; p=quarantine"),
        ] {
            assert_eq!(mended(text, may_be_none), expected);
        }
        let finding = Finding::fault("DMARC", "none");
        let same = remedied(finding, "a.test", "v=DMARC1; p=reject", true);
        assert!(same.to_string().contains("do: write the record anew"));
    }
}
