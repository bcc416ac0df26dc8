//! Accepting connections, within the limits.

use axum::Router;
use hikyaku_mailstore::BoxFuture;
use hikyaku_service::{Guest, Leave, Reception, Stream};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{Instrument as _, info, warn};
use webmail::{Admitted, converse};

use crate::admission::Purpose;
use crate::metrics::{Gauge, count};
use crate::metrics_page;
use crate::protocol::Protocol;
use crate::proxied;
use crate::shared::Shared;

/// How long a silent connection keeps its place where a newcomer can be answered that there is none.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a peer may take until it has logged in, or begun a message.
const LOGIN: Duration = Duration::from_secs(180);
/// How long a handshake may take while the ACME server is expected to look at a challenge.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection whose place is taken has for its last words.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long accepting pauses when there are no file descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a proxy has to say for whom it connects.
const HEADER: Duration = Duration::from_secs(10);
/// Connections of proxies, of one listener, that have not said so yet.
const HEADERS: usize = 256;

/// Accepts connections on a port until the server stops. `web` answers those of HTTP and HTTPS.
pub(crate) async fn accept(
    shared: Arc<Shared>,
    protocol: Protocol,
    listener: TcpListener,
    web: Option<Router>,
) {
    let mut connections = JoinSet::new();
    // Where nothing can be said before TLS, and where clients try again by themselves, a newcomer takes a place at once.
    let patience = match protocol {
        Protocol::Https | Protocol::Http => Duration::ZERO,
        protocol if protocol.is_implicit_tls() => Duration::ZERO,
        _ => PATIENCE,
    };
    let headers = Arc::new(Semaphore::new(HEADERS));
    let mut out_of_descriptors = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = shared.stopping() => break,
        };
        let (mut stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if !std::mem::replace(&mut out_of_descriptors, true) {
                    warn!(%error, ?protocol, "connections cannot be accepted at the moment");
                }
                // Connections that end give descriptors back.
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        out_of_descriptors = false;
        let entrance = Entrance {
            shared: Arc::clone(&shared),
            protocol,
            patience,
            web: web.clone(),
        };
        if protocol == Protocol::Metrics || !shared.config.proxies.protocol.contains(peer.ip()) {
            if let Some(served) = entrance.admit(stream, peer) {
                connections.spawn(served);
            }
            continue;
        }
        let Ok(place) = Arc::clone(&headers).try_acquire_owned() else {
            count(&shared.metrics.connections_refused_total);
            continue;
        };
        connections.spawn(async move {
            let header = tokio::time::timeout(HEADER, proxied::client(&mut stream)).await;
            drop(place);
            match header.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
                Ok(client) => {
                    if let Some(served) = entrance.admit(stream, client.unwrap_or(peer)) {
                        served.await;
                    }
                }
                Err(error) => {
                    warn!(%error, %peer, ?protocol, "a proxy has not said for whom it connects");
                }
            }
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// What a connection needs to come in.
struct Entrance {
    shared: Arc<Shared>,
    protocol: Protocol,
    patience: Duration,
    web: Option<Router>,
}

impl Entrance {
    /// Gives a connection a place, or sends it away. What is returned is the connection, until its end.
    fn admit(self, stream: TcpStream, peer: SocketAddr) -> Option<impl Future<Output = ()>> {
        let Self {
            shared,
            protocol,
            patience,
            web,
        } = self;
        // A socket that takes both kinds of addresses has IPv4 peers as ::ffff:192.0.2.1: whoever limits networks and asks
        // for names has to know them as what they are.
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let purpose = Purpose::of(protocol);
        let admitted = match shared.manners.admits(purpose, peer.ip()) {
            true => shared.admission.admit(purpose as usize, peer, patience),
            false => None,
        };
        let Some(admitted) = admitted else {
            count(&shared.metrics.connections_refused_total);
            refuse(protocol, &stream);
            return None;
        };
        count(&shared.metrics.connections_total);
        let span = tracing::info_span!("connection", id = admitted.id, ?protocol, %peer);
        let served = async move {
            let _open = Gauge::raise(&shared.metrics.connections);
            let began = Instant::now();
            let admitted = Arc::new(admitted);
            let served = serve(&shared, protocol, stream, &admitted, web);
            tokio::select! {
                () = served => {}
                () = over(&shared, &admitted) => info!("closed to make room, or because nobody logged in within its time"),
            }
            shared.metrics.timings.session(protocol, began.elapsed());
        };
        Some(served.instrument(span))
    }
}

/// Resolves when a connection has to end: another one has its place, or nobody has logged in in time.
async fn over(shared: &Shared, admitted: &Admitted) {
    tokio::select! {
        () = admitted.displaced() => count(&shared.metrics.connections_displaced_total),
        () = unsettled(admitted) => {}
    }
    tokio::time::sleep(LAST_WORDS).await;
}

/// Resolves when a peer has not shown in time whose connection it is.
async fn unsettled(admitted: &Admitted) {
    tokio::time::sleep(LOGIN).await;
    if admitted.is_settled() {
        std::future::pending::<()>().await;
    }
}

/// One connection too many: it says so where that is short, and is closed.
fn refuse(protocol: Protocol, stream: &TcpStream) {
    let line: &[u8] = match protocol {
        Protocol::Smtp | Protocol::Submission | Protocol::Lmtp => {
            b"421 4.7.0 Too many connections\r\n"
        }
        Protocol::Pop3 => b"-ERR [SYS/TEMP] Too many connections\r\n",
        Protocol::Imap => b"* BYE [UNAVAILABLE] Too many connections\r\n",
        Protocol::Http | Protocol::Metrics => {
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        }
        Protocol::Submissions | Protocol::Pop3s | Protocol::Imaps | Protocol::Https => b"",
    };
    let _ = stream.try_write(line);
}

/// A client, as the listener knows it.
struct Visitor<'a> {
    shared: &'a Shared,
    admitted: &'a Admitted,
}

impl Guest for Visitor<'_> {
    fn address(&self) -> IpAddr {
        self.admitted.peer.ip()
    }

    fn is_proxy(&self) -> bool {
        let trusted = &self.shared.config.proxies.xclient;
        trusted.contains(self.admitted.peer.ip())
    }

    fn settled(&self) {
        self.admitted.settle();
    }

    fn leaves(&self) -> BoxFuture<'_, Leave> {
        Box::pin(async {
            tokio::select! {
                () = self.shared.stopping() => Leave::Stopping,
                () = self.admitted.displaced() => Leave::NoRoom,
            }
        })
    }
}

async fn serve(
    shared: &Arc<Shared>,
    protocol: Protocol,
    stream: TcpStream,
    admitted: &Arc<Admitted>,
    web: Option<Router>,
) {
    let _ = stream.set_nodelay(true);
    if protocol == Protocol::Metrics {
        let trouble = shared.acme.trouble();
        let answer = metrics_page::answer(&shared.metrics, &*shared.store, trouble, stream);
        let _ = tokio::time::timeout(Duration::from_secs(10), Box::pin(answer)).await;
        return;
    }
    let service = &shared.service;
    let challenges = &shared.acme.challenges;
    // What is over soon is boxed, and so is each conversation: else a connection that waits in IDLE had room for a
    // handshake, and for what SMTP does with a message.
    let stream = match protocol.is_implicit_tls() {
        true if challenges.expects_tls() => {
            let begun = Box::pin(challenges.begin(stream, Arc::clone(&shared.tls)));
            let begun = tokio::time::timeout(HANDSHAKE, begun).await;
            begun.ok().flatten().map(Stream::from)
        }
        true => Box::pin(service.encrypt(stream)).await,
        false => Some(Stream::from(stream)),
    };
    let Some(stream) = stream else { return };
    let guest = Visitor { shared, admitted };
    let conversation: BoxFuture<'_, ()> = match protocol {
        Protocol::Smtp => Box::pin(service.smtp(stream, Reception::Relay, &guest)),
        Protocol::Submission | Protocol::Submissions => {
            Box::pin(service.smtp(stream, Reception::Submission, &guest))
        }
        Protocol::Lmtp => Box::pin(service.smtp(stream, Reception::Lmtp, &guest)),
        Protocol::Pop3 | Protocol::Pop3s => Box::pin(service.pop3(stream, &guest)),
        Protocol::Imap | Protocol::Imaps => Box::pin(service.imap(stream, &guest)),
        Protocol::Https | Protocol::Http => Box::pin(async {
            if let Some(web) = web {
                converse(stream, admitted, web, shared.stopping()).await;
            }
        }),
        Protocol::Metrics => return,
    };
    conversation.await;
}
