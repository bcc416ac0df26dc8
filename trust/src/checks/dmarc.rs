//! DMARC (RFC 7489): whether SPF or DKIM passed for the author's domain, and what that domain wants.
//!
//! The organizational domain is found by the tree walk of RFC 9989 §4.10, which needs no list of public suffixes: the
//! shortest name above the author's domain with a record. `pct=` of RFC 7489 holds as well.

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use mail_auth::common::parse::TxtRecordParser as _;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::dmarc::{Alignment, Dmarc as Record, Policy};
use mail_auth::{
    AuthenticatedMessage, DkimOutput, DmarcResult, DnsError, Error, MessageAuthenticator,
    Parameters, SpfOutput, SpfResult, Txt,
};
use std::collections::{BTreeSet, HashMap};
use tokio::time::timeout;

use crate::authors::Authors;
use crate::checks::known::{Existing, Known, unanswered};
use crate::dns::{Family, Questions};
use crate::limits::Limits;
use crate::outcome::Outcome;
use crate::verdicts::{Destination, Dmarc, Published, Signature, Spf, Wish};

/// Labels of the longest name, but the whole one, that is asked for (RFC 9989 §4.10).
const LABELS: usize = 7;

/// Checks the author's domain.
pub(crate) async fn check(
    deaf: &MessageAuthenticator,
    dns: &Questions<'_>,
    limits: &Limits,
    authors: &Authors,
    spf: Option<&Spf>,
    dkim: &[Signature],
) -> Dmarc {
    let mut verdict = Dmarc {
        domain: String::new(),
        outcome: Outcome::PermError,
        is_spf_aligned: false,
        is_dkim_aligned: false,
        wish: None,
        percent: 100,
        published: None,
        reason: None,
    };
    let Some(author) = authors.one() else {
        verdict.reason = Some(match authors.domains.len() {
            _ if authors.is_too_large => "too many authors".to_owned(),
            0 => "no author".to_owned(),
            some if some > limits.authors => "too many authors".to_owned(),
            _ => "more than one author's domain or From field".to_owned(),
        });
        return verdict;
    };
    author.clone_into(&mut verdict.domain);
    let passing = dkim
        .iter()
        .filter(|one| matters(one.outcome))
        .take(limits.signatures);
    let passing: Vec<&Signature> = passing.collect();
    let spf = spf.filter(|spf| matters(spf.outcome));
    let others = passing.iter().map(|one| one.domain.as_str());
    let others = others.chain(spf.map(|spf| spf.domain.as_str()));
    let related = others.filter(|other| is_related(other, author));
    let names: BTreeSet<String> = related.flat_map(walk).collect();
    let Ok(mut records) = timeout(
        limits.patience,
        look_up(dns, walk(author).into_iter().collect()),
    )
    .await
    else {
        verdict.outcome = Outcome::TempError;
        verdict.reason = Some("no answer from DNS".to_owned());
        return verdict;
    };
    // The sender chose these: if they do not answer, what the author's domain wants is known all the same.
    let names = names
        .into_iter()
        .filter(|name| !records.has(name))
        .collect();
    if let Ok(more) = timeout(limits.patience, look_up(dns, names)).await {
        records.known.0.extend(more.known.0);
        records.texts.extend(more.texts);
    }

    let message = AuthenticatedMessage {
        from: vec![format!("author@{author}")],
        ..AuthenticatedMessage::default()
    };
    let signatures: Vec<_> = passing.iter().map(|one| signature(&one.domain)).collect();
    let outputs: Vec<DkimOutput<'_>> = passing
        .iter()
        .zip(&signatures)
        .map(|(one, signature)| match one.outcome {
            Outcome::Pass => DkimOutput::pass().with_signature(signature),
            _ => DkimOutput::temp_err(unanswered()).with_signature(signature),
        })
        .collect();
    let spf_domain = spf.map_or("", |spf| spf.domain.as_str());
    let spf_result = match spf.map(|spf| spf.outcome) {
        Some(Outcome::Pass) => SpfResult::Pass,
        Some(Outcome::TempError) => SpfResult::TempError,
        _ => SpfResult::None,
    };
    let spf_output = SpfOutput::new(spf_domain.to_owned()).with_result(spf_result);
    let parameters = DmarcParameters::new(&message, &outputs, spf_domain, &spf_output);
    let parameters = Parameters::new(parameters)
        .with_txt_cache(&records.known)
        .with_ipv4_cache(&Existing);
    // It waits for nothing: all records are known.
    let Some(output) = deaf.verify_dmarc(parameters).now_or_never() else {
        return verdict;
    };
    verdict.is_spf_aligned = output.spf_result() == &DmarcResult::Pass;
    verdict.is_dkim_aligned = output.dkim_result() == &DmarcResult::Pass;
    let Some(record) = output.dmarc_record_cloned() else {
        let is_later = matches!(output.spf_result(), DmarcResult::TempError(_));
        verdict.outcome = if is_later {
            Outcome::TempError
        } else {
            Outcome::None
        };
        verdict.reason = Some(
            if is_later {
                "no answer from DNS"
            } else {
                "no record"
            }
            .to_owned(),
        );
        return verdict;
    };
    let (owner, text) = records.owner(&record);
    let mut wish = self::wish(output.policy());
    // `np=` is for names that do not exist (RFC 9989 §4.7).
    if owner != author && record.np != record.sp && !exists(dns, limits, author).await {
        wish = self::wish(record.np);
        if record.t {
            wish = wish.milder();
        }
    }
    verdict.wish = Some(wish);
    verdict.percent = percent(text);
    verdict.published = Some(published(owner, &record));
    (verdict.outcome, verdict.reason) = match (output.spf_result(), output.dkim_result()) {
        (DmarcResult::Pass, _) | (_, DmarcResult::Pass) => (Outcome::Pass, None),
        (DmarcResult::TempError(_), _) | (_, DmarcResult::TempError(_)) => {
            let reason = "what is aligned could not be checked";
            (Outcome::TempError, Some(reason.to_owned()))
        }
        _ => (
            Outcome::Fail,
            Some("neither SPF nor DKIM passes with this domain".to_owned()),
        ),
    };
    verdict
}

/// Finds where a domain wants its reports: as its own record says, or the nearest one above it.
pub(crate) async fn destinations(dns: &Questions<'_>, domain: &str) -> Vec<Destination> {
    for name in walk(domain) {
        let records = look_up(dns, BTreeSet::from([name.clone()])).await;
        let found = records.known.0.get(format!("_dmarc.{name}.").as_str());
        if let Some(Txt::Dmarc(record)) = found {
            return published(&name, record).reports_to;
        }
    }
    Vec::new()
}

fn matters(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Pass | Outcome::TempError)
}

fn signature(domain: &str) -> mail_auth::dkim::Signature {
    mail_auth::dkim::Signature {
        d: domain.to_owned(),
        ..mail_auth::dkim::Signature::default()
    }
}

/// Whether two domains may have the same organizational domain: their last two labels are the same.
fn is_related(one: &str, other: &str) -> bool {
    let last =
        |domain: &str| -> Vec<String> { domain.rsplit('.').take(2).map(str::to_owned).collect() };
    last(one) == last(other)
}

/// The names that the tree walk asks for.
fn walk(domain: &str) -> Vec<String> {
    let labels: Vec<&str> = domain.split('.').collect();
    let mut names = vec![domain.to_owned()];
    let most = labels.len().saturating_sub(1).min(LABELS);
    for count in (1..=most).rev() {
        let suffix = labels.iter().skip(labels.len() - count);
        let suffix: Vec<&str> = suffix.copied().collect();
        names.push(suffix.join("."));
    }
    names
}

/// Records, with their texts, by the domains that have them.
struct Records {
    known: Known,
    texts: HashMap<String, Vec<u8>>,
}

impl Records {
    fn has(&self, domain: &str) -> bool {
        self.known
            .0
            .contains_key(format!("_dmarc.{domain}.").as_str())
    }

    /// The domain whose record this is, and its text.
    fn owner(&self, record: &std::sync::Arc<Record>) -> (&str, &[u8]) {
        let is_it =
            |text: &Txt| matches!(text, Txt::Dmarc(one) if std::sync::Arc::ptr_eq(one, record));
        let found = self.known.0.iter().find(|(_, text)| is_it(text));
        let name = found.map_or("", |(name, _)| name);
        let name = name
            .strip_prefix("_dmarc.")
            .unwrap_or(name)
            .trim_end_matches('.');
        let text = self.texts.get(name).map_or(&[][..], Vec::as_slice);
        (name, text)
    }
}

async fn look_up(dns: &Questions<'_>, domains: BTreeSet<String>) -> Records {
    let each = domains.into_iter().map(async |domain| {
        let name = format!("_dmarc.{domain}");
        (domain, dns.txt(&name).await)
    });
    let mut records = Records {
        known: Known::default(),
        texts: HashMap::new(),
    };
    for (domain, found) in join_all(each).await {
        let text = match found {
            Ok(found) => one_record(found.records),
            // A top-level domain that does not answer says nothing about those below it.
            Err(_) if !domain.contains('.') => Err(Error::Dns(DnsError::InvalidRecordType)),
            Err(_) => Err(unanswered()),
        };
        let record = text.and_then(|text| {
            let record = Record::parse(&text)?;
            records.texts.insert(domain.clone(), text);
            Ok(Txt::Dmarc(record.into()))
        });
        let record = match record {
            Ok(record) => record,
            Err(Error::Dns(error)) => Txt::Error(Error::Dns(error)),
            // RFC 7489 §6.6.3: what is no record is not there.
            Err(_) => Txt::Error(Error::Dns(DnsError::InvalidRecordType)),
        };
        let name = format!("_dmarc.{domain}.");
        records.known.0.insert(name.into_boxed_str(), record);
    }
    records
}

/// RFC 7489 §6.6.3: several are none.
fn one_record(texts: Vec<Vec<u8>>) -> Result<Vec<u8>, Error> {
    let is_record = |text: &Vec<u8>| {
        let text = text.trim_ascii_start();
        text.get(..8)
            .is_some_and(|begin| begin.eq_ignore_ascii_case(b"v=DMARC1"))
    };
    let mut records = texts.into_iter().filter(is_record);
    match (records.next(), records.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(Error::Dns(DnsError::InvalidRecordType)),
    }
}

async fn exists(dns: &Questions<'_>, limits: &Limits, domain: &str) -> bool {
    let found = timeout(limits.patience, dns.addresses(domain, Family::V4)).await;
    match found {
        Ok(Ok(found)) => found.exists,
        // Nothing is known, and what holds for names that exist holds.
        _ => true,
    }
}

fn wish(policy: Policy) -> Wish {
    match policy {
        Policy::None | Policy::Unspecified => Wish::None,
        Policy::Quarantine => Wish::Quarantine,
        Policy::Reject => Wish::Reject,
    }
}

/// `pct=` (RFC 7489 §6.3), which later records no longer have.
fn percent(record: &[u8]) -> u8 {
    let text = String::from_utf8_lossy(record);
    let value = text.split(';').find_map(|tag| {
        let (name, value) = tag.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("pct")
            .then(|| value.trim().parse::<u8>().ok())
    });
    value
        .flatten()
        .filter(|percent| *percent <= 100)
        .unwrap_or(100)
}

fn published(domain: &str, record: &Record) -> Published {
    let wish_of = |policy: Policy, otherwise| match policy {
        Policy::Unspecified => otherwise,
        policy => wish(policy),
    };
    let own = wish(record.p);
    let reports = record.rua.iter().take(4).filter_map(|uri| {
        let address = uri.uri.strip_prefix("mailto:").unwrap_or(&uri.uri);
        let is_address = address.contains('@') && address.is_ascii();
        is_address.then(|| Destination {
            address: address.to_owned(),
            most: u64::try_from(uri.max_size).ok().filter(|most| *most > 0),
        })
    });
    Published {
        domain: domain.to_owned(),
        is_dkim_strict: record.adkim == Alignment::Strict,
        is_spf_strict: record.aspf == Alignment::Strict,
        wish: own,
        subdomain_wish: wish_of(record.sp, own),
        reports_to: reports.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_goes_up_to_the_top() {
        assert_eq!(
            walk("a.b.example.com"),
            ["a.b.example.com", "b.example.com", "example.com", "com"]
        );
        let deep = walk("a.b.c.d.e.f.g.h.i.example.com");
        assert_eq!(deep.len(), 8);
        assert_eq!(deep[1], "e.f.g.h.i.example.com");
        assert_eq!(deep[7], "com");
    }

    #[test]
    fn percent_is_a_number_up_to_a_hundred() {
        for (record, percent) in [
            ("v=DMARC1; p=reject; pct=30", 30),
            ("v=DMARC1; p=reject; PCT = 0 ;", 0),
            ("v=DMARC1; p=reject", 100),
            ("v=DMARC1; p=reject; pct=101", 100),
            ("v=DMARC1; p=reject; pct=x", 100),
        ] {
            assert_eq!(super::percent(record.as_bytes()), percent, "{record}");
        }
    }

    #[test]
    fn several_records_are_none() {
        let text = |text: &str| text.as_bytes().to_vec();
        assert!(one_record(vec![text("x"), text("v=DMARC1; p=none")]).is_ok());
        assert!(one_record(vec![text("v=DMARC1; p=none"), text("v=DMARC1; p=none")]).is_err());
        assert!(one_record(vec![text("v=spf1 -all")]).is_err());
    }
}
