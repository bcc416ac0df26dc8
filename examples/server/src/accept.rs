//! Accepting connections, within the limits.

use axum::Router;
use hikyaku_webmail::{Admission, Admitted, Places, converse};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tracing::{Instrument as _, info, warn};

use crate::config::Limits;
use crate::listener::Stream;
use crate::metrics::{Gauge, count};
use crate::server::{Service, Shared};
use crate::{descriptors, imap, metrics, pop3, smtp};

/// How long a silent connection keeps its place where a newcomer can be answered that there is none.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a peer may take until it has logged in, or begun a message.
const LOGIN: Duration = Duration::from_secs(180);
/// How long a connection whose place is taken has for its last words.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long accepting pauses when there are no file descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// Connections that are reserved for each purpose, where there are enough in all.
const KEPT: usize = 64;

/// What connections are for: each of these has places of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Reception,
    Submission,
    Lmtp,
    Pop3,
    Imap,
    Web,
    Metrics,
}

impl Purpose {
    const COUNT: usize = Self::Metrics as usize + 1;

    fn of(service: Service) -> Self {
        match service {
            Service::Smtp => Self::Reception,
            Service::Submission | Service::Submissions => Self::Submission,
            Service::Lmtp => Self::Lmtp,
            Service::Pop3 | Service::Pop3s => Self::Pop3,
            Service::Imap | Service::Imaps => Self::Imap,
            Service::Https | Service::Http => Self::Web,
            Service::Metrics => Self::Metrics,
        }
    }
}

/// The places that a configuration gives, as far as there are file descriptors.
pub(crate) fn admission(limits: &Limits) -> Arc<Admission> {
    let places = Places {
        total: descriptors::connections(limits.connections),
        per_network: limits.connections_per_ip,
        kept: KEPT,
    };
    Admission::new(places, Purpose::COUNT)
}

/// Accepts connections of a service until the server stops. `web` answers those of HTTP and HTTPS.
pub(crate) async fn accept(
    shared: Arc<Shared>,
    service: Service,
    listener: TcpListener,
    web: Option<Router>,
) {
    let mut connections = JoinSet::new();
    // Where nothing can be said before TLS, and where clients try again by themselves, a newcomer takes a place at once.
    let patience = match service {
        Service::Https | Service::Http => Duration::ZERO,
        service if service.is_implicit_tls() => Duration::ZERO,
        _ => PATIENCE,
    };
    let mut out_of_descriptors = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = shared.stopping() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if !std::mem::replace(&mut out_of_descriptors, true) {
                    warn!(%error, ?service, "no connection is accepted for now");
                }
                // Connections that end give descriptors back.
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        out_of_descriptors = false;
        let purpose = Purpose::of(service) as usize;
        let Some(admitted) = shared.admission.admit(purpose, peer, patience) else {
            count(&shared.metrics.connections_refused_total);
            refuse(service, &stream);
            continue;
        };
        count(&shared.metrics.connections_total);
        let span = tracing::info_span!("connection", id = admitted.id, ?service, %peer);
        let (shared, web) = (Arc::clone(&shared), web.clone());
        connections.spawn(
            async move {
                let _open = Gauge::raise(&shared.metrics.connections);
                let admitted = Arc::new(admitted);
                let served = serve(&shared, service, stream, &admitted, web);
                tokio::select! {
                    () = served => {}
                    () = over(&shared, &admitted) => info!("ended for want of room or time"),
                }
            }
            .instrument(span),
        );
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
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
fn refuse(service: Service, stream: &TcpStream) {
    let line: &[u8] = match service {
        Service::Smtp | Service::Submission | Service::Lmtp => {
            b"421 4.7.0 Too many connections\r\n"
        }
        Service::Pop3 => b"-ERR [SYS/TEMP] Too many connections\r\n",
        Service::Imap => b"* BYE [UNAVAILABLE] Too many connections\r\n",
        Service::Http | Service::Metrics => {
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        }
        Service::Submissions | Service::Pop3s | Service::Imaps | Service::Https => b"",
    };
    let _ = stream.try_write(line);
}

async fn serve(
    shared: &Arc<Shared>,
    service: Service,
    stream: TcpStream,
    admitted: &Arc<Admitted>,
    web: Option<Router>,
) {
    let _ = stream.set_nodelay(true);
    let mut stream = Stream::Clear(stream);
    if service.is_implicit_tls() || service == Service::Https {
        let Some(encrypted) = shared.encrypt(stream).await else {
            return;
        };
        stream = encrypted;
    }
    match service {
        Service::Smtp | Service::Submission | Service::Submissions | Service::Lmtp => {
            smtp::serve(shared, service, stream, admitted).await;
        }
        Service::Pop3 | Service::Pop3s => pop3::serve(shared, service, stream, admitted).await,
        Service::Imap | Service::Imaps => imap::serve(shared, service, stream, admitted).await,
        Service::Https | Service::Http => {
            if let Some(web) = web {
                converse(stream, admitted, web, shared.stopping()).await;
            }
        }
        Service::Metrics => {
            if let Stream::Clear(stream) = stream {
                let health = shared.store.health();
                let answer = metrics::answer(&shared.metrics, &health, stream);
                let _ = tokio::time::timeout(Duration::from_secs(10), answer).await;
            }
        }
    }
}
