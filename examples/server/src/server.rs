//! The whole server: opens the store, listens, and stops in good order.

use hikyaku_mailstore::{MessageCache, Store};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::warn;

use crate::accept::accept;
use crate::addresses::AddressBook;
use crate::examine::{ExamineError, Examining};
use crate::forwarding::Rewriter;
use crate::found::{self, Offers};
use crate::made::Made;
use crate::manners::Manners;
use crate::open_store::open_store;
use crate::privileges::drop_privileges;
use crate::protocol::Protocol;
use crate::shared::Shared;
use crate::start_error::StartError;
use crate::{
    Accounts, Config, acme, control, dmarc, examine, forwarding, prepare, relaying, store_health,
    tls, web,
};

/// How long open connections may continue after shutdown begins.
const GRACE: Duration = Duration::from_secs(4);

/// A running server.
pub struct Server {
    shared: Arc<Shared>,
    addresses: Vec<(Protocol, SocketAddr)>,
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

/// Begins accepting connections on all ports.
fn listen(shared: &Arc<Shared>, ports: Vec<prepare::Port>, tasks: &mut JoinSet<()>) {
    let https = ports
        .iter()
        .find(|(service, ..)| *service == Protocol::Https);
    let https = https.map(|(_, address, _)| address.port());
    let listens: Vec<_> = ports
        .iter()
        .map(|(service, address, _)| (*service, *address))
        .collect();
    let offers = Arc::new(Offers::new(&shared.config, &listens));
    let pages = https.map(|_| found::before(web::pages(shared, tasks), &offers, true));
    let plain = found::before(web::plain(shared, https), &offers, false);
    for (service, _, listener) in ports {
        let web = match service {
            Protocol::Https => pages.clone(),
            Protocol::Http => Some(plain.clone()),
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
        let mut certificates = tls::existing(&config)?;
        let (listeners, errors) = prepare::ports(&config).await;
        if let Some(error) = errors.into_iter().next() {
            return Err(error);
        }
        if drop_privileges(&config.run, &config.data)? {
            // What only root can read could not be loaded again.
            certificates = tls::existing(&config)?;
        }
        relaying::check(&config)?;
        let mut made = Made::begin(&config)?;
        let store = open_store(&config)?;
        made.holds_store();
        if certificates.all().is_empty() {
            certificates.put_own(tls::private(&config)?);
        }
        for open in prepare::open_to_others(&config) {
            warn!("{open}");
        }
        let (stop, stopping) = watch::channel(false);
        let (domains, separators) = (&config.domains, &config.addresses.separators);
        let addresses = AddressBook::open(Arc::clone(&store), domains, separators).await;
        let addresses = addresses.map_err(StartError::Addresses)?;
        let dns = examine::asked(&config)?;
        let manners = Manners::new(&config, &store, &addresses, dns.clone());
        let manners = manners.map_err(ExamineError::from)?;
        let srs = Rewriter::open(&config, &addresses)?;
        let Examining { examiner, counts } =
            examine::examiner(&config, &addresses, dns, srs.as_ref(), &manners)?;
        let shared = Shared::new(
            config,
            store,
            addresses,
            (manners, examiner),
            srs,
            Arc::new(certificates),
            stopping,
        )
        .await
        .map_err(tls::TlsError::from)?;
        let mut tasks = JoinSet::new();
        let tidied = Arc::clone(&shared);
        tasks.spawn(async move {
            if let Err(error) = tidied.cache.tidy(&*tidied.store).await {
                warn!(%error, "the text index could not be tidied");
            }
        });
        store_health::start(&shared, &mut tasks);
        let polite = Arc::clone(&shared);
        tasks.spawn(async move {
            let (manners, stopping) = (&polite.manners, polite.stopping());
            manners.run(&*polite.store, stopping).await;
        });
        tls::start(&shared, &mut tasks);
        let relay = relaying::start(&shared, &mut tasks)?;
        control::start(&shared, &relay, &mut tasks);
        made.keep();
        let addresses: Vec<_> = listeners
            .iter()
            .map(|(service, address, _)| (*service, *address))
            .collect();
        listen(&shared, listeners, &mut tasks);
        acme::start(&shared, &mut tasks);
        forwarding::start(&shared, &mut tasks);
        dmarc::start(&shared, counts, &mut tasks)?;
        Ok(Self {
            shared,
            addresses,
            stop,
            tasks,
        })
    }

    /// Returns all protocols and the addresses they listen on.
    #[must_use]
    pub fn addresses(&self) -> &[(Protocol, SocketAddr)] {
        &self.addresses
    }

    /// Returns the first address that a protocol listens on.
    #[must_use]
    pub fn address(&self, service: Protocol) -> Option<SocketAddr> {
        self.addresses
            .iter()
            .find(|(s, _)| *s == service)
            .map(|(_, address)| *address)
    }

    /// Reloads the certificates for new connections. Each that cannot be used stays in use as it was.
    /// What the ACME server has refused is tried again now.
    ///
    /// # Errors
    /// One line, with the remedy.
    pub fn reload(&self) -> Result<(), StartError> {
        self.shared.acme.ask();
        Ok(tls::reload(&self.shared)?)
    }

    /// Returns the accounts.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.shared.accounts
    }

    /// Returns the store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Returns the cache of the searches.
    #[must_use]
    pub fn cache(&self) -> &Arc<MessageCache> {
        &self.shared.cache
    }

    /// Stops accepting, lets open connections finish for a few seconds, then closes them.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            warn!("some connections were still open and have been closed");
        }
        self.tasks.shutdown().await;
        self.shared.manners.keep();
        if let Some(trace) = self.shared.trace.clone() {
            let _ = tokio::task::spawn_blocking(move || trace.close()).await;
        }
    }
}
