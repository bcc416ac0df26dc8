//! The server's certificate: loads it, checks its dates, and reloads it when its files change.

use hikyaku_mailstore::unix_now;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// Seconds before its end that a certificate is said to expire soon: two weeks.
const SOON: i64 = 14 * 24 * 60 * 60;

/// Why a certificate cannot be used, in one line with the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read, or is not PEM.
    #[error("{path}: {1}: give a PEM file that this user may read", path = .0.display())]
    Unreadable(PathBuf, String),
    /// There is no certificate in the file.
    #[error("{path}: there is no certificate in it: give a PEM file with \"BEGIN CERTIFICATE\", the server's own first", path = .0.display())]
    NoCertificate(PathBuf),
    /// There is no key in the file.
    #[error("{path}: there is no private key in it: give a PEM file with \"BEGIN PRIVATE KEY\"", path = .0.display())]
    NoKey(PathBuf),
    /// The key belongs to another certificate, or is of a kind that cannot be used.
    #[error("{cert}: {2}: is {key} its key?", cert = .0.display(), key = .1.display())]
    Mismatch(PathBuf, PathBuf, String),
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(String),
}

/// The period in which a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its first second, in seconds since 1970.
    pub from: i64,
    /// Its last second, in seconds since 1970.
    pub until: i64,
}

/// A problem with the dates of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Untimely {
    /// It is not valid yet.
    #[error("the certificate is not valid yet: is this machine's clock right?")]
    NotYet,
    /// It has expired.
    #[error("the certificate has expired: renew it")]
    Expired,
    /// It expires within two weeks.
    #[error("the certificate expires within {0} days: renew it")]
    Soon(i64),
}

impl Validity {
    /// Returns the problem with the dates at a time, in seconds since 1970.
    #[must_use]
    pub fn problem(self, now: i64) -> Option<Untimely> {
        match self.until.saturating_sub(now) {
            _ if now < self.from => Some(Untimely::NotYet),
            left if left < 0 => Some(Untimely::Expired),
            left if left < SOON => Some(Untimely::Soon(left / (24 * 60 * 60) + 1)),
            _ => None,
        }
    }
}

/// What says that a file is another one.
type Stamp = [Option<(u64, u64, i64, i64)>; 2];

struct Loaded {
    certified: Arc<CertifiedKey>,
    validity: Validity,
    names: Arc<[String]>,
    stamp: Stamp,
}

/// A certificate and its key from two PEM files. New connections get what was loaded last.
pub struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    loaded: RwLock<Loaded>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("cert", &self.cert)
            .finish_non_exhaustive()
    }
}

fn stamp(files: [&Path; 2]) -> Stamp {
    files.map(|file| {
        let file = std::fs::metadata(file).ok()?;
        Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
    })
}

/// Reads what has that stamp, which was taken before: what changes meanwhile is another one.
fn read(cert: &Path, key: &Path, stamp: Stamp) -> Result<Loaded, CertificateError> {
    let unreadable = |path: &Path, error: rustls_pki_types::pem::Error| {
        let text = match error {
            rustls_pki_types::pem::Error::Io(error) => error.to_string(),
            error => error.to_string(),
        };
        CertificateError::Unreadable(path.into(), text)
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(cert, error))?;
    let first = chain
        .first()
        .ok_or_else(|| CertificateError::NoCertificate(cert.into()))?;
    let (_, parsed) = X509Certificate::from_der(first)
        .map_err(|error| CertificateError::Unreadable(cert.into(), error.to_string()))?;
    let validity = Validity {
        from: parsed.validity().not_before.timestamp(),
        until: parsed.validity().not_after.timestamp(),
    };
    let names = names(&parsed);
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
        rustls_pki_types::pem::Error::NoItemsFound => CertificateError::NoKey(key.into()),
        error => unreadable(key, error),
    })?;
    let certified = CertifiedKey::from_der(chain, private, &default_provider())
        .map_err(|error| CertificateError::Mismatch(cert.into(), key.into(), error.to_string()))?;
    Ok(Loaded {
        certified: Arc::new(certified),
        validity,
        names,
        stamp,
    })
}

/// The host names of a certificate, in small letters.
fn names(parsed: &X509Certificate<'_>) -> Arc<[String]> {
    let extension = parsed.subject_alternative_name().ok().flatten();
    let names = extension
        .iter()
        .flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    names.collect()
}

impl Certificate {
    /// Loads a certificate and its key.
    ///
    /// # Errors
    /// One line: what is wrong with which file, and what to do.
    pub fn load(cert: &Path, key: &Path) -> Result<Arc<Self>, CertificateError> {
        Ok(Arc::new(Self {
            cert: cert.into(),
            key: key.into(),
            loaded: RwLock::new(read(cert, key, stamp([cert, key]))?),
        }))
    }

    /// Reloads it. If the new one cannot be used, the old one stays in use.
    ///
    /// # Errors
    /// As [`Certificate::load`].
    pub fn reload(&self) -> Result<(), CertificateError> {
        let stamp = stamp([&self.cert, &self.key]);
        let read = read(&self.cert, &self.key, stamp);
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(read) => {
                *loaded = read;
                Ok(())
            }
            Err(error) => {
                // It is tried again when its files change again.
                loaded.stamp = stamp;
                Err(error)
            }
        }
    }

    /// Returns whether the files have changed since they were read last.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        let now = stamp([&self.cert, &self.key]);
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        loaded.stamp != now
    }

    /// Returns the period in which it is valid.
    #[must_use]
    pub fn validity(&self) -> Validity {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        loaded.validity
    }

    /// Returns the file that it is in.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.cert
    }

    /// Returns the host names that it is for, in small letters; `*.example.org` among them.
    #[must_use]
    pub fn names(&self) -> Arc<[String]> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&loaded.names)
    }

    /// Returns the problem with its dates now, if any.
    #[must_use]
    pub fn problem(&self) -> Option<Untimely> {
        self.validity().problem(unix_now())
    }

    /// Creates a TLS configuration that uses whatever was loaded last.
    ///
    /// # Errors
    /// When TLS itself cannot be set up.
    pub fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, CertificateError> {
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| CertificateError::Tls(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&loaded.certified))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn made(until: i32) -> (String, String) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let cert = params.self_signed(&key).unwrap();
        (cert.pem(), key.serialize_pem())
    }

    #[test]
    fn each_mistake_has_its_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (cert, key) = made(2100);
        let (_, other) = made(2100);
        let (cert, key, other) = (at("cert", &cert), at("key", &key), at("other", &other));
        let nowhere = folder.path().join("nowhere");
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let garbage = at("garbage", garbage);
        let cut = at("cut", "-----BEGIN CERTIFICATE-----\nAAAA\n");
        let empty = at("empty", "");
        for (cert, key, expected) in [
            (&nowhere, &key, "give a PEM file that this user may read"),
            (&cert, &nowhere, "give a PEM file that this user may read"),
            (&key, &key, "there is no certificate in it"),
            (&empty, &key, "there is no certificate in it"),
            (&cert, &cert, "there is no private key in it"),
            (&cert, &empty, "there is no private key in it"),
            (&garbage, &key, "give a PEM file"),
            (&cut, &key, "give a PEM file"),
            (&cert, &other, "its key?"),
        ] {
            let error = Certificate::load(cert, key).unwrap_err().to_string();
            assert!(
                error.contains(expected) && error.lines().count() == 1,
                "{error}"
            );
        }
        Certificate::load(&cert, &key).unwrap();
    }

    #[test]
    fn a_bad_new_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("cert"), folder.path().join("key"));
        let write = |made: &(String, String)| {
            std::fs::write(&cert, &made.0).unwrap();
            std::fs::write(&key, &made.1).unwrap();
        };
        write(&made(2100));
        let certificate = Certificate::load(&cert, &key).unwrap();
        assert!(!certificate.is_changed() && certificate.problem().is_none());
        let until = certificate.validity().until;
        let next = made(2101);
        std::fs::write(&cert, &next.0).unwrap();
        // Its key comes a moment later.
        assert!(certificate.is_changed() && certificate.reload().is_err());
        assert!(!certificate.is_changed() && certificate.validity().until == until);
        std::fs::write(&key, &next.1).unwrap();
        assert!(certificate.is_changed() && certificate.reload().is_ok());
        assert!(certificate.validity().until > until);
        std::fs::remove_file(&key).unwrap();
        assert!(certificate.is_changed() && certificate.reload().is_err());
        write(&made(2021));
        certificate.reload().unwrap();
        assert_eq!(certificate.problem(), Some(Untimely::Expired));
    }

    #[test]
    fn the_time_of_a_certificate() {
        let day = 24 * 60 * 60;
        let validity = Validity {
            from: 100 * day,
            until: 200 * day,
        };
        for (now, expected) in [
            (99 * day, Some(Untimely::NotYet)),
            (100 * day, None),
            (186 * day, None),
            (186 * day + 1, Some(Untimely::Soon(14))),
            (200 * day - 1, Some(Untimely::Soon(1))),
            (200 * day, Some(Untimely::Soon(1))),
            (200 * day + 1, Some(Untimely::Expired)),
        ] {
            assert_eq!(validity.problem(now), expected, "{now}");
        }
    }
}
