//! Who waits for changes is woken.

use bytes::Bytes;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use super::test::{Case, Test, copy, flag, uids, within};
use crate::contract::{R1001, R1002, R1003, R1004, R1005, R1006, R1007, R1008};
use crate::{AccountId, Flags, Operation, Scope, Transaction, UidSet, Want, Watch, Which};

/// How often a watcher may be woken though nothing happened, until it counts as restless.
const OFTEN: usize = 100;
/// How long nothing must happen until a watcher counts as at rest.
const REST: Duration = Duration::from_millis(40);

/// Waits until the watcher has nothing more to say; `false` when it never comes to rest.
fn rests(watch: &mut dyn Watch) -> bool {
    (0..OFTEN).any(|_| within(REST, watch.changed()).is_none())
}

/// A watcher that has nothing more to say.
fn at_rest(t: &Test, scope: Scope) -> Box<dyn Watch> {
    let mut watch = t.store().watch(scope);
    rests(&mut *watch);
    watch
}

/// Records a failure unless it is woken.
fn woken(t: &Test, watch: &mut dyn Watch, what: &str) -> bool {
    let woken = t.woken(watch.changed());
    t.holds(&format!("a wake-up by {what}"), woken, &"none")
}

fn enqueue(t: &Test) -> Case<Operation> {
    Ok(Operation::Enqueue {
        due: SystemTime::UNIX_EPOCH,
        next_hop: "example.test".into(),
        body: t.stage(b"queued")?,
        envelope: Bytes::new(),
    })
}

pub(super) fn a_watcher_is_woken(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.deliver(inbox, "x")?;
    t.rule(R1001);
    let mut watch = at_rest(t, Scope::Account(id));
    let steps = [
        ("an append", t.append(inbox, "x")?),
        ("flags", flag(inbox, uids(&[1]), Flags::SEEN)),
        ("a copy", copy(inbox, uids(&[1]), inbox)),
        ("a new mailbox", super::test::create("New")),
        (
            "an expunge",
            super::test::expunge(inbox, UidSet::from_ranges([(1, 2)])),
        ),
        (
            "a property",
            Operation::SetProperty {
                key: "key".into(),
                value: Some(Bytes::from_static(b"value")),
            },
        ),
    ];
    for (what, operation) in steps {
        t.run(id, operation)?;
        woken(t, &mut *watch, what);
        rests(&mut *watch);
    }
    // Who waits already is woken, and then reads what was committed.
    const MESSAGES: usize = 25;
    let from = t.page(inbox, &Which::After(None), Want::ROW, 1000)?;
    let (had, begun) = (from.rows.len(), AtomicUsize::new(0));
    t.race(2, |n| {
        if n == 0 {
            let mut watch = t.store().watch(Scope::Account(id));
            begun.store(1, Ordering::SeqCst);
            while t.time_is_left() {
                let page = t.page(inbox, &Which::After(None), Want::ROW, 1000)?;
                if page.rows.len() >= had + MESSAGES {
                    return Ok(());
                }
                // All wake-ups but those for what is read before would be missing here.
                if !woken(t, &mut *watch, "a commit after what was read") {
                    return Ok(());
                }
            }
            let rows = t.rows(inbox)?.len();
            t.same("rows that were read in time", rows, had + MESSAGES);
            return Ok(());
        }
        while begun.load(Ordering::SeqCst) == 0 && t.time_is_left() {
            std::thread::yield_now();
        }
        for _ in 0..MESSAGES {
            t.deliver(inbox, "x")?;
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    })?;
    Ok(())
}

pub(super) fn what_came_before_wakes_at_once(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R1002);
    let mut watch = t.store().watch(Scope::Account(id));
    t.deliver(inbox, "x")?;
    woken(t, &mut *watch, "what came after watch and before changed");
    rests(&mut *watch);
    // Again with the same one, and with several commits at once.
    for _ in 0..3 {
        t.deliver(inbox, "x")?;
        t.deliver(inbox, "x")?;
        woken(t, &mut *watch, "what came between two waits");
        rests(&mut *watch);
    }
    let mut watch = t.store().watch(Scope::Queue);
    t.run(id, enqueue(t)?)?;
    woken(t, &mut *watch, "what came after watch and before changed");
    Ok(())
}

pub(super) fn every_watcher_is_woken(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R1003);
    let store = t.store();
    const WATCHERS: usize = 40;
    let scopes = [Scope::Account(id), Scope::Queue];
    for scope in scopes {
        let mut watchers: Vec<_> = (0..WATCHERS).map(|_| store.watch(scope)).collect();
        // Those that are gone do not stand in the way.
        watchers.truncate(WATCHERS - 5);
        let transaction = Transaction::new(id)
            .with(t.append(inbox, "x")?)
            .with(enqueue(t)?);
        t.done(transaction)?;
        for (n, watch) in watchers.iter_mut().enumerate() {
            if !woken(t, &mut **watch, &format!("a commit, for watcher {n}")) {
                return Ok(());
            }
        }
    }
    // Also those that wait already.
    let waiting = AtomicUsize::new(0);
    t.race(7, |n| {
        if n < 6 {
            let mut watch = at_rest(t, Scope::Account(id));
            waiting.fetch_add(1, Ordering::SeqCst);
            woken(t, &mut *watch, "a commit while it waits");
            return Ok(());
        }
        while waiting.load(Ordering::SeqCst) < 6 && t.time_is_left() {
            std::thread::yield_now();
        }
        std::thread::sleep(REST);
        t.deliver(inbox, "x").map(|_| ())
    })?;
    Ok(())
}

pub(super) fn a_new_entry_wakes_the_queue(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    t.rule(R1004);
    let mut watch = at_rest(t, Scope::Queue);
    for owner in [id, AccountId::SYSTEM, id] {
        t.run(owner, enqueue(t)?)?;
        woken(t, &mut *watch, &format!("an entry of account {owner}"));
        rests(&mut *watch);
    }
    // Behind another operation of the transaction.
    let property = Operation::SetProperty {
        key: "key".into(),
        value: None,
    };
    let transaction = Transaction::new(id).with(property).with(enqueue(t)?);
    t.done(transaction)?;
    woken(t, &mut *watch, "an entry behind another operation");
    let entries = t.queue()?.len();
    t.same("entries", entries, 4);
    Ok(())
}

pub(super) fn what_comes_from_another_account_wakes(t: &Test) -> Case {
    let (a, from) = t.account("a@example.test")?;
    let (b, to) = t.account("b@example.test")?;
    t.deliver(from, "x")?;
    t.deliver(from, "y")?;
    t.rule(R1005);
    let mut watch = at_rest(t, Scope::Account(b));
    if !t.store().capabilities().across_accounts {
        // Nothing comes from there; what comes from elsewhere wakes.
        t.deliver(to, "x")?;
        woken(t, &mut *watch, "an append");
        t.skip("the store does not claim to copy across accounts");
        return Ok(());
    }
    t.run(a, copy(from, uids(&[1]), to))?;
    woken(t, &mut *watch, "a copy from another account");
    rests(&mut *watch);
    t.run(a, super::test::relocate(from, uids(&[2]), to))?;
    woken(t, &mut *watch, "a move from another account");
    t.same("rows", t.rows(to)?.len(), 2);
    Ok(())
}

pub(super) fn a_watcher_comes_to_rest(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R1006);
    for scope in [Scope::Account(id), Scope::Queue] {
        let mut watch = t.store().watch(scope);
        t.holds("rest", rests(&mut *watch), &"one wake-up after the other");
        let transaction = Transaction::new(id)
            .with(t.append(inbox, "x")?)
            .with(enqueue(t)?);
        t.done(transaction)?;
        t.woken(watch.changed());
        let rest = rests(&mut *watch);
        t.holds("rest after a change", rest, &"one wake-up after the other");
    }
    Ok(())
}

/// Returns whether a wait is over when it is looked at once; it is dropped then.
fn looks(watch: &mut dyn Watch) -> bool {
    let wait = pin!(watch.changed());
    let mut context = Context::from_waker(Waker::noop());
    matches!(wait.poll(&mut context), Poll::Ready(()))
}

pub(super) fn a_dropped_wait_loses_nothing(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R1007);
    let mut watch = at_rest(t, Scope::Account(id));
    // Dropped before the change.
    for _ in 0..3 {
        looks(&mut *watch);
    }
    t.deliver(inbox, "x")?;
    woken(t, &mut *watch, "a commit after a wait that was dropped");
    rests(&mut *watch);
    // Begun before the change, and dropped after it without another look.
    let begun = {
        let mut wait = pin!(watch.changed());
        let mut context = Context::from_waker(Waker::noop());
        let ready = wait.as_mut().poll(&mut context).is_ready();
        t.deliver(inbox, "x")?;
        ready
    };
    if !begun {
        woken(t, &mut *watch, "a commit during a wait that was dropped");
        rests(&mut *watch);
    }
    // Never looked at.
    drop(watch.changed());
    t.deliver(inbox, "x")?;
    drop(watch.changed());
    woken(t, &mut *watch, "a commit before a wait that was dropped");
    Ok(())
}

pub(super) fn a_removal_wakes(t: &Test) -> Case {
    let (id, _) = t.account("a@example.test")?;
    t.rule(R1008);
    let mut watch = at_rest(t, Scope::Account(id));
    let store = t.store();
    t.ask(format!("remove_account {id}"), store.remove_account(id))?;
    woken(t, &mut *watch, "the removal");
    let found = t.ask(format!("account_by_id {id}"), store.account_by_id(id))?;
    t.holds("no account", found.is_none(), &found);
    // Who waits already is woken, too.
    let (id, _) = t.account("b@example.test")?;
    let waiting = AtomicUsize::new(0);
    t.race(2, |n| {
        if n == 0 {
            let mut watch = at_rest(t, Scope::Account(id));
            waiting.store(1, Ordering::SeqCst);
            woken(t, &mut *watch, "the removal while it waits");
            return Ok(());
        }
        while waiting.load(Ordering::SeqCst) == 0 && t.time_is_left() {
            std::thread::yield_now();
        }
        std::thread::sleep(REST);
        t.ask(format!("remove_account {id}"), store.remove_account(id))
    })?;
    Ok(())
}
