//! Reception with manners: limits by time for connections, messages, recipients and accounts; and what is looked at of
//! clients that have not logged in.

mod by_network;
mod correspondents;
mod cost;
mod dnsbl;
mod greylist;
mod helo;
mod lately;
mod limited;
mod mark;
mod notice;
mod reverse;
mod score;
mod sending;
mod settings;
mod strangers;

pub(crate) use score::{FIELD, Score};
pub use settings::{Courtesy, Delay, Dnsbl, Manner, Weights};
pub(crate) use strangers::{Strangers, is_open};

use hikyaku_mailstore::Store;
use hikyaku_service::Examiner;
use hikyaku_trust::Checker;
use hikyaku_trust::dns::{Ask, NoResolver};
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::warn;

use crate::addresses::AddressBook;
use crate::admission::Purpose;
use crate::config::{Config, StoreKind};
use crate::metrics::Metrics;
use crate::network::Networks;
use crate::private;
use by_network::ByNetwork;
use greylist::Greylist;
use limited::Limited;
use notice::Notice;
use sending::Sending;
use strangers::Means;

/// The folder of what is kept, in the data folder.
const FOLDER: &str = "manners";
/// What accounts have sent.
const SENDING: &str = "sending.json";
/// Whom greylisting knows.
const GREYLIST: &str = "greylist.json";
/// How often they are kept.
const KEEP: Duration = Duration::from_secs(10);
const KEEP_GREYLIST: Duration = Duration::from_secs(60);
/// Notices that wait to be posted.
const NOTICES: usize = 64;

/// What limits clients and accounts by time.
pub(crate) struct Manners {
    pub(crate) metrics: Arc<Metrics>,
    exempt: Networks,
    connections: Option<ByNetwork>,
    limited: Arc<Limited>,
    strangers: Option<Arc<Strangers>>,
    folder: Option<PathBuf>,
    notices: Mutex<Option<mpsc::Receiver<Notice>>>,
    hostname: String,
    domain: String,
}

impl Manners {
    /// As configured, with what was kept. `dns` is for `[manners]`.
    pub(crate) fn new(
        config: &Config,
        store: &Arc<dyn Store>,
        addresses: &AddressBook,
        dns: Option<Arc<dyn Ask>>,
    ) -> Result<Arc<Self>, NoResolver> {
        let metrics = Arc::<Metrics>::default();
        let limits = &config.limits;
        // What a store in memory loses is lost with it.
        let on_disk = config.store.kind != StoreKind::Memory;
        let folder = on_disk.then(|| config.data.join(FOLDER));
        let mut sending = Sending::new(limits.account.clone());
        let kept = |name| {
            folder
                .as_ref()
                .and_then(|folder| std::fs::read(folder.join(name)).ok())
        };
        if let Some(kept) = kept(SENDING) {
            sending.read(&kept);
        }
        let strangers = match (&config.manners, dns) {
            (Some(manner), Some(dns)) => {
                let mut greylist = Greylist::new(manner.greylisting_delay.0.0);
                if let Some(kept) = kept(GREYLIST) {
                    greylist.read(&kept);
                }
                let own = std::slice::from_ref(&config.hostname);
                let means = Means {
                    hostname: config.hostname.clone(),
                    exempt: limits.exempt.clone(),
                    addresses: addresses.clone(),
                    checker: Checker::new(&config.hostname, own, Arc::clone(&dns))?,
                    dns,
                    greylist,
                    metrics: Arc::clone(&metrics),
                };
                Some(Arc::new(Strangers::new(manner.clone(), means)))
            }
            _ => None,
        };
        let (sender, notices) = mpsc::channel(NOTICES);
        let store = Arc::clone(store);
        let limited = Limited::new(
            limits,
            sending,
            store,
            addresses,
            Arc::clone(&metrics),
            sender,
        );
        Ok(Arc::new(Self {
            metrics,
            exempt: limits.exempt.clone(),
            connections: ByNetwork::per(limits.connections_per_minute, Duration::from_secs(60)),
            limited: Arc::new(limited),
            strangers,
            folder,
            notices: Mutex::new(Some(notices)),
            hostname: config.hostname.clone(),
            domain: config.domains.first().cloned().unwrap_or_default(),
        }))
    }

    /// Who looks at strangers.
    pub(crate) fn strangers(&self) -> Option<&Arc<Strangers>> {
        self.strangers.as_ref()
    }

    /// What looks at clients and recipients.
    pub(crate) fn limits(&self) -> Arc<dyn Examiner> {
        Arc::<Limited>::clone(&self.limited)
    }

    /// Whether a connection may come in, after those that came from there lately.
    pub(crate) fn admits(&self, purpose: Purpose, address: IpAddr) -> bool {
        let is_free = matches!(purpose, Purpose::Lmtp | Purpose::Metrics);
        let Some(connections) = self.connections.as_ref().filter(|_| !is_free) else {
            return true;
        };
        let taken = || connections.take(purpose as u8, address, 1, Instant::now());
        self.exempt.contains(address) || taken().is_ok()
    }

    /// Keeps what is to outlast a restart, and posts notices, until `stopping`.
    pub(crate) async fn run(&self, store: &dyn Store, stopping: impl Future<Output = ()>) {
        let notices = self
            .notices
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut notices) = notices else { return };
        let mut stopping = std::pin::pin!(stopping);
        let mut keep = tokio::time::interval(KEEP);
        let mut keep_greylist = tokio::time::interval(KEEP_GREYLIST);
        loop {
            tokio::select! {
                _ = keep.tick() => self.kept(SENDING).await,
                _ = keep_greylist.tick() => self.kept(GREYLIST).await,
                Some(notice) = notices.recv() => {
                    let posted = notice::post(store, &self.hostname, &self.domain, &notice).await;
                    if let Err(error) = posted {
                        warn!(%error, "the operator could not be notified of an account that sends much");
                    }
                }
                () = &mut stopping => break,
            }
        }
    }

    /// Writes what has changed. It waits for the disk.
    pub(crate) fn keep(&self) {
        for name in [SENDING, GREYLIST] {
            if let (Some(folder), Some(text)) = (&self.folder, self.changed(name)) {
                self.is_written(name, &private::write(folder, name, &text));
            }
        }
    }

    /// The same for one of them, on a thread that may wait.
    async fn kept(&self, name: &'static str) {
        let (Some(folder), Some(text)) = (self.folder.clone(), self.changed(name)) else {
            return;
        };
        let write = move || private::write(&folder, name, &text);
        let written = tokio::task::spawn_blocking(write).await;
        self.is_written(name, &written.unwrap_or_else(|error| Err(error.into())));
    }

    /// What is to be written, if it has changed.
    fn changed(&self, name: &str) -> Option<Vec<u8>> {
        if name == SENDING {
            let mut sending = self.limited.sending();
            return std::mem::take(&mut sending.is_changed).then(|| sending.written());
        }
        let mut greylist = self.strangers.as_ref()?.greylist();
        std::mem::take(&mut greylist.is_changed).then(|| greylist.written())
    }

    /// What could not be written is tried again.
    fn is_written(&self, name: &str, written: &io::Result<()>) {
        let Err(error) = written else { return };
        warn!(%error, name, "what was found out about clients could not be kept: it is tried again");
        match &self.strangers {
            Some(strangers) if name == GREYLIST => strangers.greylist().is_changed = true,
            _ => self.limited.sending().is_changed = true,
        }
    }
}
