//! Bodies of requests come at a pace, or not at all.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a body may pause.
const PAUSE: Duration = Duration::from_secs(20);
/// How long it may be slower than it must.
const HEAD_START: Duration = Duration::from_secs(20);
/// Octets a second.
const RATE: u64 = 2048;

/// Has the body of a request fail when it comes too slowly.
pub(crate) async fn pace(request: Request, next: Next) -> Response {
    next.run(request.map(|body| Body::from_stream(paced(body.into_data_stream()))))
        .await
}

type Piece = Result<Bytes, axum::BoxError>;

fn paced<S, E>(body: S) -> impl Stream<Item = Piece>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<axum::BoxError>,
{
    // Time runs while somebody reads.
    stream::unfold(Some((body, 0_u64, Duration::ZERO)), |state| async move {
        let (mut body, octets, waited) = state?;
        let may = HEAD_START + Duration::from_secs(octets / RATE);
        let began = Instant::now();
        let most = may.saturating_sub(waited).min(PAUSE);
        match timeout_at(began + most, body.next()).await {
            Ok(Some(Ok(piece))) => {
                let octets = octets.saturating_add(piece.len() as u64);
                let waited = waited + began.elapsed();
                Some((Ok(piece), Some((body, octets, waited))))
            }
            Ok(Some(Err(error))) => Some((Err(error.into()), None)),
            Ok(None) => None,
            Err(_) => Some((Err("the body came too slowly".into()), None)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    /// How many pieces come of a body of 100, each of that size and so long after the one before.
    async fn came(octets: usize, after: Duration) -> (usize, bool) {
        let body = stream::iter(0..100).then(move |_| async move {
            sleep(after).await;
            Ok::<_, axum::BoxError>(Bytes::from(vec![0; octets]))
        });
        let all: Vec<_> = paced(Box::pin(body)).collect().await;
        let whole = all.iter().all(Result::is_ok);
        (all.len(), whole)
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_is_none() {
        let rows = [
            (1, 10, (100, true)),
            (1, 1000, (21, false)),
            (2048, 900, (100, true)),
            (1024, 900, (48, false)),
            (100_000, 19_000, (100, true)),
            (100_000, 21_000, (1, false)),
        ];
        for (octets, milliseconds, expected) in rows {
            let came = came(octets, Duration::from_millis(milliseconds)).await;
            assert_eq!(came, expected, "{octets} every {milliseconds} ms");
        }
    }
}
