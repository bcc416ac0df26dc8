//! TLS: the configured certificates, or one of a private CA, and what happens when their files change.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};
use webmail::{Certificate, CertificateError};

use crate::certificates::Certificates;
use crate::metrics::count;
use crate::shared::Shared;
use crate::{Config, acme, private};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How often the log warns that the certificate is about to expire.
const SAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Why TLS cannot be offered, in one line with the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

impl From<CertificateError> for TlsError {
    fn from(error: CertificateError) -> Self {
        Self(error.to_string())
    }
}

fn unwritable(path: &Path, error: impl std::fmt::Display) -> TlsError {
    let path = path.display();
    TlsError(format!(
        "{path}: {error}: is it in a directory that this user may write to?"
    ))
}

/// Returns the paths of the certificate that the private CA signs, and of its key.
fn own_files(config: &Config) -> (PathBuf, PathBuf) {
    let folder = config.data.join("tls");
    (folder.join("cert.pem"), folder.join("key.pem"))
}

/// Lists the files of the configured certificates and their keys, the first one first.
fn configured(config: &Config) -> impl Iterator<Item = (&Path, &Path)> {
    let tls = &config.tls;
    let first = tls.cert.as_deref().zip(tls.key.as_deref());
    let more = tls.certificates.iter();
    first
        .into_iter()
        .chain(more.map(|one| (&*one.cert, &*one.key)))
}

/// Lists the files of the configured keys.
pub(crate) fn keys(config: &Config) -> impl Iterator<Item = &Path> {
    configured(config).map(|(_, key)| key)
}

/// Loads the certificates that exist; the first start creates that of the private CA.
pub(crate) fn existing(config: &Config) -> Result<Certificates, TlsError> {
    let mut loaded = Vec::new();
    for (cert, key) in configured(config) {
        loaded.push(Certificate::load(cert, key)?);
    }
    let issued = issued(config);
    let (cert, key) = own_files(config);
    let needs_own = loaded.is_empty() && issued.is_none();
    let own = match needs_own && cert.exists() && key.exists() {
        true => Some(Certificate::load(&cert, &key)?),
        false => None,
    };
    Ok(Certificates::new(loaded, issued, own))
}

/// Loads the certificate that an ACME server gave. One that cannot be used is replaced by the next.
fn issued(config: &Config) -> Option<Arc<Certificate>> {
    let path = acme::certificate_file(&config.data);
    if config.acme.directory.is_none() || !path.exists() {
        return None;
    }
    let loaded = Certificate::load(&path, &path);
    loaded
        .inspect_err(|error| warn!(%error, "ACME: the certificate is ordered anew"))
        .ok()
}

/// Creates a private CA and a certificate that it signs; later starts use the same certificate.
pub(crate) fn private(config: &Config) -> Result<Arc<Certificate>, TlsError> {
    let folder = config.data.join("tls");
    let (cert, key) = own_files(config);
    let failed = |error: rcgen::Error| TlsError(format!("the private CA: {error}"));
    private::folder(&folder).map_err(|error| unwritable(&folder, error))?;
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let name = format!("Private CA of the mail server {}", config.hostname);
    authority.distinguished_name.push(DnType::CommonName, name);
    let authority_key = KeyPair::generate().map_err(failed)?;
    let authority_cert = authority.self_signed(&authority_key).map_err(failed)?;
    let mut names = vec![
        config.hostname.clone(),
        "localhost".into(),
        "127.0.0.1".into(),
        "::1".into(),
    ];
    names.dedup();
    let mut server = CertificateParams::new(names).map_err(failed)?;
    server
        .distinguished_name
        .push(DnType::CommonName, config.hostname.clone());
    server.use_authority_key_identifier_extension = true;
    server.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let server_key = KeyPair::generate().map_err(failed)?;
    let issuer = Issuer::new(authority, authority_key);
    let server_cert = server.signed_by(&server_key, &issuer).map_err(failed)?;
    // The CA's key is not kept: nothing else can ever be signed by it.
    let write = |name: &str, text: String| {
        let written = private::write(&folder, name, text.as_bytes());
        written.map_err(|error| unwritable(&folder.join(name), error))
    };
    write("ca.pem", authority_cert.pem())?;
    write("key.pem", server_key.serialize_pem())?;
    write("cert.pem", server_cert.pem())?;
    Ok(Certificate::load(&cert, &key)?)
}

/// Reloads the certificates. Each that cannot be used stays in use as it was; the first problem is returned.
pub(crate) fn reload(shared: &Shared) -> Result<(), TlsError> {
    Ok(noted(shared, shared.certificates.reload(true))?)
}

/// Counts and logs what came of loading certificates again.
fn noted(
    shared: &Shared,
    reloaded: Vec<Result<(), CertificateError>>,
) -> Result<(), CertificateError> {
    let metrics = &shared.metrics;
    for one in &reloaded {
        match one {
            Ok(()) => {
                info!("reloaded a certificate");
                count(&metrics.tls_reloads_total);
            }
            Err(error) => {
                warn!(%error, "a certificate could not be reloaded: the old one stays in use");
                count(&metrics.tls_reloads_failed_total);
            }
        }
    }
    say(shared);
    reloaded.into_iter().collect()
}

/// Puts the time at which the first certificate expires into the metrics, and warns in the log of those whose time is
/// near.
pub(crate) fn say(shared: &Shared) {
    let certificates = shared.certificates.all();
    let until = certificates.iter().map(|one| one.validity().until).min();
    let until = until.and_then(|until| u64::try_from(until).ok());
    let metrics = &shared.metrics;
    metrics
        .tls_certificate_expires_timestamp_seconds
        .store(until.unwrap_or(0), Ordering::Relaxed);
    for certificate in certificates {
        if let Some(problem) = certificate.problem() {
            warn!("{}: {problem}", certificate.path().display());
        }
    }
}

/// Loads certificates again when their files change, until the server stops.
pub(crate) fn start(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
    say(shared);
    let shared = Arc::clone(shared);
    tasks.spawn(async move {
        let mut said = Instant::now();
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = shared.stopping() => break,
            }
            let reloaded = shared.certificates.reload(false);
            if !reloaded.is_empty() {
                // What is wrong is in the log.
                let _ = noted(&shared, reloaded);
                said = Instant::now();
            } else if said.elapsed() >= SAY {
                say(&shared);
                said = Instant::now();
            }
        }
    });
}
