//! Accepting connections, within the limits, and their streams.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::deflated::Deflated;

/// A connection's stream, in clear or under TLS.
#[derive(Debug)]
pub(crate) enum Stream {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Compressed, in clear or under TLS.
    Deflated(Box<Deflated<Self>>),
}

impl Stream {
    /// The same, compressed from here on.
    pub(crate) fn deflated(self) -> Self {
        Self::Deflated(Box::new(Deflated::new(self)))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Deflated(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(cx, octets),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, octets),
            Self::Deflated(stream) => Pin::new(stream).poll_write(cx, octets),
        }
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Deflated(stream) => Pin::new(stream).poll_flush(cx),
        }
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Deflated(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// How many connections there are, in all and from each address.
#[derive(Debug)]
pub(crate) struct Admission {
    most: usize,
    most_per_ip: usize,
    now: Mutex<HashMap<IpAddr, usize>>,
    next: AtomicU64,
}

/// A connection that was let in; dropped with it.
#[derive(Debug)]
pub(crate) struct Admitted {
    admission: Arc<Admission>,
    /// Who it is.
    pub(crate) peer: SocketAddr,
    /// Its number, for the logs.
    pub(crate) id: u64,
}

impl Admission {
    pub(crate) fn new(most: usize, most_per_ip: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_per_ip,
            now: Mutex::default(),
            next: AtomicU64::new(1),
        })
    }

    /// `None` when there are too many.
    pub(crate) fn admit(self: &Arc<Self>, peer: SocketAddr) -> Option<Admitted> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = now.values().sum();
        let mine = now.entry(peer.ip()).or_default();
        if total >= self.most || *mine >= self.most_per_ip {
            return None;
        }
        *mine += 1;
        Some(Admitted {
            admission: Arc::clone(self),
            peer,
            id: self.next.fetch_add(1, Ordering::Relaxed),
        })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut now = self
            .admission
            .now
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = now.get_mut(&self.peer.ip()) {
            *count -= 1;
            if *count == 0 {
                now.remove(&self.peer.ip());
            }
        }
    }
}
