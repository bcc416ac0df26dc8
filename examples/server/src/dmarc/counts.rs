//! What came here, counted for each day (UTC), in a file for each, until it is reported.

use hikyaku_trust::Checked;
use hikyaku_trust::reports::{Collected, Tally};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tracing::{info, warn};

use crate::private;

/// Seconds of a day.
pub(super) const DAY: i64 = 24 * 60 * 60;
/// How long after its day, at most, a report is sent, in seconds: not all of them at midnight.
const SPREAD: i64 = 4 * 60 * 60;
/// How long it is tried after that.
const TRIED: i64 = DAY;
/// How long to wait after the first failure, and at most, in seconds.
const FIRST: i64 = 5 * 60;
const LONGEST: i64 = 4 * 60 * 60;
/// Days that are kept at a time: today, yesterday, and what a server that was off has left.
const DAYS: usize = 4;
/// The largest file that is read.
const FILE: u64 = 128 << 20;

/// All that is counted.
pub(crate) struct Counts {
    folder: Option<PathBuf>,
    days: Mutex<Days>,
}

#[derive(Default)]
struct Days {
    days: BTreeMap<i64, Tally>,
    /// Reports that could not be sent: when they are tried again, and how often they were tried.
    again: BTreeMap<(i64, String), (i64, u32)>,
    /// Days of which the files are behind.
    changed: BTreeSet<i64>,
}

impl Counts {
    /// Reads what a folder has. A file that cannot be read is none.
    pub(crate) fn open(folder: Option<PathBuf>) -> Self {
        let mut days = Days::default();
        let files = folder.iter().flat_map(|folder| files(folder));
        for (day, path) in files {
            match read(&path) {
                Ok(tally) => drop(days.days.insert(day, tally)),
                Err(error) => {
                    warn!(path = %path.display(), %error, "counts for DMARC reports cannot be read");
                }
            }
        }
        Self {
            folder,
            days: Mutex::new(days),
        }
    }

    fn days(&self) -> MutexGuard<'_, Days> {
        self.days.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a message that came now.
    pub(crate) fn count(&self, checked: &Checked, mail_from: &str, now: i64) {
        let day = now.div_euclid(DAY);
        let mut days = self.days();
        if !days.days.contains_key(&day) && days.days.len() >= DAYS {
            // A clock that jumps begins many days.
            if let Some((oldest, _)) = days.days.pop_first() {
                days.changed.insert(oldest);
            }
        }
        days.days.entry(day).or_default().count(checked, mail_from);
        days.changed.insert(day);
    }

    /// The reports that are due, with their days, up to a number.
    pub(super) fn due(&self, now: i64, most: usize) -> Vec<(i64, Collected)> {
        let days = self.days();
        let over = days.days.range(..now.div_euclid(DAY));
        let each = over.flat_map(|(day, tally)| tally.domains().map(move |one| (*day, tally, one)));
        let due = each.filter(|(day, _, domain)| {
            let again = days.again.get(&(*day, (*domain).to_owned()));
            again.map_or_else(|| due_at(*day, domain), |(at, _)| *at) <= now
        });
        due.take(most)
            .filter_map(|(day, tally, domain)| Some((day, tally.collected(domain)?)))
            .collect()
    }

    /// Notes that a report was sent, or is not wanted; or that it could not be sent, and is tried again.
    pub(super) fn settle(&self, day: i64, domain: &str, is_done: bool, now: i64) {
        let mut days = self.days();
        let key = (day, domain.to_owned());
        if !is_done && now < (day + 1) * DAY + SPREAD + TRIED {
            let again = days.again.entry(key).or_default();
            let wait = FIRST.saturating_mul(1 << again.1.min(16)).min(LONGEST);
            *again = (now + wait, again.1 + 1);
            return;
        }
        if !is_done {
            info!(domain, "a DMARC report was given up");
        }
        days.again.remove(&key);
        if let Some(tally) = days.days.get_mut(&day) {
            tally.forget(domain);
            if tally.is_empty() {
                days.days.remove(&day);
            }
        }
        days.changed.insert(day);
    }

    /// Brings the files up to what was counted.
    pub(crate) fn save(&self) {
        let Some(folder) = &self.folder else { return };
        let changed: Vec<_> = {
            let mut days = self.days();
            let changed = std::mem::take(&mut days.changed).into_iter();
            let text = |day| (day, days.days.get(&day).map(serde_json::to_vec));
            changed.map(text).collect()
        };
        for (day, text) in changed {
            let name = format!("{day}.json");
            let done = match text {
                Some(Ok(octets)) => private::write(folder, &name, &octets),
                Some(Err(error)) => Err(error.into()),
                None => match std::fs::remove_file(folder.join(&name)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => Ok(()),
                },
            };
            if let Err(error) = done {
                warn!(%error, name, "counts for DMARC reports are not kept");
                self.days().changed.insert(day);
            }
        }
    }
}

/// When the report of a day is due: for each domain at another time, the same one each day.
fn due_at(day: i64, domain: &str) -> i64 {
    let sum = domain.bytes().fold(0_i64, |sum, octet| {
        (sum * 31 + i64::from(octet)).rem_euclid(SPREAD)
    });
    (day + 1) * DAY + sum
}

fn files(folder: &Path) -> Vec<(i64, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let days = entries.take(100).filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let day = name.strip_suffix(".json")?.parse().ok()?;
        Some((day, entry.path()))
    });
    let mut days: Vec<_> = days.collect();
    days.sort();
    days.split_off(days.len().saturating_sub(DAYS))
}

fn read(path: &Path) -> io::Result<Tally> {
    if std::fs::metadata(path)?.len() > FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(domain: &str) -> Tally {
        let text = format!(
            "{{\"domains\":{{\"{domain}\":{{\"published\":{{\"domain\":\"{domain}\",\"is_dkim_strict\":false,\
             \"is_spf_strict\":false,\"wish\":\"none\",\"subdomain_wish\":\"none\",\"reports_to\":[]}},\
             \"rows\":[]}}}},\"uncounted\":0}}"
        );
        serde_json::from_str(&text).unwrap()
    }

    fn due(counts: &Counts, now: i64) -> Vec<(i64, String)> {
        let due = counts.due(now, 9).into_iter();
        due.map(|(day, one)| (day, one.domain)).collect()
    }

    #[test]
    fn a_report_is_due_after_its_day_and_tried_for_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let counts = Counts::open(Some(folder.path().to_owned()));
        counts.days().days.insert(10, tally("a.test"));
        counts.days().changed.insert(10);
        let at = due_at(10, "a.test");
        assert!((11 * DAY..11 * DAY + SPREAD).contains(&at));
        assert!(due(&counts, at - 1).is_empty());
        assert_eq!(due(&counts, at), [(10, "a.test".to_owned())]);
        counts.settle(10, "a.test", false, at);
        assert!(due(&counts, at + FIRST - 1).is_empty());
        assert_eq!(due(&counts, at + FIRST).len(), 1);
        counts.settle(10, "a.test", false, at + FIRST);
        assert!(due(&counts, at + 2 * FIRST).is_empty());
        // It outlives a restart.
        counts.save();
        let counts = Counts::open(Some(folder.path().to_owned()));
        assert_eq!(due(&counts, at).len(), 1);
        counts.settle(10, "a.test", false, 12 * DAY + SPREAD);
        counts.save();
        assert!(due(&counts, i64::MAX / 2).is_empty());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn days_are_few_and_what_cannot_be_read_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for day in 1..8 {
            let text = serde_json::to_string(&tally("a.test")).unwrap();
            std::fs::write(folder.path().join(format!("{day}.json")), text).unwrap();
        }
        std::fs::write(folder.path().join("7.json"), "{").unwrap();
        let counts = Counts::open(Some(folder.path().to_owned()));
        let days: Vec<_> = counts.days().days.keys().copied().collect();
        assert_eq!(days, [4, 5, 6]);
    }
}
