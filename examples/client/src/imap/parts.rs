//! FETCH responses put together: a server may send what it has of a message in several, flags in one, a
//! section in another, and its UID in one of them alone (RFC 9051 §7.5.2 forbids none of it).

use bytes::{Bytes, BytesMut};
use imap_proto::client::Event;
use imap_proto::{DateTime, FetchAttribute, FetchItem, Flag, SectionText};
use mailstore::Flags;
use std::collections::BTreeMap;

/// How many messages may wait for their UID.
const NAMELESS: usize = 1_000;

/// What was sent of one message so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) flags: Option<Flags>,
    /// RFC822.SIZE
    pub(super) octets: Option<u64>,
    /// INTERNALDATE
    pub(super) received: Option<(i64, i16)>,
    /// The section that was asked for, whole.
    pub(super) section: Option<Bytes>,
}

impl Told {
    fn of(items: Vec<FetchItem>, section: Option<Bytes>) -> Self {
        let mut told = Self {
            flags: flags_of(&items),
            section,
            ..Self::default()
        };
        for item in items {
            match item {
                FetchItem::Rfc822Size(octets) => told.octets = Some(octets),
                FetchItem::InternalDate(DateTime { seconds, zone }) => {
                    told.received = Some((seconds, zone));
                }
                _ => {}
            }
        }
        told
    }

    /// Adds what came later.
    pub(super) fn add(&mut self, more: Self) {
        self.flags = more.flags.or(self.flags.take());
        self.octets = more.octets.or(self.octets);
        self.received = more.received.or(self.received);
        self.section = more.section.or(self.section.take());
    }
}

/// What an event came to.
pub(super) enum Part {
    /// More of the message of that UID.
    Of(u32, Told),
    /// Nothing yet.
    Taken,
    /// It was no part of a message.
    Other(Event),
}

/// Which section is collected: header fields, or the whole message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Header,
    Whole,
}

impl Wanted {
    /// Whether a section is it, whatever of its names the server uses.
    fn is(self, name: &FetchAttribute) -> bool {
        let Some((section, partial)) = name.section() else {
            return false;
        };
        let from_the_start = partial.is_none_or(|(origin, _)| origin == 0);
        from_the_start
            && section.part.is_empty()
            && match section.text {
                SectionText::Whole => self == Self::Whole,
                SectionText::Header | SectionText::HeaderFields { .. } => self == Self::Header,
                _ => false,
            }
    }
}

/// Puts parts together.
pub(super) struct Parts {
    wanted: Wanted,
    /// The section under way, and how long it is to be.
    open: Option<(BytesMut, u64)>,
    /// The section of the response under way.
    section: Option<Bytes>,
    /// By sequence number, while the UID is not known.
    nameless: BTreeMap<u32, Told>,
}

impl Parts {
    pub(super) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            open: None,
            section: None,
            nameless: BTreeMap::new(),
        }
    }

    pub(super) fn take(&mut self, event: Event) -> Part {
        match event {
            Event::Section { name, octets, .. } => {
                let octets = octets.filter(|_| self.wanted.is(&name));
                self.open = octets.map(|octets| (BytesMut::new(), octets));
            }
            Event::Chunk(octets) => {
                if let Some((section, _)) = &mut self.open {
                    section.extend_from_slice(&octets);
                }
            }
            Event::SectionEnd => {
                let open = self.open.take();
                let whole = open.filter(|(section, octets)| section.len() as u64 == *octets);
                self.section = whole
                    .map(|(section, _)| section.freeze())
                    .or(self.section.take());
            }
            Event::Fetch {
                sequence,
                uid,
                items,
            } => {
                let more = Told::of(items, self.section.take());
                let mut told = self.nameless.remove(&sequence).unwrap_or_default();
                told.add(more);
                if let Some(uid) = uid {
                    return Part::Of(uid, told);
                }
                if sequence > 0 && self.nameless.len() < NAMELESS {
                    self.nameless.insert(sequence, told);
                }
            }
            Event::Expunged { sequence, .. } => {
                // All above it are one lower.
                let above = self.nameless.split_off(&sequence);
                let above = above.into_iter().filter(|(number, _)| *number != sequence);
                self.nameless
                    .extend(above.map(|(number, told)| (number - 1, told)));
                return Part::Other(event);
            }
            other => return Part::Other(other),
        }
        Part::Taken
    }
}

/// The flags among the items. `\Recent`, and what else is no flag that stays, is left out.
pub(super) fn flags_of(items: &[FetchItem]) -> Option<Flags> {
    let told = items.iter().find_map(|item| match item {
        FetchItem::Flags(flags) => Some(flags),
        _ => None,
    })?;
    let mut flags = Flags::NONE;
    told.iter().for_each(|flag| add(&mut flags, &flag));
    Some(flags)
}

/// Flags by the names that IMAP has for them.
pub(super) fn flags_named(names: &[String]) -> Flags {
    let mut flags = Flags::NONE;
    for name in names {
        add(&mut flags, &super::replay::flag(name));
    }
    flags
}

fn add(flags: &mut Flags, flag: &Flag) {
    match flag {
        Flag::Seen => flags.add(&Flags::SEEN),
        Flag::Answered => flags.add(&Flags::ANSWERED),
        Flag::Flagged => flags.add(&Flags::FLAGGED),
        Flag::Deleted => flags.add(&Flags::DELETED),
        Flag::Draft => flags.add(&Flags::DRAFT),
        Flag::Keyword(name) => {
            let _ = flags.add_keyword(&String::from_utf8_lossy(name));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetch(sequence: u32, uid: Option<u32>, items: Vec<FetchItem>) -> Event {
        Event::Fetch {
            sequence,
            uid,
            items,
        }
    }

    #[test]
    fn a_uid_that_comes_last_names_what_came_before() {
        let mut parts = Parts::new(Wanted::Whole);
        let size = |octets| vec![FetchItem::Rfc822Size(octets)];
        assert!(matches!(parts.take(fetch(3, None, size(5))), Part::Taken));
        assert!(matches!(parts.take(fetch(4, None, size(6))), Part::Taken));
        let gone = Event::Expunged {
            sequence: 2,
            uid: None,
        };
        assert!(matches!(parts.take(gone), Part::Other(_)));
        let Part::Of(8, told) = parts.take(fetch(3, Some(8), vec![FetchItem::Uid(8)])) else {
            panic!("no message");
        };
        assert_eq!(told.octets, Some(6));
    }
}
