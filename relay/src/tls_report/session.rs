//! One session with one host, which is counted once.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::result_type::ResultType;
use super::tally::{Applied, Failure, Kind, Outcome, Tallies};
use crate::options::Happened;

/// Called for each thing that happens.
type Observe = Arc<dyn Fn(Happened) + Send + Sync>;

/// Mail for one domain, under one policy: what its sessions are counted for.
#[derive(Clone)]
pub(crate) struct Subject {
    observe: Observe,
    /// `None`: no reports are sent.
    tallies: Option<Arc<Tallies>>,
    /// The domain that mail is for.
    domain: Arc<str>,
    applied: Arc<Applied>,
}

impl Subject {
    pub(crate) fn new(
        observe: &Observe,
        tallies: Option<&Arc<Tallies>>,
        domain: &str,
        applied: Applied,
    ) -> Self {
        Self {
            observe: Arc::clone(observe),
            tallies: tallies.cloned(),
            domain: domain.into(),
            applied: Arc::new(applied),
        }
    }

    fn count(&self, outcome: Outcome) {
        let is_failure = matches!(outcome, Outcome::Failure(_));
        if is_failure && self.applied.kind != Kind::NoPolicyFound {
            (self.observe)(Happened::TlsPolicyFailed);
        }
        if let Some(tallies) = &self.tallies {
            tallies.count(&self.domain, &self.applied, outcome);
        }
    }

    /// Counts a host that is not asked, for what is known of it.
    pub(crate) fn refused(&self, host: &str, result: ResultType, reason: &str) {
        self.count(Outcome::Failure(failure(Some(host), result, reason)));
    }

    /// Counts something about the policy.
    pub(crate) fn remark(&self, host: Option<&str>, result: ResultType, reason: &str) {
        self.count(Outcome::Remark(failure(host, result, reason)));
    }

    /// Begins a session with a host. Where the host is not one that the policy allows, that is what the session fails
    /// with, whatever becomes of it.
    pub(crate) fn session(&self, host: &str, objection: Option<(ResultType, &str)>) -> Session {
        let objection = objection.map(|(result, reason)| (result, reason.to_owned()));
        Session(Some(Arc::new(Inner {
            subject: self.clone(),
            host: host.to_owned(),
            objection,
            is_counted: AtomicBool::new(false),
        })))
    }
}

fn failure(host: Option<&str>, result: ResultType, reason: &str) -> Failure {
    Failure {
        result,
        host: host.map(str::to_owned),
        address: None,
        source: None,
        reason: Some(reason.to_owned()),
    }
}

struct Inner {
    subject: Subject,
    host: String,
    objection: Option<(ResultType, String)>,
    is_counted: AtomicBool,
}

/// A session. It is counted when TLS has come about or has not, and no more when it is tried again without.
#[derive(Clone, Default)]
pub(crate) struct Session(Option<Arc<Inner>>);

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    /// TLS has come about, with a certificate that is as it should be, or is accepted all the same.
    pub(crate) fn encrypted(&self, peer: Option<SocketAddr>, objection: Option<&io::Error>) {
        let objection = objection.map(|error| {
            let result = ResultType::of_handshake(error);
            (result, error.to_string())
        });
        self.note(peer, objection);
    }

    /// The host offers no TLS, or refused it.
    pub(crate) fn clear(&self, peer: Option<SocketAddr>) {
        let why = "the host does not offer STARTTLS".to_owned();
        self.note(peer, Some((ResultType::StarttlsNotSupported, why)));
    }

    fn note(&self, peer: Option<SocketAddr>, failed: Option<(ResultType, String)>) {
        let Some(inner) = &self.0 else { return };
        if inner.is_counted.swap(true, Ordering::SeqCst) {
            return;
        }
        let Some((result, reason)) = inner.objection.clone().or(failed) else {
            return inner.subject.count(Outcome::Success);
        };
        let address = peer.map(|peer| peer.ip());
        inner.subject.count(Outcome::Failure(Failure {
            address,
            source: address.and_then(source),
            ..failure(Some(&inner.host), result, &reason)
        }));
    }
}

/// The address that this server asks from. Nothing is sent to find it out.
fn source(to: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match to {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((to, 25)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}
