//! Random histories, against `Memory` as the model.

use bytes::Bytes;
use std::cell::RefCell;
use std::sync::Arc;

use super::test::{Case, Ended, Test, copy, expunge, flag, kind, relocate};
use crate::contract::R1101;
use crate::{
    AccountId, Append, Changes, FlagChange, Flags, MailboxId, Memory, ModSeq, Operation, Outcome,
    Requirement, Result, Row, Store, Transaction, Uid, UidSet, UidValidity, Want, Which,
};

/// How many steps a history has.
const STEPS: u64 = 120;
const SEEDS: std::ops::Range<u64> = 1..6;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }

    fn number(&mut self, bound: u32) -> u32 {
        u32::try_from(self.below(bound.into())).unwrap_or(0)
    }

    fn pick<T: Clone>(&mut self, from: &[T], otherwise: T) -> T {
        let at = usize::try_from(self.below(from.len() as u64)).unwrap_or(0);
        from.get(at).cloned().unwrap_or(otherwise)
    }
}

/// One of the two stores, with the account that the history is of.
struct Side {
    store: Arc<dyn Store>,
    id: AccountId,
    /// The UIDVALIDITYs that were seen, in that order.
    validities: RefCell<Vec<UidValidity>>,
}

/// What is done, with mailboxes by number and bodies as text, so that it can be done in both.
#[derive(Debug, Clone)]
enum Step {
    Append {
        to: u32,
        text: String,
        flags: Flags,
        origin: Option<u64>,
        uid: Option<u32>,
        summary: bool,
    },
    Flags(u32, UidSet, FlagChange, Option<ModSeq>),
    Copy(u32, UidSet, u32),
    Move(u32, UidSet, u32),
    Expunge(u32, UidSet, bool),
    Create(&'static str),
    Rename(u32, &'static str),
    Delete(u32),
    Subscribe(&'static str, bool),
    Quota(Option<u64>, Option<u64>),
    Property(u32, Option<u64>),
    /// A copy and a new mailbox, if nothing came since and the mailbox is empty.
    IfEmpty(u32, ModSeq, &'static str),
}

const NAMES: [&str; 7] = ["a", "a/b", "c", "INBOX/d", "inbox", "a/b/c", "c//"];

fn step(random: &mut Random, mailboxes: &[u32], at: ModSeq, n: u64) -> Step {
    let from = random.pick(mailboxes, 1);
    let to = random.pick(mailboxes, 1);
    let low = 1 + random.number(12);
    let mut set = UidSet::from_ranges([(low, low + random.number(4))]);
    if random.below(6) == 0 {
        set = UidSet::all();
    }
    let name = random.pick(&NAMES, "a");
    let bits = u8::try_from(random.below(32)).unwrap_or(0);
    let keywords = usize::try_from(random.below(3)).unwrap_or(0);
    let flags = Flags::from_parts(bits, ["$x", "y"].into_iter().take(keywords));
    match random.below(24) {
        0..=7 => Step::Append {
            to,
            text: "z".repeat(usize::try_from(n).unwrap_or(0)),
            flags,
            origin: (random.below(3) == 0).then(|| random.below(5)),
            uid: (random.below(8) == 0).then(|| 1 + random.number(30)),
            summary: random.below(2) == 0,
        },
        8 | 9 => Step::Flags(from, set, FlagChange::Add(flags), None),
        10 => Step::Flags(from, set, FlagChange::Remove(flags), None),
        11 => {
            let since = ModSeq(random.below(at.0 + 1));
            Step::Flags(from, set, FlagChange::Set(flags), Some(since))
        }
        12 | 13 => Step::Copy(from, set, to),
        14 | 15 => Step::Move(from, set, to),
        16 => Step::Expunge(from, set, random.below(2) == 0),
        17 | 18 => Step::Create(name),
        19 => Step::Rename(from, name),
        20 if random.below(2) == 0 => Step::Delete(to),
        20 => Step::Subscribe(name, random.below(3) > 0),
        21 => {
            let octets = (random.below(2) == 0).then(|| 500 + random.below(3000));
            Step::Quota(octets, (random.below(3) == 0).then(|| random.below(40)))
        }
        22 => Step::Property(from, (random.below(3) > 0).then_some(n)),
        _ => Step::IfEmpty(from, ModSeq(at.0 - random.below(2).min(at.0)), name),
    }
}

impl Side {
    /// Returns how many UIDVALIDITYs were seen before that one: which numbers they have is the store's own.
    fn validity(&self, validity: UidValidity) -> usize {
        let mut seen = self.validities.borrow_mut();
        let known = seen.iter().position(|one| *one == validity);
        known.unwrap_or_else(|| {
            seen.push(validity);
            seen.len() - 1
        })
    }

    fn mailbox(&self, number: u32) -> MailboxId {
        MailboxId {
            account: self.id,
            number,
        }
    }

    /// The step as a transaction of this store.
    fn transaction(&self, t: &Test, step: &Step) -> Case<Transaction> {
        let own = |number: u32| self.mailbox(number);
        let transaction = Transaction::new(self.id);
        let operation = match step.clone() {
            Step::Append {
                to,
                text,
                flags,
                origin,
                uid,
                summary,
            } => {
                let mut stage = t.ask("stage", self.store.stage())?;
                t.ask("stage.write", stage.write(Bytes::from(text.clone())))?;
                let body = t.ask("stage.finish", stage.finish())?;
                let mut append = Append::new(own(to), body, (text.len() as i64 * 60, 60));
                append.flags = flags;
                append.origin = origin.map(|n| Bytes::from(format!("origin {n}")));
                append.uid = uid.and_then(Uid::new);
                if summary {
                    append.summary = Bytes::from(format!("summary of {}", text.len()));
                }
                Operation::Append(Box::new(append))
            }
            Step::Flags(mailbox, uids, change, unchanged_since) => match change {
                FlagChange::Add(flags) => flag(own(mailbox), uids, flags),
                change => Operation::Flags {
                    mailbox: own(mailbox),
                    uids,
                    change,
                    unchanged_since,
                },
            },
            Step::Copy(from, uids, to) => copy(own(from), uids, own(to)),
            Step::Move(from, uids, to) => relocate(own(from), uids, own(to)),
            Step::Expunge(mailbox, uids, false) => expunge(own(mailbox), uids),
            Step::Expunge(mailbox, uids, true) => Operation::Expunge {
                mailbox: own(mailbox),
                uids,
                deleted_only: true,
            },
            Step::Create(name) => super::test::create(name),
            Step::Rename(mailbox, to) => Operation::Rename {
                mailbox: own(mailbox),
                to: to.into(),
            },
            Step::Delete(mailbox) => Operation::Delete(own(mailbox)),
            Step::Subscribe(name, subscribed) => Operation::Subscribe {
                name: name.into(),
                subscribed,
            },
            Step::Quota(octets, messages) => Operation::SetQuota { octets, messages },
            Step::Property(mailbox, value) => Operation::SetMailboxProperty {
                mailbox: own(mailbox),
                key: "key".into(),
                value: value.map(|n| Bytes::from(n.to_string())),
            },
            Step::IfEmpty(mailbox, at, name) => {
                let both = copy(own(mailbox), UidSet::all(), own(mailbox));
                return Ok(transaction
                    .requiring(Requirement::Unchanged(at))
                    .requiring(Requirement::Empty(own(mailbox)))
                    .with(both)
                    .with(super::test::create(name)));
            }
        };
        Ok(transaction.with(operation))
    }

    /// What a step comes to: the kind of its error, or outcomes with what they carry.
    fn commit(&self, t: &Test, step: &Step, n: u64) -> Case<Came> {
        let transaction = self.transaction(t, step)?;
        let what = format!("step {n}, {step:?}");
        let done = t.wait(what, self.store.commit(transaction))?;
        let kind = kind(&done);
        let done = done.ok().map(|done| {
            let each = done.outcomes.into_iter();
            let outcomes = each.map(|one| self.outcome(one)).collect();
            (done.at, done.also.len(), outcomes)
        });
        Ok(Came { kind, done })
    }

    fn outcome(&self, outcome: Outcome) -> String {
        match outcome {
            // Which number a body has, and which an account, is the store's own.
            Outcome::Appended {
                uid,
                uid_validity,
                body,
            } => {
                let validity = self.validity(uid_validity);
                format!("appended {uid} ({validity}), {} octets", body.octets)
            }
            Outcome::Created { id, uid_validity } => {
                format!("created {} ({})", id.number, self.validity(uid_validity))
            }
            Outcome::Copied {
                uid_validity,
                pairs,
            } => format!("copied {pairs:?} ({})", self.validity(uid_validity)),
            Outcome::Existed { uid, uid_validity } => {
                format!("existed {uid} ({})", self.validity(uid_validity))
            }
            other => format!("{other:?}"),
        }
    }

    /// All that can be seen of the account, but for what differs between stores: numbers of bodies and accounts, times.
    fn state(&self, t: &Test) -> Case<State> {
        let store = &self.store;
        let found = t.ask("account_by_id", store.account_by_id(self.id))?;
        let account = t.there("the account", found)?;
        let all = t.ask("mailboxes", store.mailboxes(self.id, None))?;
        let mut mailboxes = Vec::new();
        for mailbox in all.mailboxes {
            let which = Which::After(None);
            let page = store.messages(mailbox.id, &which, Want::SUMMARY, usize::MAX);
            let page = t.ask("messages", page)?;
            let counters = [
                u64::from(mailbox.id.number),
                self.validity(mailbox.uid_validity) as u64,
                u64::from(mailbox.uid_next),
                mailbox.highest.0,
                mailbox.horizon.0,
                u64::from(mailbox.messages),
                u64::from(mailbox.unseen),
                u64::from(mailbox.deleted),
                mailbox.octets,
            ];
            let properties = format!("{:?}", mailbox.properties);
            let rows = page.rows.iter().map(row).collect();
            mailboxes.push((mailbox.name, counters, properties, rows));
        }
        Ok(State {
            at: (account.at, all.at),
            quota: account.quota,
            subscribed: all.subscribed,
            mailboxes,
        })
    }

    /// The changes of a mailbox since a state.
    fn changes(&self, t: &Test, number: u32, since: ModSeq, limit: usize) -> Case<String> {
        let changes = self
            .store
            .changes(self.mailbox(number), since, Want::ROW, limit);
        let what = format!("changes of mailbox {number} since {since}, limit {limit}");
        let changes: Result<Changes> = t.wait(what, changes)?;
        Ok(match changes {
            Ok(Changes::Known { at, rows, vanished }) => {
                let rows: Vec<_> = rows.iter().map(|one| (one.uid, one.modified)).collect();
                format!("at {at}: {rows:?}, vanished {:?}", vanished.ranges())
            }
            Ok(Changes::TooOld { horizon }) => format!("too old, horizon {horizon}"),
            error => kind(&error).into(),
        })
    }
}

#[derive(Debug, PartialEq)]
struct Came {
    kind: &'static str,
    done: Option<(ModSeq, usize, Vec<String>)>,
}

fn row(row: &Row) -> String {
    let Row {
        uid,
        modified,
        flags,
        received,
        email,
        thread,
        body,
        summary,
        ..
    } = row;
    let flags = (flags.bits(), flags.keywords().collect::<Vec<_>>());
    let octets = body.octets;
    format!("{uid} {modified} {flags:?} {received:?} {email} {thread} {octets} {summary:?}")
}

type Seen = (String, [u64; 9], String, Vec<String>);

#[derive(Debug, PartialEq)]
struct State {
    at: (ModSeq, ModSeq),
    quota: crate::Quota,
    subscribed: Vec<String>,
    mailboxes: Vec<Seen>,
}

/// Records the first thing that differs, and ends the case there.
fn alike<T: PartialEq + std::fmt::Debug>(t: &Test, what: &str, found: T, expected: T) -> Case {
    if t.same(what, found, expected) {
        Ok(())
    } else {
        Err(Ended)
    }
}

pub(super) fn it_behaves_as_memory_does(t: &Test) -> Case {
    t.rule(R1101);
    let model: Arc<dyn Store> = Arc::new(Memory::new());
    for seed in SEEDS {
        let name = format!("model{seed}@example.test");
        let side = |store: Arc<dyn Store>| -> Case<Side> {
            let id = t.ask(
                format!("create_account {name}"),
                store.create_account(&name),
            )?;
            let validities = RefCell::new(Vec::new());
            Ok(Side {
                store,
                id,
                validities,
            })
        };
        let (under_test, model) = (side(t.store())?, side(Arc::clone(&model))?);
        let mut random = Random(seed);
        let mut states = vec![model.state(t)?.at.0];
        for n in 0..STEPS {
            let before = model.state(t)?;
            let number = |one: &Seen| u32::try_from(one.1[0]).unwrap_or(0);
            let mut numbers: Vec<_> = before.mailboxes.iter().map(number).collect();
            // Now and then one that is no more, or not yet.
            if random.below(8) == 0 {
                numbers.push(1 + random.number(12));
            }
            let step = step(&mut random, &numbers, before.at.0, n);
            let expected = model.commit(t, &step, n)?;
            let found = under_test.commit(t, &step, n)?;
            let place = format!("step {n} of seed {seed}, {step:?}");
            t.during(&place);
            alike(t, "the outcome", found, expected)?;
            let (found, expected) = (under_test.state(t)?, model.state(t)?);
            t.during(format!("{place}: the state after it"));
            let at = expected.at.0;
            for (found, expected) in found.mailboxes.iter().zip(&expected.mailboxes) {
                alike(t, "the mailbox", found, expected)?;
            }
            alike(t, "the account", found, expected)?;
            let since = random.pick(&states, ModSeq(0));
            let number = random.pick(&numbers, 1);
            let limit = random.pick(&[1, 2, 5, 1000], 1000);
            let expected = model.changes(t, number, since, limit)?;
            let found = under_test.changes(t, number, since, limit)?;
            let what = format!("changes of mailbox {number} since {since}, limit {limit}");
            t.during(format!("{place}: {what}"));
            // Where pages are cut is the store's own; that they lead on is tried elsewhere.
            if limit == 1000 {
                alike(t, "changes", found, expected)?;
            }
            states.push(at);
        }
    }
    Ok(())
}
