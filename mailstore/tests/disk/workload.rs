//! What a child process does to a store while its disk fails or its power is cut, and what has to hold after.

use super::{inbox, put};
use hikyaku_mailstore::{
    Disk, Error, FlagChange, Flags, Operation, Outcome, Result, Store, Transaction, Uid, UidSet,
    Want, Which, block_on,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

/// Octets of the messages of a round: in the database and in files.
const SIZES: [usize; 6] = [500, 70_000, 3_000, 140_000, 60_000, 10];

/// Makes the store that the child opens.
pub(super) fn prepare(directory: &Path) {
    let store = Disk::open(directory.join("store")).unwrap();
    block_on(store.create_account("a@example.test")).unwrap();
}

pub(super) fn body(name: &str, size: usize) -> Vec<u8> {
    let filler = name.bytes().cycle().take(size);
    [name.as_bytes(), b"\r\n"]
        .concat()
        .into_iter()
        .chain(filler)
        .collect()
}

/// The child of the tests of faults and power cuts. Each thing that it does is in `acks` before and after.
#[test]
#[ignore = "run by the tests of faults and power cuts"]
fn child() {
    let Ok(directory) = std::env::var("HIKYAKU_CHILD") else {
        return;
    };
    let directory = Path::new(&directory);
    let mut acks = File::create(directory.join("acks")).unwrap();
    let mut say = |line: String| acks.write_all(line.as_bytes()).unwrap();
    let rounds = std::env::var("HIKYAKU_ROUNDS").map_or(3, |text| text.parse().unwrap());
    for round in 0..rounds {
        let mut tries = 0;
        let store = loop {
            match Disk::open(directory.join("store")) {
                Ok(store) => break store,
                Err(_) if tries < 3 => tries += 1,
                // The disk has failed for good.
                Err(_) => return,
            }
        };
        if let Ok(None) = block_on(store.account("a@example.test")) {
            let made = block_on(store.create_account("a@example.test"));
            say(format!("{} account made\n", word(&made)));
        }
        let mut uids = Vec::new();
        for (n, size) in SIZES.into_iter().enumerate() {
            let name = format!("{round}.{n}");
            say(format!("begin store {name}\n"));
            let stored = put(&store, &body(&name, size), None);
            say(format!("{} store {name}\n", word(&stored)));
            if let Ok(Outcome::Appended { uid, .. }) = stored {
                uids.push((uid, name));
            }
        }
        for (n, (uid, name)) in uids.iter().enumerate() {
            match n % 3 {
                0 => {
                    say(format!("begin flag {name}\n"));
                    let flagged = change(&store, *uid, true);
                    say(format!("{} flag {name}\n", word(&flagged)));
                }
                1 => {
                    say(format!("begin gone {name}\n"));
                    let gone = change(&store, *uid, false);
                    say(format!("{} gone {name}\n", word(&gone)));
                }
                _ => {}
            }
        }
        // A store whose disk is well again takes changes again, by itself.
        let patience = std::env::var("HIKYAKU_PATIENCE").map_or(0, |text| text.parse().unwrap());
        for attempt in 0..=patience {
            let name = format!("{round}.last.{attempt}");
            say(format!("begin store {name}\n"));
            let stored = put(&store, &body(&name, 100), None);
            say(format!("{} store {name}\n", word(&stored)));
            let is_well = store.health().takes_messages().is_ok();
            say(format!("{} {name}\n", if is_well { "well" } else { "ill" }));
            if stored.is_ok() {
                say(format!("healed {round}\n"));
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn change(store: &dyn Store, uid: Uid, flag: bool) -> Result<()> {
    let mailbox = inbox(store).id;
    let mut uids = UidSet::new();
    uids.insert(uid);
    let operation = match flag {
        true => Operation::Flags {
            mailbox,
            uids,
            change: FlagChange::Add(Flags::FLAGGED),
            unchanged_since: None,
        },
        false => Operation::Expunge {
            mailbox,
            uids,
            deleted_only: false,
        },
    };
    block_on(store.commit(Transaction::new(mailbox.account).with(operation))).map(drop)
}

fn word<T>(result: &Result<T>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(Error::OutcomeUnknown) => "unknown",
        Err(_) => "refused",
    }
}

/// How a change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    Refused,
    Unknown,
}

#[derive(Debug, Clone, Default)]
struct Said {
    stored: Option<End>,
    flagged: Option<End>,
    gone: Option<End>,
}

/// What was acknowledged, out of what the child said; the last change may have had no answer.
fn said(acks: &str) -> BTreeMap<String, Said> {
    let mut all = BTreeMap::<String, Said>::new();
    for line in acks.lines() {
        let mut words = line.split(' ');
        let (Some(end), Some(what), Some(name)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let end = match end {
            "ok" => End::Done,
            "refused" => End::Refused,
            _ => End::Unknown,
        };
        let said = all.entry(name.to_owned()).or_default();
        match what {
            "store" => said.stored = Some(end),
            "flag" => said.flagged = Some(end),
            "gone" => said.gone = Some(end),
            _ => {}
        }
    }
    all
}

/// Opens the store and holds it against what the child said: what was acknowledged is there, what was
/// refused is not, nothing is damaged or doubled, and the store goes on.
pub(super) fn verify(directory: &Path, acks: &str, what: &str) {
    let store = Disk::open(directory).unwrap_or_else(|error| panic!("{what}: {error}"));
    let health = store.health();
    let damage = health.findings.iter().find(|found| found.is_damage());
    assert!(damage.is_none(), "{what}: {damage:?}");
    if block_on(store.account("a@example.test")).unwrap().is_none() {
        assert!(!acks.contains("ok account"), "{what}: the account is lost");
        block_on(store.create_account("a@example.test")).unwrap();
    }
    let seen = look(&store, what);
    for (name, said) in said(acks) {
        let there = seen.get(&name);
        let must = said.stored == Some(End::Done) && matches!(said.gone, None | Some(End::Refused));
        let must_not = said.stored == Some(End::Refused) || said.gone == Some(End::Done);
        assert!(
            !must || there.is_some(),
            "{what}: {name} is lost: {said:?}\n{acks}"
        );
        assert!(
            !must_not || there.is_none(),
            "{what}: {name} is there: {said:?}\n{acks}"
        );
        if let Some(flags) = there {
            match said.flagged {
                Some(End::Done) => assert!(*flags, "{what}: the flag of {name} is lost\n{acks}"),
                None | Some(End::Refused) => assert!(!*flags, "{what}: {name} has a flag\n{acks}"),
                Some(End::Unknown) => {}
            }
        }
    }
    let after = body("after", 90_000);
    put(&store, &after, None).unwrap_or_else(|error| panic!("{what}: afterwards: {error}"));
    drop(store);
    let store = Disk::open(directory).unwrap();
    let mut again = look(&store, what);
    assert!(
        again.remove("after").is_some(),
        "{what}: what came after is lost"
    );
    assert_eq!(again, seen, "{what}: another start sees something else");
}

/// The messages, and whether they are flagged.
fn look(store: &dyn Store, what: &str) -> BTreeMap<String, bool> {
    let inbox = inbox(store);
    let page = store.messages(inbox.id, &Which::After(None), Want::ROW, 1 << 20);
    let rows = block_on(page).unwrap().rows;
    assert_eq!(
        rows.len(),
        inbox.messages as usize,
        "{what}: the counter is wrong"
    );
    let mut seen = BTreeMap::new();
    for row in &rows {
        let read = block_on(store.read(&row.body, 0..u64::MAX));
        let read = read.unwrap_or_else(|error| panic!("{what}: UID {}: {error}", row.uid));
        let end = read.iter().position(|octet| *octet == b'\r').unwrap();
        let name = std::str::from_utf8(&read[..end]).unwrap().to_owned();
        assert!(
            read == body(&name, read.len() - name.len() - 2),
            "{what}: {name} is not as it was"
        );
        assert_eq!(read.len() as u64, row.body.octets, "{what}: {name} is cut");
        let flagged = row.flags.contains(&Flags::FLAGGED);
        assert!(
            seen.insert(name.clone(), flagged).is_none(),
            "{what}: {name} is there twice"
        );
    }
    seen
}
