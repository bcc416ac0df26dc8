//! The writer: a thread of its own, so that no conversation waits for a disk.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use tracing::warn;

use super::record::{Record, What};
use super::waiting::Waiting;
use crate::config::Trace;
use crate::metrics::{Metrics, count};
use crate::private;

/// How often it is looked for what is too old.
const TIDY: Duration = Duration::from_secs(600);
/// A file is at most this part of the whole log, so that not much goes at a time.
const PARTS: u64 = 16;
/// But a file may have this many octets.
const SMALLEST: u64 = 64 * 1024;
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// The folder of the log.
pub(crate) fn folder(data: &Path) -> PathBuf {
    data.join("trace")
}

/// The files of the log, the oldest first.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_part = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "jsonl");
    let mut all: Vec<_> = entries.map(|entry| entry.path()).filter(is_part).collect();
    all.sort();
    all
}

/// The name of a file: the day since 1970, in UTC, and which one of that day it is.
fn name(day: i64, nth: u32) -> String {
    let day = time::OffsetDateTime::from_unix_timestamp(day.saturating_mul(86_400));
    let day = day.unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (day.year(), u8::from(day.month()), day.day());
    format!("{year:04}-{month:02}-{day:02}-{nth:05}.jsonl")
}

/// The log, for all who write to it.
pub(crate) struct TraceLog {
    waiting: Arc<Waiting>,
    metrics: Arc<Metrics>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl TraceLog {
    /// Opens the log; `None` when it is off, or cannot be opened, which is logged.
    pub(crate) fn open(data: &Path, config: &Trace, metrics: Arc<Metrics>) -> Option<Arc<Self>> {
        if config.keep.0.is_zero() || config.size.0 == 0 {
            return None;
        }
        let waiting = Arc::new(Waiting::default());
        let mut writer = Writer {
            folder: folder(data),
            keep: config.keep.0,
            size: config.size.0,
            part: None,
            waiting: Arc::clone(&waiting),
            metrics: Arc::clone(&metrics),
            is_failing: false,
        };
        let spawned = private::folder(&writer.folder).and_then(|_| {
            let thread = std::thread::Builder::new().name("trace".into());
            thread.spawn(move || writer.run())
        });
        let thread = spawned
            .inspect_err(|error| warn!(%error, "the trace log cannot be opened: nothing is traced"))
            .ok()?;
        Some(Arc::new(Self {
            waiting,
            metrics,
            thread: Mutex::new(Some(thread)),
        }))
    }

    /// Adds what happened to a message now. Never waits for a disk.
    pub(crate) fn add(&self, id: &str, what: What<'_>) {
        let at = millis(SystemTime::now());
        let id = id.into();
        let line = Record { at, id, what }.line();
        if !self.waiting.add(at.div_euclid(DAY), &line) {
            count(&self.metrics.trace_records_dropped_total);
        }
    }

    /// Writes what waits, and ends.
    pub(crate) fn close(&self) {
        self.waiting.close();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

/// A time in milliseconds since 1970.
pub(crate) fn millis(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// How many octets are whole lines, of about as many as a file may have at least.
fn whole_lines(lines: &[u8]) -> usize {
    let most = usize::try_from(SMALLEST).unwrap_or(usize::MAX);
    let end = lines
        .get(..most)
        .and_then(|front| front.iter().rposition(|&octet| octet == b'\n'));
    end.map_or(lines.len(), |end| end + 1)
}

/// The file that is written to.
struct Part {
    path: PathBuf,
    file: File,
    octets: u64,
    day: i64,
}

struct Writer {
    folder: PathBuf,
    keep: Duration,
    size: u64,
    part: Option<Part>,
    waiting: Arc<Waiting>,
    metrics: Arc<Metrics>,
    is_failing: bool,
}

impl Writer {
    fn run(&mut self) {
        self.tidy();
        let mut tidied = Instant::now();
        loop {
            let taken = self.waiting.take(TIDY);
            for (day, lines) in &taken.days {
                self.write_all(*day, lines);
            }
            if taken.lost > 0 {
                let at = millis(SystemTime::now());
                let (id, count) = (Cow::default(), taken.lost);
                let what = What::Lost { count };
                self.write_all(at.div_euclid(DAY), &Record { at, id, what }.line());
            }
            if taken.is_last {
                return;
            }
            if tidied.elapsed() >= TIDY {
                self.tidy();
                tidied = Instant::now();
            }
        }
    }

    /// Writes whole lines of one day, or counts those that cannot be written.
    fn write_all(&mut self, day: i64, lines: &[u8]) {
        let mut rest = lines;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(whole_lines(rest));
            if let Err(error) = self.write(day, piece) {
                self.part = None;
                if !std::mem::replace(&mut self.is_failing, true) {
                    warn!(%error, "the trace log cannot be written");
                }
                let dropped = rest.iter().filter(|&&octet| octet == b'\n').count() as u64;
                self.waiting.lose(dropped);
                let total = &self.metrics.trace_records_dropped_total;
                total.fetch_add(dropped, Ordering::Relaxed);
                return;
            }
            self.is_failing = false;
            rest = behind;
        }
    }

    /// Writes whole lines of one day.
    fn write(&mut self, day: i64, octets: &[u8]) -> io::Result<()> {
        let limit = (self.size / PARTS).max(SMALLEST);
        if let Some(part) = &self.part
            && (part.day != day || part.octets + octets.len() as u64 > limit)
        {
            self.part = None;
        }
        if self.part.is_none() {
            self.tidy();
            self.part = Some(self.begin(day, limit.saturating_sub(octets.len() as u64))?);
        }
        if let Some(part) = &mut self.part {
            part.file.write_all(octets)?;
            part.octets += octets.len() as u64;
        }
        Ok(())
    }

    /// Opens the last file of that day, if it has not more than `most` octets; else the next one.
    fn begin(&self, day: i64, most: u64) -> io::Result<Part> {
        let of_day = name(day, 0);
        let prefix = of_day.get(..11).unwrap_or("");
        let mut nth = 0;
        for path in files(&self.folder) {
            let name = path.file_name().and_then(|name| name.to_str());
            let number = name.and_then(|name| name.strip_prefix(prefix)?.strip_suffix(".jsonl"));
            if let Some(number) = number.and_then(|number| number.parse::<u32>().ok()) {
                nth = number;
            }
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        loop {
            let path = self.folder.join(name(day, nth));
            let mut file = options.open(&path)?;
            let mut octets = file.metadata()?.len();
            if octets > most {
                nth += 1;
                continue;
            }
            if octets > 0 {
                // A line that a crash has torn is ended.
                let mut last = [0];
                file.seek(SeekFrom::End(-1))?;
                file.read_exact(&mut last)?;
                if last != *b"\n" {
                    file.write_all(b"\n")?;
                    octets += 1;
                }
            }
            return Ok(Part {
                path,
                file,
                octets,
                day,
            });
        }
    }

    /// Removes what is too old, and the oldest of what is too much.
    fn tidy(&self) {
        let current = self.part.as_ref().map(|part| &part.path);
        let mut kept = Vec::new();
        let mut total = 0;
        for path in files(&self.folder) {
            let Ok(metadata) = std::fs::metadata(&path) else {
                continue;
            };
            let age = metadata.modified().ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > self.keep) && Some(&path) != current {
                let _ = std::fs::remove_file(&path);
            } else {
                total += metadata.len();
                kept.push((path, metadata.len()));
            }
        }
        // Room for one more file.
        let most = self.size.saturating_sub((self.size / PARTS).max(SMALLEST));
        for (path, octets) in kept {
            if total <= most {
                break;
            }
            if Some(&path) != current && std::fs::remove_file(&path).is_ok() {
                total -= octets;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Size, Span};
    use std::os::unix::fs::PermissionsExt as _;

    fn config(size: u64) -> Trace {
        Trace {
            keep: Span(Duration::from_secs(7 * 86_400)),
            size: Size(size),
        }
    }

    fn failed(why: &str) -> What<'_> {
        What::Failed {
            to: "a@b.test".into(),
            why: why.into(),
        }
    }

    #[test]
    fn what_is_added_is_there_when_it_is_closed_and_nobody_else_reads_it() {
        let data = tempfile::tempdir().unwrap();
        for round in 0..2 {
            let log = TraceLog::open(data.path(), &config(1 << 30), Arc::default()).unwrap();
            for n in 0..100 {
                log.add(&format!("{round}.{n}"), failed("x"));
            }
            log.close();
            // Nobody takes it any more.
            log.add("late", failed("x"));
            assert_eq!(
                log.metrics
                    .trace_records_dropped_total
                    .load(Ordering::Relaxed),
                1
            );
        }
        let files = files(&folder(data.path()));
        assert!(
            files.len() == 1 || files.len() == 2,
            "it was midnight at most once: {files:?}"
        );
        let mut lines = 0;
        for file in &files {
            let mode = std::fs::metadata(file).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600);
            lines += std::fs::read_to_string(file).unwrap().lines().count();
        }
        assert_eq!(lines, 200);
        let off = [
            config(0),
            Trace {
                keep: Span(Duration::ZERO),
                ..config(1 << 20)
            },
        ];
        for off in off {
            assert!(TraceLog::open(data.path(), &off, Arc::default()).is_none());
        }
    }

    fn writer(folder: &Path, keep: Duration, size: u64) -> Writer {
        Writer {
            folder: folder.to_owned(),
            keep,
            size,
            part: None,
            waiting: Arc::default(),
            metrics: Arc::default(),
            is_failing: false,
        }
    }

    /// Writes a record of that time.
    fn write(writer: &mut Writer, at: i64, text: &str) {
        let record = Record {
            at,
            id: "1.0".into(),
            what: failed(text),
        };
        writer.write_all(at.div_euclid(DAY), &record.line());
    }

    #[test]
    fn files_change_by_day_and_by_size_and_the_oldest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let most = 1 << 20;
        let mut writer = writer(folder.path(), Duration::from_secs(1 << 30), most);
        let text = "x".repeat(400);
        for n in 0..10_000_i64 {
            // Two days, both at noon.
            let at = (n / 5_000) * DAY + DAY / 2 + n;
            write(&mut writer, at, &text);
        }
        let files = files(folder.path());
        let sizes = files
            .iter()
            .map(|file| std::fs::metadata(file).unwrap().len());
        let sizes: Vec<_> = sizes.collect();
        assert!(sizes.iter().all(|&size| size <= most / PARTS), "{sizes:?}");
        let total: u64 = sizes.iter().sum();
        assert!(total <= most && total > most / 2, "{total}");
        let last = files.last().unwrap().file_name().unwrap().to_str().unwrap();
        assert!(last.starts_with("1970-01-02-0"), "{last}");
        let text = std::fs::read_to_string(files.last().unwrap()).unwrap();
        assert!(
            text.lines()
                .last()
                .unwrap()
                .contains(&format!("{}", DAY + DAY / 2 + 9_999))
        );
    }

    #[test]
    fn what_is_too_old_is_removed_and_a_torn_line_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let now = millis(SystemTime::now());
        let torn = folder.path().join(name(now.div_euclid(DAY), 3));
        std::fs::write(&torn, "{\"at\":1,\"id").unwrap();
        let old = folder.path().join(name(0, 0));
        std::fs::write(&old, "{}\n").unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(100);
        File::options()
            .write(true)
            .open(&old)
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        let mut writer = writer(folder.path(), Duration::from_secs(60), 1 << 30);
        write(&mut writer, now, "whole");
        assert!(!old.exists());
        let text = std::fs::read_to_string(&torn).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines.len() == 2 && lines[1].contains("whole"), "{text}");
    }

    #[test]
    fn a_disk_that_fails_costs_records_and_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        let mut writer = writer(&gone, Duration::from_secs(60), 1 << 30);
        writer.write_all(0, b"a\nb\n");
        let dropped = &writer.metrics.trace_records_dropped_total;
        assert_eq!(dropped.load(Ordering::Relaxed), 2);
        assert_eq!(writer.waiting.take(Duration::ZERO).lost, 2);
        std::fs::create_dir(&gone).unwrap();
        writer.write_all(0, b"c\n");
        assert_eq!(files(&gone).len(), 1);
    }
}
