//! In front of any IMAP or POP3 server with a submission server beside it. What was brought lives in a
//! store here: with POP3 all of it, with IMAP the lists and what was read.

use bytes::Bytes;
use hikyaku_client::{
    Account, Bodies, Deletion, Dial, Error, Fate, Interval, Kind, Local, Message, Password,
    Progress, Result, Server, Tcp, fetch_whole, queue, send_all, sync,
};
use hikyaku_wire::Secret;
use mailstore::{BoxFuture, Store};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Mutex;

use crate::{Backend, Post, User};

/// Whose servers: all who log in are theirs.
#[derive(Debug, Clone)]
pub struct Provider {
    /// POP3 or IMAP.
    pub kind: Kind,
    /// Where mail comes from.
    pub incoming: Server,
    /// Where mail goes.
    pub outgoing: Server,
    /// Behind the `@`, for who logs in with the local part alone.
    pub domain: Option<String>,
    /// A certificate authority to trust besides the system's.
    pub ca: Option<PathBuf>,
}

/// The backend in front of a provider.
pub struct Remote {
    provider: Provider,
    store: Arc<dyn Store>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

impl Remote {
    /// With that store for what is brought.
    #[must_use]
    pub fn new(provider: Provider, store: Arc<dyn Store>) -> Self {
        Self { provider, store }
    }

    fn account(&self, name: &str, password: &Secret) -> Result<Account> {
        let address = match &self.provider.domain {
            Some(domain) if !name.contains('@') => format!("{name}@{domain}"),
            _ => name.to_owned(),
        };
        let password = password
            .expose_str()
            .ok_or_else(|| Error::Login("not UTF-8".into()))?;
        Ok(Account {
            address: address.to_lowercase(),
            name: None,
            login: Some(name.to_owned()),
            kind: self.provider.kind,
            incoming: self.provider.incoming.clone(),
            outgoing: self.provider.outgoing.clone(),
            // In this process's memory alone, for as long as the session is.
            password: Password::InClear(password.to_owned()),
            ca: self.provider.ca.clone(),
            delete: Deletion::Never,
            bodies: Bodies::Headers,
            interval: Interval::default(),
        })
    }
}

impl Backend for Remote {
    fn log_in<'a>(&'a self, name: &'a str, password: Secret) -> BoxFuture<'a, Result<User>> {
        Box::pin(async move {
            let account = self.account(name, &password)?;
            let local = Local::of(Arc::clone(&self.store), &account).await?;
            let elsewhere = Elsewhere {
                dial: Tcp {
                    ca: account.ca.clone(),
                },
                account: account.clone(),
                quota: Mutex::default(),
            };
            let user = User {
                address: account.address.clone(),
                name: None,
                local,
                post: Arc::new(elsewhere),
            };
            // The server says whether the password is right, and brings the list at once.
            user.post.refresh(&user).await?;
            Ok(user)
        })
    }
}

struct Elsewhere {
    account: Account,
    dial: Tcp,
    /// One sync at a time; what the last one said of the quota.
    quota: Mutex<Option<(u64, u64)>>,
}

impl Post for Elsewhere {
    fn send<'a>(
        &'a self,
        user: &'a User,
        to: Vec<String>,
        message: Bytes,
    ) -> BoxFuture<'a, Result<Vec<(String, Fate)>>> {
        Box::pin(async move {
            queue(&user.local, &user.address, to, message).await?;
            let fates = send_all(&self.dial as &dyn Dial, &user.local, &self.account).await?;
            self.refresh(user).await?;
            Ok(fates)
        })
    }

    fn refresh<'a>(&'a self, user: &'a User) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut quota = self.quota.lock().await;
            let report = sync(&self.dial, &user.local, &self.account, &Progress::hidden()).await?;
            *quota = report.quota;
            Ok(())
        })
    }

    fn fetch<'a>(&'a self, user: &'a User, message: &'a Message) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(async move { fetch_whole(&self.dial, &user.local, &self.account, message).await })
    }

    fn quota<'a>(&'a self, _: &'a User) -> BoxFuture<'a, Result<Option<(u64, u64)>>> {
        Box::pin(async move { Ok(*self.quota.lock().await) })
    }
}
