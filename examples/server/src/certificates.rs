//! The certificates of the server: which one a client gets (SNI, RFC 6066 §3), and how they are loaded again.

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::{Arc, PoisonError, RwLock};
use webmail::{Certificate, CertificateError};

/// All certificates. The first one is for clients that name no host, or one that no certificate is for.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// Those of the configuration.
    configured: Vec<Arc<Certificate>>,
    /// The one that an ACME server gave, when there is one.
    issued: RwLock<Option<Arc<Certificate>>>,
    /// That of the server's own CA, where nothing is configured.
    own: Option<Arc<Certificate>>,
}

impl Certificates {
    pub(crate) fn new(
        configured: Vec<Arc<Certificate>>,
        issued: Option<Arc<Certificate>>,
        own: Option<Arc<Certificate>>,
    ) -> Self {
        Self {
            configured,
            issued: RwLock::new(issued),
            own,
        }
    }

    /// Puts that of the server's own CA behind all others.
    pub(crate) fn put_own(&mut self, certificate: Arc<Certificate>) {
        self.own = Some(certificate);
    }

    /// Returns all of them, the first one first.
    pub(crate) fn all(&self) -> Vec<Arc<Certificate>> {
        let issued = self.issued();
        let all = self.configured.iter().chain(&issued).chain(&self.own);
        all.cloned().collect()
    }

    /// Returns the one that an ACME server gave.
    pub(crate) fn issued(&self) -> Option<Arc<Certificate>> {
        let issued = self.issued.read().unwrap_or_else(PoisonError::into_inner);
        issued.clone()
    }

    /// Puts the one that an ACME server gave in the place of the one before: new connections get it.
    pub(crate) fn put_issued(&self, certificate: Arc<Certificate>) {
        let mut issued = self.issued.write().unwrap_or_else(PoisonError::into_inner);
        *issued = Some(certificate);
    }

    /// Loads those again whose files have changed, or all. Each that cannot be used stays as it was.
    pub(crate) fn reload(&self, all: bool) -> Vec<Result<(), CertificateError>> {
        let certificates = self.all().into_iter();
        let changed = certificates.filter(|one| all || one.is_changed());
        changed.map(|one| one.reload()).collect()
    }

    /// Creates a TLS configuration that uses whatever was loaded last.
    ///
    /// # Errors
    /// When TLS itself cannot be set up.
    pub(crate) fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, CertificateError> {
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| CertificateError::Tls(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        Ok(Arc::new(config))
    }

    /// Returns the one for a host: one that names it, else one with a wildcard for it, else the first.
    fn of(&self, host: Option<&str>) -> Option<Arc<Certificate>> {
        let all = self.all();
        let host = host.map(str::to_ascii_lowercase);
        let is_for = |one: &&Arc<Certificate>, fits: &dyn Fn(&str) -> bool| {
            one.names().iter().any(|name| fits(name))
        };
        let found = host.and_then(|host| {
            // RFC 6125 §6.4.3: a wildcard stands for one whole label, the leftmost.
            let wildcard = host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
            let exactly = all.iter().find(|one| is_for(one, &|name| name == host));
            let loosely = || {
                let wildcard = wildcard?;
                all.iter().find(|one| is_for(one, &|name| name == wildcard))
            };
            exactly.or_else(loosely)
        });
        found.or_else(|| all.first()).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.of(hello.server_name())?.resolve(hello)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn made(folder: &std::path::Path, file: &str, names: &[&str]) -> Arc<Certificate> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(names).unwrap();
        let cert = cert.self_signed(&key).unwrap();
        let path = folder.join(file);
        std::fs::write(&path, cert.pem() + &key.serialize_pem()).unwrap();
        Certificate::load(&path, &path).unwrap()
    }

    #[test]
    fn a_name_comes_before_a_wildcard_and_a_wildcard_before_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let made = |file: &str, names: &[&str]| made(folder.path(), file, names);
        let certificates = Certificates::new(
            vec![
                made("first", &["mail.a.test"]),
                made("wild", &["*.b.test"]),
                made("exact", &["MAIL.b.test", "192.0.2.1"]),
            ],
            None,
            None,
        );
        let of = |host: Option<&str>| {
            let found = certificates.of(host).unwrap();
            found.path().file_name().unwrap().to_owned()
        };
        for (host, expected) in [
            (None, "first"),
            (Some("mail.a.test"), "first"),
            (Some("imap.b.test"), "wild"),
            (Some("mail.B.test"), "exact"),
            (Some("b.test"), "first"),
            (Some("a.imap.b.test"), "first"),
            (Some("192.0.2.1"), "first"),
            (Some("*.b.test"), "wild"),
            (Some(""), "first"),
        ] {
            assert_eq!(of(host), expected, "{host:?}");
        }
        // What an ACME server gives stands behind what is configured, and before the server's own.
        let own = Certificates::new(Vec::new(), None, Some(made("own", &["mail.a.test"])));
        own.put_issued(made("issued", &["mail.a.test"]));
        let first = own.of(None).unwrap();
        assert!(first.path().ends_with("issued"));
        assert!(
            own.of(Some("mail.a.test"))
                .unwrap()
                .path()
                .ends_with("issued")
        );
    }

    #[test]
    fn each_is_loaded_again_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        let all = vec![
            made(folder.path(), "one", &["one.test"]),
            made(folder.path(), "two", &["two.test"]),
        ];
        let certificates = Certificates::new(all, None, None);
        assert!(certificates.reload(false).is_empty());
        std::fs::write(&one, "nothing").unwrap();
        made(folder.path(), "two", &["three.test"]);
        let reloaded = certificates.reload(false);
        assert_eq!(
            reloaded.iter().map(Result::is_ok).collect::<Vec<_>>(),
            [false, true]
        );
        let found = certificates.of(Some("three.test")).unwrap();
        assert_eq!(found.path(), two);
        // The bad one is still what it was.
        let found = certificates.of(Some("one.test")).unwrap();
        assert_eq!(found.path(), one);
    }
}
