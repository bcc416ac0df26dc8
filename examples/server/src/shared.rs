//! What all connections share.

use hikyaku_mailstore::{MessageCache, Store, TextIndex};
use hikyaku_service::{Examiner, Happened, Options, Service, Step};
use rustls::ServerConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::warn;
use webmail::{Admission, CertificateError, Slowed, Throttle};

use crate::Accounts;
use crate::acme::AcmeState;
use crate::addresses::AddressBook;
use crate::admission::admission;
use crate::certificates::Certificates;
use crate::config::{Config, Plaintext, StoreKind};
use crate::forwarding::Rewriter;
use crate::manners::Manners;
use crate::metrics::{Metrics, count};
use crate::queued::Queued;
use crate::residents::Residents;
use crate::timings::Timings;
use crate::trace::{self, TraceLog};

/// Rows of mailboxes that are kept in memory: about 32 MiB.
const ROWS: usize = 250_000;
/// Octets of what sorting, threading and searching worked out of messages.
const CACHE: usize = 64 << 20;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) accounts: Accounts,
    pub(crate) residents: Arc<Residents>,
    pub(crate) service: Arc<Service>,
    pub(crate) certificates: Arc<Certificates>,
    /// What listeners begin TLS with.
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) acme: AcmeState,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) throttle: Arc<Throttle>,
    /// For IMAP, which reads all of a mailbox with each SELECT, and for all searches.
    pub(crate) cache: Arc<MessageCache>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) manners: Arc<Manners>,
    /// The log of what became of messages, when there is one.
    pub(crate) trace: Option<Arc<TraceLog>>,
    stopping: watch::Receiver<bool>,
}

impl Shared {
    pub(crate) async fn new(
        config: Config,
        store: Arc<dyn Store>,
        addresses: AddressBook,
        (manners, examiner): (Arc<Manners>, Arc<dyn Examiner>),
        srs: Option<Arc<Rewriter>>,
        certificates: Arc<Certificates>,
        stopping: watch::Receiver<bool>,
    ) -> Result<Arc<Self>, CertificateError> {
        let quota = config.limits.quota.0;
        let accounts = Accounts::new(Arc::clone(&store), &config.domains, quota);
        let accounts = accounts.at(addresses).with_kept_salts().await;
        let metrics = Arc::clone(&manners.metrics);
        let throttle = throttle(&config, &metrics);
        let cache = MessageCache::new(ROWS, CACHE);
        let cache = Arc::new(match text_index(&config) {
            Some(index) => cache.with_text_index(index),
            None => cache,
        });
        let config = Arc::new(config);
        let residents = Arc::new(Residents {
            accounts: accounts.clone(),
            store: Arc::clone(&store),
            throttle: Arc::clone(&throttle),
            config: Arc::clone(&config),
            srs: srs.clone(),
        });
        let trace = TraceLog::open(&config.data, &config.trace, Arc::clone(&metrics));
        let mut options = options(&config, &metrics);
        options.examiner = Some(examiner);
        if let Some(srs) = srs {
            options.forwarded_from = Arc::new(move |path| srs.rewritten(path));
        }
        options.trace = trace.clone().map(trace::service);
        let tls = certificates.server_config()?;
        options.tls = Some(Arc::clone(&tls));
        options.cache = Arc::clone(&cache);
        let service = Service::new(Arc::clone(&store), residents.clone(), options);
        Ok(Arc::new(Self {
            admission: admission(&config.limits),
            manners,
            trace,
            service: Arc::new(service),
            accounts,
            residents,
            throttle,
            metrics,
            cache,
            store,
            certificates,
            tls,
            acme: AcmeState::default(),
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
}

/// What the service is to do, as configured.
fn options(config: &Config, metrics: &Arc<Metrics>) -> Options {
    let mut options = Options::new(config.hostname.clone());
    options.login_needs_tls = config.auth.plaintext == Plaintext::Tls;
    options.message_size = config.limits.message_size.0;
    options.message_limit = config.imap.message_limit;
    options.progress = config.imap.progress.0;
    options.queue = Some(Arc::new(Queued::default()));
    let metrics = Arc::clone(metrics);
    options.observe = Arc::new(move |happened| match happened {
        Happened::LoggedIn => count(&metrics.logins_total),
        Happened::LoginFailed => count(&metrics.logins_failed_total),
        Happened::Received => count(&metrics.messages_received_total),
        Happened::Delivered => count(&metrics.messages_delivered_total),
        Happened::Took(step, took) => observe(&metrics.timings, step, took),
        _ => {}
    });
    options
}

fn observe(timings: &Timings, step: Step, took: Duration) {
    match step {
        Step::Receive => timings.message_receive_duration_seconds.observe(took),
        Step::Commit => timings.message_commit_duration_seconds.observe(took),
        Step::Mailbox => timings.mailbox_delivery_duration_seconds.observe(took),
        _ => {}
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
        .inspect_err(|error| warn!(%error, "the text index cannot be opened: searches read the messages instead"))
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
