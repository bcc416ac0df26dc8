//! What is known of a message, and what that decides.

use memchr::memmem;

use super::key::Key;
use super::plan::{Plan, Prepared};
use crate::Row;
use crate::questions::casemap::casemap;
use crate::questions::field_text::FieldText;
use hikyaku_message::{
    AddressView, AddressesView, EnvelopeView, Structure, decode_header, fields, parse_date,
};

/// What is known of a message so far.
pub(super) struct Known<'a> {
    pub(super) row: &'a Row,
    pub(super) envelope: Option<EnvelopeView<'a>>,
    pub(super) structure: Option<&'a Structure>,
    /// In the order of [`Plan::fields`]; nothing for what is not known.
    pub(super) fields: &'a [Option<&'a FieldText>],
    pub(super) header: Option<Vec<u8>>,
    /// Which terms its content has, as far as that is known.
    pub(super) content: Vec<Option<bool>>,
}

impl<'a> Known<'a> {
    /// What the row says.
    pub(super) fn of(row: &'a Row) -> Self {
        Self {
            row,
            envelope: None,
            structure: None,
            fields: &[],
            header: None,
            content: Vec::new(),
        }
    }
}

impl Known<'_> {
    /// `None`: more has to be read.
    pub(super) fn judge(&self, plan: &Plan, key: &Prepared) -> Option<bool> {
        match key {
            Prepared::Plain(key) => self.plain(key),
            Prepared::Header(name, number) => self.header(plan, name, plan.needle(*number)),
            Prepared::Content(number) => self.content.get(*number).copied().flatten(),
            Prepared::Not(key) => self.judge(plan, key).map(|holds| !holds),
            Prepared::And(keys) => {
                let mut all = Some(true);
                for key in keys {
                    match self.judge(plan, key) {
                        Some(false) => return Some(false),
                        Some(true) => {}
                        None => all = None,
                    }
                }
                all
            }
            Prepared::Or(keys) => {
                let mut any = Some(false);
                for key in keys {
                    match self.judge(plan, key) {
                        Some(true) => return Some(true),
                        Some(false) => {}
                        None => any = None,
                    }
                }
                any
            }
        }
    }

    fn plain(&self, key: &Key) -> Option<bool> {
        let row = self.row;
        Some(match key {
            Key::All => true,
            Key::Flags(flags, true) => row.flags.contains(flags),
            Key::Flags(flags, false) => !row.flags.contains(flags),
            Key::Uids(uids) => uids.contains(row.uid),
            Key::Larger(octets) => row.body.octets > *octets,
            Key::Smaller(octets) => row.body.octets < *octets,
            Key::Modified(since) => row.modified >= *since,
            Key::Received(when, day) => {
                let (seconds, zone) = row.received;
                let local = seconds.saturating_add(i64::from(zone) * 60);
                when.holds(local.div_euclid(86_400), *day)
            }
            Key::ReceivedUntil(moment) => row.received.0 <= *moment,
            Key::Saved(when, day) => row
                .saved
                .is_some_and(|saved| when.holds(saved.div_euclid(86_400), *day)),
            Key::Email(email) => row.email == *email,
            Key::Thread(thread) => row.thread == *thread,
            Key::Sent(when, day) => {
                let date = self.envelope?.date.and_then(parse_date);
                date.is_some_and(|date| when.holds(date.day(), *day))
            }
            _ => return None,
        })
    }

    fn header(&self, plan: &Plan, name: &str, needle: &str) -> Option<bool> {
        let mut fields_known = plan.fields.iter().zip(self.fields);
        if let Some((_, Some(text))) = fields_known.find(|(field, _)| *field == name) {
            let has = |text: &str| memmem::find(text.as_bytes(), needle.as_bytes()).is_some();
            return Some(text.as_deref().is_some_and(has));
        }
        let envelope = self.envelope.as_ref()?;
        let text = |value: Option<&[u8]>| {
            Some(value.is_some_and(|value| holds(&decode_header(value), needle)))
        };
        let people =
            |all: AddressesView<'_>| Some(all.iter().any(|one| holds(&person(one), needle)));
        match name {
            "subject" => return text(envelope.subject),
            "message-id" => return text(envelope.message_id),
            "in-reply-to" => return text(envelope.in_reply_to),
            "from" if !needle.is_empty() => return people(envelope.from),
            "to" if !needle.is_empty() => return people(envelope.to),
            "cc" if !needle.is_empty() => return people(envelope.cc),
            "bcc" if !needle.is_empty() => return people(envelope.bcc),
            _ => {}
        }
        let header = self.header.as_deref()?;
        Some(fields(header).any(|(field, value, _)| {
            field.eq_ignore_ascii_case(name.as_bytes()) && holds(&decode_header(value), needle)
        }))
    }
}

fn holds(text: &str, needle: &str) -> bool {
    memmem::find(casemap(text).as_bytes(), needle.as_bytes()).is_some()
}

/// As it would stand in a header: `name <mailbox@host>`.
fn person(address: AddressView<'_>) -> String {
    let name = address.name.map(decode_header).unwrap_or_default();
    let mailbox = String::from_utf8_lossy(address.mailbox.unwrap_or_default());
    match address.host.map(String::from_utf8_lossy) {
        Some(host) => format!("{name} <{mailbox}@{host}>"),
        None => format!("{name} {mailbox}"),
    }
}
