//! The certificates that a server shows, whatever they are worth: they are judged later.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Certificates of a chain that are kept.
const CHAIN: usize = 16;

/// What one server showed.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// Where, such as "port 25 of 192.0.2.1".
    pub(super) place: String,
    /// The name that it was asked for.
    pub(super) name: String,
    pub(super) leaf: CertificateDer<'static>,
    pub(super) others: Vec<CertificateDer<'static>>,
}

/// Begins TLS with a server of that name, and takes whatever it shows.
pub(super) async fn begin<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    place: &str,
    name: &str,
) -> io::Result<(TlsStream<S>, Shown)> {
    let provider = Arc::new(default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Any(provider)))
        .with_no_client_auth();
    config.enable_early_data = false;
    let server = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(server, stream).await?;
    let (_, connection) = stream.get_ref();
    let mut chain = connection.peer_certificates().unwrap_or_default().iter();
    let leaf = chain.next().cloned();
    let leaf = leaf.ok_or_else(|| io::Error::other("no certificate"))?;
    let shown = Shown {
        place: place.to_owned(),
        name: name.to_owned(),
        leaf,
        others: chain.take(CHAIN).cloned().collect(),
    };
    Ok((stream, shown))
}

/// Takes any certificate. That the server has its key is checked.
#[derive(Debug)]
struct Any(Arc<CryptoProvider>);

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
