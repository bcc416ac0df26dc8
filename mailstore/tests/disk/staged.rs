//! Bodies that are staged: in which store they count, and what becomes of their files.

use super::{folder, inbox, put};
use hikyaku_mailstore::{
    Append, Disk, DiskOptions, Error, Memory, Operation, Staged, Store, Transaction, block_on,
    conformance::stage,
};
use std::fs;
use std::path::Path;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

fn store() -> (tempfile::TempDir, Disk) {
    let directory = folder();
    let store = Disk::open(directory.path()).unwrap();
    block_on(store.create_account("a@example.test")).unwrap();
    (directory, store)
}

fn append(store: &Disk, body: &Staged) -> Operation {
    let append = Append::new(inbox(store).id, body.clone(), (0, 0));
    Operation::Append(Box::new(append))
}

fn files(directory: &Path) -> usize {
    fs::read_dir(directory.join("bodies")).unwrap().count()
}

#[test]
fn a_body_that_was_staged_in_another_store_is_refused() {
    let (_here, store) = self::store();
    let (_there, other) = self::store();
    let memory = Memory::new();
    // The numbers of bodies are the same in all of them.
    for round in 0..4 {
        put(&store, format!("mine {round}").as_bytes(), None).unwrap();
    }
    for size in [9, 100_000] {
        let body = vec![b'x'; size];
        for theirs in [stage(&other, &body), stage(&memory, &body)] {
            let enqueue = Operation::Enqueue {
                due: std::time::SystemTime::now(),
                next_hop: "b.test".into(),
                body: theirs.clone(),
                envelope: "".into(),
            };
            for operation in [append(&store, &theirs), enqueue] {
                let id = inbox(&store).id.account;
                let refused = block_on(store.commit(Transaction::new(id).with(operation)));
                assert!(
                    matches!(refused, Err(Error::Conflict(_))),
                    "{size}: {refused:?}"
                );
            }
        }
        put(&store, &body, None).unwrap();
    }
    assert_eq!(inbox(&store).messages, 6);
    assert!(block_on(store.queue(None, 9)).unwrap().is_empty());
}

#[test]
fn what_is_refused_after_its_body_was_held_leaves_no_file() {
    let (directory, store) = self::store();
    let account = inbox(&store).id.account;
    let quota = Operation::SetQuota {
        octets: Some(150_000),
        messages: None,
    };
    block_on(store.commit(Transaction::new(account).with(quota))).unwrap();
    let [one, other] = [1, 2].map(|octet| stage(&store, &[octet; 100_000]));
    assert_eq!(files(directory.path()), 2);
    let both = Transaction::new(account)
        .with(append(&store, &one))
        .with(append(&store, &other));
    let refused = block_on(store.commit(both));
    assert!(matches!(refused, Err(Error::OverQuota(_))), "{refused:?}");
    drop((one, other));
    // The writer lets go of the transaction after it has answered.
    let until = Instant::now() + Duration::from_secs(20);
    while files(directory.path()) > 0 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_body_that_lacks_a_part_is_none() {
    let (directory, store) = self::store();
    let piece = || bytes::Bytes::from(vec![1; 300_000]);
    // One write is given up by its caller, or fails.
    let mut context = Context::from_waker(Waker::noop());
    // A write that has ended before it is looked at cannot be given up.
    let pending = (0..1000).find_map(|_| {
        let mut stage = block_on(store.stage()).unwrap();
        let pending = stage
            .write(piece())
            .as_mut()
            .poll(&mut context)
            .is_pending();
        pending.then_some(stage)
    });
    let mut stage = pending.unwrap();
    assert!(block_on(stage.write(piece())).is_err());
    let given_up = block_on(stage.finish());
    assert!(matches!(given_up, Err(Error::Conflict(_))), "{given_up:?}");
    drop(store);
    let mut options = DiskOptions::default();
    options.min_free = u64::MAX / 2;
    let store = Disk::open_with(directory.path(), &options).unwrap();
    let mut stage = block_on(store.stage()).unwrap();
    let full = block_on(stage.write(piece()));
    assert!(matches!(full, Err(Error::StorageFull)), "{full:?}");
    let failed = block_on(stage.finish());
    assert!(matches!(failed, Err(Error::Conflict(_))), "{failed:?}");
}

#[test]
fn a_file_in_the_way_stays() {
    let (directory, store) = self::store();
    let file = |number: u32| directory.path().join(format!("bodies/{number:x}"));
    for number in 1..20 {
        fs::write(file(number), b"somebody's").unwrap();
    }
    let staged = put(&store, &[1; 100_000], None);
    assert!(matches!(staged, Err(Error::Io(..))), "{staged:?}");
    for number in 1..20 {
        assert_eq!(fs::read(file(number)).unwrap(), b"somebody's", "{number:x}");
    }
}

#[test]
fn files_that_are_no_bodies_stay_and_keep_no_store_from_starting() {
    let (directory, store) = self::store();
    drop(store);
    let names = ["A", "+a", "0a", "10000000000000000", "a.bak", "README"];
    for name in names {
        fs::write(directory.path().join("bodies").join(name), name).unwrap();
    }
    let store = Disk::open(directory.path()).unwrap();
    assert_eq!(store.health().findings, []);
    put(&store, &[1; 100_000], None).unwrap();
    for name in names {
        let file = directory.path().join("bodies").join(name);
        assert_eq!(fs::read_to_string(file).unwrap(), name);
    }
}
