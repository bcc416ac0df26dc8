//! Transactions: all or nothing, in order, apart from each other.

use bytes::Bytes;
use std::time::{Duration, SystemTime};

use super::queue::enqueue;
use super::test::{Case, Test, create, expunge, flag, kind, numbers, refused, uids};
use crate::contract::{
    R101, R102, R103, R104, R105, R106, R107, R108, R109, R110, R114, R122, R318,
};
use crate::{
    AccountId, BodyId, BodyRef, Changes, Claim, Error, FlagChange, Flags, MailboxId, ModSeq,
    Operation, Outcome, QueueId, Requirement, Transaction, Uid, UidSet, Want, Which,
};

pub(super) fn a_failed_transaction_leaves_nothing(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let other = t.create(id, "Other")?;
    t.deliver(inbox, "kept")?;
    let state = || -> Case<_> {
        Ok((
            t.rows(inbox)?,
            t.rows(other)?,
            t.mailboxes(id, None)?,
            t.person(id)?,
            t.queue()?,
        ))
    };
    let before = state()?;
    let name = |name: &str| name.to_string();
    let value = Some(Bytes::from_static(b"x"));
    // Each operation alone, and all of them, before one that fails.
    let operations = [
        t.append(inbox, "new")?,
        flag(inbox, uids(&[1]), Flags::SEEN),
        Operation::Copy {
            from: inbox,
            uids: uids(&[1]),
            to: other,
        },
        Operation::Subscribe {
            name: name("x"),
            subscribed: true,
        },
        create("new"),
        Operation::SetQuota {
            octets: Some(1_000_000),
            messages: Some(9),
        },
        Operation::SetProperty {
            key: name("k"),
            value: value.clone(),
        },
        Operation::SetMailboxProperty {
            mailbox: inbox,
            key: name("k"),
            value,
        },
        enqueue(t, "example.test")?,
        Operation::Rename {
            mailbox: other,
            to: name("Renamed"),
        },
        Operation::Move {
            from: inbox,
            uids: uids(&[1]),
            to: other,
        },
        expunge(inbox, UidSet::all()),
        Operation::Delete(other),
    ];
    let nowhere = MailboxId {
        account: id,
        number: 999,
    };
    let mut failing: Vec<Transaction> = operations
        .iter()
        .map(|operation| Transaction::new(id).with(operation.clone()))
        .collect();
    failing.push(
        operations
            .into_iter()
            .fold(Transaction::new(id), Transaction::with),
    );
    for transaction in failing {
        t.rule(R101);
        let answer = t.commit(transaction.with(Operation::Delete(nowhere)))?;
        refused!(t, answer, Error::NoSuchMailbox(_));
        let after = state()?;
        t.same("rows", &after.0, &before.0);
        t.same("rows of the other mailbox", &after.1, &before.1);
        let (found, expected) = (after.2, &before.2);
        t.same("subscriptions", &found.subscribed, &expected.subscribed);
        t.same("mailboxes", &found.mailboxes, &expected.mailboxes);
        t.same("properties", &after.3.properties, &before.3.properties);
        t.same("quota", after.3.quota, before.3.quota);
        t.same("the queue", &after.4, &before.4);
        t.rule(R102);
        t.same("the state", after.3.at, before.3.at);
    }
    t.rule(R102);
    t.same("UID", t.deliver(inbox, "next")?.get(), 2);
    Ok(())
}

pub(super) fn operations_see_those_before_them(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let nested = Transaction::new(id)
        .with(t.append(inbox, "one")?)
        .with(t.append(inbox, "two")?)
        .with(flag(inbox, uids(&[2]), Flags::DELETED))
        .with(Operation::Expunge {
            mailbox: inbox,
            uids: UidSet::all(),
            deleted_only: true,
        })
        .with(create("a"))
        .with(create("a/b"));
    let done = t.done(nested)?;
    t.rule(R103);
    t.same("outcomes", done.outcomes.len(), 6);
    let expunged = done.outcomes.get(3);
    t.same(
        "what is expunged",
        expunged,
        Some(&Outcome::Expunged(uids(&[2]))),
    );
    t.same("UIDs", numbers(&t.rows(inbox)?), [1]);
    t.same("names", t.names(id)?, ["INBOX", "a", "a/b"]);
    let swap = Transaction::new(id)
        .with(Operation::Rename {
            mailbox: t.mailbox(id, "a")?.id,
            to: "c".into(),
        })
        .with(create("a"));
    t.rule(R103);
    t.done(swap)?;
    t.same("names", t.names(id)?, ["INBOX", "a", "c", "c/b"]);
    Ok(())
}

pub(super) fn a_commit_says_what_it_did(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R104);
    let done = t.done(
        Transaction::new(id)
            .with(t.append(inbox, "one")?)
            .with(Operation::Subscribe {
                name: "x".into(),
                subscribed: true,
            })
            .with(flag(inbox, uids(&[1]), Flags::SEEN))
            .with(create("a"))
            .with(enqueue(t, "example.test")?),
    )?;
    let shape = |outcome: &Outcome| match outcome {
        Outcome::Appended { .. } => "appended",
        Outcome::Flagged { .. } => "flagged",
        Outcome::Created { .. } => "created",
        Outcome::Enqueued(_) => "enqueued",
        Outcome::Done => "done",
        _ => "another",
    };
    let shapes: Vec<_> = done.outcomes.iter().map(shape).collect();
    let expected = ["appended", "done", "flagged", "created", "enqueued"];
    t.same("outcomes", shapes, expected);
    t.same("the state", done.at, t.at(id)?);
    t.same("other accounts", done.also, []);
    let made = t.mailbox(id, "a")?;
    let created = Outcome::Created {
        id: made.id,
        uid_validity: made.uid_validity,
    };
    t.same("what was made", done.outcomes.get(3), Some(&created));
    let entry = t.queue()?.first().map(|entry| Outcome::Enqueued(entry.id));
    t.same("the entry", done.outcomes.get(4), entry.as_ref());
    Ok(())
}

pub(super) fn mod_sequences_rise(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let other = t.create(id, "Other")?;
    t.rule(R105);
    let mut last = t.at(id)?;
    let uids = || uids(&[1]);
    let steps = [
        t.append(inbox, "one")?,
        flag(inbox, uids(), Flags::SEEN),
        Operation::Copy {
            from: inbox,
            uids: uids(),
            to: other,
        },
        expunge(other, uids()),
        create("a"),
    ];
    for step in steps {
        let done = t.done(Transaction::new(id).with(step))?;
        t.holds(&format!("a state above {last}"), done.at > last, &done.at);
        t.same("the state", t.at(id)?, done.at);
        last = done.at;
    }
    let done = t.done(Transaction::new(id).with(flag(inbox, uids(), Flags::FLAGGED)))?;
    t.same("the row's", t.row(inbox, 1)?.modified, done.at);
    let done = t.done(Transaction::new(id).with(t.append(inbox, "two")?))?;
    t.same("the new row's", t.row(inbox, 2)?.modified, done.at);
    t.holds(
        "the row before it keeps its own",
        t.row(inbox, 1)?.modified < done.at,
        &t.rows(inbox)?,
    );
    Ok(())
}

pub(super) fn what_is_committed_is_read(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R106);
    for n in 1..=12_u32 {
        let done = t.done(Transaction::new(id).with(t.append(inbox, "x")?).with(flag(
            inbox,
            uids(&[n]),
            Flags::SEEN,
        )))?;
        // Several at a time: each reader of the store is asked.
        t.race(4, |_| {
            let page = t.page(inbox, &Which::After(None), Want::ROW, 99)?;
            t.same("rows", page.rows.len(), n as usize);
            t.holds("no older state", page.at >= done.at, &page.at);
            let seen = page.rows.iter().all(|row| row.flags == Flags::SEEN);
            t.holds("all rows seen", seen, &page.rows);
            Ok(())
        })?;
        let mailbox = t.mailbox(id, "INBOX")?;
        t.same("the counter", mailbox.messages, n);
        t.same("the state", t.at(id)?, done.at);
    }
    Ok(())
}

pub(super) fn a_failure_leaves_its_neighbours_whole(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R107);
    let nowhere = MailboxId {
        account: id,
        number: 999,
    };
    // Handed over together, so that a store which commits in groups has them in one.
    let store = t.store();
    let mut begun = Vec::new();
    for n in 0..40 {
        let mut transaction = Transaction::new(id).with(t.append(inbox, &format!("{n}"))?);
        if n % 2 == 1 {
            transaction = transaction.with(Operation::Delete(nowhere));
        }
        begun.push(store.commit(transaction));
    }
    let mut answers = Vec::new();
    for one in begun {
        let answer = t.wait("one of 40 commits, of which each second fails", one)?;
        answers.push(kind(&answer));
    }
    let expected: Vec<_> = (0..40)
        .map(|n| if n % 2 == 1 { "NoSuchMailbox" } else { "done" })
        .collect();
    t.same("answers", answers, expected);
    let rows = t.rows(inbox)?;
    t.same("UIDs", numbers(&rows), (1..=20).collect::<Vec<u32>>());
    for (row, n) in rows.iter().zip((0..).step_by(2)) {
        t.same_text(row.body, &format!("{n}"))?;
    }
    Ok(())
}

pub(super) fn racing_transactions_are_serial(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    for round in 0..5 {
        t.rule(R122);
        let at = t.at(id)?;
        let answers = t.race(6, |_| {
            let append = t.append(inbox, "x")?;
            let guarded = Transaction::new(id).requiring(Requirement::Unchanged(at));
            t.commit(guarded.with(append)).map(|answer| kind(&answer))
        })?;
        let won = answers.iter().filter(|kind| **kind == "done").count();
        t.during("6 racing commits that require Unchanged");
        t.same("commits that pass", won, 1);
        t.rule(R108);
        let answers = t.race(6, |_| {
            let create = Transaction::new(id).with(create(&format!("new {round}")));
            t.commit(create).map(|answer| kind(&answer))
        })?;
        t.during("6 racing commits that create one name");
        let won = answers.iter().filter(|kind| **kind == "done").count();
        let lost = answers
            .iter()
            .filter(|kind| **kind == "AlreadyExists")
            .count();
        t.same("commits that pass and are refused", (won, lost), (1, 5));
    }
    // Each adds to what it read: none of the additions is lost.
    t.rule(R108);
    t.race(4, |_| {
        for _ in 0..5 {
            // Each Conflict is the success of another.
            for _ in 0..20 {
                let person = t.person(id)?;
                let old = person.properties.get("sum").map_or(0, Bytes::len);
                let value = Some(Bytes::from(vec![b'x'; old + 1]));
                let key = "sum".into();
                let guarded = Transaction::new(id).requiring(Requirement::Unchanged(person.at));
                match t.commit(guarded.with(Operation::SetProperty { key, value }))? {
                    Ok(_) => break,
                    Err(Error::Conflict(_)) => {}
                    other => {
                        t.holds("success or Conflict", false, &other);
                        break;
                    }
                }
            }
        }
        Ok(())
    })?;
    let sum = t.person(id)?.properties.get("sum").map_or(0, Bytes::len);
    t.same("the sum of 20 guarded additions", sum, 20);
    Ok(())
}

pub(super) fn a_dropped_commit_is_whole_or_nothing(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R109);
    let store = t.store();
    for _ in 0..8 {
        let pair = Transaction::new(id)
            .with(t.append(inbox, "one")?)
            .with(t.append(inbox, "two")?);
        drop(store.commit(pair));
    }
    t.during("a commit after dropped ones");
    t.deliver(inbox, "last")?;
    let rows = t.rows(inbox)?;
    let last = rows.len().saturating_sub(1);
    for (n, row) in rows.iter().enumerate() {
        let text = match n {
            n if n == last => "last",
            n if n % 2 == 0 => "one",
            _ => "two",
        };
        t.same_text(row.body, text)?;
    }
    t.holds("whole pairs and one", rows.len() % 2 == 1, &numbers(&rows));
    t.same(
        "UIDs",
        numbers(&rows),
        (1..).take(rows.len()).collect::<Vec<u32>>(),
    );
    t.same(
        "the counter",
        t.mailbox(id, "INBOX")?.messages as usize,
        rows.len(),
    );
    Ok(())
}

pub(super) fn what_is_unknown_is_said(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.deliver(inbox, "one")?;
    let store = t.store();
    t.rule(R110);
    for nobody in [AccountId(77), AccountId(u64::MAX >> 1)] {
        let answer = t.commit(Transaction::new(nobody).with(create("x")))?;
        refused!(t, answer, Error::NoSuchAccount(_));
        refused!(
            t,
            t.commit(Transaction::new(nobody))?,
            Error::NoSuchAccount(_)
        );
        let answer = t.wait("mailboxes of nobody", store.mailboxes(nobody, None))?;
        refused!(t, answer, Error::NoSuchAccount(_));
        let answer = t.wait("mailbox of nobody", store.mailbox(nobody, "INBOX"))?;
        refused!(t, answer, Error::NoSuchAccount(_));
        let answer = t.wait("remove_account of nobody", store.remove_account(nobody))?;
        refused!(t, answer, Error::NoSuchAccount(_));
    }
    t.rule(R318);
    let gone = t.create(id, "gone")?;
    t.run(id, Operation::Delete(gone))?;
    let never = MailboxId {
        account: id,
        number: 999,
    };
    let foreign = MailboxId {
        account: AccountId(77),
        number: 1,
    };
    for mailbox in [gone, never, foreign] {
        let all = Which::After(None);
        let answer = t.wait("messages", store.messages(mailbox, &all, Want::ROW, 9))?;
        refused!(t, answer, Error::NoSuchMailbox(_));
        let answer = t.wait("changes", store.changes(mailbox, ModSeq(0), Want::ROW, 9))?;
        refused!(t, answer, Error::NoSuchMailbox(_));
        let visitor = Box::new(|_: &_, _: &mut dyn crate::Bodies| Ok(true));
        let answer = t.wait("visit", store.visit(mailbox, all, Want::ROW, visitor))?;
        refused!(t, answer, Error::NoSuchMailbox(_));
        let key = String::from("k");
        for operation in [
            t.append(mailbox, "x")?,
            flag(mailbox, UidSet::all(), Flags::SEEN),
            expunge(mailbox, UidSet::all()),
            Operation::Copy {
                from: mailbox,
                uids: UidSet::all(),
                to: inbox,
            },
            Operation::Move {
                from: mailbox,
                uids: UidSet::all(),
                to: inbox,
            },
            Operation::Rename {
                mailbox,
                to: "y".into(),
            },
            Operation::Delete(mailbox),
            Operation::SetMailboxProperty {
                mailbox,
                key,
                value: None,
            },
        ] {
            refused!(t, t.attempt(id, operation)?, Error::NoSuchMailbox(_));
        }
    }
    for to in [gone, never] {
        let uids = UidSet::all();
        let copy = Operation::Copy {
            from: inbox,
            uids,
            to,
        };
        refused!(t, t.attempt(id, copy)?, Error::NoSuchMailbox(_));
    }
    t.same("UIDs", numbers(&t.rows(inbox)?), [1]);
    Ok(())
}

pub(super) fn the_ends_of_every_range_are_answered(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.deliver(inbox, "one")?;
    t.deliver(inbox, "two")?;
    t.rule(R114);
    let store = t.store();
    let (first, last) = (Uid::new(1), Uid::new(u32::MAX));
    let whiches = [
        Which::Uids(UidSet::new()),
        Which::Uids(UidSet::all()),
        Which::Uids(UidSet::from_ranges([(u32::MAX, u32::MAX), (1, 1)])),
        Which::After(None),
        Which::After(last),
        Which::NewestBefore(None),
        Which::NewestBefore(first),
        Which::NewestBefore(last),
        Which::Origin(Bytes::new()),
        Which::Origin(Bytes::from(vec![0; 1000])),
    ];
    for which in &whiches {
        for limit in [0, 1, usize::MAX] {
            let page = t.page(inbox, which, Want::SUMMARY, limit)?;
            t.holds("at most limit rows", page.rows.len() <= limit, &page.rows);
        }
    }
    for since in [ModSeq(0), ModSeq(u64::MAX >> 1)] {
        for limit in [0, 1, usize::MAX] {
            t.changes(inbox, since, Want::ROW, limit)?;
        }
        t.mailboxes(id, Some(since))?;
    }
    let late = t.changes(inbox, ModSeq(u64::MAX >> 1), Want::ROW, 9)?;
    let empty = matches!(&late, Changes::Known { rows, vanished, .. }
        if rows.is_empty() && vanished.is_empty());
    t.holds("no changes since a state to come", empty, &late);
    let body = t.row(inbox, 1)?.body;
    for (from, to) in [(0, 0), (3, 3), (2, 1), (u64::MAX, u64::MAX), (9, u64::MAX)] {
        let read = t.read(body, from, to)?;
        let empty = read.as_ref().is_ok_and(Bytes::is_empty);
        t.holds("no octets", empty, &read);
    }
    let unknown = BodyRef {
        id: BodyId(u64::MAX >> 1),
        octets: 9,
    };
    let read = t.read(unknown, 0, 9)?;
    t.holds(
        "an error for a body that is not there",
        read.is_err(),
        &read,
    );
    let (now, second) = (SystemTime::now(), Duration::from_secs(1));
    for (now, limit) in [(SystemTime::UNIX_EPOCH, 0), (now, 0), (now, usize::MAX)] {
        t.ask("claim", store.claim(&Claim::new(now, limit, second)))?;
    }
    let accounts = t.ask("accounts, limit 0", store.accounts("", 0))?;
    t.same("accounts", accounts, []);
    t.ask("accounts", store.accounts("\u{10ffff}", usize::MAX))?;
    let queue = store.queue(Some(QueueId(u64::MAX >> 1)), usize::MAX);
    t.same("the queue", t.ask("queue", queue)?, []);
    for uids in [UidSet::new(), UidSet::all()] {
        t.run(
            id,
            Operation::Flags {
                mailbox: inbox,
                uids,
                change: FlagChange::Set(Flags::NONE),
                unchanged_since: Some(ModSeq(u64::MAX >> 1)),
            },
        )?;
    }
    t.run(id, expunge(inbox, UidSet::new()))?;
    t.same("UIDs", numbers(&t.rows(inbox)?), [1, 2]);
    t.done(Transaction::new(id))?;
    Ok(())
}
