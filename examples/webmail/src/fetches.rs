//! What fetching images shares: how many come at once, and whose certificates are trusted.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;
use ureq::tls::{Certificate, RootCerts};

/// The most that are fetched at once.
const FETCHES: usize = 16;

/// Images that are fetched, at once and in one session's frames: a server that lets all wait holds up no more.
#[derive(Debug)]
pub(crate) struct Fetches {
    pub(crate) turns: Arc<Semaphore>,
    /// The authorities, read when the first image is fetched.
    roots: OnceLock<RootCerts>,
}

impl Fetches {
    pub(crate) fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(FETCHES)),
            roots: OnceLock::new(),
        }
    }

    /// The system's authorities, and those of a file. Reads files when it is called first.
    pub(crate) fn roots(&self, ca: Option<&Path>) -> RootCerts {
        let read = || {
            let all = hikyaku_client::authorities(ca);
            let all = all
                .iter()
                .map(|root| Certificate::from_der(root).to_owned());
            RootCerts::Specific(Arc::new(all.collect()))
        };
        self.roots.get_or_init(read).clone()
    }
}
