//! The client of a connection, as the program that accepted it knows it.

use hikyaku_mailstore::BoxFuture;
use std::net::{IpAddr, SocketAddr};

/// Why the server ends a connection before its client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Leave {
    /// The server is shutting down.
    Stopping,
    /// Another connection needs its place.
    NoRoom,
}

/// A connected client. [`IpAddr`] and [`SocketAddr`] are guests that may stay as long as they like.
pub trait Guest: Send + Sync {
    /// Returns the address of the client.
    fn address(&self) -> IpAddr;

    /// Returns whether the client is a proxy or a filter of one's own, which may say by XCLIENT for whom it speaks and by
    /// XFORWARD where a message came from. Nobody is, unless the program says so.
    fn is_proxy(&self) -> bool {
        false
    }

    /// Called when the connection has shown its purpose: its client has logged in, or a message is arriving.
    fn settled(&self) {}

    /// Resolves when the service is to end the connection in good order.
    fn leaves(&self) -> BoxFuture<'_, Leave> {
        Box::pin(std::future::pending())
    }
}

impl Guest for IpAddr {
    fn address(&self) -> IpAddr {
        *self
    }
}

impl Guest for SocketAddr {
    fn address(&self) -> IpAddr {
        self.ip()
    }
}
