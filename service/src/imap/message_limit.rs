//! MESSAGELIMIT: limits the messages of one command, if the operator wants that (RFC 9738).

use hikyaku_imap_proto::{Response, ResponseCode, Status};
use hikyaku_mailstore::search::Key;
use hikyaku_mailstore::{Flags, MailboxId, Uid, UidSet};

use super::convert::imap_uid;
use super::end::End;
use super::session::Session;
use super::text::Text as T;

const HIGHEST: T = T::DoneForTheHighest;
const NOTHING: T = T::MoreMessagesThanOne;

impl End {
    /// Ends so when only some of the messages were reached.
    fn reached(self, code: ResponseCode, session: &mut Session<'_>) -> Self {
        match self {
            Self(Status::Ok, None, _) => Self(Status::Ok, Some(code), HIGHEST.into()),
            // RFC 9738 §3.1: it has a code already.
            Self(Status::Ok, Some(other), text) => {
                let limit = Response::Status(Status::No, Some(code), HIGHEST.into());
                session.respond(&limit);
                Self(Status::Ok, Some(other), text)
            }
            other => other,
        }
    }
}

/// Which messages a command reaches, and what it has to say of the others.
pub(super) struct Reached {
    pub(super) uids: UidSet,
    code: Option<ResponseCode>,
}

impl Reached {
    pub(super) fn is_all(&self) -> bool {
        self.code.is_none()
    }

    pub(super) fn end(self, end: End, session: &mut Session<'_>) -> End {
        match self.code {
            Some(code) => end.reached(code, session),
            None => end,
        }
    }

    /// For what is done to all of them or to none.
    pub(super) fn all(self) -> Result<UidSet, End> {
        match self.code {
            Some(code) => Err(End::no(code, NOTHING)),
            None => Ok(self.uids),
        }
    }
}

impl Session<'_> {
    /// Of those UIDs the highest, as many as one command may have.
    pub(super) fn reached(&self, uids: UidSet) -> Reached {
        let there = self.known().rev().filter(|&uid| uids.contains(uid));
        match self.highest(there) {
            Some(reached) => reached,
            None => Reached { uids, code: None },
        }
    }

    /// Of UIDs, the highest first, as many as one command may have; `None` when those are all.
    fn highest(&self, mut uids: impl Iterator<Item = Uid>) -> Option<Reached> {
        let limit = self.service.options.message_limit?.get();
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let some: Vec<Uid> = uids.by_ref().take(most).collect();
        uids.next()?;
        let lowest = some.last().map(|&uid| imap_uid(uid));
        Some(Reached {
            uids: some.into_iter().collect(),
            code: Some(ResponseCode::MessageLimit(limit, lowest)),
        })
    }

    /// As [`Session::reached`], of those with \Deleted.
    pub(super) async fn reached_deleted(
        &mut self,
        mailbox: MailboxId,
        uids: UidSet,
    ) -> Result<Reached, End> {
        if self.service.options.message_limit.is_none() {
            return Ok(Reached { uids, code: None });
        }
        let key = Key::And(vec![
            Key::Uids(uids.clone()),
            Key::Flags(Flags::DELETED, true),
        ]);
        let found = self.run(mailbox, &key).await?;
        let reached = self.highest(found.iter().rev().map(|(uid, _)| *uid));
        Ok(reached.unwrap_or(Reached { uids, code: None }))
    }

    /// What of the mailbox a search goes through (RFC 9738 counts what is searched, not what is found).
    pub(super) fn reached_by(&self, key: &Key) -> Reached {
        let mut within = UidSet::all();
        let keys = match key {
            Key::And(keys) => keys.as_slice(),
            key => std::slice::from_ref(key),
        };
        for key in keys {
            if let Key::Uids(uids) = key {
                within = within.intersection(uids);
            }
        }
        self.reached(within)
    }

    /// Whether one APPEND may have so many messages.
    pub(super) fn admits_messages(&self, count: usize) -> Result<(), End> {
        let limit = self.service.options.message_limit;
        match limit.filter(|limit| usize::try_from(limit.get()).is_ok_and(|most| count > most)) {
            Some(limit) => Err(End::no(
                ResponseCode::MessageLimit(limit.get(), None),
                NOTHING,
            )),
            None => Ok(()),
        }
    }

    /// Whether a FETCH of a part may be of so many messages.
    pub(super) fn admits_part(&self, part: &UidSet) -> Result<(), End> {
        self.reached(part.clone()).all().map(drop).map_err(|end| {
            // It has reached none.
            match end.1 {
                Some(ResponseCode::MessageLimit(limit, _)) => {
                    End::no(ResponseCode::MessageLimit(limit, None), NOTHING)
                }
                _ => end,
            }
        })
    }
}
