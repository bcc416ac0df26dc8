//! ARC sets on mail that addresses here pass on to other servers (RFC 8617).

use bytes::BytesMut;
use hikyaku_service::{Arrival, Remarks};
use hikyaku_trust::signing::Signer;
use hikyaku_trust::{Checked, Checker};
use std::sync::Arc;
use std::time::SystemTime;
use tracing::warn;

/// Seals with the key of the domain that passes a message on, or else with the first key.
pub(super) struct Sealer(pub(super) Arc<Signer>);

impl Sealer {
    /// Puts the set before copies for other servers.
    pub(super) async fn seal(
        &self,
        checker: Arc<Checker>,
        arrival: Arrival<'_>,
        remarks: &mut Remarks,
        checked: Checked,
    ) {
        let Some(domain) = self.domain(arrival.recipients) else {
            return;
        };
        let message = remarks.message.as_ref().unwrap_or(arrival.message);
        let mut whole = BytesMut::with_capacity(remarks.fields.len() + message.len());
        whole.extend_from_slice(&remarks.fields);
        whole.extend_from_slice(message);
        let signer = Arc::clone(&self.0);
        // A large message takes its time, which others do not wait for.
        let sealing = tokio::task::spawn_blocking(move || {
            let now = SystemTime::now();
            checker.seal(&signer, &domain, &whole, &checked, now)
        });
        match sealing.await {
            Ok(Ok(fields)) => remarks.elsewhere = fields.unwrap_or_default().into(),
            Ok(Err(error)) => warn!(id = arrival.id, %error, "it is passed on without a seal"),
            Err(error) => warn!(id = arrival.id, %error, "it is passed on without a seal"),
        }
    }

    fn domain(&self, recipients: &[String]) -> Option<String> {
        let now = SystemTime::now();
        let of = |address: &String| {
            address
                .rsplit_once('@')
                .map(|(_, domain)| domain.to_owned())
        };
        let mut domains = recipients.iter().filter_map(of);
        let signs = |domain: &String| self.0.signs_for(domain, now);
        let first = || {
            let domains = self.0.keys().iter().map(|key| key.domain.clone());
            domains.into_iter().find(signs)
        };
        domains.find(signs).or_else(first)
    }
}
