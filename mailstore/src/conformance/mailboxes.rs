//! Mailboxes: names, lives, counters.

use super::test::{Case, Test, copy, create, expunge, flag, numbers, refused, relocate, uids};
use crate::contract::{
    R301, R302, R303, R304, R305, R306, R307, R308, R309, R310, R311, R312, R316, R317, R319, R320,
    R707,
};
use crate::{
    AccountId, Error, Flags, MailboxId, ModSeq, Operation, Outcome, Row, Transaction, UidSet,
    UidValidity,
};

pub(super) fn a_created_mailbox_is_empty(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.deliver(inbox, "one")?;
    t.rule(R301);
    let created = Operation::Create {
        name: "Sent".into(),
        special_use: Some("\\Sent".into()),
        uid_validity: None,
    };
    let outcome = t.run(id, created)?;
    let made = t.mailbox(id, "Sent")?;
    let expected = Outcome::Created {
        id: made.id,
        uid_validity: made.uid_validity,
    };
    t.same("the outcome", outcome, expected);
    t.same("special use", made.special_use.as_deref(), Some("\\Sent"));
    let counters = (made.messages, made.unseen, made.deleted, made.octets);
    t.same("counters", counters, (0, 0, 0, 0));
    t.same("UIDNEXT", made.uid_next, 1);
    t.same("the last change", made.highest, t.at(id)?);
    t.holds("no property", made.properties.is_empty(), &made.properties);
    t.same("rows", t.rows(made.id)?, []);
    Ok(())
}

pub(super) fn mailbox_numbers_are_never_used_again(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R302);
    let mut seen = vec![inbox];
    for _ in 0..3 {
        let made = t.create(id, "a")?;
        t.holds("a new number", !seen.contains(&made), &made);
        seen.push(made);
        t.run(id, Operation::Delete(made))?;
    }
    Ok(())
}

pub(super) fn mailbox_names_are_unique(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    let (other, _) = t.account("b@example.test")?;
    t.create(id, "a/b")?;
    t.rule(R303);
    for name in ["a/b", "INBOX", "inbox", "iNbOx"] {
        refused!(t, t.attempt(id, create(name))?, Error::AlreadyExists(_));
    }
    t.create(id, "inbox/x")?;
    refused!(
        t,
        t.attempt(id, create("INBOX/x"))?,
        Error::AlreadyExists(_)
    );
    // Other names differ by their case, and other accounts have names of their own.
    t.create(id, "A/b")?;
    t.create(other, "a/b")?;
    t.same("names", t.names(id)?, ["A/b", "INBOX", "INBOX/x", "a/b"]);
    Ok(())
}

pub(super) fn mailbox_names_have_a_form(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    t.rule(R304);
    let long = "x".repeat(1001);
    let deep = vec!["x"; 65].join("/");
    for name in [
        "", "/", "a/", "/a", "a//b", "a\0b", "a\nb", "\u{85}", &long, &deep,
    ] {
        refused!(t, t.attempt(id, create(name))?, Error::InvalidName(_));
        let name = name.to_string();
        let subscribe = Operation::Subscribe {
            name,
            subscribed: true,
        };
        refused!(t, t.attempt(id, subscribe)?, Error::InvalidName(_));
    }
    let (long, deep) = ("x".repeat(1000), vec!["x"; 64].join("/"));
    let names = [
        "Müll",
        "日本語",
        " a ",
        "a%*\"\\&.~",
        "Inboxes",
        "e\u{301}",
        &long,
        &deep,
    ];
    for name in names {
        t.create(id, name)?;
        t.mailbox(id, name)?;
    }
    Ok(())
}

/// A tree of mailboxes with something in each.
fn tree(t: &Test) -> Case<(AccountId, Vec<MailboxId>)> {
    let (id, _) = t.account("a@example.test")?;
    let mut made = Vec::new();
    for name in ["a", "a/b", "a/b/c", "ab", "a.b", "z"] {
        let mailbox = t.create(id, name)?;
        t.deliver(mailbox, name)?;
        made.push(mailbox);
    }
    Ok((id, made))
}

fn rename(mailbox: MailboxId, to: &str) -> Operation {
    let to = to.to_string();
    Operation::Rename { mailbox, to }
}

pub(super) fn a_rename_changes_the_name_alone(t: &Test) -> Case {
    let (id, made) = tree(t)?;
    t.rule(R305);
    for mailbox in made.into_iter().take(2) {
        let key = "k".into();
        let value = Some("v".into());
        t.run(
            id,
            Operation::SetMailboxProperty {
                mailbox,
                key,
                value,
            },
        )?;
        let (before, rows) = (t.mailbox_by_id(mailbox)?, t.rows(mailbox)?);
        let to = format!("new{}", mailbox.number);
        let done = t.done(Transaction::new(id).with(rename(mailbox, &to)))?;
        let mut expected = before.clone();
        expected.name = to;
        expected.highest = done.at;
        t.same("the mailbox", t.mailbox_by_id(mailbox)?, expected);
        t.same("rows", t.rows(mailbox)?, rows);
        t.same(
            "the next UID",
            t.deliver(mailbox, "x")?.get(),
            before.uid_next,
        );
    }
    Ok(())
}

pub(super) fn a_rename_takes_along_what_lies_below(t: &Test) -> Case {
    let (id, made) = tree(t)?;
    let [a, b, c, ..] = made.as_slice() else {
        return Ok(());
    };
    t.rule(R306);
    t.run(id, rename(*a, "x/y"))?;
    let names = ["INBOX", "a.b", "ab", "x/y", "x/y/b", "x/y/b/c", "z"];
    t.same("names", t.names(id)?, names);
    for (mailbox, name) in [(*a, "x/y"), (*b, "x/y/b"), (*c, "x/y/b/c")] {
        t.same("the name", t.mailbox_by_id(mailbox)?.name, name);
    }
    t.run(id, rename(*b, "b"))?;
    let names = ["INBOX", "a.b", "ab", "b", "b/c", "x/y", "z"];
    t.same("names", t.names(id)?, names);
    Ok(())
}

pub(super) fn a_rename_writes_over_nothing(t: &Test) -> Case {
    let (id, made) = tree(t)?;
    let inbox = t.mailbox(id, "INBOX")?.id;
    t.create(id, "y/b/c")?;
    let before = t.mailboxes(id, None)?.mailboxes;
    t.rule(R307);
    let (Some(&a), Some(&z)) = (made.first(), made.last()) else {
        return Ok(());
    };
    // `y` is free, but what lies below would meet `y/b/c`.
    for (mailbox, to) in [(a, "z"), (a, "ab"), (z, "a/b"), (a, "y"), (z, "z")] {
        let answer = t.attempt(id, rename(mailbox, to))?;
        refused!(t, answer, Error::AlreadyExists(_));
    }
    for (mailbox, to) in [
        (a, "a/b/d"),
        (a, "a/x"),
        (z, "INBOX"),
        (z, "inbox"),
        (inbox, "old"),
        (z, ""),
        (z, "a//b"),
    ] {
        let answer = t.attempt(id, rename(mailbox, to))?;
        refused!(t, answer, Error::InvalidName(_));
    }
    t.same("mailboxes", t.mailboxes(id, None)?.mailboxes, before);
    Ok(())
}

pub(super) fn a_deleted_mailbox_is_gone(t: &Test) -> Case {
    let (id, made) = tree(t)?;
    let inbox = t.mailbox(id, "INBOX")?.id;
    t.rule(R308);
    let Some(&a) = made.first() else {
        return Ok(());
    };
    let below = made.get(1).map_or(Ok(Vec::new()), |below| t.rows(*below))?;
    t.run(id, Operation::Delete(a))?;
    t.same(
        "names",
        t.names(id)?,
        ["INBOX", "a.b", "a/b", "a/b/c", "ab", "z"],
    );
    t.same("messages held", t.person(id)?.quota.used_messages, 5);
    if let Some(mailbox) = made.get(1) {
        t.same("rows of what lies below", t.rows(*mailbox)?, below);
    }
    refused!(
        t,
        t.attempt(id, Operation::Delete(a))?,
        Error::NoSuchMailbox(_)
    );
    let again = t.create(id, "a")?;
    t.same("rows of the name made again", t.rows(again)?, []);
    refused!(
        t,
        t.attempt(id, Operation::Delete(inbox))?,
        Error::InvalidName(_)
    );
    Ok(())
}

pub(super) fn uid_validity_rises(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    t.rule(R309);
    let mut last = None;
    for _ in 0..3 {
        let made = t.create(id, "Work")?;
        let validity = t.mailbox(id, "Work")?.uid_validity;
        t.holds(
            &format!("a UIDVALIDITY above {last:?}"),
            Some(validity) > last,
            &validity,
        );
        last = Some(validity);
        t.run(id, Operation::Delete(made))?;
    }
    // A name that another mailbox leaves by its renaming is made again, too.
    let made = t.create(id, "Work")?;
    let validity = t.mailbox(id, "Work")?.uid_validity;
    t.run(id, rename(made, "Old"))?;
    t.create(id, "Work")?;
    let again = t.mailbox(id, "Work")?.uid_validity;
    t.holds(
        &format!("a UIDVALIDITY above {validity}"),
        again > validity,
        &again,
    );
    Ok(())
}

pub(super) fn a_restored_uid_validity_is_kept(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    t.rule(R310);
    let restore = |name: &str, number: u32| Operation::Create {
        name: name.into(),
        special_use: None,
        uid_validity: UidValidity::new(number),
    };
    t.run(id, restore("small", 7))?;
    t.same("UIDVALIDITY", t.mailbox(id, "small")?.uid_validity.get(), 7);
    let large = 4_000_000_000;
    t.run(id, restore("large", large))?;
    t.same(
        "UIDVALIDITY",
        t.mailbox(id, "large")?.uid_validity.get(),
        large,
    );
    t.create(id, "next")?;
    let next = t.mailbox(id, "next")?.uid_validity.get();
    t.holds(&format!("a UIDVALIDITY above {large}"), next > large, &next);
    Ok(())
}

pub(super) fn mailboxes_are_sorted_by_name(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    t.rule(R311);
    for name in ["z", "ä", "a", "a/b", "a b", "Z"] {
        t.create(id, name)?;
    }
    let names = ["INBOX", "Z", "a", "a b", "a/b", "z", "ä"];
    t.same("names", t.names(id)?, names);
    let since = t.mailboxes(id, Some(ModSeq(0)))?.mailboxes;
    let since: Vec<_> = since.into_iter().map(|mailbox| mailbox.name).collect();
    t.same("names since the beginning", since, names);
    Ok(())
}

pub(super) fn a_mailbox_is_found_by_its_name(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let (other, _) = t.account("b@example.test")?;
    for name in ["a", "a/b", "A", "a%", "aaa"] {
        t.create(id, name)?;
    }
    t.create(other, "theirs")?;
    t.deliver(inbox, "one")?;
    let set = Operation::SetMailboxProperty {
        mailbox: t.mailbox(id, "a")?.id,
        key: "k".into(),
        value: Some("v".into()),
    };
    t.run(id, set)?;
    t.rule(R319);
    for listed in t.mailboxes(id, None)?.mailboxes {
        let name = listed.name.clone();
        t.same(&name, t.named(id, &name)?, Some(listed));
    }
    for name in ["theirs", "", "b", "a/", "a_", "inbox", "a/b/c"] {
        t.same(name, t.named(id, name)?, None);
    }
    // It is the one that has the name now.
    let was = t.mailbox(id, "a")?.id;
    t.run(id, rename(was, "z"))?;
    t.same("renamed", t.named(id, "z")?, Some(t.mailbox(id, "z")?));
    t.same("the name before", t.named(id, "a")?, None);
    let again = t.create(id, "a")?;
    t.same(
        "made again",
        t.named(id, "a")?.map(|found| found.id),
        Some(again),
    );
    t.run(id, Operation::Delete(again))?;
    t.same("deleted", t.named(id, "a")?, None);

    t.rule(R320);
    for (id, name) in [(id, "a@example.test"), (other, "b@example.test")] {
        for mailbox in ["INBOX", "theirs", "a%", "nowhere"] {
            let found = t.named(id, mailbox)?;
            let person = t.person(id)?;
            let expected = found.map(|found| (person, found));
            t.same(mailbox, t.find(name, mailbox)?, expected);
        }
    }
    t.same("nobody", t.find("c@example.test", "INBOX")?, None);
    Ok(())
}

pub(super) fn mailboxes_since_a_state(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let (a, b) = (t.create(id, "a")?, t.create(id, "b")?);
    t.deliver(inbox, "one")?;
    t.rule(R312);
    let key = || "k".to_string();
    let steps: [(Operation, &[&str]); 9] = [
        (t.append(a, "x")?, &["a"]),
        (flag(a, uids(&[1]), Flags::SEEN), &["a"]),
        // Nothing changes by it.
        (flag(a, uids(&[1]), Flags::SEEN), &[]),
        (copy(a, uids(&[1]), b), &["b"]),
        (relocate(b, uids(&[1]), inbox), &["INBOX", "b"]),
        (expunge(a, uids(&[1])), &["a"]),
        (
            Operation::SetMailboxProperty {
                mailbox: b,
                key: key(),
                value: Some("v".into()),
            },
            &["b"],
        ),
        (create("a/x"), &["a/x"]),
        (rename(a, "c"), &["c", "c/x"]),
    ];
    for (step, expected) in steps {
        let since = t.at(id)?;
        t.run(id, step)?;
        let found = t.mailboxes(id, Some(since))?;
        let names: Vec<_> = found.mailboxes.iter().map(|m| m.name.as_str()).collect();
        t.same("changed mailboxes", names, expected);
        t.same("the state", found.at, t.at(id)?);
        let now = t.mailboxes(id, Some(found.at))?.mailboxes;
        t.same("mailboxes since now", now, []);
    }
    Ok(())
}

/// Compares the counters of an account with its rows.
pub(super) fn count(t: &Test, id: AccountId) -> Case {
    let (mut octets, mut messages) = (0, 0);
    for mailbox in t.mailboxes(id, None)?.mailboxes {
        let rows = t.rows(mailbox.id)?;
        let count = |f: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| f(row)).count();
        let expected = (
            rows.len(),
            count(&|row| !row.flags.contains(&Flags::SEEN)),
            count(&|row| row.flags.contains(&Flags::DELETED)),
            rows.iter().map(|row| row.body.octets).sum::<u64>(),
        );
        let found = (
            mailbox.messages as usize,
            mailbox.unseen as usize,
            mailbox.deleted as usize,
            mailbox.octets,
        );
        t.rule(R316);
        t.during(format!("mailboxes, with the rows of {}", mailbox.name));
        t.same("messages, unseen, deleted, octets", found, expected);
        let last = numbers(&rows).last().copied().unwrap_or(0);
        let uid_next = mailbox.uid_next;
        t.holds(&format!("UIDNEXT above {last}"), uid_next > last, &uid_next);
        octets += mailbox.octets;
        messages += u64::from(mailbox.messages);
    }
    t.rule(R707);
    let quota = t.person(id)?.quota;
    let used = (quota.used_octets, quota.used_messages);
    t.same("octets and messages held", used, (octets, messages));
    Ok(())
}

pub(super) fn counters_agree_with_rows(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let other = t.create(id, "Other")?;
    for n in 0..10 {
        t.deliver(inbox, &"x".repeat(n))?;
    }
    count(t, id)?;
    let mut seen = t.message(inbox, "seen")?;
    seen.flags = Flags::from_parts(9, ["$x"]);
    t.deliver_as(seen)?;
    let steps = [
        flag(inbox, uids(&[1, 2, 3]), Flags::SEEN),
        flag(inbox, uids(&[3, 4]), Flags::DELETED),
        flag(inbox, uids(&[3, 4]), Flags::DELETED),
        copy(inbox, uids(&[2, 3, 9]), other),
        relocate(inbox, uids(&[4, 5]), other),
        relocate(other, uids(&[1]), other),
        copy(other, UidSet::all(), other),
        Operation::Flags {
            mailbox: other,
            uids: UidSet::all(),
            change: crate::FlagChange::Set(Flags::ANSWERED),
            unchanged_since: None,
        },
        Operation::Expunge {
            mailbox: inbox,
            uids: UidSet::all(),
            deleted_only: true,
        },
        expunge(other, uids(&[2, 3])),
        Operation::Delete(other),
    ];
    for step in steps {
        t.run(id, step)?;
        count(t, id)?;
    }
    Ok(())
}

pub(super) fn highest_is_the_last_change(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let other = t.create(id, "Other")?;
    t.rule(R317);
    let steps = [
        t.append(inbox, "one")?,
        t.append(inbox, "two")?,
        flag(inbox, uids(&[1]), Flags::SEEN),
        expunge(inbox, uids(&[1])),
        copy(other, uids(&[1]), inbox),
        relocate(inbox, uids(&[2]), other),
        relocate(other, uids(&[1]), inbox),
        Operation::SetMailboxProperty {
            mailbox: inbox,
            key: "k".into(),
            value: None,
        },
    ];
    for (n, step) in steps.into_iter().enumerate() {
        let before = t.mailbox(id, "INBOX")?.highest;
        let done = t.done(Transaction::new(id).with(step))?;
        let highest = t.mailbox(id, "INBOX")?.highest;
        // Nothing was there to copy.
        let expected = if n == 4 { before } else { done.at };
        t.same("the last change", highest, expected);
    }
    let before = t.mailbox(id, "INBOX")?.highest;
    t.create(id, "Elsewhere")?;
    t.run(id, expunge(inbox, uids(&[77])))?;
    t.same("the last change", t.mailbox(id, "INBOX")?.highest, before);
    Ok(())
}
