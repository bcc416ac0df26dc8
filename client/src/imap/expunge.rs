//! Removing a message that this client marked, and nothing else.
//!
//! EXPUNGE takes all that is `\Deleted`, by whoever: other programs mark messages and mean to look at them again.
//! With UIDPLUS the message is named. Without, EXPUNGE goes out only when two searches that must add up to what
//! the mailbox counts say that ours is the only one marked. To take the others' marks away and to put them back
//! would lose them when the connection breaks between. Where it cannot be done the message stays, marked, as
//! the protocol means it: whoever expunges next removes it.

use hikyaku_imap_proto::{Command, Completion, Flag, ResponseCode, SearchKey, SequenceSet, Status};

use super::{Session, answers};
use crate::{Error, Result};

/// What became of it.
pub(super) enum Removed {
    Yes,
    /// It is `\Deleted`, and there.
    Marked(&'static str),
    /// The server will not now.
    Refused(Completion),
}

/// Removes the message of that UID, which is marked.
pub(super) async fn remove(session: &mut Session, uid: u32, set: SequenceSet) -> Result<Removed> {
    if session.capabilities().has_uid_plus() {
        let end = session.ask(Command::Expunge(Some(set)), |_| {}).await?;
        match end.status {
            Status::Ok => return Ok(Removed::Yes),
            Status::No => return Ok(Removed::Refused(end)),
            // It announces UIDPLUS and does not know it.
            _ => {}
        }
    }
    match is_alone(session, uid).await {
        Ok(true) => {}
        Ok(false) => {
            return Ok(Removed::Marked(
                "other messages are marked as deleted, too, and the server removes all of them or none",
            ));
        }
        Err(Error::Refused(_)) => {
            return Ok(Removed::Marked(
                "the server does not say what else it would remove with it",
            ));
        }
        Err(error) => return Err(error),
    }
    let end = session.ask(Command::Expunge(None), |_| {}).await?;
    Ok(match end.status {
        Status::Ok => Removed::Yes,
        _ => Removed::Refused(end),
    })
}

/// Whether no other message is marked.
async fn is_alone(session: &mut Session, uid: u32) -> Result<bool> {
    let marked = answers::search(session, SearchKey::Flag(Flag::Deleted, true)).await?;
    if marked != [uid] {
        return Ok(false);
    }
    let others = answers::search(session, SearchKey::Flag(Flag::Deleted, false)).await?;
    let counted = session.selected().map_or(0, |selected| selected.view.len());
    Ok(!others.contains(&uid) && others.len() + 1 == counted as usize)
}

/// Whether what a server says to a change can be otherwise the next time (RFC 5530).
pub(super) fn is_for_good(end: &Completion) -> bool {
    matches!(
        end.code,
        Some(
            ResponseCode::NoPerm
                | ResponseCode::Cannot
                | ResponseCode::NonExistent
                | ResponseCode::ClientBug
                | ResponseCode::TooBig
                | ResponseCode::ReadOnly
                | ResponseCode::UnknownCte
        )
    )
}
