//! What came here, counted until a report is made of it (RFC 7489 §7.2).

use mail_auth::report::{
    ActionDisposition, Alignment, DKIMAuthResult, Disposition, DkimResult, DmarcResult, Record,
    Report, SPFAuthResult, SPFDomainScope, SpfResult,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::checker::Checked;
use crate::decision::Decision;
use crate::outcome::Outcome;
use crate::verdicts::{Destination, Published, Wish};

/// Domains that are reported to at a time: anybody may send in as many names as they have.
const DOMAINS: usize = 1000;
/// Rows of a report.
const ROWS: usize = 1000;
/// Rows of all reports together: each has some names that strangers chose.
const ALL_ROWS: usize = 20_000;
/// Signatures in a row.
const SIGNATURES: usize = 3;

/// Messages since the last report, counted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tally {
    domains: BTreeMap<String, Counted>,
    /// Messages that are in no report, since there were too many domains or rows.
    pub uncounted: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Counted {
    published: Published,
    #[serde(with = "pairs")]
    rows: BTreeMap<Row, u32>,
}

/// Formats such as JSON have texts alone as keys.
mod pairs {
    use super::{BTreeMap, Row};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        rows: &BTreeMap<Row, u32>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(rows)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(
        deserializer: D,
    ) -> Result<BTreeMap<Row, u32>, D::Error> {
        let pairs = Vec::<(Row, u32)>::deserialize(deserializer)?;
        Ok(pairs.into_iter().collect())
    }
}

/// What messages have in common that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Row {
    address: IpAddr,
    author: String,
    sender: String,
    disposition: u8,
    is_dkim_aligned: bool,
    is_spf_aligned: bool,
    spf: Option<(String, Outcome)>,
    dkim: Vec<(String, String, Outcome)>,
}

/// What is to be reported to one domain.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Collected {
    /// The domain.
    pub domain: String,
    /// Where it wants its report. Addresses of other domains have to be asked for first:
    /// [`Checker::may_report_to`](crate::Checker::may_report_to).
    pub reports_to: Vec<Destination>,
    /// How many messages it is about.
    pub messages: u64,
    counted: Counted,
}

/// The organisation that reports, as it names itself in its reports.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs)]
pub struct Reporter<'a> {
    /// The name of the organization.
    pub organization: &'a str,
    /// The domain that submits.
    pub domain: &'a str,
    /// The address that reports come from, and that answers go to.
    pub address: &'a str,
}

impl Tally {
    /// Counts a message, if its author's domain wants reports.
    pub fn count(&mut self, checked: &Checked, mail_from: &str) {
        let verdicts = &checked.verdicts;
        let Some(dmarc) = &verdicts.dmarc else {
            return;
        };
        let Some(published) = dmarc
            .published
            .as_ref()
            .filter(|one| !one.reports_to.is_empty())
        else {
            return;
        };
        let is_room = self.domains.len() < DOMAINS || self.domains.contains_key(&published.domain);
        if !is_room {
            self.uncounted += 1;
            return;
        }
        let sender = mail_from.rsplit_once('@').map_or("", |(_, domain)| domain);
        let dkim = verdicts
            .dkim
            .iter()
            .flatten()
            .filter(|one| !one.domain.is_empty());
        let row = Row {
            address: verdicts.address,
            author: dmarc.domain.clone(),
            sender: short(sender).to_ascii_lowercase(),
            disposition: match checked.decision {
                _ if dmarc.outcome == Outcome::Pass => 0,
                Decision::Refuse(_) => 2,
                Decision::Quarantine { .. } => 1,
                Decision::Accept | Decision::Defer(_) => 0,
            },
            is_dkim_aligned: dmarc.is_dkim_aligned,
            is_spf_aligned: dmarc.is_spf_aligned,
            spf: verdicts
                .spf
                .as_ref()
                .map(|spf| (spf.domain.clone(), spf.outcome)),
            dkim: dkim
                .take(SIGNATURES)
                .map(|one| (one.domain.clone(), short(&one.selector), one.outcome))
                .collect(),
        };
        let all_rows: usize = self.domains.values().map(|one| one.rows.len()).sum();
        let counted = self
            .domains
            .entry(published.domain.clone())
            .or_insert_with(|| Counted {
                published: published.clone(),
                rows: BTreeMap::new(),
            });
        // The record may have changed since: the last one is the one that is reported.
        counted.published = published.clone();
        let has_room = counted.rows.len() < ROWS && all_rows < ALL_ROWS;
        if has_room || counted.rows.contains_key(&row) {
            let count = counted.rows.entry(row).or_default();
            *count = count.saturating_add(1);
        } else {
            self.uncounted += 1;
        }
    }

    /// Returns whether nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// Returns the domains that are to have a report.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        self.domains.keys().map(String::as_str)
    }

    /// Returns what is to be reported to a domain.
    pub fn collected(&self, domain: &str) -> Option<Collected> {
        let counted = self.domains.get(domain)?;
        let counts = counted.rows.values();
        Some(Collected {
            domain: domain.to_owned(),
            reports_to: counted.published.reports_to.clone(),
            messages: counts.map(|count| u64::from(*count)).sum(),
            counted: counted.clone(),
        })
    }

    /// Forgets what was counted for a domain: it was reported, or is not wanted.
    pub fn forget(&mut self, domain: &str) {
        self.domains.remove(domain);
    }
}

impl Collected {
    /// Returns the report as XML.
    pub fn xml(&self, reporter: Reporter<'_>, begin: u64, end: u64) -> String {
        self.report(reporter, begin, end).to_xml()
    }

    /// The name of the report, which no other one of the reporter's has.
    pub(super) fn id(&self, reporter: Reporter<'_>, begin: u64) -> String {
        format!("{begin}.{}@{}", self.domain, reporter.domain)
    }

    fn report(&self, reporter: Reporter<'_>, begin: u64, end: u64) -> Report {
        let published = &self.counted.published;
        let alignment = |is_strict| match is_strict {
            true => Alignment::Strict,
            false => Alignment::Relaxed,
        };
        let report = Report::new()
            .with_version(1.0)
            .with_org_name(reporter.organization)
            .with_email(reporter.address)
            .with_report_id(self.id(reporter, begin))
            .with_date_range_begin(begin)
            .with_date_range_end(end)
            .with_domain(&self.domain)
            .with_adkim(alignment(published.is_dkim_strict))
            .with_aspf(alignment(published.is_spf_strict))
            .with_p(disposition(published.wish))
            .with_sp(disposition(published.subdomain_wish));
        let rows = self.counted.rows.iter();
        rows.fold(report, |report, (row, count)| {
            report.with_record(record(row, *count))
        })
    }
}

/// No longer than a domain name is.
fn short(text: &str) -> String {
    text.chars().take(253).collect()
}

fn disposition(wish: Wish) -> Disposition {
    match wish {
        Wish::None => Disposition::None,
        Wish::Quarantine => Disposition::Quarantine,
        Wish::Reject => Disposition::Reject,
    }
}

fn record(row: &Row, count: u32) -> Record {
    let aligned = |is_aligned| match is_aligned {
        true => DmarcResult::Pass,
        false => DmarcResult::Fail,
    };
    let mut record = Record::new()
        .with_source_ip(row.address)
        .with_count(count)
        .with_header_from(&row.author)
        .with_envelope_from(&row.sender)
        .with_action_disposition(match row.disposition {
            2 => ActionDisposition::Reject,
            1 => ActionDisposition::Quarantine,
            _ => ActionDisposition::None,
        })
        .with_dmarc_dkim_result(aligned(row.is_dkim_aligned))
        .with_dmarc_spf_result(aligned(row.is_spf_aligned));
    for (domain, selector, outcome) in &row.dkim {
        let result = DKIMAuthResult::new()
            .with_domain(domain)
            .with_selector(selector)
            .with_result(outcome.word().parse().unwrap_or(DkimResult::None));
        record = record.with_dkim_auth_result(result);
    }
    if let Some((domain, outcome)) = &row.spf {
        let result = SPFAuthResult::new()
            .with_domain(domain)
            .with_scope(SPFDomainScope::MailFrom)
            .with_result(outcome.word().parse().unwrap_or(SpfResult::None));
        record = record.with_spf_auth_result(result);
    }
    record
}
