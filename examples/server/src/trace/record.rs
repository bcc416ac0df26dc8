//! One line of the log.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Longer texts are cut: a peer says what it likes.
const TEXT: usize = 500;

/// Something that happened to a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record<'a> {
    /// When, in milliseconds since 1970.
    pub(crate) at: i64,
    /// The message's name.
    pub(crate) id: Cow<'a, str>,
    #[serde(flatten)]
    pub(crate) what: What<'a>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum What<'a> {
    /// A transaction began, or was refused.
    Mail {
        by: Cow<'a, str>,
        address: Option<Cow<'a, str>>,
        tls: Option<Cow<'a, str>>,
        hello: Cow<'a, str>,
        login: Option<Cow<'a, str>>,
        from: Cow<'a, str>,
        refusal: Option<Cow<'a, str>>,
    },
    /// A recipient was accepted, or refused.
    Recipient {
        to: Cow<'a, str>,
        refusal: Option<Cow<'a, str>>,
    },
    /// Somebody who looked at the message has noted something.
    Noted { note: Cow<'a, str> },
    /// The message was put into a mailbox when it came.
    Mailbox { to: Cow<'a, str> },
    /// It was put into the queue.
    Queued {
        next_hop: Option<Cow<'a, str>>,
        recipients: usize,
    },
    /// The client was answered.
    Answered { octets: u64, reply: Cow<'a, str> },
    /// The message was larger than is taken.
    TooLarge,
    /// Another server was asked to take it.
    Asked {
        next_hop: Cow<'a, str>,
        attempt: u32,
        host: Cow<'a, str>,
        peer: Cow<'a, str>,
        tls: Option<Cow<'a, str>>,
        replies: Vec<(Cow<'a, str>, Cow<'a, str>)>,
        error: Option<Cow<'a, str>>,
    },
    /// A recipient has it.
    Delivered {
        to: Cow<'a, str>,
        host: Option<Cow<'a, str>>,
        reply: Cow<'a, str>,
    },
    /// A recipient is tried again, at that time in milliseconds since 1970.
    Deferred {
        to: Cow<'a, str>,
        why: Cow<'a, str>,
        next: i64,
    },
    /// A recipient was given up.
    Failed { to: Cow<'a, str>, why: Cow<'a, str> },
    /// The sender was notified.
    Notified { to: Cow<'a, str>, how: Cow<'a, str> },
    /// An operator has changed it.
    Operator {
        order: Cow<'a, str>,
        next_hop: Cow<'a, str>,
    },
    /// So many records are missing here: the log could not take them.
    Lost { count: u64 },
}

impl Record<'_> {
    /// The line, with its end.
    pub(crate) fn line(&self) -> Vec<u8> {
        // Most lines fit.
        let mut line = Vec::with_capacity(512);
        if serde_json::to_writer(&mut line, self).is_err() {
            line.clear();
        }
        line.push(b'\n');
        line
    }

    /// Whether it names that address, as sender, recipient or login.
    pub(crate) fn names(&self, address: &str) -> bool {
        let is = |text: &str| text.eq_ignore_ascii_case(address);
        match &self.what {
            What::Mail { from, login, .. } => is(from) || login.as_deref().is_some_and(is),
            What::Recipient { to, .. }
            | What::Mailbox { to }
            | What::Delivered { to, .. }
            | What::Deferred { to, .. }
            | What::Failed { to, .. }
            | What::Notified { to, .. } => is(to),
            What::Asked { replies, .. } => replies.iter().any(|(to, _)| is(to)),
            _ => false,
        }
    }
}

/// A text of a peer's, as far as it is kept.
pub(crate) fn cut(text: &str) -> &str {
    let mut end = TEXT.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_and_read_as_it_was_written() {
        let mut all = vec![
            What::Queued {
                next_hop: None,
                recipients: 2,
            },
            What::TooLarge,
            What::Lost { count: 9 },
        ];
        all.push(What::Failed {
            to: "a@b.test".into(),
            why: "550 \"no\"\r\nnever\u{1b}[2J".into(),
        });
        for what in all {
            let id = "1.0".into();
            let record = Record { at: 7, id, what };
            let line = record.line();
            assert_eq!(line.iter().filter(|&&octet| octet < b' ').count(), 1);
            assert_eq!(serde_json::from_slice::<Record<'_>>(&line).unwrap(), record);
        }
    }

    #[test]
    fn what_a_peer_says_is_cut() {
        assert_eq!(cut(&"é".repeat(400)).len(), TEXT);
        assert_eq!(cut(&format!("x{}", "é".repeat(400))).len(), TEXT - 1);
        assert_eq!(cut("x"), "x");
    }

    #[test]
    fn addresses_are_found_whatever_their_part_in_it() {
        let record = |what| Record {
            at: 0,
            id: Cow::default(),
            what,
        };
        let mail = record(What::Mail {
            by: "SMTP".into(),
            address: None,
            tls: None,
            hello: Cow::default(),
            login: Some("al@a.test".into()),
            from: "b@a.test".into(),
            refusal: None,
        });
        assert!(mail.names("AL@a.test") && mail.names("b@a.test") && !mail.names("c@a.test"));
        assert!(!record(What::TooLarge).names(""));
    }
}
