//! Several filters in a row.

use bytes::{Bytes, BytesMut};
use hikyaku_mailstore::BoxFuture;
use hikyaku_service::{Arrival, Client, Examiner, Opinion, Remarks};
use hikyaku_smtp_proto::{Reply, ReversePath};
use std::fmt;
use std::sync::Arc;

/// Several examiners in a row. Each sees what the one before left of a message; the first that refuses ends it.
///
/// A message is junk when any of them says so. What one adds above it is joined with it for the next, which costs a copy.
///
/// ```
/// use hikyaku_filter::{Filters, Milter, Rspamd};
/// use std::sync::Arc;
///
/// let milter = Milter::new("unix:/run/opendkim/opendkim.sock".parse()?, "mx.example.org");
/// let rspamd = Rspamd::new("localhost:11333".parse()?, "mx.example.org");
/// let filters = Filters(vec![Arc::new(milter), Arc::new(rspamd)]);
/// # Ok::<(), hikyaku_filter::BadEndpoint>(())
/// ```
#[derive(Clone, Default)]
#[allow(clippy::exhaustive_structs, reason = "it is a row")]
pub struct Filters(pub Vec<Arc<dyn Examiner>>);

impl Examiner for Filters {
    fn mail<'a>(
        &'a self,
        client: &'a Client,
        reverse_path: &'a ReversePath,
    ) -> BoxFuture<'a, Option<Reply>> {
        Box::pin(async move {
            for filter in &self.0 {
                if let Some(refusal) = filter.mail(client, reverse_path).await {
                    return Some(refusal);
                }
            }
            None
        })
    }

    fn before_recipient<'a>(
        &'a self,
        client: &'a Client,
        reverse_path: &'a ReversePath,
        to: &'a str,
    ) -> BoxFuture<'a, Option<Reply>> {
        Box::pin(async move {
            for filter in &self.0 {
                let refusal = filter.before_recipient(client, reverse_path, to).await;
                if refusal.is_some() {
                    return refusal;
                }
            }
            None
        })
    }

    fn recipient<'a>(
        &'a self,
        client: &'a Client,
        reverse_path: &'a ReversePath,
        to: &'a str,
        exists: bool,
    ) -> BoxFuture<'a, Option<Reply>> {
        Box::pin(async move {
            for filter in &self.0 {
                let refusal = filter.recipient(client, reverse_path, to, exists).await;
                if refusal.is_some() {
                    return refusal;
                }
            }
            None
        })
    }

    fn reads_messages(&self) -> bool {
        self.0.iter().any(|filter| filter.reads_messages())
    }

    fn message<'a>(&'a self, arrival: Arrival<'a>) -> BoxFuture<'a, Opinion> {
        Box::pin(async move {
            let mut left = Remarks::default();
            for filter in self.0.iter().filter(|one| one.reads_messages()) {
                let message = joined(&mut left, arrival.message);
                let mut next = arrival;
                next.message = &message;
                let remarks = match filter.message(next).await {
                    Opinion::Accept(remarks) => remarks,
                    refusal @ Opinion::Refuse(_) => return refusal,
                };
                left.fields = remarks.fields;
                left.junk |= remarks.junk;
                left.notes.extend(remarks.notes);
                // What comes later stands above.
                left.elsewhere = [remarks.elsewhere, left.elsewhere].concat().into();
                left.message = remarks.message.or(left.message);
            }
            Opinion::Accept(left)
        })
    }

    fn accepted(&self, client: &Client, reverse_path: &ReversePath, recipients: &[String]) {
        for filter in &self.0 {
            filter.accepted(client, reverse_path, recipients);
        }
    }
}

/// The message as the next filter sees it, with all that was put before it.
fn joined(left: &mut Remarks, came: &Bytes) -> Bytes {
    let message = left.message.as_ref().unwrap_or(came);
    if left.fields.is_empty() {
        return message.clone();
    }
    let mut joined = BytesMut::with_capacity(left.fields.len() + message.len());
    joined.extend_from_slice(&left.fields);
    joined.extend_from_slice(message);
    let joined = joined.freeze();
    left.message = Some(joined.clone());
    joined
}

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filters({})", self.0.len())
    }
}
