//! What is kept by key or by name: properties, subscriptions, special uses.

use bytes::Bytes;

use super::test::{Case, Test, flag, refused, uids};
use crate::contract::{R205, R313, R314, R315};
use crate::{AccountId, Error, Flags, MailboxId, Operation};

pub(super) fn accounts_have_properties(t: &Test) -> Case {
    let (a, inbox) = t.account("a@example.test")?;
    let (b, _) = t.account("b@example.test")?;
    t.rule(R205);
    let set = |id: AccountId, key: &str, value: Option<&'static [u8]>| {
        let (key, value) = (key.to_string(), value.map(Bytes::from_static));
        t.run(id, Operation::SetProperty { key, value })
    };
    let kept = |id| -> Case<String> {
        let all = t.person(id)?.properties;
        let one = |(key, value): (&String, &Bytes)| format!("{key}={value:?}");
        Ok(all.iter().map(one).collect::<Vec<_>>().join(" "))
    };
    set(a, "one", Some(b"1"))?;
    set(a, "two", Some(b"\0\xff"))?;
    set(a, "empty", Some(b""))?;
    set(b, "one", Some(b"of b"))?;
    t.same(
        "properties",
        kept(a)?,
        r#"empty=b"" one=b"1" two=b"\0\xff""#,
    );
    set(a, "one", Some(b"2"))?;
    set(a, "empty", None)?;
    set(a, "never", None)?;
    t.deliver(inbox, "x")?;
    t.same("properties", kept(a)?, r#"one=b"2" two=b"\0\xff""#);
    t.same("properties of another", kept(b)?, r#"one=b"of b""#);
    let store = t.store();
    let listed = t.ask("accounts", store.accounts("", 9))?;
    t.same(
        "properties where accounts are listed",
        listed.first().map(|account| &account.properties),
        Some(&t.person(a)?.properties),
    );
    Ok(())
}

pub(super) fn subscriptions_are_kept(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R313);
    let subscribe = |name: &str, subscribed| {
        let name = name.to_string();
        t.run(id, Operation::Subscribe { name, subscribed })
    };
    let kept = || -> Case<String> { Ok(t.mailboxes(id, None)?.subscribed.join(" ")) };
    for name in ["b", "a/x", "inbox", "b", "ä"] {
        subscribe(name, true)?;
    }
    t.same("subscriptions", kept()?, "INBOX a/x b ä");
    t.deliver(inbox, "x")?;
    let made = t.create(id, "b")?;
    t.run(id, Operation::Delete(made))?;
    t.same("subscriptions", kept()?, "INBOX a/x b ä");
    subscribe("a/x", false)?;
    subscribe("never", false)?;
    t.same("subscriptions", kept()?, "INBOX b ä");
    let since = t.at(id)?;
    let all = t.mailboxes(id, Some(since))?;
    t.same("subscriptions since", all.subscribed.join(" "), "INBOX b ä");
    Ok(())
}

pub(super) fn a_special_use_is_kept(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R314);
    for (name, special_use) in [("Sent", "\\Sent"), ("Bin", "\\Trash")] {
        let (name, special_use) = (name.to_string(), Some(special_use.to_string()));
        let uid_validity = None;
        t.run(
            id,
            Operation::Create {
                name,
                special_use,
                uid_validity,
            },
        )?;
    }
    let plain = t.create(id, "Plain")?;
    let (sent, bin) = (t.mailbox(id, "Sent")?.id, t.mailbox(id, "Bin")?.id);
    t.deliver(sent, "one")?;
    t.run(id, flag(sent, uids(&[1]), Flags::SEEN))?;
    let to = "Archive/Sent".to_string();
    t.run(id, Operation::Rename { mailbox: sent, to })?;
    let used = |mailbox| Ok(t.mailbox_by_id(mailbox)?.special_use);
    t.same("special use", used(sent)?, Some("\\Sent".to_string()));
    t.same("special use", used(bin)?, Some("\\Trash".to_string()));
    t.same("special use", used(plain)?, None);
    t.same("special use", used(inbox)?, None);
    Ok(())
}

pub(super) fn mailboxes_have_properties(t: &Test) -> Case {
    let (a, inbox) = t.account("a@example.test")?;
    let (b, _) = t.account("b@example.test")?;
    let other = t.create(a, "Other")?;
    t.rule(R315);
    let set = |mailbox: MailboxId, key: &str, value: Option<&'static [u8]>| {
        Operation::SetMailboxProperty {
            mailbox,
            key: key.into(),
            value: value.map(Bytes::from_static),
        }
    };
    let before = t.at(a)?;
    t.run(a, set(inbox, "acl", Some(b"x")))?;
    t.run(a, set(inbox, "acl", Some(b"y")))?;
    t.run(a, set(other, "note", Some(b"\0z")))?;
    let kept = |mailbox| -> Case<String> {
        let all = t.mailboxes(a, Some(before))?.mailboxes;
        let found = all.into_iter().find(|one| one.id == mailbox);
        let found = t.there("a changed mailbox", found)?;
        let one = |(key, value): (&String, &Bytes)| format!("{key}={value:?}");
        Ok(found
            .properties
            .iter()
            .map(one)
            .collect::<Vec<_>>()
            .join(" "))
    };
    t.same("properties", kept(inbox)?, r#"acl=b"y""#);
    t.same("properties", kept(other)?, r#"note=b"\0z""#);
    t.deliver(inbox, "one")?;
    t.same("properties", kept(inbox)?, r#"acl=b"y""#);
    let before = t.mailbox(a, "INBOX")?.highest;
    t.run(a, set(inbox, "acl", None))?;
    t.same("properties", kept(inbox)?, "");
    let highest = t.mailbox(a, "INBOX")?.highest;
    t.holds("a later change", highest > before, &highest);
    t.run(a, Operation::Delete(other))?;
    let again = t.create(a, "Other")?;
    t.same("properties", kept(again)?, "");
    let foreign = t.attempt(b, set(again, "acl", Some(b"b")))?;
    refused!(t, foreign, Error::NoSuchMailbox(_));
    Ok(())
}
