//! A host that an attempt may ask, and how it is to be talked to.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::routes::Login;
use crate::security::Security;
use crate::tls_report::session::Session;

/// An address of a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    Tcp(SocketAddr),
    Socket(Arc<PathBuf>),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Socket(path) => path.display().fmt(f),
        }
    }
}

/// One address of a host that may take the mail.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    /// The host's name.
    pub(crate) name: String,
    pub(crate) peer: Peer,
    /// Hosts with a lower one are tried first.
    pub(crate) preference: u16,
    pub(crate) security: Security,
    /// TLS from the start.
    pub(crate) implicit_tls: bool,
    pub(crate) login: Option<Arc<Login>>,
    pub(crate) lmtp: bool,
    /// What it is counted for.
    pub(crate) session: Session,
    /// Why TLS is required, where the host's domain demands it.
    pub(crate) demand: Option<&'static str>,
}

impl Peer {
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Socket(_) => None,
        }
    }
}

impl Candidate {
    /// Returns whether that is another address of the same host.
    pub(crate) fn is_too(&self, other: &Self) -> bool {
        let is_tcp = |one: &Self| matches!(one.peer, Peer::Tcp(_));
        is_tcp(self)
            && is_tcp(other)
            && self.preference == other.preference
            && self.name == other.name
    }
}
