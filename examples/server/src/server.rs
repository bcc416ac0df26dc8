//! The whole server: it opens the store, listens, and stops in good order.

use hikyaku_webmail::{Admission, Certificate, Slowed, Throttle, handshake};
use hikyaku_wire::Machine;
use hikyaku_wire::drive::Driver;
use mailstore::{Disk, DiskOptions, Memory, MessageCache, Store, TextIndex};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

use crate::accept::{accept, admission};
use crate::config::StoreKind;
use crate::listener::Stream;
use crate::metrics::{Metrics, count};
use crate::{Accounts, Config, imap, pop3, prepare, queue, store_health, tls, web};

/// How long open connections may continue after shutdown begins.
const GRACE: Duration = Duration::from_secs(4);
/// Rows of mailboxes that are kept in memory: about 32 MiB.
const ROWS: usize = 250_000;
/// Octets of what sorting, threading and searching worked out of messages.
const CACHE: usize = 64 << 20;

/// Why the server does not start: one line, with the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] crate::ConfigError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] crate::tls::TlsError),
    /// Another process holds the data directory.
    #[error("{0} is in use by another server: stop that one, or give another data directory")]
    InUse(String),
    /// The store.
    #[error("{0}: {1}: is it a directory that this user may write to?")]
    Store(String, mailstore::Error),
    /// The store of a later version.
    #[error("{0}: {1}: start the newer version, or put back a copy of the data from before it")]
    Newer(String, mailstore::Error),
    /// The store's database is none.
    #[error(
        "{0}: {1}: put store/store.sqlite back from a copy, or repair it with sqlite3's .recover"
    )]
    Damaged(String, mailstore::Error),
    /// The data folder.
    #[error("{0}: {1}: is it a directory that this user may write to?")]
    Folder(String, std::io::Error),
    /// There is nothing to listen on.
    #[error(
        "no address to listen on: name at least one in [listen], such as imaps = \"0.0.0.0:993\""
    )]
    NoListener,
    /// A port.
    #[error(
        "cannot listen on {0} ({1}): is another server running there? Change [listen], or stop it"
    )]
    Listen(SocketAddr, std::io::Error),
    /// The DNS resolver.
    #[error("DNS: {0}: set [relay] dns")]
    Dns(String),
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) accounts: Accounts,
    pub(crate) tls: TlsAcceptor,
    pub(crate) certificate: Arc<Certificate>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) throttle: Arc<Throttle>,
    /// For IMAP, which reads all of a mailbox with each SELECT, and for all searches.
    pub(crate) cache: Arc<MessageCache>,
    pub(crate) untold: imap::Untold,
    pub(crate) open_maildrops: pop3::OpenMaildrops,
    pub(crate) admission: Arc<Admission>,
    stopping: watch::Receiver<bool>,
}

impl Shared {
    async fn new(
        config: Config,
        store: Arc<dyn Store>,
        certificate: Arc<Certificate>,
        stopping: watch::Receiver<bool>,
    ) -> Result<Arc<Self>, tls::TlsError> {
        let quota = config.limits.quota.0;
        let accounts = Accounts::new(Arc::clone(&store), config.domains.clone(), quota);
        let metrics = Arc::<Metrics>::default();
        let cache = MessageCache::new(ROWS, CACHE);
        Ok(Arc::new(Self {
            accounts: accounts.with_kept_salts().await,
            admission: admission(&config.limits),
            throttle: throttle(&config, &metrics),
            metrics,
            cache: Arc::new(match text_index(&config) {
                Some(index) => cache.with_text_index(index),
                None => cache,
            }),
            untold: imap::Untold::default(),
            open_maildrops: pop3::OpenMaildrops::default(),
            store,
            tls: TlsAcceptor::from(certificate.server_config()?),
            certificate,
            stopping,
            config,
        }))
    }

    /// Resolves when the server stops.
    pub(crate) async fn stopping(&self) {
        let mut stopping = self.stopping.clone();
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Whether the server stops.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// TLS for a stream that was in clear; `None` when it does not come about.
    pub(crate) async fn encrypt(&self, stream: Stream) -> Option<Stream> {
        let Stream::Clear(stream) = stream else {
            return None;
        };
        match handshake(stream, &self.tls).await {
            Ok(stream) => Some(Stream::Tls(Box::new(stream))),
            Err(error) => {
                info!(%error, "no TLS");
                None
            }
        }
    }

    /// What STARTTLS and STLS come to; `None` when the connection is over.
    pub(crate) async fn starttls<M: Machine>(
        &self,
        driver: Driver<M, Stream>,
        tls_established: impl FnOnce(&mut M),
    ) -> Option<Driver<M, Stream>> {
        let (mut machine, stream) = driver.into_parts();
        let stream = self.encrypt(stream).await?;
        tls_established(&mut machine);
        Some(Driver::new(machine, stream))
    }
}

/// What is spoken on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Mail from other servers.
    Smtp,
    /// Mail from users, with STARTTLS.
    Submission,
    /// Mail from users, with TLS at once.
    Submissions,
    /// Mail from a program that has checked it.
    Lmtp,
    /// POP3, with STLS.
    Pop3,
    /// POP3, with TLS at once.
    Pop3s,
    /// IMAP, with STARTTLS.
    Imap,
    /// IMAP, with TLS at once.
    Imaps,
    /// Prometheus.
    Metrics,
    /// The webmail.
    Https,
    /// Leads to the webmail.
    Http,
}

impl Service {
    /// Whether TLS begins at once.
    pub(crate) fn is_implicit_tls(self) -> bool {
        matches!(self, Self::Submissions | Self::Pop3s | Self::Imaps)
    }
}

/// A server that runs.
pub struct Server {
    shared: Arc<Shared>,
    addresses: Vec<(Service, SocketAddr)>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// The store that a configuration names.
///
/// # Errors
/// One line, with the remedy.
pub fn open_store(config: &Config) -> Result<Arc<dyn Store>, StartError> {
    let name = config.data.display().to_string();
    match config.store.kind {
        StoreKind::Memory => Ok(Arc::new(Memory::new())),
        _ => {
            let mut options = DiskOptions::default();
            options.min_free = config.store.min_free.0;
            let disk = Disk::open_with(config.data.join("store"), &options);
            let disk = disk.map_err(|error| match error {
                mailstore::Error::Conflict(_) => StartError::InUse(name),
                mailstore::Error::NewerVersion { .. } => StartError::Newer(name, error),
                mailstore::Error::Damaged(_) => StartError::Damaged(name, error),
                error => StartError::Store(name, error),
            })?;
            store_health::report(&disk.health());
            Ok(Arc::new(disk))
        }
    }
}

/// The text index beside a store on disk; in memory there is nothing to be read.
fn text_index(config: &Config) -> Option<TextIndex> {
    if !config.store.text_index || config.store.kind == StoreKind::Memory {
        return None;
    }
    // With the store, so that whoever puts back an old store puts back its index too.
    let index = TextIndex::open(config.data.join("store/text"));
    index
        .inspect_err(|error| warn!(%error, "there is no text index"))
        .ok()
}

/// What slows down logins, with what it counts.
fn throttle(config: &Config, metrics: &Arc<Metrics>) -> Arc<Throttle> {
    let exempt = config.auth.exempt.clone();
    let metrics = Arc::clone(metrics);
    let observe = move |slowed| match slowed {
        Slowed::Delayed => count(&metrics.logins_delayed_total),
        _ => count(&metrics.logins_turned_away_total),
    };
    Arc::new(Throttle::new(move |peer| exempt.contains(peer), observe))
}

/// Begins accepting connections everywhere.
fn listen(shared: &Arc<Shared>, ports: Vec<prepare::Port>, tasks: &mut JoinSet<()>) {
    let https = ports
        .iter()
        .find(|(service, ..)| *service == Service::Https);
    let https = https.map(|(_, address, _)| address.port());
    let pages = https.map(|_| web::pages(shared, tasks));
    let redirect = https.map(|port| web::redirect(shared, port));
    for (service, _, listener) in ports {
        let web = match service {
            Service::Https => pages.clone(),
            Service::Http => redirect.clone(),
            _ => None,
        };
        tasks.spawn(accept(Arc::clone(shared), service, listener, web));
    }
}

impl Server {
    /// Opens the store, listens everywhere, and serves until [`Server::stop`].
    ///
    /// # Errors
    /// One line, with the remedy.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let existing = tls::existing(&config)?;
        let (listeners, errors) = prepare::ports(&config).await;
        if let Some(error) = errors.into_iter().next() {
            return Err(error);
        }
        queue::check(&config).map_err(StartError::Dns)?;
        let mut made = prepare::Made::begin(&config)?;
        let store = open_store(&config)?;
        made.holds_store();
        let certificate = match existing {
            Some(certificate) => certificate,
            None => tls::private(&config)?,
        };
        for open in prepare::open_to_others(&config) {
            warn!("{open}");
        }
        let (stop, stopping) = watch::channel(false);
        let shared = Shared::new(config, store, certificate, stopping).await?;
        let mut tasks = JoinSet::new();
        let tidied = Arc::clone(&shared);
        tasks.spawn(async move {
            if let Err(error) = tidied.cache.tidy(&*tidied.store).await {
                warn!(%error, "the text index was not tidied");
            }
        });
        store_health::start(&shared, &mut tasks);
        tls::start(&shared, &mut tasks);
        queue::start(&shared, &mut tasks).map_err(StartError::Dns)?;
        crate::control::start(&shared, &mut tasks);
        made.keep();
        let addresses: Vec<_> = listeners
            .iter()
            .map(|(service, address, _)| (*service, *address))
            .collect();
        listen(&shared, listeners, &mut tasks);
        Ok(Self {
            shared,
            addresses,
            stop,
            tasks,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[(Service, SocketAddr)] {
        &self.addresses
    }

    /// Where it listens for that, first.
    #[must_use]
    pub fn address(&self, service: Service) -> Option<SocketAddr> {
        self.addresses
            .iter()
            .find(|(s, _)| *s == service)
            .map(|(_, address)| *address)
    }

    /// Loads the certificate again: new connections get the new one. One that cannot be used changes nothing.
    ///
    /// # Errors
    /// One line, with the remedy.
    pub fn reload(&self) -> Result<(), StartError> {
        Ok(tls::reload(&self.shared)?)
    }

    /// Its accounts.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.shared.accounts
    }

    /// Its store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// What its searches know.
    #[must_use]
    pub fn cache(&self) -> &Arc<MessageCache> {
        &self.shared.cache
    }

    /// Lets what is in flight finish, for a few seconds, and stops.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            warn!("some connections did not end in time");
        }
        self.tasks.shutdown().await;
    }
}
