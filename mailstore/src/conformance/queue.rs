//! The queue: entries keep what they bring, claims are exclusive and fair, and no wrong clock hides an entry.

use bytes::Bytes;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::test::{Case, Test, refused};
use crate::contract::{
    R901, R902, R903, R904, R905, R906, R907, R908, R909, R910, R911, R912, R913, R914, R915, R916,
    R917, R918, R919, R920, R921,
};
use crate::{
    AccountId, BodyRef, Claim, Error, MailboxId, Operation, Outcome, QueueEntry, QueueId,
    QueueLength, Transaction, never,
};

const TTL: Duration = Duration::from_secs(60);
const MILLI: Duration = Duration::from_millis(1);

/// A time of which all others are counted: no case depends on the clock.
pub(super) fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A letter for that next hop, due long before noon.
pub(super) fn enqueue(t: &Test, next_hop: &str) -> Case<Operation> {
    Ok(Operation::Enqueue {
        due: SystemTime::UNIX_EPOCH,
        next_hop: next_hop.into(),
        body: t.stage(b"a letter")?,
        envelope: Bytes::from_static(b"envelope"),
    })
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A claim at noon.
fn claim_of(limit: usize) -> Claim {
    Claim::new(noon(), limit, TTL)
}

fn claim(t: &Test, claim: &Claim) -> Case<Vec<QueueEntry>> {
    let store = t.store();
    t.ask(format!("{claim:?}"), store.claim(claim))
}

fn one(t: &Test, entries: Vec<QueueEntry>) -> Case<QueueEntry> {
    t.same("entries", entries.len(), 1);
    t.there("an entry", entries.into_iter().next())
}

fn hops(entries: &[QueueEntry]) -> Vec<&str> {
    entries.iter().map(|entry| &entry.next_hop[..]).collect()
}

fn ids(entries: &[QueueEntry]) -> Vec<QueueId> {
    entries.iter().map(|entry| entry.id).collect()
}

fn settle(entry: &QueueEntry, token: u64, again: Option<SystemTime>) -> Operation {
    Operation::Settle {
        id: entry.id,
        token,
        again: again.map(|due| (due, entry.envelope.clone())),
    }
}

/// Queues an entry for each next hop at its time before or after noon, in milliseconds.
fn queue_at(t: &Test, owner: AccountId, all: &[(&str, i64)]) -> Case<Vec<QueueId>> {
    let body = t.stage(b"a letter")?;
    let mut made = Vec::new();
    for some in all.chunks(1000) {
        let mut transaction = Transaction::new(owner);
        for (next_hop, late) in some {
            let by = Duration::from_millis(late.unsigned_abs());
            transaction = transaction.with(Operation::Enqueue {
                due: if *late < 0 { noon() - by } else { noon() + by },
                next_hop: (*next_hop).into(),
                body: body.clone(),
                envelope: Bytes::from_static(b"envelope"),
            });
        }
        for outcome in t.done(transaction)?.outcomes {
            match outcome {
                Outcome::Enqueued(id) => made.push(id),
                other => drop(t.holds("Enqueued", false, &other)),
            }
        }
    }
    Ok(made)
}

/// Queues an entry for each next hop, the first one due first, all of them by noon.
fn queue(t: &Test, owner: AccountId, next_hops: &[&str]) -> Case<Vec<QueueId>> {
    let all = (-1_000_000..)
        .zip(next_hops)
        .map(|(late, hop)| (*hop, late));
    queue_at(t, owner, &all.collect::<Vec<_>>())
}

pub(super) fn an_entry_keeps_what_it_brings(t: &Test) -> Case {
    let (a, _) = t.account("a@example.test")?;
    let (b, _) = t.account("b@example.test")?;
    t.rule(R901);
    let envelope: Vec<u8> = (0..=255).collect();
    let brought = [
        (a, "example.test", "one", &envelope[..], MILLI),
        (b, "Ä.Example:25", "two two", b"", seconds(1) + 7 * MILLI),
        (AccountId::SYSTEM, "", "three", b"x", seconds(1_700_000_000)),
    ];
    type Seen = (AccountId, String, Bytes, SystemTime, BodyRef);
    let seen = |entry: &QueueEntry| -> Seen {
        let (hop, envelope) = (entry.next_hop.clone(), entry.envelope.clone());
        (entry.account, hop, envelope, entry.due, entry.body)
    };
    let mut expected = Vec::new();
    for (owner, hop, text, envelope, due) in brought {
        let body = t.stage(text.as_bytes())?;
        let due = SystemTime::UNIX_EPOCH + due;
        let envelope = Bytes::copy_from_slice(envelope);
        expected.push((owner, hop.to_string(), envelope.clone(), due, body.body()));
        let next_hop = hop.into();
        t.run(
            owner,
            Operation::Enqueue {
                due,
                next_hop,
                body,
                envelope,
            },
        )?;
    }
    let listed: Vec<_> = t.queue()?.iter().map(seen).collect();
    t.same("entries", &listed, &expected);
    let mut claimed: Vec<_> = claim(t, &claim_of(9))?.iter().map(seen).collect();
    for entry in &mut expected {
        entry.3 = noon() + TTL;
    }
    claimed.sort_by_key(|entry| entry.4.octets != 3);
    expected.sort_by_key(|entry| entry.4.octets != 3);
    t.same("claimed entries", &claimed, &expected);
    for entry in t.queue()? {
        let text = match entry.body.octets {
            3 => "one",
            7 => "two two",
            _ => "three",
        };
        t.same_text(entry.body, text)?;
    }
    Ok(())
}

pub(super) fn the_queue_is_listed_in_pages(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    // The first is due last.
    let all = [("a", 5000), ("b", -9), ("c", 0), ("d", -5), ("e", 1)];
    let made = queue_at(t, id, &all)?;
    t.rule(R902);
    claim(t, &claim_of(2))?;
    let store = t.store();
    for after in 0..=made.len() {
        let behind = after.checked_sub(1).and_then(|n| made.get(n)).copied();
        for limit in [0, 1, 2, 9] {
            let what = format!("queue after {behind:?}, limit {limit}");
            let found = t.ask(what, store.queue(behind, limit))?;
            let expected: Vec<_> = made.iter().skip(after).take(limit).copied().collect();
            t.same("entries", ids(&found), expected);
        }
    }
    Ok(())
}

pub(super) fn nothing_is_claimed_before_it_is_due(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    queue_at(t, id, &[("later", 1), ("now", 0), ("past", -1)])?;
    t.rule(R903);
    for (at, expected) in [
        (noon() - 2 * MILLI, &[][..]),
        (noon(), &["past", "now"]),
        (noon(), &[]),
        (noon() + MILLI, &["later"]),
    ] {
        let found = claim(t, &Claim::new(at, 9, TTL))?;
        t.same("next hops", hops(&found), expected);
    }
    Ok(())
}

pub(super) fn the_oldest_is_claimed_first(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    let all = [("c", -30), ("a", -50), ("e", -10), ("b", -40), ("d", -20)];
    queue_at(t, id, &all)?;
    t.rule(R904);
    let found = claim(t, &claim_of(2))?;
    t.same("next hops", hops(&found), ["a", "b"]);
    let found = claim(t, &claim_of(9))?;
    t.same("next hops", hops(&found), ["c", "d", "e"]);
    Ok(())
}

pub(super) fn claims_have_a_limit(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    queue(t, id, &["a", "b", "c", "d", "e", "f"])?;
    t.rule(R905);
    for (limit, expected) in [(0, 0), (1, 1), (3, 3), (9, 2), (9, 0)] {
        t.same("claimed", claim(t, &claim_of(limit))?.len(), expected);
    }
    Ok(())
}

pub(super) fn one_next_hop_leaves_room_for_others(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    let mut all = vec!["busy"; 40];
    all.extend(["a", "b"]);
    queue(t, id, &all)?;
    t.rule(R906);
    let found = claim(t, &claim_of(10))?;
    let others = hops(&found).into_iter().filter(|hop| *hop != "busy");
    t.same("other next hops", others.collect::<Vec<_>>(), ["a", "b"]);
    Ok(())
}

pub(super) fn a_claim_is_exclusive(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    let names: Vec<String> = (0..24).map(|n| format!("hop {n}")).collect();
    let made = queue(
        t,
        id,
        &names.iter().map(|name| &name[..]).collect::<Vec<_>>(),
    )?;
    t.rule(R907);
    let claimed = t.race(4, |n| {
        let mut all = Vec::new();
        for _ in 0..5 {
            let owner = u32::try_from(n).unwrap_or(0);
            all.extend(ids(&claim(t, &claim_of(2).owner(owner))?));
        }
        Ok(all)
    })?;
    t.during("4 threads that claim at the same time");
    let mut all = claimed.concat();
    all.sort_unstable();
    t.same("claimed entries", all, made);
    let last = Claim::new(noon() + TTL - MILLI, 99, TTL);
    t.same("claimed twice", ids(&claim(t, &last)?), []);
    Ok(())
}

pub(super) fn a_claim_has_its_proof(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    queue(t, id, &["a", "b", "c", "d"])?;
    t.rule(R908);
    let mut tokens = BTreeSet::new();
    for round in 0..4 {
        let now = noon() + round * TTL;
        for owner in [7, u32::MAX] {
            for entry in claim(t, &Claim::new(now, 2, TTL).owner(owner))? {
                t.same("until when", entry.due, now + TTL);
                t.holds("held by its owner", entry.is_held_by(owner), &entry);
                t.holds("not by others", !entry.is_held_by(8), &entry);
                t.holds("a token of its own", tokens.insert(entry.token), &entry);
                let listed = t.queue()?.into_iter().find(|found| found.id == entry.id);
                t.same("as listed", listed, Some(entry));
            }
        }
    }
    t.same("claims", tokens.len(), 16);
    Ok(())
}

pub(super) fn an_expired_claim_is_given_to_the_next(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    queue(t, id, &["a"])?;
    t.rule(R909);
    let first = one(t, claim(t, &claim_of(9).owner(1))?)?;
    let early = Claim::new(noon() + TTL - MILLI, 9, TTL).owner(2);
    t.same("claimed too early", claim(t, &early)?, []);
    let second = one(t, claim(t, &Claim::new(noon() + TTL, 9, TTL).owner(2))?)?;
    t.same("the entry", second.id, first.id);
    t.same("until when", second.due, noon() + 2 * TTL);
    t.holds("another token", second.token != first.token, &second.token);
    t.run(id, settle(&second, second.token, None))?;
    t.same("entries left", t.queue()?, []);
    Ok(())
}

/// Tries to settle with a token that is not the present one, and sees that nothing is done.
fn no_settling(t: &Test, to: MailboxId, entry: &QueueEntry, token: u64) -> Case {
    let state = || -> Case<_> { Ok((t.queue()?, t.rows(to)?)) };
    let before = state()?;
    for again in [None, Some(noon())] {
        let with = Transaction::new(to.account)
            .with(t.append(to, "x")?)
            .with(settle(entry, token, again));
        refused!(t, t.commit(with)?, Error::Conflict(_));
        t.same("the queue and the rows", state()?, before.clone());
    }
    Ok(())
}

pub(super) fn an_expired_claim_cannot_settle(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    queue(t, id, &["a", "b"])?;
    t.rule(R910);
    // Nobody holds it: 0 is the token of no claim.
    let free = t.there("an entry", t.queue()?.into_iter().next())?;
    no_settling(t, inbox, &free, 0)?;
    let claimed = claim(t, &claim_of(9).owner(1))?;
    let first = t.there("an entry", claimed.first().cloned())?;
    let other = t.there("another entry", claimed.get(1).cloned())?;
    let token = first.token;
    for wrong in [0, 1, u64::MAX, token ^ 1, token ^ (1 << 40), other.token] {
        no_settling(t, inbox, &first, wrong)?;
    }
    let now = noon() + TTL;
    let claimed = claim(t, &Claim::new(now, 9, TTL).owner(1))?;
    let present = claimed.into_iter().find(|entry| entry.id == first.id);
    let present = t.there("the entry, claimed anew", present)?;
    no_settling(t, inbox, &first, token)?;
    t.run(id, settle(&present, present.token, Some(now)))?;
    // It is free now, and then gone.
    no_settling(t, inbox, &first, present.token)?;
    no_settling(t, inbox, &first, 0)?;
    let claimed = claim(t, &Claim::new(now, 9, TTL))?;
    let last = one(t, claimed)?;
    t.run(id, settle(&last, last.token, None))?;
    no_settling(t, inbox, &first, last.token)
}

pub(super) fn a_settled_entry_is_gone(t: &Test) -> Case {
    let (a, _) = t.account("a@example.test")?;
    let (b, _) = t.account("b@example.test")?;
    let made = queue(t, a, &["a", "b", "c", "d"])?;
    let claimed = claim(t, &claim_of(3))?;
    for (nth, (entry, by)) in (1..).zip(claimed.iter().zip([a, b, AccountId::SYSTEM])) {
        t.rule(R913);
        let answer = t.attempt(by, settle(entry, entry.token, None))?;
        t.holds("success", matches!(answer, Ok(Outcome::Done)), &answer);
        t.rule(R911);
        let left: Vec<_> = made.iter().skip(nth).copied().collect();
        t.same("entries left", ids(&t.queue()?), left);
    }
    let found = claim(t, &Claim::new(noon() + 9 * TTL, 9, TTL))?;
    t.same("claimed later", hops(&found), ["d"]);
    Ok(())
}

pub(super) fn an_entry_is_tried_again(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    queue(t, id, &["a", "b"])?;
    t.rule(R912);
    let before = one(t, claim(t, &claim_of(1).owner(1))?)?;
    // Sooner than the claim would have ended.
    let (due, envelope) = (noon() + seconds(9) + 3 * MILLI, Bytes::from_static(b"2\0"));
    let again = Operation::Settle {
        id: before.id,
        token: before.token,
        again: Some((due, envelope.clone())),
    };
    t.run(id, again)?;
    let listed = t.queue()?.into_iter().find(|entry| entry.id == before.id);
    let listed = t.there("the entry", listed)?;
    t.same("the time", listed.due, due);
    t.same("the envelope", &listed.envelope, &envelope);
    t.holds("held by nobody", !listed.is_held_by(1), &listed);
    let found = claim(t, &Claim::new(due - MILLI, 9, TTL).owner(2))?;
    t.same("claimed before", hops(&found), ["b"]);
    let after = one(t, claim(t, &Claim::new(due, 9, TTL).owner(2))?)?;
    t.same("the entry", after.id, before.id);
    t.same("the envelope", after.envelope, envelope);
    t.same("account", after.account, before.account);
    t.same("next hop", after.next_hop, before.next_hop);
    t.same("body", after.body, before.body);
    t.same_text(after.body, "a letter")
}

pub(super) fn queue_numbers_are_never_used_again(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    t.rule(R914);
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        for number in queue(t, id, &["a", "b"])? {
            t.holds("a new number", seen.insert(number), &number);
        }
        for entry in claim(t, &claim_of(9))? {
            t.run(id, settle(&entry, entry.token, None))?;
        }
        t.same("entries left", t.queue()?, []);
    }
    let (other, _) = t.account("b@example.test")?;
    seen.extend(queue(t, other, &["a"])?);
    let store = t.store();
    t.ask("remove_account", store.remove_account(other))?;
    for number in queue(t, id, &["a"])? {
        t.holds("a new number", seen.insert(number), &number);
    }
    Ok(())
}

pub(super) fn a_claim_is_shared_by_next_hops(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    queue(t, id, &["b", "b", "b", "a", "c", "b", "a", "d"])?;
    t.rule(R915);
    let first = claim(t, &claim_of(5).per_next_hop(2).share("c", 0))?;
    t.same("next hops", hops(&first), ["b", "b", "a", "a", "d"]);
    // What an earlier claim returned does not count in a later one; the caller counts it.
    let second = claim(t, &claim_of(9).per_next_hop(1).share("c", 3))?;
    t.same("next hops", hops(&second), ["b", "c"]);
    let none = claim(t, &claim_of(9).per_next_hop(0))?;
    t.same("next hops", hops(&none), [""; 0]);
    let last = claim(t, &claim_of(9).per_next_hop(0).share("b", 1))?;
    t.same("next hops", hops(&last), ["b"]);
    Ok(())
}

pub(super) fn many_entries_for_one_next_hop_hide_no_other(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    let others = [(700, "m"), (2_500, "z"), (4_999, "a")];
    let hop = |n| {
        others
            .iter()
            .find(|(at, _)| *at == n)
            .map_or("dead", |o| o.1)
    };
    queue(t, id, &(0..5_000).map(hop).collect::<Vec<_>>())?;
    t.rule(R915);
    let found = claim(t, &claim_of(20).share("dead", 2))?;
    t.same("next hops", hops(&found), ["dead", "dead", "m", "z", "a"]);
    let found = claim(t, &claim_of(20).share("dead", 0))?;
    t.same("next hops", hops(&found), [""; 0]);
    let found = claim(t, &claim_of(3).share("dead", 9))?;
    t.same("next hops", hops(&found), ["dead"; 3]);
    Ok(())
}

fn release(t: &Test, owner: u32, now: SystemTime) -> Case<u64> {
    let store = t.store();
    t.ask(
        format!("release_claims of {owner}"),
        store.release_claims(owner, now),
    )
}

pub(super) fn claims_are_given_back(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    queue(t, id, &["a", "b", "c", "d"])?;
    queue_at(t, id, &[("waits", 30_000)])?;
    let own = claim(t, &claim_of(2).owner(7))?;
    let others = claim(t, &claim_of(2).owner(u32::MAX))?;
    let held = t.queue()?;
    t.rule(R917);
    for owner in [8, 0] {
        t.same("released", release(t, owner, noon())?, 0);
        t.same("the queue", t.queue()?, &held[..]);
    }
    t.rule(R916);
    let now = noon() + seconds(5);
    t.same("released", release(t, 7, now)?, 2);
    t.same("released again", release(t, 7, now)?, 0);
    let listed = t.queue()?;
    let back = listed.iter().filter(|entry| ids(&own).contains(&entry.id));
    for entry in back {
        t.same("due", entry.due, now);
    }
    for entry in &own {
        no_settling(t, inbox, entry, entry.token)?;
    }
    let early = claim(t, &Claim::new(now - MILLI, 9, TTL))?;
    t.same("claimed before that time", hops(&early), [""; 0]);
    let again = claim(t, &Claim::new(now, 9, TTL).owner(1))?;
    t.same("claimed then", hops(&again), ["a", "b"]);
    t.rule(R917);
    let kept = |all: Vec<QueueEntry>| -> Vec<QueueEntry> {
        let not_own = |entry: &QueueEntry| !ids(&own).contains(&entry.id);
        all.into_iter().filter(not_own).collect()
    };
    t.same("what others hold", kept(t.queue()?), kept(held));
    for entry in &others {
        let answer = t.attempt(id, settle(entry, entry.token, None))?;
        t.holds("a claim that settles", answer.is_ok(), &answer);
    }
    Ok(())
}

pub(super) fn a_wrong_clock_hides_no_entry(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    let day = 86_400_000;
    let future = noon() + seconds(400 * 86_400);
    let all = [
        ("held", -9),
        ("waits", 400 * day),
        ("soon", 30_000),
        ("now", 0),
        ("last", 3_600_000),
    ];
    queue_at(t, id, &all)?;
    t.rule(R918);
    // Claimed while the clock was ahead: one of the five, the oldest.
    let held = one(t, claim(t, &Claim::new(future - seconds(9), 1, TTL))?)?;
    let before = t.queue()?;
    let latest = noon() + seconds(3600);
    let store = t.store();
    for expected in [2, 0] {
        let clamped = t.ask("clamp_due", store.clamp_due(latest))?;
        t.same("brought forward", clamped, expected);
    }
    let mut expected = before;
    for entry in &mut expected {
        entry.due = entry.due.min(latest);
    }
    t.same("the queue", t.queue()?, expected);
    let answer = t.attempt(id, settle(&held, held.token, Some(noon())))?;
    t.holds("a claim that settles", answer.is_ok(), &answer);
    let found = claim(t, &Claim::new(latest, 9, TTL))?;
    let mut found = hops(&found);
    found.sort_unstable();
    t.same("next hops", found, ["held", "last", "now", "soon", "waits"]);
    Ok(())
}

pub(super) fn an_entry_is_claimed_by_its_number(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    let all = [("a", -9), ("a", 400), ("a", 500), ("b", -8), ("c", 600)];
    let made = queue_at(t, id, &all)?;
    let number = |nth: usize| made.get(nth).copied().unwrap_or(QueueId(u64::MAX));
    t.rule(R919);
    let some = [number(2), number(9), number(1), number(3)];
    let only = claim_of(9).owner(7).per_next_hop(0).only(some);
    let found = claim(t, &only)?;
    let mut numbers = ids(&found);
    numbers.sort_unstable();
    t.same("claimed", numbers, [number(1), number(2), number(3)]);
    for entry in &found {
        t.same("until when", entry.due, noon() + TTL);
        t.holds("held by its owner", entry.is_held_by(7), &entry);
    }
    t.same("claimed again", claim(t, &only)?, []);
    t.same(
        "claimed with 0",
        claim(t, &claim_of(0).only([number(4)]))?,
        [],
    );
    t.same("claimed of none", claim(t, &claim_of(9).only([]))?, []);
    let others = claim(t, &claim_of(9))?;
    t.same("claimed as due", ids(&others), [number(0)]);
    let first = t.there("an entry", found.iter().find(|one| one.id == number(2)))?;
    t.run(id, settle(first, first.token, Some(noon() + seconds(90))))?;
    let again = claim(t, &claim_of(9).only([number(2)]))?;
    t.same("claimed when it was settled", ids(&again), [number(2)]);
    let after = Claim::new(noon() + TTL, 9, TTL).only([number(1)]);
    t.same(
        "claimed after its claim",
        ids(&claim(t, &after)?),
        [number(1)],
    );
    Ok(())
}

pub(super) fn a_parked_entry_waits_for_ever(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    let made = queue(t, id, &["a", "b"])?;
    let first = t.there("an entry", made.first().copied())?;
    let held = one(t, claim(t, &claim_of(9).only([first]))?)?;
    t.rule(R920);
    t.run(id, settle(&held, held.token, Some(never())))?;
    let listed = t.queue()?.into_iter().find(|entry| entry.id == first);
    let listed = t.there("the entry", listed)?;
    t.holds("parked", listed.is_parked(), &listed);
    t.same("claimed as due", hops(&claim(t, &claim_of(9))?), ["b"]);
    let late = never() + seconds(1);
    t.same(
        "claimed in the year 10000",
        hops(&claim(t, &Claim::new(late, 9, TTL))?),
        ["b"],
    );
    let store = t.store();
    t.ask("clamp_due", store.clamp_due(noon()))?;
    release(t, 0, noon())?;
    let parked = t.queue()?.into_iter().find(|entry| entry.id == first);
    t.same("the entry", parked, Some(listed));
    let found = one(t, claim(t, &claim_of(9).only([first]))?)?;
    t.run(id, settle(&found, found.token, Some(noon())))?;
    let found = claim(t, &claim_of(1))?;
    t.same("claimed when it is parked no more", ids(&found), [first]);
    Ok(())
}

pub(super) fn the_queue_is_counted(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    let store = t.store();
    let length = |now| t.ask("queue_length", store.queue_length(now));
    t.rule(R921);
    t.same("of an empty queue", length(noon())?, QueueLength::default());
    let all = [
        ("p", 5),
        ("held", -9),
        ("due", -8),
        ("due", 0),
        ("later", 1),
        ("later", 90_000),
    ];
    let made = queue_at(t, id, &all)?;
    let number = |nth: usize| made.get(nth).copied().unwrap_or(QueueId(u64::MAX));
    let parked = one(t, claim(t, &claim_of(1).only([number(0)]))?)?;
    t.run(id, settle(&parked, parked.token, Some(never())))?;
    claim(t, &claim_of(1).only([number(1)]))?;
    let mut expected = QueueLength::default();
    (expected.parked, expected.claimed) = (1, 1);
    (expected.due, expected.waiting) = (2, 2);
    expected.oldest = Some(number(1));
    t.same("at noon", length(noon())?, expected);
    // The claim is over, and is due as what waited.
    (expected.claimed, expected.due, expected.waiting) = (0, 4, 1);
    t.same("when the claim is over", length(noon() + TTL)?, expected);
    Ok(())
}
