//! A backend of mailboxes in a store, for users whom the application around the webmail has logged in.

use hikyaku_client::{Error, Local, Result};
use hikyaku_mailstore::{BoxFuture, MessageCache, Store};
use hikyaku_wire::Secret;
use std::sync::Arc;

use crate::{Backend, Post, User};

/// A backend without a login of its own: the application around it logs users in with
/// [`SignedIn`](crate::SignedIn). A new user gets mailboxes.
#[derive(Clone)]
pub struct Stored {
    store: Arc<dyn Store>,
    post: Arc<dyn Post>,
    cache: Option<Arc<MessageCache>>,
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stored").finish_non_exhaustive()
    }
}

impl Stored {
    /// Creates a backend over a store; `post` sends its mail.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, post: Arc<dyn Post>) -> Self {
        Self {
            store,
            post,
            cache: None,
        }
    }

    /// Sets the cache for searches, shared with the application around it.
    #[must_use]
    pub fn with_cache(mut self, cache: Arc<MessageCache>) -> Self {
        self.cache = Some(cache);
        self
    }
}

impl Backend for Stored {
    fn log_in<'a>(&'a self, _: &'a str, _: Secret) -> BoxFuture<'a, Result<User>> {
        Box::pin(async { Err(Error::Login("the application around it logs in".into())) })
    }

    fn admit<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<User>> {
        Box::pin(async move {
            let account = match self.store.account(name).await? {
                Some(account) => account.id,
                None => self.store.create_account(name).await?,
            };
            let mut local = Local::direct(Arc::clone(&self.store), account).await?;
            if let Some(cache) = &self.cache {
                local = local.with_cache(Arc::clone(cache));
            }
            Ok(User {
                address: name.to_owned(),
                name: None,
                local,
                post: Arc::clone(&self.post),
            })
        })
    }
}
