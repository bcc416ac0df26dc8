//! What the keeper of the certificate shares with the listeners.

use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

use super::challenges::Challenges;

/// What the keeper of the certificate shares with the listeners.
#[derive(Debug, Default)]
pub(crate) struct AcmeState {
    pub(crate) challenges: Arc<Challenges>,
    trouble: Mutex<Option<String>>,
    asked: Notify,
}

impl AcmeState {
    /// Returns why the last attempt to get a certificate failed, unless it succeeded.
    pub(crate) fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock();
        trouble.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps why an attempt failed, or that it did not.
    pub(crate) fn ended(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Asks for an attempt now, if the last one failed.
    pub(crate) fn ask(&self) {
        self.asked.notify_one();
    }

    /// Resolves when somebody has asked for an attempt.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }
}
