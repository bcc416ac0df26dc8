//! FETCH: what is asked for, and what is sent (RFC 9051 §6.4.5, §7.5.2; modifiers RFC 7162 and 9394; BINARY
//! RFC 3516, OBJECTID RFC 8474, PREVIEW RFC 8970, SAVEDATE RFC 8514).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::{is_atom_char, nz_number, write_list, write_nstring, write_nstring8};
use crate::plumbing::word::{write_atom, write_value, write_word};
use crate::value::body_structure::body_structure;
use crate::value::date::date_time;
use crate::value::envelope::envelope;
use crate::value::flag_list::fetched_flags;
use crate::value::gmail::{labels, write_labels};
use crate::value::numbers::uid;
use crate::value::object_id::object_id;
use crate::value::partial::partial_range;
use crate::value::section::{binary_section, section, write_part};
use crate::value::sequence_set::sequence_set;
use crate::{
    BodyStructure, DateTime, Envelope, FlagList, Leniency, PartialRange, Section, SectionText,
    SequenceSet, Uid,
};

/// The FETCH command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetch {
    /// The messages.
    pub set: SequenceSet,
    /// What of them; macros are taken apart.
    pub attributes: Vec<FetchAttribute>,
    /// CHANGEDSINCE: only what changed after this mod-sequence.
    pub changed_since: Option<u64>,
    /// VANISHED: send what is gone, too (QRESYNC).
    pub vanished: bool,
    /// PARTIAL: only some of them, by position.
    pub partial: Option<PartialRange>,
}

/// What FETCH asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchAttribute {
    /// `ENVELOPE`
    Envelope,
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822.SIZE`
    Rfc822Size,
    /// `RFC822`, which is `BODY[]` under its old name.
    Rfc822,
    /// `RFC822.HEADER`, which is `BODY.PEEK[HEADER]`.
    Rfc822Header,
    /// `RFC822.TEXT`, which is `BODY[TEXT]`.
    Rfc822Text,
    /// `BODY`: the structure without extension data.
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `UID`
    Uid,
    /// `MODSEQ` (RFC 7162)
    ModSeq,
    /// `BODY[section]<origin.octets>`
    BodySection {
        /// `.PEEK`: without setting `\Seen`.
        peek: bool,
        /// The part of the message.
        section: Section,
        /// First octet, and how many at most.
        partial: Option<(u32, u32)>,
    },
    /// `BINARY[part]<origin.octets>`: without its transfer encoding.
    Binary {
        /// `.PEEK`: without setting `\Seen`.
        peek: bool,
        /// Part numbers; none for the message itself.
        part: Vec<u32>,
        /// First octet, and how many at most.
        partial: Option<(u32, u32)>,
    },
    /// `BINARY.SIZE[part]`
    BinarySize(Vec<u32>),
    /// `PREVIEW`
    Preview {
        /// `LAZY`: only if it is there already.
        lazy: bool,
    },
    /// `SAVEDATE`
    SaveDate,
    /// `EMAILID`
    EmailId,
    /// `THREADID`
    ThreadId,
    /// `X-GM-MSGID`
    GmailMessageId,
    /// `X-GM-THRID`
    GmailThreadId,
    /// `X-GM-LABELS`
    GmailLabels,
}

impl Fetch {
    /// Those attributes of those messages.
    #[must_use]
    pub fn new(set: SequenceSet, attributes: impl IntoIterator<Item = FetchAttribute>) -> Self {
        Self {
            set,
            attributes: attributes.into_iter().collect(),
            changed_since: None,
            vanished: false,
            partial: None,
        }
    }

    /// Appends what follows `FETCH `.
    pub(crate) fn encode(&self, output: &mut Output) {
        self.set.encode(output);
        output.write(b" ");
        match self.attributes.as_slice() {
            [one] => one.encode(output),
            all => write_list(all, output, FetchAttribute::encode),
        }
        let mut before: &[u8] = b" (";
        if let Some(modseq) = self.changed_since {
            output.write(before);
            output.write(b"CHANGEDSINCE ");
            output.write_number(modseq);
            output.write(if self.vanished { b" VANISHED" } else { b"" });
            before = b" ";
        }
        if let Some(range) = &self.partial {
            output.write(before);
            output.write(b"PARTIAL ");
            range.encode(output);
            before = b" ";
        }
        output.write(if before == b" " { b")" } else { b"" });
    }
}

impl FetchAttribute {
    /// All of a message, without setting `\Seen`.
    #[must_use]
    pub fn peek(section: Section) -> Self {
        Self::BodySection {
            peek: true,
            section,
            partial: None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Envelope => "ENVELOPE",
            Self::Flags => "FLAGS",
            Self::InternalDate => "INTERNALDATE",
            Self::Rfc822Size => "RFC822.SIZE",
            Self::Rfc822 => "RFC822",
            Self::Rfc822Header => "RFC822.HEADER",
            Self::Rfc822Text => "RFC822.TEXT",
            Self::Body | Self::BodySection { peek: false, .. } => "BODY",
            Self::BodySection { peek: true, .. } => "BODY.PEEK",
            Self::BodyStructure => "BODYSTRUCTURE",
            Self::Uid => "UID",
            Self::ModSeq => "MODSEQ",
            Self::Binary { peek: false, .. } => "BINARY",
            Self::Binary { peek: true, .. } => "BINARY.PEEK",
            Self::BinarySize(_) => "BINARY.SIZE",
            Self::Preview { .. } => "PREVIEW",
            Self::SaveDate => "SAVEDATE",
            Self::EmailId => "EMAILID",
            Self::ThreadId => "THREADID",
            Self::GmailMessageId => "X-GM-MSGID",
            Self::GmailThreadId => "X-GM-THRID",
            Self::GmailLabels => "X-GM-LABELS",
        }
    }

    pub(crate) fn encode(&self, output: &mut Output) {
        output.write(self.name().as_bytes());
        match self {
            Self::BodySection { section, .. } => section.encode(output),
            Self::Binary { part, .. } | Self::BinarySize(part) => write_part(part, output),
            Self::Preview { lazy: true } => output.write(b" (LAZY)"),
            _ => {}
        }
        if let Self::BodySection { partial, .. } | Self::Binary { partial, .. } = self
            && let Some((origin, octets)) = partial
        {
            output.write(b"<");
            output.write_number(u64::from(*origin));
            output.write(b".");
            output.write_number(u64::from(*octets));
            output.write(b">");
        }
    }

    /// Whether fetching it sets `\Seen`.
    #[must_use]
    pub fn sets_seen(&self) -> bool {
        matches!(
            self,
            Self::Rfc822
                | Self::Rfc822Text
                | Self::BodySection { peek: false, .. }
                | Self::Binary { peek: false, .. }
        )
    }

    /// The section it means, when it is one.
    #[must_use]
    pub fn section(&self) -> Option<(Section, Option<(u32, u32)>)> {
        let text = match self {
            Self::Rfc822 => SectionText::Whole,
            Self::Rfc822Header => SectionText::Header,
            Self::Rfc822Text => SectionText::Text,
            Self::BodySection {
                section, partial, ..
            } => return Some((section.clone(), *partial)),
            _ => return None,
        };
        let part = Vec::new();
        Some((Section { part, text }, None))
    }

    /// The name a section is sent under: as it was asked for.
    pub(crate) fn encode_name(&self, output: &mut Output) {
        let partial = match self {
            Self::BodySection {
                section, partial, ..
            } => {
                output.write(b"BODY");
                section.encode(output);
                partial
            }
            Self::Binary { part, partial, .. } => {
                output.write(b"BINARY");
                write_part(part, output);
                partial
            }
            other => return output.write(other.name().as_bytes()),
        };
        if let Some((origin, _)) = partial {
            output.write(b"<");
            output.write_number(u64::from(*origin));
            output.write(b">");
        }
    }
}

/// What FETCH sends. The server machine streams sections.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchItem {
    /// `FLAGS`
    Flags(FlagList),
    /// `UID`
    Uid(Uid),
    /// `INTERNALDATE`
    InternalDate(DateTime),
    /// `RFC822.SIZE`
    Rfc822Size(u64),
    /// `ENVELOPE`
    Envelope(Envelope),
    /// `BODYSTRUCTURE`
    BodyStructure(BodyStructure),
    /// `BODY`
    Body(BodyStructure),
    /// `MODSEQ`
    ModSeq(u64),
    /// A section, as it was asked for; of a partial one the response names the first octet alone, so
    /// that the other number is 0.
    Section(FetchAttribute, Option<Bytes>),
    /// `BINARY.SIZE`: of which part, and how many octets.
    BinarySize(Vec<u32>, u64),
    /// `PREVIEW`: the first words; `None` when they are not there yet.
    Preview(Option<Bytes>),
    /// `SAVEDATE`: when it was put into the mailbox.
    SaveDate(Option<DateTime>),
    /// `EMAILID`
    EmailId(Bytes),
    /// `THREADID`
    ThreadId(Option<Bytes>),
    /// `X-GM-MSGID`
    GmailMessageId(u64),
    /// `X-GM-THRID`
    GmailThreadId(u64),
    /// `X-GM-LABELS`
    GmailLabels(Vec<Bytes>),
    /// Another one, or one that is not as the RFC has it: its name and its value as they were sent.
    Other(Bytes, Bytes),
}

impl FetchItem {
    /// Appends its name and its value.
    pub fn encode(&self, output: &mut Output) {
        match self {
            Self::Flags(flags) => {
                output.write(b"FLAGS ");
                flags.encode(output);
            }
            Self::Uid(uid) => {
                output.write(b"UID ");
                output.write_number(u64::from(uid.get()));
            }
            Self::InternalDate(moment) => {
                output.write(b"INTERNALDATE ");
                moment.encode(output);
            }
            Self::Rfc822Size(octets) => {
                output.write(b"RFC822.SIZE ");
                output.write_number(*octets);
            }
            Self::Envelope(envelope) => {
                output.write(b"ENVELOPE ");
                envelope.encode(output);
            }
            Self::BodyStructure(body) => {
                output.write(b"BODYSTRUCTURE ");
                body.encode(true, output);
            }
            Self::Body(body) => {
                output.write(b"BODY ");
                body.encode(false, output);
            }
            Self::ModSeq(modseq) => {
                output.write(b"MODSEQ (");
                output.write_number(*modseq);
                output.write(b")");
            }
            Self::Section(name, octets) => {
                name.encode_name(output);
                output.write(b" ");
                match name {
                    FetchAttribute::Binary { .. } => write_nstring8(octets.as_deref(), output),
                    _ => write_nstring(octets.as_deref(), output),
                }
            }
            Self::BinarySize(part, octets) => {
                output.write(b"BINARY.SIZE");
                write_part(part, output);
                output.write(b" ");
                output.write_number(*octets);
            }
            Self::Preview(text) => {
                output.write(b"PREVIEW ");
                write_nstring(text.as_deref(), output);
            }
            Self::SaveDate(None) => output.write(b"SAVEDATE NIL"),
            Self::SaveDate(Some(moment)) => {
                output.write(b"SAVEDATE ");
                moment.encode(output);
            }
            Self::EmailId(id) | Self::ThreadId(Some(id)) => {
                output.write(match self {
                    Self::EmailId(_) => b"EMAILID (",
                    _ => b"THREADID (",
                });
                write_word(id, output);
                output.write(b")");
            }
            Self::ThreadId(None) => output.write(b"THREADID NIL"),
            Self::GmailMessageId(id) => {
                output.write(b"X-GM-MSGID ");
                output.write_number(*id);
            }
            Self::GmailThreadId(id) => {
                output.write(b"X-GM-THRID ");
                output.write_number(*id);
            }
            Self::GmailLabels(labels) => {
                output.write(b"X-GM-LABELS ");
                write_labels(labels, output);
            }
            Self::Other(name, value) => {
                write_atom(name, output);
                output.write(b" ");
                write_value(value, output);
            }
        }
    }
}

/// Items, up to the parenthesis that closes them.
pub(crate) fn items(
    cursor: &mut Cursor<'_>,
    nesting: usize,
    items: &mut Vec<FetchItem>,
) -> Result<()> {
    loop {
        let blank = cursor.eat(b' ');
        if blank && cursor.lets(Leniency::Blanks) {
            while cursor.eat(b' ') {}
        }
        if cursor.peek() == Some(b')') && (!blank || cursor.lets(Leniency::Blanks)) {
            cursor.eat(b')');
            return Ok(());
        }
        if cursor.peek() == Some(b'(') && cursor.lets(Leniency::ItemInParentheses) {
            cursor.eat(b'(');
            item(cursor, nesting, items)?;
            cursor.expect(b')', "\")\"")?;
            continue;
        }
        item(cursor, nesting, items)?;
    }
}

/// Items, up to the name of a section at the end of the text, whose literal is to follow.
pub(crate) fn items_to_section(
    cursor: &mut Cursor<'_>,
    nesting: usize,
    items: &mut Vec<FetchItem>,
) -> Result<FetchAttribute> {
    loop {
        while cursor.eat(b' ') {}
        let start = cursor.clone();
        if let Some(name) = section_name(cursor)? {
            cursor.sp()?;
            if cursor.is_at_end() {
                return Ok(name);
            }
            *cursor = start;
        }
        item(cursor, nesting, items)?;
    }
}

/// One item. A value that is not as the RFC has it costs that item, and no other.
fn item(cursor: &mut Cursor<'_>, nesting: usize, items: &mut Vec<FetchItem>) -> Result<()> {
    // No other item's name begins so.
    if matches!(cursor.peek(), Some(b'B' | b'b' | b'R' | b'r')) {
        if let Some(name) = section_name(cursor)? {
            let blank = cursor.eat(b' ');
            let nothing = matches!(cursor.peek(), None | Some(b')'));
            let value = match nothing && cursor.lets(Leniency::SectionWithoutValue) {
                true => None,
                false if blank => cursor.any_nstring()?,
                false => return cursor.fail("one blank"),
            };
            items.push(FetchItem::Section(name, value));
            return Ok(());
        }
        if cursor.eat_prefix("BINARY.SIZE[") {
            let part = binary_section(cursor)?;
            cursor.sp()?;
            items.push(FetchItem::BinarySize(part, cursor.number64()?));
            return Ok(());
        }
    }
    let name = cursor.word(is_atom_char, "an atom")?;
    cursor.sp()?;
    let (value, before) = (cursor.clone(), items.len());
    if matches!(known_item(name, cursor, nesting, items), Ok(true))
        && matches!(cursor.peek(), None | Some(b' ' | b')'))
    {
        return Ok(());
    }
    *cursor = value;
    items.truncate(before);
    let name = cursor.unit().slice_ref(name);
    items.push(FetchItem::Other(name, cursor.value()?));
    Ok(())
}

/// Whether it is one that is known; it is among the items then.
fn known_item(
    name: &[u8],
    cursor: &mut Cursor<'_>,
    nesting: usize,
    items: &mut Vec<FetchItem>,
) -> Result<bool> {
    let mut upper = [0_u8; 13];
    let Some(upper) = upper.get_mut(..name.len()) else {
        return Ok(false);
    };
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    items.push(match &*upper {
        b"FLAGS" => FetchItem::Flags(fetched_flags(cursor)?),
        b"UID" => FetchItem::Uid(uid(cursor)?),
        b"INTERNALDATE" => FetchItem::InternalDate(date_time(cursor)?),
        b"RFC822.SIZE" => FetchItem::Rfc822Size(cursor.number64()?),
        b"ENVELOPE" => FetchItem::Envelope(envelope(cursor)?),
        b"BODYSTRUCTURE" => FetchItem::BodyStructure(body_structure(cursor, nesting)?),
        b"BODY" => FetchItem::Body(body_structure(cursor, nesting)?),
        b"MODSEQ" => {
            cursor.expect(b'(', "\"(\"")?;
            let modseq = cursor.number64()?;
            cursor.expect(b')', "\")\"")?;
            FetchItem::ModSeq(modseq)
        }
        b"PREVIEW" => FetchItem::Preview(cursor.any_nstring()?),
        b"SAVEDATE" if cursor.eat_word("NIL") => FetchItem::SaveDate(None),
        b"SAVEDATE" => FetchItem::SaveDate(Some(date_time(cursor)?)),
        b"EMAILID" => FetchItem::EmailId(in_parentheses(cursor)?),
        b"THREADID" if cursor.eat_word("NIL") => FetchItem::ThreadId(None),
        b"THREADID" => FetchItem::ThreadId(Some(in_parentheses(cursor)?)),
        b"X-GM-MSGID" => FetchItem::GmailMessageId(cursor.number64()?),
        b"X-GM-THRID" => FetchItem::GmailThreadId(cursor.number64()?),
        b"X-GM-LABELS" => FetchItem::GmailLabels(labels(cursor)?),
        _ => return Ok(false),
    });
    Ok(true)
}

/// `(objectid)`
fn in_parentheses(cursor: &mut Cursor<'_>) -> Result<Bytes> {
    cursor.expect(b'(', "\"(\"")?;
    let id = object_id(cursor)?;
    cursor.expect(b')', "\")\"")?;
    Ok(id)
}

/// The name of a section, as a server sends it.
pub(crate) fn section_name(cursor: &mut Cursor<'_>) -> Result<Option<FetchAttribute>> {
    use FetchAttribute as A;
    if !matches!(cursor.peek(), Some(b'B' | b'b' | b'R' | b'r')) {
        return Ok(None);
    }
    for attribute in [A::Rfc822Header, A::Rfc822Text, A::Rfc822] {
        if cursor.eat_word(attribute.name()) {
            return Ok(Some(attribute));
        }
    }
    let peek = false;
    if cursor.eat_prefix("BINARY[") {
        let part = binary_section(cursor)?;
        let partial = origin(cursor)?;
        return Ok(Some(A::Binary {
            peek,
            part,
            partial,
        }));
    }
    if !cursor.eat_prefix("BODY[") {
        return Ok(None);
    }
    let section = section(cursor)?;
    let partial = origin(cursor)?;
    Ok(Some(A::BodySection {
        peek,
        section,
        partial,
    }))
}

/// `<origin>`, when it is there.
fn origin(cursor: &mut Cursor<'_>) -> Result<Option<(u32, u32)>> {
    if !cursor.eat(b'<') {
        return Ok(None);
    }
    let origin = cursor.number()?;
    cursor.expect(b'>', "\">\"")?;
    Ok(Some((origin, 0)))
}

/// Behind `FETCH `.
pub(crate) fn fetch(cursor: &mut Cursor<'_>) -> Result<Fetch> {
    let set = sequence_set(cursor)?;
    cursor.sp()?;
    let attributes = attributes(cursor)?;
    let mut fetch = Fetch {
        set,
        attributes,
        changed_since: None,
        vanished: false,
        partial: None,
    };
    if cursor.eat(b' ') {
        cursor.list(false, |cursor| {
            if cursor.eat_word("CHANGEDSINCE") {
                cursor.sp()?;
                fetch.changed_since = Some(cursor.number64()?);
            } else if cursor.eat_word("VANISHED") {
                fetch.vanished = true;
            } else if cursor.eat_word("PARTIAL") {
                cursor.sp()?;
                fetch.partial = Some(partial_range(cursor)?);
            } else {
                return cursor.fail("a FETCH modifier");
            }
            Ok(())
        })?;
        if fetch.vanished && fetch.changed_since.is_none() {
            return cursor.fail("CHANGEDSINCE beside VANISHED");
        }
    }
    Ok(fetch)
}

fn attributes(cursor: &mut Cursor<'_>) -> Result<Vec<FetchAttribute>> {
    use FetchAttribute as A;
    if cursor.peek() == Some(b'(') {
        return cursor.list(false, attribute);
    }
    let fast = [A::Flags, A::InternalDate, A::Rfc822Size];
    if cursor.eat_word("FAST") {
        return Ok(fast.into());
    }
    if cursor.eat_word("ALL") {
        return Ok(fast.into_iter().chain([A::Envelope]).collect());
    }
    if cursor.eat_word("FULL") {
        return Ok(fast.into_iter().chain([A::Envelope, A::Body]).collect());
    }
    attribute(cursor).map(|one| [one].into())
}

pub(crate) fn attribute(cursor: &mut Cursor<'_>) -> Result<FetchAttribute> {
    use FetchAttribute as A;
    if cursor.eat_prefix("BODY.PEEK[") {
        return body_section(cursor, true);
    }
    if cursor.eat_prefix("BODY[") {
        return body_section(cursor, false);
    }
    if cursor.eat_prefix("BINARY.SIZE[") {
        return binary_section(cursor).map(A::BinarySize);
    }
    for (name, peek) in [("BINARY.PEEK[", true), ("BINARY[", false)] {
        if cursor.eat_prefix(name) {
            let part = binary_section(cursor)?;
            let partial = partial_octets(cursor)?;
            return Ok(A::Binary {
                peek,
                part,
                partial,
            });
        }
    }
    if cursor.eat_word("PREVIEW") {
        let lazy = cursor.eat_prefix(" (LAZY)");
        return Ok(A::Preview { lazy });
    }
    let all = [
        A::Rfc822Size,
        A::Rfc822Header,
        A::Rfc822Text,
        A::Rfc822,
        A::Envelope,
        A::Flags,
        A::InternalDate,
        A::BodyStructure,
        A::Body,
        A::Uid,
        A::ModSeq,
        A::SaveDate,
        A::EmailId,
        A::ThreadId,
        A::GmailMessageId,
        A::GmailThreadId,
        A::GmailLabels,
    ];
    for attribute in all {
        if cursor.eat_word(attribute.name()) {
            return Ok(attribute);
        }
    }
    cursor.fail("a FETCH attribute")
}

/// Behind `BODY[`.
fn body_section(cursor: &mut Cursor<'_>, peek: bool) -> Result<FetchAttribute> {
    let section = section(cursor)?;
    let partial = partial_octets(cursor)?;
    Ok(FetchAttribute::BodySection {
        peek,
        section,
        partial,
    })
}

/// `<origin.octets>`, when it is there.
fn partial_octets(cursor: &mut Cursor<'_>) -> Result<Option<(u32, u32)>> {
    if !cursor.eat(b'<') {
        return Ok(None);
    }
    let origin = cursor.number()?;
    cursor.expect(b'.', "\".\"")?;
    let octets = cursor.take(nz_number)?;
    cursor.expect(b'>', "\">\"")?;
    Ok(Some((origin, octets)))
}

/// Names of header fields, for a section's echo and its evaluation.
impl SectionText {
    /// Header fields of those names.
    #[must_use]
    pub fn fields(names: impl IntoIterator<Item = Bytes>) -> Self {
        Self::HeaderFields {
            not: false,
            names: names.into_iter().collect(),
        }
    }
}
