//! Who may issue certificates for the server's names (RFC 8659).

use hikyaku_relay::dns::{Caa, LookupError};

use super::finding::Finding;
use super::subject::{Subject, unanswered};

/// Names that are looked at; a certificate from an ACME server has a hundred at most.
const NAMES: usize = 100;
/// Labels of a name above which nothing is looked up: top-level domains are not asked.
const TOP: usize = 2;

/// ACME servers by the end of their host's name, and how they call themselves in CAA records.
const ISSUERS: [(&str, &str); 5] = [
    ("letsencrypt.org", "letsencrypt.org"),
    ("pki.goog", "pki.goog"),
    ("zerossl.com", "sectigo.com"),
    ("buypass.com", "buypass.com"),
    ("ssl.com", "ssl.com"),
];

/// Looks at the names of the certificate that the ACME server is asked for.
pub(super) async fn look(subject: &Subject<'_>) -> Vec<Finding> {
    let acme = &subject.config.acme;
    let directory = acme.directory.as_deref();
    let Some(issuer) = directory.and_then(issuer) else {
        return Vec::new();
    };
    let names = acme.names(&subject.config.hostname, &subject.config.domains);
    let mut findings = Vec::new();
    let mut is_restricted = true;
    for name in names.iter().take(NAMES) {
        let about = format!("CAA for {name}");
        let (owner, records) = match relevant(subject, name).await {
            Ok(found) => found,
            Err(error) => {
                findings.push(unanswered(about, &error));
                continue;
            }
        };
        is_restricted &= !records.is_empty();
        if !allows(&records, issuer) {
            let there: Vec<_> = records.iter().map(shown).collect();
            let seen = format!("{owner} has {}", there.join(", "));
            findings.push(
                Finding::fault(about, seen)
                    .wanted(format!(
                        "{issuer} may issue: the next certificate is refused"
                    ))
                    .record(subject.zone(&owner).issuer(issuer)),
            );
        }
    }
    match (findings.is_empty(), is_restricted) {
        (false, _) => findings,
        (true, true) => vec![Finding::well("CAA", format!("{issuer} may issue"))],
        (true, false) => {
            let lines = subject.config.domains.iter();
            let finding = Finding::advice("CAA", "no record for all names: anyone may issue")
                .wanted(format!("{issuer}, and nobody else"));
            let add = |finding: Finding, domain: &String| {
                finding.record(subject.zone(&domain.to_ascii_lowercase()).issuer(issuer))
            };
            vec![lines.take(NAMES).fold(finding, add)]
        }
    }
}

/// How the ACME server calls itself; `None` for those that are not known.
fn issuer(directory: &str) -> Option<&'static str> {
    let host = directory
        .strip_prefix("https://")?
        .split(['/', ':'])
        .next()?;
    let mut all = ISSUERS.iter();
    let found = all.find(|(end, _)| {
        let before = host.strip_suffix(end);
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    });
    found.map(|(_, issuer)| *issuer)
}

/// §3: the records of the name, else those of the nearest name above it that has some, and which that is.
async fn relevant(subject: &Subject<'_>, name: &str) -> Result<(String, Vec<Caa>), LookupError> {
    let mut at = name;
    loop {
        let found = subject.dns.caa(at).await?.records;
        let above = at.split_once('.').map(|(_, above)| above);
        match above.filter(|above| above.split('.').count() >= TOP) {
            Some(above) if found.is_empty() => at = above,
            _ => return Ok((at.to_owned(), found)),
        }
    }
}

/// §4.2: whether the records let that issuer issue.
fn allows(records: &[Caa], issuer: &str) -> bool {
    let is_strange = |one: &Caa| {
        let known = [
            "issue",
            "issuewild",
            "iodef",
            "contactemail",
            "contactphone",
            "issuemail",
        ];
        one.is_critical && !known.contains(&one.tag.as_str())
    };
    if records.iter().any(is_strange) {
        return false;
    }
    let mut named = records.iter().filter(|one| one.tag == "issue").peekable();
    let is_unrestricted = named.peek().is_none();
    is_unrestricted
        || named.any(|one| {
            let text = String::from_utf8_lossy(&one.value);
            let name = text.split(';').next().unwrap_or("").trim();
            name.eq_ignore_ascii_case(issuer)
        })
}

fn shown(record: &Caa) -> String {
    format!(
        "{} \"{}\"",
        record.tag,
        String::from_utf8_lossy(&record.value)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acme_servers_have_a_name_in_the_records() {
        for (directory, expected) in [
            (
                "https://acme-v02.api.letsencrypt.org/directory",
                Some("letsencrypt.org"),
            ),
            (
                "https://dv.acme-v02.api.pki.goog/directory",
                Some("pki.goog"),
            ),
            ("https://evilletsencrypt.org/directory", None),
            ("https://localhost:14000/dir", None),
        ] {
            assert_eq!(issuer(directory), expected, "{directory}");
        }
    }
}
