//! What a durable store holds after it was opened again, and what it does not use again.

use bytes::Bytes;
use std::time::{Duration, SystemTime};

use super::test::{Case, Test, create, expunge, flag, relocate, uids};
use crate::contract::{R111, R112, R113};
use crate::{
    Account, AccountId, Changes, Claim, Flags, MailboxId, Mailboxes, ModSeq, Operation, Outcome,
    QueueEntry, Row, UidSet, UidValidity, Want, Which,
};

const ORIGINS: [&[u8]; 2] = [b"origin\0one", b"origin two"];

/// All that a store shows.
struct Whole {
    accounts: Vec<Account>,
    mailboxes: Vec<Mailboxes>,
    rows: Vec<(MailboxId, Vec<Row>)>,
    bodies: Vec<Option<Vec<u8>>>,
    changes: Vec<Changes>,
    origins: Vec<Vec<Row>>,
    queue: Vec<QueueEntry>,
}

fn whole(t: &Test) -> Case<Whole> {
    let store = t.store();
    let accounts = t.ask("accounts", store.accounts("", usize::MAX))?;
    let (mut mailboxes, mut rows, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
    let (mut changes, mut origins) = (Vec::new(), Vec::new());
    for account in &accounts {
        let all = t.mailboxes(account.id, None)?;
        for mailbox in &all.mailboxes {
            let of_it = t.rows(mailbox.id)?;
            for row in &of_it {
                bodies.push(t.octets(row.body, 0, u64::MAX)?.ok());
            }
            rows.push((mailbox.id, of_it));
            for since in 0..=account.at.0.min(60) {
                changes.push(t.changes(mailbox.id, ModSeq(since), Want::SUMMARY, 1000)?);
            }
            for origin in ORIGINS {
                let which = Which::Origin(Bytes::from_static(origin));
                origins.push(t.page(mailbox.id, &which, Want::SUMMARY, 9)?.rows);
            }
        }
        mailboxes.push(all);
    }
    let queue = t.queue()?;
    for entry in &queue {
        bodies.push(t.octets(entry.body, 0, u64::MAX)?.ok());
    }
    Ok(Whole {
        accounts,
        mailboxes,
        rows,
        bodies,
        changes,
        origins,
        queue,
    })
}

fn same(t: &Test, found: &Whole, expected: &Whole, when: &str) {
    t.during(format!("all that is there {when}"));
    t.same("accounts", &found.accounts, &expected.accounts);
    for (found, expected) in found.mailboxes.iter().zip(&expected.mailboxes) {
        t.same("subscribed", &found.subscribed, &expected.subscribed);
        t.same("the state", found.at, expected.at);
        t.same("mailboxes", found.mailboxes.len(), expected.mailboxes.len());
        for (found, expected) in found.mailboxes.iter().zip(&expected.mailboxes) {
            t.same("the mailbox", found, expected);
        }
    }
    t.same("mailboxes", found.rows.len(), expected.rows.len());
    for ((_, found), (_, expected)) in found.rows.iter().zip(&expected.rows) {
        t.same("rows", found, expected);
    }
    t.holds(
        "bodies as before",
        found.bodies == expected.bodies,
        &"others",
    );
    for (found, expected) in found.changes.iter().zip(&expected.changes) {
        t.same("changes", found, expected);
    }
    t.same("origins", &found.origins, &expected.origins);
    t.same("the queue", &found.queue, &expected.queue);
}

fn enqueue(t: &Test, text: &str, due: u64) -> Case<Operation> {
    Ok(Operation::Enqueue {
        due: SystemTime::UNIX_EPOCH + Duration::from_millis(due),
        next_hop: format!("hop of {due}"),
        body: t.stage(text.as_bytes())?,
        envelope: Bytes::from(format!("envelope of {text}")),
    })
}

/// Fills the store with something of each kind.
fn fill(t: &Test) -> Case<AccountId> {
    let (id, inbox) = t.account("a@example.test")?;
    let (other, of_other) = t.account("b@example.test")?;
    t.deliver(of_other, "of another account")?;
    let (gone, of_gone) = t.account("gone@example.test")?;
    t.deliver(of_gone, "gone")?;
    let store = t.store();
    t.ask("remove_account", store.remove_account(gone))?;
    t.limit(id, Some(5_000_000), Some(77))?;
    t.limit(other, None, Some(3))?;
    let value = Some(Bytes::from_static(b"value\0\xff"));
    let key = String::from("key");
    let special = Operation::Create {
        name: "Sent/\u{e4}".into(),
        special_use: Some("\\Sent".into()),
        uid_validity: UidValidity::new(4711),
    };
    t.run(id, special)?;
    let mailbox = t.mailbox(id, "Sent/\u{e4}")?.id;
    for operation in [
        Operation::SetProperty {
            key: key.clone(),
            value: value.clone(),
        },
        Operation::SetMailboxProperty {
            mailbox,
            key,
            value,
        },
        Operation::Subscribe {
            name: "Sent/\u{e4}".into(),
            subscribed: true,
        },
        Operation::Subscribe {
            name: "nowhere".into(),
            subscribed: true,
        },
        create("Deleted"),
        create("Old name"),
    ] {
        t.run(id, operation)?;
    }
    t.run(id, Operation::Delete(t.mailbox(id, "Deleted")?.id))?;
    let renamed = Operation::Rename {
        mailbox: t.mailbox(id, "Old name")?.id,
        to: "New name".into(),
    };
    t.run(id, renamed)?;
    let large = "0123456789".repeat(40_000);
    for (n, text) in (0_u8..).zip(["one", "", "three", &large, "five", "six"]) {
        let mut append = t.message(inbox, text)?;
        append.flags = Flags::from_parts(n * 5, ["$x", "y"].into_iter().take(n.into()));
        append.received = (i64::from(n) * 1_000_000, i16::from(n) * 30 - 60);
        append.summary = Bytes::from(format!("summary {n}"));
        append.origin = ORIGINS.get(usize::from(n)).copied().map(Bytes::from_static);
        t.deliver_as(append)?;
    }
    t.run(id, flag(inbox, uids(&[3]), Flags::from_parts(4, ["late"])))?;
    t.run(id, super::test::copy(inbox, uids(&[1, 4]), mailbox))?;
    t.run(id, relocate(inbox, uids(&[5]), mailbox))?;
    t.run(id, expunge(inbox, uids(&[2])))?;
    for (n, owner) in (1..).zip([id, AccountId::SYSTEM, id, id]) {
        t.run(owner, enqueue(t, &format!("queued {n}"), n * 1001)?)?;
    }
    // One is claimed.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
    let claim = Claim::new(now, 1, Duration::from_secs(60)).owner(3);
    let claimed = t.ask("claim", store.claim(&claim))?;
    t.same("claimed entries", claimed.len(), 1);
    Ok(id)
}

/// What can be done with what was there before, after the store was opened again.
fn goes_on(t: &Test, id: AccountId) -> Case {
    let inbox = t.mailbox(id, "INBOX")?.id;
    let mut append = t.message(inbox, "again")?;
    append.origin = ORIGINS.first().copied().map(Bytes::from_static);
    let outcome = t.run(id, Operation::Append(Box::new(append)))?;
    let existed = matches!(outcome, Outcome::Existed { uid, .. } if uid.get() == 1);
    t.holds("UID 1 existed", existed, &outcome);
    let held = t.queue()?.into_iter().find(|entry| entry.is_held_by(3));
    let held = t.there("a claimed entry", held)?;
    let settle = Operation::Settle {
        id: held.id,
        token: held.token,
        again: None,
    };
    t.run(id, settle)?;
    t.same("entries", t.queue()?.len(), 3);
    t.deliver(inbox, "new")?;
    Ok(())
}

pub(super) fn a_restart_keeps_everything(t: &Test) -> Case {
    t.durable()?;
    t.rule(R111);
    let id = fill(t)?;
    let before = whole(t)?;
    for n in ["once", "twice"] {
        t.reopen()?;
        same(t, &whole(t)?, &before, &format!("after it was opened {n}"));
    }
    goes_on(t, id)?;
    let before = whole(t)?;
    t.reopen()?;
    same(t, &whole(t)?, &before, "after it was opened and changed");
    Ok(())
}

pub(super) fn a_kill_keeps_everything(t: &Test) -> Case {
    t.durable()?;
    t.rule(R112);
    let id = fill(t)?;
    let before = whole(t)?;
    if !t.kill()? {
        return Ok(());
    }
    same(t, &whole(t)?, &before, "after a kill");
    goes_on(t, id)?;
    // A kill right after a commit.
    let before = whole(t)?;
    if t.kill()? {
        same(t, &whole(t)?, &before, "after the second kill");
    }
    Ok(())
}

/// The numbers that something new got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Used {
    account: u64,
    mailbox: u32,
    uid_validity: u32,
    uid: u32,
    email: u64,
    body: u64,
    entry: u64,
    at: u64,
}

/// Makes one of each kind, and takes it away again.
fn used(t: &Test, id: AccountId, text: &str) -> Case<Used> {
    let inbox = t.mailbox(id, "INBOX")?.id;
    let uid = t.deliver(inbox, text)?.get();
    let row = t.row(inbox, uid)?;
    t.run(id, expunge(inbox, UidSet::all()))?;
    let (account, _) = t.account("short@example.test")?;
    let store = t.store();
    t.ask("remove_account", store.remove_account(account))?;
    let mailbox = t.create(id, "Short")?;
    let uid_validity = t.mailbox_by_id(mailbox)?.uid_validity.get();
    t.run(id, Operation::Delete(mailbox))?;
    t.run(AccountId::SYSTEM, enqueue(t, text, 1)?)?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let claim = Claim::new(now, 1, Duration::from_secs(60));
    let claimed = t.ask("claim", store.claim(&claim))?;
    let entry = t.there("a claimed entry", claimed.into_iter().next())?;
    let settle = Operation::Settle {
        id: entry.id,
        token: entry.token,
        again: None,
    };
    t.run(AccountId::SYSTEM, settle)?;
    Ok(Used {
        account: account.0,
        mailbox: mailbox.number,
        uid_validity,
        uid,
        email: row.email.0,
        body: row.body.id.0,
        entry: entry.id.0,
        at: t.at(id)?.0,
    })
}

pub(super) fn a_restart_uses_nothing_again(t: &Test) -> Case {
    t.durable()?;
    let (id, _) = t.account("a@example.test")?;
    t.rule(R113);
    let mut before = vec![used(t, id, "before")?];
    for restart in ["closed", "killed", "closed again"] {
        if restart == "killed" {
            if !t.kill()? {
                continue;
            }
        } else {
            t.reopen()?;
        }
        let now = used(t, id, restart)?;
        t.during(format!("what is new after the store was {restart}"));
        for old in &before {
            let (new, old) = (&now, old);
            t.holds("a later UID", new.uid > old.uid, &(new, old));
            let later = new.uid_validity > old.uid_validity;
            t.holds("a later UIDVALIDITY", later, &(new, old));
            t.holds("a later mod-sequence", new.at > old.at, &(new, old));
            t.holds("another EMAILID", new.email != old.email, &(new, old));
            t.holds("another account", new.account != old.account, &(new, old));
            t.holds("another mailbox", new.mailbox != old.mailbox, &(new, old));
            t.holds("another body", new.body != old.body, &(new, old));
            t.holds("another entry", new.entry != old.entry, &(new, old));
        }
        before.push(now);
    }
    Ok(())
}
