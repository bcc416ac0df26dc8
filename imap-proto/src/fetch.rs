//! FETCH: what is asked for, and what is told (RFC 9051 §6.4.5, §7.5.2; modifiers RFC 7162).

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::cursor::{Cursor, Result};
use crate::flag::write_flags;
use crate::section::section;
use crate::sequence_set::sequence_set;
use crate::{BodyStructure, DateTime, Envelope, Flag, Section, SectionText, SequenceSet};

/// The FETCH command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Which messages.
    pub set: SequenceSet,
    /// What of them; macros are taken apart.
    pub attributes: Vec<FetchAttribute>,
    /// CHANGEDSINCE: only what changed after this mod-sequence.
    pub changed_since: Option<u64>,
    /// VANISHED: tell what is gone, too (QRESYNC).
    pub vanished: bool,
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
        /// Which part.
        section: Section,
        /// First octet, and how many at most.
        partial: Option<(u32, u32)>,
    },
}

impl FetchAttribute {
    /// Whether fetching it sets `\Seen`.
    #[must_use]
    pub fn sets_seen(&self) -> bool {
        matches!(
            self,
            Self::Rfc822 | Self::Rfc822Text | Self::BodySection { peek: false, .. }
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

    /// The name a section is told under: as it was asked for.
    pub(crate) fn encode_name(&self, output: &mut Output) {
        match self {
            Self::Rfc822 => output.write(b"RFC822"),
            Self::Rfc822Header => output.write(b"RFC822.HEADER"),
            Self::Rfc822Text => output.write(b"RFC822.TEXT"),
            Self::BodySection {
                section, partial, ..
            } => {
                output.write(b"BODY");
                section.encode(output);
                if let Some((origin, _)) = partial {
                    output.write(b"<");
                    output.write_number(u64::from(*origin));
                    output.write(b">");
                }
            }
            _ => {}
        }
    }
}

/// What FETCH tells, but for sections, which stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchItem {
    /// `FLAGS`
    Flags(Vec<Flag>),
    /// `UID`
    Uid(u32),
    /// `INTERNALDATE`
    InternalDate(DateTime),
    /// `RFC822.SIZE`
    Rfc822Size(u64),
    /// `ENVELOPE`
    Envelope(Box<Envelope>),
    /// `BODYSTRUCTURE`
    BodyStructure(BodyStructure),
    /// `BODY`
    Body(BodyStructure),
    /// `MODSEQ`
    ModSeq(u64),
}

impl FetchItem {
    /// Appends its name and its value.
    pub fn encode(&self, output: &mut Output) {
        match self {
            Self::Flags(flags) => {
                output.write(b"FLAGS ");
                write_flags(flags, output);
            }
            Self::Uid(uid) => {
                output.write(b"UID ");
                output.write_number(u64::from(*uid));
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
        }
    }
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
    };
    if cursor.eat(b' ') {
        cursor.list(false, |cursor| {
            if cursor.eat_word("CHANGEDSINCE") {
                cursor.sp()?;
                fetch.changed_since = Some(cursor.number64()?);
            } else if cursor.eat_word("VANISHED") {
                fetch.vanished = true;
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

fn attribute(cursor: &mut Cursor<'_>) -> Result<FetchAttribute> {
    use FetchAttribute as A;
    if cursor.eat_prefix("BODY.PEEK[") {
        return body_section(cursor, true);
    }
    if cursor.eat_prefix("BODY[") {
        return body_section(cursor, false);
    }
    let all = [
        ("RFC822.SIZE", A::Rfc822Size),
        ("RFC822.HEADER", A::Rfc822Header),
        ("RFC822.TEXT", A::Rfc822Text),
        ("RFC822", A::Rfc822),
        ("ENVELOPE", A::Envelope),
        ("FLAGS", A::Flags),
        ("INTERNALDATE", A::InternalDate),
        ("BODYSTRUCTURE", A::BodyStructure),
        ("BODY", A::Body),
        ("UID", A::Uid),
        ("MODSEQ", A::ModSeq),
    ];
    for (name, attribute) in all {
        if cursor.eat_word(name) {
            return Ok(attribute);
        }
    }
    cursor.fail("a FETCH attribute")
}

/// Behind `BODY[`.
fn body_section(cursor: &mut Cursor<'_>, peek: bool) -> Result<FetchAttribute> {
    let section = section(cursor)?;
    let mut partial = None;
    if cursor.eat(b'<') {
        let origin = cursor.number()?;
        cursor.expect(b'.', "\".\"")?;
        let octets = cursor.take(crate::text::nz_number)?;
        cursor.expect(b'>', "\">\"")?;
        partial = Some((origin, octets));
    }
    Ok(FetchAttribute::BodySection {
        peek,
        section,
        partial,
    })
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
