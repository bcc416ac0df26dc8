//! FETCH responses put together: a server may send what it has of a message in several, flags in one, a
//! section in another, and its UID in one of them alone (RFC 9051 §7.5.2 forbids none of it).

use bytes::{Bytes, BytesMut};
use hikyaku_imap_proto::client::Event;
use hikyaku_imap_proto::{DateTime, FetchAttribute, FetchItem, SectionText, SequenceNumber};
use hikyaku_mailstore::{Flags, Stage, Staged, Store};
use hikyaku_message::Scanner;
use std::collections::BTreeMap;

use crate::{Error, Octets, Result};

/// How many messages may wait for their UID.
const NAMELESS: usize = 1_000;
/// Octets of header fields that are kept of a message; the rest of them is cut, until the whole is read.
const HEADER: usize = 1024 * 1024;
/// The same, while more than so many octets of header fields wait to be put on the disk.
const HEADER_IN_A_CROWD: usize = 4 * 1024;
const CROWD: usize = 32 * 1024 * 1024;

/// A section that came whole.
pub(super) enum Came {
    /// Header fields.
    Header(Bytes),
    /// A whole message, on the disk or on its way there, and its summary.
    Whole(Staged, Bytes),
}

/// What was sent of one message so far.
#[derive(Default)]
pub(super) struct Reported {
    pub(super) flags: Option<Flags>,
    /// RFC822.SIZE
    pub(super) octets: Option<u64>,
    /// INTERNALDATE
    pub(super) received: Option<(i64, i16)>,
    /// The section that was asked for, whole.
    pub(super) section: Option<Came>,
}

impl Reported {
    fn of(items: Vec<FetchItem>, section: Option<Came>) -> Self {
        let mut reported = Self {
            flags: flags_of(&items),
            section,
            ..Self::default()
        };
        for item in items {
            match item {
                FetchItem::Rfc822Size(octets) => reported.octets = Some(octets),
                FetchItem::InternalDate(DateTime { seconds, zone }) => {
                    reported.received = Some((seconds, zone));
                }
                _ => {}
            }
        }
        reported
    }

    /// Adds what came later.
    pub(super) fn add(&mut self, more: Self) {
        self.flags = more.flags.or(self.flags.take());
        self.octets = more.octets.or(self.octets);
        self.received = more.received.or(self.received);
        self.section = more.section.or(self.section.take());
    }

    /// Octets of it that are held in memory.
    fn held(&self) -> usize {
        match &self.section {
            Some(Came::Header(octets)) => octets.len(),
            _ => 0,
        }
    }
}

/// What an event came to.
pub(super) enum Part {
    /// More of the message of that UID.
    Of(u32, Reported),
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

/// A section that is coming: of a whole message nothing stays in memory.
enum Coming {
    Header(BytesMut),
    Whole(Box<dyn Stage>, Box<Scanner>),
}

/// The section under way.
struct Open {
    coming: Coming,
    /// How long it is to be, and how much of it came.
    octets: u64,
    came: u64,
}

/// Puts parts together.
pub(super) struct Parts<'a> {
    wanted: Wanted,
    store: &'a dyn Store,
    /// A message may have so many octets.
    largest: Octets,
    /// Octets of header fields that wait for the disk, here and with the caller.
    pub(super) held: usize,
    open: Option<Open>,
    /// The section of the response under way.
    section: Option<Came>,
    /// By sequence number, while the UID is not known.
    nameless: BTreeMap<SequenceNumber, Reported>,
}

impl<'a> Parts<'a> {
    pub(super) fn new(wanted: Wanted, store: &'a dyn Store, largest: Octets) -> Self {
        Self {
            wanted,
            store,
            largest,
            held: 0,
            open: None,
            section: None,
            nameless: BTreeMap::new(),
        }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// Errors of the store; [`Error::Protocol`], when a message is larger than what is taken: its octets
    /// would come next.
    pub(super) async fn take(&mut self, event: Event) -> Result<Part> {
        match event {
            Event::Section { name, octets, .. } => {
                self.open = None;
                if let Some(octets) = octets.filter(|_| self.wanted.is(&name)) {
                    self.open = Some(self.begin(octets).await?);
                }
            }
            Event::Chunk(octets) => {
                let room = self.room();
                if let Some(open) = &mut self.open {
                    open.came += octets.len() as u64;
                    match &mut open.coming {
                        Coming::Header(header) => {
                            let room = room.saturating_sub(header.len());
                            header.extend_from_slice(octets.get(..room).unwrap_or(&octets));
                        }
                        Coming::Whole(stage, scanner) => {
                            scanner.feed(&octets);
                            stage.write(octets).await?;
                        }
                    }
                }
            }
            Event::EndOfBody => {
                let open = self.open.take();
                if let Some(open) = open.filter(|open| open.came == open.octets) {
                    let section = open.finish().await?;
                    self.section = Some(section);
                }
            }
            Event::Fetch {
                sequence,
                uid,
                items,
            } => {
                let more = Reported::of(items, self.section.take());
                self.held += more.held();
                let before = sequence.and_then(|sequence| self.nameless.remove(&sequence));
                let mut reported = before.unwrap_or_default();
                reported.add(more);
                if let Some(uid) = uid {
                    return Ok(Part::Of(uid.get(), reported));
                }
                if let Some(sequence) = sequence.filter(|_| self.nameless.len() < NAMELESS) {
                    self.nameless.insert(sequence, reported);
                }
            }
            Event::Expunged { sequence, .. } => {
                // All above it are one lower.
                let above = self.nameless.split_off(&sequence);
                let above = above.into_iter().filter(|(number, _)| *number != sequence);
                let lower = |(number, reported): (SequenceNumber, _)| {
                    Some((SequenceNumber::new(number.get() - 1)?, reported))
                };
                self.nameless.extend(above.filter_map(lower));
                return Ok(Part::Other(event));
            }
            other => return Ok(Part::Other(other)),
        }
        Ok(Part::Taken)
    }

    async fn begin(&self, octets: u64) -> Result<Open> {
        let coming = match self.wanted {
            Wanted::Header => Coming::Header(BytesMut::new()),
            Wanted::Whole if octets > self.largest.0 => {
                return Err(Error::Protocol(format!(
                    "a message of {octets} octets, and {} are taken (largest_message)",
                    self.largest
                )));
            }
            Wanted::Whole => Coming::Whole(self.store.stage().await?, Box::default()),
        };
        Ok(Open {
            coming,
            octets,
            came: 0,
        })
    }

    /// How many octets of header fields are kept of the next message.
    fn room(&self) -> usize {
        match self.held > CROWD {
            true => HEADER_IN_A_CROWD,
            false => HEADER,
        }
    }
}

impl Open {
    async fn finish(self) -> Result<Came> {
        Ok(match self.coming {
            Coming::Header(mut header) => {
                if (header.len() as u64) < self.octets {
                    // Cut where a line ends.
                    let end = memchr::memrchr(b'\n', &header).map_or(0, |at| at + 1);
                    header.truncate(end);
                }
                Came::Header(header.freeze())
            }
            Coming::Whole(stage, scanner) => {
                Came::Whole(stage.finish().await?, scanner.finish().encode())
            }
        })
    }
}

/// Octets of header fields that are held with these messages.
pub(super) fn held<'a>(reported: impl IntoIterator<Item = &'a Reported>) -> usize {
    reported.into_iter().map(Reported::held).sum()
}

/// The flags among the items. `\Recent`, and what else is no flag that stays, is left out.
pub(super) fn flags_of(items: &[FetchItem]) -> Option<Flags> {
    let reported = items.iter().find_map(|item| match item {
        FetchItem::Flags(flags) => Some(flags),
        _ => None,
    })?;
    let mut flags = Flags::NONE;
    for flag in reported.iter() {
        let _ = flags.add_named(&String::from_utf8_lossy(flag.as_bytes()));
    }
    Some(flags)
}

/// Flags by the names that IMAP has for them.
pub(super) fn flags_named(names: &[String]) -> Flags {
    let mut flags = Flags::NONE;
    for name in names {
        let _ = flags.add_named(name);
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_imap_proto::Uid;

    fn fetch(sequence: u32, uid: Option<u32>, items: Vec<FetchItem>) -> Event {
        Event::Fetch {
            sequence: SequenceNumber::new(sequence),
            uid: uid.and_then(Uid::new),
            items,
        }
    }

    #[tokio::test]
    async fn a_uid_that_comes_last_names_what_came_before() {
        let store = hikyaku_mailstore::Memory::new();
        let mut parts = Parts::new(Wanted::Whole, &store, Octets(1000));
        let size = |octets| vec![FetchItem::Rfc822Size(octets)];
        for event in [fetch(3, None, size(5)), fetch(4, None, size(6))] {
            assert!(matches!(parts.take(event).await, Ok(Part::Taken)));
        }
        let gone = Event::Expunged {
            sequence: SequenceNumber::new(2).unwrap(),
            uid: None,
        };
        assert!(matches!(parts.take(gone).await, Ok(Part::Other(_))));
        let named = FetchItem::Uid(Uid::new(8).unwrap());
        let last = parts.take(fetch(3, Some(8), vec![named])).await;
        let Ok(Part::Of(8, reported)) = last else {
            panic!("no message");
        };
        assert_eq!(reported.octets, Some(6));
    }

    fn section(octets: u64, wanted: Wanted) -> Event {
        let text = match wanted {
            Wanted::Header => SectionText::Header,
            Wanted::Whole => SectionText::Whole,
        };
        let part = Vec::new();
        Event::Section {
            sequence: SequenceNumber::new(1),
            uid: Uid::new(1),
            name: FetchAttribute::peek(hikyaku_imap_proto::Section { part, text }),
            octets: Some(octets),
        }
    }

    #[tokio::test]
    async fn a_message_that_is_too_large_is_refused_before_it_comes() {
        let store = hikyaku_mailstore::Memory::new();
        let mut parts = Parts::new(Wanted::Whole, &store, Octets(1000));
        assert!(parts.take(section(1000, Wanted::Whole)).await.is_ok());
        let refused = parts.take(section(1001, Wanted::Whole)).await;
        let why = refused.map(drop).unwrap_err().to_string();
        assert!(why.contains("of 1001 octets, and 1000 are taken"), "{why}");
    }

    #[tokio::test]
    async fn header_fields_are_cut_where_a_line_ends() {
        let store = hikyaku_mailstore::Memory::new();
        let mut parts = Parts::new(Wanted::Header, &store, Octets(1000));
        let mut last = 0;
        for number in 1..200_u32 {
            let line =
                Bytes::from_static(b"To: someone@elsewhere.test, somebody@elsewhere.test\r\n");
            let lines = 50_000;
            let octets = section(line.len() as u64 * lines, Wanted::Header);
            parts.take(octets).await.unwrap();
            for _ in 0..lines {
                parts.take(Event::Chunk(line.clone())).await.unwrap();
            }
            parts.take(Event::EndOfBody).await.unwrap();
            let Ok(Part::Of(_, reported)) = parts.take(fetch(number, Some(number), vec![])).await
            else {
                panic!("no message");
            };
            let Some(Came::Header(header)) = reported.section else {
                panic!("no header");
            };
            assert!(header.ends_with(b"\r\n") && header.len() <= HEADER);
            last = header.len();
        }
        assert!(last > 4_000 && last <= HEADER_IN_A_CROWD, "{last}");
        assert!(parts.held < CROWD + 2 * HEADER, "{}", parts.held);
    }
}
