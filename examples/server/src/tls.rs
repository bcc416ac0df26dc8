//! TLS: the configured certificate, or one of a private CA.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

use crate::Config;

/// Why there is no TLS: one line, with the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

fn unreadable(path: &Path, error: impl std::fmt::Display) -> TlsError {
    let path = path.display();
    TlsError(format!(
        "{path}: {error}: give a PEM file that this user may read"
    ))
}

/// The acceptor for all ports that speak TLS.
pub(crate) fn acceptor(config: &Config) -> Result<TlsAcceptor, TlsError> {
    let (cert, key) = match (&config.tls.cert, &config.tls.key) {
        (Some(cert), Some(key)) => (cert.clone(), key.clone()),
        _ => private(config)?,
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&cert)
        .map_err(|error| unreadable(&cert, error))?
        .collect();
    let chain = chain.map_err(|error| unreadable(&cert, error))?;
    if chain.is_empty() {
        return Err(unreadable(&cert, "there is no certificate in it"));
    }
    let private = PrivateKeyDer::from_pem_file(&key).map_err(|error| unreadable(&key, error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| unreadable(&cert, format!("{error}; is {} its key?", key.display())))?;
    Ok(TlsAcceptor::from(Arc::new(server)))
}

/// The certificate of the private CA, made at the first start and used again.
fn private(config: &Config) -> Result<(PathBuf, PathBuf), TlsError> {
    let folder = config.data.join("tls");
    let at = |name: &str| folder.join(name);
    let (cert, key) = (at("cert.pem"), at("key.pem"));
    if cert.exists() && key.exists() {
        return Ok((cert, key));
    }
    let failed = |error: rcgen::Error| TlsError(format!("the private CA: {error}"));
    std::fs::create_dir_all(&folder).map_err(|error| unreadable(&folder, error))?;
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
    write(&at("ca.pem"), authority_cert.pem().as_bytes(), false)?;
    write(&key, server_key.serialize_pem().as_bytes(), true)?;
    write(&cert, server_cert.pem().as_bytes(), false)?;
    Ok((cert, key))
}

fn write(path: &Path, octets: &[u8], secret: bool) -> Result<(), TlsError> {
    let write = || -> io::Result<()> {
        use std::io::Write as _;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(if secret { 0o600 } else { 0o644 });
        }
        let mut file = options.open(path)?;
        file.write_all(octets)?;
        file.sync_all()
    };
    write().map_err(|error| unreadable(path, error))
}
