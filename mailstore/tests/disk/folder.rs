//! Who may open a store, and who may read what lies in it.

use super::{inbox, put};
use hikyaku_mailstore::search::Key;
use hikyaku_mailstore::{
    Disk, DiskOptions, Error, Finding, MessageCache, Store, TextIndex, block_on,
};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn one_process_at_a_time_whatever_is_removed() {
    let directory = super::folder();
    let store = Disk::open(directory.path()).unwrap();
    block_on(store.create_account("a@example.test")).unwrap();
    for name in ["", "lock", "running", "store.sqlite-shm"] {
        if !name.is_empty() {
            fs::remove_file(directory.path().join(name)).unwrap();
        }
        for _ in 0..2 {
            let second = Disk::open(directory.path());
            assert!(matches!(second, Err(Error::Conflict(_))), "without {name}");
        }
    }
    drop(store);
    assert!(Disk::open(directory.path()).is_ok());
}

/// Everything in a folder, with its mode.
fn modes(path: &Path, into: &mut Vec<(PathBuf, u32)>) {
    let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
    into.push((path.to_path_buf(), mode));
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            modes(&entry.unwrap().path(), into);
        }
    }
}

/// The child of the next test: a store with everything that a store has, seen while it is open.
#[test]
#[ignore = "run by nobody_else_can_read_the_store_whatever_the_umask"]
fn child() {
    let Ok(directory) = std::env::var("HIKYAKU_CHILD") else {
        return;
    };
    let directory = PathBuf::from(directory).join("deep/store");
    drop(Disk::open(&directory).unwrap());
    fs::write(directory.join("bodies/ffff"), b"an orphan").unwrap();
    let store = Disk::open(&directory).unwrap();
    block_on(store.create_account("a@example.test")).unwrap();
    put(&store, &[1; 100_000], None).unwrap();
    put(&store, b"small", None).unwrap();
    let index = TextIndex::open(directory.join("text")).unwrap();
    let cache = MessageCache::new(100, 1 << 20).with_text_index(index);
    let key = Key::Text("small".into());
    block_on(cache.search(&store, inbox(&store).id, &key)).unwrap();
    let mut seen = Vec::new();
    modes(&directory, &mut seen);
    for (path, mode) in seen {
        println!("mode {mode:o} {} {}", path.is_dir(), path.display());
    }
    println!("findings {:?}", store.health().findings.len());
}

#[test]
fn nobody_else_can_read_the_store_whatever_the_umask() {
    for umask in ["000", "022", "027", "077"] {
        let directory = super::folder();
        let program = std::env::current_exe().unwrap();
        let output = Command::new("sh")
            .args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")])
            .arg(program)
            .args(["--ignored", "--exact", "--nocapture", "disk::folder::child"])
            .env("HIKYAKU_CHILD", directory.path())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}");
        let mut count = 0;
        for line in said.lines().filter_map(|line| line.strip_prefix("mode ")) {
            count += 1;
            if line.ends_with("-ffff") {
                // The test's own file.
                continue;
            }
            let wanted = match line.contains(" true ") {
                true => "700 ",
                false => "600 ",
            };
            assert!(line.starts_with(wanted), "umask {umask}: {line}");
        }
        assert!(count >= 12, "{said}");
        assert!(said.contains("findings 1"), "the orphan alone: {said}");
    }
}

#[test]
fn what_others_can_read_is_said() {
    let directory = super::folder();
    drop(Disk::open(directory.path()).unwrap());
    for (name, mode, wanted) in [
        ("", 0o750, 0o700),
        ("bodies", 0o755, 0o700),
        ("store.sqlite", 0o644, 0o600),
        ("store.sqlite", 0o620, 0o600),
    ] {
        let path = directory.path().join(name);
        let change = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        change(mode);
        let health = Disk::open(directory.path()).unwrap().health();
        change(wanted);
        let [
            Finding::Permissions {
                path: found,
                mode: is,
                wanted: should,
            },
        ] = &health.findings[..]
        else {
            panic!("{name} {mode:o}: {health:?}");
        };
        assert_eq!(
            (found.components().eq(path.components()), *is, *should),
            (true, mode, wanted)
        );
        assert!(
            health.findings[0]
                .to_string()
                .contains(&format!("chmod {wanted:o}"))
        );
        assert!(health.is_well(), "it is said, and no damage");
    }
}

#[test]
fn messages_are_refused_before_the_disk_is_full() {
    let directory = super::folder();
    {
        let store = Disk::open(directory.path()).unwrap();
        block_on(store.create_account("a@example.test")).unwrap();
        put(&store, b"there was room", None).unwrap();
    }
    // More has to stay free than there is.
    let mut options = DiskOptions::default();
    options.min_free = u64::MAX / 2;
    let store = Disk::open_with(directory.path(), &options).unwrap();
    let health = store.health();
    assert!(health.full && !health.is_well() && health.free == Some(0));
    for size in [1, 60_000, 70_000, 2_000_000] {
        let refused = put(&store, &vec![b'x'; size], None);
        assert!(
            matches!(refused, Err(Error::StorageFull)),
            "{size} octets: {refused:?}"
        );
    }
    assert_eq!(
        fs::read_dir(directory.path().join("bodies"))
            .unwrap()
            .count(),
        0
    );
    // What makes room, or takes none to speak of, is done.
    let inbox = inbox(&store);
    assert_eq!(inbox.messages, 1);
    let all = hikyaku_mailstore::UidSet::all();
    let expunge = hikyaku_mailstore::Operation::Expunge {
        mailbox: inbox.id,
        uids: all,
        deleted_only: false,
    };
    let transaction = hikyaku_mailstore::Transaction::new(inbox.id.account).with(expunge);
    block_on(store.commit(transaction)).unwrap();
    drop(store);
    let store = Disk::open(directory.path()).unwrap();
    assert!(store.health().is_well());
    put(&store, b"there is room again", None).unwrap();
}
