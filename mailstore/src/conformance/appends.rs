//! Messages that come in: what they bring, UIDs, identities, origins.

use bytes::Bytes;
use std::collections::BTreeSet;
use std::time::SystemTime;

use super::test::{Case, Test, copy, expunge, numbers, refused, relocate, uids};
use crate::contract::{
    R401, R402, R403, R404, R405, R406, R407, R408, R409, R419, R420, R421, R422, R423, R424,
};
use crate::{
    Append, EmailId, Error, Flags, MailboxId, ModSeq, Operation, Outcome, ThreadId, Transaction,
    Uid, UidSet, Want, Which,
};

pub(super) fn an_append_keeps_what_it_brings(t: &Test) -> Case {
    let (_, inbox) = t.account("a@example.test")?;
    t.rule(R401);
    let keywords = ["$Forwarded", "NonJunk", "x[1"];
    let dates = [(0, 0), (-1, -720), (1_700_000_000, 840), (1 << 40, 330)];
    for (n, received) in (1..).zip(dates) {
        let mut append = t.message(inbox, &"x".repeat(n as usize * 7))?;
        append.received = received;
        append.flags = Flags::from_parts(n * 7, keywords.into_iter().take(usize::from(n)));
        let expected = append.clone();
        t.deliver_as(append)?;
        let row = t.row(inbox, u32::from(n))?;
        t.same("INTERNALDATE", row.received, received);
        t.same("flags", row.flags, expected.flags);
        t.same("octets", row.body.octets, expected.body.body().octets);
    }
    t.same("UIDs", numbers(&t.rows(inbox)?), [1, 2, 3, 4]);
    Ok(())
}

fn seconds() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(0)
}

pub(super) fn saved_is_when_it_came(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let other = t.create(id, "Other")?;
    t.rule(R402);
    // The store's clock may be another one, and coarser.
    let before = seconds() - 2;
    t.deliver(inbox, "one")?;
    t.run(id, copy(inbox, UidSet::all(), other))?;
    for mailbox in [inbox, other] {
        let saved = t.row(mailbox, 1)?.saved;
        let recent = saved.is_some_and(|saved| (before..=seconds() + 2).contains(&saved));
        t.holds("a few seconds ago", recent, &saved);
    }
    Ok(())
}

pub(super) fn uids_rise(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R403);
    let uid_validity = t.mailbox(id, "INBOX")?.uid_validity;
    for expected in 1..4 {
        t.same("UIDNEXT", t.mailbox(id, "INBOX")?.uid_next, expected);
        let append = t.message(inbox, "x")?;
        let body = append.body.body();
        let outcome = t.run(id, Operation::Append(Box::new(append)))?;
        let expected = Outcome::Appended {
            uid: Uid::new(expected).unwrap_or(Uid(std::num::NonZeroU32::MIN)),
            uid_validity,
            body,
        };
        t.same("the outcome", outcome, expected);
    }
    let several = Transaction::new(id)
        .with(t.append(inbox, "x")?)
        .with(t.append(inbox, "x")?);
    t.done(several)?;
    t.same("UIDs", numbers(&t.rows(inbox)?), [1, 2, 3, 4, 5]);
    t.same("UIDNEXT", t.mailbox(id, "INBOX")?.uid_next, 6);
    Ok(())
}

pub(super) fn uids_are_never_used_again(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let other = t.create(id, "Other")?;
    t.rule(R404);
    for expected in [1, 2, 3] {
        t.same("UID", t.deliver(inbox, "x")?.get(), expected);
        t.run(id, expunge(inbox, UidSet::all()))?;
    }
    t.same("UID", t.deliver(inbox, "x")?.get(), 4);
    t.run(id, relocate(inbox, uids(&[4]), other))?;
    t.same("UID", t.deliver(inbox, "x")?.get(), 5);
    t.run(id, relocate(other, uids(&[1]), inbox))?;
    t.same("UIDs", numbers(&t.rows(inbox)?), [5, 6]);
    t.same("UID", t.deliver(other, "x")?.get(), 2);
    Ok(())
}

pub(super) fn uids_become_visible_in_order(t: &Test) -> Case {
    let (_, inbox) = t.account("a@example.test")?;
    t.rule(R405);
    const WRITERS: usize = 6;
    const EACH: usize = 10;
    t.race(WRITERS + 1, |n| {
        if n < WRITERS {
            for _ in 0..EACH {
                t.deliver(inbox, "x")?;
            }
            return Ok(());
        }
        let (mut seen, mut at, mut count) = (None, ModSeq(0), 0);
        while count < WRITERS * EACH && t.time_is_left() {
            let page = t.page(inbox, &Which::After(seen), Want::ROW, 7)?;
            t.holds("no older state", page.at >= at, &page.at);
            at = page.at;
            for row in page.rows {
                count += 1;
                let in_order = row.uid.get() as usize == count && row.modified <= at;
                if !t.holds("no gap that is filled later", in_order, &row) {
                    return Ok(());
                }
                seen = Some(row.uid);
            }
        }
        Ok(())
    })?;
    let rows = t.rows(inbox)?;
    let rising = rows.is_sorted_by_key(|row| row.modified);
    t.holds("mod-sequences as the UIDs", rising, &rows);
    Ok(())
}

fn restored(t: &Test, to: MailboxId, uid: u32) -> Case<Operation> {
    let mut append = t.message(to, "restored")?;
    append.uid = Uid::new(uid);
    Ok(Operation::Append(Box::new(append)))
}

pub(super) fn a_restored_uid_is_kept(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R406);
    for uid in [1, 5, 1000] {
        t.run(id, restored(t, inbox, uid)?)?;
        t.same("UIDNEXT", t.mailbox(id, "INBOX")?.uid_next, uid + 1);
    }
    t.same("UIDs", numbers(&t.rows(inbox)?), [1, 5, 1000]);
    t.same("the next UID", t.deliver(inbox, "x")?.get(), 1001);
    Ok(())
}

pub(super) fn a_restored_uid_below_uidnext_is_refused(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.run(id, restored(t, inbox, 5)?)?;
    t.run(id, expunge(inbox, UidSet::all()))?;
    t.deliver(inbox, "x")?;
    t.rule(R407);
    for uid in [1, 4, 5, 6] {
        let answer = t.attempt(id, restored(t, inbox, uid)?)?;
        refused!(t, answer, Error::Conflict(_));
    }
    t.same("UIDs", numbers(&t.rows(inbox)?), [6]);
    Ok(())
}

pub(super) fn uids_end_with_a_limit(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R424);
    let answer = t.attempt(id, restored(t, inbox, u32::MAX)?)?;
    refused!(t, answer, Error::Limit(_));
    t.run(id, restored(t, inbox, u32::MAX - 1)?)?;
    let answer = t.attempt(id, t.append(inbox, "x")?)?;
    refused!(t, answer, Error::Limit(_));
    t.same("UIDs", numbers(&t.rows(inbox)?), [u32::MAX - 1]);
    Ok(())
}

pub(super) fn a_restored_identity_is_kept(t: &Test) -> Case {
    let (_, inbox) = t.account("a@example.test")?;
    t.rule(R408);
    let mut append = t.message(inbox, "restored")?;
    append.identity = Some((EmailId(70), ThreadId(60)));
    t.deliver_as(append)?;
    let row = t.row(inbox, 1)?;
    let found = (row.email, row.thread);
    t.same("EMAILID, THREADID", found, (EmailId(70), ThreadId(60)));
    // Many enough to meet what was restored, if they were to count up to it.
    for n in 0..100 {
        t.deliver(inbox, &format!("{n}"))?;
    }
    let rows = t.rows(inbox)?;
    let same = |row: &&crate::Row| row.email == EmailId(70) || row.thread == ThreadId(60);
    t.same("rows of that identity", rows.iter().filter(same).count(), 1);
    Ok(())
}

pub(super) fn identities_are_unique(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let other = t.create(id, "Other")?;
    t.rule(R409);
    for n in 0..6 {
        let to = if n % 2 == 0 { inbox } else { other };
        t.deliver(to, "the same octets")?;
        t.run(id, expunge(other, uids(&[2])))?;
    }
    let mut rows = t.rows(inbox)?;
    rows.extend(t.rows(other)?);
    let emails: BTreeSet<_> = rows.iter().map(|row| row.email).collect();
    t.same("EMAILIDs", emails.len(), rows.len());
    Ok(())
}

fn with_origin(t: &Test, to: MailboxId, origin: &[u8]) -> Case<Append> {
    let mut append = t.message(to, "once")?;
    append.origin = Some(Bytes::copy_from_slice(origin));
    Ok(append)
}

/// Appends under an origin, and checks that it got that UID, new or not.
fn come(t: &Test, to: MailboxId, origin: &[u8], uid: u32, new: bool) -> Case {
    let uid_validity = t.mailbox_by_id(to)?.uid_validity;
    let append = with_origin(t, to, origin)?;
    let outcome = t.run(to.account, Operation::Append(Box::new(append)))?;
    let found = match &outcome {
        Outcome::Appended {
            uid, uid_validity, ..
        } => Some((true, uid.get(), *uid_validity)),
        Outcome::Existed { uid, uid_validity } => Some((false, uid.get(), *uid_validity)),
        _ => None,
    };
    t.same(
        "new, UID, UIDVALIDITY",
        found,
        Some((new, uid, uid_validity)),
    );
    Ok(())
}

pub(super) fn an_origin_never_doubles(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R419);
    come(t, inbox, b"queue-17/a", 1, true)?;
    come(t, inbox, b"queue-17/a", 1, false)?;
    come(t, inbox, b"queue-17/b", 2, true)?;
    let twice = Transaction::new(id)
        .with(Operation::Append(Box::new(with_origin(t, inbox, b"c")?)))
        .with(Operation::Append(Box::new(with_origin(t, inbox, b"c")?)));
    let done = t.done(twice)?;
    let existed =
        matches!(done.outcomes.get(1), Some(Outcome::Existed { uid, .. }) if uid.get() == 3);
    t.holds("Existed with UID 3", existed, &done.outcomes);
    t.race(5, |_| {
        let append = with_origin(t, inbox, b"raced")?;
        t.run(id, Operation::Append(Box::new(append)))
    })?;
    t.same("UIDs", numbers(&t.rows(inbox)?), [1, 2, 3, 4]);
    t.same("UIDNEXT", t.mailbox(id, "INBOX")?.uid_next, 5);
    Ok(())
}

pub(super) fn an_origin_outlives_its_message(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let other = t.create(id, "Other")?;
    t.rule(R420);
    come(t, inbox, b"a", 1, true)?;
    come(t, inbox, b"b", 2, true)?;
    t.run(id, expunge(inbox, uids(&[1])))?;
    t.run(id, relocate(inbox, uids(&[2]), other))?;
    come(t, inbox, b"a", 1, false)?;
    come(t, inbox, b"b", 2, false)?;
    t.same("UIDs", numbers(&t.rows(inbox)?), []);
    Ok(())
}

pub(super) fn an_origin_belongs_to_one_mailbox(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let other = t.create(id, "Other")?;
    t.rule(R421);
    come(t, inbox, b"a", 1, true)?;
    come(t, other, b"a", 1, true)?;
    t.run(id, Operation::Delete(other))?;
    let again = t.create(id, "Other")?;
    come(t, again, b"a", 1, true)?;
    t.deliver(again, "x")?;
    t.run(id, copy(inbox, uids(&[1]), again))?;
    come(t, again, b"a", 1, false)?;
    Ok(())
}

pub(super) fn an_origin_has_64_octets(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R422);
    come(t, inbox, &[0xff; 64], 1, true)?;
    come(t, inbox, b"\0", 2, true)?;
    come(t, inbox, b"", 3, true)?;
    come(t, inbox, &[0xff; 64], 1, false)?;
    come(t, inbox, b"\0", 2, false)?;
    come(t, inbox, b"", 3, false)?;
    let long = with_origin(t, inbox, &[b'x'; 65])?;
    let answer = t.attempt(id, Operation::Append(Box::new(long)))?;
    refused!(t, answer, Error::Limit(_));
    t.same("UIDs", numbers(&t.rows(inbox)?), [1, 2, 3]);
    Ok(())
}

pub(super) fn a_full_account_repeats_an_origin(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    come(t, inbox, b"a", 1, true)?;
    let held = t.person(id)?.quota;
    t.limit(id, Some(held.used_octets), Some(held.used_messages))?;
    t.rule(R423);
    come(t, inbox, b"a", 1, false)?;
    t.limit(id, Some(0), Some(0))?;
    come(t, inbox, b"a", 1, false)?;
    let used = t.person(id)?.quota.used_messages;
    t.same("messages held", used, held.used_messages);
    Ok(())
}
