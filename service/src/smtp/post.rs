//! What goes into the queue: batches of recipients that share a next hop, a body and an envelope.

use hikyaku_smtp_proto::{MailParameters, Mailbox, RcptParameters, ReversePath};
use std::collections::{BTreeMap, HashSet};

use super::recipient::{Local, Remote};
use crate::options::Options;
use crate::queue::{Became, NextHop, OutgoingRecipient};

/// What the recipients of one entry of the queue share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Batch {
    pub(super) next_hop: NextHop,
    /// The number of the form of its body.
    pub(super) form: usize,
    /// The owner of the mailing list that it came through.
    owner: Option<String>,
    /// Whether an address here passes it on to another server.
    is_forwarded: bool,
}

impl Batch {
    /// Who is notified, and what is asked for the message.
    pub(super) fn envelope(
        &self,
        options: &Options,
        reverse_path: &ReversePath,
        parameters: &MailParameters,
    ) -> (ReversePath, MailParameters) {
        let mut parameters = parameters.clone();
        // A notification has no sender, and gets none.
        if let (Some(owner), Some(_)) = (&self.owner, &reverse_path.0) {
            // RFC 3461 §5.2.7.1 (b): what was asked for is no matter of the list's members.
            (parameters.envid, parameters.ret) = (None, None);
            let owner = Mailbox::parse(owner.as_bytes()).ok();
            return (ReversePath(owner), parameters);
        }
        let reverse_path = match self.is_forwarded {
            true => (options.forwarded_from)(reverse_path.clone()),
            false => reverse_path.clone(),
        };
        (reverse_path, parameters)
    }
}

/// All batches of a message.
#[derive(Debug, Clone, Default)]
pub(super) struct Post {
    batches: BTreeMap<Batch, Vec<OutgoingRecipient>>,
    /// The accounts here and the addresses elsewhere that are in it: each once.
    addresses: HashSet<String>,
}

impl Post {
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub(super) fn batches(&self) -> impl Iterator<Item = (&Batch, &[OutgoingRecipient])> {
        self.batches.iter().map(|(batch, all)| (batch, &all[..]))
    }

    /// A mailbox here that gets it later.
    pub(super) fn here(&mut self, local: &Local) {
        if !self.addresses.insert(local.address.clone()) {
            return;
        }
        let batch = Batch {
            next_hop: NextHop::Here,
            form: local.form,
            owner: local.owner.as_ref().map(ToString::to_string),
            is_forwarded: false,
        };
        self.add(batch, &local.address, &local.parameters);
    }

    /// Somebody at another server.
    pub(super) fn elsewhere(&mut self, remote: &Remote, is_forwarded: bool) {
        let address = remote.mailbox.to_string();
        if !self.addresses.insert(address.clone()) {
            return;
        }
        let batch = Batch {
            next_hop: NextHop::Domain(remote.mailbox.domain().to_lowercase()),
            form: remote.form,
            owner: remote.owner.as_ref().map(ToString::to_string),
            is_forwarded,
        };
        self.add(batch, &address, &remote.parameters);
    }

    /// An address that only its sender is to hear of. The body is that of any form.
    pub(super) fn nowhere(&mut self, became: Became, address: &str, parameters: &RcptParameters) {
        let batch = Batch {
            next_hop: NextHop::Nowhere(became),
            form: 0,
            owner: None,
            is_forwarded: false,
        };
        self.add(batch, address, parameters);
    }

    fn add(&mut self, batch: Batch, address: &str, parameters: &RcptParameters) {
        let all = self.batches.entry(batch).or_default();
        all.push(OutgoingRecipient {
            address: address.to_owned(),
            parameters: parameters.clone(),
        });
    }
}
