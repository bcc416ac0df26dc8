//! TLS: the configured certificate, or one of a private CA, and what happens when its files change.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};
use webmail::{Certificate, CertificateError};

use crate::metrics::count;
use crate::shared::Shared;
use crate::{Config, private};

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

/// Returns the paths of the certificate and its key.
pub(crate) fn files(config: &Config) -> (PathBuf, PathBuf) {
    match (&config.tls.cert, &config.tls.key) {
        (Some(cert), Some(key)) => (cert.clone(), key.clone()),
        _ => {
            let folder = config.data.join("tls");
            (folder.join("cert.pem"), folder.join("key.pem"))
        }
    }
}

/// Loads the certificate, if it exists; the first start creates that of the private CA.
pub(crate) fn existing(config: &Config) -> Result<Option<Arc<Certificate>>, TlsError> {
    let (cert, key) = files(config);
    match config.tls.cert.is_some() || (cert.exists() && key.exists()) {
        true => Ok(Some(Certificate::load(&cert, &key)?)),
        false => Ok(None),
    }
}

/// Creates a private CA and a certificate that it signs; later starts use the same certificate.
pub(crate) fn private(config: &Config) -> Result<Arc<Certificate>, TlsError> {
    let folder = config.data.join("tls");
    let (cert, key) = files(config);
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
    write(&folder.join("ca.pem"), authority_cert.pem().as_bytes())?;
    write(&key, server_key.serialize_pem().as_bytes())?;
    write(&cert, server_cert.pem().as_bytes())?;
    Ok(Certificate::load(&cert, &key)?)
}

fn write(path: &Path, octets: &[u8]) -> Result<(), TlsError> {
    let write = || -> io::Result<()> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(path)?;
        file.write_all(octets)?;
        file.sync_all()
    };
    write().map_err(|error| unwritable(path, error))
}

/// Reloads the certificate. If the new one cannot be used, the old one stays in use.
pub(crate) fn reload(shared: &Shared) -> Result<(), TlsError> {
    let reloaded = shared.certificate.reload();
    let metrics = &shared.metrics;
    match &reloaded {
        Ok(()) => {
            info!("reloaded the certificate");
            count(&metrics.tls_reloads_total);
        }
        Err(error) => {
            warn!(%error, "the certificate could not be reloaded: the old one stays in use");
            count(&metrics.tls_reloads_failed_total);
        }
    }
    say(shared);
    Ok(reloaded?)
}

/// Puts the expiry time of the certificate into the metrics, and warns in the log when it is near.
fn say(shared: &Shared) {
    let until = u64::try_from(shared.certificate.validity().until).unwrap_or(0);
    let metrics = &shared.metrics;
    metrics
        .tls_certificate_expires_timestamp_seconds
        .store(until, Ordering::Relaxed);
    if let Some(problem) = shared.certificate.problem() {
        let (cert, _) = files(&shared.config);
        warn!("{}: {problem}", cert.display());
    }
}

/// Loads the certificate again when its files change, until the server stops.
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
            if shared.certificate.is_changed() {
                // What is wrong is in the log.
                let _ = reload(&shared);
                said = Instant::now();
            } else if said.elapsed() >= SAY {
                say(&shared);
                said = Instant::now();
            }
        }
    });
}
