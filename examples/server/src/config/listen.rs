//! `[listen]`: where the server listens.

use serde::Deserialize;
use std::net::{SocketAddr, ToSocketAddrs};

use super::error::{ConfigError, Wrong};

/// `[listen]`: each is "host:port" or a list of them; a missing one is not opened.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the names are the protocols'")]
#[non_exhaustive]
pub struct Listen {
    pub smtp: Addresses,
    pub submission: Addresses,
    pub submissions: Addresses,
    pub lmtp: Addresses,
    pub pop3: Addresses,
    pub pop3s: Addresses,
    pub imap: Addresses,
    pub imaps: Addresses,
    pub http: Addresses,
    pub https: Addresses,
    pub metrics: Addresses,
}

/// One address, or several.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(untagged)]
pub enum Addresses {
    /// None.
    #[default]
    None,
    /// "host:port"
    One(String),
    /// `["host:port", ..]`
    Many(Vec<String>),
}

impl Addresses {
    /// Returns whether it names none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::One(_) => false,
            Self::Many(names) => names.is_empty(),
        }
    }

    /// Resolves all of them.
    ///
    /// # Errors
    /// Names the one that is not an address.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, ConfigError> {
        let names: &[String] = match self {
            Self::None => &[],
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        };
        let mut all = Vec::new();
        for name in names {
            let found = name.to_socket_addrs().map_err(|error| {
                ConfigError(format!("\"{name}\" is not a \"host:port\" ({error}): write, for example, \"127.0.0.1:2525\""))
            })?;
            all.extend(found);
        }
        Ok(all)
    }
}

impl Listen {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        for (key, addresses) in [
            ("smtp", &self.smtp),
            ("submission", &self.submission),
            ("submissions", &self.submissions),
            ("lmtp", &self.lmtp),
            ("pop3", &self.pop3),
            ("pop3s", &self.pop3s),
            ("imap", &self.imap),
            ("imaps", &self.imaps),
            ("http", &self.http),
            ("https", &self.https),
            ("metrics", &self.metrics),
        ] {
            addresses
                .resolve()
                .map_err(|error| (key, error.to_string()))?;
        }
        Ok(())
    }

    /// Whether there is TLS from the first octet anywhere.
    pub(super) fn has_tls(&self) -> bool {
        let all = [&self.https, &self.imaps, &self.pop3s, &self.submissions];
        all.into_iter().any(|one| !one.is_empty())
    }
}
