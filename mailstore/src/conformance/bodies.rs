//! Bodies: what is staged is read, for as long as somebody needs it.

use bytes::Bytes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::queue::noon;
use super::test::{Case, Test, copy, expunge, relocate, uids, within};
use crate::contract::{R801, R802, R803, R804, R805, R806, R807, R808, R809, R810, R811};
use crate::{
    Append, BodyRef, Claim, MailboxId, Operation, Outcome, Requirement, Stage, Staged, Transaction,
    UidSet,
};

/// Larger than what a backend would keep beside its rows.
const LARGE: usize = 300_007;

/// Octets of which no two neighbourhoods are alike.
fn pattern(seed: u32, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn append_of(to: MailboxId, body: &Staged) -> Operation {
    Operation::Append(Box::new(Append::new(to, body.clone(), (0, 0))))
}

/// Appends a staged body, and gives what the store calls it.
fn keep(t: &Test, to: MailboxId, body: &Staged) -> Case<BodyRef> {
    match t.run(to.account, append_of(to, body))? {
        Outcome::Appended { body, .. } => Ok(body),
        other => {
            t.holds("Appended", false, &other);
            Err(super::test::Ended)
        }
    }
}

/// Reads on from there until the range or the body ends; stops after a few octets too many.
fn read_on(t: &Test, body: BodyRef, from: u64, to: u64) -> Case<crate::Result<Vec<u8>>> {
    let mut octets: Vec<u8> = Vec::new();
    let most = body.octets.saturating_sub(from) + 16;
    while octets.len() as u64 <= most {
        let at = from + octets.len() as u64;
        if at >= to {
            break;
        }
        match t.read(body, at, to)? {
            Ok(piece) if piece.is_empty() => break,
            Ok(piece) => octets.extend_from_slice(&piece),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(octets))
}

/// Records a failure unless the body is that; says little of what differs.
fn same_octets(t: &Test, body: BodyRef, expected: &[u8]) -> Case {
    t.same("octets", body.octets, expected.len() as u64);
    let found = read_on(t, body, 0, u64::MAX)?;
    let said = found.as_ref().map(|found| {
        let same = found.iter().zip(expected).take_while(|(a, b)| a == b);
        format!("{} octets, the first {} alike", found.len(), same.count())
    });
    let alike = found.as_ref().is_ok_and(|found| found == expected);
    t.holds(&format!("the {} octets", expected.len()), alike, &said);
    Ok(())
}

pub(super) fn octets_are_exact(t: &Test) -> Case {
    let (_, inbox) = t.account("a@example.test")?;
    t.rule(R801);
    for (n, count) in (1..).zip([0, 1, 100, 4095, 4096, 16_384, 65_535, 65_537, 1_000_003]) {
        let expected = pattern(n, count);
        let staged = t.stage(&expected)?;
        t.same("octets staged", staged.body().octets, count as u64);
        keep(t, inbox, &staged)?;
        drop(staged);
        same_octets(t, t.row(inbox, n)?.body, &expected)?;
    }
    Ok(())
}

pub(super) fn ranges_are_exact(t: &Test) -> Case {
    let (_, inbox) = t.account("a@example.test")?;
    for count in [10, LARGE] {
        let whole = pattern(7, count);
        let body = keep(t, inbox, &t.stage(&whole)?)?;
        let end = count as u64;
        let middle = end / 2;
        for (from, to) in [
            (0, 1),
            (0, end),
            (0, end + 1),
            (0, u64::MAX),
            (1, end),
            (1, end - 1),
            (middle, middle + 1),
            (middle - 1, middle + 3),
            (end - 1, end),
            (end - 1, u64::MAX),
            (middle, end + 9),
            (middle, middle),
            (end, end + 1),
            (end, u64::MAX),
            (end + 5, end + 9),
        ] {
            let high = usize::try_from(to.min(end)).unwrap_or(count);
            let low = usize::try_from(from).unwrap_or(count).min(high);
            let expected = whole.get(low..high).unwrap_or_default();
            t.rule(R802);
            let answer = t.read(body, from, to)?;
            let first = answer
                .as_ref()
                .is_ok_and(|piece| expected.starts_with(piece));
            let shown = answer
                .as_ref()
                .map(|piece| piece.slice(..piece.len().min(20)));
            let said = format!(
                "{} octets from {from}, or the first of them",
                expected.len()
            );
            t.holds(&said, first, &shown);
            t.rule(R803);
            let length = answer.as_ref().map_or(0, Bytes::len);
            let begun = expected.is_empty() || length > 0;
            t.holds("some octets before the end", begun, &length);
            let all = read_on(t, body, from, to)?;
            let alike = all.as_ref().is_ok_and(|all| all == expected);
            let length = all.map(|all| all.len());
            t.holds(
                &format!("{} octets by reading on", expected.len()),
                alike,
                &length,
            );
        }
    }
    Ok(())
}

async fn pieces(mut stage: Box<dyn Stage>, all: Vec<Bytes>) -> crate::Result<Staged> {
    for piece in all {
        stage.write(piece).await?;
    }
    stage.finish().await
}

pub(super) fn a_body_comes_in_any_pieces(t: &Test) -> Case {
    let (_, inbox) = t.account("a@example.test")?;
    let store = t.store();
    t.rule(R804);
    for (total, sizes) in [
        (0, &[][..]),
        (0, &[0, 0]),
        (40, &[1]),
        (1000, &[0, 7, 0]),
        (LARGE, &[50_000, 0, 1]),
        (LARGE, &[1, LARGE]),
        (LARGE, &[16_384, 3]),
    ] {
        let expected = pattern(9, total);
        let (mut rest, mut all) = (Bytes::from(expected.clone()), Vec::new());
        for size in sizes.iter().cycle().take(4000) {
            if rest.is_empty() && all.len() >= sizes.len() {
                break;
            }
            all.push(rest.split_to((*size).min(rest.len())));
        }
        all.push(rest);
        all.push(Bytes::new());
        let stage = t.ask("stage", store.stage())?;
        let what = format!("a stage of {total} octets in pieces of {sizes:?}");
        let staged = t.ask(what, pieces(stage, all))?;
        let body = keep(t, inbox, &staged)?;
        same_octets(t, body, &expected)?;
    }
    Ok(())
}

fn queued(body: &Staged) -> Operation {
    Operation::Enqueue {
        due: noon(),
        next_hop: "example.test".into(),
        body: body.clone(),
        envelope: Bytes::new(),
    }
}

pub(super) fn a_staged_body_serves_many(t: &Test) -> Case {
    let (a, inbox) = t.account("a@example.test")?;
    let (b, other) = t.account("b@example.test")?;
    let more = t.create(a, "More")?;
    t.rule(R805);
    for (n, count) in (1..).zip([9, LARGE]) {
        let expected = pattern(n, count);
        let staged = t.stage(&expected)?;
        // A commit that fails, before and after the body was used.
        let guarded = Transaction::new(a).with(append_of(inbox, &staged));
        let guarded = guarded.requiring(Requirement::Unchanged(crate::ModSeq(u64::MAX >> 1)));
        let late = Transaction::new(a)
            .with(append_of(inbox, &staged))
            .with(Operation::Delete(inbox));
        let failing = [guarded, late];
        for failing in failing.clone() {
            let answer = t.commit(failing)?;
            t.holds("a refusal", answer.is_err(), &answer);
        }
        let mut bodies = Vec::new();
        for to in [inbox, more, other, inbox] {
            bodies.push(keep(t, to, &staged)?);
        }
        for failing in failing {
            let answer = t.commit(failing)?;
            t.holds("a refusal", answer.is_err(), &answer);
        }
        t.run(b, queued(&staged))?;
        drop(staged);
        bodies.extend(t.queue()?.last().map(|entry| entry.body));
        for body in bodies {
            same_octets(t, body, &expected)?;
        }
    }
    Ok(())
}

pub(super) fn what_is_dropped_takes_nothing_away(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let store = t.store();
    t.rule(R806);
    for (n, count) in (1..).zip([9, LARGE]) {
        let expected = pattern(n, count);
        let mut early = t.ask("stage", store.stage())?;
        let piece = Bytes::from(expected.clone());
        t.ask("stage.write", early.write(piece.clone()))?;
        let staged = t.stage(&expected)?;
        let unused = t.stage(&expected)?;
        let clone = staged.clone();
        let body = keep(t, inbox, &staged)?;
        let mut late = t.ask("stage", store.stage())?;
        t.ask("stage.write", late.write(piece))?;
        t.during("a read after stages and staged bodies were dropped");
        drop((staged, early));
        same_octets(t, body, &expected)?;
        drop((unused, late, clone));
        same_octets(t, body, &expected)?;
        // Nothing was committed of them.
        t.same("messages", t.rows(inbox)?.len(), n as usize);
        // A clone that is dropped after a commit that failed.
        let staged = t.stage(&expected)?;
        let body = keep(t, inbox, &staged)?;
        let failing = Transaction::new(id)
            .with(append_of(inbox, &staged))
            .with(Operation::Delete(inbox));
        let answer = t.commit(failing)?;
        t.holds("a refusal", answer.is_err(), &answer);
        drop(staged);
        same_octets(t, body, &expected)?;
        t.run(id, expunge(inbox, uids(&[2 * n])))?;
    }
    Ok(())
}

/// A row, or a queue entry, of the last use of a body.
fn settled(t: &Test, again: bool) -> Case {
    let store = t.store();
    let claim = Claim::new(noon(), 99, Duration::from_secs(60));
    for entry in t.ask("claim", store.claim(&claim))? {
        let again = again.then(|| (noon(), Bytes::new()));
        let (id, token) = (entry.id, entry.token);
        t.run(entry.account, Operation::Settle { id, token, again })?;
    }
    Ok(())
}

pub(super) fn a_body_lives_as_long_as_a_row(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let other = t.create(id, "Other")?;
    let gone = t.create(id, "Gone")?;
    t.rule(R807);
    let mut kept = Vec::new();
    for (n, count) in (1..).zip([9, LARGE]) {
        let text = |part: u32| pattern(part * 10 + n, count);
        // Copied, moved, in two mailboxes of which one goes, and in the queue.
        let copied = keep(t, inbox, &t.stage(&text(1))?)?;
        t.run(id, copy(inbox, UidSet::all(), other))?;
        t.run(id, expunge(inbox, UidSet::all()))?;
        let moved = keep(t, inbox, &t.stage(&text(2))?)?;
        t.run(id, relocate(inbox, UidSet::all(), other))?;
        let staged = t.stage(&text(3))?;
        let twice = keep(t, gone, &staged)?;
        keep(t, other, &staged)?;
        let staged = t.stage(&text(4))?;
        let waiting = keep(t, gone, &staged)?;
        t.run(id, queued(&staged))?;
        kept.extend(
            (1..)
                .zip([copied, moved, twice, waiting])
                .map(|(k, b)| (b, text(k))),
        );
    }
    settled(t, true)?;
    t.run(id, Operation::Delete(gone))?;
    t.pass_grace();
    for row in t.rows(other)? {
        let text = kept.iter().find(|(body, _)| *body == row.body);
        t.holds("a body that was kept", text.is_some(), &row);
    }
    for (body, text) in &kept {
        same_octets(t, *body, text)?;
    }
    Ok(())
}

/// Bodies whose last row or entry is gone.
fn orphans(t: &Test) -> Case<Vec<(BodyRef, Vec<u8>)>> {
    let (id, inbox) = t.account("a@example.test")?;
    let (other, own) = t.account("b@example.test")?;
    let gone = t.create(id, "Gone")?;
    let mut all = Vec::new();
    for (n, count) in (1..).zip([9, LARGE]) {
        for (place, to) in (1..).zip([inbox, gone, own]) {
            let text = pattern(place * 10 + n, count);
            all.push((keep(t, to, &t.stage(&text)?)?, text));
        }
        let text = pattern(n + 90, count);
        let staged = t.stage(&text)?;
        t.run(id, queued(&staged))?;
        all.push((staged.body(), text));
    }
    t.run(id, expunge(inbox, UidSet::all()))?;
    t.run(id, Operation::Delete(gone))?;
    settled(t, false)?;
    let store = t.store();
    t.ask("remove_account", store.remove_account(other))?;
    Ok(all)
}

pub(super) fn a_body_outlives_its_last_row(t: &Test) -> Case {
    let bodies = orphans(t)?;
    t.rule(R808);
    for (body, text) in bodies {
        same_octets(t, body, &text)?;
    }
    Ok(())
}

pub(super) fn a_body_is_freed_at_last(t: &Test) -> Case {
    let bodies = orphans(t)?;
    if !t.pass_grace() {
        return Ok(());
    }
    t.rule(R809);
    for (body, _) in bodies {
        let answer = t.read(body, 0, 9)?;
        t.holds(
            "an error for a body that is freed",
            answer.is_err(),
            &answer,
        );
    }
    Ok(())
}

pub(super) fn bodies_are_not_mixed(t: &Test) -> Case {
    let (_, inbox) = t.account("a@example.test")?;
    let store = t.store();
    t.rule(R810);
    for count in [600, LARGE] {
        // Two at a time, piece by piece.
        let (one, two) = (pattern(1, count), pattern(2, count));
        let mut first = t.ask("stage", store.stage())?;
        let mut second = t.ask("a second stage", store.stage())?;
        for (a, b) in one.chunks(count / 5).zip(two.chunks(count / 5)) {
            t.ask("stage.write", first.write(Bytes::copy_from_slice(a)))?;
            t.ask("stage.write", second.write(Bytes::copy_from_slice(b)))?;
        }
        let second = t.ask("finish of the second stage", second.finish())?;
        let first = t.ask("finish of the first stage", first.finish())?;
        let pair = (first.body().id, second.body().id);
        t.holds("bodies of their own", pair.0 != pair.1, &pair);
        let (a, b) = (keep(t, inbox, &first)?, keep(t, inbox, &second)?);
        same_octets(t, a, &one)?;
        same_octets(t, b, &two)?;
        let raced = t.race(6, |n| {
            let text = pattern(u32::try_from(n).unwrap_or(0) + 20, count);
            let stage = t.ask("stage", t.store().stage())?;
            let all = text.chunks(count / 7).map(Bytes::copy_from_slice).collect();
            let staged = t.ask("6 stages at the same time", pieces(stage, all))?;
            Ok((keep(t, inbox, &staged)?, text))
        })?;
        for (body, text) in raced {
            same_octets(t, body, &text)?;
        }
    }
    Ok(())
}

pub(super) fn a_stage_may_outlive_its_store(t: &Test) -> Case {
    let (_, inbox) = t.account("a@example.test")?;
    let mut begun = Vec::new();
    for count in [9, LARGE] {
        for _ in 0..3 {
            let mut stage = t.ask("stage", t.store().stage())?;
            let piece = Bytes::from(pattern(3, count));
            t.ask("stage.write", stage.write(piece))?;
            begun.push(stage);
        }
    }
    let staged = t.stage(&pattern(4, LARGE))?;
    keep(t, inbox, &staged)?;
    t.close();
    t.rule(R811);
    t.during("stages that are written, finished and dropped after their store was closed");
    let patience = Duration::from_secs(5);
    for (n, mut stage) in begun.into_iter().enumerate() {
        let answered = catch_unwind(AssertUnwindSafe(move || match n % 3 {
            0 => within(patience, stage.finish()).is_some(),
            1 => {
                let piece = Bytes::from(pattern(5, LARGE));
                let written = within(patience, stage.write(piece)).is_some();
                written && within(patience, stage.finish()).is_some()
            }
            _ => {
                drop(stage);
                true
            }
        }));
        let answered = answered.map_err(|_| "a panic");
        t.holds(
            "an answer, if only an error",
            answered == Ok(true),
            &answered,
        );
    }
    let dropped = catch_unwind(AssertUnwindSafe(move || drop(staged)));
    t.holds("no panic", dropped.is_ok(), &"a panic");
    Ok(())
}
