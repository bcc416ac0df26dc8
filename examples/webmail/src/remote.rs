//! A backend in front of any IMAP or POP3 server with its submission server. What was fetched lives in a
//! store here: with POP3 all of it, with IMAP the lists and what was read.

use bytes::Bytes;
use hikyaku_client::{
    Account, Bodies, Deletion, Error, Fate, Fingerprint, Interval, Kind, Local, Message, Octets,
    Password, Result, Server, Submission, Tcp, fetch_whole, sync,
};
use hikyaku_mailstore::{BoxFuture, MessageCache, Store};
use hikyaku_wire::Secret;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Mutex;

use crate::{Backend, NoPost, Post, User};

/// A mail provider: its servers, where all users log in.
#[derive(Debug, Clone)]
pub struct Provider {
    /// POP3 or IMAP.
    pub kind: Kind,
    /// The server that mail is fetched from.
    pub incoming: Server,
    /// The server that mail is submitted to.
    pub outgoing: Server,
    /// The domain for users who log in with the local part alone.
    pub domain: Option<String>,
    /// Certificates to trust besides the system's, a PEM file: authorities', or the servers' own.
    pub ca: Option<PathBuf>,
    /// Fingerprints of the servers' certificates: when there are any, nothing else is trusted.
    pub fingerprint: Vec<Fingerprint>,
    /// The largest message to fetch, in octets (64 MiB): a message is held in memory while it is shown.
    pub largest_message: Octets,
    /// How often to check for new mail while a user is logged in; IMAP servers with IDLE report it
    /// themselves.
    pub interval: Duration,
}

impl Provider {
    /// The default of [`largest_message`](Self::largest_message).
    pub const LARGEST: Octets = Octets(64 * 1024 * 1024);

    /// Creates a provider with defaults for everything else.
    #[must_use]
    pub fn new(kind: Kind, incoming: Server, outgoing: Server) -> Self {
        Self {
            kind,
            incoming,
            outgoing,
            domain: None,
            ca: None,
            fingerprint: Vec::new(),
            largest_message: Self::LARGEST,
            interval: Duration::from_secs(60),
        }
    }
}

/// Rows of mailboxes that are kept in memory for searches.
const ROWS: usize = 250_000;
/// Octets of what they worked out of messages.
const CACHE: usize = 16 << 20;

/// The backend in front of a provider.
pub struct Remote {
    provider: Provider,
    store: Arc<dyn Store>,
    cache: Arc<MessageCache>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

impl Remote {
    /// Creates a backend that keeps fetched mail in `store`.
    #[must_use]
    pub fn new(provider: Provider, store: Arc<dyn Store>) -> Self {
        Self {
            provider,
            store,
            cache: Arc::new(MessageCache::new(ROWS, CACHE)),
        }
    }

    /// Sets the cache for searches of that store, such as one with a text index.
    #[must_use]
    pub fn with_cache(mut self, cache: Arc<MessageCache>) -> Self {
        self.cache = cache;
        self
    }

    fn address(&self, name: &str) -> String {
        let address = match &self.provider.domain {
            Some(domain) if !name.contains('@') => format!("{name}@{domain}"),
            _ => name.to_owned(),
        };
        address.to_lowercase()
    }

    fn account(&self, name: &str, password: &Secret) -> Result<Account> {
        let password = password
            .expose_str()
            .ok_or_else(|| Error::Login("not UTF-8".into()))?;
        Ok(Account {
            address: self.address(name),
            name: None,
            login: Some(name.to_owned()),
            kind: self.provider.kind,
            incoming: self.provider.incoming.clone(),
            outgoing: self.provider.outgoing.clone(),
            // In clear in this process's memory alone, for as long as the session is.
            password: Password::InClear(password.to_owned()),
            ca: self.provider.ca.clone(),
            fingerprint: self.provider.fingerprint.clone(),
            largest_message: self.provider.largest_message,
            delete: Deletion::Never,
            bodies: Bodies::Headers,
            interval: Interval::default(),
        })
    }
}

impl Remote {
    /// Somebody's mailboxes, kept up to date for as long as the session lives. What was brought last, or why not.
    async fn follow(&self, account: Account) -> Result<(User, Result<()>)> {
        let local = Local::of(Arc::clone(&self.store), &account).await?;
        let local = local.with_cache(Arc::clone(&self.cache));
        let elsewhere = Arc::new(Elsewhere {
            dial: account.dial(),
            account: account.clone(),
            quota: Mutex::default(),
        });
        // The server says whether the password is right, and brings the list at once.
        let brought = elsewhere.bring(&local).await;
        if !matches!(brought, Err(Error::Login(_))) {
            tokio::spawn(follow(
                Arc::downgrade(&elsewhere),
                local.clone(),
                self.provider.interval,
            ));
        }
        let user = User {
            address: account.address.clone(),
            name: None,
            local,
            post: elsewhere,
        };
        Ok((user, brought))
    }
}

impl Backend for Remote {
    fn log_in<'a>(&'a self, name: &'a str, password: Secret) -> BoxFuture<'a, Result<User>> {
        Box::pin(async move {
            let account = self.account(name, &password)?;
            let (user, brought) = self.follow(account).await?;
            brought.map(|()| user)
        })
    }

    fn login_name(&self, name: &str) -> String {
        self.address(name)
    }

    fn sessions(&self) -> Option<Arc<dyn Store>> {
        Some(Arc::clone(&self.store))
    }

    fn needs_password(&self) -> bool {
        true
    }

    fn resume<'a>(
        &'a self,
        account: &'a hikyaku_mailstore::Account,
        login: Option<(String, Secret)>,
    ) -> BoxFuture<'a, Result<User>> {
        Box::pin(async move {
            if let Some((name, password)) = login {
                let account = self.account(&name, &password)?;
                // Its server may be away for the moment; what was brought is here.
                return match self.follow(account).await? {
                    (_, Err(error @ Error::Login(_))) => Err(error),
                    (user, _) => Ok(user),
                };
            }
            let local = match self.provider.kind {
                Kind::Pop => Local::direct(Arc::clone(&self.store), account.id).await?,
                Kind::Imap => Local::mirror(Arc::clone(&self.store), &account.name).await?,
            };
            Ok(User {
                address: account.name.clone(),
                name: None,
                local,
                post: Arc::new(NoPost),
            })
        })
    }
}

struct Elsewhere {
    account: Account,
    dial: Tcp,
    /// One sync at a time; what the last one said of the quota.
    quota: Mutex<Option<(u64, u64)>>,
}

impl Elsewhere {
    async fn bring(&self, local: &Local) -> Result<()> {
        let mut quota = self.quota.lock().await;
        let report = sync(&self.dial, local, &self.account, &()).await?;
        *quota = report.quota;
        Ok(())
    }
}

/// Brings new mail when the server says that there is some, or when the interval is over, for as long as
/// the session lives. The page hears of it from the store.
async fn follow(elsewhere: Weak<Elsewhere>, local: Local, interval: Duration) {
    loop {
        let Some(one) = elsewhere.upgrade() else {
            return;
        };
        let (dial, account) = (one.dial.clone(), one.account.clone());
        drop(one);
        let mut changed = std::pin::pin!(changed(&dial, &account));
        // IDLE may have failed, or not be there: asking is cheap where nothing is new.
        tokio::select! {
            () = &mut changed => {}
            () = tokio::time::sleep(interval) => {}
        }
        let Some(one) = elsewhere.upgrade() else {
            return;
        };
        if one.bring(&local).await.is_err() {
            tokio::time::sleep(interval).await;
        }
    }
}

/// Ends when the server says that INBOX changed; never, where it cannot say so.
async fn changed(dial: &Tcp, account: &Account) {
    match account.kind {
        Kind::Imap if hikyaku_client::imap::changed(dial, account).await.is_ok() => {}
        _ => std::future::pending().await,
    }
}

impl Post for Elsewhere {
    fn send<'a>(
        &'a self,
        user: &'a User,
        to: Vec<String>,
        message: Bytes,
    ) -> BoxFuture<'a, Result<Vec<(String, Fate)>>> {
        Box::pin(async move {
            let account = &self.account;
            let password = account.password.get(&account.address).await?;
            let mut session =
                Submission::open(&self.dial, &account.outgoing, account.login(), password).await?;
            let fates = session.send(&user.address, &to, &message).await?;
            session.quit().await;
            Ok(to.into_iter().zip(fates).collect())
        })
    }

    fn refresh<'a>(&'a self, user: &'a User) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.bring(&user.local))
    }

    fn fetch<'a>(&'a self, user: &'a User, message: &'a Message) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(async move { fetch_whole(&self.dial, &user.local, &self.account, message).await })
    }

    fn quota<'a>(&'a self, _: &'a User) -> BoxFuture<'a, Result<Option<(u64, u64)>>> {
        Box::pin(async move { Ok(*self.quota.lock().await) })
    }
}
