//! NOTIFY: what the server sends unasked, and of which mailboxes (RFC 5465).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::command::fetch::attribute;
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::write_list;
use crate::plumbing::word::write_atom;
use crate::value::mailbox_filter::mailbox_filter;
use crate::{FetchAttribute, MailboxFilter};

/// The NOTIFY command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "its parts are the grammar's")]
pub enum Notify {
    /// `NONE`: nothing.
    None,
    /// `SET`: this, and what was asked for before no more.
    Set {
        /// `STATUS`: send the state of those mailboxes now.
        status: bool,
        /// What of which.
        groups: Vec<EventGroup>,
    },
}

/// Some events in some mailboxes. Several groups may have the same one (RFC 5465 §6).
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct EventGroup {
    /// The mailboxes that are watched.
    pub mailboxes: MailboxFilter,
    /// What of them; nothing for `NONE`.
    pub events: Vec<NotifyEvent>,
}

/// What a client may want to be notified of (RFC 5465 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotifyEvent {
    /// `MessageNew`, with what to send of a new message in the selected mailbox.
    MessageNew(Vec<FetchAttribute>),
    /// `MessageExpunge`
    MessageExpunge,
    /// `FlagChange`
    FlagChange,
    /// `AnnotationChange`
    AnnotationChange,
    /// `MailboxName`: one was made, renamed or deleted.
    MailboxName,
    /// `SubscriptionChange`
    SubscriptionChange,
    /// `MailboxMetadataChange`
    MailboxMetadataChange,
    /// `ServerMetadataChange`
    ServerMetadataChange,
    /// Another one.
    Other(Bytes),
}

impl NotifyEvent {
    /// As it is written.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        match self {
            Self::MessageNew(_) => b"MessageNew",
            Self::MessageExpunge => b"MessageExpunge",
            Self::FlagChange => b"FlagChange",
            Self::AnnotationChange => b"AnnotationChange",
            Self::MailboxName => b"MailboxName",
            Self::SubscriptionChange => b"SubscriptionChange",
            Self::MailboxMetadataChange => b"MailboxMetadataChange",
            Self::ServerMetadataChange => b"ServerMetadataChange",
            Self::Other(name) => name,
        }
    }

    fn encode(&self, output: &mut Output) {
        write_atom(self.name(), output);
        if let Self::MessageNew(attributes) = self
            && !attributes.is_empty()
        {
            output.write(b" ");
            write_list(attributes, output, FetchAttribute::encode);
        }
    }
}

impl Notify {
    /// Appends what follows `NOTIFY `.
    pub(crate) fn encode(&self, output: &mut Output) {
        let Self::Set { status, groups } = self else {
            return output.write(b"NONE");
        };
        output.write(if *status { b"SET STATUS" } else { b"SET" });
        for group in groups {
            output.write(b" (");
            group.mailboxes.encode(output);
            output.write(b" ");
            if group.events.is_empty() {
                output.write(b"NONE");
            } else {
                write_list(&group.events, output, NotifyEvent::encode);
            }
            output.write(b")");
        }
    }
}

/// Behind `NOTIFY `.
pub(crate) fn notify(cursor: &mut Cursor<'_>) -> Result<Notify> {
    if cursor.eat_word("NONE") {
        return Ok(Notify::None);
    }
    if !cursor.eat_word("SET") {
        return cursor.fail("SET or NONE");
    }
    let status = cursor.eat_prefix(" STATUS");
    let mut groups = Vec::new();
    while cursor.eat(b' ') {
        groups.push(group(cursor)?);
    }
    if groups.is_empty() {
        return cursor.fail("events of mailboxes");
    }
    let selected = |group: &&EventGroup| is_selected(&group.mailboxes);
    if groups.iter().filter(selected).count() > 1 {
        return cursor.fail("the selected mailbox once");
    }
    Ok(Notify::Set { status, groups })
}

fn is_selected(filter: &MailboxFilter) -> bool {
    matches!(
        filter,
        MailboxFilter::Selected | MailboxFilter::SelectedDelayed
    )
}

fn group(cursor: &mut Cursor<'_>) -> Result<EventGroup> {
    cursor.expect(b'(', "\"(\"")?;
    let mailboxes = mailbox_filter(cursor)?;
    cursor.sp()?;
    let start = cursor.clone();
    let events = match cursor.eat_word("NONE") {
        true => Vec::new(),
        false => cursor.list(false, event)?,
    };
    cursor.expect(b')', "\")\"")?;
    // RFC 5465 §5: these come together.
    let has = |name: &[u8]| events.iter().any(|event| event.name() == name);
    let (new, expunge, flags) = (
        has(b"MessageNew"),
        has(b"MessageExpunge"),
        has(b"FlagChange"),
    );
    if new != expunge || (flags && !new) {
        return start.fail("MessageNew and MessageExpunge together");
    }
    let asks = |event: &NotifyEvent| matches!(event, NotifyEvent::MessageNew(a) if !a.is_empty());
    let of_messages = |event: &NotifyEvent| {
        use NotifyEvent as E;
        !matches!(
            event,
            E::MailboxName
                | E::SubscriptionChange
                | E::MailboxMetadataChange
                | E::ServerMetadataChange
        )
    };
    if is_selected(&mailboxes) {
        if !events.iter().all(of_messages) {
            return start.fail("events of messages");
        }
    } else if events.iter().any(asks) {
        return start.fail("no FETCH attributes here");
    }
    Ok(EventGroup { mailboxes, events })
}

fn event(cursor: &mut Cursor<'_>) -> Result<NotifyEvent> {
    use NotifyEvent as E;
    if cursor.eat_word("MessageNew") {
        let mut attributes = Vec::new();
        if cursor.rest().starts_with(b" (") {
            cursor.sp()?;
            attributes = cursor.list(false, attribute)?;
        }
        return Ok(E::MessageNew(attributes));
    }
    let known = [
        E::MessageExpunge,
        E::FlagChange,
        E::AnnotationChange,
        E::MailboxName,
        E::SubscriptionChange,
        E::MailboxMetadataChange,
        E::ServerMetadataChange,
    ];
    let name = cursor.atom()?;
    let mut known = known.into_iter();
    let found = known.find(|event| name.eq_ignore_ascii_case(event.name()));
    Ok(found.unwrap_or(E::Other(name)))
}
