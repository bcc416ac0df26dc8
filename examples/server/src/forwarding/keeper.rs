//! Secrets are renewed while the server runs.

use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;
use tracing::warn;

use crate::shared::Shared;

/// How often it is looked whether it is time.
const LOOK: Duration = Duration::from_secs(6 * 3600);

/// Begins renewing them.
pub(crate) fn start(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
    let Some(srs) = shared.residents.srs.clone() else {
        return;
    };
    let shared = Arc::clone(shared);
    tasks.spawn(async move {
        loop {
            tokio::select! {
                () = shared.stopping() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let srs = Arc::clone(&srs);
            let renewed = tokio::task::spawn_blocking(move || srs.renew(SystemTime::now()));
            if let Ok(Err(error)) = renewed.await {
                warn!(%error, "the older secret of SRS signs on");
            }
        }
    });
}
