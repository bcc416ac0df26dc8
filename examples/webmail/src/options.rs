//! The settings of the webmail.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::{Outside, Throttle};

/// The settings of the webmail.
#[derive(Debug, Clone)]
pub struct Options {
    /// The path it is mounted under, without a slash at its end.
    pub base: String,
    /// The title above the login form.
    pub title: String,
    /// How long a session lasts without being used.
    pub idle: Duration,
    /// The largest message with its attachments, in octets, as the browser sends them.
    pub message: usize,
    /// The folder for uploads, which are files without names; on a disk, with room for some messages.
    pub uploads: PathBuf,
    /// Settings of accounts at other providers.
    pub outside: Outside,
    /// The throttle on guessed passwords, shared with other services that users log in to.
    pub throttle: Arc<Throttle>,
    /// Whether cookies are sent over HTTPS only; `false` only in a test without TLS.
    pub secure: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            base: String::new(),
            title: "Hikyaku".into(),
            idle: Duration::from_secs(30 * 60),
            message: 25 * 1024 * 1024,
            uploads: std::env::temp_dir(),
            outside: Outside::default(),
            throttle: Arc::default(),
            secure: true,
        }
    }
}
