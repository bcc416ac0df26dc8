//! The keeper of the certificate: gets the first one, renews it, and tries again what failed.

use hikyaku_mailstore::unix_now;
use instant_acme::Account;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tracing::{info, warn};
use webmail::Certificate;

use super::failure::{AcmeError, Refused, listed};
use super::order::{Outcome, order};
use super::schedule::{after_failures, chance, renewal};
use super::settings::AcmeChallenge;
use super::{account, files};
use crate::metrics::count;
use crate::shared::Shared;
use crate::{private, tls};

/// How often the clock is looked at, whatever it said before.
const LOOK: Duration = Duration::from_secs(60 * 60);
/// How long all of an attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10 * 60);
/// Orders of one attempt: each further one leaves out names that were refused.
const ORDERS: usize = 5;

/// Gets and renews the certificate until the server stops, if an ACME server is configured.
pub(crate) fn start(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
    let config = &shared.config;
    let Some(directory) = config.acme.directory.clone() else {
        return;
    };
    let keeper = Keeper {
        names: config.acme.names(&config.hostname, &config.domains),
        challenge: config.acme.challenge(!config.listen.http.is_empty()),
        folder: files::folder(&config.data),
        directory,
        chance: chance(),
        shared: Arc::clone(shared),
    };
    tasks.spawn(async move {
        let stopped = Arc::clone(&keeper.shared);
        tokio::select! {
            () = keeper.keep() => {}
            () = stopped.stopping() => {}
        }
    });
}

struct Keeper {
    shared: Arc<Shared>,
    directory: String,
    names: Vec<String>,
    challenge: AcmeChallenge,
    folder: PathBuf,
    /// When renewal is due within its time.
    chance: u8,
}

impl Keeper {
    async fn keep(mut self) {
        let mut failures = 0;
        let mut next = match self.covers(&self.names) {
            true => self.due(),
            false => unix_now(),
        };
        loop {
            let left = u64::try_from(next.saturating_sub(unix_now())).unwrap_or(0);
            if left > 0 {
                let wait = Duration::from_secs(left).min(LOOK);
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = self.shared.acme.asked() => {
                        if failures > 0 {
                            next = unix_now();
                        }
                    }
                }
                continue;
            }
            let trouble = match tokio::time::timeout(ATTEMPT, self.attempt()).await {
                Ok(Ok(refused)) if refused.is_empty() => None,
                Ok(Ok(refused)) => Some(format!("the certificate is not for {}", listed(&refused))),
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some(AcmeError::TooSlow.to_string()),
            };
            next = match &trouble {
                None => {
                    failures = 0;
                    self.chance = chance();
                    self.due()
                }
                Some(why) => {
                    failures += 1;
                    let wait = after_failures(failures, chance());
                    let minutes = wait.as_secs() / 60;
                    warn!("ACME: {why}; it is tried again in {minutes} minutes, or on SIGHUP");
                    count(&self.shared.metrics.acme_failures_total);
                    unix_now().saturating_add_unsigned(wait.as_secs())
                }
            };
            self.shared.acme.ended(trouble);
        }
    }

    /// Returns when the certificate is due for renewal, in seconds since 1970; now if there is none.
    fn due(&self) -> i64 {
        let issued = self.shared.certificates.issued();
        issued.map_or_else(unix_now, |one| renewal(one.validity(), self.chance))
    }

    /// Whether there is a certificate for all of these names.
    fn covers(&self, names: &[String]) -> bool {
        let issued = self.shared.certificates.issued();
        let there = issued.map(|one| one.names());
        there.is_some_and(|there| names.iter().all(|name| there.contains(name)))
    }

    /// Gets a certificate. Returns the names that it is not for, since the server has refused them.
    async fn attempt(&self) -> Result<Vec<Refused>, AcmeError> {
        match self.with_account().await {
            // A server that has forgotten its accounts gets another one.
            Err(error) if account::forget(&self.folder, &self.directory, &error) => {
                self.with_account().await
            }
            ended => ended,
        }
    }

    async fn with_account(&self) -> Result<Vec<Refused>, AcmeError> {
        let settings = &self.shared.config.acme;
        let account = account::open(&self.folder, &self.directory, settings).await?;
        self.order(&account).await
    }

    async fn order(&self, account: &Account) -> Result<Vec<Refused>, AcmeError> {
        let mut names = self.names.clone();
        let mut refused = Vec::<Refused>::new();
        let challenges = &self.shared.acme.challenges;
        for _ in 0..ORDERS {
            if names.is_empty() {
                break;
            }
            // Authorities count certificates: another one for the same names is not asked for before its time.
            if !refused.is_empty() && self.covers(&names) && self.due() > unix_now() {
                return Ok(refused);
            }
            match order(account, &names, self.challenge, challenges).await? {
                Outcome::Issued(pem) => {
                    self.install(&pem)?;
                    return Ok(refused);
                }
                Outcome::Refused(more) => {
                    names.retain(|name| !more.iter().any(|one| one.name == *name));
                    refused.extend(more);
                }
            }
        }
        Err(AcmeError::Refused(refused))
    }

    /// Keeps a certificate and uses it from now on. One that cannot be used replaces nothing.
    fn install(&self, pem: &str) -> Result<(), AcmeError> {
        const NEXT: &str = "next.pem";
        let (next, path) = (self.folder.join(NEXT), self.folder.join(files::CERTIFICATE));
        let failed = |error| AcmeError::File(next.clone(), error);
        private::write(&self.folder, NEXT, pem.as_bytes()).map_err(failed)?;
        let certificate = Certificate::load(&next, &next)?;
        if renewal(certificate.validity(), 255) <= unix_now() {
            return Err(AcmeError::Stale);
        }
        std::fs::rename(&next, &path).map_err(failed)?;
        let certificate = Certificate::load(&path, &path)?;
        info!(names = %certificate.names().join(" "), "ACME: got a certificate");
        self.shared.certificates.put_issued(certificate);
        count(&self.shared.metrics.acme_certificates_total);
        tls::say(&self.shared);
        Ok(())
    }
}
