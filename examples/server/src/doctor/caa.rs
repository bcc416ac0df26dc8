//! Who may issue certificates for the server's names (RFC 8659).

use hikyaku_relay::dns::{Answer, Caa, LookupError};

use super::finding::Finding;
use super::subject::{Subject, unanswered};
use super::tags::Tags;
use crate::acme::AcmeChallenge;

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

/// A record that was read.
struct Record {
    is_critical: bool,
    tag: String,
    value: String,
}

impl From<Caa> for Record {
    fn from(one: Caa) -> Self {
        Self {
            is_critical: one.is_critical,
            tag: one.tag,
            value: String::from_utf8_lossy(&one.value).into_owned(),
        }
    }
}

/// Records, and the names that they are for.
struct Group {
    /// Where the records are.
    owner: String,
    records: Vec<Record>,
    names: Vec<String>,
}

/// Looks at the names of the certificate that the ACME server is asked for.
pub(super) async fn look(subject: &Subject<'_>) -> Vec<Finding> {
    let acme = &subject.config.acme;
    let directory = acme.directory.as_deref();
    let Some(issuer) = directory.and_then(issuer) else {
        return Vec::new();
    };
    let method = match acme.challenge(!subject.config.listen.http.is_empty()) {
        AcmeChallenge::Http01 => "http-01",
        AcmeChallenge::TlsAlpn01 => "tls-alpn-01",
    };
    let names = acme.names(&subject.config.hostname, &subject.config.domains);
    let mut findings = Vec::new();
    let mut groups: Vec<Group> = Vec::new();
    for name in names.into_iter().take(NAMES) {
        let found = match relevant(subject, &name).await {
            Ok(found) => found,
            Err(error) => {
                findings.push(unanswered(format!("CAA for {name}"), &error));
                continue;
            }
        };
        match groups.iter_mut().find(|one| one.owner == found.name) {
            Some(group) => group.names.push(name),
            None => groups.push(Group {
                owner: found.name,
                records: found.records.into_iter().map(Record::from).collect(),
                names: vec![name],
            }),
        }
    }
    let judged = groups
        .iter()
        .filter_map(|one| judge(subject, one, issuer, method));
    findings.extend(judged);
    let is_restricted = groups.iter().all(|one| one.records.iter().any(is_issue));
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

/// Judges the records of one owner; `None` if all is well, or if there are none.
fn judge(subject: &Subject<'_>, group: &Group, issuer: &str, method: &str) -> Option<Finding> {
    let about = match group.names.as_slice() {
        [name] => format!("CAA for {name}"),
        [name, others @ ..] => format!("CAA for {name} and {} more", others.len()),
        [] => return None,
    };
    let owner = &group.owner;
    let there: Vec<_> = group.records.iter().map(shown).collect();
    let fault = Finding::fault(&about, format!("{owner} has {}", there.join(", ")));
    let beside = "add it: the CAA records that are there may stay";
    let record = |value: &str| subject.zone(owner).issuer(value);
    match allows(&group.records, issuer, method) {
        Allowed::Yes => None,
        Allowed::One(accounts) => Some(
            Finding::advice(about, format!("{owner} lets one account alone issue: {accounts}"))
                .wanted("the account that the server has: another, as a new server makes it, is refused")
                .deed("change accounturi, or take it out, whenever the data folder does not come along"),
        ),
        Allowed::Not => Some(
            fault
                .wanted(format!("{issuer} may issue: the next certificate is refused"))
                .record(record(issuer))
                .deed(beside),
        ),
        Allowed::Otherwise => Some(
            fault
                .wanted(format!("{issuer} may issue by {method}: the next certificate is refused"))
                .record(record(&format!("{issuer}; validationmethods={method}")))
                .deed(beside)
                .deed("or set challenge of [acme] to http-01 or tls-alpn-01, if a record has that"),
        ),
        Allowed::Strange => Some(
            fault
                .wanted("no critical record that authorities do not know: the next certificate is refused")
                .deed(format!("take it out of the zone of {owner}")),
        ),
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

/// §3: the records of the name, else those of the nearest name above it that has some. The answer's name is where they
/// are: nothing can be put beside an alias.
async fn relevant(subject: &Subject<'_>, name: &str) -> Result<Answer<Caa>, LookupError> {
    let mut at = name;
    loop {
        let found = subject.dns.caa(at).await?;
        let above = at.split_once('.').map(|(_, above)| above);
        match above.filter(|above| above.split('.').count() >= TOP) {
            Some(above) if found.records.is_empty() => at = above,
            _ => return Ok(found),
        }
    }
}

/// What records say to an issuer.
#[derive(Debug, PartialEq, Eq)]
enum Allowed {
    Yes,
    /// It may issue to these accounts (RFC 8657 §3).
    One(String),
    /// It may, though not by this method (RFC 8657 §4).
    Otherwise,
    Not,
    /// Nobody may: one is critical and not known.
    Strange,
}

fn is_issue(record: &Record) -> bool {
    record.tag == "issue"
}

/// §4.2: whether the records let that issuer issue, to those who show control of the names by that method.
fn allows(records: &[Record], issuer: &str, method: &str) -> Allowed {
    let is_strange = |one: &Record| {
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
        return Allowed::Strange;
    }
    if !records.iter().any(is_issue) {
        return Allowed::Yes;
    }
    let is_named = |value: &&str| {
        let name = value.split(';').next().unwrap_or("").trim();
        name.eq_ignore_ascii_case(issuer)
    };
    let issue = records.iter().filter(|one| is_issue(one));
    let named = issue.map(|one| one.value.as_str()).filter(is_named);
    let named: Vec<Tags<'_>> = named.map(Tags::of).collect();
    if named.is_empty() {
        return Allowed::Not;
    }
    let is_by_it = |one: &&Tags<'_>| {
        let methods = one.value("validationmethods");
        methods.is_none_or(|all| all.split(',').any(|one| one.trim() == method))
    };
    let usable: Vec<&Tags<'_>> = named.iter().filter(is_by_it).collect();
    let accounts: Option<Vec<&str>> = usable.iter().map(|one| one.value("accounturi")).collect();
    match (usable.is_empty(), accounts) {
        (true, _) => Allowed::Otherwise,
        (false, Some(accounts)) => Allowed::One(accounts.join(", ")),
        (false, None) => Allowed::Yes,
    }
}

fn shown(record: &Record) -> String {
    format!("{} \"{}\"", record.tag, record.value)
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

    fn allowed(records: &[(bool, &str, &str)]) -> Allowed {
        let records = records.iter().map(|&(is_critical, tag, value)| Record {
            is_critical,
            tag: tag.into(),
            value: value.into(),
        });
        allows(&records.collect::<Vec<_>>(), "ca.test", "http-01")
    }

    #[test]
    fn a_named_issuer_may_issue() {
        let other = (false, "issue", "other.test");
        for (records, expected) in [
            (&[][..], Allowed::Yes),
            (&[(false, "iodef", "mailto:a@b.test")], Allowed::Yes),
            (&[other], Allowed::Not),
            (&[(false, "issue", ";")], Allowed::Not),
            (&[other, (false, "issue", " CA.test ; x=y")], Allowed::Yes),
            (
                &[(true, "riddle", ""), (false, "issue", "ca.test")],
                Allowed::Strange,
            ),
        ] {
            assert_eq!(allowed(records), expected, "{records:?}");
        }
    }

    #[test]
    fn methods_and_accounts_restrict_it_further() {
        let one = |value| allowed(&[(false, "issue", value)]);
        assert_eq!(
            one("ca.test; validationmethods=dns-01, http-01"),
            Allowed::Yes
        );
        assert_eq!(one("ca.test; validationmethods=dns-01"), Allowed::Otherwise);
        let uri = "https://ca.test/acct/1";
        let account = format!("ca.test; accounturi={uri}");
        assert_eq!(one(&account), Allowed::One(uri.into()));
        // Another record lets more.
        let both = [
            (false, "issue", account.as_str()),
            (false, "issue", "ca.test"),
        ];
        assert_eq!(allowed(&both), Allowed::Yes);
        let both = [
            (false, "issue", account.as_str()),
            (false, "issue", "ca.test; validationmethods=dns-01"),
        ];
        assert_eq!(allowed(&both), Allowed::One(uri.into()));
    }
}
