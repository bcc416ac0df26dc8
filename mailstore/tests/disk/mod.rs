mod damage;
#[cfg(target_os = "linux")]
mod faults;
mod folder;
#[cfg(target_os = "linux")]
mod power;
mod staged;
#[cfg(target_os = "linux")]
mod workload;

use bytes::Bytes;
use hikyaku_mailstore::{
    Append, Disk, Mailbox, Operation, Outcome, Result, Stage, Store, Transaction, Want, Which,
    block_on, conformance::stage,
};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

mod conformance {
    use hikyaku_mailstore::{Disk, Store, conformance::InDirectory};
    use std::path::Path;
    use std::sync::Arc;

    fn open(directory: &Path) -> hikyaku_mailstore::Result<Arc<dyn Store>> {
        Ok(Arc::new(Disk::open(directory)?))
    }

    hikyaku_mailstore::conformance_suite!(InDirectory(open));
}

fn inbox(store: &dyn Store) -> Mailbox {
    let account = block_on(store.account("a@example.test")).unwrap().unwrap();
    block_on(store.mailboxes(account.id, None))
        .unwrap()
        .mailboxes
        .remove(0)
}

#[test]
fn what_was_stored_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let body: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
    {
        let store = Disk::open(directory.path()).unwrap();
        block_on(store.create_account("a@example.test")).unwrap();
        let inbox = inbox(&store).id;
        let append = Append::new(inbox, stage(&store, &body), (1, 2));
        let append = Transaction::new(inbox.account).with(Operation::Append(Box::new(append)));
        block_on(store.commit(append)).unwrap();
        // Staged and never committed: it leaves nothing behind.
        drop(stage(&store, &body));
    }
    let files = || {
        std::fs::read_dir(directory.path().join("bodies"))
            .unwrap()
            .count()
    };
    assert_eq!(files(), 1);
    std::fs::write(directory.path().join("bodies/ffff"), b"left by a crash").unwrap();
    let store = Disk::open(directory.path()).unwrap();
    assert_eq!(files(), 1, "what no row names is swept");
    let inbox = inbox(&store);
    let page = block_on(store.messages(inbox.id, &Which::After(None), Want::ROW, 9)).unwrap();
    assert_eq!(page.rows[0].received, (1, 2));
    let read = block_on(store.read(&page.rows[0].body, 0..200_000)).unwrap();
    assert!(read[..] == body[..]);
}

/// A folder that its owner alone can enter.
fn folder() -> tempfile::TempDir {
    let owner = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    let mut folder = tempfile::Builder::new();
    folder.permissions(owner).tempdir().unwrap()
}

/// The same in memory, where there is enough: for tests that open stores by the hundred, and flush nothing that
/// has to last.
#[cfg(target_os = "linux")]
fn quick_folder() -> tempfile::TempDir {
    static ROOM: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    let made = || {
        let owner = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let mut folder = tempfile::Builder::new();
        folder.permissions(owner).tempdir_in("/dev/shm").ok()
    };
    let enough = || {
        let Some(folder) = made() else { return false };
        let free = Disk::open(folder.path())
            .ok()
            .and_then(|store| store.health().free);
        free.is_some_and(|free| free > 256 << 20)
    };
    match *ROOM.get_or_init(enough) {
        true => made().unwrap_or_else(self::folder),
        false => self::folder(),
    }
}

/// Appends to the inbox of the one account; the body is staged in pieces as they come.
fn put(store: &dyn Store, body: &[u8], origin: Option<&str>) -> Result<Outcome> {
    let mut stage: Box<dyn Stage> = block_on(store.stage())?;
    for chunk in body.chunks(50_000) {
        block_on(stage.write(Bytes::copy_from_slice(chunk)))?;
    }
    let inbox = inbox(store).id;
    let mut append = Append::new(inbox, block_on(stage.finish())?, (0, 0));
    append.origin = origin.map(|origin| origin.to_string().into());
    let append = Operation::Append(Box::new(append));
    let mut done = block_on(store.commit(Transaction::new(inbox.account).with(append)))?;
    Ok(done.outcomes.remove(0))
}

/// The child of the next test: delivers as fast as it can, and says what was acknowledged.
#[test]
#[ignore = "run by kill_9_loses_nothing"]
fn child() {
    let Ok(directory) = std::env::var("HIKYAKU_CHILD") else {
        return;
    };
    let store = Arc::new(Disk::open(directory).unwrap());
    let inbox = inbox(&*store).id;
    let seed = std::process::id();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let store = Arc::clone(&store);
            std::thread::spawn(move || {
                for n in 0.. {
                    let name = format!("{seed}.{writer}.{n}");
                    // Every eighth lies in a file.
                    let size = if n % 8 == 0 { 70_000 } else { 500 };
                    let text = format!("{name}\r\n{}", "x".repeat(size));
                    let body = stage(&*store, text.as_bytes());
                    let mut append = Append::new(inbox, body, (0, 0));
                    append.origin = Some(name.clone().into());
                    let append = Operation::Append(Box::new(append));
                    block_on(store.commit(Transaction::new(inbox.account).with(append))).unwrap();
                    println!("stored {name}");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
}

fn kill_one(directory: &Path, after: Duration, acknowledged: &mut BTreeSet<String>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "disk::child"])
        .env("HIKYAKU_CHILD", directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let begun = std::cell::Cell::new(None);
    for line in lines {
        let Ok(line) = line else { break };
        if let Some((_, name)) = line.split_once("stored ") {
            acknowledged.insert(name.to_string());
            let began = begun.get().unwrap_or_else(Instant::now);
            begun.set(Some(began));
            if began.elapsed() >= after {
                // SIGKILL; what it said until then is read on.
                let _ = child.kill();
            }
        }
    }
    child.wait().unwrap();
}

#[test]
fn kill_9_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    {
        let store = Disk::open(directory.path()).unwrap();
        block_on(store.create_account("a@example.test")).unwrap();
    }
    let mut acknowledged = BTreeSet::new();
    for round in 0..12 {
        let after = Duration::from_millis(round * 13 % 60);
        kill_one(directory.path(), after, &mut acknowledged);
        let store = Disk::open(directory.path()).unwrap();
        let inbox = inbox(&store);
        let page = block_on(store.messages(inbox.id, &Which::After(None), Want::ROW, 1 << 20));
        let rows = page.unwrap().rows;
        assert_eq!(rows.len(), inbox.messages as usize);
        let mut there = BTreeSet::new();
        for row in &rows {
            let read = block_on(store.read(&row.body, 0..u64::MAX)).unwrap();
            assert_eq!(read.len() as u64, row.body.octets, "a body is whole");
            let text = String::from_utf8(read.to_vec()).unwrap();
            let name = text.split_once("\r\n").unwrap().0.to_string();
            assert!(there.insert(name), "a message is there once");
        }
        let lost: Vec<_> = acknowledged.difference(&there).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        // The origin is as durable as the message.
        if let Some(name) = acknowledged.iter().next() {
            let mut append = Append::new(inbox.id, stage(&store, b"again"), (0, 0));
            append.origin = Some(name.clone().into());
            let append = Operation::Append(Box::new(append));
            let again = block_on(store.commit(Transaction::new(inbox.id.account).with(append)));
            assert!(matches!(
                again.unwrap().outcomes[0],
                Outcome::Existed { .. }
            ));
        }
    }
    assert!(acknowledged.len() > 20, "the child got something done");
}
