//! Mailbox names: their levels, their owners, and which of them a filter means.

use hikyaku_imap_proto::{MailboxFilter, MailboxName};

/// What separates levels of mailbox names.
pub(super) const DELIMITER: char = '/';

/// What the names of other users' mailboxes begin with; the account's name follows, then theirs.
pub(super) const OTHERS: &str = "Other Users/";

/// The name as the store keeps it: its first level INBOX in capitals.
pub(super) fn kept(name: &str) -> String {
    let (first, rest) = name.split_at(name.find(DELIMITER).unwrap_or(name.len()));
    match first.eq_ignore_ascii_case("INBOX") {
        true => format!("INBOX{rest}"),
        false => name.to_owned(),
    }
}

/// Whether a mailbox is the named one or below it; directly, when not `deep`.
fn is_below(name: &str, top: &str, deep: bool) -> bool {
    let Some(rest) = name.strip_prefix(top) else {
        return false;
    };
    match rest.strip_prefix(DELIMITER) {
        None => rest.is_empty(),
        Some(rest) => deep || !rest.contains(DELIMITER),
    }
}

/// Whether a filter means a mailbox; not those of the selected mailbox, which have no name.
pub(super) fn means(filter: &MailboxFilter, name: &str, own: bool, subscribed: &[String]) -> bool {
    use MailboxFilter as F;
    let any = |names: &[MailboxName], is: &dyn Fn(&str) -> bool| {
        names.iter().any(|one| is(&kept(one.as_str())))
    };
    match filter {
        // Sieve may put mail anywhere: all are where mail is delivered to.
        F::Personal | F::Inboxes => own,
        F::Subscribed => subscribed.iter().any(|one| one == name),
        F::Mailboxes(names) => any(names, &|one| one == name),
        F::Subtree(names) => any(names, &|one| is_below(name, one, true)),
        F::SubtreeOne(names) => any(names, &|one| is_below(name, one, false)),
        _ => false,
    }
}
