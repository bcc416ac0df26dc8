//! What came since a state.

use bytes::Bytes;
use std::collections::BTreeMap;

use super::test::{Case, Test, copy, expunge, flag, numbers, relocate, uids};
use crate::contract::{R601, R602, R603, R604, R605, R606, R607};
use crate::{
    Changes, FlagChange, Flags, MailboxId, ModSeq, Operation, Row, Transaction, UidSet, Want,
};

/// The rows at a state.
type Held = BTreeMap<u32, Row>;

fn held(t: &Test, mailbox: MailboxId) -> Case<Held> {
    let rows = t.rows(mailbox)?;
    Ok(rows.into_iter().map(|row| (row.uid.get(), row)).collect())
}

fn apply(held: &mut Held, rows: Vec<Row>, vanished: &UidSet) {
    held.extend(rows.into_iter().map(|row| (row.uid.get(), row)));
    held.retain(|_, row| !vanished.contains(row.uid));
}

/// The states of a history, each with the rows that were there.
struct History {
    mailbox: MailboxId,
    states: Vec<(ModSeq, Held)>,
}

impl History {
    fn begin(t: &Test, mailbox: MailboxId) -> Case<Self> {
        let mut history = Self {
            mailbox,
            states: Vec::new(),
        };
        history.note(t)?;
        Ok(history)
    }

    fn note(&mut self, t: &Test) -> Case {
        let state = (t.at(self.mailbox.account)?, held(t, self.mailbox)?);
        self.states.push(state);
        Ok(())
    }

    /// What was there at a state.
    fn rows_at(&self, at: ModSeq) -> Option<&Held> {
        let found = self.states.iter().rev().find(|(state, _)| *state <= at);
        found.map(|(_, rows)| rows)
    }
}

/// A mailbox in which messages came, changed, moved and went, one kind of change after the other.
fn history(t: &Test) -> Case<History> {
    let (id, inbox) = t.account("a@example.test")?;
    let other = t.create(id, "Other")?;
    let mut history = History::begin(t, inbox)?;
    for n in 0..8 {
        let mut append = t.message(inbox, &format!("message {n}"))?;
        append.summary = Bytes::from(format!("summary {n}"));
        t.deliver_as(append)?;
        history.note(t)?;
    }
    let set = Operation::Flags {
        mailbox: inbox,
        uids: uids(&[5, 8]),
        change: FlagChange::Set(Flags::from_parts(9, ["$x"])),
        unchanged_since: None,
    };
    let steps = [
        flag(inbox, uids(&[2, 4, 7]), Flags::SEEN),
        expunge(inbox, uids(&[1, 4])),
        t.append(other, "elsewhere")?,
        relocate(inbox, uids(&[6]), other),
        set,
        copy(inbox, uids(&[2, 3, 5]), inbox),
        relocate(other, UidSet::all(), inbox),
        Operation::SetMailboxProperty {
            mailbox: inbox,
            key: "key".into(),
            value: Some(Bytes::from_static(b"value")),
        },
        expunge(inbox, uids(&[2, 9, 10])),
        flag(inbox, uids(&[8]), Flags::DELETED),
        t.append(inbox, "last")?,
    ];
    for operation in steps {
        t.run(id, operation)?;
        history.note(t)?;
    }
    // Several changes in one commit.
    let several = Transaction::new(id)
        .with(t.append(inbox, "x")?)
        .with(expunge(inbox, uids(&[3])))
        .with(flag(inbox, uids(&[5, 11, 12]), Flags::FLAGGED));
    t.done(several)?;
    history.note(t)?;
    Ok(history)
}

pub(super) fn changes_lead_from_state_to_state(t: &Test) -> Case {
    let history = history(t)?;
    let last = t.at(history.mailbox.account)?;
    let now = held(t, history.mailbox)?;
    for (since, rows) in &history.states {
        for limit in [1, 2, 3, 5, 1000] {
            let (mut since, mut rows) = (*since, rows.clone());
            for _ in 0..=history.states.len() {
                let (at, changed, vanished) = {
                    let page = t.changes(history.mailbox, since, Want::SUMMARY, limit)?;
                    let Changes::Known { at, rows, vanished } = page else {
                        t.rule(R605);
                        t.holds("Known", false, &page);
                        return Ok(());
                    };
                    (at, rows, vanished)
                };
                t.rule(R607);
                let changes = (numbers(&changed), &vanished);
                let sorted = changed.is_sorted_by(|a, b| a.uid < b.uid);
                t.holds("ascending UIDs, each once", sorted, &changes);
                let both = changed.iter().any(|row| vanished.contains(row.uid));
                t.holds("no UID changed and vanished at once", !both, &changes);
                t.rule(R601);
                let later = changed
                    .iter()
                    .all(|row| row.modified > since && row.modified <= at);
                t.holds(
                    &format!("changes after {since}, up to {at}"),
                    later,
                    &changed,
                );
                apply(&mut rows, changed, &vanished);
                since = at;
                if at >= last {
                    break;
                }
            }
            t.same("the state", since, last);
            t.same("the rows", &rows, &now);
        }
    }
    Ok(())
}

/// Returns whether the limit is kept, but for the rest of the commit in which it was reached.
fn within_limit(rows: &[Row], limit: usize) -> bool {
    let last = rows.iter().map(|row| row.modified).max();
    let earlier = rows.iter().filter(|row| Some(row.modified) < last);
    rows.len() <= limit || earlier.count() < limit
}

pub(super) fn changes_have_a_limit(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R602);
    let since = t.at(id)?;
    for _ in 0..12 {
        t.deliver(inbox, "x")?;
    }
    for limit in [1, 2, 3, 5, 11] {
        let (at, rows, _) = t.known(inbox, since, limit)?;
        let most = rows.len() <= limit;
        t.holds(&format!("{limit} rows at most"), most, &numbers(&rows));
        t.holds("some rows", !rows.is_empty(), &at);
    }
    for limit in [12, 13, usize::MAX] {
        let (_, rows, _) = t.known(inbox, since, limit)?;
        t.same("rows", rows.len(), 12);
    }
    // Those of one commit come together, and no later ones with them.
    let from = t.at(id)?;
    t.run(id, flag(inbox, uids(&[1, 2, 4, 5]), Flags::SEEN))?;
    t.run(id, flag(inbox, uids(&[3, 6, 7, 8]), Flags::FLAGGED))?;
    for limit in 1..9 {
        let (_, rows, _) = t.known(inbox, from, limit)?;
        let what = format!("{limit} rows at most, and the rest of the commit of the last");
        t.holds(&what, within_limit(&rows, limit), &numbers(&rows));
        t.holds("some rows", !rows.is_empty(), &rows.len());
    }
    Ok(())
}

pub(super) fn what_vanished_did_so_by_the_state_named(t: &Test) -> Case {
    let history = history(t)?;
    t.rule(R603);
    for (since, before) in &history.states {
        for limit in [1, 2, 3, 1000] {
            let (at, _, vanished) = t.known(history.mailbox, *since, limit)?;
            let Some(then) = history.rows_at(at) else {
                t.holds("a state that was", false, &at);
                continue;
            };
            // What came and went in between may be named or not: the reader never saw it.
            let came = |state: &ModSeq, uid: u32| {
                *state <= at && *state > *since && {
                    let rows = history.rows_at(*state);
                    rows.is_some_and(|rows| rows.contains_key(&uid))
                }
            };
            for uid in before.keys().filter(|uid| !then.contains_key(uid)) {
                let named = vanished.iter().any(|gone| gone.get() == *uid);
                t.holds(&format!("{uid} among the vanished"), named, &vanished);
            }
            for uid in vanished.iter().take(50).map(crate::Uid::get) {
                let known = before.contains_key(&uid);
                let between = history.states.iter().any(|(state, _)| came(state, uid));
                let right = !then.contains_key(&uid) && (known || between);
                let what = format!("only what went after {since} and up to {at}, not {uid}");
                t.holds(&what, right, &vanished);
            }
        }
    }
    // Removals alone.
    let (id, inbox) = t.account("b@example.test")?;
    for _ in 0..6 {
        t.deliver(inbox, "x")?;
    }
    let since = t.at(id)?;
    let mut states = vec![since];
    for uid in [5, 1, 3] {
        t.run(id, expunge(inbox, uids(&[uid])))?;
        states.push(t.at(id)?);
    }
    for (state, expected) in states.into_iter().zip([&[1, 3, 5][..], &[1, 3], &[3], &[]]) {
        let (_, rows, vanished) = t.known(inbox, state, 1000)?;
        t.same("rows", numbers(&rows), []);
        t.same("vanished", vanished, uids(expected));
    }
    Ok(())
}

pub(super) fn changes_lead_on(t: &Test) -> Case {
    let history = history(t)?;
    let id = history.mailbox.account;
    t.rule(R604);
    let last = t.at(id)?;
    for limit in [1, 2, 1000] {
        for (since, _) in &history.states {
            let mut at = *since;
            for _ in 0..history.states.len() {
                if at >= last {
                    break;
                }
                let (next, rows, vanished) = t.known(history.mailbox, at, limit)?;
                let on = next > at && next <= last;
                let what = format!("a state after {at}, up to {last}");
                if !t.holds(&what, on, &(next, numbers(&rows), vanished)) {
                    return Ok(());
                }
                at = next;
            }
            t.same("the last page's state", at, last);
        }
    }
    // A change elsewhere in the account is passed over.
    let other = t.create(id, "Third")?;
    t.deliver(other, "x")?;
    let (at, rows, vanished) = t.known(history.mailbox, last, 1)?;
    let found = (at, rows, vanished);
    t.same("changes", found, (t.at(id)?, vec![], UidSet::new()));
    Ok(())
}

/// How often a commit is made until the store may have forgotten.
const COMMITS: usize = 260;

pub(super) fn what_is_forgotten_is_too_old(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    for _ in 0..3 {
        t.deliver(inbox, "x")?;
    }
    t.rule(R605);
    // The beginning of a mailbox is its first horizon.
    let before = t.at(id)?;
    let made = t.create(id, "Made")?;
    let horizon = t.mailbox_by_id(made)?.horizon;
    t.same("the horizon", horizon, t.at(id)?);
    t.deliver(made, "x")?;
    for since in [ModSeq(0), before] {
        let answer = t.changes(made, since, Want::ROW, 9)?;
        t.same("changes", answer, Changes::TooOld { horizon });
    }
    let (_, rows, vanished) = t.known(made, horizon, 9)?;
    t.same(
        "changes",
        (numbers(&rows), vanished),
        (vec![1], UidSet::new()),
    );
    // More removals than a store must remember.
    let many = t.create(id, "Many")?;
    t.deliver(many, "x")?;
    for _ in 0..13 {
        t.run(id, copy(many, UidSet::all(), many))?;
    }
    t.run(id, copy(many, UidSet::from_ranges([(1, 3000)]), many))?;
    let mut states = vec![(t.at(id)?, 0)];
    for low in [1, 1001, 2001] {
        let some = UidSet::from_ranges([(low, low + 999)]);
        t.run(id, expunge(many, some))?;
        states.push((t.at(id)?, low + 999));
    }
    for uid in (3001..).take(COMMITS) {
        t.run(id, expunge(many, uids(&[uid])))?;
    }
    t.run(id, expunge(many, UidSet::all()))?;
    for _ in 0..COMMITS {
        t.deliver(many, "x")?;
        let newest = t.mailbox_by_id(many)?.uid_next.saturating_sub(1);
        t.run(id, expunge(many, uids(&[newest])))?;
    }
    let found = t.mailbox_by_id(many)?;
    let last = found.uid_next.saturating_sub(1);
    let horizon = found.horizon;
    for (since, gone) in states {
        let answer = t.changes(many, since, Want::ROW, usize::MAX)?;
        if since < horizon {
            t.same("changes", answer, Changes::TooOld { horizon });
        } else {
            let vanished = UidSet::from_ranges([(gone + 1, last)]);
            let right = matches!(&answer, Changes::Known { vanished: v, .. } if *v == vanished);
            t.holds(&format!("{vanished:?} vanished"), right, &answer);
        }
    }
    let at = horizon.0.saturating_sub(1);
    let answer = t.changes(many, ModSeq(at), Want::ROW, 9)?;
    t.same("changes", answer, Changes::TooOld { horizon });
    t.known(many, horizon, usize::MAX)?;
    // One mailbox forgets, no other does.
    let (_, rows, _) = t.known(made, t.mailbox_by_id(made)?.horizon, 9)?;
    t.same("changes", numbers(&rows), [1]);
    Ok(())
}

pub(super) fn nothing_new_is_empty(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let other = t.create(id, "Other")?;
    t.rule(R606);
    let empty = |since: ModSeq| -> Case {
        for limit in [1, 100] {
            let found = t.known(inbox, since, limit)?;
            t.same("changes", found, (t.at(id)?, vec![], UidSet::new()));
        }
        Ok(())
    };
    empty(t.at(id)?)?;
    for _ in 0..4 {
        t.deliver(inbox, "x")?;
    }
    t.run(id, expunge(inbox, uids(&[2])))?;
    let since = t.at(id)?;
    empty(since)?;
    // What happens elsewhere in the account is nothing new here.
    t.deliver(other, "x")?;
    t.run(id, expunge(other, UidSet::all()))?;
    empty(since)?;
    // Nor are flags that stay.
    t.run(id, flag(inbox, UidSet::all(), Flags::NONE))?;
    empty(since)?;
    empty(t.at(id)?)?;
    Ok(())
}
