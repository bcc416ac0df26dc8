//! What mail programs ask for by HTTPS: Thunderbird's autoconfig and Outlook's autodiscover.

use super::finding::Finding;
use super::page::{Page, PageError, fetch};
use super::shown::Shown;
use super::subject::{Subject, unanswered};

/// A file that programs ask for.
struct File {
    /// The name below the domain.
    label: &'static str,
    path: &'static str,
    /// What the answer has.
    holds: &'static str,
}

const FILES: [File; 2] = [
    File {
        label: "autoconfig",
        path: "/mail/config-v1.1.xml",
        holds: "<clientConfig",
    },
    File {
        label: "autodiscover",
        path: "/autodiscover/autodiscover.json?Protocol=AutodiscoverV1",
        holds: "\"Url\"",
    },
];

/// Looks at the files of a domain, where the server has them.
pub(super) async fn look(subject: &Subject<'_>, domain: &str) -> (Vec<Finding>, Vec<Shown>) {
    let [first, second] = &FILES;
    let both = tokio::join!(one(subject, domain, first), one(subject, domain, second));
    let (findings, shown): (Vec<_>, Vec<_>) = [both.0, both.1].into_iter().unzip();
    (
        findings.into_iter().flatten().collect(),
        shown.into_iter().flatten().collect(),
    )
}

async fn one(subject: &Subject<'_>, domain: &str, file: &File) -> (Option<Finding>, Option<Shown>) {
    let host = format!("{}.{domain}", file.label);
    let is_served = !subject.config.listen.https.is_empty();
    let fetched = fetch(subject, &host, file.path).await;
    let url = format!("https://{host}{}", file.path);
    match fetched {
        Err(PageError::Lookup(error)) => (Some(unanswered(host, &error)), None),
        Err(PageError::NoAddress) => {
            let finding = Finding::advice(host, "no such name")
                .wanted("the server: some mail programs look for it")
                .record(subject.zone(domain).alias(file.label));
            (is_served.then_some(finding), None)
        }
        Err(error) => (Some(broken(subject, &host, &url, &error.to_string())), None),
        Ok(page) => match wrong(file, &page) {
            None => (Some(Finding::well(host, "answers")), Some(page.shown)),
            Some(seen) => (Some(broken(subject, &host, &url, &seen)), Some(page.shown)),
        },
    }
}

fn wrong(file: &File, page: &Page) -> Option<String> {
    if page.status != 200 {
        return Some(format!("HTTP status {}", page.status));
    }
    let text = String::from_utf8_lossy(&page.body);
    (!text.contains(file.holds)).then(|| "another page".to_owned())
}

fn broken(subject: &Subject<'_>, host: &str, url: &str, seen: &str) -> Finding {
    let finding = Finding::fault(host, seen).wanted(format!("the answer of the server at {url}"));
    let finding = match subject.config.listen.https.is_empty() {
        true => finding.setting("[listen] https = \"[::]:443\""),
        false => finding,
    };
    finding.deed(format!(
        "have {host} lead to {}, and TCP port 443 open",
        subject.hostname
    ))
}
