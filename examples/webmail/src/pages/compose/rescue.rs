//! Keeps what was written when it cannot be sent or its session is over.

use hikyaku_client::Error;

use super::attempt::Attempt;
use super::draft::Writing;
use super::senders::{sender, sender_of};
use super::upload::Sent;
use super::written::{Written, is_key, new_key};
use crate::User;
use crate::pages::carried::Carried;

/// Saves what came for somebody: its name, and what was too large.
pub(super) async fn rescue(
    user: &User,
    mut sent: Sent,
    most: usize,
) -> Result<(String, Vec<String>), Error> {
    let attempt = Attempt::of(user, &sent.written.key).await?;
    if attempt.is_finished() {
        if attempt.is_of(&sent.digest()) {
            return Ok((String::new(), Vec::new()));
        }
        sent.written.key = new_key();
    }
    let mut writing = Writing::of(user, sent.written).await?;
    writing.detach(&sent.remove);
    let too_large = writing.attach(sent.files, most);
    keep(user, &mut writing).await?;
    Ok((writing.written.key, too_large))
}

/// What was written, out of the fields of a login.
pub(crate) fn carried(fields: &[(String, String)]) -> Written {
    let mut written = Written::default();
    for (name, value) in fields {
        written.set(name, value);
    }
    written
}

impl Written {
    /// For a login to carry; or in place of it, a draft's name.
    pub(crate) fn carried(&self, kept: &str) -> Carried {
        let (kept, owner) = (kept.to_owned(), self.owner.clone());
        if !kept.is_empty() || self.is_empty() {
            return Carried {
                kept,
                owner,
                ..Carried::default()
            };
        }
        Carried {
            kept,
            owner,
            fields: self.fields(),
            text: self.text.clone(),
        }
    }

    /// Saves it as a draft of somebody who logged in: its name.
    pub(crate) async fn keep(&self, user: &User) -> Result<String, Error> {
        let sent = Sent {
            written: self.clone(),
            ..Sent::default()
        };
        Ok(rescue(user, sent, 0).await?.0)
    }
}

/// A draft's name, if it is one of that person's.
pub(crate) async fn is_kept(user: &User, key: &str) -> Option<String> {
    if !is_key(key) {
        return None;
    }
    let kept = Writing::kept(user, key).await.ok().flatten();
    kept.map(|_| key.to_owned())
}

/// Saves it as a draft.
pub(super) async fn keep(user: &User, writing: &mut Writing) -> Result<(), Error> {
    let elsewhere = sender(user, &writing.written.from).await?;
    let from = sender_of(user, elsewhere.as_ref());
    writing.keep(user, &from).await
}
