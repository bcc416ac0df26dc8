//! LIST and LSUB (RFC 3501 §6.3.8, RFC 5258, 5819, 6154, 8440, 9590).

use hikyaku_imap_proto::{
    List, ListAttribute, ListResponse, MailboxName, Metadata, MetadataDepth, Pattern, Response,
};
use hikyaku_mailstore::Mailbox;
use std::collections::{BTreeMap, HashSet};

use super::end::{End, Ended};
use super::entries::{asked, mailbox_entries};
use super::multisearch::Seen;
use super::names::DELIMITER;
use super::names::OTHERS;
use super::session::Session;
use super::text::Text as T;

/// A name that may be listed: a mailbox, a parent of one, or a subscription.
#[derive(Default)]
struct Name<'a> {
    mailbox: Option<&'a Mailbox>,
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
fn names<'a>(all: &'a [Seen], subscribed: &'a [String]) -> BTreeMap<&'a str, Name<'a>> {
    let mut names = BTreeMap::<&str, Name<'_>>::new();
    for Seen { name, mailbox } in all {
        names.entry(name).or_default().mailbox = Some(mailbox);
        for parent in parents(name) {
            names.entry(parent).or_default().has_children = true;
        }
    }
    for name in subscribed {
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

/// Whether a pattern may lead to what is below [`OTHERS`]: most do not, and need not ask who shares what.
fn leads_to_others(reference: &str, pattern: &Pattern) -> bool {
    let whole = format!("{reference}{}", pattern.as_str());
    let plain = whole.split(['*', '%']).next().unwrap_or("");
    OTHERS.starts_with(plain) || plain.starts_with(OTHERS)
}

impl Session<'_> {
    pub(super) async fn list(&mut self, list: &List) -> Ended {
        let [only] = list.patterns.as_slice() else {
            return self.list_all(list).await;
        };
        if !list.extended && only.as_str().is_empty() {
            // RFC 3501 §6.3.8: an empty pattern asks for the delimiter, and the root of the name.
            let root = match list.reference.as_str().starts_with(OTHERS) {
                true => OTHERS,
                false => "",
            };
            self.respond(&Response::List(ListResponse::new(
                MailboxName::new(root),
                Some(DELIMITER),
                [ListAttribute::NoSelect],
            )));
            return Ok(End::ok(T::Listed));
        }
        self.list_all(list).await
    }

    /// The client's mailboxes, and those of others where a pattern leads to them; the subscriptions.
    async fn listed(
        &self,
        reference: &str,
        patterns: &[Pattern],
    ) -> Result<(Vec<Seen>, Vec<String>), End> {
        if patterns.iter().any(|one| leads_to_others(reference, one)) {
            return self.seen().await;
        }
        let own = self.mailboxes().await?;
        let seen = |mailbox: Mailbox| Seen {
            name: mailbox.name.clone(),
            mailbox,
        };
        Ok((
            own.mailboxes.into_iter().map(seen).collect(),
            own.subscribed,
        ))
    }

    async fn list_all(&mut self, list: &List) -> Ended {
        let (reference, selection) = (list.reference.as_str(), list.selection);
        let (all, subscriptions) = self.listed(reference, &list.patterns).await?;
        let names = names(&all, &subscriptions);
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
        // RFC 5258 §3.5: CHILDINFO is about what is selected and does not match, else it says nothing new.
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
            let attributes = facts.attributes(list.extended, subscribed);
            self.respond(&Response::List(ListResponse {
                child_info: child_info && selection.subscribed,
                ..ListResponse::new(name.clone(), Some(DELIMITER), attributes)
            }));
            if let Some(mailbox) = facts.mailbox {
                self.send_more(name, mailbox, list).await?;
            }
            // The client is gone: the connection's next step finds out.
            let _ = self.driver.flush_if_full().await;
        }
        Ok(End::ok(T::Listed))
    }

    /// What else of a mailbox was asked for.
    async fn send_more(
        &mut self,
        name: MailboxName,
        mailbox: &Mailbox,
        list: &List,
    ) -> Result<(), End> {
        let rights = self.rights(mailbox);
        if list.returns.my_rights {
            let rights = rights.with_obsolete();
            self.respond(&Response::MyRights(name.clone(), rights));
        }
        if !list.returns.metadata.is_empty() && b"rswip".iter().any(|&one| rights.contains(one)) {
            let entries = mailbox_entries(self.account, mailbox);
            let values = asked(&entries, &list.returns.metadata, MetadataDepth::Zero)?;
            self.respond(&Response::Metadata(name.clone(), Metadata::Values(values)));
        }
        if !list.returns.status.is_empty() && rights.contains(b'r') {
            self.send_status(name, mailbox, &list.returns.status)
                .await?;
        }
        Ok(())
    }

    pub(super) async fn lsub(&mut self, reference: &MailboxName, pattern: &Pattern) -> Ended {
        let patterns = std::slice::from_ref(pattern);
        let (all, subscriptions) = self.listed(reference.as_str(), patterns).await?;
        for (name, facts) in &names(&all, &subscriptions) {
            if !pattern.matches(reference.as_str(), name, DELIMITER) {
                continue;
            }
            // RFC 3501 §6.3.9: with `%`, a parent of what is subscribed is listed as \Noselect.
            let parent = facts.subscribed_below && pattern.as_str().ends_with('%');
            if !facts.subscribed && !parent {
                continue;
            }
            let unselectable = !facts.subscribed || facts.mailbox.is_none();
            let attributes = unselectable.then_some(ListAttribute::NoSelect);
            let name = MailboxName::new(*name);
            self.respond(&Response::Lsub(ListResponse::new(
                name,
                Some(DELIMITER),
                attributes,
            )));
        }
        Ok(End::ok(T::Listed))
    }
}
