//! The connection of a sync, opened anew when the server closes it.
//!
//! Servers restart, limit what one connection may do, and die of one message or one mailbox: whoever asks for it
//! loses the connection, each time. What was asked for when that happened is passed over when it happens twice,
//! and named; everything else is brought.

use hikyaku_wire::Secret;
use std::collections::BTreeMap;

use super::Session;
use super::able::Able;
use crate::{Account, Dial, Error, Result};

/// How often one sync connects again.
const AGAIN: usize = 20;

/// A connection, and what it takes to open the next one.
pub(super) struct Line<'a> {
    dial: &'a dyn Dial,
    account: &'a Account,
    password: &'a Secret,
    pub(super) session: Session,
    pub(super) able: Able,
    lost: usize,
}

impl<'a> Line<'a> {
    pub(super) async fn open(
        dial: &'a dyn Dial,
        account: &'a Account,
        password: &'a Secret,
    ) -> Result<Self> {
        let (session, able) = session(dial, account, password).await?;
        Ok(Self {
            dial,
            account,
            password,
            session,
            able,
            lost: 0,
        })
    }

    /// Connects again, after the connection was lost because of `error`.
    ///
    /// # Errors
    /// That one, where there is no new connection, or were too many; those that are of no connection.
    pub(super) async fn again(&mut self, error: Error) -> Result<Error> {
        if !matches!(error, Error::Network(_) | Error::Protocol(_)) || self.lost >= AGAIN {
            return Err(error);
        }
        self.lost += 1;
        match session(self.dial, self.account, self.password).await {
            Ok((session, able)) => {
                self.session = session;
                self.able = able;
                Ok(error)
            }
            Err(_) => Err(error),
        }
    }
}

async fn session(dial: &dyn Dial, account: &Account, password: &Secret) -> Result<(Session, Able)> {
    let password = Secret::from(password.expose().to_vec());
    let session = Session::open(dial, &account.incoming, account.login(), password);
    let mut session = session.await?;
    let able = Able::of(&mut session).await?;
    Ok((session, able))
}

/// How the error of a connection begins that ended before its answers.
const ENDED: &str = "the connection ended before the answer";

/// What was on its way in a mailbox when connections were lost.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// Messages that are not asked for any more, and why.
    pub(super) avoid: BTreeMap<u32, String>,
    /// The first message that had not come, at the last loss.
    last: Option<u32>,
    /// Losses without any message on its way.
    blank: usize,
}

impl Lost {
    /// Notes one more loss, by that error. Whether the mailbox is tried again.
    pub(super) fn one_more(&mut self, suspect: Option<u32>, error: &Error) -> bool {
        match suspect {
            Some(uid) if self.last == Some(uid) => {
                let why = match error {
                    Error::Protocol(why) if !why.starts_with(ENDED) => why.clone(),
                    _ => "the server closes the connection when it is asked for it".to_owned(),
                };
                self.avoid.insert(uid, why);
                self.last = None;
                true
            }
            Some(uid) => {
                self.last = Some(uid);
                true
            }
            None => {
                self.blank += 1;
                self.blank < 2
            }
        }
    }
}
