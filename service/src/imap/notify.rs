//! NOTIFY: sends events of other mailboxes unasked (RFC 5465), and annotations that change
//! (RFC 5464 §4.4.2).
//!
//! A [`Snapshot`] says what the client knows; what differs from it is sent. Truth is the store: a hint
//! that something may have changed only says when to compare.

use bytes::Bytes;
use hikyaku_imap_proto::{
    EventGroup, ListAttribute, ListResponse, MailboxFilter, MailboxName, Metadata, Notify,
    NotifyEvent, Response, ResponseCode, StatusAttribute,
};
use hikyaku_mailstore::{MailboxId, Scope};
use std::collections::BTreeSet;
use tracing::warn;

use super::asked::Asked;
use super::end::{End, Ended};
use super::entries::{Entries, mailbox_entries};
use super::names::DELIMITER;
use super::names::kept;
use super::session::Session;
use super::snapshot::{Known, Snapshot};
use super::text::Text as T;

/// More than so many mailboxes are not compared: the client hears that it is too much.
const MOST: usize = 10_000;

fn has(events: &[&NotifyEvent], event: &NotifyEvent) -> bool {
    events.contains(&event)
}

fn is_message_event(event: &NotifyEvent) -> bool {
    use NotifyEvent as E;
    matches!(
        event,
        E::MessageNew(_) | E::MessageExpunge | E::FlagChange | E::AnnotationChange
    )
}

/// Whether the groups are as the RFC has them (§5, §8).
fn check(groups: &[EventGroup]) -> Result<(), End> {
    use MailboxFilter as F;
    use NotifyEvent as E;
    let mut selected = 0;
    for group in groups {
        let events = &group.events;
        let new = events.iter().any(|event| matches!(event, E::MessageNew(_)));
        let expunge = events.contains(&E::MessageExpunge);
        let flags = events.contains(&E::FlagChange) || events.contains(&E::AnnotationChange);
        if new != expunge || (flags && !new) {
            return Err(End::bad(T::MessageNewAndMessageExpungeGo));
        }
        let unknown = |event: &NotifyEvent| matches!(event, E::AnnotationChange | E::Other(_));
        if events.iter().any(unknown) {
            let known = [
                "FlagChange",
                "MessageNew",
                "MessageExpunge",
                "MailboxName",
                "SubscriptionChange",
                "MailboxMetadataChange",
                "ServerMetadataChange",
            ];
            let code = ResponseCode::BadEvent(known.map(Into::into).into());
            return Err(End::no(code, T::NotAnEventThat));
        }
        let fetches = |event: &NotifyEvent| matches!(event, E::MessageNew(all) if !all.is_empty());
        match group.mailboxes {
            F::Selected | F::SelectedDelayed => {
                selected += 1;
                if selected > 1 || !events.iter().all(is_message_event) {
                    return Err(End::bad(T::OnlyMessagesAreReported));
                }
            }
            F::SubtreeOne(_) => return Err(End::bad(T::SubtreeOneIsOf)),
            _ if events.iter().any(fetches) => {
                return Err(End::bad(T::MessagesAreReportedIn));
            }
            _ => {}
        }
    }
    Ok(())
}

impl Session<'_> {
    /// What the client would see now.
    async fn snapshot(&self) -> Result<Snapshot, End> {
        let (all, subscribed) = self.seen().await?;
        if all.len() > MOST {
            return Err(End::no(
                ResponseCode::NotificationOverflow,
                T::TooManyMailboxes,
            ));
        }
        let known = |seen: super::multisearch::Seen| {
            let known = Known {
                own: seen.mailbox.id.account == self.account,
                entries: mailbox_entries(self.account, &seen.mailbox),
                name: seen.name,
                mailbox: seen.mailbox,
            };
            (known.mailbox.id, known)
        };
        Ok(Snapshot {
            mailboxes: all.into_iter().map(known).collect(),
            subscribed,
            server: self.server_entries().await?,
            own: BTreeSet::new(),
        })
    }

    pub(super) async fn notify(&mut self, notify: Notify) -> Ended {
        let Notify::Set { status, groups } = notify else {
            (self.notify, self.snapshot) = (None, None);
            self.driver.machine.expunge_unasked(false);
            return Ok(End::ok(T::NothingIsSentUnasked));
        };
        check(&groups)?;
        let snapshot = self.snapshot().await?;
        let mut asked = Asked {
            groups,
            watches: Vec::new(),
        };
        let others = snapshot.mailboxes.keys().map(|id| id.account);
        let others: BTreeSet<_> = others.filter(|&account| account != self.account).collect();
        for account in others {
            let watch = self.service.store.watch(Scope::Account(account));
            asked.watches.push(Some(watch));
        }
        let selected = self.selected.as_ref().map(|selected| selected.mailbox);
        for known in snapshot.mailboxes.values() {
            let events = asked.events(&known.name, known.own, &snapshot.subscribed);
            if events.is_empty() || selected == Some(known.mailbox.id) {
                continue;
            }
            if !self.rights(&known.mailbox).contains(b'r') {
                self.send_name(&known.name, [ListAttribute::NoAccess], None);
            } else if status && events.iter().any(|event| is_message_event(event)) {
                use StatusAttribute as A;
                let mut wanted = vec![A::Messages, A::UidNext, A::UidValidity];
                if has(&events, &NotifyEvent::FlagChange) {
                    wanted.push(A::HighestModSeq);
                }
                let name = MailboxName::new(known.name.clone());
                self.send_status(name, &known.mailbox, &wanted).await?;
                let _ = self.driver.flush_if_full().await;
            }
        }
        let at_once = asked.expunges_at_once();
        self.driver.machine.expunge_unasked(at_once);
        (self.notify, self.snapshot) = (Some(asked), Some(snapshot));
        Ok(End::ok(T::ReportedFromNowOn))
    }

    /// Notes that this client itself has done something to a name, which is not news to it.
    pub(super) fn note_name(&mut self, name: &str) {
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.own.insert(name.to_owned());
        }
    }

    /// Notes which annotations this client has set.
    pub(super) fn note_own(&mut self, name: &MailboxName, server: bool, entries: Entries) {
        let Some(snapshot) = &mut self.snapshot else {
            return;
        };
        if server {
            snapshot.server = entries;
            return;
        }
        let name = kept(name.as_str());
        let mut all = snapshot.mailboxes.values_mut();
        if let Some(known) = all.find(|known| known.name == name) {
            known.entries = entries;
        }
    }

    /// Sends what has changed in other mailboxes.
    pub(super) async fn send_elsewhere(&mut self) {
        if self.snapshot.is_none() {
            if self.driver.machine.metadata() && self.notify.is_none() {
                // From now on what changes is sent.
                self.snapshot = self.snapshot().await.ok();
            }
            return;
        }
        let now = match self.snapshot().await {
            Ok(now) => now,
            Err(End(_, Some(ResponseCode::NotificationOverflow), _)) => {
                (self.notify, self.snapshot) = (None, None);
                self.driver.machine.expunge_unasked(false);
                self.untagged_ok(ResponseCode::NotificationOverflow, T::TooManyMailboxes);
                return;
            }
            Err(End(_, _, error)) => {
                warn!(error, "the changes of other mailboxes could not be sent");
                return;
            }
        };
        let Some(before) = self.snapshot.take() else {
            return;
        };
        if let Err(End(_, _, error)) = self.send_differences(&before, &now).await {
            warn!(error, "the changes of other mailboxes could not be sent");
        }
        self.snapshot = Some(now);
    }

    async fn send_differences(&mut self, before: &Snapshot, now: &Snapshot) -> Result<(), End> {
        self.send_names(before, now);
        self.send_subscriptions(before, now);
        let wants_server = |asked: &Asked| asked.asks_for_server_metadata();
        let all_metadata = self.driver.machine.metadata();
        if all_metadata || self.notify.as_ref().is_some_and(wants_server) {
            self.send_entries("", &before.server, &now.server);
        }
        for (id, known) in &now.mailboxes {
            let Some(old) = before.mailboxes.get(id).filter(|old| **old != *known) else {
                continue;
            };
            let events = self.events_of(known, &now.subscribed);
            let metadata = events.contains(&NotifyEvent::MailboxMetadataChange);
            if all_metadata || metadata {
                self.send_entries(&known.name, &old.entries, &known.entries);
            }
            self.send_messages(old, known, &events).await?;
            let _ = self.driver.flush_if_full().await;
        }
        Ok(())
    }

    fn events_of(&self, known: &Known, subscribed: &[String]) -> Vec<NotifyEvent> {
        let asked = self.notify.as_ref();
        let events = asked.map(|asked| asked.events(&known.name, known.own, subscribed));
        events.unwrap_or_default().into_iter().cloned().collect()
    }

    fn wants(&self, known: &Known, subscribed: &[String], event: &NotifyEvent) -> bool {
        self.events_of(known, subscribed).contains(event)
    }

    /// `* LIST`
    fn send_name(
        &mut self,
        name: &str,
        attributes: impl IntoIterator<Item = ListAttribute>,
        old: Option<&str>,
    ) {
        let list = ListResponse {
            old_name: old.map(|old| Box::new(MailboxName::new(old))),
            ..ListResponse::new(MailboxName::new(name), Some(DELIMITER), attributes)
        };
        self.respond(&Response::List(list));
    }

    fn send_names(&mut self, before: &Snapshot, now: &Snapshot) {
        let event = NotifyEvent::MailboxName;
        let is_parent = |name: &str| {
            let prefix = format!("{name}{DELIMITER}");
            let mut all = now.mailboxes.values();
            all.any(|known| known.name.starts_with(&prefix))
        };
        let attributes = |known: &Known| {
            let mut attributes = vec![match is_parent(&known.name) {
                true => ListAttribute::HasChildren,
                false => ListAttribute::HasNoChildren,
            }];
            if now.subscribed.contains(&known.name) {
                attributes.push(ListAttribute::Subscribed);
            }
            attributes
        };
        let renamed = |id: &MailboxId| {
            let (old, new) = (before.mailboxes.get(id)?, now.mailboxes.get(id)?);
            (old.name != new.name).then_some((old, new))
        };
        let pairs: Vec<(&Known, &Known)> = now.mailboxes.keys().filter_map(renamed).collect();
        // What is renamed with what is above it is not sent by itself.
        let with_parent = |old: &str, new: &str| {
            pairs.iter().any(|(parent, to)| {
                let below = |name: &str, top: &str| {
                    let rest = name.strip_prefix(top)?.strip_prefix(DELIMITER)?;
                    Some(rest.to_owned())
                };
                let (was, is) = (below(old, &parent.name), below(new, &to.name));
                was.is_some() && was == is
            })
        };
        for (old, new) in &pairs {
            let own = before.own.contains(&new.name) || with_parent(&old.name, &new.name);
            if !own && self.wants(new, &now.subscribed, &event) {
                self.send_name(&new.name, attributes(new), Some(&old.name));
            }
        }
        for (id, known) in &now.mailboxes {
            let new = !before.mailboxes.contains_key(id) && !before.own.contains(&known.name);
            if new && self.wants(known, &now.subscribed, &event) {
                self.send_name(&known.name, attributes(known), None);
            }
        }
        for (id, known) in &before.mailboxes {
            let gone = !now.mailboxes.contains_key(id) && !before.own.contains(&known.name);
            if gone && self.wants(known, &now.subscribed, &event) {
                self.send_name(&known.name, [ListAttribute::NonExistent], None);
            }
        }
    }

    fn send_subscriptions(&mut self, before: &Snapshot, now: &Snapshot) {
        let (old, new): (BTreeSet<&String>, BTreeSet<&String>) = (
            before.subscribed.iter().collect(),
            now.subscribed.iter().collect(),
        );
        for name in old.symmetric_difference(&new) {
            let mut all = now.mailboxes.values();
            let known = all.find(|known| known.name == **name);
            let own = known.is_none_or(|known| known.own);
            let both: Vec<String> = before
                .subscribed
                .iter()
                .chain(&now.subscribed)
                .cloned()
                .collect();
            let asked = self.notify.as_ref();
            let wanted = asked.is_some_and(|asked| {
                has(
                    &asked.events(name, own, &both),
                    &NotifyEvent::SubscriptionChange,
                )
            });
            if !wanted || before.own.contains(*name) {
                continue;
            }
            let mut attributes = Vec::new();
            if known.is_none() {
                attributes.push(ListAttribute::NonExistent);
            }
            if new.contains(*name) {
                attributes.push(ListAttribute::Subscribed);
            }
            self.send_name(name, attributes, None);
        }
    }

    /// `* METADATA`, with the names of what is not as it was.
    fn send_entries(&mut self, name: &str, before: &Entries, now: &Entries) {
        let all: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        let changed = all
            .into_iter()
            .filter(|entry| before.get(*entry) != now.get(*entry));
        let changed: Vec<Bytes> = changed.map(|entry| entry.clone().into()).collect();
        if !changed.is_empty() {
            let name = MailboxName::new(name);
            self.respond(&Response::Metadata(name, Metadata::Changed(changed)));
        }
    }

    /// `* STATUS` of a mailbox whose messages are not as they were.
    async fn send_messages(
        &mut self,
        old: &Known,
        known: &Known,
        events: &[NotifyEvent],
    ) -> Result<(), End> {
        use StatusAttribute as A;
        let selected = self.selected.as_ref().map(|selected| selected.mailbox);
        if selected == Some(known.mailbox.id) || !events.iter().any(is_message_event) {
            return Ok(());
        }
        if !self.rights(&known.mailbox).contains(b'r') {
            return Ok(());
        }
        let (was, is) = (&old.mailbox, &known.mailbox);
        let condstore = self.driver.machine.condstore();
        let mut wanted = Vec::new();
        if (was.messages, was.uid_next) != (is.messages, is.uid_next) {
            wanted.extend([A::Messages, A::UidNext]);
            if condstore {
                wanted.push(A::HighestModSeq);
            }
        }
        if events.contains(&NotifyEvent::FlagChange) && was.highest != is.highest {
            if condstore {
                wanted.extend([A::UidValidity, A::HighestModSeq]);
            }
            if was.unseen != is.unseen {
                wanted.push(A::Unseen);
            }
            if was.uid_validity != is.uid_validity {
                wanted.push(A::UidValidity);
            }
        }
        let mut seen = Vec::new();
        wanted.retain(|one| {
            let new = !seen.contains(one);
            seen.push(one.clone());
            new
        });
        if wanted.is_empty() {
            return Ok(());
        }
        let name = MailboxName::new(known.name.clone());
        self.send_status(name, is, &wanted).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_imap_proto::FetchAttribute;
    use hikyaku_imap_proto::Status;

    fn group(mailboxes: MailboxFilter, events: &[NotifyEvent]) -> EventGroup {
        let events = events.to_vec();
        EventGroup { mailboxes, events }
    }

    #[test]
    fn events_go_together_as_the_rfc_has_them() {
        use MailboxFilter as F;
        use NotifyEvent as E;
        let new = || E::MessageNew(Vec::new());
        let fetch = || E::MessageNew(vec![FetchAttribute::Uid]);
        for (good, groups) in [
            (true, vec![group(F::Personal, &[new(), E::MessageExpunge])]),
            (false, vec![group(F::Personal, &[new()])]),
            (false, vec![group(F::Personal, &[E::FlagChange])]),
            (
                true,
                vec![group(F::Selected, &[fetch(), E::MessageExpunge])],
            ),
            (
                false,
                vec![group(F::Personal, &[fetch(), E::MessageExpunge])],
            ),
            (false, vec![group(F::Selected, &[E::MailboxName])]),
            (true, vec![group(F::Selected, &[])]),
            (
                false,
                vec![group(F::Selected, &[]), group(F::SelectedDelayed, &[])],
            ),
        ] {
            assert_eq!(check(&groups).is_ok(), good, "{groups:?}");
        }
        let unknown = check(&[group(F::Personal, &[E::Other("Moon".into())])]);
        let End(status, code, _) = unknown.unwrap_err();
        assert_eq!(status, Status::No);
        assert!(matches!(code, Some(ResponseCode::BadEvent(all)) if all.len() == 7));
    }
}
