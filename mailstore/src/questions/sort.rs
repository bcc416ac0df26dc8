//! Sorting by what the summaries say: no body is read (RFC 5256 §2, §3; RFC 5957).

use std::cmp::Ordering;

use crate::contract::structure::structure_of;
use crate::contract::visit::visit_all;
use crate::questions::columns::Weigh;
use crate::{
    Bodies, Error, MailboxId, Result, Row, Store, Uid, UidSet, Want, questions::casemap::casemap,
};
use hikyaku_message::{
    AddressesView, BaseSubject, EnvelopeView, decode_header, message_ids, parse_date,
};

/// What to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
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
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) sent: i64,
    /// The base subject as it collates.
    pub(crate) subject: Box<str>,
    /// Whether the subject is that of a reply or a forward.
    pub(crate) is_reply: bool,
    pub(crate) links: Option<Box<Links>>,
    arrived: i64,
    octets: u64,
    /// Cc, From, To, then as displayed From, To.
    people: Option<Box<[Box<str>; 5]>>,
}

/// What the thread follows from: the fields' message IDs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Links {
    pub(crate) message_id: Option<Box<[u8]>>,
    /// References, or In-Reply-To where there are none.
    pub(crate) references: Box<[Box<[u8]>]>,
}

impl Weigh for Facts {
    fn octets(&self) -> usize {
        let people = self.people.as_deref().into_iter().flatten();
        let people = people
            .map(|one| one.len() + size_of::<Box<str>>())
            .sum::<usize>();
        let links = self.links.as_deref().map_or(0, |links| {
            let ids = links.message_id.iter().chain(&links.references);
            size_of::<Links>()
                + ids
                    .map(|id| id.len() + size_of::<Box<[u8]>>())
                    .sum::<usize>()
        });
        self.subject.len() + people + links
    }
}

/// What is needed of a message beside its row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Needs {
    pub(crate) sent: bool,
    pub(crate) subject: bool,
    pub(crate) references: bool,
    pub(crate) people: [bool; 5],
}

impl Needs {
    pub(crate) fn of(criteria: &[(Criterion, bool)]) -> Self {
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

fn person(all: AddressesView<'_>, displayed: bool) -> String {
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

impl Links {
    fn of(envelope: &EnvelopeView<'_>) -> Self {
        let ids = |field: Option<&[u8]>| field.map(message_ids).unwrap_or_default();
        let mut references = ids(envelope.references);
        if references.is_empty() {
            // RFC 5256 §3, (1)(A): only the first of In-Reply-To.
            references = ids(envelope.in_reply_to);
            references.truncate(1);
        }
        let message_id = ids(envelope.message_id).into_iter().next();
        Self {
            message_id: message_id.map(Vec::into_boxed_slice),
            references: references.into_iter().map(Vec::into_boxed_slice).collect(),
        }
    }
}

impl Facts {
    fn of(bodies: &mut dyn Bodies, row: &Row, needs: Needs) -> Result<Self> {
        let made;
        let envelope = match EnvelopeView::of(&row.summary) {
            Some(envelope) => envelope,
            None if needs == Needs::default() => EnvelopeView::default(),
            None => match structure_of(bodies, row) {
                // One that cannot be read stands where one without header fields does.
                Err(Error::Damaged(..)) => EnvelopeView::default(),
                structure => {
                    made = structure?.encode();
                    EnvelopeView::of(&made).unwrap_or_default()
                }
            },
        };
        // §2.2: without a sent date, INTERNALDATE.
        let sent = envelope.date.filter(|_| needs.sent).and_then(parse_date);
        let subject = envelope.subject.filter(|_| needs.subject);
        let subject = BaseSubject::of(&subject.map(decode_header).unwrap_or_default());
        let people = || {
            let mut which = needs.people.iter();
            let all = [
                (envelope.cc, false),
                (envelope.from, false),
                (envelope.to, false),
                (envelope.from, true),
                (envelope.to, true),
            ];
            Box::new(all.map(|(list, displayed)| match which.next() {
                Some(true) => person(list, displayed).into(),
                _ => Box::default(),
            }))
        };
        Ok(Self {
            sent: sent.map_or(row.received.0, |date| date.seconds),
            subject: collated(&subject.text).into(),
            is_reply: subject.is_reply,
            links: needs.references.then(|| Box::new(Links::of(&envelope))),
            arrived: row.received.0,
            octets: row.body.octets,
            people: needs.people.contains(&true).then(people),
        })
    }

    fn compare(&self, other: &Self, criterion: Criterion) -> Ordering {
        let people = |at: usize| match (&self.people, &other.people) {
            (Some(one), Some(other)) => one.get(at).cmp(&other.get(at)),
            _ => Ordering::Equal,
        };
        match criterion {
            Criterion::Arrival => self.arrived.cmp(&other.arrived),
            Criterion::Date => self.sent.cmp(&other.sent),
            Criterion::Size => self.octets.cmp(&other.octets),
            Criterion::Subject => self.subject.cmp(&other.subject),
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
) -> Result<Vec<(Uid, Facts)>> {
    visit_all(store, mailbox, uids, needs.want(), || {
        move |row: &Row, bodies: &mut dyn Bodies| {
            Facts::of(bodies, row, needs).map(|facts| Some((row.uid, facts)))
        }
    })
    .await
}

/// Sorts messages by the criteria, each with whether it is reversed; those that are equal
/// in all stay in the order of the mailbox.
///
/// # Errors
/// Those of the store.
pub async fn sort(
    store: &dyn Store,
    mailbox: MailboxId,
    uids: &UidSet,
    criteria: &[(Criterion, bool)],
) -> Result<Vec<Uid>> {
    let all = facts(store, mailbox, uids, Needs::of(criteria)).await?;
    Ok(in_order(&all, uids, criteria))
}

/// Those of the messages, sorted.
pub(crate) fn in_order<'a>(
    all: &'a [(Uid, Facts)],
    uids: &UidSet,
    criteria: &[(Criterion, bool)],
) -> Vec<Uid> {
    let asked = all.iter().filter(|(uid, _)| uids.contains(*uid));
    // What is a number compares without looking further away.
    if let [(criterion, reverse)] = criteria
        && let Some(number) = criterion.number()
    {
        let mut numbers: Vec<(i64, Uid)> =
            asked.map(|(uid, facts)| (number(facts), *uid)).collect();
        match reverse {
            true => numbers.sort_by_key(|(number, _)| std::cmp::Reverse(*number)),
            false => numbers.sort_unstable(),
        }
        return numbers.into_iter().map(|(_, uid)| uid).collect();
    }
    if let [(Criterion::Subject, false)] = criteria {
        // Most differ in their first octets.
        let key = |(uid, facts): &'a (Uid, Facts)| {
            let mut first = [0; 8];
            let head = facts.subject.as_bytes().iter();
            first
                .iter_mut()
                .zip(head)
                .for_each(|(to, from)| *to = *from);
            (u64::from_be_bytes(first), &*facts.subject, *uid)
        };
        let mut keys: Vec<_> = asked.map(key).collect();
        keys.sort_unstable();
        return keys.into_iter().map(|(_, _, uid)| uid).collect();
    }
    let mut asked: Vec<&(Uid, Facts)> = asked.collect();
    asked.sort_by(|(_, a), (_, b)| {
        let by = |&(criterion, reverse): &(Criterion, bool)| {
            let order = a.compare(b, criterion);
            if reverse { order.reverse() } else { order }
        };
        let decided = criteria.iter().map(by).find(|order| order.is_ne());
        decided.unwrap_or(Ordering::Equal)
    });
    asked.into_iter().map(|(uid, _)| *uid).collect()
}

impl Criterion {
    fn number(self) -> Option<fn(&Facts) -> i64> {
        match self {
            Self::Arrival => Some(|facts| facts.arrived),
            Self::Date => Some(|facts| facts.sent),
            Self::Size => Some(|facts| i64::try_from(facts.octets).unwrap_or(i64::MAX)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::search::tests::{Gone, row_without_summary};

    #[test]
    fn what_cannot_be_read_sorts_as_a_message_without_fields() {
        let row = row_without_summary();
        let needs = Needs::of(&[(Criterion::Date, false), (Criterion::Subject, false)]);
        let facts = Facts::of(&mut Gone, &row, needs).unwrap();
        assert_eq!((facts.sent, &*facts.subject), (row.received.0, ""));
    }
}
