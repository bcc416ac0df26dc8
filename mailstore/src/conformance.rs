//! The suite that any backend is held against: one group of cases for each line of the contract.
//!
//! ```
//! use std::sync::Arc;
//! use hikyaku_mailstore::{Memory, Store};
//! # #[cfg(test)]
//! hikyaku_mailstore::conformance_suite!(((), Arc::new(Memory::new()) as Arc<dyn Store>));
//! ```
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "cases report by panicking"
)]

mod queue;

use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::{
    AccountId, Append, Changes, Claim, Error, FlagChange, Flags, MailboxId, Memory, ModSeq,
    Operation, Outcome, Result, Row, Scope, Staged, Store, Transaction, Uid, UidSet, Want, Which,
    block_on,
};
pub use queue::*;

/// Makes a test of each case. The expression makes a guard, dropped after the test, and a fresh
/// `Arc<dyn Store>`.
#[macro_export]
macro_rules! conformance_suite {
    ($make:expr) => {
        $crate::conformance_suite!(@each $make;
            transactions_are_all_or_nothing, uids_become_visible_in_order, uids_are_never_used_again,
            uid_validity_rises, counters_agree_with_rows, quota_holds_against_a_race,
            a_delete_makes_room_at_once, changes_lead_from_state_to_state, forgotten_changes_are_said_so,
            a_watcher_is_woken, a_claim_is_exclusive, an_expired_claim_cannot_settle,
            a_claim_is_shared_by_next_hops, many_entries_for_one_next_hop_hide_no_other, claims_are_given_back,
            a_wrong_clock_hides_no_entry, a_removed_account_leaves_no_queue,
            a_full_account_can_move, an_origin_never_doubles, ranges_are_exact, names_are_a_tree, copies_and_moves_keep_identity,
            unchanged_since_spares_the_changed, accounts_are_apart, mailboxes_have_properties,
            saved_is_when_it_came, it_behaves_as_memory_does);
    };
    (@each $make:expr; $($name:ident),*) => {
        $(#[test]
        fn $name() {
            let (_guard, store): (_, std::sync::Arc<dyn $crate::Store>) = $make;
            $crate::conformance::$name(&store);
        })*
    };
}

type Shared = Arc<dyn Store>;

fn account(store: &Shared) -> (AccountId, MailboxId) {
    let id = block_on(store.create_account("a@example.test")).unwrap();
    (id, mailbox(store, id, "INBOX").id)
}

fn mailbox(store: &Shared, id: AccountId, name: &str) -> crate::Mailbox {
    let all = block_on(store.mailboxes(id, None)).unwrap();
    all.mailboxes.into_iter().find(|m| m.name == name).unwrap()
}

/// Stages octets in pieces.
pub fn stage(store: &dyn Store, octets: &[u8]) -> Staged {
    let mut stage = block_on(store.stage()).unwrap();
    for piece in octets.chunks(50_000) {
        block_on(stage.write(Bytes::copy_from_slice(piece))).unwrap();
    }
    block_on(stage.finish()).unwrap()
}

fn append(store: &Shared, to: MailboxId, text: &str) -> Operation {
    let body = stage(&**store, text.as_bytes());
    Operation::Append(Box::new(Append::new(to, body, (1_700_000_000, 60))))
}

fn run(store: &Shared, id: AccountId, operation: Operation) -> Result<Outcome> {
    let done = block_on(store.commit(Transaction::new(id).with(operation)));
    done.map(|mut done| done.outcomes.pop().unwrap())
}

fn deliver(store: &Shared, to: MailboxId, text: &str) -> Uid {
    match run(store, to.account, append(store, to, text)).unwrap() {
        Outcome::Appended { uid, .. } => uid,
        other => panic!("{other:?}"),
    }
}

fn create(store: &Shared, id: AccountId, name: &str) -> Result<MailboxId> {
    let create = Operation::Create {
        name: name.into(),
        special_use: None,
        uid_validity: None,
    };
    run(store, id, create).map(|outcome| match outcome {
        Outcome::Created { id, .. } => id,
        other => panic!("{other:?}"),
    })
}

fn rows(store: &Shared, id: MailboxId) -> Vec<Row> {
    let all = Which::After(None);
    block_on(store.messages(id, &all, Want::SUMMARY, usize::MAX))
        .unwrap()
        .rows
}

fn uids(list: &[u32]) -> UidSet {
    list.iter().copied().filter_map(Uid::new).collect()
}

fn flag(mailbox: MailboxId, which: UidSet, flags: Flags) -> Operation {
    Operation::Flags {
        mailbox,
        uids: which,
        change: FlagChange::Add(flags),
        unchanged_since: None,
    }
}

fn expunge(mailbox: MailboxId, which: UidSet) -> Operation {
    Operation::Expunge {
        mailbox,
        uids: which,
        deleted_only: false,
    }
}

/// Line 1: a transaction whose last operation fails leaves nothing of the first.
pub fn transactions_are_all_or_nothing(store: &Shared) {
    let (id, inbox) = account(store);
    deliver(store, inbox, "kept");
    let before = (
        rows(store, inbox),
        block_on(store.mailboxes(id, None)).unwrap(),
    );
    let nowhere = MailboxId {
        account: id,
        number: 999,
    };
    let failing = Transaction::new(id)
        .with(append(store, inbox, "first"))
        .with(flag(inbox, uids(&[1]), Flags::SEEN))
        .with(Operation::Subscribe {
            name: "x".into(),
            subscribed: true,
        })
        .with(expunge(inbox, uids(&[1])))
        .with(Operation::Delete(nowhere));
    assert!(matches!(
        block_on(store.commit(failing)),
        Err(Error::NoSuchMailbox)
    ));
    let after = (
        rows(store, inbox),
        block_on(store.mailboxes(id, None)).unwrap(),
    );
    assert_eq!(before, after);
    assert_eq!(
        deliver(store, inbox, "next").get(),
        2,
        "a failed append uses no UID up"
    );
}

/// Line 2: with eight writers, no reader ever sees a UID or a change smaller than one it saw.
pub fn uids_become_visible_in_order(store: &Shared) {
    let (id, inbox) = account(store);
    thread::scope(|scope| {
        for writer in 0..8 {
            scope.spawn(move || {
                for n in 0..12 {
                    deliver(store, inbox, &format!("{writer}.{n}"));
                    run(store, id, flag(inbox, uids(&[n + 1]), Flags::SEEN)).unwrap();
                }
            });
        }
        let (mut seen, mut at) = (None, ModSeq(0));
        let mut count = 0;
        while count < 96 {
            let page = block_on(store.messages(inbox, &Which::After(seen), Want::ROW, 7)).unwrap();
            assert!(page.at >= at);
            at = page.at;
            for row in &page.rows {
                assert!(Some(row.uid) > seen && row.modified <= at);
                assert_eq!(
                    row.uid.get(),
                    count + 1,
                    "a UID appeared behind a larger one"
                );
                count += 1;
                seen = Some(row.uid);
            }
        }
    });
}

/// Line 3.
pub fn uids_are_never_used_again(store: &Shared) {
    let (id, inbox) = account(store);
    for expected in 1..4 {
        assert_eq!(deliver(store, inbox, "x").get(), expected);
        run(store, id, expunge(inbox, UidSet::all())).unwrap();
    }
}

/// Line 3: a name created again gets a larger UIDVALIDITY, also in an account created again.
pub fn uid_validity_rises(store: &Shared) {
    let (id, inbox) = account(store);
    let mut last = mailbox(store, id, "INBOX").uid_validity;
    for _ in 0..3 {
        let made = create(store, id, "Work").unwrap();
        let validity = mailbox(store, id, "Work").uid_validity;
        assert!(validity > last);
        last = validity;
        run(store, id, Operation::Delete(made)).unwrap();
    }
    assert!(run(store, id, Operation::Delete(inbox)).is_err());
}

fn check_counters(store: &Shared, id: AccountId) {
    let (mut octets, mut messages) = (0, 0);
    for mailbox in block_on(store.mailboxes(id, None)).unwrap().mailboxes {
        let rows = rows(store, mailbox.id);
        let count = |f: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| f(row)).count() as u32;
        assert_eq!(mailbox.messages, rows.len() as u32);
        assert_eq!(mailbox.unseen, count(&|r| !r.flags.contains(&Flags::SEEN)));
        assert_eq!(
            mailbox.deleted,
            count(&|r| r.flags.contains(&Flags::DELETED))
        );
        assert_eq!(
            mailbox.octets,
            rows.iter().map(|r| r.body.octets).sum::<u64>()
        );
        assert!(rows.iter().all(|r| r.uid.get() < mailbox.uid_next));
        octets += mailbox.octets;
        messages += u64::from(mailbox.messages);
    }
    let quota = block_on(store.account_by_id(id)).unwrap().unwrap().quota;
    assert_eq!((quota.used_octets, quota.used_messages), (octets, messages));
}

/// Line 4.
pub fn counters_agree_with_rows(store: &Shared) {
    let (id, inbox) = account(store);
    let other = create(store, id, "Other").unwrap();
    for n in 0..20 {
        deliver(store, inbox, &"x".repeat(n));
    }
    run(store, id, flag(inbox, uids(&[1, 2, 3]), Flags::SEEN)).unwrap();
    run(store, id, flag(inbox, uids(&[3, 4]), Flags::DELETED)).unwrap();
    let (from, to) = (inbox, other);
    run(
        store,
        id,
        Operation::Copy {
            from,
            uids: uids(&[2, 3, 9]),
            to,
        },
    )
    .unwrap();
    run(
        store,
        id,
        Operation::Move {
            from,
            uids: uids(&[4, 5]),
            to,
        },
    )
    .unwrap();
    check_counters(store, id);
    let deleted_only = Operation::Expunge {
        mailbox: inbox,
        uids: UidSet::all(),
        deleted_only: true,
    };
    assert_eq!(
        run(store, id, deleted_only).unwrap(),
        Outcome::Expunged(uids(&[3]))
    );
    check_counters(store, id);
    run(store, id, Operation::Delete(other)).unwrap();
    check_counters(store, id);
}

fn limit(store: &Shared, id: AccountId, octets: u64) {
    let quota = Operation::SetQuota {
        octets: Some(octets),
        messages: None,
    };
    run(store, id, quota).unwrap();
}

/// Line 5: twenty racing deliveries into room for seven.
pub fn quota_holds_against_a_race(store: &Shared) {
    let (id, inbox) = account(store);
    limit(store, id, 75);
    let stored = thread::scope(|scope| {
        let each = |_| scope.spawn(|| run(store, id, append(store, inbox, "0123456789")));
        let all: Vec<_> = (0..20).map(each).collect();
        all.into_iter()
            .map(|one| match one.join().unwrap() {
                Ok(_) => 1,
                Err(Error::OverQuota) => 0,
                Err(other) => panic!("{other}"),
            })
            .sum::<usize>()
    });
    assert_eq!((stored, rows(store, inbox).len()), (7, 7));
    check_counters(store, id);
}

/// Line 5: a move within an account takes no more room, a copy does.
pub fn a_full_account_can_move(store: &Shared) {
    let (id, inbox) = account(store);
    limit(store, id, 10);
    deliver(store, inbox, "0123456789");
    let trash = create(store, id, "Trash").unwrap();
    let (from, to) = (inbox, trash);
    let copy = Operation::Copy {
        from,
        uids: uids(&[1]),
        to,
    };
    assert!(matches!(run(store, id, copy), Err(Error::OverQuota)));
    let uids = uids(&[1]);
    assert!(run(store, id, Operation::Move { from, uids, to }).is_ok());
    assert_eq!((rows(store, inbox).len(), rows(store, trash).len()), (0, 1));
    check_counters(store, id);
}

/// Line 5.
pub fn a_delete_makes_room_at_once(store: &Shared) {
    let (id, inbox) = account(store);
    limit(store, id, 10);
    deliver(store, inbox, "0123456789");
    let again = run(store, id, append(store, inbox, "x"));
    assert!(matches!(again, Err(Error::OverQuota)));
    run(store, id, expunge(inbox, uids(&[1]))).unwrap();
    deliver(store, inbox, "0123456789");
}

/// Line 6: whatever happened between, replaying gives the present state.
pub fn changes_lead_from_state_to_state(store: &Shared) {
    let (id, inbox) = account(store);
    let mut random = Random(7);
    let mut states: Vec<(ModSeq, BTreeMap<Uid, Row>)> = Vec::new();
    for n in 0..120 {
        random_step(store, id, inbox, &mut random, n);
        let page = block_on(store.messages(inbox, &Which::After(None), Want::ROW, 9999)).unwrap();
        states.push((page.at, page.rows.into_iter().map(|r| (r.uid, r)).collect()));
    }
    let (last_at, last) = states.last().unwrap();
    for (since, state) in &states {
        let (mut state, mut since) = (state.clone(), *since);
        while since < *last_at {
            let changes = block_on(store.changes(inbox, since, Want::ROW, 5)).unwrap();
            let Changes::Known { at, rows, vanished } = changes else {
                panic!("nothing is forgotten yet");
            };
            assert!(at > since, "a page must lead on");
            for uid in vanished.iter() {
                state.remove(&uid);
            }
            state.extend(rows.into_iter().map(|row| (row.uid, row)));
            since = at;
        }
        assert_eq!(&state, last);
    }
}

/// Line 6: what came before the mailbox's beginning is too old.
pub fn forgotten_changes_are_said_so(store: &Shared) {
    let (id, _) = account(store);
    create(store, id, "One").unwrap();
    let two = create(store, id, "Two").unwrap();
    let changes = block_on(store.changes(two, ModSeq(0), Want::ROW, 10)).unwrap();
    assert!(matches!(changes, Changes::TooOld { horizon } if horizon > ModSeq(0)));
}

/// Line 7.
pub fn a_watcher_is_woken(store: &Shared) {
    let (id, inbox) = account(store);
    let mut watch = store.watch(Scope::Account(id));
    let mut other = store.watch(Scope::Queue);
    deliver(store, inbox, "before it listens");
    block_on(watch.changed());
    let told = thread::scope(|scope| {
        let told = scope.spawn(|| {
            block_on(watch.changed());
            rows(store, inbox).len()
        });
        thread::sleep(Duration::from_millis(20));
        deliver(store, inbox, "while it listens");
        told.join().unwrap()
    });
    assert_eq!(told, 2, "what woke it is readable");
    let mut context = Context::from_waker(Waker::noop());
    assert!(pin!(other.changed()).poll(&mut context).is_pending());
    run(store, id, enqueue(store)).unwrap();
    assert_eq!(pin!(other.changed()).poll(&mut context), Poll::Ready(()));
}

fn enqueue(store: &Shared) -> Operation {
    Operation::Enqueue {
        due: SystemTime::UNIX_EPOCH,
        next_hop: "example.test".into(),
        body: stage(&**store, b"a letter"),
        envelope: Bytes::from_static(b"envelope"),
    }
}

/// Line 8: four claimants race for thirty entries, and each goes to one of them.
pub fn a_claim_is_exclusive(store: &Shared) {
    let (id, _) = account(store);
    for _ in 0..30 {
        run(store, id, enqueue(store)).unwrap();
    }
    let (now, ttl) = (SystemTime::now(), Duration::from_secs(60));
    let claimed = thread::scope(|scope| {
        let each = |_| {
            scope.spawn(move || {
                let mut mine = Vec::new();
                for _ in 0..10 {
                    let some = block_on(store.claim(&Claim::new(now, 4, ttl))).unwrap();
                    mine.extend(some.into_iter().map(|entry| entry.id));
                }
                mine
            })
        };
        let all: Vec<_> = (0..4).map(each).collect();
        all.into_iter()
            .flat_map(|one| one.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert_eq!(claimed.len(), 30);
    assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), 30);
}

/// Line 8.
pub fn an_expired_claim_cannot_settle(store: &Shared) {
    let (id, _) = account(store);
    run(store, id, enqueue(store)).unwrap();
    let (now, ttl) = (SystemTime::now(), Duration::from_secs(60));
    let first = block_on(store.claim(&Claim::new(now, 9, ttl)))
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(&first.envelope[..], b"envelope");
    assert!(
        block_on(store.claim(&Claim::new(now, 9, ttl)))
            .unwrap()
            .is_empty()
    );
    let second = block_on(store.claim(&Claim::new(now + ttl * 2, 9, ttl)))
        .unwrap()
        .pop()
        .unwrap();
    let settle = |token, again| Operation::Settle {
        id: first.id,
        token,
        again,
    };
    let late = run(store, AccountId::SYSTEM, settle(first.token, None));
    assert!(matches!(late, Err(Error::Conflict(_))));
    let later = (now + ttl * 9, Bytes::from_static(b"tried"));
    run(store, AccountId::SYSTEM, settle(second.token, Some(later))).unwrap();
    assert!(
        block_on(store.claim(&Claim::new(now + ttl * 8, 9, ttl)))
            .unwrap()
            .is_empty()
    );
    let third = block_on(store.claim(&Claim::new(now + ttl * 9, 9, ttl)))
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(&third.envelope[..], b"tried");
    assert_eq!(
        &block_on(store.read(&third.body, 0..99)).unwrap()[..],
        b"a letter"
    );
    run(store, AccountId::SYSTEM, settle(third.token, None)).unwrap();
    assert!(block_on(store.queue(None, 9)).unwrap().is_empty());
}

/// Line 9: appended again it is not doubled, not even after it was expunged.
pub fn an_origin_never_doubles(store: &Shared) {
    let (id, inbox) = account(store);
    let again = || {
        let body = stage(&**store, b"once");
        let mut append = Append::new(inbox, body, (0, 0));
        append.origin = Some(Bytes::from_static(b"queue-17/a"));
        run(store, id, Operation::Append(Box::new(append))).unwrap()
    };
    assert!(matches!(again(), Outcome::Appended { uid, .. } if uid.get() == 1));
    assert!(matches!(again(), Outcome::Existed { uid, .. } if uid.get() == 1));
    let by_origin = Which::Origin(Bytes::from_static(b"queue-17/a"));
    let found = block_on(store.messages(inbox, &by_origin, Want::ROW, 9)).unwrap();
    assert_eq!(found.rows.len(), 1);
    run(store, id, expunge(inbox, uids(&[1]))).unwrap();
    assert!(matches!(again(), Outcome::Existed { uid, .. } if uid.get() == 1));
    assert!(rows(store, inbox).is_empty());
}

/// Line 11: small and large, whole and in ranges, also beyond the end.
pub fn ranges_are_exact(store: &Shared) {
    let (id, inbox) = account(store);
    for size in [0_usize, 1, 1000, 65_536, 65_537, 3_000_000] {
        let octets: Vec<u8> = (0..size).map(|n| (n * 31 % 251) as u8).collect();
        let staged = stage(&**store, &octets);
        let append = Append::new(inbox, staged, (0, 0));
        run(store, id, Operation::Append(Box::new(append))).unwrap();
        let body = rows(store, inbox).pop().unwrap().body;
        assert_eq!(body.octets, size as u64);
        let mut read = Vec::new();
        loop {
            let from = read.len() as u64;
            let piece = block_on(store.read(&body, from..u64::MAX)).unwrap();
            if piece.is_empty() {
                break;
            }
            read.extend_from_slice(&piece);
        }
        assert!(read == octets);
        for (from, to) in [
            (0, 1),
            (size / 2, size / 2 + 9),
            (size.saturating_sub(3), size + 5),
        ] {
            let piece = block_on(store.read(&body, from as u64..to as u64)).unwrap();
            assert!(piece[..] == octets[from.min(size)..to.min(size)]);
        }
    }
}

/// RENAME takes what lies below along; nothing is overwritten.
pub fn names_are_a_tree(store: &Shared) {
    let (id, _) = account(store);
    let a = create(store, id, "a").unwrap();
    let b = create(store, id, "a/b").unwrap();
    let c = create(store, id, "c").unwrap();
    assert!(matches!(create(store, id, "a"), Err(Error::AlreadyExists)));
    assert!(matches!(
        create(store, id, "inbox"),
        Err(Error::AlreadyExists)
    ));
    let rename = |mailbox, to: &str| {
        run(
            store,
            id,
            Operation::Rename {
                mailbox,
                to: to.into(),
            },
        )
    };
    assert!(matches!(rename(c, "a/b"), Err(Error::AlreadyExists)));
    assert!(rename(a, "a/b/c").is_err());
    rename(a, "x/y").unwrap();
    assert_eq!(mailbox(store, id, "x/y").id, a);
    assert_eq!(mailbox(store, id, "x/y/b").id, b);
    assert_eq!(mailbox(store, id, "c").id, c);
}

/// COPY and MOVE keep EMAILID, flags and date, and tell old and new UIDs.
pub fn copies_and_moves_keep_identity(store: &Shared) {
    let (id, from) = account(store);
    let to = create(store, id, "To").unwrap();
    for text in ["one", "two", "three"] {
        deliver(store, from, text);
    }
    run(store, id, flag(from, uids(&[2]), Flags::FLAGGED)).unwrap();
    let before = rows(store, from);
    let copied = run(
        store,
        id,
        Operation::Copy {
            from,
            uids: uids(&[2, 3, 77]),
            to,
        },
    )
    .unwrap();
    let pair = |a, b| (Uid::new(a).unwrap(), Uid::new(b).unwrap());
    assert!(matches!(copied, Outcome::Copied { pairs, .. } if pairs == [pair(2, 1), pair(3, 2)]));
    let moved = run(
        store,
        id,
        Operation::Move {
            from,
            uids: uids(&[1]),
            to,
        },
    )
    .unwrap();
    assert!(matches!(moved, Outcome::Copied { pairs, .. } if pairs == [pair(1, 3)]));
    let after = rows(store, to);
    let same = |a: &Row, b: &Row| {
        assert_eq!(
            (a.email, &a.flags, a.received, a.body),
            (b.email, &b.flags, b.received, b.body)
        );
    };
    same(&after[0], &before[1]);
    same(&after[2], &before[0]);
    assert_eq!(rows(store, from).len(), 2);
    let gone = &before[0].body;
    assert_eq!(&block_on(store.read(gone, 0..9)).unwrap()[..], b"one");
    check_counters(store, id);
}

/// RFC 7162: what changed since is spared, and named.
pub fn unchanged_since_spares_the_changed(store: &Shared) {
    let (id, inbox) = account(store);
    deliver(store, inbox, "one");
    deliver(store, inbox, "two");
    let since = block_on(store.account_by_id(id)).unwrap().unwrap().at;
    run(store, id, flag(inbox, uids(&[1]), Flags::SEEN)).unwrap();
    let guarded = Operation::Flags {
        mailbox: inbox,
        uids: uids(&[1, 2]),
        change: FlagChange::Set(Flags::DRAFT),
        unchanged_since: Some(since),
    };
    let (changed, modified) = (uids(&[2]), uids(&[1]));
    assert_eq!(
        run(store, id, guarded).unwrap(),
        Outcome::Flagged { changed, modified }
    );
    assert_eq!(rows(store, inbox)[0].flags, Flags::SEEN);
    assert_eq!(rows(store, inbox)[1].flags, Flags::DRAFT);
}

/// Accounts have names of their own, properties of their own, and go with all they have.
pub fn accounts_are_apart(store: &Shared) {
    let (a, inbox) = account(store);
    let b = block_on(store.create_account("b@example.test")).unwrap();
    assert!(block_on(store.create_account("b@example.test")).is_err());
    let property = Operation::SetProperty {
        key: "password".into(),
        value: Some(Bytes::from_static(b"hash")),
    };
    run(store, a, property).unwrap();
    deliver(store, inbox, "x");
    let told = block_on(store.account("a@example.test")).unwrap().unwrap();
    assert_eq!(&told.properties["password"][..], b"hash");
    assert!(
        block_on(store.account_by_id(b))
            .unwrap()
            .unwrap()
            .properties
            .is_empty()
    );
    let foreign = run(store, b, expunge(inbox, UidSet::all()));
    assert!(matches!(foreign, Err(Error::NoSuchMailbox)));
    let names = |list: Vec<crate::Account>| list.into_iter().map(|a| a.name).collect::<Vec<_>>();
    let all = block_on(store.accounts("", 9)).unwrap();
    assert_eq!(names(all), ["a@example.test", "b@example.test"]);
    assert_eq!(
        names(block_on(store.accounts("a@example.test", 9)).unwrap()),
        ["b@example.test"]
    );
    block_on(store.remove_account(a)).unwrap();
    assert!(block_on(store.account("a@example.test")).unwrap().is_none());
    assert!(block_on(store.messages(inbox, &Which::After(None), Want::ROW, 9)).is_err());
}

/// Mailboxes have properties of their own, which go with them; setting one is a change.
pub fn mailboxes_have_properties(store: &Shared) {
    let (a, inbox) = account(store);
    let other = create(store, a, "Other").unwrap();
    let set = |mailbox, key: &str, value: Option<&'static [u8]>| Operation::SetMailboxProperty {
        mailbox,
        key: key.into(),
        value: value.map(Bytes::from_static),
    };
    let before = block_on(store.account_by_id(a)).unwrap().unwrap().at;
    run(store, a, set(inbox, "acl", Some(b"x"))).unwrap();
    run(store, a, set(inbox, "acl", Some(b"y"))).unwrap();
    run(store, a, set(other, "note", Some(b"z"))).unwrap();
    let told = |name: &str| {
        let all = block_on(store.mailboxes(a, Some(before)))
            .unwrap()
            .mailboxes;
        let found = all.into_iter().find(|mailbox| mailbox.name == name);
        found.map(|mailbox| mailbox.properties)
    };
    assert_eq!(told("INBOX").unwrap()["acl"][..], b"y"[..]);
    assert_eq!(told("Other").unwrap().len(), 1);
    // What else changes in a mailbox leaves them as they are.
    deliver(store, inbox, "one");
    assert_eq!(told("INBOX").unwrap().len(), 1);
    run(store, a, set(inbox, "acl", None)).unwrap();
    assert!(told("INBOX").unwrap().is_empty());
    run(store, a, Operation::Delete(other)).unwrap();
    let again = create(store, a, "Other").unwrap();
    assert!(told("Other").unwrap().is_empty());
    let b = block_on(store.create_account("b@example.test")).unwrap();
    assert!(run(store, b, set(again, "acl", Some(b"b"))).is_err());
}

/// RFC 8514: a message was saved when it came into its mailbox, whatever INTERNALDATE says.
pub fn saved_is_when_it_came(store: &Shared) {
    let (a, inbox) = account(store);
    let now = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        i64::try_from(now.unwrap().as_secs()).unwrap()
    };
    let before = now();
    deliver(store, inbox, "one");
    let other = create(store, a, "Other").unwrap();
    let copy = Operation::Copy {
        from: inbox,
        uids: UidSet::all(),
        to: other,
    };
    run(store, a, copy).unwrap();
    for mailbox in [inbox, other] {
        let row = rows(store, mailbox).remove(0);
        assert_eq!(row.received.0, rows(store, inbox)[0].received.0);
        assert!((before..=now()).contains(&row.saved.unwrap()), "{row:?}");
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// The operation that a seed stands for, and its outcome.
fn random_step(
    store: &Shared,
    id: AccountId,
    inbox: MailboxId,
    random: &mut Random,
    n: u64,
) -> String {
    let all = block_on(store.mailboxes(id, None)).unwrap().mailboxes;
    let pick = |random: &mut Random| all[random.below(all.len() as u64) as usize].id;
    let (from, to) = (pick(random), pick(random));
    let low = 1 + random.below(12) as u32;
    let which = UidSet::from_ranges([(low, low + random.below(4) as u32)]);
    let name = ["a", "a/b", "c", "INBOX/d"][random.below(4) as usize];
    let flags = Flags::from_parts(
        random.below(32) as u8,
        ["$x", "y"].into_iter().take(n as usize % 3),
    );
    let operation = match random.below(12) {
        0..=3 => append(
            store,
            if n.is_multiple_of(2) { inbox } else { to },
            &"z".repeat(n as usize),
        ),
        4 => flag(from, which, flags),
        5 => Operation::Flags {
            mailbox: from,
            uids: which,
            change: FlagChange::Set(flags),
            unchanged_since: Some(ModSeq(random.below(n + 1))),
        },
        6 => Operation::Copy {
            from,
            uids: which,
            to,
        },
        7 => Operation::Move {
            from,
            uids: which,
            to,
        },
        8 => expunge(from, which),
        9 => Operation::Create {
            name: name.into(),
            special_use: None,
            uid_validity: None,
        },
        10 => Operation::Rename {
            mailbox: from,
            to: name.into(),
        },
        _ => Operation::Delete(to),
    };
    match run(store, id, operation) {
        Ok(Outcome::Appended { uid, .. }) => format!("appended {uid}"),
        Ok(Outcome::Copied { pairs, .. }) => format!("copied {pairs:?}"),
        Ok(Outcome::Created { id, .. }) => format!("created {}", id.number),
        Ok(other) => format!("{other:?}"),
        Err(error) => error.to_string(),
    }
}

/// Random histories against the model: the same outcomes, the same state.
pub fn it_behaves_as_memory_does(store: &Shared) {
    let model: Shared = Arc::new(Memory::new());
    for seed in 1..4 {
        let name = format!("model{seed}@example.test");
        let ids = [store, &model].map(|s| block_on(s.create_account(&name)).unwrap());
        let inboxes = [(store, ids[0]), (&model, ids[1])].map(|(s, id)| mailbox(s, id, "INBOX").id);
        let (mut one, mut two) = (Random(seed), Random(seed));
        for n in 0..150 {
            let got = random_step(store, ids[0], inboxes[0], &mut one, n);
            let expected = random_step(&model, ids[1], inboxes[1], &mut two, n);
            assert_eq!(got, expected, "step {n} of seed {seed}");
        }
        let [got, expected] = [(store, ids[0]), (&model, ids[1])].map(|(s, id)| {
            let all = block_on(s.mailboxes(id, None)).unwrap();
            let each = all.mailboxes.iter().map(|m| {
                let rows = rows(s, m.id).into_iter();
                let rows = rows.map(|r| {
                    (
                        r.uid,
                        r.modified,
                        r.flags,
                        r.received,
                        r.email,
                        r.body.octets,
                    )
                });
                let counters = (
                    m.uid_next, m.highest, m.messages, m.unseen, m.deleted, m.octets,
                );
                (m.name.clone(), counters, rows.collect::<Vec<_>>())
            });
            (all.at, each.collect::<Vec<_>>())
        });
        assert_eq!(got, expected, "seed {seed}");
        check_counters(store, ids[0]);
    }
}
