//! The disk fails: at the n-th write, flush, open, cut, rename or removal, once or for good.
//!
//! `faults.c` stands between a child and its files. A sample runs with the other tests;
//! `HIKYAKU_FAULTS=all` runs every call (half an hour).

use super::workload::{prepare, verify};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, RwLock};
use std::thread;

/// What stands between, compiled once.
fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/disk/faults.c");
        let shim = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("faults-{}.so", std::process::id()));
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&shim)
            .arg(source)
            .args(["-ldl", "-lpthread"])
            .status()
            .expect("cc, which SQLite needs too");
        assert!(compiled.success());
        shim
    })
}

/// Until it runs, a child holds every file that is open here, and with it the lock of a store: no store is open
/// in this process while one starts.
static STARTING: RwLock<()> = RwLock::new(());

/// Runs the child with faults; what it said, and how many calls there were.
pub(super) fn run(directory: &Path, root: &Path, variables: &[(&str, String)]) -> (String, u64) {
    let calls = directory.join("calls");
    let starting = STARTING.write().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "--test-threads=1",
            "disk::workload::child",
        ])
        .env("HIKYAKU_CHILD", directory)
        .env("LD_PRELOAD", shim())
        .env("FAULTS_ROOT", root)
        .env("FAULTS_CALLS", &calls)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(starting);
    let status = child.wait().unwrap();
    assert!(status.success(), "{variables:?}: the child failed");
    let acks = std::fs::read_to_string(directory.join("acks")).unwrap();
    let calls = std::fs::read_to_string(calls).unwrap().parse().unwrap();
    (acks, calls)
}

pub(super) fn all() -> bool {
    std::env::var("HIKYAKU_FAULTS").is_ok_and(|wanted| wanted == "all")
}

/// Some of the numbers up to `most`, spread over all of them, or all.
fn sample(most: u64, count: u64, shift: u64) -> Vec<u64> {
    if all() || most <= count {
        return (1..=most).collect();
    }
    let step = most / count;
    (0..count).map(|n| 1 + n * step + shift % step).collect()
}

/// Does the work for each number, as many at once as there are processors.
fn side_by_side(numbers: &[u64], work: impl Fn(u64) + Sync) {
    let next = AtomicUsize::new(0);
    let worker = || {
        while let Some(number) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(*number);
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(worker);
        }
    });
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EMFILE: i32 = 24;
const FOR_GOOD: u64 = 1_000_000;

/// How calls fail.
struct Fault {
    kinds: &'static str,
    errno: i32,
    short: bool,
    /// How many calls fail, from the n-th on.
    count: u64,
    /// How many of the n are tried with the other tests.
    sample: u64,
}

impl Fault {
    /// Runs a child whose calls fail from that one on; with 0 none does. What it said, how many calls there were, and
    /// the folder with its store.
    fn run(&self, at: u64) -> (String, u64, tempfile::TempDir) {
        let directory = super::quick_folder();
        {
            let _none_starts = STARTING.read().unwrap();
            prepare(directory.path());
        }
        let patience = if self.count == FOR_GOOD { 0 } else { 120 };
        let variables = [
            ("FAULTS_KINDS", self.kinds.to_owned()),
            ("FAULTS_AT", at.to_string()),
            ("FAULTS_COUNT", self.count.to_string()),
            ("FAULTS_ERRNO", self.errno.to_string()),
            ("FAULTS_SHORT", u8::from(self.short).to_string()),
            ("HIKYAKU_PATIENCE", patience.to_string()),
        ];
        let store = directory.path().join("store");
        let (acks, calls) = run(directory.path(), &store, &variables);
        (acks, calls, directory)
    }
}

#[test]
fn what_is_refused_is_not_there_and_the_store_heals() {
    let mut counted = HashMap::<&str, u64>::new();
    let fault = |kinds, errno, short, count, sample| Fault {
        kinds,
        errno,
        short,
        count,
        sample,
    };
    for fault in [
        fault("w", EIO, false, 1, 5),
        fault("w", ENOSPC, true, 1, 4),
        fault("w", ENOSPC, false, 5, 3),
        fault("w", ENOSPC, true, FOR_GOOD, 2),
        fault("s", EIO, false, 1, 8),
        fault("s", EIO, false, 4, 3),
        fault("s", EIO, false, FOR_GOOD, 3),
        fault("ws", EIO, false, FOR_GOOD, 2),
        fault("wstru", EIO, false, FOR_GOOD, 2),
        // Each of them: at one alone SQLite opened the database for reading, and no change was taken any more.
        fault("o", EMFILE, false, 1, 100),
        fault("o", EIO, false, 3, 2),
        fault("t", EIO, false, 1, 2),
        fault("ru", EIO, false, 1, 2),
    ] {
        let Fault {
            kinds,
            errno,
            count,
            ..
        } = fault;
        let calls = *counted.entry(kinds).or_insert_with(|| fault.run(0).1);
        assert!(calls > 0, "{kinds}: the child does it");
        let shift = u64::from(errno.unsigned_abs()) * 7 + count;
        side_by_side(&sample(calls, fault.sample, shift), |at| {
            let what =
                format!("{kinds} fails with {errno} from call {at} of {calls}, {count} times");
            let (acks, _, directory) = fault.run(at);
            if count < FOR_GOOD {
                assert!(acks.contains("healed 2"), "{what}: it stays broken\n{acks}");
            }
            health_says_so(&acks, count == FOR_GOOD, &what);
            let _none_starts = STARTING.read().unwrap();
            verify(&directory.path().join("store"), &acks, &what);
        });
    }
}

/// The store's health agrees with how the last change of a round ended.
fn health_says_so(acks: &str, for_good: bool, what: &str) {
    let lines: Vec<&str> = acks.lines().collect();
    for pair in lines.windows(2) {
        let [change, health] = pair else { continue };
        match health.split_once(' ') {
            Some(("ill", _)) => assert!(!change.starts_with("ok"), "{what}: {change}\n{acks}"),
            // What failed once may have been mended since.
            Some(("well", _)) => assert!(
                change.starts_with("ok") || !for_good,
                "{what}: {change}, and health says nothing\n{acks}"
            ),
            _ => {}
        }
    }
}
