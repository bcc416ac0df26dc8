//! What an account may hold.

use super::mailboxes::count;
use super::test::{Case, Test, copy, expunge, numbers, refused, relocate, uids};
use crate::contract::{R701, R702, R703, R704, R705, R706, R707};
use crate::{AccountId, Error, MailboxId, Operation, Quota, Transaction, UidSet};

/// Appends a text that must be refused, and sees that nothing came of it.
fn over(t: &Test, to: MailboxId, text: &str) -> Case {
    let state = || -> Case<_> { Ok((t.person(to.account)?, t.rows(to)?)) };
    let before = state()?;
    let append = t.append(to, text)?;
    refused!(t, t.attempt(to.account, append)?, Error::OverQuota(_));
    t.same("the account and its rows", state()?, before);
    Ok(())
}

/// Appends a text that must be taken.
fn fits(t: &Test, to: MailboxId, text: &str) -> Case {
    let append = t.append(to, text)?;
    let answer = t.attempt(to.account, append)?;
    t.holds("success", answer.is_ok(), &answer);
    Ok(())
}

fn quota(t: &Test, id: AccountId) -> Case<Quota> {
    t.person(id).map(|person| person.quota)
}

pub(super) fn octets_are_limited(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let other = t.create(id, "Other")?;
    t.rule(R701);
    t.limit(id, Some(10), None)?;
    over(t, inbox, "elevenochar")?;
    fits(t, inbox, "six666")?;
    over(t, other, "five5")?;
    // Together they are too much, though the first one would fit.
    let both = Transaction::new(id)
        .with(t.append(inbox, "abc")?)
        .with(t.append(other, "de")?);
    refused!(t, t.commit(both)?, Error::OverQuota(_));
    t.same("UIDs", numbers(&t.rows(inbox)?), [1]);
    fits(t, other, "four")?;
    over(t, inbox, "x")?;
    t.rule(R707);
    let expected = |octets, messages| Quota {
        octets,
        messages,
        used_octets: 10,
        used_messages: 2,
    };
    t.same("quota", quota(t, id)?, expected(Some(10), None));
    t.limit(id, Some(11), Some(7))?;
    t.same("quota", quota(t, id)?, expected(Some(11), Some(7)));
    t.rule(R701);
    fits(t, inbox, "x")?;
    over(t, inbox, "x")?;
    count(t, id)
}

pub(super) fn messages_are_limited(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let other = t.create(id, "Other")?;
    t.rule(R702);
    t.limit(id, None, Some(2))?;
    fits(t, inbox, "one")?;
    let both = Transaction::new(id)
        .with(t.append(inbox, "two")?)
        .with(t.append(other, "three")?);
    refused!(t, t.commit(both)?, Error::OverQuota(_));
    fits(t, other, "two")?;
    over(t, inbox, "x")?;
    over(t, other, "x")?;
    refused!(
        t,
        t.attempt(id, copy(inbox, uids(&[1]), other))?,
        Error::OverQuota(_)
    );
    // There are octets left, and no message.
    t.limit(id, Some(1 << 40), Some(2))?;
    over(t, inbox, "x")?;
    t.limit(id, None, Some(3))?;
    fits(t, inbox, "three")?;
    over(t, inbox, "x")?;
    t.limit(id, None, Some(0))?;
    over(t, inbox, "x")
}

pub(super) fn a_quota_holds_against_a_race(t: &Test) -> Case {
    for (name, octets, messages) in [("a", Some(50), None), ("b", None, Some(10))] {
        let (id, inbox) = t.account(name)?;
        t.rule(R703);
        t.limit(id, octets, messages)?;
        let taken = t.race(4, |_| {
            let mut taken = 0;
            for _ in 0..5 {
                let append = t.append(inbox, "12345")?;
                let answer = t.attempt(id, append)?;
                let known = matches!(answer, Ok(_) | Err(Error::OverQuota(_)));
                t.holds("success or OverQuota", known, &answer);
                taken += usize::from(answer.is_ok());
            }
            Ok(taken)
        })?;
        t.during("20 appends of 5 octets on 4 threads, of which 10 fit");
        t.same("taken", taken.into_iter().sum::<usize>(), 10);
        t.same("messages", t.rows(inbox)?.len(), 10);
        let held = quota(t, id)?;
        let used = (held.used_octets, held.used_messages);
        t.same("used", used, (50, 10));
    }
    Ok(())
}

pub(super) fn what_is_deleted_makes_room_at_once(t: &Test) -> Case {
    for (name, octets, messages) in [("a", Some(10), None), ("b", None, Some(2))] {
        let (id, inbox) = t.account(name)?;
        let other = t.create(id, "Other")?;
        t.limit(id, octets, messages)?;
        t.rule(R704);
        fits(t, inbox, "12345")?;
        fits(t, other, "12345")?;
        over(t, inbox, "12345")?;
        t.run(id, expunge(inbox, UidSet::all()))?;
        fits(t, inbox, "12345")?;
        over(t, inbox, "12345")?;
        t.run(id, Operation::Delete(other))?;
        fits(t, inbox, "12345")?;
        over(t, inbox, "12345")?;
        // In one transaction.
        let instead = Transaction::new(id)
            .with(expunge(inbox, uids(&[2])))
            .with(t.append(inbox, "12345")?);
        let answer = t.commit(instead)?;
        t.holds("success", answer.is_ok(), &answer);
        over(t, inbox, "12345")?;
        count(t, id)?;
    }
    Ok(())
}

pub(super) fn a_full_account_can_move(t: &Test) -> Case {
    for (name, octets, messages) in [("a", Some(10), None), ("b", None, Some(2))] {
        let (id, inbox) = t.account(name)?;
        let other = t.create(id, "Other")?;
        t.limit(id, octets, messages)?;
        t.deliver(inbox, "12345")?;
        t.deliver(inbox, "12345")?;
        t.rule(R705);
        let before = (t.person(id)?, t.rows(inbox)?);
        refused!(
            t,
            t.attempt(id, copy(inbox, uids(&[1]), other))?,
            Error::OverQuota(_)
        );
        t.same("account and rows", (t.person(id)?, t.rows(inbox)?), before);
        for (from, which, to) in [
            (inbox, [1, 2], other),
            (other, [1, 2], inbox),
            (inbox, [3, 4], inbox),
        ] {
            let answer = t.attempt(id, relocate(from, uids(&which), to))?;
            t.holds("success", answer.is_ok(), &answer);
            t.same("messages there", t.rows(to)?.len(), 2);
        }
        let held = quota(t, id)?;
        t.same("used", (held.used_octets, held.used_messages), (10, 2));
    }
    Ok(())
}

pub(super) fn a_quota_below_what_is_held(t: &Test) -> Case {
    for (name, octets, messages) in [("a", Some(7), None), ("b", None, Some(1))] {
        let (id, inbox) = t.account(name)?;
        for _ in 0..3 {
            t.deliver(inbox, "12345")?;
        }
        t.rule(R706);
        let rows = t.rows(inbox)?;
        t.limit(id, octets, messages)?;
        t.same("rows", t.rows(inbox)?, rows);
        let expected = Quota {
            octets,
            messages,
            used_octets: 15,
            used_messages: 3,
        };
        t.same("quota", quota(t, id)?, expected);
        over(t, inbox, "x")?;
        t.run(id, expunge(inbox, uids(&[1])))?;
        over(t, inbox, "x")?;
        t.limit(id, None, None)?;
        fits(t, inbox, &"x".repeat(1000))?;
        let held = quota(t, id)?;
        t.same("limits", (held.octets, held.messages), (None, None));
    }
    Ok(())
}
