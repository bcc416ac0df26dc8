//! The events that a client has asked to be notified of (RFC 5465).

use hikyaku_imap_proto::{EventGroup, FetchAttribute, MailboxFilter, NotifyEvent};
use hikyaku_mailstore::Watch;

use super::names::means;

/// Hints that something may have changed; none where nobody wants to know.
pub(super) type Watching = Option<Box<dyn Watch>>;

/// What a client has asked for.
pub(super) struct Asked {
    pub(super) groups: Vec<EventGroup>,
    /// Of the accounts that share something with this one.
    pub(super) watches: Vec<Watching>,
}

impl Asked {
    /// The events of the selected mailbox; none, when it is not among the groups.
    pub(super) fn selected(&self) -> Option<&EventGroup> {
        use MailboxFilter as F;
        let mut groups = self.groups.iter();
        groups.find(|group| matches!(group.mailboxes, F::Selected | F::SelectedDelayed))
    }

    /// What to send of a new message in the selected mailbox.
    pub(super) fn attributes(&self) -> &[FetchAttribute] {
        let events = self.selected().map_or(&[][..], |group| &group.events);
        let attributes = events.iter().find_map(|event| match event {
            NotifyEvent::MessageNew(attributes) => Some(attributes.as_slice()),
            _ => None,
        });
        attributes.unwrap_or(&[])
    }

    /// Whether the selected mailbox's changes are sent between commands.
    pub(super) fn reports_selected(&self) -> bool {
        self.selected()
            .is_some_and(|group| !group.events.is_empty())
    }

    pub(super) fn reports_flags(&self) -> bool {
        let group = self.selected();
        group.is_some_and(|group| group.events.contains(&NotifyEvent::FlagChange))
    }

    pub(super) fn expunges_at_once(&self) -> bool {
        let group = self.selected();
        group.is_some_and(|group| group.mailboxes == MailboxFilter::Selected)
    }

    /// The events of another mailbox, from all groups that have it.
    pub(super) fn events(&self, name: &str, own: bool, subscribed: &[String]) -> Vec<&NotifyEvent> {
        let groups = self.groups.iter();
        let groups = groups.filter(|group| means(&group.mailboxes, name, own, subscribed));
        groups.flat_map(|group| &group.events).collect()
    }

    pub(super) fn asks_for_server_metadata(&self) -> bool {
        let mut events = self.groups.iter().flat_map(|group| &group.events);
        events.any(|event| *event == NotifyEvent::ServerMetadataChange)
    }
}
