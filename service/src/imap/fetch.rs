//! FETCH: rows, summaries, and octets as they stream out of the store.

use bytes::Bytes;
use hikyaku_imap_proto::{
    Fetch, FetchAttribute, FetchItem, FlagList, Numbers, PartialRange, Response, ResponseCode,
    Section, SectionText,
};
use hikyaku_mailstore::{
    AccountId, FlagChange, Flags, ModSeq, Operation, Pieces, Row, Transaction, Uid, UidSet, Want,
    Which,
};
use hikyaku_message::{Kind, Structure, fields};
use std::ops::Range;
use tracing::warn;

use super::binary::Decoded;
use super::convert::{body_structure, email_id, envelope, imap_uid};
use super::end::{End, Ended};
use super::session::Session;
use super::text::Text as T;
use crate::body;

/// So many rows are read at a time; fewer with their summaries.
const PAGE: usize = 5000;
const PAGE_WITH_SUMMARIES: usize = 500;
/// Octets that are held for one response, however much of a message it asks for: the rest is read again when it is sent.
const HELD: u64 = 1 << 20;
/// For so many messages it is worth it to have all rows of the mailbox.
const MANY: u64 = 200;
/// A header section of more than this is not taken apart into fields.
const HEADER: u64 = 4 * 1024 * 1024;

/// What a section is.
pub(super) enum Octets {
    /// Octets of the message.
    Range(Range<u64>),
    /// Made for this: chosen header fields.
    Made(Bytes),
    /// There is no such part.
    None,
}

/// What has to be known of an item before anything is said.
enum Before {
    Decoded(Option<Decoded>),
    Preview(String),
    Section(Ready),
}

/// A section that can be sent: inside of a response there is no way to say that it cannot be read.
enum Ready {
    /// All of it.
    Held(Bytes),
    /// Octets of the message, more than are held, that were read once and found whole.
    Range(Range<u64>),
    /// Header fields, more than are held, that were chosen once: they are chosen again when they are sent.
    Chosen(Range<usize>),
    /// There is no such part.
    None,
}

impl Session<'_> {
    pub(super) async fn fetch(&mut self, fetch: Fetch, numbers: Numbers) -> Ended {
        let mut asked = self.resolve(&fetch.set, numbers)?;
        if let Some(range) = &fetch.partial {
            asked = self.some_of(&asked, range);
            self.admits_part(&asked)?;
        }
        let reached = self.reached(asked);
        let end = self
            .fetch_these(fetch, numbers, reached.uids.clone())
            .await?;
        Ok(reached.end(end, self))
    }

    async fn fetch_these(&mut self, fetch: Fetch, numbers: Numbers, mut left: UidSet) -> Ended {
        use FetchAttribute as A;
        if fetch
            .attributes
            .iter()
            .any(|a| matches!(a, A::GmailMessageId | A::GmailThreadId | A::GmailLabels))
        {
            return Err(End::bad(T::NotAnItemThat));
        }
        let mailbox = self.current()?;
        if let (true, Some(since)) = (fetch.vanished, fetch.changed_since) {
            let gone = self.gone_since(mailbox, &left, since).await?;
            if !gone.is_empty() {
                let (earlier, uids) = (true, gone);
                self.respond(&Response::Vanished { earlier, uids });
            }
        }
        let mut attributes = fetch.attributes;
        // RFC 9051 §6.4.9: UID is sent whether asked for or not.
        if numbers.is_uid() && !attributes.contains(&A::Uid) {
            attributes.insert(0, A::Uid);
        }
        if fetch.changed_since.is_some() && !attributes.contains(&A::ModSeq) {
            attributes.push(A::ModSeq);
        }
        let plain = |a: &A| {
            matches!(
                a,
                A::Flags
                    | A::Uid
                    | A::InternalDate
                    | A::Rfc822Size
                    | A::ModSeq
                    | A::SaveDate
                    | A::EmailId
                    | A::ThreadId
            )
        };
        let (want, most) = match attributes.iter().all(plain) {
            true => (Want::ROW, PAGE),
            false => (Want::SUMMARY, PAGE_WITH_SUMMARIES),
        };
        if want == Want::ROW && left.len() >= MANY {
            return self
                .fetch_plain(&left, &attributes, fetch.changed_since)
                .await;
        }
        let mut damaged = UidSet::new();
        let sets_seen =
            attributes.iter().any(A::sets_seen) && !self.is_read_only() && self.may(b's');
        loop {
            let page = self
                .service
                .store
                .messages(mailbox, &Which::Uids(left.clone()), want, most)
                .await?;
            let last = page.rows.last().map(|row| row.uid);
            let since = fetch.changed_since.map(ModSeq);
            let mut rows: Vec<Row> = page.rows;
            rows.retain(|row| since.is_none_or(|since| row.modified > since));
            let seen = match sets_seen {
                true => self.set_seen(&mut rows).await?,
                false => UidSet::new(),
            };
            for row in &rows {
                let adds_flags = seen.contains(row.uid) && !attributes.contains(&A::Flags);
                match self.fetch_one(row, &attributes, adds_flags).await {
                    // The others are answered for.
                    Err(End(_, Some(ResponseCode::Corruption), _)) => damaged.insert(row.uid),
                    fetched => fetched?,
                }
                if self.driver.flush_if_full().await.is_err() {
                    return Err(End::ok(T::TheClientIsGone));
                }
            }
            match last {
                Some(last) if page.more => left = left.above(last),
                _ if damaged.is_empty() => return Ok(End::ok(T::Fetched)),
                _ => {
                    let text = format!("Damaged on the server: UID {}", named(&damaged));
                    return Ok(End::no(ResponseCode::Corruption, &text));
                }
            }
        }
    }

    /// What rows have of many messages, out of memory.
    async fn fetch_plain(
        &mut self,
        uids: &UidSet,
        attributes: &[FetchAttribute],
        since: Option<u64>,
    ) -> Ended {
        let store = &*self.service.store;
        let rows = self
            .service
            .options
            .cache
            .rows(store, self.current()?)
            .await?
            .rows;
        let account = self.current()?.account;
        let reports_flags = attributes.contains(&FetchAttribute::Flags);
        let is_wanted =
            |row: &&Row| uids.contains(row.uid) && since.is_none_or(|since| row.modified.0 > since);
        for row in rows.iter().filter(is_wanted) {
            if reports_flags {
                self.send_keywords(&row.flags);
            }
            let flags = if reports_flags {
                self.flags_of(row)
            } else {
                FlagList::default()
            };
            let mut flags = Some(flags);
            let (machine, output) = self.driver.split();
            if !machine
                .begin_fetch(imap_uid(row.uid), output)
                .unwrap_or(false)
            {
                continue;
            }
            for attribute in attributes {
                let item = match attribute {
                    FetchAttribute::Flags => FetchItem::Flags(flags.take().unwrap_or_default()),
                    attribute => match plain_item(row, attribute, account) {
                        Some(item) => item,
                        None => continue,
                    },
                };
                let _ = machine.fetch_item(&item, output);
            }
            let _ = machine.end_fetch(output);
            if self.driver.is_full() && self.driver.flush_async().await.is_err() {
                return Err(End::ok(T::TheClientIsGone));
            }
        }
        Ok(End::ok(T::Fetched))
    }

    /// Those at these positions among them, of those that the client knows of (RFC 9394 §3.3).
    fn some_of(&self, uids: &UidSet, range: &PartialRange) -> UidSet {
        let among: Vec<Uid> = self.known().filter(|&uid| uids.contains(uid)).collect();
        let some = range.of(among.len()).and_then(|range| among.get(range));
        some.unwrap_or(&[]).iter().copied().collect()
    }

    /// Sets `\Seen` where it is not; which messages that were.
    async fn set_seen(&mut self, rows: &mut [Row]) -> Result<UidSet, End> {
        let unseen: UidSet = rows
            .iter()
            .filter(|row| !row.flags.contains(&Flags::SEEN))
            .map(|row| row.uid)
            .collect();
        if unseen.is_empty() {
            return Ok(unseen);
        }
        let operation = Operation::Flags {
            mailbox: self.current()?,
            uids: unseen.clone(),
            change: FlagChange::Add(Flags::SEEN),
            unchanged_since: None,
        };
        let account = self.current()?.account;
        let transaction = Transaction::new(account).with(operation);
        let at = self.service.store.commit(transaction).await?.at;
        for row in rows.iter_mut().filter(|row| unseen.contains(row.uid)) {
            row.flags.add(&Flags::SEEN);
            row.modified = at;
        }
        if let Some(selected) = &mut self.selected {
            selected.own.push(at);
        }
        Ok(unseen)
    }

    /// Answers for one message. What can fail is read before anything is said.
    pub(super) async fn fetch_one(
        &mut self,
        row: &Row,
        attributes: &[FetchAttribute],
        adds_flags: bool,
    ) -> Result<(), End> {
        use FetchAttribute as A;
        let mut structure = None;
        if attributes.iter().any(needs_structure) {
            structure = Some(hikyaku_mailstore::structure(&*self.service.store, row).await?);
        }
        let (mut read_before, mut room) = (Vec::new(), HELD);
        for attribute in attributes {
            let structure = structure.as_ref();
            let read = self.read_before(row, structure, attribute, &mut room).await;
            let read = read.inspect_err(|End(_, code, _)| {
                if *code == Some(ResponseCode::Corruption) {
                    warn!(uid = %row.uid, body = row.body.id.0, "a message is damaged");
                }
            });
            read_before.extend(read?);
        }
        let mut read_before = read_before.into_iter();
        if attributes.contains(&A::Flags) {
            self.send_keywords(&row.flags);
        }
        {
            let (machine, output) = self.driver.split();
            if !machine
                .begin_fetch(imap_uid(row.uid), output)
                .unwrap_or(false)
            {
                return Ok(());
            }
        }
        let account = self.current()?.account;
        for attribute in attributes {
            if let Some(item) = plain_item(row, attribute, account) {
                let (machine, output) = self.driver.split();
                let _ = machine.fetch_item(&item, output);
            } else {
                let structure = structure.as_ref();
                self.send_item(row, structure, attribute, &mut read_before)
                    .await?;
            }
        }
        let condstore = self.driver.machine.condstore();
        let flags = self.flags_of(row);
        let (machine, output) = self.driver.split();
        if adds_flags {
            let _ = machine.fetch_item(&FetchItem::Flags(flags), output);
            if condstore && !attributes.contains(&A::ModSeq) {
                let _ = machine.fetch_item(&FetchItem::ModSeq(row.modified.0), output);
            }
        }
        let _ = machine.end_fetch(output);
        Ok(())
    }

    /// Sends what the row alone does not say. `read_before` has what was read for it, and for those behind it.
    async fn send_item(
        &mut self,
        row: &Row,
        structure: Option<&Structure>,
        attribute: &FetchAttribute,
        read_before: &mut impl Iterator<Item = Before>,
    ) -> Result<(), End> {
        use FetchAttribute as A;
        let item = match attribute {
            A::Flags => FetchItem::Flags(self.flags_of(row)),
            A::Envelope => {
                let known = structure.and_then(|one| one.root().envelope.as_deref());
                FetchItem::Envelope(known.map(envelope).unwrap_or_default())
            }
            A::BodyStructure | A::Body => {
                let Some(structure) = structure else {
                    return Ok(());
                };
                let body = body_structure(structure, 0);
                match attribute {
                    A::Body => FetchItem::Body(body),
                    _ => FetchItem::BodyStructure(body),
                }
            }
            A::Binary { .. } | A::BinarySize(_) | A::Preview { .. } => {
                match (read_before.next(), attribute) {
                    (Some(Before::Preview(text)), _) => FetchItem::Preview(Some(text.into())),
                    (Some(Before::Decoded(decoded)), A::BinarySize(part)) => {
                        let octets = decoded.map_or(0, |decoded| decoded.octets);
                        FetchItem::BinarySize(part.clone(), octets)
                    }
                    (Some(Before::Decoded(decoded)), A::Binary { partial, .. }) => {
                        let decoded = decoded.as_ref();
                        self.send_decoded(row, attribute, *partial, decoded).await?;
                        return self.flush_inside().await;
                    }
                    _ => return Ok(()),
                }
            }
            section => {
                if let Some(Before::Section(ready)) = read_before.next() {
                    self.send_section(row, structure, section, ready).await?;
                }
                return self.flush_inside().await;
            }
        };
        let (machine, output) = self.driver.split();
        let _ = machine.fetch_item(&item, output);
        Ok(())
    }

    /// Reads what can fail. `room` is for how many octets more there may be held.
    async fn read_before(
        &mut self,
        row: &Row,
        structure: Option<&Structure>,
        attribute: &FetchAttribute,
        room: &mut u64,
    ) -> Result<Option<Before>, End> {
        use FetchAttribute as A;
        Ok(match (attribute, structure) {
            (A::Binary { part, .. } | A::BinarySize(part), Some(structure)) => {
                let decoded = self.decoded(row, structure, part, room).await?;
                Some(Before::Decoded(decoded))
            }
            (A::Preview { .. }, Some(structure)) => {
                Some(Before::Preview(self.preview(row, structure).await?))
            }
            _ => match attribute.section() {
                Some((section, partial)) => {
                    let octets = self.octets(row, structure, &section).await?;
                    let ready = self.ready(row, octets, partial, room).await?;
                    Some(Before::Section(ready))
                }
                None => None,
            },
        })
    }

    /// Makes sure that what is asked for of a section can be sent.
    async fn ready(
        &self,
        row: &Row,
        octets: Octets,
        partial: Option<(u32, u32)>,
        room: &mut u64,
    ) -> hikyaku_mailstore::Result<Ready> {
        let cut = |length: u64| {
            let Some((origin, most)) = partial else {
                return 0..length;
            };
            let start = u64::from(origin).min(length);
            start..start.saturating_add(u64::from(most)).min(length)
        };
        let ready = match octets {
            Octets::None => Ready::None,
            Octets::Made(made) => {
                let range = cut(made.len() as u64);
                let at = |offset: u64| {
                    usize::try_from(offset)
                        .unwrap_or(usize::MAX)
                        .min(made.len())
                };
                let range = at(range.start)..at(range.end);
                match range.len() as u64 <= *room {
                    // A copy: the rest of the fields is not kept for it.
                    true => Ready::Held(Bytes::copy_from_slice(&made[range])),
                    false => Ready::Chosen(range),
                }
            }
            Octets::Range(range) => {
                let part = cut(range.end - range.start);
                let range = range.start + part.start..range.start + part.end;
                let held = body::HELD.min(*room);
                match body::checked(&*self.service.store, &row.body, range.clone(), held).await? {
                    Some(held) => Ready::Held(held),
                    None => Ready::Range(range),
                }
            }
        };
        if let Ready::Held(held) = &ready {
            *room -= held.len() as u64;
        }
        Ok(ready)
    }

    async fn send_section(
        &mut self,
        row: &Row,
        structure: Option<&Structure>,
        attribute: &FetchAttribute,
        ready: Ready,
    ) -> Result<(), End> {
        let held = match ready {
            Ready::None => {
                let (machine, output) = self.driver.split();
                let _ = machine.begin_section(attribute, None, output);
                return Ok(());
            }
            Ready::Range(range) => return self.stream(row, attribute, range).await,
            Ready::Held(held) => held,
            Ready::Chosen(range) => match self.chosen_again(row, structure, attribute, range).await
            {
                Ok(chosen) => chosen,
                Err(error) => return Err(self.cut_off(&error)),
            },
        };
        let (machine, output) = self.driver.split();
        let _ = machine.begin_section(attribute, Some(held.len() as u64), output);
        let _ = machine.section_chunk(held, output);
        Ok(())
    }

    /// The header fields that [`ready`](Self::ready) did not hold.
    async fn chosen_again(
        &mut self,
        row: &Row,
        structure: Option<&Structure>,
        attribute: &FetchAttribute,
        range: Range<usize>,
    ) -> hikyaku_mailstore::Result<Bytes> {
        const CHANGED: hikyaku_mailstore::Error = hikyaku_mailstore::Error::Damaged(
            "a body that is not as it was",
            hikyaku_mailstore::About::Nothing,
        );
        let (section, _) = attribute.section().ok_or(CHANGED)?;
        match self.octets(row, structure, &section).await? {
            Octets::Made(made) if range.end <= made.len() => Ok(made.slice(range)),
            _ => Err(CHANGED),
        }
    }

    /// Sends what waits inside of a response, where that is much.
    pub(super) async fn flush_inside(&mut self) -> Result<(), End> {
        match self.driver.flush_if_full().await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.cut_off(&hikyaku_mailstore::Error::Closed)),
        }
    }

    async fn stream(
        &mut self,
        row: &Row,
        attribute: &FetchAttribute,
        range: Range<u64>,
    ) -> Result<(), End> {
        let (machine, output) = self.driver.split();
        let _ = machine.begin_section(attribute, Some(range.end - range.start), output);
        let mut pieces = Pieces::of(&*self.service.store, &row.body, range);
        loop {
            let piece = match pieces.next().await {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(()),
                Err(error) => return Err(self.cut_off(&error)),
            };
            let (machine, output) = self.driver.split();
            let _ = machine.section_chunk(piece, output);
            self.flush_inside().await?;
        }
    }

    /// Inside of a response nothing can be said any more: only closing is left.
    pub(super) fn cut_off(&mut self, error: &hikyaku_mailstore::Error) -> End {
        warn!(%error, "a FETCH ended inside a message: the connection is closed");
        self.bye(T::TryAgainLater);
        End::no(ResponseCode::Unavailable, T::CutOff)
    }

    pub(super) async fn octets(
        &mut self,
        row: &Row,
        structure: Option<&Structure>,
        section: &Section,
    ) -> hikyaku_mailstore::Result<Octets> {
        let whole = section.part.is_empty() && section.text == SectionText::Whole;
        if whole {
            return Ok(Octets::Range(0..row.body.octets));
        }
        let Some(structure) = structure else {
            return Ok(Octets::None);
        };
        let Some(index) = structure.find(&section.part) else {
            return Ok(Octets::None);
        };
        let Some(part) = structure.get(index) else {
            return Ok(Octets::None);
        };
        // HEADER and TEXT of a part mean the message that is in it.
        let message = match section.part.is_empty() {
            true => Some(part),
            false => structure
                .get(index + 1)
                .filter(|_| part.kind == Kind::Message),
        };
        Ok(match (&section.text, message) {
            (SectionText::Whole, _) => Octets::Range(part.body.clone()),
            (SectionText::Mime, _) => Octets::Range(part.header.clone()),
            (SectionText::Header, Some(message)) => Octets::Range(message.header.clone()),
            (SectionText::Text, Some(message)) => Octets::Range(message.body.clone()),
            (SectionText::HeaderFields { not, names }, Some(message)) => {
                let range =
                    message.header.start..message.header.end.min(message.header.start + HEADER);
                let header = Pieces::of(&*self.service.store, &row.body, range);
                let header = header.gather().await?;
                Octets::Made(chosen(&header, *not, names))
            }
            _ => Octets::None,
        })
    }
}

/// The first of many UIDs, for a text.
fn named(uids: &UidSet) -> String {
    let first = uids.iter().take(10).map(|uid| uid.to_string());
    let more = if uids.len() > 10 { ", .." } else { "" };
    first.collect::<Vec<_>>().join(", ") + more
}

fn needs_structure(attribute: &FetchAttribute) -> bool {
    use FetchAttribute as A;
    let is_made_of_it = matches!(
        attribute,
        A::Envelope
            | A::Body
            | A::BodyStructure
            | A::Binary { .. }
            | A::BinarySize(_)
            | A::Preview { .. }
    );
    is_made_of_it || needs_offsets(attribute)
}

/// What the row alone says; FLAGS depend on the session, too.
fn plain_item(row: &Row, attribute: &FetchAttribute, account: AccountId) -> Option<FetchItem> {
    use FetchAttribute as A;
    Some(match attribute {
        A::Uid => FetchItem::Uid(imap_uid(row.uid)),
        A::InternalDate => FetchItem::InternalDate(hikyaku_imap_proto::DateTime {
            seconds: row.received.0,
            zone: row.received.1,
        }),
        A::Rfc822Size => FetchItem::Rfc822Size(row.body.octets),
        A::ModSeq => FetchItem::ModSeq(row.modified.0),
        A::SaveDate => FetchItem::SaveDate(
            row.saved
                .map(|seconds| hikyaku_imap_proto::DateTime { seconds, zone: 0 }),
        ),
        A::EmailId => FetchItem::EmailId(email_id(account, row.email)),
        // RFC 8474 §5.2: threads are not kept.
        A::ThreadId => FetchItem::ThreadId(None),
        _ => return None,
    })
}

/// Whether it is a section for which one has to know where parts begin.
fn needs_offsets(attribute: &FetchAttribute) -> bool {
    attribute
        .section()
        .is_some_and(|(section, _)| !section.part.is_empty() || section.text != SectionText::Whole)
}

/// The fields of those names, or the others, and the empty line (RFC 9051 §6.4.5.1).
fn chosen(header: &[u8], not: bool, names: &[Bytes]) -> Bytes {
    let mut made = Vec::new();
    for (name, _, whole) in fields(header) {
        let named = names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
        if named != not {
            made.extend_from_slice(whole);
        }
    }
    made.extend_from_slice(b"\r\n");
    made.into()
}
