//! LIST and LSUB (RFC 3501 §6.3.8, RFC 5258).

use imap_proto::{List, ListAttribute, ListResponse, MailboxName, Pattern, Response};
use mailstore::Mailboxes;
use std::collections::{BTreeMap, HashSet};

use super::{DELIMITER, End, Ended, Session};

/// A name that may be told: a mailbox, a parent of one, or a subscription.
#[derive(Default)]
struct Name<'a> {
    mailbox: Option<&'a mailstore::Mailbox>,
    subscribed: bool,
    has_children: bool,
    /// Something below it is subscribed.
    subscribed_below: bool,
}

/// The names above a name.
fn parents(name: &str) -> impl Iterator<Item = &str> {
    let levels = name.match_indices(DELIMITER);
    levels.filter_map(move |(at, _)| name.get(..at))
}

/// All names, with their parents.
fn names(all: &Mailboxes) -> BTreeMap<&str, Name<'_>> {
    let mut names = BTreeMap::<&str, Name<'_>>::new();
    for mailbox in &all.mailboxes {
        names.entry(&mailbox.name).or_default().mailbox = Some(mailbox);
        for parent in parents(&mailbox.name) {
            names.entry(parent).or_default().has_children = true;
        }
    }
    for name in &all.subscribed {
        names.entry(name).or_default().subscribed = true;
        for parent in parents(name) {
            names.entry(parent).or_default().subscribed_below = true;
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
                others: Vec::new(),
            }));
            return Ok(End::ok("Listed"));
        }
        self.list_all(list).await
    }

    async fn list_all(&mut self, list: &List) -> Ended {
        let all = self.mailboxes().await?;
        let names = names(&all);
        let (reference, selection) = (list.reference.as_str(), list.selection);
        let matches = |name: &str| {
            let mut patterns = list.patterns.iter();
            patterns.any(|pattern| pattern.matches(reference, name, DELIMITER))
        };
        let selects = |facts: &Name<'_>| {
            let special = facts
                .mailbox
                .is_some_and(|mailbox| mailbox.special_use.is_some());
            (!selection.subscribed || facts.subscribed)
                && (!selection.special_use || special)
                && (selection.subscribed || facts.exists())
        };
        // RFC 5258 §3.5: CHILDINFO tells of what is selected and does not match, else it says nothing new.
        let mut with_child_info = HashSet::new();
        if selection.recursive_match {
            for (name, _) in names
                .iter()
                .filter(|(name, facts)| selects(facts) && !matches(name))
            {
                with_child_info.extend(parents(name));
            }
        }
        for (name, facts) in &names {
            let child_info = with_child_info.contains(name);
            if !(selects(facts) || child_info) || !matches(name) {
                continue;
            }
            let subscribed = selection.subscribed || list.returns.subscribed;
            let name = MailboxName::new(*name);
            self.respond(&Response::List(ListResponse {
                attributes: facts.attributes(list.extended, subscribed),
                delimiter: Some(DELIMITER),
                name: name.clone(),
                child_info: child_info && selection.subscribed,
                others: Vec::new(),
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
                others: Vec::new(),
            }));
        }
        Ok(End::ok("Listed"))
    }
}
