//! Sorting by what the summaries say: no body is read (RFC 5256 §2, §3; RFC 5957).

use std::cmp::Ordering;

use crate::message::{AddressesView, BaseSubject, EnvelopeView, decode_header, parse_date};
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

/// What sorting and threading know of a message, as far as it is needed.
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

/// What is needed of a message beside its row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) sent: bool,
    pub(crate) subject: bool,
    pub(crate) references: bool,
    pub(crate) people: [bool; 5],
}

impl Needs {
    fn of(criteria: &[(Criterion, bool)]) -> Self {
        let mut needs = Self::default();
        for (criterion, _) in criteria {
            match criterion {
                Criterion::Arrival | Criterion::Size => {}
                Criterion::Date => needs.sent = true,
                Criterion::Subject => needs.subject = true,
                Criterion::Cc => needs.people[0] = true,
                Criterion::From => needs.people[1] = true,
                Criterion::To => needs.people[2] = true,
                Criterion::DisplayFrom => needs.people[3] = true,
                Criterion::DisplayTo => needs.people[4] = true,
            }
        }
        needs
    }

    fn want(self) -> Want {
        match self == Self::default() {
            true => Want::ROW,
            false => Want::SUMMARY,
        }
    }
}

/// The text as it collates.
fn collated(text: &str) -> String {
    casemap(text).into_owned()
}

fn people(all: AddressesView<'_>, displayed: bool) -> String {
    let Some(first) = all.iter().next() else {
        return String::new();
    };
    let text = |octets: Option<&[u8]>| String::from_utf8_lossy(octets.unwrap_or(&[])).into_owned();
    if !displayed {
        return collated(&text(first.mailbox));
    }
    match first.name.map(decode_header) {
        Some(name) if !name.is_empty() => collated(&name),
        _ => collated(&format!("{}@{}", text(first.mailbox), text(first.host))),
    }
}

impl Facts {
    fn of(bodies: &mut dyn Bodies, row: &Row, needs: Needs) -> Result<Self> {
        let made;
        let envelope = match EnvelopeView::of(&row.summary) {
            Some(envelope) => envelope,
            None if needs == Needs::default() => EnvelopeView::default(),
            None => {
                made = structure_of(bodies, row)?.encode();
                EnvelopeView::of(&made).unwrap_or_default()
            }
        };
        // §2.2: without a sent date, INTERNALDATE.
        let sent = envelope.date.filter(|_| needs.sent).and_then(parse_date);
        let subject = envelope.subject.filter(|_| needs.subject);
        let subject = BaseSubject::of(&subject.map(decode_header).unwrap_or_default());
        let reference = |text: Option<&[u8]>| text.filter(|_| needs.references).map(<[u8]>::to_vec);
        let all = [
            (envelope.cc, false),
            (envelope.from, false),
            (envelope.to, false),
            (envelope.from, true),
            (envelope.to, true),
        ];
        let mut which = needs.people.iter();
        Ok(Self {
            uid: row.uid,
            sent: sent.map_or(row.received.0, |date| date.seconds),
            collated: collated(&subject.text),
            subject,
            message_id: reference(envelope.message_id),
            references: reference(envelope.references),
            in_reply_to: reference(envelope.in_reply_to),
            arrived: row.received.0,
            octets: row.body.octets,
            people: all.map(|(list, displayed)| match which.next() {
                Some(true) => people(list, displayed),
                _ => String::new(),
            }),
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
    needs: Needs,
) -> Result<Vec<Facts>> {
    visit_all(store, mailbox, uids, needs.want(), || {
        move |row: &Row, bodies: &mut dyn Bodies| Facts::of(bodies, row, needs).map(Some)
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
    let mut all = facts(store, mailbox, uids, Needs::of(criteria)).await?;
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
