//! Flags: set, added, removed, left as they are.

use super::test::{Case, Test, copy, expunge, flag, numbers, relocate, uids};
use crate::contract::{R410, R411, R412, R413};
use crate::{FlagChange, Flags, MailboxId, Operation, Outcome, Transaction, UidSet};

fn change(mailbox: MailboxId, which: UidSet, change: FlagChange) -> Operation {
    Operation::Flags {
        mailbox,
        uids: which,
        change,
        unchanged_since: None,
    }
}

fn flagged(changed: &[u32], modified: &[u32]) -> Outcome {
    Outcome::Flagged {
        changed: uids(changed),
        modified: uids(modified),
    }
}

pub(super) fn flags_are_set_added_and_removed(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    for _ in 0..3 {
        t.deliver(inbox, "x")?;
    }
    t.rule(R410);
    let flags = |bits, keywords: &[&'static str]| Flags::from_parts(bits, keywords.iter().copied());
    let steps = [
        (FlagChange::Add(flags(1, &["$a"])), flags(1, &["$a"])),
        (FlagChange::Add(flags(30, &["b"])), flags(31, &["$a", "b"])),
        (
            FlagChange::Remove(flags(2, &["$A", "c"])),
            flags(29, &["b"]),
        ),
        (
            FlagChange::Set(flags(8, &["$a", "d"])),
            flags(8, &["$a", "d"]),
        ),
        (FlagChange::Remove(flags(31, &[])), flags(0, &["$a", "d"])),
        (FlagChange::Set(flags(0, &[])), flags(0, &[])),
    ];
    for (step, expected) in steps {
        let outcome = t.run(id, change(inbox, uids(&[1, 3]), step))?;
        t.same("the outcome", outcome, flagged(&[1, 3], &[]));
        for (uid, expected) in [(1, &expected), (2, &Flags::NONE), (3, &expected)] {
            t.same(
                &format!("flags of {uid}"),
                &t.row(inbox, uid)?.flags,
                expected,
            );
        }
    }
    // Many messages at once.
    t.run(id, flag(inbox, UidSet::all(), Flags::SEEN))?;
    let seen = t.rows(inbox)?.iter().all(|row| row.flags == Flags::SEEN);
    t.holds("all seen", seen, &seen);
    Ok(())
}

pub(super) fn flags_that_stay_change_nothing(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.deliver(inbox, "one")?;
    t.deliver(inbox, "two")?;
    let set = Flags::from_parts(1, ["$a"]);
    t.run(id, change(inbox, uids(&[1]), FlagChange::Set(set.clone())))?;
    t.rule(R411);
    let (rows, highest) = (t.rows(inbox)?, t.mailbox(id, "INBOX")?.highest);
    for step in [
        FlagChange::Set(set),
        FlagChange::Add(Flags::SEEN),
        FlagChange::Add(Flags::from_parts(1, ["$A"])),
        FlagChange::Remove(Flags::from_parts(8, ["other"])),
        FlagChange::Add(Flags::NONE),
    ] {
        let outcome = t.run(id, change(inbox, uids(&[1]), step))?;
        t.same("the outcome", outcome, flagged(&[1], &[]));
        t.same("rows", &t.rows(inbox)?, &rows);
        t.same("the last change", t.mailbox(id, "INBOX")?.highest, highest);
    }
    // One of two changes.
    let done = t.done(Transaction::new(id).with(flag(inbox, UidSet::all(), Flags::SEEN)))?;
    t.same(
        "the outcome",
        done.outcomes.first(),
        Some(&flagged(&[1, 2], &[])),
    );
    let after: Vec<_> = t.rows(inbox)?.iter().map(|row| row.modified).collect();
    let first = rows.first().map(|row| row.modified);
    t.same("mod-sequences", after, [first.unwrap_or(done.at), done.at]);
    Ok(())
}

pub(super) fn unchanged_since_spares_the_changed(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.deliver(inbox, "one")?;
    t.deliver(inbox, "two")?;
    let since = t.at(id)?;
    t.run(id, flag(inbox, uids(&[1]), Flags::SEEN))?;
    t.deliver(inbox, "three")?;
    t.rule(R412);
    let guarded = |which| Operation::Flags {
        mailbox: inbox,
        uids: which,
        change: FlagChange::Set(Flags::DRAFT),
        unchanged_since: Some(since),
    };
    let outcome = t.run(id, guarded(uids(&[1, 2, 3, 9])))?;
    t.same("the outcome", outcome, flagged(&[2], &[1, 3]));
    let flags: Vec<_> = t.rows(inbox)?.into_iter().map(|row| row.flags).collect();
    t.same("flags", flags, [Flags::SEEN, Flags::DRAFT, Flags::NONE]);
    // What the guarded change itself changed is changed.
    let outcome = t.run(id, guarded(uids(&[2])))?;
    t.same("the outcome", outcome, flagged(&[], &[2]));
    Ok(())
}

pub(super) fn missing_uids_are_passed_over(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let other = t.create(id, "Other")?;
    for _ in 0..4 {
        t.deliver(inbox, "x")?;
    }
    t.run(id, expunge(inbox, uids(&[2])))?;
    t.rule(R413);
    let outcome = t.run(id, flag(inbox, uids(&[1, 2, 77]), Flags::SEEN))?;
    t.same("the outcome", outcome, flagged(&[1], &[]));
    for operation in [
        copy(inbox, uids(&[2, 3, 99]), other),
        relocate(inbox, uids(&[2, 4, 5]), other),
    ] {
        let outcome = t.run(id, operation)?;
        let pairs = matches!(&outcome, Outcome::Copied { pairs, .. } if pairs.len() == 1);
        t.holds("one pair", pairs, &outcome);
    }
    t.same("UIDs", numbers(&t.rows(other)?), [1, 2]);
    let outcome = t.run(id, expunge(inbox, uids(&[2, 3, 4])))?;
    t.same("the outcome", outcome, Outcome::Expunged(uids(&[3])));
    for operation in [
        copy(inbox, uids(&[50]), other),
        relocate(inbox, uids(&[50]), other),
    ] {
        let outcome = t.run(id, operation)?;
        let none = matches!(&outcome, Outcome::Copied { pairs, .. } if pairs.is_empty());
        t.holds("no pair", none, &outcome);
    }
    t.same("UIDs", numbers(&t.rows(inbox)?), [1]);
    Ok(())
}
