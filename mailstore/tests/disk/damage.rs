//! What is damaged or gone is said, and takes nothing else with it.

use super::{folder, inbox, put};
use hikyaku_mailstore::{
    Disk, DiskOptions, Error, Finding, Health, Row, Store, Want, Which, block_on,
    conformance::stage,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const BLOCK: usize = 64 * 1024;

/// Bodies of many sizes, in the database and in files.
fn sizes() -> Vec<usize> {
    vec![
        1,
        500,
        4_096,
        40_000,
        BLOCK - 1,
        BLOCK,
        BLOCK + 1,
        2 * BLOCK,
        300_000,
        1_300_000,
    ]
}

fn body(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n * 7 + n / 251) as u8).collect()
}

fn filled(directory: &Path) {
    let store = Disk::open(directory).unwrap();
    block_on(store.create_account("a@example.test")).unwrap();
    for size in sizes() {
        put(&store, &body(size), None).unwrap();
    }
}

fn rows(store: &dyn Store) -> Vec<Row> {
    let page = store.messages(inbox(store).id, &Which::After(None), Want::ROW, 1 << 20);
    let rows = block_on(page);
    rows.unwrap().rows
}

fn whole(store: &dyn Store, row: &Row) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    while (all.len() as u64) < row.body.octets {
        all.extend(block_on(store.read(&row.body, all.len() as u64..u64::MAX))?);
    }
    Ok(all)
}

/// Does something to the database of a store that is closed.
fn with_database(directory: &Path, sql: &str) {
    let database = rusqlite::Connection::open(directory.join("store.sqlite")).unwrap();
    database.execute_batch(sql).unwrap();
}

/// The files of bodies, by size.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory.join("bodies")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort_by_key(|file| fs::metadata(file).unwrap().len());
    files
}

fn quarantine(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory.join("quarantine")).map_or_else(
        |_| Vec::new(),
        |entries| entries.map(|entry| entry.unwrap().path()).collect(),
    )
}

/// What a process that is killed now would leave behind.
fn killed(directory: &Path) -> tempfile::TempDir {
    let copy = folder();
    fn copy_all(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let (from, to) = (
                entry.as_ref().unwrap().path(),
                to.join(entry.unwrap().file_name()),
            );
            match from.is_dir() {
                true => copy_all(&from, &to),
                false => drop(fs::copy(&from, &to).unwrap()),
            }
        }
    }
    copy_all(directory, copy.path());
    copy
}

fn flip(file: &Path, at: usize) {
    let mut octets = fs::read(file).unwrap();
    octets[at] ^= 0x10;
    fs::write(file, octets).unwrap();
}

#[test]
fn a_changed_body_is_known_and_the_others_are_read() {
    let directory = folder();
    filled(directory.path());
    let mut changed = Vec::new();
    for (nth, at) in [(1, 70_000), (2, 0), (3, 1_299_999)] {
        let file = &files(directory.path())[nth];
        changed.push((fs::metadata(file).unwrap().len() as usize, at));
        flip(file, at);
    }
    with_database(
        directory.path(),
        "UPDATE body_data SET data = CAST(replace(data, x'0e', x'0f') AS BLOB) WHERE length(data) = 500;
         UPDATE body_data SET data = zeroblob(65536) WHERE length(data) = 65536",
    );
    changed.extend([(500, 2), (BLOCK, 9)]);
    let store = Disk::open(directory.path()).unwrap();
    let mut found = 0;
    for row in rows(&store) {
        let size = row.body.octets as usize;
        let read = whole(&store, &row);
        match changed.iter().find(|(of, _)| *of == size) {
            None => assert!(read.unwrap() == body(size), "{size} octets"),
            Some((_, at)) => {
                let error = read.unwrap_err();
                assert!(
                    matches!(error, Error::Damaged(..)),
                    "{size} octets: {error}"
                );
                found += 1;
                // What lies in other blocks is whole, and is read.
                for start in (0..size).step_by(BLOCK) {
                    let range = start as u64..((start + 10).min(size)) as u64;
                    let read = block_on(store.read(&row.body, range.clone()));
                    let hit = size <= BLOCK || at / BLOCK == start / BLOCK;
                    assert_eq!(read.is_err(), hit, "{size} octets, {range:?}");
                }
            }
        }
    }
    assert_eq!(found, 5);
    assert!(store.health().damaged >= 5);
}

#[test]
fn a_body_that_is_gone_or_cut_is_known() {
    let directory = folder();
    filled(directory.path());
    let files = files(directory.path());
    fs::remove_file(&files[0]).unwrap();
    let cut = fs::File::options().write(true).open(&files[2]).unwrap();
    cut.set_len(299_990).unwrap();
    fs::write(&files[3], b"").unwrap();
    with_database(
        directory.path(),
        "DELETE FROM body_data WHERE length(data) = 1;
         UPDATE body_data SET data = substr(data, 1, 4000) WHERE length(data) = 4096",
    );
    let store = Disk::open(directory.path()).unwrap();
    for row in rows(&store) {
        let size = row.body.octets as usize;
        let damaged = [1, 4_096, BLOCK + 1, 300_000, 1_300_000].contains(&size);
        match whole(&store, &row) {
            Ok(read) => assert!(!damaged && read == body(size), "{size} octets"),
            Err(error) => assert!(
                damaged && matches!(error, Error::Damaged(..)),
                "{size}: {error}"
            ),
        }
    }
}

#[test]
fn bodies_from_before_checksums_are_read() {
    let directory = folder();
    filled(directory.path());
    with_database(
        directory.path(),
        "ALTER TABLE body DROP COLUMN sums; PRAGMA user_version = 2",
    );
    let store = Disk::open(directory.path()).unwrap();
    for row in rows(&store) {
        assert!(whole(&store, &row).unwrap() == body(row.body.octets as usize));
    }
    put(&store, &body(70_000), None).unwrap();
    let new = rows(&store).pop().unwrap();
    assert!(whole(&store, &new).unwrap() == body(70_000));
    assert!(store.health().is_well());
}

#[test]
fn a_database_that_is_gone_takes_no_body_with_it() {
    for what in ["removed", "emptied", "removed with its log"] {
        let directory = folder();
        filled(directory.path());
        let before: Vec<_> = files(directory.path())
            .iter()
            .map(|file| fs::read(file).unwrap())
            .collect();
        assert_eq!(before.len(), 4);
        let database = directory.path().join("store.sqlite");
        match what {
            "emptied" => fs::write(&database, b"").unwrap(),
            _ => fs::remove_file(&database).unwrap(),
        }
        for _ in 0..2 {
            let store = Disk::open(directory.path()).unwrap();
            // What is kept is not removed by later starts either.
            let mut kept: Vec<_> = quarantine(directory.path())
                .iter()
                .map(|file| fs::read(file).unwrap())
                .collect();
            kept.sort_by_key(Vec::len);
            assert!(kept == before, "{what}");
            for file in quarantine(directory.path()) {
                age(&file);
            }
            drop(store);
        }
    }
}

#[test]
fn the_loss_of_the_database_is_known_until_its_bodies_are_kept() {
    let directory = folder();
    filled(directory.path());
    fs::remove_file(directory.path().join("store.sqlite")).unwrap();
    // The first starts fail before the bodies are in the quarantine.
    let in_the_way = directory.path().join("quarantine");
    fs::write(&in_the_way, b"a file").unwrap();
    for _ in 0..2 {
        assert!(Disk::open(directory.path()).is_err());
        assert_eq!(files(directory.path()).len(), 4);
    }
    fs::remove_file(in_the_way).unwrap();
    let health = Disk::open(directory.path()).unwrap().health();
    assert!(
        matches!(
            health.findings[..],
            [Finding::DatabaseGone { bodies: 4, .. }]
        ),
        "{health:?}"
    );
    for file in quarantine(directory.path()) {
        age(&file);
    }
    drop(Disk::open(directory.path()).unwrap());
    assert_eq!(quarantine(directory.path()).len(), 4);
}

#[test]
fn the_loss_of_the_database_is_said_even_without_large_bodies() {
    let directory = folder();
    {
        let store = Disk::open(directory.path()).unwrap();
        assert_eq!(store.health().findings, [], "a new store has lost nothing");
        block_on(store.create_account("a@example.test")).unwrap();
        put(&store, b"small", None).unwrap();
    }
    fs::remove_file(directory.path().join("store.sqlite")).unwrap();
    let health = Disk::open(directory.path()).unwrap().health();
    assert!(matches!(
        health.findings[..],
        [Finding::DatabaseGone { bodies: 0, .. }]
    ));
    assert!(!health.is_well());
}

#[test]
fn a_log_without_its_database_is_kept() {
    let directory = folder();
    let store = Disk::open(directory.path()).unwrap();
    block_on(store.create_account("a@example.test")).unwrap();
    put(&store, b"in the log alone", None).unwrap();
    let crashed = killed(directory.path());
    fs::remove_file(crashed.path().join("store.sqlite")).unwrap();
    let log = fs::read(crashed.path().join("store.sqlite-wal")).unwrap();
    let health = Disk::open(crashed.path()).unwrap().health();
    assert!(!health.is_well());
    let kept = quarantine(crashed.path());
    assert!(kept.len() == 1 && fs::read(&kept[0]).unwrap() == log);
}

/// Makes a file as old as what may be removed.
fn age(file: &Path) {
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(60 * 24 * 60 * 60);
    let file = fs::File::options().write(true).open(file).unwrap();
    file.set_modified(long_ago).unwrap();
}

#[test]
fn orphans_are_set_aside_and_leave_when_they_are_old() {
    let directory = folder();
    filled(directory.path());
    let orphan = directory.path().join("bodies/ffff");
    fs::write(&orphan, b"left by a crash").unwrap();
    age(&orphan);
    let health = Disk::open(directory.path()).unwrap().health();
    assert!(matches!(
        health.findings[..],
        [Finding::Orphans { count: 1, .. }]
    ));
    assert!(health.is_well(), "nothing was lost");
    let kept = quarantine(directory.path());
    assert_eq!(fs::read(&kept[0]).unwrap(), b"left by a crash");
    drop(Disk::open(directory.path()).unwrap());
    assert_eq!(quarantine(directory.path()), kept, "not before its time");
    age(&kept[0]);
    drop(Disk::open(directory.path()).unwrap());
    assert!(quarantine(directory.path()).is_empty());
}

/// A store that was killed with commits in its log; the octets of the log.
fn with_log(messages: u8) -> (tempfile::TempDir, Vec<u8>) {
    let directory = folder();
    let store = Disk::open(directory.path()).unwrap();
    block_on(store.create_account("a@example.test")).unwrap();
    for n in 0..messages {
        put(&store, &[n; 3_000], None).unwrap();
    }
    let crashed = killed(directory.path());
    let log = fs::read(crashed.path().join("store.sqlite-wal")).unwrap();
    (crashed, log)
}

fn opened(crashed: &Path) -> (Result<usize, Error>, Health) {
    let store = match Disk::open(crashed) {
        Ok(store) => store,
        Err(error) => return (Err(error), Health::default()),
    };
    let health = store.health();
    let account = block_on(store.account("a@example.test")).unwrap();
    (Ok(account.map_or(0, |_| rows(&store).len())), health)
}

#[test]
fn what_a_damaged_log_loses_is_said() {
    let (crashed, log) = with_log(12);
    let untouched = killed(crashed.path());
    let (there, health) = opened(untouched.path());
    assert_eq!(there.unwrap(), 12);
    assert_eq!(health.findings, [Finding::Unclean]);
    let (mut damaged, mut cut) = (0, 0);
    for at in (0..log.len()).step_by(log.len() / 60) {
        let crashed = killed(crashed.path());
        flip(&crashed.path().join("store.sqlite-wal"), at);
        let (there, health) = opened(crashed.path());
        let said = health.findings.iter().find_map(|found| match found {
            Finding::LogDamaged { copy, .. } => Some((true, copy)),
            Finding::LogCut { copy, .. } => Some((false, copy)),
            _ => None,
        });
        if there.as_ref().is_ok_and(|there| *there == 12) {
            // The octet was of no use, such as the number of the round.
            continue;
        }
        let (lost, copy) = said.unwrap_or_else(|| panic!("octet {at}: {there:?} {health:?}"));
        // All that is lost is kept.
        assert_eq!(fs::read(copy).unwrap().len(), log.len());
        match lost {
            true => damaged += 1,
            false => cut += 1,
        }
        if there.is_ok_and(|there| there < 11) {
            assert!(lost && !health.is_well(), "octet {at}");
        }
    }
    assert!(damaged > 40 && cut < 12, "{damaged} damaged, {cut} cut");
}

#[test]
fn a_log_that_is_cut_is_said() {
    let (crashed, log) = with_log(6);
    for length in [log.len() - 1, log.len() - 5_000, log.len() / 2, 33, 0] {
        let crashed = killed(crashed.path());
        let file = crashed.path().join("store.sqlite-wal");
        fs::write(&file, &log[..length]).unwrap();
        let (there, health) = opened(crashed.path());
        assert!(
            health.findings.contains(&Finding::Unclean),
            "{length}: {there:?}"
        );
    }
    let gone = killed(crashed.path());
    fs::remove_file(gone.path().join("store.sqlite-wal")).unwrap();
    let store = Disk::open(gone.path());
    // All of it was in the log, the tables too: what there is is an empty database, or none.
    if let Ok(store) = store {
        assert!(
            store.health().findings.contains(&Finding::LogGone),
            "{:?}",
            store.health()
        );
        assert!(!store.health().is_well());
    }
}

#[test]
fn a_log_of_a_store_in_use_that_is_gone_is_said() {
    let directory = folder();
    filled(directory.path());
    let store = Disk::open(directory.path()).unwrap();
    put(&store, b"in the log alone", None).unwrap();
    let crashed = killed(directory.path());
    fs::remove_file(crashed.path().join("store.sqlite-wal")).unwrap();
    let (there, health) = opened(crashed.path());
    assert_eq!(there.unwrap(), sizes().len());
    assert_eq!(health.findings, [Finding::Unclean, Finding::LogGone]);
    assert!(!health.is_well());
}

#[test]
fn a_damaged_database_is_known_after_a_stop_that_was_none() {
    let directory = folder();
    filled(directory.path());
    let root: u32 = rusqlite::Connection::open(directory.path().join("store.sqlite"))
        .unwrap()
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'message_modified'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let crashed = {
        let _store = Disk::open(directory.path()).unwrap();
        killed(directory.path())
    };
    let database = crashed.path().join("store.sqlite");
    // The pages of the table of summaries or of messages: what there is of them has the index after it.
    let mut octets = fs::read(&database).unwrap();
    let page = (root as usize - 1) * 4_096;
    octets[page + 3..page + 600].fill(0xff);
    fs::write(&database, octets).unwrap();
    // The next stop is clean, and the damage is known nevertheless.
    for _ in 0..2 {
        let store = Disk::open(crashed.path()).unwrap();
        let health = store.health();
        assert!(
            matches!(
                health.findings[..],
                [Finding::Unclean, Finding::DatabaseDamaged(_)]
            ),
            "{health:?}"
        );
        assert!(!health.is_well());
        // What is whole is read, and nothing is written into it.
        assert_eq!(rows(&store).len(), sizes().len());
        for row in rows(&store) {
            assert!(whole(&store, &row).unwrap() == body(row.body.octets as usize));
        }
        let refused = put(&store, b"x", None).unwrap_err();
        assert!(matches!(refused, Error::Damaged(..)), "{refused}");
        assert_eq!(files(crashed.path()).len(), 4);
    }
}

#[test]
fn a_check_that_takes_too_long_is_cut_and_keeps_nobody_waiting() {
    let directory = folder();
    filled(directory.path());
    let crashed = {
        let store = Disk::open(directory.path()).unwrap();
        for n in 0..60 {
            put(&store, &body(20_000 + n), None).unwrap();
        }
        killed(directory.path())
    };
    fs::write(crashed.path().join("bodies/ffff"), b"an orphan").unwrap();
    age(&crashed.path().join("bodies/ffff"));
    let mut options = DiskOptions::default();
    options.check = Duration::ZERO;
    let store = Disk::open_with(crashed.path(), &options).unwrap();
    let health = store.health();
    let cut = Finding::CheckCut {
        after: Duration::ZERO,
    };
    assert!(health.findings.contains(&cut), "{health:?}");
    assert!(health.is_well(), "nothing is known to be lost");
    put(&store, b"served", None).unwrap();
    assert_eq!(rows(&store).len(), sizes().len() + 61);
    drop(store);
    // What is set aside while it is not known to be whole stays.
    for file in quarantine(crashed.path()) {
        age(&file);
    }
    drop(Disk::open(crashed.path()).unwrap());
    assert_eq!(quarantine(crashed.path()).len(), 1);
}

#[test]
fn a_file_that_is_no_database_is_an_error_and_stays() {
    let directory = folder();
    filled(directory.path());
    let database = directory.path().join("store.sqlite");
    let garbage = vec![0x55; 20_000];
    fs::write(&database, &garbage).unwrap();
    let error = Disk::open(directory.path()).unwrap_err();
    assert!(matches!(error, Error::Damaged(..)), "{error}");
    assert!(fs::read(&database).unwrap() == garbage);
    assert_eq!(files(directory.path()).len(), 4);
}

#[test]
fn a_newer_store_is_named_as_such() {
    let directory = folder();
    filled(directory.path());
    with_database(directory.path(), "PRAGMA user_version = 99");
    let error = Disk::open(directory.path()).unwrap_err();
    assert!(
        matches!(error, Error::NewerVersion { found: 99, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("newer"), "{error}");
    assert_eq!(files(directory.path()).len(), 4);
    with_database(directory.path(), "PRAGMA user_version = 3");
    assert!(Disk::open(directory.path()).unwrap().health().is_well());
}

#[test]
fn what_is_staged_for_a_refused_change_leaves_no_file() {
    let directory = folder();
    let store = Disk::open(directory.path()).unwrap();
    block_on(store.create_account("a@example.test")).unwrap();
    put(&store, &body(100_000), Some("one")).unwrap();
    put(&store, &body(100_000), Some("one")).unwrap();
    let staged = stage(&store, &body(100_000));
    let read = block_on(store.read(&staged.body(), 65_000..66_000)).unwrap();
    assert!(
        read == body(100_000)[65_000..66_000],
        "it can be read before it is committed"
    );
    drop(staged);
    assert_eq!(files(directory.path()).len(), 1);
}
