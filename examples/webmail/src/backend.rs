//! The backend: who logs in, where their mail is, and how mail is sent.

use bytes::Bytes;
use hikyaku_client::{Error, Fate, Local, Result};
use hikyaku_mailstore::{Account, BoxFuture, Store};
use hikyaku_wire::Secret;
use std::sync::Arc;

/// The source of accounts and mail: a mail server's own store, or another server.
pub trait Backend: Send + Sync + 'static {
    /// Logs a user in by name and password.
    fn log_in<'a>(&'a self, name: &'a str, password: Secret) -> BoxFuture<'a, Result<User>>;

    /// Returns the one spelling of a login name, whether the account exists or not; guesses are
    /// counted by it.
    fn login_name(&self, name: &str) -> String {
        name.to_lowercase()
    }

    /// Returns the store that keeps sessions, so that they outlive this process. Without one they end
    /// with it.
    fn sessions(&self) -> Option<Arc<dyn Store>> {
        None
    }

    /// Returns whether continuing a session needs the name and the password of its login. They are kept
    /// encrypted with a key that the browser alone has.
    fn needs_password(&self) -> bool {
        false
    }

    /// Returns a value that changes with the password; a session that began with another value is over.
    fn stamp(&self, account: &Account) -> String {
        let _ = account;
        String::new()
    }

    /// Continues the session of a user who logged in before, with the name and password if needed; without
    /// it, to keep a draft and do nothing else.
    fn resume<'a>(
        &'a self,
        account: &'a Account,
        login: Option<(String, Secret)>,
    ) -> BoxFuture<'a, Result<User>> {
        let _ = login;
        Box::pin(async move { Err(Error::Login(format!("{} has to log in", account.name))) })
    }

    /// Returns a user whom the application around it has logged in ([`SignedIn`](crate::SignedIn)).
    fn admit<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<User>> {
        Box::pin(async move { Err(Error::Login(format!("{name} has to log in here"))) })
    }
}

/// Sends a user's mail, and keeps the mailboxes up to date.
pub trait Post: Send + Sync {
    /// Sends a message; returns the fate of each recipient. Nothing is kept here, and nothing is tried again
    /// later: the next call sends to recipients that were not accepted.
    ///
    /// An error means that nobody has it; where that is not known, the fate is [`Fate::Unknown`].
    fn send<'a>(
        &'a self,
        user: &'a User,
        to: Vec<String>,
        message: Bytes,
    ) -> BoxFuture<'a, Result<Vec<(String, Fate)>>>;

    /// Fetches new mail and uploads changes made here. Does nothing if this store is where mail
    /// rests.
    fn refresh<'a>(&'a self, user: &'a User) -> BoxFuture<'a, Result<()>>;

    /// Fetches the whole of a message that so far is only listed.
    fn fetch<'a>(
        &'a self,
        user: &'a User,
        message: &'a hikyaku_client::Message,
    ) -> BoxFuture<'a, Result<Bytes>>;

    /// Returns the octets used and allowed, if there is a quota.
    fn quota<'a>(&'a self, user: &'a User) -> BoxFuture<'a, Result<Option<(u64, u64)>>>;
}

/// A user who is logged in.
#[derive(Clone)]
pub struct User {
    /// The address.
    pub address: String,
    /// The name shown beside the address in messages that are sent.
    pub name: Option<String>,
    /// The mailboxes.
    pub local: Local,
    /// How mail is sent.
    pub post: Arc<dyn Post>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl User {
    /// All of a message.
    pub(crate) async fn whole(&self, message: &hikyaku_client::Message) -> Result<Bytes> {
        match self.local.whole(message).await? {
            Some(whole) => Ok(whole),
            None => self.post.fetch(self, message).await,
        }
    }
}

/// A [`Post`] for mailboxes without sending: it refuses every message.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPost;

impl Post for NoPost {
    fn send<'a>(
        &'a self,
        _: &'a User,
        _: Vec<String>,
        _: Bytes,
    ) -> BoxFuture<'a, Result<Vec<(String, Fate)>>> {
        Box::pin(async { Err(Error::Usage("sending is switched off here".into())) })
    }

    fn refresh<'a>(&'a self, _: &'a User) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn fetch<'a>(
        &'a self,
        _: &'a User,
        message: &'a hikyaku_client::Message,
    ) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(async move { Err(Error::NotFound(format!("message: {}", message.name))) })
    }

    fn quota<'a>(&'a self, _: &'a User) -> BoxFuture<'a, Result<Option<(u64, u64)>>> {
        Box::pin(async { Ok(None) })
    }
}
