//! TLSA records of the mail port (RFC 7672): whether they match the certificate, and whether anybody may believe them.

use hikyaku_relay::dane::failure::Failure;
use hikyaku_relay::dane::policy::Policy;
use hikyaku_relay::dane::record::Tlsa;
use hikyaku_relay::dane::verifier::Verifier;
use rustls::crypto::ring::default_provider;
use rustls_pki_types::UnixTime;
use std::sync::Arc;

use super::finding::Finding;
use super::shown::Shown;
use super::subject::{Subject, unanswered};
use crate::association;

/// Looks at the records of the server, and at the certificate that it shows to other servers.
pub(super) async fn look(subject: &Subject<'_>, shown: Option<&Shown>) -> Option<Finding> {
    let host = &subject.hostname;
    let port = subject.config.relay.port;
    let about = format!("TLSA of {host}");
    let records = match subject.dns.tlsa_at(host, port).await {
        Ok(found) => found.records,
        Err(error) => return Some(unanswered(about, &error)),
    };
    let shown = shown?;
    let line = association::of(&shown.leaf);
    let line = line.map(|line| subject.zone(host).tlsa(port, &line.to_string()));
    let line = line.unwrap_or_default();
    // Each certificate from an ACME server has a key of its own.
    let config = &subject.config;
    let is_kept = config.acme.directory.is_none() || config.tls.is_configured();
    if records.is_empty() {
        let is_wanted = is_kept && is_vouched_for(subject).await;
        return is_wanted.then(|| {
            Finding::advice(about, "none, and the zone is signed")
                .wanted("the certificate's key: others then know that they speak with this server")
                .record(line)
        });
    }
    Some(judge(Judged {
        about,
        host,
        records: &records,
        shown,
        is_kept,
        is_vouched_for: is_vouched_for(subject).await,
        line,
    }))
}

/// What is judged.
struct Judged<'a> {
    about: String,
    host: &'a str,
    records: &'a [Tlsa],
    shown: &'a Shown,
    /// Whether the next certificate has the same key.
    is_kept: bool,
    is_vouched_for: bool,
    /// The record of the key that is shown.
    line: String,
}

impl Judged<'_> {
    /// Checks the certificate by those of the records.
    fn verify(&self, is_one: impl Fn(&Tlsa) -> bool) -> Result<(), Failure> {
        let policy = self.policy(is_one);
        let verifier = Verifier::new(policy, Arc::new(default_provider()));
        verifier.verify(&self.shown.leaf, &self.shown.others, UnixTime::now())
    }

    fn policy(&self, is_one: impl Fn(&Tlsa) -> bool) -> Policy {
        let records = self.records.iter().filter(|one| is_one(one)).cloned();
        Policy::new(records, self.host, [self.host.to_owned()])
    }

    /// Whether records of authorities alone vouch for the certificate, and how many there are.
    fn authorities(&self) -> Option<usize> {
        let is_authority = |one: &Tlsa| one.usage == 2;
        let is_usable = self.policy(is_authority).authenticates();
        let count = self.records.iter().filter(|one| is_authority(one)).count();
        (is_usable && self.verify(is_authority).is_ok()).then_some(count)
    }
}

fn judge(judged: Judged<'_>) -> Finding {
    let policy = judged.policy(|_| true);
    let there: Vec<_> = policy.records().map(ToString::to_string).collect();
    let there = there.join(", ");
    if !policy.authenticates() {
        // RFC 7672 §2.2: others use TLS then, and believe any certificate.
        let why = policy.unusable().map(|(one, why)| format!("{one}: {why}"));
        let why: Vec<_> = why.collect();
        let finding = Finding::fault(&judged.about, why.join(", "));
        return mismatched(finding, judged.is_kept, judged.line);
    }
    match (judged.verify(|_| true), judged.authorities()) {
        (Err(failure), _) => {
            let finding = Finding::fault(judged.about, format!("{there}: {failure}"));
            mismatched(finding, judged.is_kept, judged.line)
        }
        (Ok(()), authorities) if judged.is_kept || authorities > Some(1) => {
            matched(judged.about, there, judged.is_vouched_for)
        }
        (Ok(()), Some(_)) => Finding::advice(judged.about, there)
            .wanted("records of the authority's other keys as well: the next certificate from the ACME server may be signed with another, and others do not send then")
            .deed("add one for each of its intermediate certificates, or for their root if the server sends that"),
        (Ok(()), None) => Finding::advice(judged.about, there)
            .wanted("none: the next certificate from the ACME server has another key, and others do not send then")
            .deed("take it out of the zone, or use a certificate whose key is kept ([tls])"),
    }
}

fn mismatched(finding: Finding, is_kept: bool, line: String) -> Finding {
    let finding = finding
        .wanted("the key of the certificate that the server shows: others do not send otherwise");
    match is_kept {
        true => finding.record(line),
        false => finding.deed(
            "take it out of the zone: each certificate from the ACME server has a key of its own",
        ),
    }
}

fn matched(about: String, there: String, is_vouched_for: bool) -> Finding {
    match is_vouched_for {
        true => Finding::well(about, there),
        false => Finding::advice(about, format!("{there}, and DNSSEC does not vouch for it"))
            .wanted("a signed zone: nobody believes the record otherwise")
            .deed("sign the zone, and have its DS record put into the zone above it"),
    }
}

/// Whether DNSSEC vouches for what is said of the server's TLSA records.
async fn is_vouched_for(subject: &Subject<'_>) -> bool {
    let found = subject
        .validating
        .tlsa_at(&subject.hostname, subject.config.relay.port);
    found.await.is_ok_and(|found| found.secure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Grade;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use rustls_pki_types::CertificateDer;
    use sha2::{Digest as _, Sha256};

    /// A certificate of `a.test`, and that of the authority that has issued it.
    fn shown() -> Shown {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let above = authority.self_signed(&key).unwrap();
        let issuer = Issuer::new(authority, key);
        let leaf = CertificateParams::new(["a.test".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &issuer);
        Shown {
            place: "port 25".into(),
            name: "a.test".into(),
            leaf: leaf.unwrap().der().clone(),
            others: vec![above.der().clone()],
        }
    }

    fn digest(usage: u8, certificate: &CertificateDer<'_>) -> Tlsa {
        Tlsa::new(usage, 0, 1, Sha256::digest(certificate).to_vec())
    }

    fn judged(records: &[Tlsa], shown: &Shown, is_kept: bool) -> (Grade, String) {
        let finding = judge(Judged {
            about: "TLSA".into(),
            host: "a.test",
            records,
            shown,
            is_kept,
            is_vouched_for: true,
            line: "THE LINE".into(),
        });
        (finding.grade, finding.to_string())
    }

    #[test]
    fn records_that_nobody_can_use_are_a_fault() {
        let shown = shown();
        for (record, why) in [
            (
                Tlsa::new(1, 1, 1, [7; 32]),
                "certificate usage 1 is not for SMTP",
            ),
            (Tlsa::new(3, 1, 1, [7; 31]), "a digest of 31 octets"),
        ] {
            let (grade, text) = judged(&[record], &shown, true);
            assert_eq!(grade, Grade::Fault);
            assert!(
                text.contains(why) && text.contains("zone: THE LINE"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_record_of_the_authority_outlives_the_key() {
        let shown = shown();
        let (own, above) = (digest(3, &shown.leaf), digest(2, &shown.others[0]));
        let other = Tlsa::new(2, 0, 1, [7; 32]);
        let (grade, text) = judged(std::slice::from_ref(&own), &shown, false);
        assert!(
            grade == Grade::Advice && text.contains("has another key"),
            "{text}"
        );
        let (grade, text) = judged(std::slice::from_ref(&above), &shown, false);
        assert!(
            grade == Grade::Advice && text.contains("other keys as well"),
            "{text}"
        );
        for records in [
            vec![above.clone(), other.clone()],
            vec![own.clone(), above, other.clone()],
        ] {
            assert_eq!(judged(&records, &shown, false).0, Grade::Well);
        }
        // Records of other authorities are no help.
        let (_, text) = judged(&[own, other], &shown, false);
        assert!(text.contains("has another key"), "{text}");
    }
}
