//! Limits how many images are fetched at once.

use std::sync::Arc;
use tokio::sync::Semaphore;

/// The most that are fetched at once.
const FETCHES: usize = 16;

/// Images that are fetched, at once and in one session's frames: a server that lets all wait holds up no more.
#[derive(Debug)]
pub(crate) struct Fetches(pub(crate) Arc<Semaphore>);

impl Fetches {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(FETCHES)))
    }
}
