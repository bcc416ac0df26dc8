//! What the service and the relay report, as records.

use hikyaku_relay::What as Relayed;
use hikyaku_service::What as Came;
use std::sync::Arc;

use super::TraceLog;
use super::log::millis;
use super::record::{What, cut};

/// Recipients of one attempt whose replies are kept.
const REPLIES: usize = 100;

/// What the service calls.
pub(crate) fn service(log: Arc<TraceLog>) -> hikyaku_service::Trace {
    Arc::new(move |traced| {
        let client = traced.client;
        let what = match traced.what {
            Came::Mail { from, refusal } => What::Mail {
                by: client.by.into(),
                address: client.address.map(|address| address.to_string()),
                tls: client.tls.clone(),
                hello: cut(&client.hello),
                login: client.account.clone(),
                from: cut(from),
                refusal: refusal.map(|reply| cut(&reply.to_string())),
            },
            Came::Recipient { to, refusal } => What::Recipient {
                to: cut(to),
                refusal: refusal.map(|reply| cut(&reply.to_string())),
            },
            Came::Delivered { to } => What::Mailbox { to: cut(to) },
            Came::Queued {
                next_hop,
                recipients,
            } => What::Queued {
                next_hop: next_hop.map(cut),
                recipients,
            },
            Came::Answered { octets, reply } => What::Answered {
                octets,
                reply: cut(&reply.to_string()),
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
        let next_hop = || cut(traced.next_hop);
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
                host: cut(host),
                peer: cut(peer),
                tls: tls.map(cut),
                replies: replies
                    .iter()
                    .take(REPLIES)
                    .map(|(to, reply)| (cut(to), cut(reply)))
                    .collect(),
                error: error.map(cut),
            },
            Relayed::Delivered { to, host, reply } => What::Delivered {
                to: cut(to),
                host: host.map(cut),
                reply: cut(reply),
            },
            Relayed::Deferred { to, why, next } => What::Deferred {
                to: cut(to),
                why: cut(why),
                next: millis(next),
            },
            Relayed::Failed { to, why } => What::Failed {
                to: cut(to),
                why: cut(why),
            },
            Relayed::Notified { to, how } => What::Notified {
                to: cut(to),
                how: cut(how),
            },
            Relayed::Operated { order } => What::Operator {
                order: cut(order),
                next_hop: next_hop(),
            },
            _ => return,
        };
        log.add(traced.id, what);
    })
}
