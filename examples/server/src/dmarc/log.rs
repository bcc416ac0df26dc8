//! The reports that came, a line each, in a file for each day on which they came.

use hikyaku_trust::reports::Summary;
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
/// How long reports are kept, in days.
const KEPT: i64 = 400;
/// Longer lines are no reports.
const LINE: u64 = 1 << 20;

/// Keeps a report that came now.
pub(super) fn keep(folder: &Path, summary: &Summary, now: i64) -> io::Result<()> {
    private::folder(folder)?;
    let today = now.div_euclid(DAY);
    let path = folder.join(format!("{today}.jsonl"));
    if !path.exists() {
        let old = files(folder).into_iter();
        for (_, path) in old.filter(|(day, _)| *day < today - KEPT) {
            std::fs::remove_file(path)?;
        }
    }
    let mut line = serde_json::to_vec(summary)?;
    line.push(b'\n');
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create(true).mode(0o600).open(&path)?;
    let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
    if file.metadata()?.len().saturating_add(length) > FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    file.write_all(&line)
}

/// Calls `each` with the reports that came since that time, in seconds since 1970. Lines that are none are passed over.
pub(super) fn read(folder: &Path, since: i64, mut each: impl FnMut(Summary)) -> io::Result<()> {
    let files = files(folder).into_iter();
    for (_, path) in files.filter(|(day, _)| *day >= since.div_euclid(DAY)) {
        let mut lines = BufReader::new(File::open(path)?);
        let mut line = Vec::new();
        loop {
            line.clear();
            if lines.by_ref().take(LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if let Ok(summary) = serde_json::from_slice(&line) {
                each(summary);
            }
        }
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
            read(&folder, since, |one| ids.push(one.id)).unwrap();
            ids.join(" ")
        };
        assert_eq!(ids(0), "");
        let mut summary = Summary::default();
        summary.id = "1".into();
        keep(&folder, &summary, DAY).unwrap();
        std::fs::write(folder.join("2.jsonl"), "{torn\n\n").unwrap();
        summary.id = "2".into();
        keep(&folder, &summary, 2 * DAY).unwrap();
        assert_eq!(ids(0), "1 2");
        keep(&folder, &summary, (KEPT + 2) * DAY).unwrap();
        assert_eq!(ids(0), "2 2");
        assert_eq!(ids(3 * DAY), "2");
        let full = vec![b'\n'; usize::try_from(FILE).unwrap()];
        std::fs::write(folder.join("500.jsonl"), full).unwrap();
        assert!(keep(&folder, &summary, 500 * DAY).is_err());
    }
}
