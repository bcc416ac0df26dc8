//! What the engines share.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::tables::AccountRow;
use crate::{AccountId, Changes, ModSeq, Operation, Quota, Row, Transaction, Uid};

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
