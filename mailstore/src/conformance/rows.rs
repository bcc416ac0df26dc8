//! Rows: which are found, in which order, in what pages, and by visitors.

use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::test::{Case, Test, copy, expunge, flag, kind, numbers, refused, uids};
use crate::contract::{R501, R502, R503, R504, R505, R506, R507, R508, R509, R510, R511, R512};
use crate::{
    Bodies, BodyRef, Error, Flags, MailboxId, ModSeq, Operation, Result, Row, Transaction, Uid,
    UidSet, Visitor, Want, Which,
};

/// A mailbox with the UIDs 1, 2, 4, 5, 7, 8, 9 beside another one with other rows.
fn with_gaps(t: &Test) -> Case<MailboxId> {
    let (id, inbox) = t.account("a@example.test")?;
    let other = t.create(id, "Other")?;
    for n in 1..10 {
        t.deliver(inbox, &format!("message {n}"))?;
        t.deliver(other, "of another mailbox")?;
    }
    t.run(id, expunge(inbox, uids(&[3, 6])))?;
    // The order of changes is another one than that of UIDs.
    t.run(id, flag(inbox, uids(&[2, 8]), Flags::SEEN))?;
    Ok(inbox)
}

const UIDS: [u32; 7] = [1, 2, 4, 5, 7, 8, 9];

/// The UIDs that are found, in their order.
fn found(t: &Test, inbox: MailboxId, which: &Which) -> Case<Vec<u32>> {
    let page = t.page(inbox, which, Want::ROW, 100)?;
    Ok(numbers(&page.rows))
}

pub(super) fn rows_are_found_by_uid(t: &Test) -> Case {
    let inbox = with_gaps(t)?;
    t.rule(R501);
    let most = u32::MAX;
    let cases: [(UidSet, &[u32]); 9] = [
        (uids(&[4]), &[4]),
        (uids(&[9, 1, 4]), &[1, 4, 9]),
        (uids(&[3]), &[]),
        (UidSet::new(), &[]),
        (UidSet::all(), &UIDS),
        (UidSet::from_ranges([(2, 5)]), &[2, 4, 5]),
        (UidSet::from_ranges([(3, 6), (9, most)]), &[4, 5, 9]),
        (uids(&[most - 1, most]), &[]),
        (UidSet::from_ranges([(1, 1), (7, 8)]), &[1, 7, 8]),
    ];
    for (set, expected) in cases {
        let which = Which::Uids(set);
        t.same("UIDs", found(t, inbox, &which)?, expected);
    }
    Ok(())
}

pub(super) fn rows_are_found_behind_a_uid(t: &Test) -> Case {
    let inbox = with_gaps(t)?;
    t.rule(R502);
    for after in [0, 1, 2, 3, 5, 8, 9, 10, u32::MAX - 1, u32::MAX] {
        let which = Which::After(Uid::new(after));
        let expected: Vec<_> = UIDS.into_iter().filter(|uid| *uid > after).collect();
        t.same("UIDs", found(t, inbox, &which)?, expected);
    }
    Ok(())
}

pub(super) fn the_newest_rows_come_first(t: &Test) -> Case {
    let inbox = with_gaps(t)?;
    t.rule(R503);
    for before in [0, 1, 2, 4, 6, 9, 10, u32::MAX] {
        let which = Which::NewestBefore(Uid::new(before));
        let below = |uid: &u32| before == 0 || *uid < before;
        let expected: Vec<_> = UIDS.into_iter().rev().filter(below).collect();
        t.same("UIDs", found(t, inbox, &which)?, &expected[..]);
        let page = t.page(inbox, &which, Want::ROW, 3)?;
        let first: Vec<_> = expected.into_iter().take(3).collect();
        t.same("UIDs", numbers(&page.rows), first);
    }
    Ok(())
}

pub(super) fn rows_are_found_by_origin(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let other = t.create(id, "Other")?;
    let origins: [&[u8]; 4] = [b"one", b"ONE", b"one\0", &[255; 64]];
    for (n, origin) in origins.iter().enumerate() {
        let mut append = t.message(inbox, &format!("message {n}"))?;
        append.origin = Some(Bytes::copy_from_slice(origin));
        t.deliver_as(append)?;
    }
    t.deliver(inbox, "without one")?;
    t.rule(R504);
    let of = |origin: &[u8]| Which::Origin(Bytes::copy_from_slice(origin));
    for (uid, origin) in (1..).zip(origins) {
        let page = t.page(inbox, &of(origin), Want::ROW, 9)?;
        t.same("UIDs", (numbers(&page.rows), page.more), (vec![uid], false));
    }
    for unknown in [&b"two"[..], b"", b"on", b"one\0\0"] {
        t.same("UIDs", found(t, inbox, &of(unknown))?, []);
    }
    t.same("UIDs elsewhere", found(t, other, &of(b"one"))?, []);
    t.run(id, expunge(inbox, uids(&[1])))?;
    t.same("UIDs", found(t, inbox, &of(b"one"))?, []);
    t.same("UIDs", found(t, inbox, &of(b"ONE"))?, [2]);
    Ok(())
}

/// Ways to ask for all or some rows, with the UIDs that are right.
fn ways() -> Vec<(Which, Vec<u32>)> {
    let newest: Vec<_> = UIDS.into_iter().rev().collect();
    vec![
        (Which::After(None), UIDS.to_vec()),
        (Which::After(Uid::new(2)), UIDS[2..].to_vec()),
        (Which::Uids(UidSet::all()), UIDS.to_vec()),
        (Which::Uids(uids(&[1, 3, 4, 8, 9])), vec![1, 4, 8, 9]),
        (Which::NewestBefore(None), newest.clone()),
        (Which::NewestBefore(Uid::new(8)), newest[2..].to_vec()),
    ]
}

pub(super) fn pages_have_a_limit(t: &Test) -> Case {
    let inbox = with_gaps(t)?;
    t.rule(R505);
    for (which, all) in ways() {
        for limit in [0, 1, 2, 3, 4, 6, 7, 8, usize::MAX] {
            let page = t.page(inbox, &which, Want::ROW, limit)?;
            let expected: Vec<_> = all.iter().copied().take(limit).collect();
            t.same("UIDs", numbers(&page.rows), expected);
        }
    }
    Ok(())
}

pub(super) fn more_is_said_when_there_is_more(t: &Test) -> Case {
    let inbox = with_gaps(t)?;
    let empty = t.create(inbox.account, "Empty")?;
    t.rule(R506);
    for (which, all) in ways() {
        for limit in 1..10 {
            let page = t.page(inbox, &which, Want::ROW, limit)?;
            t.same("more", page.more, all.len() > limit);
        }
        t.same(
            "more",
            t.page(inbox, &which, Want::ROW, usize::MAX)?.more,
            false,
        );
        t.same("more", t.page(empty, &which, Want::ROW, 1)?.more, false);
    }
    let behind = Which::After(Uid::new(9));
    t.same("more", t.page(inbox, &behind, Want::ROW, 1)?.more, false);
    // Page by page all rows come, each once.
    let (mut which, mut all) = (Which::NewestBefore(None), Vec::new());
    for _ in 0..UIDS.len() {
        let page = t.page(inbox, &which, Want::ROW, 2)?;
        let last = page.rows.last().map(|row| row.uid);
        all.extend(numbers(&page.rows));
        if !page.more || last.is_none() {
            break;
        }
        which = Which::NewestBefore(last);
    }
    t.same("UIDs", all, [9, 8, 7, 5, 4, 2, 1]);
    Ok(())
}

pub(super) fn summaries_come_when_asked_for(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let other = t.create(id, "Other")?;
    let since = t.at(id)?;
    let mut expected = Vec::new();
    for n in 0..4_usize {
        let mut append = t.message(inbox, &format!("message {n}"))?;
        append.summary = Bytes::from(format!("summary {n}\0\u{e4}").repeat(n * 40));
        expected.push(append.summary.clone());
        if n == 3 {
            let body = append.body.clone();
            let enqueue = Operation::Enqueue {
                due: SystemTime::UNIX_EPOCH,
                next_hop: "example.test".into(),
                body,
                envelope: Bytes::new(),
            };
            t.run(id, enqueue)?;
        }
        t.deliver_as(append)?;
    }
    t.run(id, copy(inbox, UidSet::all(), other))?;
    t.run(id, flag(inbox, uids(&[2]), Flags::SEEN))?;
    for mailbox in [inbox, other] {
        for (rule, want, expected) in [
            (R507, Want::SUMMARY, expected.clone()),
            (R508, Want::ROW, vec![Bytes::new(); 4]),
        ] {
            t.rule(rule);
            let summaries = |rows: Vec<Row>| -> Vec<Bytes> {
                rows.into_iter().map(|row| row.summary).collect()
            };
            for which in [Which::After(None), Which::Uids(UidSet::all())] {
                let page = t.page(mailbox, &which, want, 9)?;
                t.same("summaries", summaries(page.rows), &expected[..]);
                let (seen, answer) = visited(t, mailbox, which, want)?;
                t.same("the visit", kind(&answer), "done");
                t.same("summaries of a visit", summaries(seen), &expected[..]);
            }
            let newest = t.page(mailbox, &Which::NewestBefore(None), want, 9)?;
            let newest: Vec<_> = summaries(newest.rows).into_iter().rev().collect();
            t.same("summaries", newest, &expected[..]);
            let from = if mailbox == inbox {
                since
            } else {
                t.mailbox_by_id(mailbox)?.horizon
            };
            if let crate::Changes::Known { rows, .. } = t.changes(mailbox, from, want, 9)? {
                t.same("summaries of changes", summaries(rows), &expected[..]);
            } else {
                t.holds("Known", false, &"TooOld");
            }
        }
    }
    Ok(())
}

/// The states that a mailbox, its account and its changes name.
fn states(t: &Test, inbox: MailboxId, since: ModSeq) -> Case<Vec<ModSeq>> {
    let id = inbox.account;
    Ok(vec![
        t.at(id)?,
        t.mailboxes(id, None)?.at,
        t.mailboxes(id, Some(since))?.at,
        t.page(inbox, &Which::After(None), Want::ROW, 2)?.at,
        t.page(inbox, &Which::Uids(UidSet::new()), Want::ROW, 2)?.at,
        t.page(inbox, &Which::NewestBefore(None), Want::ROW, 0)?.at,
        t.known(inbox, since, 1000)?.0,
    ])
}

pub(super) fn answers_name_their_state(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let other = t.create(id, "Other")?;
    let (stranger, _) = t.account("b@example.test")?;
    t.rule(R509);
    let since = t.at(id)?;
    let mut last = since;
    for step in 0..8 {
        let operation = match step {
            0..=2 => t.append(inbox, "x")?,
            // What happens elsewhere in the account is a new state, too.
            3 => t.append(other, "x")?,
            4 => flag(inbox, uids(&[1]), Flags::SEEN),
            5 => expunge(inbox, uids(&[2])),
            6 => Operation::SetProperty {
                key: "key".into(),
                value: Some(Bytes::from_static(b"value")),
            },
            _ => copy(inbox, uids(&[1]), other),
        };
        let done = t.done(Transaction::new(id).with(operation))?;
        t.holds("a later state", done.at > last, &done.at);
        t.limit(stranger, None, Some(9))?;
        let found = states(t, inbox, since)?;
        let named = found.iter().all(|at| *at == done.at);
        t.holds(&format!("the state {} in all", done.at), named, &found);
        last = done.at;
    }
    // While somebody writes, no answer is older than the one before, nor than what it shows.
    t.race(2, |n| {
        for _ in 0..30 {
            if n == 0 {
                t.deliver(inbox, "x")?;
                continue;
            }
            let mut at = ModSeq(0);
            for which in [Which::After(None), Which::NewestBefore(None)] {
                let page = t.page(inbox, &which, Want::ROW, 1000)?;
                let newest = page.rows.iter().map(|row| row.modified).max();
                let right = page.at >= at && newest <= Some(page.at);
                t.holds("no older state", right, &(page.at, newest));
                at = page.at;
            }
            let mailboxes = t.mailboxes(id, None)?.at;
            t.holds("no older state", mailboxes >= at, &mailboxes);
            let account = t.at(id)?;
            t.holds("no older state", account >= mailboxes, &account);
        }
        Ok(())
    })?;
    Ok(())
}

type Seen<T> = Arc<Mutex<Vec<T>>>;

fn taken<T>(seen: &Seen<T>) -> Vec<T> {
    std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner))
}

fn note<T>(seen: &Seen<T>, one: T) -> usize {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.push(one);
    seen.len()
}

/// More than any case has rows: a visit that does not end is ended.
const ENOUGH: usize = 5000;

fn visit(
    t: &Test,
    mailbox: MailboxId,
    which: Which,
    want: Want,
    visitor: Visitor,
) -> Case<Result<()>> {
    let store = t.store();
    let what = format!("visit of {which:?} in mailbox {}", mailbox.number);
    t.wait(what, store.visit(mailbox, which, want, visitor))
}

/// The rows that a visitor sees.
fn visited(t: &Test, mailbox: MailboxId, which: Which, want: Want) -> Case<(Vec<Row>, Result<()>)> {
    let seen = Seen::default();
    let into = Arc::clone(&seen);
    let visitor: Visitor = Box::new(move |row, _| Ok(note(&into, row.clone()) < ENOUGH));
    let answer = visit(t, mailbox, which, want, visitor)?;
    Ok((taken(&seen), answer))
}

pub(super) fn visitors_see_what_pages_show(t: &Test) -> Case {
    let inbox = with_gaps(t)?;
    t.rule(R510);
    let mut all = ways();
    all.push((Which::Uids(UidSet::new()), vec![]));
    all.push((Which::After(Uid::new(9)), vec![]));
    for (which, expected) in all {
        for want in [Want::ROW, Want::SUMMARY] {
            let page = t.page(inbox, &which, want, usize::MAX)?;
            let (seen, answer) = visited(t, inbox, which.clone(), want)?;
            t.same("the visit", kind(&answer), "done");
            t.same("UIDs", numbers(&seen), &expected[..]);
            t.same("rows", seen, page.rows);
        }
    }
    // More than are read at a time.
    let many = t.create(inbox.account, "Many")?;
    let mut append = t.message(many, "x")?;
    append.origin = Some(Bytes::from_static(b"origin"));
    t.deliver_as(append)?;
    for _ in 0..11 {
        t.run(inbox.account, copy(many, UidSet::all(), many))?;
    }
    let up: Vec<u32> = (1..=2048).collect();
    let down: Vec<u32> = (1..=2048).rev().collect();
    for (which, expected) in [
        (Which::After(None), &up[..]),
        (Which::Uids(UidSet::all()), &up[..]),
        (Which::NewestBefore(None), &down[..]),
        (Which::Origin(Bytes::from_static(b"origin")), &[1][..]),
    ] {
        let (seen, answer) = visited(t, many, which, Want::ROW)?;
        t.same("the visit", kind(&answer), "done");
        let seen = numbers(&seen);
        t.same("rows", seen.len(), expected.len());
        t.holds("each UID once, in order", seen == expected, &seen);
    }
    let nowhere = MailboxId {
        number: u32::MAX,
        ..inbox
    };
    let (seen, answer) = visited(t, nowhere, Which::After(None), Want::ROW)?;
    t.same("rows", seen.len(), 0);
    refused!(t, answer, Error::NoSuchMailbox(_));
    Ok(())
}

pub(super) fn a_visitor_ends_its_visit(t: &Test) -> Case {
    let inbox = with_gaps(t)?;
    t.rule(R511);
    for (which, all) in ways() {
        for last in 1..=3 {
            let expected: Vec<_> = all.iter().copied().take(last).collect();
            let seen = Seen::default();
            let into = Arc::clone(&seen);
            let ends: Visitor = Box::new(move |row, _| Ok(note(&into, row.uid.get()) != last));
            let answer = visit(t, inbox, which.clone(), Want::ROW, ends)?;
            t.same("UIDs until it ended", taken(&seen), &expected[..]);
            t.same("the visit", kind(&answer), "done");
            let into = Arc::clone(&seen);
            let fails: Visitor = Box::new(move |row, _| {
                if note(&into, row.uid.get()) == last {
                    return Err(Error::OverQuota(crate::About::Nothing));
                }
                Ok(true)
            });
            let answer = visit(t, inbox, which.clone(), Want::ROW, fails)?;
            t.same("UIDs until it failed", taken(&seen), expected);
            refused!(t, answer, Error::OverQuota(_));
        }
    }
    // The store goes on.
    t.same("UIDs", found(t, inbox, &Which::After(None))?, UIDS);
    Ok(())
}

/// Reads a body until it ends.
fn whole(bodies: &mut dyn Bodies, body: &BodyRef, from: u64, to: u64) -> Result<Vec<u8>> {
    let mut octets = Vec::new();
    // More than there can be: a range that is ignored would never end.
    while octets.len() as u64 <= body.octets {
        let piece = bodies.read(body, from + octets.len() as u64..to)?;
        if piece.is_empty() {
            break;
        }
        octets.extend_from_slice(&piece);
    }
    Ok(octets)
}

pub(super) fn a_visitor_reads_bodies(t: &Test) -> Case {
    let (_, inbox) = t.account("a@example.test")?;
    let large = "0123456789abcdef".repeat(20_000);
    let texts = ["one", "", &large, "four"];
    for text in texts {
        t.deliver(inbox, text)?;
    }
    t.rule(R512);
    for which in [
        Which::After(None),
        Which::Uids(UidSet::all()),
        Which::NewestBefore(None),
    ] {
        let seen = Seen::default();
        let into = Arc::clone(&seen);
        let visitor: Visitor = Box::new(move |row, bodies| {
            let all = whole(bodies, &row.body, 0, u64::MAX);
            let part = whole(bodies, &row.body, 1, 3);
            Ok(note(&into, (row.uid.get(), all, part)) < ENOUGH)
        });
        let answer = visit(t, inbox, which, Want::ROW, visitor)?;
        t.same("the visit", kind(&answer), "done");
        let seen = taken(&seen);
        t.same("rows", seen.len(), texts.len());
        for (uid, all, part) in seen {
            let text = texts.get((uid as usize).saturating_sub(1));
            let text = text.copied().unwrap_or("?").as_bytes();
            let octets = text.len();
            let what = format!("the {octets} octets of message {uid}");
            let right = all.as_deref().is_ok_and(|all| all == text);
            let came = all.map(|all| all.len());
            t.holds(&what, right, &came);
            let expected = text.get(1..octets.min(3)).unwrap_or_default();
            let right = part.as_deref().is_ok_and(|part| part == expected);
            t.holds("octets 1 and 2", right, &part);
        }
    }
    Ok(())
}
