//! Reads the log, also while it is written.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::log::{files, millis};
use super::record::Record;

/// Longer lines are no records.
const LINE: u64 = 1 << 20;

/// Calls `each` with all records since that time in milliseconds, in the order in which they were written. Lines that are
/// no records are passed over.
pub(crate) fn read(
    folder: &Path,
    since: i64,
    mut each: impl FnMut(Record<'static>),
) -> std::io::Result<()> {
    for path in files(folder) {
        // What was written last is not younger than the file.
        let modified = std::fs::metadata(&path).and_then(|metadata| metadata.modified());
        let margin = Duration::from_secs(60);
        if modified.is_ok_and(|at| millis(at + margin) < since) {
            continue;
        }
        let file = match File::open(&path) {
            Ok(file) => file,
            // It was the oldest, and is gone.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let mut lines = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            if lines.by_ref().take(LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if let Ok(record) = serde_json::from_slice::<Record<'_>>(&line)
                && record.at >= since
            {
                each(record);
            }
        }
    }
    Ok(())
}

/// The time of so long ago, in milliseconds.
pub(crate) fn ago(span: Duration) -> i64 {
    SystemTime::now().checked_sub(span).map_or(0, millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_record_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let record = |at: i64| format!("{{\"at\":{at},\"id\":\"1.0\",\"event\":\"too-large\"}}\n");
        let torn = "{\"at\":3,\"id\":\"1";
        let text = format!("{}x\n\u{0}\n{}{torn}", record(1), record(2));
        std::fs::write(folder.path().join("2000-01-02-00000.jsonl"), text).unwrap();
        let older = folder.path().join("2000-01-01-00000.jsonl");
        std::fs::write(older, format!("{}{}", record(0), "y".repeat(3 << 20))).unwrap();
        std::fs::write(folder.path().join("other.txt"), record(9)).unwrap();
        for (since, expected) in [(0, &[0, 1, 2][..]), (2, &[2]), (3, &[])] {
            let mut found = Vec::new();
            read(folder.path(), since, |record| found.push(record.at)).unwrap();
            assert_eq!(found, expected);
        }
        assert!(read(&folder.path().join("none"), 0, |_| ()).is_ok());
    }
}
