//! Certificates: those of the configuration, and those that the server showed at its ports, as clients judge them.

use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::ring::default_provider;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use time::OffsetDateTime;
use webmail::{Untimely, Validity};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::finding::Finding;
use super::shown::Shown;
use super::subject::Subject;
use crate::tls;

/// A certificate with its chain, and everything that showed them.
struct Group<'a> {
    shown: &'a Shown,
    /// Where it was shown for a name that it is not for.
    strangers: Vec<&'a str>,
    places: Vec<&'a str>,
}

/// Judges the certificates of the configuration and all that were shown.
pub(super) fn judge(subject: &Subject<'_>, shown: &[Shown]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let own = match tls::existing(subject.config) {
        Ok(certificates) => certificates.all(),
        Err(error) => {
            findings.push(Finding::fault("certificate of the configuration", error));
            Vec::new()
        }
    };
    let files = own.iter().filter_map(|one| {
        let leaf = CertificateDer::from_pem_file(one.path()).ok()?;
        Some((one, leaf))
    });
    let files: Vec<_> = files.collect();
    for (one, leaf) in &files {
        if let (Some(problem), false) = (one.problem(), shown.iter().any(|one| one.leaf == *leaf)) {
            let about = format!("certificate in {}", one.path().display());
            findings.push(renewed(subject, Finding::fault(about, problem)));
        }
    }
    for group in groups(shown) {
        findings.extend(one(subject, &group));
        let is_own = files.iter().any(|(_, leaf)| *leaf == group.shown.leaf);
        // Pages may well come from another server.
        let is_mail = group.places.iter().any(|place| place.starts_with("port "));
        if is_mail && !is_own && !files.is_empty() {
            let finding = Finding::advice(about(&group), "it is not one of the configuration")
                .wanted("what the configuration names: another server answers there, or it was not loaded again")
                .command("kill -HUP PID, or systemctl reload mailserver");
            findings.push(finding);
        }
    }
    findings
}

fn groups(shown: &[Shown]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for one in shown {
        let known = groups.iter_mut().find(|group| {
            // The same certificate may be shown with another chain elsewhere.
            group.shown.leaf == one.leaf && group.shown.others == one.others
        });
        let is_for = is_for(&one.leaf, &one.name);
        let stranger = (!is_for).then_some(one.name.as_str());
        match known {
            Some(group) => {
                group.places.push(&one.place);
                if let Some(name) = stranger.filter(|name| !group.strangers.contains(name)) {
                    group.strangers.push(name);
                }
            }
            None => groups.push(Group {
                shown: one,
                strangers: stranger.into_iter().collect(),
                places: vec![&one.place],
            }),
        }
    }
    groups
}

fn is_for(leaf: &CertificateDer<'_>, name: &str) -> bool {
    let Ok(name) = ServerName::try_from(name.to_owned()) else {
        return false;
    };
    let parsed = ParsedCertificate::try_from(leaf);
    parsed.is_ok_and(|parsed| verify_server_name(&parsed, &name).is_ok())
}

fn about(group: &Group<'_>) -> String {
    match group.places.as_slice() {
        [place] => format!("certificate at {place}"),
        [place, others @ ..] => format!("certificate at {place} and {} more", others.len()),
        [] => "certificate".to_owned(),
    }
}

fn one(subject: &Subject<'_>, group: &Group<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let about = about(group);
    if !group.strangers.is_empty() {
        let seen = format!("it is not for {}", group.strangers.join(", "));
        let finding =
            Finding::fault(&about, seen).wanted("a certificate that has all names of the server");
        findings.push(named(subject, finding, &group.strangers));
    }
    let validity = validity(&group.shown.leaf);
    if let Err(error) = trusted(subject, group.shown) {
        findings.push(distrusted(subject, &about, group.shown, validity, &error));
    }
    if !findings.is_empty() {
        return findings;
    }
    let until = validity.map(|one| date(one.until)).unwrap_or_default();
    let soon = validity.and_then(|one| one.problem(hikyaku_mailstore::unix_now()));
    vec![match soon {
        Some(problem @ Untimely::Soon(_)) => renewed(
            subject,
            Finding::advice(about, problem).wanted("a new one in time"),
        ),
        _ => Finding::well(about, format!("trusted, until {until}")),
    }]
}

/// Whether a chain leads from the certificate to an authority that is trusted, all of it at this time.
fn trusted(subject: &Subject<'_>, shown: &Shown) -> Result<(), Error> {
    let parsed = ParsedCertificate::try_from(&shown.leaf)?;
    let algorithms = default_provider().signature_verification_algorithms.all;
    let now = UnixTime::now();
    verify_server_cert_signed_by_trust_anchor(
        &parsed,
        &subject.roots,
        &shown.others,
        now,
        algorithms,
    )
}

fn distrusted(
    subject: &Subject<'_>,
    about: &str,
    shown: &Shown,
    validity: Option<Validity>,
    error: &Error,
) -> Finding {
    let date = |at: fn(Validity) -> i64| validity.map(|one| date(at(one))).unwrap_or_default();
    let seen = match error {
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => format!(
            "it, or one of its chain, has expired: it was good until {}",
            date(|one| one.until)
        ),
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => format!(
            "it is not valid before {}: is the clock right?",
            date(|one| one.from)
        ),
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => untrusted(shown),
        other => other.to_string(),
    };
    let finding = Finding::fault(about, seen)
        .wanted("a certificate that others trust: with MTA-STS they do not send otherwise, and mail programs warn");
    match subject.config.acme.directory.is_some() || !subject.config.tls.is_configured() {
        true => renewed(subject, finding),
        false => renewed(subject, finding).deed(
            "its file has to have the certificates of the authorities below the root as well, behind the server's own",
        ),
    }
}

/// Why a chain leads nowhere.
fn untrusted(shown: &Shown) -> String {
    let parsed = X509Certificate::from_der(&shown.leaf).ok();
    let issuer = parsed.as_ref().map(|(_, one)| one.issuer().to_string());
    let is_own = parsed.is_some_and(|(_, one)| one.issuer() == one.subject());
    let issuer = issuer.unwrap_or_default();
    match (is_own, shown.others.is_empty()) {
        (true, _) => "it is signed by itself".to_owned(),
        (false, true) => format!(
            "its chain is incomplete: \"{issuer}\" has issued it, and that certificate is not shown"
        ),
        (false, false) => format!("its chain leads to no authority that is trusted (\"{issuer}\")"),
    }
}

/// How a certificate is replaced.
fn renewed(subject: &Subject<'_>, finding: Finding) -> Finding {
    match (
        &subject.config.acme.directory,
        subject.config.tls.is_configured(),
    ) {
        (_, true) => finding.deed("renew it, and put it at the place that [tls] names"),
        (Some(_), false) => {
            finding.deed("look why ACME failed: in the log, or at /health of [listen] metrics")
        }
        (None, false) => {
            finding.setting("[acme] directory = \"https://acme-v02.api.letsencrypt.org/directory\"")
        }
    }
}

fn named(subject: &Subject<'_>, finding: Finding, names: &[&str]) -> Finding {
    if subject.config.tls.is_configured() || subject.config.acme.directory.is_none() {
        return renewed(subject, finding);
    }
    let acme = &subject.config.acme;
    let mut all = acme.names(&subject.config.hostname, &subject.config.domains);
    let more = names
        .iter()
        .filter(|name| !all.iter().any(|one| one == *name));
    let more: Vec<_> = more.map(|name| (*name).to_owned()).collect();
    if more.is_empty() {
        return renewed(subject, finding);
    }
    all.extend(more);
    let all: Vec<_> = all.iter().map(|name| format!("\"{name}\"")).collect();
    finding.setting(format!("[acme] names = [{}]", all.join(", ")))
}

fn validity(leaf: &CertificateDer<'_>) -> Option<Validity> {
    let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
    Some(Validity {
        from: parsed.validity().not_before.timestamp(),
        until: parsed.validity().not_after.timestamp(),
    })
}

fn date(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .map(|time| time.date().to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_judged_once_for_each_chain() {
        let of = |place: &str, leaf: u8, chain: &[u8]| Shown {
            place: place.to_owned(),
            name: "a.test".to_owned(),
            leaf: CertificateDer::from(vec![leaf]),
            others: chain
                .iter()
                .map(|one| CertificateDer::from(vec![*one]))
                .collect(),
        };
        let shown = [
            of("25", 1, &[2]),
            of("993", 1, &[]),
            of("465", 1, &[2]),
            of("443", 3, &[]),
        ];
        let groups = groups(&shown);
        let places: Vec<_> = groups.iter().map(|group| group.places.join(" ")).collect();
        assert_eq!(places, ["25 465", "993", "443"]);
    }
}
