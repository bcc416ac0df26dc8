//! The reports that came, a line each, in a file for each day on which they came.

use hikyaku_trust::reports::Summary;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::counts::DAY;
use crate::private;

/// The folder, in the data folder.
pub(super) const FOLDER: &str = "dmarc-received";
/// Octets of a file, beyond which the reports of a day are not kept: anybody can send them.
const FILE: u64 = 8 << 20;
/// Octets of those that one domain sent, of these.
const SHARE: u64 = FILE / 8;
/// Octets of all files. With more, those of the oldest days go.
const ALL: u64 = 256 << 20;
/// How long reports are kept, in days.
const KEPT: i64 = 400;
/// Longer lines are no reports.
const LINE: u64 = 1 << 20;

/// A report that came.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Received {
    /// The domain that sent it, as SPF or DKIM shows. Empty where that was not kept.
    #[serde(default)]
    pub(super) from: String,
    #[serde(flatten)]
    pub(super) summary: Summary,
}

/// Keeps a report that came now.
pub(super) fn keep(folder: &Path, report: &Received, now: i64) -> io::Result<()> {
    private::folder(folder)?;
    let today = now.div_euclid(DAY);
    let path = folder.join(format!("{today}.jsonl"));
    if !path.exists() {
        make_room(folder, today)?;
    }
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    let mut options = OpenOptions::new();
    let options = options.read(true).append(true).create(true).mode(0o600);
    let mut file = options.open(&path)?;
    let (length, before) = (octets(&line), file.metadata()?.len());
    if before.saturating_add(length) > FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let (mut share, mut last) = (length, b'\n');
    lines(&file, |line| {
        last = line.last().copied().unwrap_or(last);
        let is_theirs = |one: Received| together(&one.from) == together(&report.from);
        if serde_json::from_slice(line).is_ok_and(is_theirs) {
            share += octets(line);
        }
    })?;
    if share > SHARE {
        return Err(io::Error::other(format!(
            "{} has sent too many today",
            report.from
        )));
    }
    // A line that a crash has cut off stays alone.
    if last != b'\n' {
        line.insert(0, b'\n');
    }
    let written = file.write_all(&line);
    if written.is_err() {
        // What there is of it would spoil the next one.
        let _ = file.set_len(before);
    }
    written
}

/// What all domains of a sender have in common: their last two labels, as DMARC takes them to be related.
fn together(domain: &str) -> &str {
    let mut dots = domain.rmatch_indices('.');
    let second = dots.nth(1);
    second.map_or(domain, |(at, _)| domain.get(at + 1..).unwrap_or(domain))
}

fn octets(line: &[u8]) -> u64 {
    u64::try_from(line.len()).unwrap_or(u64::MAX)
}

/// Removes what is too old, and the oldest of what is too much.
fn make_room(folder: &Path, today: i64) -> io::Result<()> {
    let mut all = 0_u64;
    for (day, path) in files(folder).into_iter().rev() {
        all = all.saturating_add(std::fs::metadata(&path)?.len());
        if day < today - KEPT || all > ALL {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Calls `each` with each line of a file, with its end.
fn lines(file: &File, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.by_ref().take(LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        each(&line);
    }
}

/// Calls `each` with the reports that came since that time, in seconds since 1970. Lines that are none are passed over.
pub(super) fn read(folder: &Path, since: i64, mut each: impl FnMut(Received)) -> io::Result<()> {
    let files = files(folder).into_iter();
    for (_, path) in files.filter(|(day, _)| *day >= since.div_euclid(DAY)) {
        lines(&File::open(path)?, |line| {
            if let Ok(report) = serde_json::from_slice(line) {
                each(report);
            }
        })?;
    }
    Ok(())
}

/// The files with their days, in order.
fn files(folder: &Path) -> Vec<(i64, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let days = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let day = name.strip_suffix(".jsonl")?.parse().ok()?;
        Some((day, entry.path()))
    });
    let mut days: Vec<_> = days.collect();
    days.sort();
    days
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_kept_for_a_while_and_within_bounds() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("reports");
        let ids = |since| {
            let mut ids = Vec::new();
            read(&folder, since, |one| ids.push(one.summary.id)).unwrap();
            ids.join(" ")
        };
        assert_eq!(ids(0), "");
        let mut report = Received::default();
        report.summary.id = "1".into();
        keep(&folder, &report, DAY).unwrap();
        std::fs::write(folder.join("2.jsonl"), "{torn\n\n{torn").unwrap();
        report.summary.id = "2".into();
        keep(&folder, &report, 2 * DAY).unwrap();
        assert_eq!(ids(0), "1 2");
        keep(&folder, &report, (KEPT + 2) * DAY).unwrap();
        assert_eq!(ids(0), "2 2");
        assert_eq!(ids(3 * DAY), "2");
        let full = vec![b'\n'; usize::try_from(FILE).unwrap()];
        std::fs::write(folder.join("500.jsonl"), full).unwrap();
        assert!(keep(&folder, &report, 500 * DAY).is_err());
    }

    #[test]
    fn one_domain_leaves_room_for_others() {
        let home = tempfile::tempdir().unwrap();
        let mut report = Received {
            from: "flood.test".into(),
            ..Received::default()
        };
        report.summary.organization = "x".repeat(100 << 10);
        let mut kept = 0;
        while keep(home.path(), &report, DAY).is_ok() {
            kept += 1;
        }
        assert_eq!(kept, 10);
        report.from = "another.flood.test".into();
        assert!(keep(home.path(), &report, DAY).is_err());
        report.from = "google.test".into();
        keep(home.path(), &report, DAY).unwrap();
        // Days that are too much together go, the oldest first.
        let octets = usize::try_from(ALL / 2).unwrap();
        for day in 2..4 {
            let path = home.path().join(format!("{day}.jsonl"));
            std::fs::File::create(path)
                .unwrap()
                .set_len(octets as u64)
                .unwrap();
        }
        keep(home.path(), &report, 5 * DAY).unwrap();
        let days: Vec<_> = files(home.path()).into_iter().map(|(day, _)| day).collect();
        assert_eq!(days, [2, 3, 5]);
    }
}
