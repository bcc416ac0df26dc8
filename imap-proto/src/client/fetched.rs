//! FETCH responses, with the bodies that stream out of them.

use alloc::vec::Vec;
use bytes::Bytes;

use super::event::{Error, Event};
use super::{Connection, Fetching, Reading};
use crate::command::fetch;
use crate::plumbing::cursor::Cursor;
use crate::{FetchItem, Leniency, SequenceNumber, Uid};

impl Connection {
    /// The UID among the items, or the one that is known.
    pub(super) fn uid_of(
        &mut self,
        sequence: Option<SequenceNumber>,
        items: &[FetchItem],
    ) -> Option<Uid> {
        let named = items.iter().find_map(|item| match item {
            FetchItem::Uid(uid) => Some(*uid),
            _ => None,
        });
        named.or_else(|| self.current()?.view.uid(sequence?))
    }

    pub(super) fn fetched(
        &mut self,
        sequence: Option<SequenceNumber>,
        mut items: Vec<FetchItem>,
    ) -> Option<Event> {
        if self.stale {
            return None;
        }
        let uid = self.uid_of(sequence, &items);
        let most = self.options.limits.messages;
        if let Some(((sequence, uid), selected)) = sequence.zip(uid).zip(self.current()) {
            selected.view.learn(sequence, uid, most);
        }
        // Sections that came in quotes, or not at all, are reported as those are that stream.
        let mut sections = Vec::new();
        let streams = |item: &FetchItem| matches!(item, FetchItem::Section(..));
        if !items.iter().any(streams) {
            return Some(Event::Fetch {
                sequence,
                uid,
                items,
            });
        }
        items.retain_mut(|item| match item {
            FetchItem::Section(name, octets) => {
                sections.push((name.clone(), octets.take()));
                false
            }
            _ => true,
        });
        for (name, text) in sections {
            let octets = text.as_ref().map(|text| text.len() as u64);
            self.report(Event::Section {
                sequence,
                uid,
                name,
                octets,
            });
            let text = text.filter(|text| !text.is_empty());
            text.into_iter()
                .for_each(|text| self.report(Event::Chunk(text)));
            self.report(Event::EndOfBody);
        }
        Some(Event::Fetch {
            sequence,
            uid,
            items,
        })
    }

    /// A FETCH response up to the literal of a section.
    pub(super) fn section(&mut self, head: &Bytes, octets: u64) -> Result<(), Error> {
        let limits = &self.options.limits;
        let mut cursor = Cursor::new(head);
        cursor.set_leniencies(limits.leniencies);
        let mut begun = self.fetching.take().unwrap_or_else(|| {
            let _ = cursor.eat_prefix("* ");
            let number = cursor.number().unwrap_or(0);
            let mut begun = Fetching::default();
            if cursor.eat_prefix(" UIDFETCH (") {
                begun.items.extend(Uid::new(number).map(FetchItem::Uid));
            } else {
                let _ = cursor.eat_prefix(" FETCH (");
                begun.sequence = SequenceNumber::new(number);
            }
            begun
        });
        begun.octets += head.len();
        if begun.octets > limits.response {
            return Err(self.too_long(head));
        }
        let name = fetch::items_to_section(&mut cursor, limits.nesting, &mut begun.items).ok();
        let sequence = begun.sequence;
        let uid = self.uid_of(sequence, &begun.items);
        self.reading = Reading::Section {
            left: octets,
            reported: name.is_some() && !self.stale,
        };
        self.fetching = Some(begun);
        if let Some(name) = name.filter(|_| !self.stale) {
            let octets = Some(octets);
            self.report(Event::Section {
                sequence,
                uid,
                name,
                octets,
            });
        }
        Ok(())
    }

    /// What is left of a FETCH response behind its last section. One that is not as the RFC has it costs
    /// the items in it.
    pub(super) fn rest_of_fetch(&mut self, unit: &Bytes, mut begun: Fetching) -> Option<Event> {
        let limits = &self.options.limits;
        if unit.is_empty() && limits.leniencies.contains(Leniency::LiteralTooShort) {
            self.framer.behind_section();
            self.fetching = Some(begun);
            return None;
        }
        let mut cursor = Cursor::new(unit);
        cursor.set_leniencies(limits.leniencies);
        let _ = fetch::items(&mut cursor, limits.nesting, &mut begun.items);
        self.fetched(begun.sequence, begun.items)
    }
}
