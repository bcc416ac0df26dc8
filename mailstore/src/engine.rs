//! What the engines share.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::tables::AccountRow;
use crate::{AccountId, Changes, ModSeq, Operation, QueueEntry, Quota, Row, Transaction, Uid};

/// So many entries for one next hop are claimed at a time.
const PER_NEXT_HOP: usize = 8;

/// The row of a new account. UIDVALIDITYs begin at the present second, so that they rise even when
/// an account of the same name existed before.
pub(crate) fn first_state(id: AccountId) -> AccountRow {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    AccountRow {
        id,
        at: ModSeq(0),
        last_mailbox: 0,
        last_uid_validity: u32::try_from(now.as_secs()).unwrap_or(1),
        last_email: 0,
        quota: Quota::default(),
    }
}

/// What a new account begins with.
pub(crate) fn inbox(id: AccountId) -> Transaction {
    Transaction::new(id).with(Operation::Create {
        name: "INBOX".into(),
        special_use: None,
        uid_validity: None,
    })
}

/// Those that may be claimed together.
pub(crate) fn per_next_hop(due: Vec<QueueEntry>, limit: usize) -> Vec<QueueEntry> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut admitted = |entry: &QueueEntry| {
        let count = counts.entry(entry.next_hop.clone()).or_default();
        *count += 1;
        *count <= PER_NEXT_HOP
    };
    due.into_iter()
        .filter(|entry| admitted(entry))
        .take(limit)
        .collect()
}

/// Cuts changes at `limit`, between two mod-sequences, and sorts them by UID.
pub(crate) fn changes_page(
    at: ModSeq,
    mut rows: Vec<Row>,
    gone: Vec<(Uid, ModSeq)>,
    limit: usize,
) -> Changes {
    let mut upto = at;
    if rows.len() > limit.max(1) {
        rows.sort_by_key(|row| row.modified);
        if let Some(last) = rows.get(limit.max(1) - 1) {
            upto = last.modified;
        }
        rows.retain(|row| row.modified <= upto);
    }
    rows.sort_by_key(|row| row.uid);
    Changes::Known {
        at: upto,
        rows,
        vanished: gone
            .into_iter()
            .filter(|(_, when)| *when <= upto)
            .map(|(uid, _)| uid)
            .collect(),
    }
}
