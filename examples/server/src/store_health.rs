//! Reports the health of the store: in the log, at `/health`, in the metrics.

use hikyaku_mailstore::{Finding, Health};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::shared::Shared;

/// How often the store is asked.
const PERIOD: Duration = Duration::from_secs(1);

/// Logs what the store found when it was opened.
pub(crate) fn report(health: &Health) {
    for finding in &health.findings {
        match finding {
            finding if finding.is_damage() => error!("the store: {finding}"),
            Finding::Unclean => info!("the store: {finding}"),
            finding => warn!("the store: {finding}"),
        }
    }
}

/// Logs when the store stops taking changes, when it takes them again, and when a body is damaged.
pub(crate) fn start(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
    let shared = Arc::clone(shared);
    tasks.spawn(async move {
        let mut before = Health::default();
        while !shared.is_stopping() {
            let now = shared.store.health();
            compare(&before, &now);
            before = now;
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = shared.stopping() => {}
            }
        }
    });
}

fn compare(before: &Health, now: &Health) {
    if now.failed > before.failed {
        error!(
            failed = now.failed,
            "the store: a write or a flush has failed"
        );
    }
    if now.recovered > before.recovered {
        warn!("the store: recovered from its log after a failed write");
    }
    match (before.takes_messages(), now.takes_messages()) {
        (Ok(()), Err(why)) => error!(%why, "the store refuses new messages"),
        (Err(_), Ok(())) => info!("the store accepts new messages again"),
        _ => {}
    }
    if now.damaged > before.damaged {
        error!(
            count = now.damaged,
            "the store: bodies of messages are damaged or missing"
        );
    }
}

/// What `/health` answers: status, and a page that says why.
pub(crate) fn page(health: &Health) -> (&'static str, String) {
    if health.is_well() {
        return ("200 OK", "ok\n".into());
    }
    let mut page = String::new();
    if let Err(why) = health.takes_messages() {
        let _ = writeln!(page, "the store refuses new messages: {why}");
    }
    for finding in health.findings.iter().filter(|one| one.is_damage()) {
        let _ = writeln!(page, "{finding}");
    }
    ("503 Service Unavailable", page)
}

/// The store's part of the metrics, in Prometheus' text format.
pub(crate) fn metrics(health: &Health) -> String {
    let mut page = String::new();
    let mut add = |name: &str, kind: &str, help: &str, value: u64| {
        let _ = write!(
            page,
            "# HELP mailserver_store_{name} {help}\n# TYPE mailserver_store_{name} {kind}\nmailserver_store_{name} {value}\n"
        );
    };
    let takes = u64::from(health.takes_messages().is_ok());
    add(
        "takes_messages",
        "gauge",
        "1 while new messages are accepted.",
        takes,
    );
    let changes = u64::from(health.refuses.is_none());
    add(
        "takes_changes",
        "gauge",
        "1 while changes are accepted.",
        changes,
    );
    let damage = health.findings.iter().filter(|one| one.is_damage()).count();
    let help = "Objects found damaged or missing when the store was opened.";
    add("damage_found", "gauge", help, damage as u64);
    let help = "Writes and flushes that failed.";
    add("failed_writes_total", "counter", help, health.failed);
    let help = "Recoveries from the log after a failed write.";
    add("recoveries_total", "counter", help, health.recovered);
    let help = "Reads of bodies that are damaged or missing.";
    add("damaged_reads_total", "counter", help, health.damaged);
    if let Some(free) = health.free {
        let help = "Octets free for messages, besides those that `min_free` keeps.";
        add("free_bytes", "gauge", help, free);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_mailstore::Error;

    #[test]
    fn health_says_what_is_wrong() {
        let well = Health::default();
        assert_eq!(page(&well), ("200 OK", "ok\n".into()));
        assert!(metrics(&well).contains("\nmailserver_store_takes_changes 1\n"));
        let mut full = Health::default();
        (full.full, full.free) = (true, Some(0));
        assert!(page(&full).1.contains("the disk is full"));
        assert!(metrics(&full).contains("\nmailserver_store_takes_messages 0\n"));
        assert!(metrics(&full).contains("\nmailserver_store_takes_changes 1\n"));
        assert!(metrics(&full).contains("\nmailserver_store_free_bytes 0\n"));
        let mut broken = Health::default();
        broken.refuses = Some(Error::ReadOnly);
        assert!(page(&broken).0.starts_with("503") && page(&broken).1.contains("failed write"));
        let mut lost = Health::default();
        lost.findings = vec![Finding::Unclean, Finding::LogGone];
        let (status, text) = page(&lost);
        assert!(
            status.starts_with("503") && text.contains("its log is gone"),
            "{text}"
        );
        assert!(metrics(&lost).contains("\nmailserver_store_damage_found 1\n"));
    }
}
