//! A page by HTTPS: one request, one answer, no redirects, whatever the certificate is worth.

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::shown::{self, Shown};
use super::subject::Subject;
use super::visit::connect;

/// The longest head and the longest body, in octets: a policy may have as many (RFC 8461 §3.3).
const HEAD: usize = 16 * 1024;
const BODY: usize = 64 * 1024;
/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Addresses of a host that are tried.
const TRIES: usize = 4;

/// A page that was fetched.
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) body: Bytes,
    pub(super) shown: Shown,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    #[error(transparent)]
    Lookup(#[from] hikyaku_relay::dns::LookupError),
    #[error("no address")]
    NoAddress,
    #[error("no connection: {0}")]
    Connect(io::Error),
    #[error("TLS does not begin: {0}")]
    Tls(io::Error),
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("HTTP: {0}")]
    Request(#[from] hyper::http::Error),
    #[error("the answer is cut off, or longer than 64 KiB")]
    Body,
    #[error("no whole answer in time")]
    Silent,
}

/// Fetches a page of a host.
pub(super) async fn fetch(
    subject: &Subject<'_>,
    host: &str,
    path: &str,
) -> Result<Page, PageError> {
    let fetched = timeout(PATIENCE, fetch_slowly(subject, host, path)).await;
    fetched.unwrap_or(Err(PageError::Silent))
}

async fn fetch_slowly(subject: &Subject<'_>, host: &str, path: &str) -> Result<Page, PageError> {
    let port = subject.config.doctor.https_port;
    let stream = reached(subject, host, port).await?;
    let place = format!("https://{host}");
    let begun = shown::begin(stream, &place, host).await;
    let (stream, shown) = begun.map_err(PageError::Tls)?;
    let authority = match port {
        443 => host.to_owned(),
        other => format!("{host}:{other}"),
    };
    let request = Request::get(path).header(HOST, authority);
    let request = request.body(Empty::<Bytes>::new())?;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    // Dropped with this call, and the connection with it.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request).await?;
    let content_type = answer.headers().get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or("").to_owned();
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), BODY).collect().await;
    Ok(Page {
        status,
        content_type,
        body: body.map_err(|_| PageError::Body)?.to_bytes(),
        shown,
    })
}

async fn reached(subject: &Subject<'_>, host: &str, port: u16) -> Result<TcpStream, PageError> {
    let found = subject.dns.host(host).await?;
    let mut last = PageError::NoAddress;
    for address in found.addresses.into_iter().take(TRIES) {
        match connect(SocketAddr::new(address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = PageError::Connect(error),
        }
    }
    Err(last)
}
