//! What is counted, and the page that tells it to Prometheus.

use mailstore::Health;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::store_health;

macro_rules! counters {
    ($($name:ident $kind:literal $help:literal),* $(,)?) => {
        /// Counters of the whole server.
        #[derive(Debug, Default)]
        pub(crate) struct Metrics {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl Metrics {
            /// In Prometheus' text format.
            fn page(&self) -> String {
                let mut page = String::new();
                $({
                    let name = concat!("mailserver_", stringify!($name));
                    let value = self.$name.load(Ordering::Relaxed);
                    let _ = write!(page, concat!("# HELP {} ", $help, "\n# TYPE {} ", $kind, "\n{} {}\n"), name, name, name, value);
                })*
                page
            }
        }
    };
}

counters! {
    connections_total "counter" "Connections accepted.",
    connections_refused_total "counter" "Connections over a limit.",
    connections_displaced_total "counter" "Connections that were silent and made room for others at a limit.",
    connections "gauge" "Connections open now.",
    logins_total "counter" "Logins that succeeded.",
    logins_failed_total "counter" "Logins that failed.",
    logins_delayed_total "counter" "Logins that waited for their turn.",
    logins_turned_away_total "counter" "Logins that were not looked at, since too many waited.",
    tls_reloads_total "counter" "Certificates loaded while the server ran.",
    tls_reloads_failed_total "counter" "Certificates that could not be used; the old one stayed.",
    tls_certificate_expires_timestamp_seconds "gauge" "When the certificate ends, in seconds since 1970.",
    messages_received_total "counter" "Messages accepted by SMTP, submission and LMTP.",
    messages_delivered_total "counter" "Deliveries into mailboxes.",
    messages_relayed_total "counter" "Recipients handed on to other servers.",
    messages_deferred_total "counter" "Attempts to hand on that are to be repeated.",
    messages_bounced_total "counter" "Recipients that were given up.",
    notifications_dropped_total "counter" "Times that recipients were given up and no sender could be notified.",
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Something that is open now; counted out when dropped, however its task ends.
pub(crate) struct Gauge<'a>(&'a AtomicU64);

impl<'a> Gauge<'a> {
    pub(crate) fn raise(gauge: &'a AtomicU64) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers one request: `/metrics`, `/health`.
pub(crate) async fn answer(metrics: &Metrics, store: &Health, mut stream: TcpStream) {
    let mut request = [0; 1024];
    let mut length = 0;
    while length < request.len() && !request[..length].ends_with(b"\r\n\r\n") {
        match stream.read(&mut request[length..]).await {
            Ok(0) | Err(_) => break,
            Ok(count) => length += count,
        }
    }
    let (status, page) = match () {
        () if request.starts_with(b"GET /metrics ") => {
            ("200 OK", metrics.page() + &store_health::metrics(store))
        }
        () if request.starts_with(b"GET /health ") => store_health::page(store),
        () => ("404 Not Found", "try /metrics or /health\n".into()),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
