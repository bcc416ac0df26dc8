//! Sorting by what the summaries say: no body is read (RFC 5256 §2, §3; RFC 5957).

use std::cmp::Ordering;

use crate::message::{Address, BaseSubject, decode_header, parse_date};
use crate::search::{structure_of, visit_all};
use crate::{Bodies, MailboxId, Result, Row, Store, Uid, UidSet, Want, casemap};

/// What to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    /// INTERNALDATE
    Arrival,
    /// The mailbox of the first Cc address.
    Cc,
    /// The sent date, in UTC.
    Date,
    /// The mailbox of the first From address.
    From,
    /// Octets.
    Size,
    /// The base subject.
    Subject,
    /// The mailbox of the first To address.
    To,
    /// The first From address as people see it.
    DisplayFrom,
    /// The first To address as people see it.
    DisplayTo,
}

/// What sorting and threading know of a message.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) uid: Uid,
    pub(crate) sent: i64,
    pub(crate) subject: BaseSubject,
    /// The base subject as it collates.
    pub(crate) collated: String,
    pub(crate) message_id: Option<Vec<u8>>,
    pub(crate) references: Option<Vec<u8>>,
    pub(crate) in_reply_to: Option<Vec<u8>>,
    arrived: i64,
    octets: u64,
    /// Cc, From, To, then as displayed From, To.
    people: [String; 5],
}

/// The text as it collates.
fn collated(text: &str) -> String {
    casemap(text).into_owned()
}

fn people(all: &[Address], displayed: bool) -> String {
    let Some(first) = all.first() else {
        return String::new();
    };
    let text = |octets: &Option<Vec<u8>>| {
        let octets = octets.as_deref().unwrap_or(&[]);
        String::from_utf8_lossy(octets).into_owned()
    };
    if !displayed {
        return collated(&text(&first.mailbox));
    }
    match first.name.as_deref().map(decode_header) {
        Some(name) if !name.is_empty() => collated(&name),
        _ => collated(&format!("{}@{}", text(&first.mailbox), text(&first.host))),
    }
}

impl Facts {
    fn of(bodies: &mut dyn Bodies, row: &Row) -> Result<Self> {
        let structure = structure_of(bodies, row)?;
        let empty = crate::message::Envelope::default();
        let envelope = structure.root().envelope.as_deref().unwrap_or(&empty);
        // §2.2: without a sent date, INTERNALDATE.
        let sent = envelope.date.as_deref().and_then(parse_date);
        let subject = envelope
            .subject
            .as_deref()
            .map(decode_header)
            .unwrap_or_default();
        let subject = BaseSubject::of(&subject);
        Ok(Self {
            uid: row.uid,
            sent: sent.map_or(row.received.0, |date| date.seconds),
            collated: collated(&subject.text),
            subject,
            message_id: envelope.message_id.clone(),
            references: envelope.references.clone(),
            in_reply_to: envelope.in_reply_to.clone(),
            arrived: row.received.0,
            octets: row.body.octets,
            people: [
                people(&envelope.cc, false),
                people(&envelope.from, false),
                people(&envelope.to, false),
                people(&envelope.from, true),
                people(&envelope.to, true),
            ],
        })
    }

    fn compare(&self, other: &Self, criterion: Criterion) -> Ordering {
        let people = |at: usize| self.people.get(at).cmp(&other.people.get(at));
        match criterion {
            Criterion::Arrival => self.arrived.cmp(&other.arrived),
            Criterion::Date => self.sent.cmp(&other.sent),
            Criterion::Size => self.octets.cmp(&other.octets),
            Criterion::Subject => self.collated.cmp(&other.collated),
            Criterion::Cc => people(0),
            Criterion::From => people(1),
            Criterion::To => people(2),
            Criterion::DisplayFrom => people(3),
            Criterion::DisplayTo => people(4),
        }
    }
}

/// What is known of those messages, ascending by UID.
pub(crate) async fn facts(
    store: &dyn Store,
    mailbox: MailboxId,
    uids: &UidSet,
) -> Result<Vec<Facts>> {
    visit_all(store, mailbox, uids, Want::SUMMARY, || {
        |row: &Row, bodies: &mut dyn Bodies| Facts::of(bodies, row).map(Some)
    })
    .await
}

/// The messages in the order of the criteria, each with whether it is reversed; those that are equal
/// in all stay in the order of the mailbox.
///
/// # Errors
/// What the store says.
pub async fn sort(
    store: &dyn Store,
    mailbox: MailboxId,
    uids: &UidSet,
    criteria: &[(Criterion, bool)],
) -> Result<Vec<Uid>> {
    let mut all = facts(store, mailbox, uids).await?;
    all.sort_by(|a, b| {
        let by = |&(criterion, reverse): &(Criterion, bool)| {
            let order = a.compare(b, criterion);
            if reverse { order.reverse() } else { order }
        };
        let decided = criteria.iter().map(by).find(|order| order.is_ne());
        decided.unwrap_or(Ordering::Equal)
    });
    Ok(all.into_iter().map(|facts| facts.uid).collect())
}
