//! Puts mail to other domains from the service into the queue of the relay.

use hikyaku_mailstore::Operation;
use hikyaku_relay::{EXPANDED, Entry, HERE, LOOPED, REDISTRIBUTED, Turns};
use hikyaku_service::{Became, NextHop, Outgoing, Queue};

/// The queue, for the service. Senders take turns in it.
#[derive(Default)]
pub(crate) struct Queued(Turns);

impl Queue for Queued {
    fn enqueue(&self, outgoing: Outgoing) -> Operation {
        let next_hop = match outgoing.next_hop {
            NextHop::Here => HERE.to_owned(),
            NextHop::Domain(domain) => domain,
            NextHop::Nowhere(Became::Expanded) => EXPANDED.to_owned(),
            NextHop::Nowhere(Became::Redistributed) => REDISTRIBUTED.to_owned(),
            NextHop::Nowhere(Became::Looped) => LOOPED.to_owned(),
        };
        let recipients = outgoing.recipients.into_iter();
        let recipients = recipients.map(|one| (one.address, one.parameters));
        let entry = Entry::asking(
            outgoing.id,
            outgoing.reverse_path,
            outgoing.parameters,
            recipients,
        );
        self.0.enqueue(entry, next_hop, outgoing.body)
    }
}
