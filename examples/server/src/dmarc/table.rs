//! What others say about our domains, for `mailserver dmarc`.

use hikyaku_trust::reports::{Source, Summary};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use super::counts::DAY;
use super::log::{self, FOLDER};
use crate::printable::printable;

/// What was said of one domain.
#[derive(Default)]
struct OfDomain {
    reports: usize,
    organizations: BTreeSet<String>,
    sources: BTreeMap<Option<IpAddr>, Source>,
    unlisted: u64,
}

/// Sums up the reports about the last days in a data folder, for one domain or for all: a line for each address that mail came
/// from, those with most messages first. `now` is in seconds since 1970.
///
/// # Errors
/// What is kept cannot be read.
pub fn dmarc_table(data: &Path, domain: Option<&str>, days: u32, now: i64) -> io::Result<String> {
    let came = now.saturating_sub(i64::from(days) * DAY);
    let since = u64::try_from(came).unwrap_or(0);
    let mut seen = BTreeSet::new();
    let mut all: BTreeMap<String, OfDomain> = BTreeMap::new();
    // A report comes after the time that it is about.
    log::read(&data.join(FOLDER), came, |one| {
        let (from, one) = (one.from, one.summary);
        let name = one.domain.to_lowercase();
        let is_wanted = domain.is_none_or(|domain| domain.eq_ignore_ascii_case(&name));
        let id = (
            from,
            one.organization.clone(),
            one.id.clone(),
            name.clone(),
            one.begin,
        );
        // What came twice counts once.
        if is_wanted && one.end >= since && seen.insert(id) {
            all.entry(name).or_default().add(one);
        }
    })?;
    let tables = all.iter().map(|(name, one)| one.write(name));
    Ok(tables.collect::<Vec<_>>().join("\n"))
}

impl OfDomain {
    fn add(&mut self, summary: Summary) {
        self.reports += 1;
        self.organizations.insert(summary.organization);
        self.unlisted = self.unlisted.saturating_add(summary.unlisted);
        for source in summary.sources {
            match self.sources.get_mut(&source.address) {
                Some(known) => known.add(&source),
                None => drop(self.sources.insert(source.address, source)),
            }
        }
    }

    fn write(&self, domain: &str) -> String {
        let organizations = self.organizations.iter().map(|one| printable(one));
        let organizations: Vec<_> = organizations.collect();
        let reports = match self.reports {
            1 => "1 report".to_owned(),
            many => format!("{many} reports"),
        };
        let mut text = format!(
            "{}: {reports} of {}\n{:<39} {:>9} {:>9} {:>9} {:>9} {:>10} {:>9}\n",
            printable(domain),
            organizations.join(", "),
            "address",
            "messages",
            "SPF",
            "DKIM",
            "none",
            "quarantine",
            "reject"
        );
        let mut sources: Vec<_> = self.sources.values().collect();
        sources.sort_by_key(|source| std::cmp::Reverse(count(source)));
        for source in sources {
            let address = source.address.map_or("?".into(), |one| one.to_string());
            let held = source.quarantined.saturating_add(source.rejected);
            let none = count(source).saturating_sub(held);
            let _ = writeln!(
                text,
                "{address:<39} {:>9} {:>9} {:>9} {none:>9} {:>10} {:>9}",
                count(source),
                source.spf_aligned,
                source.dkim_aligned,
                source.quarantined,
                source.rejected
            );
        }
        if self.unlisted > 0 {
            let _ = writeln!(text, "{:<39} {:>9}", "other addresses", self.unlisted);
        }
        text
    }
}

fn count(source: &Source) -> u64 {
    source.passed.saturating_add(source.failed)
}
