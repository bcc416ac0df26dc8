//! What looking at the server, or at one domain, has brought.

use super::finding::Finding;
use super::shown::Shown;

/// Findings, with the certificates that were shown on the way.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) findings: Vec<Finding>,
    pub(super) shown: Vec<Shown>,
}

impl Found {
    /// Adds what cannot be said before something else is right.
    pub(super) fn wait(&mut self, what: impl Into<String>, until: &str) {
        let seen = format!("not looked at before {until} right");
        self.findings.push(Finding::unknown(what, seen));
    }

    /// Adds findings and certificates.
    pub(super) fn add(
        &mut self,
        findings: impl IntoIterator<Item = Finding>,
        shown: impl IntoIterator<Item = Shown>,
    ) {
        self.findings.extend(findings);
        self.shown.extend(shown);
    }
}
