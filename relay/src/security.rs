//! What a connection to a host has to be before mail is said on it.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::dane::policy::Policy;
use crate::dane::verifier;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// A stream to a host.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send + Sync {
    /// The version of TLS and the cipher suite, where it is used.
    fn cipher(&self) -> Option<String> {
        None
    }
}

impl Wire for TcpStream {}

#[cfg(unix)]
impl Wire for tokio::net::UnixStream {}

impl Wire for TlsStream<Box<dyn Wire>> {
    fn cipher(&self) -> Option<String> {
        let (_, connection) = self.get_ref();
        let version = connection.protocol_version()?.as_str()?;
        let suite = connection.negotiated_cipher_suite()?.suite();
        Some(format!("{} {}", version.replace('_', "."), suite.as_str()?))
    }
}

/// What a connection to a host has to be.
#[derive(Debug, Clone)]
pub(crate) enum Security {
    /// TLS is not asked for.
    Clear,
    /// TLS where it can be had, with any certificate: it is better than none (RFC 7435).
    Opportunistic,
    /// TLS, with a certificate that leads to a trusted root and has one of these names.
    Verified { names: Vec<String> },
    /// TLS where it can be had, with any certificate. Whether it is one that [`Verified`](Self::Verified) takes is found
    /// out, and reported (RFC 8461 §5, "testing").
    Tested { names: Vec<String> },
    /// TLS as the host's TLSA records demand (RFC 7672).
    Dane(Policy),
}

impl Security {
    /// Returns whether nothing is sent without TLS.
    pub(crate) fn is_required(&self) -> bool {
        matches!(self, Self::Verified { .. } | Self::Dane(_))
    }

    /// Begins TLS with a host of that name. Returns what is wrong with its certificate, where it is taken all the same.
    pub(crate) async fn encrypt(
        &self,
        stream: Box<dyn Wire>,
        host: &str,
        roots: Option<&Arc<RootCertStore>>,
    ) -> io::Result<(Box<dyn Wire>, Option<io::Error>)> {
        let objection = Arc::default();
        let (config, name) = match self {
            Self::Clear | Self::Opportunistic => (checked_by(Accepts::Any)?, name_of(host)?),
            Self::Dane(policy) => {
                let config = verifier::client_config(policy.clone()).map_err(io::Error::other)?;
                (config, policy.server_name().map_err(io::Error::other)?)
            }
            Self::Verified { names } => {
                let accepts = Accepts::OneOf(OneOf::new(names, roots)?);
                (checked_by(accepts)?, name_of(host)?)
            }
            Self::Tested { names } => {
                let one_of = OneOf::new(names, roots)?;
                let accepts = Accepts::Noted(one_of, Arc::clone(&objection));
                (checked_by(accepts)?, name_of(host)?)
            }
        };
        let connector = tokio_rustls::TlsConnector::from(config);
        let handshake = tokio::time::timeout(HANDSHAKE, connector.connect(name, stream));
        let stream = Box::new(handshake.await??);
        let objection = objection.lock().unwrap_or_else(PoisonError::into_inner);
        let objection = objection.clone();
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        Ok((stream, objection.map(invalid)))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The name for SNI. A host that is an address has none.
fn name_of(host: &str) -> io::Result<ServerName<'static>> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned());
    name.or_else(|_| ServerName::try_from("mail.invalid"))
        .map_err(io::Error::other)
}

fn checked_by(accepts: Accepts) -> io::Result<Arc<ClientConfig>> {
    let provider = provider();
    let verifier = Verifier {
        accepts,
        provider: Arc::clone(&provider),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// A certificate for one of several names: an exchanger may be known by its own or by its domain's.
#[derive(Debug)]
struct OneOf {
    names: Vec<ServerName<'static>>,
    web: Arc<WebPkiServerVerifier>,
}

impl OneOf {
    fn new(names: &[String], roots: Option<&Arc<RootCertStore>>) -> io::Result<Self> {
        let roots = roots.ok_or_else(|| io::Error::other("no trusted roots are configured"))?;
        let names = names.iter().map(|name| ServerName::try_from(name.clone()));
        let names: Result<Vec<_>, _> = names.collect();
        let web = WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), provider());
        Ok(Self {
            names: names.map_err(io::Error::other)?,
            web: web.build().map_err(io::Error::other)?,
        })
    }

    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let mut error = rustls::Error::InvalidCertificate(CertificateError::NotValidForName);
        for name in &self.names {
            match self.web.verify_server_cert(leaf, others, name, ocsp, now) {
                Ok(_) => return Ok(()),
                Err(other) => error = other,
            }
        }
        Err(error)
    }
}

/// Which certificates are accepted.
#[derive(Debug)]
enum Accepts {
    Any,
    OneOf(OneOf),
    /// Any, and what is wrong with it is noted.
    Noted(OneOf, Arc<Mutex<Option<rustls::Error>>>),
}

#[derive(Debug)]
struct Verifier {
    accepts: Accepts,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.accepts {
            Accepts::Any => {}
            Accepts::OneOf(one_of) => one_of.check(leaf, others, ocsp, now)?,
            Accepts::Noted(one_of, objection) => {
                let done = one_of.check(leaf, others, ocsp, now);
                *objection.lock().unwrap_or_else(PoisonError::into_inner) = done.err();
            }
        }
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
