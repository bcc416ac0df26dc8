//! Signatures on what the server itself writes: notifications and reports (RFC 6376, RFC 8460 §3, RFC 7489 §7.2.1.1).

use hikyaku_relay::Seal;
use hikyaku_trust::signing::Signer;
use std::sync::Arc;
use std::time::SystemTime;
use tracing::warn;

use super::key::{DkimError, signer};
use crate::config::Config;

/// Signs what the server writes.
#[derive(Clone)]
pub(crate) struct OwnMail(Arc<Signer>);

impl OwnMail {
    /// Reads the keys of the configuration.
    pub(crate) fn open(config: &Config) -> Result<Self, DkimError> {
        Ok(Self(Arc::new(signer(config)?)))
    }

    fn signs_for(&self, domain: &str) -> bool {
        self.0.signs_for(domain, SystemTime::now())
    }

    /// The author of notifications, where a key of theirs signs them so that DMARC passes: at the host's name, or else at
    /// the first domain that has one.
    pub(crate) fn author(&self, config: &Config) -> String {
        let mailer = format!("MAILER-DAEMON@{}", config.hostname);
        let mut domains = config.domains.iter();
        match domains.find(|domain| self.signs_for(domain)) {
            Some(domain) if !self.signs_for(&config.hostname) => format!("postmaster@{domain}"),
            _ => mailer,
        }
    }

    /// What signs messages of an author; `None` where no key does.
    pub(crate) fn seal(&self, author: &str) -> Option<Seal> {
        let domain = author.rsplit_once('@').map_or(author, |(_, domain)| domain);
        let (signer, domain) = (Arc::clone(&self.0), domain.to_owned());
        self.signs_for(&domain).then(|| -> Seal {
            Arc::new(move |message: Vec<u8>| {
                match signer.sign(&domain, &message, SystemTime::now()) {
                    Ok(fields) => [fields.into_bytes(), message].concat(),
                    Err(error) => {
                        warn!(%error, "a message of the server leaves unsigned");
                        message
                    }
                }
            })
        })
    }
}
