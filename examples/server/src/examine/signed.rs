//! Signatures on what accounts send (RFC 6376).

use bytes::Bytes;
use hikyaku_mailstore::BoxFuture;
use hikyaku_message::seven_bit;
use hikyaku_service::{Arrival, Examiner, Opinion, Remarks};
use hikyaku_trust::Authors;
use hikyaku_trust::signing::{NotSigned, Signer};
use std::sync::Arc;
use std::time::SystemTime;
use tracing::warn;

/// Signs in the name of the author's domain, or else of the sender's, where it has a key.
pub(super) struct Signed {
    pub(super) signer: Arc<Signer>,
    /// Whether what goes to other servers is encoded in 7 bits before.
    pub(super) seven_bit: bool,
}

impl Examiner for Signed {
    fn message<'a>(&'a self, arrival: Arrival<'a>) -> BoxFuture<'a, Opinion> {
        Box::pin(async move {
            let mut remarks = Remarks::default();
            if arrival.client.account.is_none() {
                return Opinion::Accept(remarks);
            }
            let (signer, message) = (Arc::clone(&self.signer), arrival.message.clone());
            let encodes = self.seven_bit && arrival.goes_elsewhere;
            // A large message takes its time, which others do not wait for.
            let signing = tokio::task::spawn_blocking(move || {
                let authors = Authors::find(&message);
                let now = SystemTime::now();
                // Whoever sends it for somebody else, or once more, has to prove that as well.
                let senders = authors.senders.iter().map(String::as_str);
                let mut names = authors.one().into_iter().chain(senders);
                let Some(domain) = names.find(|name| signer.signs_for(name, now)) else {
                    return Ok(None);
                };
                // RFC 6376 §5.3. What cannot be encoded is signed as it is: where it has to be, it is returned.
                let encoded = match encodes && !message.is_ascii() {
                    true => seven_bit(&message).ok().map(Bytes::from),
                    false => None,
                };
                let fields = signer.sign(domain, encoded.as_ref().unwrap_or(&message), now)?;
                Ok::<_, NotSigned>(Some((fields, encoded)))
            });
            match signing.await {
                Ok(Ok(Some((fields, encoded)))) => {
                    remarks.fields = fields.into();
                    remarks.message = encoded;
                }
                Ok(Ok(None)) => {}
                Ok(Err(error)) => warn!(id = arrival.id, %error, "the message leaves unsigned"),
                Err(error) => warn!(id = arrival.id, %error, "the message leaves unsigned"),
            }
            Opinion::Accept(remarks)
        })
    }
}
