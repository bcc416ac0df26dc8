//! DKIM (RFC 6376): each key signs a message, which is then verified as other servers do; if that fails, the record says why.

use hikyaku_trust::signing::{Algorithm, Key, Signer};
use hikyaku_trust::{Arrival, Outcome};
use std::net::{IpAddr, Ipv4Addr};
use std::time::SystemTime;

use super::finding::{Finding, Grade};
use super::subject::Subject;
use super::tags::Tags;
use crate::examine::{DkimKey, dkim_key, dkim_record};

/// Looks at each key that signs what authors of a domain send.
pub(super) async fn look(subject: &Subject<'_>, domain: &str) -> Vec<Finding> {
    let keys = subject.config.dkim.iter();
    let keys: Vec<_> = keys.filter(|one| is_for(one, domain)).collect();
    let mut findings = Vec::new();
    let mut has_rsa = false;
    for one in &keys {
        let about = format!("DKIM key {} of {}", one.selector, one.domain);
        match dkim_key(subject.config, one) {
            Ok(key) => {
                has_rsa |= key.algorithm() == Algorithm::Rsa;
                findings.push(key_of(subject, &about, one, key).await);
            }
            Err(error) => findings.push(Finding::fault(about, error)),
        }
    }
    if !has_rsa && findings.iter().all(|one| one.grade != Grade::Fault) {
        let seen = match keys.is_empty() {
            true => "no key: what accounts send is not signed",
            false => "no RSA key: not everybody verifies Ed25519",
        };
        findings.push(
            Finding::advice(format!("DKIM of {domain}"), seen)
                .wanted("an RSA key")
                .command(subject.command(&format!("dkim {domain} r1 --rsa"))),
        );
    }
    findings
}

/// Whether the key signs for authors of a domain: its own, and all below it.
fn is_for(one: &DkimKey, domain: &str) -> bool {
    let (domain, own) = (domain.to_ascii_lowercase(), one.domain.to_ascii_lowercase());
    domain
        .strip_suffix(&own)
        .is_some_and(|below| below.is_empty() || below.ends_with('.'))
}

async fn key_of(subject: &Subject<'_>, about: &str, one: &DkimKey, key: Key) -> Finding {
    let line = dkim_record(&one.domain, &one.selector, &key);
    let published = key.record();
    let name = format!("{}._domainkey.{}", one.selector, one.domain);
    let texts = match subject.txt(about, &name).await {
        Ok(texts) => texts,
        Err(finding) => return finding,
    };
    let reason = match verified(subject, one, key).await {
        Ok(None) => {
            let is_testing = texts.iter().any(|text| is_testing(text));
            return match is_testing {
                true => Finding::advice(about, "t=y: a key that is only being tried out")
                    .wanted("a key that counts")
                    .record(line),
                false => Finding::well(about, "verifies"),
            };
        }
        Ok(Some(reason)) => reason,
        Err(finding) => return finding,
    };
    let seen = why(&texts, &published).unwrap_or(reason);
    Finding::fault(about, seen)
        .wanted("the record of the key that signs")
        .record(line)
}

/// Signs a message with the key alone, and verifies it; says why it does not pass.
async fn verified(
    subject: &Subject<'_>,
    one: &DkimKey,
    key: Key,
) -> Result<Option<String>, Finding> {
    let about = format!("DKIM key {} of {}", one.selector, one.domain);
    let message = format!(
        "From: postmaster@{0}\r\nSubject: test\r\n\r\nHello.\r\n",
        one.domain
    );
    let mut signer = Signer::default();
    let added = signer.add(&one.domain, &one.selector, key).map(drop);
    let signed =
        added.and_then(|()| signer.sign(&one.domain, message.as_bytes(), SystemTime::now()));
    let signed = signed.map_err(|error| Finding::fault(&about, error))? + &message;
    let checker = subject.checker()?;
    let checked = checker.check(Arrival {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        helo: &subject.hostname,
        mail_from: "",
        message: signed.as_bytes(),
    });
    let signatures = checked.await.verdicts.dkim.unwrap_or_default();
    let Some(signature) = signatures.first() else {
        return Err(Finding::unknown(about, "the signature was not found"));
    };
    let reason = || signature.reason.clone().unwrap_or_default();
    match signature.outcome {
        Outcome::Pass => Ok(None),
        Outcome::TempError => Err(Finding::unknown(about, reason())),
        outcome => Ok(Some(format!("{outcome}: {}", reason()))),
    }
}

fn is_testing(text: &str) -> bool {
    let tags = Tags::of(text);
    let flags = tags.value("t").unwrap_or_default();
    flags.split(':').any(|flag| flag.trim() == "y")
}

/// What is wrong with the records, where it can be seen in them.
fn why(texts: &[String], wanted: &str) -> Option<String> {
    let wanted = Tags::of(wanted);
    let keys: Vec<Tags<'_>> = texts.iter().map(|text| Tags::of(text)).collect();
    let text = match (texts, keys.as_slice()) {
        ([], _) => return Some("no record".into()),
        (_, [one]) => one,
        (several, _) => {
            let seen = format!("{} records, where one has to be", several.len());
            return Some(format!(
                "{seen}: strings of one record belong into one line"
            ));
        }
    };
    let (Some(own), Some(there)) = (wanted.value("p"), text.value("p")) else {
        return Some("a record without p=".into());
    };
    let without_blanks: String = there.split_ascii_whitespace().collect();
    if without_blanks.is_empty() {
        return Some("an empty p=: the key is revoked".into());
    }
    if without_blanks.contains('"') {
        return Some("quotation marks within the key: strings are not joined by them".into());
    }
    if own == without_blanks {
        return None;
    }
    if own.starts_with(&without_blanks) {
        let (found, all) = (without_blanks.len(), own.len());
        return Some(format!(
            "a key that is cut off: {found} of {all} characters"
        ));
    }
    let is_shorter = without_blanks.len() < own.len();
    let is_part = is_shorter && own.ends_with(&without_blanks);
    Some(match is_part {
        true => "a key without its beginning".into(),
        false => "another key".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_what_is_wrong_with_it() {
        let wanted = "v=DKIM1; k=rsa; p=AAAABBBBCCCC";
        for (texts, expected) in [
            (&[][..], Some("no record")),
            (&["v=DKIM1; k=rsa; p="], Some("revoked")),
            (&["v=DKIM1; k=rsa"], Some("without p=")),
            (&["v=DKIM1; k=rsa; p=AAAABBBB"], Some("8 of 12")),
            (&["v=DKIM1; k=rsa; p=AAAA\" \"BBBBCCCC"], Some("quotation")),
            (&["p=BBBBCCCC"], Some("without its beginning")),
            (&["v=DKIM1; k=rsa; p=DDDD"], Some("another key")),
            (&["v=DKIM1; k=rsa; p=AAAA", "BBBBCCCC"], Some("2 records")),
            (&["v=DKIM1; k=rsa; p=AAAA BBBB CCCC"], None),
        ] {
            let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
            let seen = why(&texts, wanted);
            assert_eq!(seen.is_some(), expected.is_some(), "{texts:?}: {seen:?}");
            let expected = expected.unwrap_or_default();
            assert!(seen.unwrap_or_default().contains(expected), "{texts:?}");
        }
    }

    #[test]
    fn a_key_signs_for_its_domain_and_all_below() {
        let key = |domain: &str| DkimKey {
            domain: domain.into(),
            selector: "s".into(),
            key: "k".into(),
        };
        assert!(is_for(&key("A.test"), "a.test") && is_for(&key("a.test"), "b.A.test"));
        assert!(!is_for(&key("a.test"), "ba.test") && !is_for(&key("b.a.test"), "a.test"));
    }
}
