//! LIST and LSUB (RFC 3501 §6.3.8, RFC 5258).

use imap_proto::{List, ListAttribute, ListResponse, MailboxName, Pattern, Response};
use mailstore::Mailboxes;
use std::collections::BTreeMap;

use super::{DELIMITER, End, Ended, Session};

/// A name that may be told: a mailbox, a parent of one, or a subscription.
#[derive(Default)]
struct Name<'a> {
    mailbox: Option<&'a mailstore::Mailbox>,
    subscribed: bool,
    has_children: bool,
    /// Something below it is subscribed, or has a special use.
    subscribed_below: bool,
    special_below: bool,
}

/// All names, with their parents.
fn names(all: &Mailboxes) -> BTreeMap<&str, Name<'_>> {
    let mut names = BTreeMap::<&str, Name<'_>>::new();
    let parents =
        |name: &'_ str| -> Vec<usize> { name.match_indices(DELIMITER).map(|(at, _)| at).collect() };
    for mailbox in &all.mailboxes {
        names.entry(&mailbox.name).or_default().mailbox = Some(mailbox);
        for at in parents(&mailbox.name) {
            let parent = names
                .entry(mailbox.name.get(..at).unwrap_or(""))
                .or_default();
            parent.has_children = true;
            parent.special_below |= mailbox.special_use.is_some();
        }
    }
    for name in &all.subscribed {
        names.entry(name).or_default().subscribed = true;
        for at in parents(name) {
            names
                .entry(name.get(..at).unwrap_or(""))
                .or_default()
                .subscribed_below = true;
        }
    }
    names
}

impl Name<'_> {
    /// It is there, or something below it is.
    fn exists(&self) -> bool {
        self.mailbox.is_some() || self.has_children
    }

    fn attributes(&self, extended: bool, subscribed: bool) -> Vec<ListAttribute> {
        let mut attributes = Vec::new();
        if self.mailbox.is_none() {
            attributes.push(if extended {
                ListAttribute::NonExistent
            } else {
                ListAttribute::NoSelect
            });
        }
        if self.has_children {
            attributes.push(ListAttribute::HasChildren);
        } else if self.mailbox.is_some() {
            attributes.push(ListAttribute::HasNoChildren);
        }
        if subscribed && self.subscribed {
            attributes.push(ListAttribute::Subscribed);
        }
        if let Some(name) = self
            .mailbox
            .and_then(|mailbox| mailbox.special_use.as_ref())
        {
            attributes.push(ListAttribute::SpecialUse(name.clone().into()));
        }
        attributes
    }
}

impl Session<'_> {
    pub(super) async fn list(&mut self, list: &List) -> Ended {
        let [only] = list.patterns.as_slice() else {
            return self.list_all(list).await;
        };
        if !list.extended && only.as_str().is_empty() {
            // RFC 3501 §6.3.8: an empty pattern asks for the delimiter, and the root of the name.
            self.respond(&Response::List(ListResponse {
                attributes: vec![ListAttribute::NoSelect],
                delimiter: Some(DELIMITER),
                name: MailboxName::new(""),
                child_info: false,
            }));
            return Ok(End::ok("Listed"));
        }
        self.list_all(list).await
    }

    async fn list_all(&mut self, list: &List) -> Ended {
        let all = self.mailboxes().await?;
        let reference = list.reference.as_str();
        let selection = list.selection;
        for (name, facts) in &names(&all) {
            let matches = |pattern: &Pattern| pattern.matches(reference, name, DELIMITER);
            if !list.patterns.iter().any(matches) {
                continue;
            }
            let special = facts
                .mailbox
                .is_some_and(|mailbox| mailbox.special_use.is_some());
            let itself = (!selection.subscribed || facts.subscribed)
                && (!selection.special_use || special)
                && (selection.subscribed || facts.exists());
            let below = (selection.subscribed && facts.subscribed_below)
                || (selection.special_use && facts.special_below);
            let child_info = selection.recursive_match && below;
            if !itself && !child_info {
                continue;
            }
            let subscribed = selection.subscribed || list.returns.subscribed;
            let name = MailboxName::new(*name);
            self.respond(&Response::List(ListResponse {
                attributes: facts.attributes(list.extended, subscribed),
                delimiter: Some(DELIMITER),
                name: name.clone(),
                child_info: child_info && selection.subscribed,
            }));
            if let Some(mailbox) = facts.mailbox
                && !list.returns.status.is_empty()
            {
                self.tell_status(name, mailbox, &list.returns.status)
                    .await?;
            }
            // The client is gone: the connection's next step finds out.
            let _ = self.driver.flush_if_full().await;
        }
        Ok(End::ok("Listed"))
    }

    pub(super) async fn lsub(&mut self, reference: &MailboxName, pattern: &Pattern) -> Ended {
        let all = self.mailboxes().await?;
        for (name, facts) in &names(&all) {
            if !pattern.matches(reference.as_str(), name, DELIMITER) {
                continue;
            }
            // RFC 3501 §6.3.9: with `%`, a parent of what is subscribed is told as \Noselect.
            let parent = facts.subscribed_below && pattern.as_str().ends_with('%');
            if !facts.subscribed && !parent {
                continue;
            }
            let mut attributes = Vec::new();
            if !facts.subscribed || facts.mailbox.is_none() {
                attributes.push(ListAttribute::NoSelect);
            }
            self.respond(&Response::Lsub(ListResponse {
                attributes,
                delimiter: Some(DELIMITER),
                name: MailboxName::new(*name),
                child_info: false,
            }));
        }
        Ok(End::ok("Listed"))
    }
}
