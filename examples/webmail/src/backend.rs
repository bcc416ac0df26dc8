//! Whose mail is shown, where it is, and how it leaves.

use bytes::Bytes;
use hikyaku_client::{Error, Fate, Local, Result};
use hikyaku_wire::Secret;
use mailstore::{Account, BoxFuture, Store};
use std::sync::Arc;

/// Where people and their mail are: a mail server's own store, or another server.
pub trait Backend: Send + Sync + 'static {
    /// The person of that name and password.
    fn log_in<'a>(&'a self, name: &'a str, password: Secret) -> BoxFuture<'a, Result<User>>;

    /// The one spelling of a name that somebody logs in with, whether there is such a person or not: guesses are
    /// counted by it.
    fn login_name(&self, name: &str) -> String {
        name.to_lowercase()
    }

    /// Where sessions are kept, so that they outlive this process: the store of the mailboxes. Without one they end
    /// with it.
    fn sessions(&self) -> Option<Arc<dyn Store>> {
        None
    }

    /// Whether a session can be continued with the name and the password of its login only. They are kept encrypted
    /// with a key that the browser alone has.
    fn needs_password(&self) -> bool {
        false
    }

    /// What is another one when the password is: a session that began with another one is over.
    fn stamp(&self, account: &Account) -> String {
        let _ = account;
        String::new()
    }

    /// The person of an account who was logged in before, with what that was done with, where it is needed; without
    /// it, to keep a draft and do nothing else.
    fn resume<'a>(
        &'a self,
        account: &'a Account,
        login: Option<(String, Secret)>,
    ) -> BoxFuture<'a, Result<User>> {
        let _ = login;
        Box::pin(async move { Err(Error::Login(format!("{} has to log in", account.name))) })
    }

    /// A person whom the application around it has logged in ([`SignedIn`](crate::SignedIn)).
    fn admit<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<User>> {
        Box::pin(async move { Err(Error::Login(format!("{name} has to log in here"))) })
    }
}

/// How a person's mail leaves, and how the mailboxes are brought up to date.
pub trait Post: Send + Sync {
    /// Hands on a message: what became of each recipient. Nothing of it is kept here, and nothing is tried again
    /// later: who was not accepted is sent to by the next call.
    ///
    /// An error means that nobody has it; where that is not known, the fate is [`Fate::Unknown`].
    fn send<'a>(
        &'a self,
        user: &'a User,
        to: Vec<String>,
        message: Bytes,
    ) -> BoxFuture<'a, Result<Vec<(String, Fate)>>>;

    /// Brings what is new, and does elsewhere what was done here. Nothing, where this is where mail
    /// rests.
    fn refresh<'a>(&'a self, user: &'a User) -> BoxFuture<'a, Result<()>>;

    /// All of a message that is in a list only so far.
    fn fetch<'a>(
        &'a self,
        user: &'a User,
        message: &'a hikyaku_client::Message,
    ) -> BoxFuture<'a, Result<Bytes>>;

    /// Octets used and allowed, where there is a limit.
    fn quota<'a>(&'a self, user: &'a User) -> BoxFuture<'a, Result<Option<(u64, u64)>>>;
}

/// A person who is logged in.
#[derive(Clone)]
pub struct User {
    /// The address.
    pub address: String,
    /// The name that stands beside it in what is sent.
    pub name: Option<String>,
    /// The mailboxes.
    pub local: Local,
    /// How mail leaves.
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

/// For mailboxes that nothing leaves: sending is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPost;

impl Post for NoPost {
    fn send<'a>(
        &'a self,
        _: &'a User,
        _: Vec<String>,
        _: Bytes,
    ) -> BoxFuture<'a, Result<Vec<(String, Fate)>>> {
        Box::pin(async { Err(Error::Usage("nothing is sent from here".into())) })
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
