//! HTTPS, as far as a relay needs it: one request, one answer, no redirects (RFC 8461 §3.3, RFC 8460 §5.4).

use bytes::Bytes;
use hikyaku_wire::is_global;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::dns::{Dns, LookupError};

/// How long one address may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(8);
/// Addresses of a host that are tried.
const ADDRESSES: usize = 4;
/// The longest head of an answer, in octets.
const HEAD: usize = 16 * 1024;

/// Asks web servers.
#[derive(Debug, Clone)]
pub(crate) struct Https {
    dns: Dns,
    config: Arc<ClientConfig>,
    /// The port of servers whose address names none.
    port: u16,
    /// Whether servers within this network may be asked. What is asked is in DNS: a stranger chooses it.
    may_ask_private: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpsError {
    #[error(transparent)]
    Lookup(#[from] LookupError),
    #[error("{0} has no public address")]
    NoAddress(String),
    #[error("no connection: {0}")]
    Connect(io::Error),
    /// The certificate is not the server's, or leads to no trusted root.
    #[error("certificate: {0}")]
    Certificate(rustls::CertificateError),
    #[error("TLS: {0}")]
    Tls(io::Error),
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("this cannot be asked: {0}")]
    Request(#[from] hyper::http::Error),
    #[error("HTTP status {}", .0.as_u16())]
    Status(StatusCode),
    #[error("the answer is longer than {0} octets")]
    TooLong(usize),
    #[error("the answer broke off: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
}

/// An answer of status 200.
pub(crate) struct Answer {
    pub(crate) content_type: Option<String>,
    pub(crate) body: Bytes,
}

impl Https {
    /// Creates a client that trusts these roots.
    ///
    /// # Errors
    /// None, with the versions that rustls has by default.
    pub(crate) fn new(
        dns: Dns,
        roots: &Arc<RootCertStore>,
        port: u16,
        may_ask_private: bool,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(roots))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            dns,
            config: Arc::new(config),
            port,
            may_ask_private,
        })
    }

    /// Fetches what is at a path. An answer of any other status than 200 is an error, redirects among them.
    pub(crate) async fn get(
        &self,
        host: &str,
        path: &str,
        most: usize,
    ) -> Result<Answer, HttpsError> {
        let request = Request::builder().method(Method::GET).uri(path);
        let request = request.header(HOST, self.authority(host, self.port));
        let request = request.body(Full::default())?;
        let (status, answer) = self.ask(host, self.port, request, most).await?;
        match status {
            StatusCode::OK => Ok(answer),
            other => Err(HttpsError::Status(other)),
        }
    }

    /// Delivers a body to a path. Whatever is answered with a status of 2xx is nobody's concern.
    pub(crate) async fn post(
        &self,
        (host, port): (&str, Option<u16>),
        path: &str,
        (name, value): (HeaderName, &str),
        body: Bytes,
        most: usize,
    ) -> Result<(), HttpsError> {
        let port = port.unwrap_or(self.port);
        let request = Request::builder().method(Method::POST).uri(path);
        let request = request.header(HOST, self.authority(host, port));
        let request = request.header(name, value).body(Full::new(body))?;
        let (status, _) = self.ask(host, port, request, most).await?;
        match status.is_success() {
            true => Ok(()),
            false => Err(HttpsError::Status(status)),
        }
    }

    fn authority(&self, host: &str, port: u16) -> String {
        match port {
            443 => host.to_owned(),
            other => format!("{host}:{other}"),
        }
    }

    async fn ask(
        &self,
        host: &str,
        port: u16,
        request: Request<Full<Bytes>>,
        most: usize,
    ) -> Result<(StatusCode, Answer), HttpsError> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| HttpsError::Tls(io::Error::other(error)))?;
        let stream = self.connect(host, port).await?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream = connector.connect(name, stream).await.map_err(refused)?;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(HEAD);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        // Dropped with this call, and the connection with it.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let content_type = answer.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let content_type = content_type.map(str::to_owned);
        let body = Limited::new(answer.into_body(), most).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => HttpsError::TooLong(most),
            false => HttpsError::Body(error),
        })?;
        let body = body.to_bytes();
        Ok((status, Answer { content_type, body }))
    }

    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, HttpsError> {
        let found = self.dns.host(host).await?;
        let mut last = HttpsError::NoAddress(host.to_owned());
        let allowed = found.addresses.into_iter();
        let allowed = allowed.filter(|ip| self.may_ask_private || is_global(*ip));
        for ip in allowed.take(ADDRESSES) {
            let stream = TcpStream::connect(SocketAddr::new(ip, port));
            match timeout(CONNECT, stream).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = HttpsError::Connect(error),
                Err(_) => last = HttpsError::Connect(io::ErrorKind::TimedOut.into()),
            }
        }
        Err(last)
    }
}

fn refused(error: io::Error) -> HttpsError {
    let of_rustls = error.get_ref().and_then(|error| error.downcast_ref());
    match of_rustls {
        Some(rustls::Error::InvalidCertificate(why)) => HttpsError::Certificate(why.clone()),
        _ => HttpsError::Tls(error),
    }
}
