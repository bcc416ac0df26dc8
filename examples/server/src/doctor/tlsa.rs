//! TLSA records of the mail port (RFC 7672): whether they match the certificate, and whether anybody may believe them.

use hikyaku_relay::dane::policy::Policy;
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
    let policy = Policy::new(records, host.as_str(), [host.clone()]);
    let there: Vec<_> = policy.records().map(ToString::to_string).collect();
    let there = there.join(", ");
    let verifier = Verifier::new(policy, Arc::new(default_provider()));
    match verifier.verify(&shown.leaf, &shown.others, UnixTime::now()) {
        Err(failure) => {
            let finding = Finding::fault(about, format!("{there}: {failure}"));
            Some(mismatched(finding, is_kept, line))
        }
        Ok(()) if is_kept => Some(matched(about, there, is_vouched_for(subject).await)),
        Ok(()) => Some(
            Finding::advice(about, there)
                .wanted("none: the next certificate from the ACME server has another key, and others do not send then")
                .deed("take it out of the zone, or use a certificate whose key is kept ([tls])"),
        ),
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
