//! How long things may take that are looked at together: what is late takes nothing of the others with it.

use std::time::Duration;
use tokio::time::{Instant, timeout_at};

use super::finding::Finding;

/// The longest that looking at the server, or at one domain, takes. What is not done then is not known.
const LONGEST: Duration = Duration::from_secs(180);

/// When everything about the server, or one domain, has to be known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience(Instant);

impl Patience {
    /// Begins to wait.
    pub(super) fn new() -> Self {
        Self::of(LONGEST)
    }

    /// Begins to wait for so long.
    pub(super) fn of(longest: Duration) -> Self {
        Self(Instant::now() + longest)
    }

    /// Waits for one thing; `late` makes of a finding what there is in its place.
    pub(super) async fn with<T>(
        self,
        about: impl Into<String>,
        looking: impl Future<Output = T>,
        late: impl FnOnce(Finding) -> T,
    ) -> T {
        match timeout_at(self.0, looking).await {
            Ok(found) => found,
            Err(_) => {
                let finding = Finding::unknown(about, "looking at it takes too long");
                late(finding.deed("look again later, with another DNS server: --dns ADDRESS:53"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::{Report, Verdict};

    #[tokio::test(start_paused = true)]
    async fn what_is_late_takes_nothing_of_the_others_with_it() {
        let patience = Patience::new();
        let one = |finding: Finding| finding;
        let (fault, late) = tokio::join!(
            patience.with("MX", async { Finding::fault("MX", "none") }, one),
            patience.with("SPF", std::future::pending(), one),
        );
        // Nothing more is begun, and what is there at once still counts.
        let next = patience.with("clock", async { Finding::well("clock", "right") }, one);
        let all = vec![fault, late, next.await];
        let mut report = Report::default();
        report.add("The domain".into(), all);
        let text = report.to_string();
        assert_eq!(report.verdict(), Verdict::Faults);
        assert!(text.contains("MX: none") && text.contains("SPF: looking at it takes too long"));
        assert!(text.contains("clock: right"), "{text}");
    }
}
