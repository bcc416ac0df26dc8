//! The address that a connection comes from.

use std::net::SocketAddr;

/// The address that a connection comes from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);
