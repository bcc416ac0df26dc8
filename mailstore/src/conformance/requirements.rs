//! What a transaction requires.

use super::test::{Case, Test, expunge, refused, uids};
use crate::contract::{R121, R122, R123, R124};
use crate::{Error, MailboxId, ModSeq, Operation, Requirement, Transaction, UidSet, UidValidity};

pub(super) fn a_uid_validity_can_be_required(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    let validity = t.mailbox(id, "INBOX")?.uid_validity;
    let other = UidValidity::new(validity.get() ^ 1).unwrap_or(validity);
    t.rule(R121);
    for (value, passes) in [(validity, true), (other, false), (validity, true)] {
        let guarded = Transaction::new(id).requiring(Requirement::UidValidity(inbox, value));
        judge(t, guarded, inbox, passes)?;
    }
    let made = t.create(id, "a")?;
    let validity = t.mailbox(id, "a")?.uid_validity;
    t.run(id, Operation::Delete(made))?;
    t.create(id, "a")?;
    t.rule(R124);
    let guarded = Transaction::new(id).requiring(Requirement::UidValidity(made, validity));
    let answer = t.commit(guarded.with(t.append(inbox, "x")?))?;
    refused!(t, answer, Error::NoSuchMailbox(_));
    Ok(())
}

pub(super) fn no_change_can_be_required(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R122);
    let at = t.at(id)?;
    let unchanged = |at| Transaction::new(id).requiring(Requirement::Unchanged(at));
    judge(t, unchanged(at), inbox, true)?;
    judge(t, unchanged(at), inbox, false)?;
    judge(t, unchanged(ModSeq(0)), inbox, false)?;
    judge(t, unchanged(ModSeq(u64::MAX >> 1)), inbox, false)?;
    judge(t, unchanged(t.at(id)?), inbox, true)
}

pub(super) fn emptiness_can_be_required(t: &Test) -> Case {
    let (id, inbox) = t.account("a@example.test")?;
    t.rule(R123);
    let empty = |mailbox| Transaction::new(id).requiring(Requirement::Empty(mailbox));
    judge(t, empty(inbox), inbox, true)?;
    judge(t, empty(inbox), inbox, false)?;
    let other = t.create(id, "Other")?;
    let remove = |mailbox| empty(mailbox).with(Operation::Delete(mailbox));
    t.deliver(other, "one")?;
    refused!(t, t.commit(remove(other))?, Error::Conflict(_));
    t.run(id, expunge(other, uids(&[1])))?;
    t.done(remove(other))?;
    t.rule(R124);
    let answer = t.commit(empty(other).with(t.append(inbox, "x")?))?;
    refused!(t, answer, Error::NoSuchMailbox(_));
    t.rule(R123);
    // Two requirements, of which one does not hold.
    let at = t.at(id)?;
    t.run(id, expunge(inbox, UidSet::all()))?;
    let both = empty(inbox).requiring(Requirement::Unchanged(at));
    judge(t, both, inbox, false)
}

/// Appends under a requirement, and sees whether it is done or refused.
fn judge(t: &Test, guarded: Transaction, to: MailboxId, passes: bool) -> Case {
    let before = t.rows(to)?.len();
    let answer = t.commit(guarded.with(t.append(to, "x")?))?;
    if passes {
        t.holds("success", answer.is_ok(), &answer);
    } else {
        refused!(t, answer, Error::Conflict(_));
    }
    t.same("messages", t.rows(to)?.len(), before + usize::from(passes));
    Ok(())
}
