//! The streams of connections.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::deflated::Deflated;

/// How long the first octets of a handshake may take.
const FIRST: Duration = Duration::from_secs(5);
/// How long all of a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Any other stream.
trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for S {}

/// The stream of a connection, in clear or under TLS. [`From`] converts a TCP stream.
pub struct Stream {
    kind: Kind,
    is_tls: bool,
}

enum Kind {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Other(Box<dyn Duplex>),
    Deflated(Box<Deflated<Stream>>),
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("is_tls", &self.is_tls)
            .finish_non_exhaustive()
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self {
            kind: Kind::Tcp(stream),
            is_tls: false,
        }
    }
}

impl From<TlsStream<TcpStream>> for Stream {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        Self {
            kind: Kind::Tls(Box::new(stream)),
            is_tls: true,
        }
    }
}

impl Stream {
    /// Creates one from another kind of stream, such as a Unix socket. `is_tls` says that nobody can
    /// eavesdrop, so that passwords are accepted.
    pub fn new(
        stream: impl AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static,
        is_tls: bool,
    ) -> Self {
        Self {
            kind: Kind::Other(Box::new(stream)),
            is_tls,
        }
    }

    /// Returns whether the stream is under TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Returns the version of TLS and the cipher suite, where it is known.
    pub(crate) fn cipher(&self) -> Option<String> {
        match &self.kind {
            Kind::Tls(stream) => {
                let (_, connection) = stream.get_ref();
                let version = connection.protocol_version()?.as_str()?;
                let suite = connection.negotiated_cipher_suite()?.suite();
                Some(format!("{} {}", version.replace('_', "."), suite.as_str()?))
            }
            _ => None,
        }
    }

    /// Returns the same stream, compressed from here on.
    pub(crate) fn deflated(self) -> Self {
        let is_tls = self.is_tls;
        Self {
            kind: Kind::Deflated(Box::new(Deflated::new(self))),
            is_tls,
        }
    }
}

/// Why a TLS handshake failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// The peer sent nothing at all in time.
    #[error("the client sent nothing")]
    Silent,
    /// The handshake did not end in time.
    #[error("the handshake took too long")]
    TooSlow,
    /// It is under TLS, or compressed.
    #[error("TLS has already begun")]
    Begun,
    /// The handshake failed, or the peer left.
    #[error("{0}")]
    Tls(#[from] io::Error),
}

/// Begins TLS. A peer that is silent costs nothing but its socket.
pub(crate) async fn handshake(
    stream: Stream,
    acceptor: &TlsAcceptor,
) -> Result<Stream, HandshakeError> {
    use HandshakeError as E;
    match stream.kind {
        Kind::Tcp(stream) => {
            let first = timeout(FIRST, stream.readable()).await;
            first.map_err(|_| E::Silent)??;
            let whole = timeout(HANDSHAKE, acceptor.accept(stream)).await;
            Ok(whole.map_err(|_| E::TooSlow)??.into())
        }
        Kind::Other(other) if !stream.is_tls => {
            let whole = timeout(HANDSHAKE, acceptor.accept(other)).await;
            Ok(Stream::new(whole.map_err(|_| E::TooSlow)??, true))
        }
        _ => Err(E::Begun),
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Other(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Deflated(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_write(cx, octets),
            Kind::Tls(stream) => Pin::new(stream).poll_write(cx, octets),
            Kind::Other(stream) => Pin::new(stream).poll_write(cx, octets),
            Kind::Deflated(stream) => Pin::new(stream).poll_write(cx, octets),
        }
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Kind::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Kind::Other(stream) => Pin::new(stream).poll_flush(cx),
            Kind::Deflated(stream) => Pin::new(stream).poll_flush(cx),
        }
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Other(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Deflated(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
