//! The queue: claims are fair to every next hop, are given back, and no wrong clock hides an entry.

use bytes::Bytes;
use std::time::{Duration, SystemTime};

use super::{Shared, account, run, stage};
use crate::{AccountId, Claim, Error, Operation, QueueEntry, QueueId, Transaction, block_on};

const TTL: Duration = Duration::from_secs(60);

/// A time of which all others are counted: no case depends on the clock.
fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn claim_of(limit: usize) -> Claim {
    Claim::new(noon(), limit, TTL)
}

fn claim(store: &Shared, claim: &Claim) -> Vec<QueueEntry> {
    block_on(store.claim(claim)).unwrap()
}

fn hops(entries: &[QueueEntry]) -> Vec<&str> {
    entries.iter().map(|entry| &entry.next_hop[..]).collect()
}

/// Queues an entry for each next hop, the first one due first, all of them by noon.
fn queue(store: &Shared, owner: AccountId, next_hops: &[&str]) {
    let body = stage(&**store, b"a letter");
    for (part, some) in next_hops.chunks(1000).enumerate() {
        let mut transaction = Transaction::new(owner);
        for (nth, next_hop) in some.iter().enumerate() {
            let late = Duration::from_millis((part * 1000 + nth) as u64);
            transaction = transaction.with(Operation::Enqueue {
                due: noon() - seconds(1000) + late,
                next_hop: (*next_hop).into(),
                body: body.clone(),
                envelope: Bytes::from_static(b"envelope"),
            });
        }
        block_on(store.commit(transaction)).unwrap();
    }
}

/// Line 8: the oldest come first, and no more than a share of each next hop.
pub fn a_claim_is_shared_by_next_hops(store: &Shared) {
    let (id, _) = account(store);
    queue(store, id, &["b", "b", "b", "a", "c", "b", "a", "d"]);
    let first = claim(store, &claim_of(5).per_next_hop(2).share("c", 0));
    assert_eq!(hops(&first), ["b", "b", "a", "a", "d"]);
    assert!(first.iter().all(|entry| entry.due == noon() + TTL));
    // What an earlier claim returned does not count in a later one; the caller counts it.
    let second = claim(store, &claim_of(9).per_next_hop(1).share("c", 3));
    assert_eq!(hops(&second), ["b", "c"]);
    assert!(claim(store, &claim_of(9).per_next_hop(0)).is_empty());
    assert!(claim(store, &claim_of(0)).is_empty());
    assert_eq!(hops(&claim(store, &claim_of(1))), ["b"]);
}

/// Line 8: ten thousand entries for one next hop do not hide one for another, wherever that lies in the order.
pub fn many_entries_for_one_next_hop_hide_no_other(store: &Shared) {
    let (id, _) = account(store);
    let mut all = vec!["dead"; 10_000];
    for (at, hop) in [(9_999, "a"), (5_000, "z"), (700, "m")] {
        all[at] = hop;
    }
    queue(store, id, &all);
    let found = claim(store, &claim_of(20).share("dead", 2));
    assert_eq!(hops(&found), ["dead", "dead", "m", "z", "a"]);
    let found = claim(store, &claim_of(20).share("dead", 0));
    assert!(found.is_empty());
    let found = claim(store, &claim_of(3).share("dead", 9));
    assert_eq!(hops(&found), ["dead"; 3]);
}

/// Line 8: what an owner holds is given back at once, and what others hold is theirs.
pub fn claims_are_given_back(store: &Shared) {
    let (id, _) = account(store);
    queue(store, id, &["a", "a", "b", "c"]);
    for owner in [7, u32::MAX] {
        let held = claim(store, &claim_of(2).owner(owner));
        assert_eq!(held.len(), 2);
    }
    assert!(claim(store, &claim_of(9)).is_empty());
    assert_eq!(block_on(store.release_claims(8, noon())).unwrap(), 0);
    assert_eq!(block_on(store.release_claims(7, noon())).unwrap(), 2);
    assert_eq!(block_on(store.release_claims(7, noon())).unwrap(), 0);
    let again = claim(store, &claim_of(9).owner(1));
    assert_eq!(hops(&again), ["a", "a"]);
    // The proof of a claim that was given back is worth nothing.
    let held = block_on(store.queue(Some(again[1].id), 9)).unwrap();
    assert_eq!(held.len(), 2);
    let released = block_on(store.release_claims(u32::MAX, noon() + seconds(5))).unwrap();
    assert_eq!(released, 2);
    let settle = Operation::Settle {
        id: held[0].id,
        token: held[0].token,
        again: None,
    };
    let late = run(store, AccountId::SYSTEM, settle);
    assert!(matches!(late, Err(Error::Conflict(_))));
    assert!(claim(store, &claim_of(9)).is_empty());
    let last = Claim::new(noon() + seconds(5), 9, TTL);
    assert_eq!(hops(&claim(store, &last)), ["b", "c"]);
}

/// Line 8: an entry that is due, or held, until far in the future is brought forward, and no other changes.
pub fn a_wrong_clock_hides_no_entry(store: &Shared) {
    let (id, _) = account(store);
    queue(store, id, &["held", "waits", "soon", "now"]);
    let future = noon() + seconds(400 * 86_400);
    // Claimed and put off while the clock was a year ahead.
    let mut ahead = claim(store, &Claim::new(future, 3, TTL));
    let settle = |entry: &QueueEntry, due| Operation::Settle {
        id: entry.id,
        token: entry.token,
        again: Some((due, entry.envelope.clone())),
    };
    let waits = settle(&ahead[1], future + seconds(300));
    run(store, AccountId::SYSTEM, waits).unwrap();
    let soon = settle(&ahead[2], noon() + seconds(30));
    run(store, AccountId::SYSTEM, soon).unwrap();
    assert_eq!(hops(&claim(store, &claim_of(9))), ["now"]);
    let latest = noon() + seconds(3600);
    assert_eq!(block_on(store.clamp_due(latest)).unwrap(), 2);
    assert_eq!(block_on(store.clamp_due(latest)).unwrap(), 0);
    let dues = block_on(store.queue(None, 9)).unwrap();
    let dues: Vec<_> = dues.iter().map(|entry| entry.due).collect();
    let soon = noon() + seconds(30);
    assert_eq!(dues, [latest, latest, soon, noon() + TTL]);
    // The claim held all the while: its holder may still settle.
    let held = ahead.swap_remove(0);
    run(store, AccountId::SYSTEM, settle(&held, noon())).unwrap();
    assert_eq!(hops(&claim(store, &claim_of(9))), ["held"]);
    let later = Claim::new(latest, 9, TTL);
    assert_eq!(
        hops(&claim(store, &later)),
        ["soon", "held", "now", "waits"]
    );
}

/// A removed account leaves nothing in the queue, and others keep theirs.
pub fn a_removed_account_leaves_no_queue(store: &Shared) {
    let (id, _) = account(store);
    let other = block_on(store.create_account("b@example.test")).unwrap();
    queue(store, id, &["a", "b"]);
    queue(store, other, &["c"]);
    queue(store, id, &["d"]);
    let held = claim(store, &claim_of(1)).remove(0);
    block_on(store.remove_account(id)).unwrap();
    let left = block_on(store.queue(None, 9)).unwrap();
    assert_eq!(hops(&left), ["c"]);
    let settle = Operation::Settle {
        id: QueueId(held.id.0),
        token: held.token,
        again: None,
    };
    let late = run(store, AccountId::SYSTEM, settle);
    assert!(matches!(late, Err(Error::Conflict(_))));
    assert_eq!(
        &block_on(store.read(&left[0].body, 0..9)).unwrap()[..],
        b"a letter"
    );
}
