//! Messages that are copied, moved and removed.

use super::mailboxes::count;
use super::test::{Case, Test, copy, expunge, flag, numbers, refused, relocate, uids};
use crate::contract::{R414, R415, R416, R417, R418, R601};
use crate::{
    Changes, EmailId, Error, Flags, MailboxId, Operation, Outcome, Row, ThreadId, Transaction, Uid,
    UidSet, Want,
};

/// A mailbox with three messages that differ, and an empty one.
fn filled(t: &Test) -> Case<(MailboxId, MailboxId)> {
    let (id, from) = t.account("a@example.test")?;
    let to = t.create(id, "To")?;
    for (n, text) in (1..).zip(["one", "two", "three"]) {
        let mut append = t.message(from, text)?;
        append.received = (i64::from(n) * 1000, n);
        append.summary = format!("summary of {text}").into();
        append.identity = Some((EmailId(n as u64 + 10), ThreadId(5)));
        t.deliver_as(append)?;
    }
    t.run(id, flag(from, uids(&[2]), Flags::from_parts(4, ["$x"])))?;
    Ok((from, to))
}

fn pairs(list: &[(u32, u32)]) -> Vec<(Uid, Uid)> {
    let pair = |&(a, b): &(u32, u32)| Uid::new(a).zip(Uid::new(b));
    list.iter().filter_map(pair).collect()
}

/// What a copy has of its original.
fn content(row: &Row) -> (&Flags, (i64, i16), EmailId, ThreadId, u64, &[u8]) {
    (
        &row.flags,
        row.received,
        row.email,
        row.thread,
        row.body.octets,
        &row.summary,
    )
}

pub(super) fn a_copy_is_the_same_message(t: &Test) -> Case {
    let (from, to) = filled(t)?;
    let id = from.account;
    let before = t.rows(from)?;
    t.rule(R414);
    let outcome = t.run(id, copy(from, uids(&[2, 3]), to))?;
    let expected = Outcome::Copied {
        uid_validity: t.mailbox_by_id(to)?.uid_validity,
        pairs: pairs(&[(2, 1), (3, 2)]),
    };
    t.same("the outcome", outcome, expected);
    t.same("the originals", t.rows(from)?, &before[..]);
    let copies = t.rows(to)?;
    t.same("copies", copies.len(), 2);
    for (one, original) in copies.iter().zip(before.iter().skip(1)) {
        t.same("the copy", content(one), content(original));
    }
    for (uid, text) in [(1, "two"), (2, "three")] {
        t.same_text(t.row(to, uid)?.body, text)?;
    }
    // A copy within one mailbox.
    t.run(id, copy(from, uids(&[1]), from))?;
    t.same("UIDs", numbers(&t.rows(from)?), [1, 2, 3, 4]);
    // From then on they are apart.
    t.run(id, flag(to, uids(&[1]), Flags::DELETED))?;
    let flags = t.row(from, 2)?.flags;
    t.holds(
        "the original's flags",
        !flags.contains(&Flags::DELETED),
        &flags,
    );
    count(t, id)
}

pub(super) fn a_move_leaves_nothing_behind(t: &Test) -> Case {
    let (from, to) = filled(t)?;
    let id = from.account;
    let before = t.rows(from)?;
    t.rule(R415);
    let since = t.at(id)?;
    let done = t.done(Transaction::new(id).with(relocate(from, uids(&[1, 3]), to)))?;
    let expected = Outcome::Copied {
        uid_validity: t.mailbox_by_id(to)?.uid_validity,
        pairs: pairs(&[(1, 1), (3, 2)]),
    };
    t.same("the outcome", done.outcomes.first(), Some(&expected));
    t.same("UIDs left", numbers(&t.rows(from)?), [2]);
    let moved = t.rows(to)?;
    for (one, original) in moved.iter().zip(before.iter().step_by(2)) {
        t.same("the moved message", content(one), content(original));
    }
    t.same_text(t.row(to, 1)?.body, "one")?;
    let (at, rows, vanished) = t.known(from, since, 99)?;
    let found = (at, numbers(&rows), vanished);
    t.same("changes there", found, (done.at, vec![], uids(&[1, 3])));
    let (_, rows, vanished) = t.known(to, since, 99)?;
    t.same(
        "changes here",
        (numbers(&rows), vanished),
        (vec![1, 2], UidSet::new()),
    );
    // Into the mailbox itself: it comes anew.
    t.run(id, relocate(from, uids(&[2]), from))?;
    t.same("UIDs", numbers(&t.rows(from)?), [4]);
    // All that there is, named by a range that takes in the copies, too.
    t.deliver(from, "five")?;
    t.run(id, relocate(from, UidSet::all(), from))?;
    t.same("UIDs", numbers(&t.rows(from)?), [6, 7]);
    t.same_text(t.row(from, 7)?.body, "five")?;
    count(t, id)
}

pub(super) fn other_accounts_are_reached_as_claimed(t: &Test) -> Case {
    let (from, _) = filled(t)?;
    let a = from.account;
    let (b, to) = t.account("b@example.test")?;
    t.deliver(to, "own")?;
    let claimed = t.store().capabilities().across_accounts;
    let state = || -> Case<_> {
        Ok((
            t.rows(from)?,
            t.rows(to)?,
            t.person(a)?,
            t.person(b)?,
            t.mailboxes(b, None)?,
        ))
    };
    if !claimed {
        let before = state()?;
        t.rule(R417);
        for operation in [copy(from, uids(&[1]), to), relocate(from, uids(&[1]), to)] {
            let answer = t.attempt(a, operation)?;
            t.holds("a refusal", answer.is_err(), &answer);
            t.same("both accounts", &state()?, &before);
        }
        return Ok(());
    }
    t.rule(R416);
    let before = t.rows(from)?;
    let (was, held) = (t.person(b)?.at, t.person(b)?.quota);
    let done = t.done(Transaction::new(a).with(copy(from, uids(&[2]), to)))?;
    let person = t.person(b)?;
    t.same("other accounts", done.also, [(b, person.at)]);
    t.holds("a later state there", person.at > was, &person.at);
    t.same(
        "messages held there",
        person.quota.used_messages,
        held.used_messages + 1,
    );
    t.same(
        "octets held there",
        person.quota.used_octets,
        held.used_octets + 3,
    );
    let copied = t.row(to, 2)?;
    let original = before.get(1).cloned();
    let kept = |row: &Row| (row.flags.clone(), row.received, row.summary.clone());
    t.same("the copy", Some(kept(&copied)), original.as_ref().map(kept));
    t.same("its mod-sequence", copied.modified, person.at);
    let own = t.row(to, 1)?;
    t.holds("EMAILIDs of its own", own.email != copied.email, &copied);
    t.same_text(copied.body, "two")?;
    let changed = t.changes(to, was, Want::ROW, 9)?;
    let found = matches!(&changed, Changes::Known { rows, .. } if numbers(rows) == [2]);
    t.holds("the copy among the changes", found, &changed);
    let done = t.done(Transaction::new(a).with(relocate(from, uids(&[1]), to)))?;
    t.same("other accounts", done.also, [(b, t.at(b)?)]);
    t.same("UIDs here", numbers(&t.rows(from)?), [2, 3]);
    t.same("UIDs there", numbers(&t.rows(to)?), [1, 2, 3]);
    // The other account is charged, and all or nothing is done.
    t.limit(b, None, Some(4))?;
    let before = state()?;
    let both = relocate(from, uids(&[2, 3]), to);
    refused!(t, t.attempt(a, both)?, Error::OverQuota(_));
    t.same("both accounts", state()?, before);
    count(t, a)?;
    count(t, b)
}

pub(super) fn an_expunge_removes_what_it_names(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    for _ in 0..6 {
        t.deliver(inbox, "x")?;
    }
    t.run(id, flag(inbox, uids(&[2, 3, 5]), Flags::DELETED))?;
    t.rule(R418);
    let since = t.at(id)?;
    let deleted_only = |which| Operation::Expunge {
        mailbox: inbox,
        uids: which,
        deleted_only: true,
    };
    let outcome = t.run(id, deleted_only(uids(&[1, 2])))?;
    t.same("the outcome", outcome, Outcome::Expunged(uids(&[2])));
    let outcome = t.run(id, expunge(inbox, uids(&[4])))?;
    t.same("the outcome", outcome, Outcome::Expunged(uids(&[4])));
    t.same("UIDs", numbers(&t.rows(inbox)?), [1, 3, 5, 6]);
    let outcome = t.run(id, deleted_only(UidSet::all()))?;
    t.same("the outcome", outcome, Outcome::Expunged(uids(&[3, 5])));
    let outcome = t.run(id, deleted_only(UidSet::all()))?;
    t.same("the outcome", outcome, Outcome::Expunged(UidSet::new()));
    t.same("UIDs", numbers(&t.rows(inbox)?), [1, 6]);
    t.rule(R601);
    let (_, rows, vanished) = t.known(inbox, since, 99)?;
    t.same("changes", (rows, vanished), (vec![], uids(&[2, 3, 4, 5])));
    Ok(())
}
