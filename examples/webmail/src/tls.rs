//! HTTPS: a listener that serves a router.

use axum::Router;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::admission::{Admission, Places};
use crate::connection::{converse, handshake};

/// A listener of streams under TLS, with a limit on connections.
pub struct Encrypted {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    places: Places,
}

impl std::fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encrypted")
            .field("listener", &self.listener)
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}

impl Encrypted {
    /// Begins TLS on the connections of a listener, with [places](Self::places) for 1024 connections, 64 of
    /// them from one network.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn new(listener: TcpListener, acceptor: TlsAcceptor) -> io::Result<Self> {
        listener.local_addr()?;
        Ok(Self {
            listener,
            acceptor,
            places: Places {
                total: 1024,
                per_network: 64,
                kept: 0,
            },
        })
    }

    /// With so many places.
    #[must_use]
    pub fn places(mut self, places: Places) -> Self {
        self.places = places;
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The socket's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Serves a router over TLS until `stop` ends. Handshakes do not wait for each other.
///
/// # Errors
/// None so far: what goes wrong with one connection ends that one.
pub async fn serve(
    listener: Encrypted,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let Encrypted {
        listener,
        acceptor,
        places,
    } = listener;
    let admission = Admission::new(places, 1);
    let (stopped, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = stop.as_mut() => break,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors: connections that end give some back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Some(admitted) = admission.admit(0, peer, Duration::ZERO) else {
            continue;
        };
        let (acceptor, router, mut stopping) = (acceptor.clone(), router.clone(), stopping.clone());
        connections.spawn(async move {
            let admitted = Arc::new(admitted);
            let _ = stream.set_nodelay(true);
            let mut stop = pin!(async {
                let _ = stopping.wait_for(|stopping| *stopping).await;
            });
            let stream = tokio::select! {
                stream = handshake(stream, &acceptor) => stream,
                () = admitted.displaced() => return,
                () = stop.as_mut() => return,
            };
            if let Ok(stream) = stream {
                converse(stream, &admitted, router, stop).await;
            }
        });
    }
    drop(listener);
    let _ = stopped.send(true);
    while connections.join_next().await.is_some() {}
    Ok(())
}
