//! Reports about our domains, read from mail that comes.

use bytes::Bytes;
use hikyaku_mailstore::unix_now;
use hikyaku_service::Arrival;
use hikyaku_trust::reports::{ReportLimits, Summary, read_report};
use hikyaku_trust::{Checked, Checker, Outcome};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tracing::{info, warn};

use super::log::{self, FOLDER, Received};
use crate::addresses::AddressBook;

/// Octets of reports that are read at a time, or wait for it. Further ones are in their mailbox all the same.
const WAITING: usize = 32 << 20;
/// Octets of a permit.
const UNIT: usize = 4096;
/// How much of a header section is looked through.
const HEADER: usize = 16 * 1024;

/// Reads reports.
pub(crate) struct Inbox {
    folder: PathBuf,
    addresses: AddressBook,
    /// Addresses that reports come to, besides those that the records of our domains name.
    named: Vec<String>,
    waiting: Arc<Semaphore>,
    /// One is unpacked at a time: each may take some megabytes.
    reading: Semaphore,
}

impl Inbox {
    pub(crate) fn new(data: &Path, addresses: &AddressBook, named: &[String]) -> Self {
        Self {
            folder: data.join(FOLDER),
            addresses: addresses.clone(),
            named: named.to_vec(),
            waiting: Arc::new(Semaphore::new(WAITING / UNIT)),
            reading: Semaphore::new(1),
        }
    }

    /// Reads a message that was accepted, where it is a report, and keeps what it says. Nobody waits for it.
    pub(crate) fn look(
        self: &Arc<Self>,
        arrival: Arrival<'_>,
        checked: &Checked,
        checker: Arc<Checker>,
    ) {
        let is_small = arrival.message.len() <= ReportLimits::default().message;
        if !is_small || !is_report(arrival.message) {
            return;
        }
        let Some(from) = proven(checked) else {
            return info!(
                id = arrival.id,
                "a DMARC report is not counted: neither SPF nor DKIM shows who sends it"
            );
        };
        let room = u32::try_from(arrival.message.len().div_ceil(UNIT)).unwrap_or(u32::MAX);
        let Ok(waiting) = Arc::clone(&self.waiting).try_acquire_many_owned(room) else {
            return warn!(
                id = arrival.id,
                "a DMARC report is not read: too many came at a time"
            );
        };
        let (inbox, id) = (Arc::clone(self), arrival.id.to_owned());
        let (message, to) = (arrival.message.clone(), arrival.recipients.to_vec());
        tokio::spawn(async move {
            let _waiting = waiting;
            match inbox.read(message, from, &to, &checker).await {
                Ok(summary) => {
                    let (domain, by) = (summary.domain, summary.organization);
                    info!(id, domain, by, "a DMARC report was read");
                }
                Err(why) => info!(id, why, "a DMARC report is not counted"),
            }
        });
    }

    async fn read(
        self: &Arc<Self>,
        message: Bytes,
        from: String,
        to: &[String],
        checker: &Checker,
    ) -> Result<Summary, String> {
        let _one = self.reading.acquire().await;
        let reading =
            tokio::task::spawn_blocking(move || read_report(&message, &ReportLimits::default()));
        let summary = reading.await.map_err(|error| error.to_string())?;
        let summary = summary.map_err(|error| error.to_string())?;
        if !self.addresses.is_local(&summary.domain) {
            return Err(format!("{} is no domain of ours", summary.domain));
        }
        let is_one = |address: &str| to.iter().any(|to| to.eq_ignore_ascii_case(address));
        if !self.named.iter().any(|one| is_one(one)) {
            let wanted = checker.reported_to(&summary.domain).await;
            if !wanted.iter().any(|one| is_one(&one.address)) {
                return Err("it came to an address that reports are not wanted at".into());
            }
        }
        let (inbox, summary_kept) = (Arc::clone(self), summary.clone());
        let kept = Received {
            from,
            summary: summary_kept,
        };
        let keeping =
            tokio::task::spawn_blocking(move || log::keep(&inbox.folder, &kept, unix_now()));
        let kept = keeping.await.map_err(|error| error.to_string())?;
        kept.map_err(|error| format!("it cannot be kept: {error}"))?;
        Ok(summary)
    }
}

/// The author's domain, as far as SPF or DKIM shows that it is from there (RFC 7489 §7.2.1.1 wants DMARC to pass; not all who
/// report have a record).
fn proven(checked: &Checked) -> Option<String> {
    let verdicts = &checked.verdicts;
    let dmarc = verdicts.dmarc.as_ref()?;
    let author = dmarc.domain.to_lowercase();
    let passes = |outcome, domain: &str| outcome == Outcome::Pass && is_related(domain, &author);
    let spf = verdicts.spf.as_ref();
    let mut signatures = verdicts.dkim.iter().flatten();
    let is_proven = match dmarc.outcome {
        Outcome::Pass => true,
        Outcome::None => {
            spf.is_some_and(|spf| passes(spf.outcome, &spf.domain))
                || signatures.any(|one| passes(one.outcome, &one.domain))
        }
        _ => false,
    };
    is_proven.then_some(author)
}

/// Whether two domains are the same, or one is below the other, which is no top-level domain.
fn is_related(one: &str, author: &str) -> bool {
    let one = one.to_lowercase();
    let is_below = |name: &str, above: &str| {
        let rest = name.strip_suffix(above);
        above.contains('.') && rest.is_some_and(|rest| rest.ends_with('.'))
    };
    one == author || is_below(&one, author) || is_below(author, &one)
}

/// Whether a message bears the subject of a report (RFC 7489 §7.2.1.1).
fn is_report(message: &[u8]) -> bool {
    let head = message.get(..message.len().min(HEADER)).unwrap_or_default();
    let subject = hikyaku_message::fields(head)
        .find(|(name, ..)| name.trim_ascii().eq_ignore_ascii_case(b"subject"));
    let Some((_, value, _)) = subject else {
        return false;
    };
    let text = hikyaku_message::decode_header(value).to_lowercase();
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").contains("report domain:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_related_where_one_is_below_the_other() {
        for (one, author, expected) in [
            ("a.test", "a.test", true),
            ("mail.A.test", "a.test", true),
            ("a.test", "mail.a.test", true),
            ("test", "a.test", false),
            ("ba.test", "a.test", false),
            ("b.a.test", "c.a.test", false),
        ] {
            assert_eq!(is_related(one, author), expected, "{one} {author}");
        }
    }

    #[test]
    fn a_report_is_known_by_its_subject() {
        for (head, expected) in [
            ("Subject: Report Domain: a.test Submitter: b.test", true),
            ("subject:\r\n report\r\n\tdomain: a.test", true),
            ("Subject: =?utf-8?q?Report_Domain=3A_a.test?=", true),
            ("Subject: Hello", false),
            ("X: Report Domain: a.test", false),
            ("", false),
        ] {
            let message = format!("{head}\r\n\r\nSubject: Report Domain:\r\n");
            assert_eq!(is_report(message.as_bytes()), expected, "{head}");
        }
    }
}
