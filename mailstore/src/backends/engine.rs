//! What the author of an [`Engine`](crate::Engine) builds on: the meaning of a transaction, carried out over
//! [`Tables`] in one place for every backend.
//!
//! A backend offers its rows as [`Tables`] within one database transaction (or whatever it can undo), and
//! calls the functions here. The example `sorted` is such an engine over plain maps; `Memory` and `Disk` are
//! made the same way.
//!
//! | [`Engine`](crate::Engine) method | over `Tables` |
//! |---|---|
//! | `commit` | [`apply`] for each transaction; undo what one wrote that fails |
//! | `create_account` | a number and the name, then [`add_account`] |
//! | `remove_account` | [`remove_account`] |
//! | `claim` | [`claimed`] of what is due, written back |
//! | `release_claims` | [`QueueEntry::is_held_by`] |
//! | `changes` of its reader | [`changes_page`] of all that came since |

use crate::backends::tables::{AccountRow, Tables};
use crate::contract::claim::{Shares, token};
use crate::{
    AccountId, Changes, Claim, Error, ModSeq, Operation, QueueEntry, Result, Row, Transaction, Uid,
    UidSet,
};

pub use crate::backends::apply::apply;

/// Begins an account that has a number and a name already: writes its row and makes its `INBOX`.
///
/// UIDVALIDITYs begin behind those of every account removed before (`Tables` keeps the largest in the row
/// of [`AccountId::SYSTEM`]), so that they rise when an account of the same name is made again.
///
/// ```
/// use hikyaku_mailstore::{AccountId, Result, Tables, engine};
///
/// /// Within one transaction of the database.
/// fn create(tables: &mut dyn Tables, id: AccountId) -> Result<()> {
///     engine::add_account(tables, id)
/// }
/// ```
///
/// # Errors
/// Those of `tables`; the caller undoes what was written.
pub fn add_account(tables: &mut dyn Tables, id: AccountId) -> Result<()> {
    let mut row = AccountRow::new(id);
    if let Some(system) = tables.account(AccountId::SYSTEM)? {
        row.last_uid_validity = row.last_uid_validity.max(system.last_uid_validity);
    }
    tables.put_account(&row)?;
    let inbox = Transaction::new(id).with(Operation::Create {
        name: "INBOX".into(),
        special_use: None,
        uid_validity: None,
    });
    apply(tables, &inbox).map(|_| ())
}

/// Removes an account and all it owns: mailboxes, messages, queue entries, properties and subscriptions.
///
/// ```
/// use hikyaku_mailstore::{AccountId, Result, Tables, engine};
///
/// /// Within one transaction of the database.
/// fn remove(tables: &mut dyn Tables, id: AccountId) -> Result<()> {
///     engine::remove_account(tables, id)
/// }
/// ```
///
/// # Errors
/// [`Error::NoSuchAccount`] when there is none, and for [`AccountId::SYSTEM`], which stays; those of
/// `tables`. The caller undoes what was written.
pub fn remove_account(tables: &mut dyn Tables, id: AccountId) -> Result<()> {
    let row = tables.account(id)?.filter(|_| id != AccountId::SYSTEM);
    let row = row.ok_or(Error::NoSuchAccount(id.into()))?;
    for mailbox in tables.mailboxes_below(id, "")? {
        for row in tables.rows(mailbox.id, &UidSet::all())? {
            tables.release(row.body)?;
        }
        tables.delete_mailbox(mailbox.id)?;
    }
    for entry in tables.queue_of(id)? {
        tables.settle(entry.id, None)?;
        tables.release(entry.body)?;
    }
    tables.delete_account(id)?;
    if let Some(mut system) = tables.account(AccountId::SYSTEM)? {
        system.last_uid_validity = system.last_uid_validity.max(row.last_uid_validity);
        tables.put_account(&system)?;
    }
    Ok(())
}

/// Chooses the queue entries that a claim takes, and marks them as held.
///
/// `due` are those that it may have ([`QueueEntry::may_be_claimed`]), sorted by [`QueueEntry::due`], then by number. At most
/// [`Claim::limit`] come back, each with a new token, and with `due` set to when the claim ends: the backend writes them
/// back as they are.
///
/// ```
/// use hikyaku_mailstore::{Claim, engine};
/// use std::time::{Duration, SystemTime};
/// let claim = Claim::new(SystemTime::now(), 10, Duration::from_secs(60));
/// assert!(engine::claimed(Vec::new(), &claim)?.is_empty());
/// # Ok::<(), hikyaku_mailstore::Error>(())
/// ```
///
/// # Errors
/// [`Error::Limit`] when the system has no random numbers.
pub fn claimed(
    due: impl IntoIterator<Item = QueueEntry>,
    claim: &Claim,
) -> Result<Vec<QueueEntry>> {
    let mut shares = Shares::new(claim);
    let admitted = due
        .into_iter()
        .filter(|entry| shares.admit(&entry.next_hop));
    let mut claimed: Vec<_> = admitted.take(claim.limit).collect();
    for entry in &mut claimed {
        entry.token = token(claim.owner)?;
        entry.due = claim.now + claim.ttl;
    }
    Ok(claimed)
}

/// Returns one page of changes, sorted by UID and cut at `limit` between two mod-sequences.
///
/// `at` is the account's state, `rows` and `gone` are all that changed in the mailbox, or left it, since the
/// mod-sequence asked for.
///
/// ```
/// use hikyaku_mailstore::{Changes, ModSeq, engine};
/// let page = engine::changes_page(ModSeq(7), Vec::new(), Vec::new(), 1000);
/// assert!(matches!(page, Changes::Known { at: ModSeq(7), .. }));
/// ```
#[must_use]
pub fn changes_page(
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
