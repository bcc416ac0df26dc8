//! Whether a message is it: by the cheapest that decides.

use std::sync::Arc;

use super::content::{content, read};
use super::known::Known;
use super::plan::{Plan, Prepared};
use crate::contract::structure::structure_of;
use crate::contract::visit::visit_all;
use crate::questions::field_text::FieldText;
use crate::{Bodies, Error, MailboxId, ModSeq, Result, Row, Rows, Store, Uid, UidSet, Want};
use hikyaku_message::EnvelopeView;

/// Whether a message is it, and what was learned of it on the way.
pub(super) struct Judged {
    pub(super) uid: Uid,
    pub(super) modified: ModSeq,
    pub(super) found: bool,
    /// In the order of [`Plan::fields`], or nothing.
    pub(super) learned: Vec<FieldText>,
}

pub(super) async fn judge_all(
    store: &dyn Store,
    mailbox: MailboxId,
    uids: &UidSet,
    plan: Arc<Plan>,
    prepared: Arc<Prepared>,
) -> Result<Vec<Judged>> {
    let want = match plan.needs_summary {
        true => Want::SUMMARY,
        false => Want::ROW,
    };
    visit_all(store, mailbox, uids, want, move || {
        let (plan, key) = (Arc::clone(&plan), Arc::clone(&prepared));
        move |row: &Row, bodies: &mut dyn Bodies| judge(bodies, &plan, &key, row)
    })
    .await
}

/// Nothing where there is nothing to say of it. One that cannot be read fails no search.
pub(super) fn judge(
    bodies: &mut dyn Bodies,
    plan: &Plan,
    key: &Prepared,
    row: &Row,
) -> Result<Option<Judged>> {
    let (found, learned) = match matches(bodies, plan, key, row) {
        Err(Error::Damaged(..)) => return Ok(None),
        judged => judged?,
    };
    let judged = Judged {
        uid: row.uid,
        modified: row.modified,
        found,
        learned,
    };
    Ok((found || !judged.learned.is_empty()).then_some(judged))
}

fn matches(
    bodies: &mut dyn Bodies,
    plan: &Plan,
    key: &Prepared,
    row: &Row,
) -> Result<(bool, Vec<FieldText>)> {
    let known = Known {
        envelope: EnvelopeView::of(&row.summary),
        ..Known::of(row)
    };
    if let Some(decided) = known.judge(plan, key) {
        return Ok((decided, Vec::new()));
    }
    let structure = structure_of(bodies, row)?;
    // A summary of another version is made anew.
    let anew = known.envelope.is_none().then(|| structure.encode());
    let mut known = match &anew {
        Some(summary) => Known {
            envelope: EnvelopeView::of(summary),
            ..known
        },
        None => known,
    };
    let header_range = structure.root().header.clone();
    known.structure = Some(&structure);
    if let Some(decided) = known.judge(plan, key) {
        return Ok((decided, Vec::new()));
    }
    let header = read(bodies, row, header_range)?;
    let learned = plan.learn(&header);
    known.header = Some(header);
    if let Some(decided) = known.judge(plan, key) {
        return Ok((decided, learned));
    }
    let content = content(bodies, plan, &known)?;
    known.content = content.into_iter().map(Some).collect();
    Ok((known.judge(plan, key) == Some(true), learned))
}

/// Whether it is enough to know that a message lacks those texts, a bit each.
pub(super) fn is_ruled_out(
    plan: &Plan,
    key: &Prepared,
    rows: &Rows,
    uid: Uid,
    absent: u64,
) -> bool {
    let at = rows.rows.binary_search_by_key(&uid, |row| row.uid);
    let Some(row) = at.ok().and_then(|at| rows.rows.get(at)) else {
        return false;
    };
    let lacks = |at: usize| at < 64 && absent & 1 << at != 0;
    let known = Known {
        content: (0..plan.terms.len())
            .map(|at| lacks(at).then_some(false))
            .collect(),
        ..Known::of(row)
    };
    known.judge(plan, key) == Some(false)
}
