//! The pages that Prometheus and other watchers read.

use hikyaku_mailstore::Store;
use std::fmt::Write as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::metrics::Metrics;
use crate::store_health;

/// How long the queue may take to be counted.
const COUNTING: Duration = Duration::from_secs(5);

/// Answers one request: `/metrics`, `/health`. What is wrong with the certificate is said there, and is no reason to restart
/// anything.
pub(crate) async fn answer(
    metrics: &Metrics,
    store: &dyn Store,
    trouble: Option<String>,
    mut stream: TcpStream,
) {
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
            let mut page = metrics.page() + &store_health::metrics(&store.health());
            queue(store, &mut page).await;
            ("200 OK", page)
        }
        () if request.starts_with(b"GET /health ") => {
            let (status, mut page) = store_health::page(&store.health());
            if let Some(trouble) = trouble {
                let _ = writeln!(page, "warning: ACME: {trouble}");
            }
            (status, page)
        }
        () => ("404 Not Found", "try /metrics or /health\n".into()),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// What waits in the queue. Nothing is said of it where the store does not answer.
async fn queue(store: &dyn Store, page: &mut String) {
    let measure = tokio::time::timeout(COUNTING, hikyaku_relay::measure(store));
    let Ok(Ok((length, oldest))) = measure.await else {
        return;
    };
    let name = "mailserver_queue_length";
    let _ = writeln!(
        page,
        "# HELP {name} Messages in the queue, once for each next hop.\n# TYPE {name} gauge"
    );
    for (state, count) in [
        ("due", length.due),
        ("waiting", length.waiting),
        ("under_way", length.claimed),
        ("held", length.parked),
    ] {
        let _ = writeln!(page, "{name}{{state=\"{state}\"}} {count}");
    }
    let name = "mailserver_queue_oldest_age_seconds";
    let seconds = oldest.unwrap_or_default().as_secs();
    let _ = writeln!(
        page,
        "# HELP {name} How long the message has been in the queue that waits longest, of those that are not held; 0 \
         when none does.\n# TYPE {name} gauge\n{name} {seconds}"
    );
}
