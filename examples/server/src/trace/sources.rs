//! What the service and the relay report, as records.

use hikyaku_relay::What as Relayed;
use hikyaku_service::What as Came;
use std::borrow::Cow;
use std::sync::Arc;

use super::TraceLog;
use super::log::millis;
use super::record::{What, cut};

/// Recipients of one attempt whose replies are kept.
const REPLIES: usize = 100;

/// A text of our own, as far as it is kept.
fn short(text: String) -> Cow<'static, str> {
    let kept = cut(&text).len();
    let mut text = text;
    text.truncate(kept);
    text.into()
}

/// A text that is lent, as far as it is kept.
fn lent(text: &str) -> Cow<'_, str> {
    cut(text).into()
}

/// What the service calls.
pub(crate) fn service(log: Arc<TraceLog>) -> hikyaku_service::Trace {
    Arc::new(move |traced| {
        let client = traced.client;
        let what = match traced.what {
            Came::Mail { from, refusal } => What::Mail {
                by: client.by.into(),
                address: client.address.map(|address| address.to_string().into()),
                tls: client.tls.as_deref().map(Cow::from),
                hello: lent(&client.hello),
                login: client.account.as_deref().map(Cow::from),
                from: lent(from),
                refusal: refusal.map(|reply| short(reply.to_string())),
            },
            Came::Recipient { to, refusal } => What::Recipient {
                to: lent(to),
                refusal: refusal.map(|reply| short(reply.to_string())),
            },
            Came::Noted { note } => What::Noted { note: lent(note) },
            Came::Delivered { to } => What::Mailbox { to: lent(to) },
            Came::Queued {
                next_hop,
                recipients,
            } => What::Queued {
                next_hop: next_hop.map(lent),
                recipients,
            },
            Came::Answered { octets, reply } => What::Answered {
                octets,
                reply: short(reply.to_string()),
            },
            Came::TooLarge => What::TooLarge,
            _ => return,
        };
        log.add(traced.id, what);
    })
}

/// What the relay calls.
pub(crate) fn relay(log: Arc<TraceLog>) -> hikyaku_relay::Trace {
    Arc::new(move |traced| {
        let next_hop = || lent(traced.next_hop);
        let what = match traced.what {
            Relayed::Asked {
                attempt,
                host,
                peer,
                tls,
                replies,
                error,
            } => What::Asked {
                next_hop: next_hop(),
                attempt,
                host: lent(host),
                peer: lent(peer),
                tls: tls.map(lent),
                replies: replies
                    .iter()
                    .take(REPLIES)
                    .map(|(to, reply)| (lent(to), lent(reply)))
                    .collect(),
                error: error.map(lent),
            },
            Relayed::Delivered { to, host, reply } => What::Delivered {
                to: lent(to),
                host: host.map(lent),
                reply: lent(reply),
            },
            Relayed::Deferred { to, why, next } => What::Deferred {
                to: lent(to),
                why: lent(why),
                next: millis(next),
            },
            Relayed::Failed { to, why } => What::Failed {
                to: lent(to),
                why: lent(why),
            },
            Relayed::Notified { to, how } => What::Notified {
                to: lent(to),
                how: lent(how),
            },
            Relayed::Operated { order } => What::Operator {
                order: lent(order),
                next_hop: next_hop(),
            },
            _ => return,
        };
        log.add(traced.id, what);
    })
}
