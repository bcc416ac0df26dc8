//! Which mailboxes NOTIFY and ESEARCH mean (RFC 5465 §6, RFC 7377 §2.2).

use alloc::vec::Vec;
use hikyaku_wire::Output;

use crate::MailboxName;
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::write_list;
use crate::value::mailbox::mailbox;

/// Some of the mailboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MailboxFilter {
    /// `selected`: the one that is selected.
    Selected,
    /// `selected-delayed`: the same, its expunges sent where they always were.
    SelectedDelayed,
    /// `inboxes`: where mail is delivered to.
    Inboxes,
    /// `personal`: the client's own.
    Personal,
    /// `subscribed`
    Subscribed,
    /// `subtree`: those and all below them.
    Subtree(Vec<MailboxName>),
    /// `subtree-one`: those and one level below them.
    SubtreeOne(Vec<MailboxName>),
    /// `mailboxes`: those.
    Mailboxes(Vec<MailboxName>),
}

impl MailboxFilter {
    fn name(&self) -> &'static str {
        match self {
            Self::Selected => "selected",
            Self::SelectedDelayed => "selected-delayed",
            Self::Inboxes => "inboxes",
            Self::Personal => "personal",
            Self::Subscribed => "subscribed",
            Self::Subtree(_) => "subtree",
            Self::SubtreeOne(_) => "subtree-one",
            Self::Mailboxes(_) => "mailboxes",
        }
    }

    pub(crate) fn names_mut(&mut self) -> core::slice::IterMut<'_, MailboxName> {
        match self {
            Self::Subtree(names) | Self::SubtreeOne(names) | Self::Mailboxes(names) => {
                names.iter_mut()
            }
            _ => [].iter_mut(),
        }
    }

    pub(crate) fn encode(&self, output: &mut Output) {
        output.write(self.name().as_bytes());
        if let Self::Subtree(names) | Self::SubtreeOne(names) | Self::Mailboxes(names) = self {
            output.write(b" ");
            match names.as_slice() {
                [one] => one.encode(output),
                all => write_list(all, output, MailboxName::encode),
            }
        }
    }
}

pub(crate) fn mailbox_filter(cursor: &mut Cursor<'_>) -> Result<MailboxFilter> {
    use MailboxFilter as F;
    for filter in [
        F::Selected,
        F::SelectedDelayed,
        F::Inboxes,
        F::Personal,
        F::Subscribed,
    ] {
        if cursor.eat_word(filter.name()) {
            return Ok(filter);
        }
    }
    type Named = fn(Vec<MailboxName>) -> F;
    let named: [(&str, Named); 3] = [
        ("subtree", F::Subtree),
        ("subtree-one", F::SubtreeOne),
        ("mailboxes", F::Mailboxes),
    ];
    for (name, filter) in named {
        if cursor.eat_word(name) {
            cursor.sp()?;
            let names = match cursor.peek() {
                Some(b'(') => cursor.list(false, mailbox)?,
                _ => [mailbox(cursor)?].into(),
            };
            return Ok(filter(names));
        }
    }
    cursor.fail("which mailboxes")
}
