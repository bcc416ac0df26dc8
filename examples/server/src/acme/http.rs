//! How the ACME server is asked: over HTTPS, with bounds on time and size.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use bytes::Bytes;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most octets of a request; those with a hundred names have a few thousand.
const REQUEST: usize = 1 << 20;
/// The most octets of an answer; the longest are chains of certificates.
const OCTETS: u64 = 1 << 20;

/// A client of HTTPS. Requests wait in threads that may.
pub(crate) struct Https(ureq::Agent);

impl Https {
    /// Creates one that trusts the system's authorities, and one more.
    pub(crate) fn new(root: Option<&Path>) -> Result<Self, std::io::Error> {
        let mut roots = rustls_native_certs::load_native_certs().certs;
        if let Some(path) = root {
            let text = std::fs::read(path)?;
            roots.extend(CertificateDer::pem_slice_iter(&text).flatten());
        }
        let roots = roots
            .iter()
            .map(|root| Certificate::from_der(root).to_owned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots.collect())))
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let config = ureq::Agent::config_builder()
            .https_only(true)
            // Problems (RFC 7807) come with such a status.
            .http_status_as_error(false)
            .max_redirects(3)
            .timeout_global(Some(PATIENCE))
            .tls_config(tls)
            .build();
        Ok(Self(config.new_agent()))
    }
}

impl HttpClient for Https {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let agent = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(Body::new(body), REQUEST).await;
            let body = body.map_err(|error| Error::Other(error.into()))?;
            let asked = tokio::task::spawn_blocking(move || ask(&agent, parts, &body)).await;
            asked.map_err(|error| Error::Other(error.into()))?
        })
    }
}

fn ask(
    agent: &ureq::Agent,
    parts: axum::http::request::Parts,
    body: &Bytes,
) -> Result<BytesResponse, Error> {
    let failed = |error: ureq::Error| Error::Other(error.into());
    let response = match body.is_empty() {
        true => agent.run(Request::from_parts(parts, ())),
        false => agent.run(Request::from_parts(parts, body.as_ref())),
    };
    let (parts, mut body) = response.map_err(failed)?.into_parts();
    let limited = body.with_config().limit(OCTETS);
    let octets = limited.read_to_vec().map_err(failed)?;
    Ok(BytesResponse {
        parts,
        body: Box::new(Bytes::from(octets)),
    })
}
