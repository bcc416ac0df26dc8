//! What a relay does beside handing on: it keeps policies fresh, and sends reports.

use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::relay::Relay;
use crate::tls_report::reports::Reports;
use crate::tls_report::send::send_due;

/// How often policies are looked through.
const POLICIES: Duration = Duration::from_secs(60);
/// How often reports are looked for that are due.
const REPORTS: Duration = Duration::from_secs(1);
/// How often what was counted is written to its file: a server that dies forgets that much.
const SAVE: Duration = Duration::from_secs(5 * 60);

/// It is done until this is dropped.
pub(crate) struct Upkeep {
    tasks: JoinSet<()>,
    reports: Option<Arc<Reports>>,
}

impl Upkeep {
    pub(crate) fn begin(relay: &Arc<Relay>) -> Self {
        let mut tasks = JoinSet::new();
        if let Some(policies) = relay.policies.clone() {
            tasks.spawn(async move {
                loop {
                    policies.refresh().await;
                    sleep(POLICIES).await;
                }
            });
        }
        if let Some(reports) = relay.reports.clone() {
            let relay = Arc::clone(relay);
            tasks.spawn(async move {
                let mut saved = Instant::now();
                loop {
                    sleep(REPORTS).await;
                    let is_any = send_due(&relay, &reports).await;
                    if is_any || saved.elapsed() >= SAVE {
                        saved = Instant::now();
                        save(&reports).await;
                    }
                }
            });
        }
        let reports = relay.reports.clone();
        Self { tasks, reports }
    }

    /// Ends it, and keeps what was counted.
    pub(crate) async fn end(mut self) {
        self.tasks.shutdown().await;
        if let Some(reports) = &self.reports {
            save(reports).await;
        }
    }
}

async fn save(reports: &Arc<Reports>) {
    let tallies = Arc::clone(&reports.tallies);
    let _ = tokio::task::spawn_blocking(move || tallies.save()).await;
}
