//! What was done offline, done on the server.

use bytes::Bytes;
use imap_proto::client::Event;
use imap_proto::{
    Append, Command, Flag, MailboxName, Response, Search, SearchKey, SequenceSet, Store,
    StoreAction,
};
use mailstore::message::Structure;
use mailstore::{Operation, Transaction, UidSet, Want, Which};

use super::{Mirror, Session};
use crate::{Error, Local, Op, Report, Result};

/// Does all that waits, in order, appends last. What the server refuses is told and given up; what the network keeps
/// from being done waits on.
pub(super) async fn replay(
    session: &mut Session,
    local: &Local,
    report: &mut Report,
) -> Result<()> {
    let mut ops = local.ops().await?;
    // Room is made before it is asked for.
    ops.sort_by_key(|(_, op)| matches!(op, Op::Append { .. }));
    for (key, op) in ops {
        let done = match &op {
            Op::Append { .. } => append(session, local, &key, &op).await,
            _ => change(session, local, &op).await,
        };
        match done {
            Ok(()) => report.replayed += 1,
            Err(Error::Refused(why)) => {
                report.warnings.push(format!("{}: {why}", describe(&op)));
                // A message is never given up: it waits until the server takes it.
                if let Op::Append { .. } = op {
                    continue;
                }
            }
            Err(error) => return Err(error),
        }
        let account = match op {
            Op::Append { .. } => local.side,
            _ => local.account,
        };
        let mut transaction = Transaction::new(account);
        if let Op::Append { origin, .. } = &op
            && let Some(row) = waiting(local, origin).await?
        {
            transaction = transaction.with(Operation::Expunge {
                mailbox: local.pending_mailbox().await?,
                uids: UidSet::from_ranges([(row.uid.get(), row.uid.get())]),
                deleted_only: false,
            });
        }
        local
            .commit(transaction.with(Operation::SetProperty { key, value: None }))
            .await?;
    }
    Ok(())
}

fn describe(op: &Op) -> String {
    match op {
        Op::Flags { mailbox, uid, .. } => format!("the flags of {mailbox}/{uid}"),
        Op::Move { mailbox, uid, to } => format!("moving {mailbox}/{uid} to {to}"),
        Op::Delete { mailbox, uid } => format!("deleting {mailbox}/{uid}"),
        Op::Append { to, .. } => format!("a message for {to}"),
    }
}

async fn waiting(local: &Local, origin: &str) -> Result<Option<mailstore::Row>> {
    let which = Which::Origin(Bytes::copy_from_slice(origin.as_bytes()));
    let mailbox = local.pending_mailbox().await?;
    Ok(local
        .store
        .messages(mailbox, &which, Want::ROW, 1)
        .await?
        .rows
        .pop())
}

/// The mailbox on the server, by its name here.
async fn remote(local: &Local, mailbox: &str) -> Result<(MailboxName, Option<Mirror>)> {
    let mirror = Mirror::of(&local.properties(local.account).await?, mailbox);
    let name = mirror.as_ref().map_or(mailbox, |mirror| &mirror.remote);
    Ok((MailboxName::new(name), mirror))
}

/// Selects a mailbox for changes, unless it is.
async fn select(session: &mut Session, local: &Local, mailbox: &str) -> Result<()> {
    let (name, mirror) = remote(local, mailbox).await?;
    let is = session
        .selected()
        .is_some_and(|selected| selected.mailbox == name && !selected.read_only);
    if !is {
        session.run(Command::select(name), |_| {}).await?;
    }
    let validity = session
        .selected()
        .and_then(|selected| selected.uid_validity);
    if mirror.is_none_or(|mirror| validity != Some(mirror.uid_validity)) {
        return Err(Error::Refused("the mailbox is another one by now".into()));
    }
    Ok(())
}

async fn change(session: &mut Session, local: &Local, op: &Op) -> Result<()> {
    let set = |uid: &u32| {
        SequenceSet::of_numbers([*uid]).ok_or_else(|| Error::NotFound("message".into()))
    };
    match op {
        Op::Flags {
            mailbox,
            uid,
            add,
            remove,
        } => {
            select(session, local, mailbox).await?;
            for (action, names) in [(StoreAction::Add, add), (StoreAction::Remove, remove)] {
                if !names.is_empty() {
                    store(session, set(uid)?, action, names).await?;
                }
            }
            Ok(())
        }
        Op::Move { mailbox, uid, to } => {
            select(session, local, mailbox).await?;
            let (to, _) = remote(local, to).await?;
            match session.move_messages(set(uid)?, to.clone()).await {
                Err(Error::Refused(_)) => {
                    // It may not be there yet: the first message that goes to the trash.
                    session
                        .run(Command::Create(to.clone(), Vec::new()), |_| {})
                        .await?;
                    session.move_messages(set(uid)?, to).await?;
                }
                // A connection that breaks is no answer: it waits for the next sync.
                moved => drop(moved?),
            }
            expunge_where_nothing_else_is(session, *uid).await
        }
        Op::Delete { mailbox, uid } => {
            select(session, local, mailbox).await?;
            store(session, set(uid)?, StoreAction::Add, &["\\Deleted".into()]).await?;
            if session.capabilities().has_uid_plus() {
                session
                    .run(Command::Expunge(Some(set(uid)?)), |_| {})
                    .await?;
                return Ok(());
            }
            expunge_where_nothing_else_is(session, *uid).await
        }
        Op::Append { .. } => Ok(()),
    }
}

async fn store(
    session: &mut Session,
    set: SequenceSet,
    action: StoreAction,
    names: &[String],
) -> Result<()> {
    let store = Store {
        set,
        unchanged_since: None,
        action,
        silent: true,
        flags: names.iter().map(|name| flag(name)).collect(),
    };
    session
        .run(Command::Store { store, uid: true }, |_| {})
        .await?;
    Ok(())
}

pub(super) fn flag(name: &str) -> Flag {
    let system = [
        Flag::Seen,
        Flag::Answered,
        Flag::Flagged,
        Flag::Deleted,
        Flag::Draft,
    ];
    let mut system = system.into_iter();
    let known = system.find(|flag| flag.as_bytes().eq_ignore_ascii_case(name.as_bytes()));
    known.unwrap_or_else(|| Flag::Keyword(Bytes::copy_from_slice(name.as_bytes())))
}

/// Without UIDPLUS an EXPUNGE takes all that is marked: it is done when that is our message alone.
async fn expunge_where_nothing_else_is(session: &mut Session, uid: u32) -> Result<()> {
    if session.capabilities().has_uid_plus() || session.capabilities().can_move() {
        return Ok(());
    }
    let marked = search(session, SearchKey::Flag(Flag::Deleted, true)).await?;
    if marked == [uid] {
        session.run(Command::Expunge(None), |_| {}).await?;
    }
    Ok(())
}

pub(super) async fn search(session: &mut Session, key: SearchKey) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    let search = Search::new(key);
    session
        .run(Command::Search { search, uid: true }, |event| {
            if let Event::Data(Response::Search(numbers, _)) = event {
                found = numbers;
            }
        })
        .await?;
    found.sort_unstable();
    Ok(found)
}

/// APPEND. One that was begun before and not seen to end is looked for first, so that it is not doubled.
async fn append(session: &mut Session, local: &Local, key: &str, op: &Op) -> Result<()> {
    let Op::Append {
        to,
        origin,
        flags,
        tried,
    } = op
    else {
        return Ok(());
    };
    let Some(row) = waiting(local, origin).await? else {
        return Ok(());
    };
    let octets = local.octets(&row.body).await?;
    let (name, _) = remote(local, to).await?;
    let structure = Structure::of(&octets);
    let message_id = structure
        .root()
        .envelope
        .as_ref()
        .and_then(|envelope| envelope.message_id.clone());
    if let Some(message_id) = message_id.filter(|_| *tried) {
        session.run(Command::examine(name.clone()), |_| {}).await?;
        let key = SearchKey::Header("Message-ID".into(), message_id.into());
        if !search(session, key).await?.is_empty() {
            return Ok(());
        }
    }
    let begun = Op::Append {
        to: to.clone(),
        origin: origin.clone(),
        flags: flags.clone(),
        tried: true,
    };
    local
        .commit(Transaction::new(local.side).with(begun.property(key.to_owned())))
        .await?;
    let mut append = Append::new(name.clone());
    append.flags = flags.iter().map(|name| flag(name)).collect();
    match session.append(&append, octets.clone()).await {
        Err(Error::Refused(_)) if !tried => {
            // The mailbox may not be there yet.
            session
                .run(Command::Create(name, Vec::new()), |_| {})
                .await?;
            session.append(&append, octets).await.map(drop)
        }
        other => other.map(drop),
    }
}
