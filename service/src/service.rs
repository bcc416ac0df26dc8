//! The service that all connections share.

use hikyaku_mailstore::Store;
use std::fmt;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tracing::info;

use crate::imap::first_recent::FirstRecent;
use crate::options::{Happened, Options};
use crate::pop3::open::OpenMaildrops;
use crate::smtp::whole::Room;
use crate::stream::{Stream, handshake};
use crate::traced::{Client, Traced, What};
use crate::{Directory, Queue};

/// A mail server over a store and a directory.
///
/// All connections of all protocols share one: wrap it in an [`Arc`] and give each connection to
/// [`imap`](Self::imap), [`pop3`](Self::pop3) or [`smtp`](Self::smtp). It knows no configuration, no ports and no DNS.
pub struct Service {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) options: Options,
    tls: Option<TlsAcceptor>,
    pub(crate) first_recent: FirstRecent,
    pub(crate) open_maildrops: OpenMaildrops,
    pub(crate) room: Room,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Service {
    /// Creates a service over a store and a directory.
    pub fn new(store: Arc<dyn Store>, directory: Arc<dyn Directory>, options: Options) -> Self {
        Self {
            store,
            directory,
            tls: options.tls.clone().map(TlsAcceptor::from),
            room: Room::of(options.examined),
            options,
            first_recent: FirstRecent::default(),
            open_maildrops: OpenMaildrops::default(),
        }
    }

    /// Returns the store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Returns the settings.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Returns whether STARTTLS can be offered on that stream.
    pub(crate) fn can_encrypt(&self, stream: &Stream) -> bool {
        self.tls.is_some() && !stream.is_tls()
    }

    /// Begins TLS on a stream that was in clear, for ports where TLS comes first. Returns `None` if the
    /// handshake fails or [`tls`](Options::tls) is not set.
    pub async fn encrypt(&self, stream: impl Into<Stream>) -> Option<Stream> {
        let encrypted = handshake(stream.into(), self.tls.as_ref()?).await;
        encrypted
            .inspect_err(|error| info!(%error, "the TLS handshake failed"))
            .ok()
    }

    pub(crate) fn queue(&self) -> Option<&dyn Queue> {
        self.options.queue.as_deref()
    }

    pub(crate) fn happened(&self, what: Happened) {
        (self.options.observe)(what);
    }

    /// Reports what happened to a message, where somebody wants to know it.
    pub(crate) fn trace(&self, id: &str, client: &Client, what: What<'_>) {
        if let Some(trace) = &self.options.trace {
            trace(&Traced { id, client, what });
        }
    }
}
