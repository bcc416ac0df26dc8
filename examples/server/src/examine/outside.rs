//! Checks of where mail from other servers comes from.

use bytes::{Bytes, BytesMut};
use hikyaku_mailstore::BoxFuture;
use hikyaku_service::{Arrival, Examiner, Opinion, Remarks};
use hikyaku_smtp_proto::Reply;
use hikyaku_trust::dns::{Ask, NoResolver};
use hikyaku_trust::{Checked, Checker, Decision, Policies};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::{info, warn};

use crate::addresses::AddressBook;
use crate::network::Networks;

/// Checks mail that nobody has logged in to send.
pub(super) struct Outside {
    pub(super) hostname: String,
    pub(super) dns: Arc<dyn Ask>,
    pub(super) policies: Policies,
    /// Networks that may send in our name.
    pub(super) exempt: Networks,
    pub(super) addresses: AddressBook,
    /// The checker for the domains that there were.
    pub(super) last: Mutex<Option<(Vec<String>, Arc<Checker>)>>,
}

impl Outside {
    /// The checker for the domains that there are: they change while the server runs.
    fn checker(&self) -> Result<Arc<Checker>, NoResolver> {
        let domains = self.addresses.domains();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, checker)) = &*last
            && *known == domains
        {
            return Ok(Arc::clone(checker));
        }
        let mut checker = Checker::new(&self.hostname, &domains, Arc::clone(&self.dns))?;
        checker.policies = self.policies.clone();
        let checker = Arc::new(checker);
        *last = Some((domains, Arc::clone(&checker)));
        Ok(checker)
    }
}

impl Examiner for Outside {
    fn message<'a>(&'a self, arrival: Arrival<'a>) -> BoxFuture<'a, Opinion> {
        Box::pin(async move {
            let address = arrival
                .client
                .address
                .filter(|_| arrival.client.account.is_none());
            let Some(address) = address.filter(|address| !self.exempt.contains(*address)) else {
                return Opinion::Accept(Remarks::default());
            };
            let checker = match self.checker() {
                Ok(checker) => checker,
                Err(error) => {
                    warn!(%error, "mail cannot be checked");
                    return Opinion::Refuse(Reply::new(451, "4.3.0", "Try again later"));
                }
            };
            let path = arrival.reverse_path.0.as_ref();
            let mail_from = path.map(ToString::to_string).unwrap_or_default();
            let checked = checker.check(hikyaku_trust::Arrival {
                address,
                helo: &arrival.client.hello,
                mail_from: &mail_from,
                message: arrival.message,
            });
            opinion(arrival, checked.await)
        })
    }
}

/// What comes of a message that was checked.
fn opinion(arrival: Arrival<'_>, checked: Checked) -> Opinion {
    let mut remarks = Remarks::default();
    match &checked.decision {
        Decision::Refuse(reply) | Decision::Defer(reply) => {
            info!(id = arrival.id, %reply, "the message failed its checks");
            let (class, subject, detail) = reply.enhanced;
            let enhanced = format!("{class}.{subject}.{detail}");
            let text = reply.text.clone().into_bytes();
            return Opinion::Refuse(Reply::new(reply.code, &enhanced, text));
        }
        Decision::Quarantine { reason } => {
            info!(id = arrival.id, reason, "the message is junk");
            remarks.junk = true;
        }
        _ => {}
    }
    remarks.fields = checked.fields.into();
    remarks.message = without(arrival.message, &checked.foreign);
    Opinion::Accept(remarks)
}

/// The message without those parts, which stand in order; `None` when there are none.
fn without(message: &Bytes, parts: &[Range<usize>]) -> Option<Bytes> {
    if parts.is_empty() {
        return None;
    }
    let mut left = BytesMut::with_capacity(message.len());
    let mut from = 0;
    for part in parts {
        left.extend_from_slice(message.get(from..part.start).unwrap_or(&[]));
        from = part.end.max(from);
    }
    left.extend_from_slice(message.get(from..).unwrap_or(&[]));
    Some(left.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_taken_out() {
        let message = Bytes::from_static(b"0123456789");
        assert_eq!(without(&message, &[]), None);
        for (parts, left) in [
            (&[2..4, 6..10][..], &b"0145"[..]),
            (&[3..5, 5..6], b"0126789"),
            (&[0..5, 5..10], b""),
        ] {
            assert_eq!(without(&message, parts).as_deref(), Some(left));
        }
    }
}
