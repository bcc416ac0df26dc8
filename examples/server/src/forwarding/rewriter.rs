//! Reverse-paths of mail that is passed on, and the senders behind them.

use hikyaku_smtp_proto::{Mailbox, ReversePath};
use hikyaku_trust::srs::{self, Srs};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;
use tracing::{info, warn};

use super::secrets::Secrets;
use crate::addresses::AddressBook;
use crate::config::{Config, StoreKind};

/// Where the secrets are, in the data folder.
const FOLDER: &str = "srs";

/// Why reverse-paths cannot be rewritten: one line, with the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SrsError {
    /// The file of the secrets.
    #[error(
        "{0}: {1}: put it back from a copy, or remove it: notifications for what was passed on before are refused then"
    )]
    Secrets(String, io::Error),
    /// The domain.
    #[error("[forward] domain: {0}: name one of domains, or set srs = false")]
    Domain(srs::SrsError),
}

/// Whom mail to a rewritten path is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Returned {
    /// The sender of what was passed on.
    To(Mailbox),
    /// Nobody: it was not rewritten here, or too long ago.
    Nobody,
}

/// Rewrites reverse-paths, and finds the senders behind them.
pub(crate) struct Rewriter {
    domain: String,
    /// `None`: the secrets are lost with the store.
    folder: Option<PathBuf>,
    addresses: AddressBook,
    current: RwLock<Current>,
}

struct Current {
    secrets: Secrets,
    srs: Srs,
}

impl Rewriter {
    /// Reads the secrets, and makes the first one; `None` when paths stay as they are.
    pub(crate) fn open(
        config: &Config,
        addresses: &AddressBook,
    ) -> Result<Option<Arc<Self>>, SrsError> {
        let forward = &config.forward;
        if !forward.srs {
            return Ok(None);
        }
        let domain = forward.domain.as_ref().or(config.domains.first());
        let domain = domain.cloned().unwrap_or_default();
        if !addresses.is_local(&domain) {
            warn!(
                domain,
                "notifications for what is passed on do not come back: [forward] domain is not of this server"
            );
        }
        let folder = match config.store.kind {
            StoreKind::Memory => None,
            _ => Some(config.data.join(FOLDER)),
        };
        let name = |folder: &PathBuf| folder.display().to_string();
        let mut secrets = match &folder {
            Some(folder) => {
                Secrets::read(folder).map_err(|e| SrsError::Secrets(name(folder), e))?
            }
            None => Secrets::default(),
        };
        let renewed = secrets.renew(SystemTime::now());
        let kept = renewed.and_then(|is_new| match &folder {
            Some(folder) if is_new => secrets.write(folder),
            _ => Ok(()),
        });
        kept.map_err(|e| SrsError::Secrets(folder.as_ref().map(name).unwrap_or_default(), e))?;
        let srs = srs_of(&domain, &secrets).map_err(SrsError::Domain)?;
        Ok(Some(Arc::new(Self {
            domain,
            folder,
            addresses: addresses.clone(),
            current: RwLock::new(Current { secrets, srs }),
        })))
    }

    fn srs(&self) -> Srs {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.srs.clone()
    }

    /// The reverse-path of a message that is passed on. One of a domain of ours, and one that cannot be rewritten, stay.
    pub(crate) fn rewritten(&self, path: ReversePath) -> ReversePath {
        let Some(mailbox) = &path.0 else { return path };
        if self.addresses.is_local(mailbox.domain()) {
            return path;
        }
        let address = mailbox.to_string();
        let rewritten = self.srs().forward(&address, SystemTime::now());
        let rewritten = rewritten.map(|one| Mailbox::parse(one.as_bytes()));
        match rewritten {
            Ok(Ok(rewritten)) => ReversePath(Some(rewritten)),
            Ok(Err(error)) => stays(path, &address, &error),
            Err(error) => stays(path, &address, &error),
        }
    }

    /// Whether a reverse-path was rewritten here, and is still good.
    pub(crate) fn has_written(&self, path: &str) -> bool {
        self.srs().reverse(path, SystemTime::now()).is_ok()
    }

    /// Whom mail to an address is for; `None` when it is no rewritten path.
    pub(crate) fn returned(&self, address: &Mailbox) -> Option<Returned> {
        // Nearly all recipients are nothing of the kind, and cost nothing.
        let local_part = address.local_part();
        let tag = local_part.get(..3)?;
        if !tag.eq_ignore_ascii_case("srs") {
            return None;
        }
        let address = address.to_string();
        let found = self.srs().reverse(&address, SystemTime::now());
        if found == Err(srs::SrsError::NotRewritten) {
            return None;
        }
        let sender = found.map(|sender| Mailbox::parse(sender.as_bytes()));
        Some(match sender {
            Ok(Ok(sender)) => Returned::To(sender),
            Ok(Err(_)) => Returned::Nobody,
            Err(error) => {
                info!(address, %error, "a path of SRS is refused");
                Returned::Nobody
            }
        })
    }

    /// Makes a new secret where it is time, and keeps it before it signs.
    pub(super) fn renew(&self, now: SystemTime) -> Result<(), SrsError> {
        let mut secrets = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            current.secrets.clone()
        };
        let name = || self.folder.as_ref().map(|one| one.display().to_string());
        let failed = |error| SrsError::Secrets(name().unwrap_or_default(), error);
        if !secrets.renew(now).map_err(failed)? {
            return Ok(());
        }
        if let Some(folder) = &self.folder {
            secrets.write(folder).map_err(failed)?;
        }
        let srs = srs_of(&self.domain, &secrets).map_err(SrsError::Domain)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Current { secrets, srs };
        Ok(())
    }
}

fn stays(path: ReversePath, address: &str, error: &dyn std::fmt::Display) -> ReversePath {
    warn!(address, %error, "a reverse-path stays as it is");
    path
}

fn srs_of(domain: &str, secrets: &Secrets) -> Result<Srs, srs::SrsError> {
    let mut all = secrets.octets();
    let srs = Srs::new(domain, all.next().unwrap_or_default())?;
    Ok(all.fold(srs, Srs::accepting))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_mailstore::Memory;
    use std::time::Duration;

    fn rewriter(data: &std::path::Path, more: &str) -> Arc<Rewriter> {
        let text = format!(
            "hostname = \"mx.test\"\ndata = {data:?}\ndomains = [\"a.test\", \"b.test\"]\n{more}"
        );
        let config = Config::parse(&text).unwrap();
        let store = Arc::new(Memory::new());
        let addresses = AddressBook::configured(store, &config.domains, "+");
        Rewriter::open(&config, &addresses).unwrap().unwrap()
    }

    fn path(text: &str) -> ReversePath {
        ReversePath((!text.is_empty()).then(|| Mailbox::parse(text.as_bytes()).unwrap()))
    }

    #[test]
    fn paths_of_others_are_rewritten_and_lead_back_after_a_restart_and_a_rotation() {
        let data = tempfile::tempdir().unwrap();
        let first = rewriter(data.path(), "");
        for own in ["", "ann@a.test", "ann@B.test"] {
            assert_eq!(first.rewritten(path(own)), path(own));
        }
        let ann = Mailbox::parse(b"ann@else.test").unwrap();
        let rewritten = first.rewritten(path("ann@else.test")).0.unwrap();
        assert!(rewritten.to_string().ends_with("=else.test=ann@a.test"));
        assert!(first.has_written(&rewritten.to_string()));
        assert!(!first.has_written("ann@a.test"));
        let second = rewriter(data.path(), "");
        assert_eq!(second.returned(&rewritten), Some(Returned::To(ann.clone())));
        let later = SystemTime::now() + Duration::from_secs(100 * 86_400);
        second.renew(later).unwrap();
        assert_eq!(second.returned(&rewritten), Some(Returned::To(ann.clone())));
        assert_ne!(
            second.rewritten(path("ann@else.test")).0.unwrap(),
            rewritten
        );
        let third = rewriter(data.path(), "");
        assert_eq!(third.returned(&rewritten), Some(Returned::To(ann)));
        // Others and forgeries.
        let of = |text: &str| third.returned(&Mailbox::parse(text.as_bytes()).unwrap());
        assert_eq!(of("ann@a.test"), None);
        let forged = rewritten.to_string().replace("=ann", "=eve");
        assert_eq!(of(&forged), Some(Returned::Nobody));
    }

    #[test]
    fn the_domain_may_be_another_and_it_may_be_off() {
        let data = tempfile::tempdir().unwrap();
        let one = rewriter(data.path(), "[forward]\ndomain = \"b.test\"\n");
        let rewritten = one.rewritten(path("ann@else.test")).to_string();
        assert!(rewritten.ends_with("@b.test>"), "{rewritten}");
        let text = "hostname = \"mx.test\"\ndomains = [\"a.test\"]\n[forward]\nsrs = false\n";
        let config = Config::parse(text).unwrap();
        let addresses = AddressBook::configured(Arc::new(Memory::new()), &config.domains, "+");
        assert!(Rewriter::open(&config, &addresses).unwrap().is_none());
    }
}
