//! Sockets and TLS.

use hikyaku_mailstore::BoxFuture;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::trust::Judge;
use crate::{Error, Fingerprint, Limits, Result, Security, Server};

/// So long a connection or a TLS handshake may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream to a server.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Wire for T {}

/// Connects to servers; implemented by the network ([`Tcp`]) and by tests.
pub trait Dial: Send + Sync {
    /// Connects to a server, without TLS.
    fn dial<'a>(&'a self, server: &'a Server) -> BoxFuture<'a, Result<Box<dyn Wire>>>;
    /// Begins TLS on a connection.
    fn encrypt<'a>(
        &'a self,
        stream: Box<dyn Wire>,
        server: &'a Server,
    ) -> BoxFuture<'a, Result<Box<dyn Wire>>>;
    /// Returns what the server may make us hold, and how long it may take.
    fn limits(&self) -> Limits {
        Limits::default()
    }
}

/// Connects over TCP, and TLS with certificates that the system trusts.
#[derive(Debug, Clone, Default)]
#[allow(clippy::exhaustive_structs, reason = "programs write it out")]
pub struct Tcp {
    /// Certificates to trust besides the system's, a PEM file: authorities', or the server's own. It must be for the
    /// name of the host all the same; one without a subjectAltName is for its common name.
    pub ca: Option<PathBuf>,
    /// Fingerprints of the servers' certificates. When there are any, nothing else is trusted, and neither name nor
    /// dates nor issuer of a certificate matter.
    pub fingerprints: Vec<Fingerprint>,
    /// What servers may make us hold, and how long they may take.
    pub limits: Limits,
}

impl Tcp {
    fn tls(&self) -> Result<(Arc<ClientConfig>, Arc<Judge>)> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let mut named = Vec::new();
        if let Some(path) = &self.ca {
            let bad = |why: String| Error::Usage(format!("{}: {why}", path.display()));
            let all =
                CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))?;
            for certificate in all {
                named.push(certificate.map_err(|error| bad(error.to_string()))?);
            }
            if named.is_empty() {
                return Err(bad("there is no certificate in it".into()));
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let judge = Judge::new(
            roots,
            named,
            self.fingerprints.clone(),
            Arc::clone(&provider),
        );
        let judge = Arc::new(judge);
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Usage(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&judge) as _)
            .with_no_client_auth();
        Ok((Arc::new(config), judge))
    }
}

impl Dial for Tcp {
    fn dial<'a>(&'a self, server: &'a Server) -> BoxFuture<'a, Result<Box<dyn Wire>>> {
        Box::pin(async move {
            let connect = TcpStream::connect((server.host.as_str(), server.port));
            let stream = tokio::time::timeout(PATIENCE, connect).await;
            let stream = stream
                .map_err(|_| "no answer".to_owned())
                .and_then(|stream| stream.map_err(|error| error.to_string()))
                .map_err(|why| Error::Network(format!("{}:{}: {why}", server.host, server.port)))?;
            let _ = stream.set_nodelay(true);
            Ok(Box::new(stream) as Box<dyn Wire>)
        })
    }

    fn encrypt<'a>(
        &'a self,
        stream: Box<dyn Wire>,
        server: &'a Server,
    ) -> BoxFuture<'a, Result<Box<dyn Wire>>> {
        Box::pin(async move {
            let failed = |why: String| Error::Tls {
                host: server.host.clone(),
                why,
            };
            let name = ServerName::try_from(server.host.clone());
            let name = name.map_err(|error| failed(error.to_string()))?;
            let (config, judge) = self.tls()?;
            let connector = tokio_rustls::TlsConnector::from(config);
            let handshake = tokio::time::timeout(PATIENCE, connector.connect(name, stream)).await;
            let stream = handshake
                .map_err(|_| failed("no answer".into()))?
                .map_err(|error| match judge.refused() {
                    Some((fingerprint, why)) => Error::Untrusted {
                        host: server.host.clone(),
                        why,
                        fingerprint,
                    },
                    None => failed(error.to_string()),
                })?;
            Ok(Box::new(stream) as Box<dyn Wire>)
        })
    }

    fn limits(&self) -> Limits {
        self.limits
    }
}

/// A connection as the account wants it: with TLS already, when that comes first.
pub(crate) async fn open(dial: &dyn Dial, server: &Server) -> Result<Box<dyn Wire>> {
    let stream = dial.dial(server).await?;
    match server.security {
        Security::Tls => dial.encrypt(stream, server).await,
        Security::StartTls | Security::None => Ok(stream),
    }
}

/// What is said where a server does not offer STARTTLS, which the account asks for.
pub(crate) fn no_starttls(server: &Server) -> Error {
    Error::Tls {
        host: server.host.clone(),
        why: "the server does not offer STARTTLS".into(),
    }
}
