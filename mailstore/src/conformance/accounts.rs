//! Accounts: names, lists, removal.

use bytes::Bytes;
use std::time::Duration;

use super::queue::{enqueue, noon};
use super::test::{Case, Test, create, expunge, flag, refused};
use crate::contract::{R201, R202, R203, R204, R206, R207, R208, R209, R210, R211};
use crate::{
    AccountId, Claim, Error, Flags, ModSeq, Operation, Outcome, Quota, Transaction, UidSet, Want,
    Which,
};

pub(super) fn accounts_have_names_of_their_own(t: &Test) -> Case {
    let (a, _) = t.account("a@example.test")?;
    let (b, _) = t.account("b@example.test")?;
    let store = t.store();
    t.rule(R201);
    for name in ["a@example.test", ""] {
        let answer = t.wait(
            format!("create_account {name:?}"),
            store.create_account(name),
        )?;
        refused!(t, answer, Error::AlreadyExists(_));
    }
    t.holds("two numbers", a != b, &(a, b));
    let answers = t.race(4, |_| {
        let made = store.create_account("c@example.test");
        t.wait("create_account", made).map(|made| made.is_ok())
    })?;
    t.during("4 racing create_account of one name");
    t.same(
        "accounts made",
        answers.iter().filter(|made| **made).count(),
        1,
    );
    t.rule(R203);
    let c = t.ask("account c@example.test", store.account("c@example.test"))?;
    t.holds("the account", c.is_some(), &c);
    for (id, name) in [(a, "a@example.test"), (b, "b@example.test")] {
        let found = t.ask(format!("account {name}"), store.account(name))?;
        t.same("by name", found.as_ref().map(|found| found.id), Some(id));
        t.same("by number", Some(t.person(id)?), found.as_ref().cloned());
        t.same(
            "the name",
            found.map(|found| found.name),
            Some(name.to_string()),
        );
    }
    for name in ["nobody", "a", "A@example.test", "a@example.test "] {
        let found = t.ask(format!("account {name:?}"), store.account(name))?;
        t.same("by another name", found, None);
    }
    let found = t.ask("account_by_id", store.account_by_id(AccountId(999)))?;
    t.same("by another number", found, None);
    Ok(())
}

pub(super) fn a_new_account_has_an_inbox(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R202);
    let all = t.mailboxes(id, None)?;
    t.same("names", t.names(id)?, ["INBOX"]);
    t.same("subscriptions", all.subscribed, [""; 0]);
    t.same("rows", t.rows(inbox)?, []);
    let person = t.person(id)?;
    t.same("quota", person.quota, Quota::default());
    t.holds(
        "no property",
        person.properties.is_empty(),
        &person.properties,
    );
    Ok(())
}

pub(super) fn accounts_are_listed_in_pages(t: &Test) -> Case {
    let store = t.store();
    t.rule(R204);
    // Made in another order than that of their names.
    for name in ["d", "a", "ä", "e", "b", "c"] {
        t.ask("create_account", store.create_account(name))?;
    }
    for (after, limit, expected) in [
        ("", 9, "a b c d e ä"),
        ("", 3, "a b c"),
        ("c", 2, "d e"),
        ("bb", 1, "c"),
        ("e", 9, "ä"),
        ("ä", 9, ""),
    ] {
        let what = format!("accounts after {after:?}, limit {limit}");
        let found = t.ask(what, store.accounts(after, limit))?;
        let names: Vec<_> = found.into_iter().map(|account| account.name).collect();
        t.same("names", names.join(" "), expected);
    }
    Ok(())
}

pub(super) fn a_removed_account_is_gone(t: &Test) -> Case {
    let (a, inbox) = t.account("a@example.test")?;
    let (b, kept) = t.account("b@example.test")?;
    for (id, inbox) in [(a, inbox), (b, kept)] {
        t.deliver(inbox, "one")?;
        let (key, value) = ("k".into(), Some(Bytes::from_static(b"v")));
        t.done(
            Transaction::new(id)
                .with(Operation::SetProperty { key, value })
                .with(Operation::Subscribe {
                    name: "x".into(),
                    subscribed: true,
                })
                .with(create("Other")),
        )?;
    }
    let state = || -> Case<_> { Ok((t.person(b)?, t.mailboxes(b, None)?, t.rows(kept)?)) };
    let before = state()?;
    let store = t.store();
    t.rule(R206);
    t.ask("remove_account", store.remove_account(a))?;
    let found = t.ask("account", store.account("a@example.test"))?;
    t.same("the removed account", found, None);
    let found = t.ask("account_by_id", store.account_by_id(a))?;
    t.same("the removed account", found, None);
    let listed = t.ask("accounts", store.accounts("", 9))?;
    t.same("accounts", listed.len(), 1);
    let answer = t.wait("mailboxes", store.mailboxes(a, None))?;
    refused!(t, answer, Error::NoSuchAccount(_));
    let all = Which::After(None);
    let answer = t.wait("messages", store.messages(inbox, &all, Want::ROW, 9))?;
    refused!(t, answer, Error::NoSuchMailbox(_));
    let answer = t.wait("changes", store.changes(inbox, ModSeq(0), Want::ROW, 9))?;
    refused!(t, answer, Error::NoSuchMailbox(_));
    refused!(t, t.attempt(a, create("x"))?, Error::NoSuchAccount(_));
    let answer = t.wait("remove_account again", store.remove_account(a))?;
    refused!(t, answer, Error::NoSuchAccount(_));
    t.rule(R208);
    t.same("the other account", state()?, before);
    Ok(())
}

pub(super) fn a_removed_account_takes_its_queue_along(t: &Test) -> Case {
    let (a, _) = t.account("a@example.test")?;
    let (b, _) = t.account("b@example.test")?;
    for id in [a, b, a] {
        t.run(id, enqueue(t, "example.test")?)?;
    }
    let store = t.store();
    t.rule(R207);
    t.ask("remove_account", store.remove_account(a))?;
    let owners: Vec<_> = t.queue()?.into_iter().map(|entry| entry.account).collect();
    t.same("owners of queue entries", owners, [b]);
    let claim = Claim::new(noon(), 9, Duration::from_secs(60));
    let claimed = t.ask("claim", store.claim(&claim))?;
    let owners: Vec<_> = claimed.into_iter().map(|entry| entry.account).collect();
    t.same("owners of claimed entries", owners, [b]);
    Ok(())
}

pub(super) fn an_account_made_again_is_new(t: &Test) -> Case {
    let (old, inbox) = t.account("a@example.test")?;
    let mut largest = t.mailbox(old, "INBOX")?.uid_validity;
    for name in ["a", "b", "c"] {
        t.create(old, name)?;
        largest = largest.max(t.mailbox(old, name)?.uid_validity);
    }
    t.deliver(inbox, "one")?;
    let (key, value) = ("k".into(), Some(Bytes::from_static(b"v")));
    t.done(
        Transaction::new(old)
            .with(Operation::SetProperty { key, value })
            .with(Operation::Subscribe {
                name: "x".into(),
                subscribed: true,
            }),
    )?;
    t.limit(old, Some(9), Some(9))?;
    let store = t.store();
    t.ask("remove_account", store.remove_account(old))?;
    t.rule(R209);
    let (new, inbox) = t.account("a@example.test")?;
    t.holds("another number", new != old, &new);
    t.same("rows", t.rows(inbox)?, []);
    t.same("names", t.names(new)?, ["INBOX"]);
    t.same("subscriptions", t.mailboxes(new, None)?.subscribed, [""; 0]);
    let person = t.person(new)?;
    t.holds(
        "no property",
        person.properties.is_empty(),
        &person.properties,
    );
    t.same("quota", person.quota, Quota::default());
    let first = t.mailbox(new, "INBOX")?.uid_validity;
    t.holds(
        &format!("a UIDVALIDITY above {largest}"),
        first > largest,
        &first,
    );
    Ok(())
}

pub(super) fn the_system_account_owns_queue_entries(t: &Test) -> Case {
    let store = t.store();
    t.rule(R210);
    let outcome = t.run(AccountId::SYSTEM, enqueue(t, "example.test")?)?;
    t.holds(
        "Enqueued",
        matches!(outcome, Outcome::Enqueued(_)),
        &outcome,
    );
    let owners: Vec<_> = t.queue()?.into_iter().map(|entry| entry.account).collect();
    t.same("owners", owners, [AccountId::SYSTEM]);
    let listed = t.ask("accounts", store.accounts("", 9))?;
    t.same("accounts", listed, []);
    let answer = t.wait("remove_account", store.remove_account(AccountId::SYSTEM))?;
    refused!(t, answer, Error::NoSuchAccount(_));
    t.run(AccountId::SYSTEM, enqueue(t, "example.test")?)?;
    t.same("entries", t.queue()?.len(), 2);
    Ok(())
}

pub(super) fn accounts_are_apart(t: &Test) -> Case {
    let (a, inbox) = t.account("a@example.test")?;
    let (b, own) = t.account("b@example.test")?;
    t.deliver(inbox, "one")?;
    t.deliver(own, "one")?;
    let state = || -> Case<_> { Ok((t.person(a)?, t.mailboxes(a, None)?, t.rows(inbox)?)) };
    let before = state()?;
    t.rule(R211);
    let all = UidSet::all;
    for operation in [
        t.append(inbox, "x")?,
        flag(inbox, all(), Flags::SEEN),
        expunge(inbox, all()),
        Operation::Copy {
            from: inbox,
            uids: all(),
            to: own,
        },
        Operation::Move {
            from: inbox,
            uids: all(),
            to: own,
        },
        Operation::Rename {
            mailbox: inbox,
            to: "x".into(),
        },
        Operation::Delete(inbox),
        Operation::SetMailboxProperty {
            mailbox: inbox,
            key: "k".into(),
            value: None,
        },
    ] {
        refused!(t, t.attempt(b, operation)?, Error::NoSuchMailbox(_));
    }
    t.run(b, flag(own, all(), Flags::SEEN))?;
    t.run(b, create("x"))?;
    t.run(b, expunge(own, all()))?;
    t.same("the other account", state()?, before);
    Ok(())
}
