//! Signatures on what accounts send (RFC 6376).

use hikyaku_mailstore::BoxFuture;
use hikyaku_service::{Arrival, Examiner, Opinion, Remarks};
use hikyaku_trust::Authors;
use hikyaku_trust::signing::{NotSigned, Signer};
use std::sync::Arc;
use std::time::SystemTime;
use tracing::warn;

/// Signs in the name of the author's domain, where it has a key.
pub(super) struct Signed(pub(super) Arc<Signer>);

impl Examiner for Signed {
    fn message<'a>(&'a self, arrival: Arrival<'a>) -> BoxFuture<'a, Opinion> {
        Box::pin(async move {
            let mut remarks = Remarks::default();
            if arrival.client.account.is_none() {
                return Opinion::Accept(remarks);
            }
            let (signer, message) = (Arc::clone(&self.0), arrival.message.clone());
            // A large message takes its time, which others do not wait for.
            let signing = tokio::task::spawn_blocking(move || {
                let authors = Authors::find(&message);
                let domain = authors.one().unwrap_or("");
                signer.sign(domain, &message, SystemTime::now())
            });
            match signing.await {
                Ok(Ok(fields)) => remarks.fields = fields.into(),
                Ok(Err(NotSigned::NoKey(_) | NotSigned::NoName(_))) => {}
                Ok(Err(error)) => warn!(id = arrival.id, %error, "the message leaves unsigned"),
                Err(error) => warn!(id = arrival.id, %error, "the message leaves unsigned"),
            }
            Opinion::Accept(remarks)
        })
    }
}
