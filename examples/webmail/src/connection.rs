//! One connection of a browser: TLS, then requests, each step within its time.

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower_service::Service as _;

use crate::{Admitted, Peer};

/// How long the first octets of a handshake may take.
const FIRST: Duration = Duration::from_secs(5);
/// How long all of a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the head of a request may take, and how long a connection may wait for its next request.
const HEAD: Duration = Duration::from_secs(20);
/// How long a peer may read nothing of an answer.
const UNREAD: Duration = Duration::from_secs(30);
/// How long answers may go on after the server has begun to stop.
const GRACE: Duration = Duration::from_secs(3);
/// Octets of a request's head. Past it: 431.
const HEADER: usize = 16 * 1024;
/// Octets that are read ahead, and octets of an answer that wait to be sent.
const BUFFER: usize = 32 * 1024;

/// Why a TLS handshake failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer sent nothing at all in time.
    #[error("nothing came")]
    Silent,
    /// The handshake did not end in time.
    #[error("the handshake took too long")]
    TooSlow,
    /// The handshake failed, or the peer left.
    #[error("{0}")]
    Tls(#[from] io::Error),
}

/// Begins TLS. A peer that is silent costs nothing but its socket.
///
/// # Errors
/// When the handshake fails or takes too long.
pub async fn handshake(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
) -> Result<TlsStream<TcpStream>, HandshakeError> {
    let first = timeout(FIRST, stream.readable()).await;
    first.map_err(|_| HandshakeError::Silent)??;
    let whole = timeout(HANDSHAKE, acceptor.accept(stream)).await;
    Ok(whole.map_err(|_| HandshakeError::TooSlow)??)
}

/// Serves the requests of a connection until it ends, is displaced, or `stop` resolves.
pub async fn converse<S>(
    stream: S,
    admitted: &Arc<Admitted>,
    router: Router,
    stop: impl Future<Output = ()>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let peer = ConnectInfo(Peer(admitted.peer));
    let service = service_fn(|request: Request<Incoming>| {
        let mut router = router.clone();
        let admitted = Arc::clone(admitted);
        async move {
            // RFC 9112 §3.2
            if request.version() == Version::HTTP_11
                && !request.headers().contains_key(header::HOST)
            {
                return Ok::<Response, Infallible>(StatusCode::BAD_REQUEST.into_response());
            }
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(admitted);
            router.call(request).await
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_header_size(HEADER)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(Read::new(stream)), service);
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = admitted.displaced() => return,
        () = stop => connection.as_mut().graceful_shutdown(),
    }
    let _ = timeout(GRACE, connection).await;
}

/// A stream that fails when its peer does not read.
struct Read<S> {
    inner: S,
    waits: Option<Pin<Box<Sleep>>>,
}

impl<S> Read<S> {
    fn new(inner: S) -> Self {
        Self { inner, waits: None }
    }

    /// What came of writing, unless that has waited for too long.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waits = None;
            return written;
        }
        let waits = self.waits.get_or_insert_with(|| Box::pin(sleep(UNREAD)));
        ready!(waits.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Read<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Read<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(cx, octets);
        this.in_time(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.inner).poll_flush(cx);
        this.in_time(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.inner).poll_shutdown(cx);
        this.in_time(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_left() {
        let (one, mut other) = tokio::io::duplex(100);
        let mut one = Read::new(one);
        one.write_all(&[0; 100]).await.unwrap();
        // Reading a little at a time is reading.
        for _ in 0..10 {
            let wrote = one.write_all(&[0; 10]);
            let read = async {
                sleep(UNREAD - Duration::from_secs(1)).await;
                other.read_exact(&mut [0; 10]).await.unwrap();
            };
            let (wrote, ()) = tokio::join!(wrote, read);
            wrote.unwrap();
        }
        let failed = one.write_all(&[0; 200]).await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
    }
}
