//! Annotations of mailboxes and of the server (RFC 5464).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::MailboxName;
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::{write_astring, write_list, write_nstring8};
use crate::value::mailbox::mailbox;

/// How far below the named entries GETMETADATA looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "its parts are the grammar's")]
pub enum MetadataDepth {
    /// `0`: not at all.
    #[default]
    Zero,
    /// `1`: one level.
    One,
    /// `infinity`
    Infinity,
}

/// GETMETADATA: asks for annotations of a mailbox or of the server (RFC 5464 §4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct GetMetadata {
    /// The mailbox; the empty name is the server.
    pub mailbox: MailboxName,
    /// Names of entries, such as `/private/comment`.
    pub entries: Vec<Bytes>,
    /// MAXSIZE: values of more octets are left out.
    pub max_size: Option<u64>,
    /// DEPTH
    pub depth: MetadataDepth,
}

/// What METADATA says of annotations: an answer to GETMETADATA, or that somebody changed some (RFC 5464 §4.4).
///
/// ```
/// use hikyaku_imap_proto::{Limits, Metadata, Received, Response};
/// let line = "* METADATA \"\" /shared/comment".into();
/// let received = Received::parse(&line, &Limits::default())?;
/// let Received::Untagged(Response::Metadata(_, metadata)) = received else {
///     panic!("another response");
/// };
/// assert_eq!(metadata, Metadata::Changed(vec!["/shared/comment".into()]));
/// # Ok::<(), hikyaku_imap_proto::SyntaxError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "its parts are the grammar's")]
pub enum Metadata {
    /// The entries that were asked for, with their values; `None` where there is none.
    Values(Vec<(Bytes, Option<Bytes>)>),
    /// The names of entries that changed, without their values: ask for those that matter.
    Changed(Vec<Bytes>),
}

/// What the response code METADATA says (RFC 5464 §4.2.1, §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "its parts are the grammar's")]
pub enum MetadataCode {
    /// Values were left out for their length: the longest has so many octets.
    LongEntries(u64),
    /// The value was not set for its length: it may have so many octets at most.
    MaxSize(u64),
    /// The value was not set: there are as many entries as there may be.
    TooMany,
    /// The value was not set: the server has no private annotations.
    NoPrivate,
}

impl GetMetadata {
    /// Appends what follows `GETMETADATA `.
    pub(crate) fn encode(&self, output: &mut Output) {
        let depth: &[u8] = match self.depth {
            MetadataDepth::Zero => b"",
            MetadataDepth::One => b"DEPTH 1",
            MetadataDepth::Infinity => b"DEPTH infinity",
        };
        if self.max_size.is_some() || !depth.is_empty() {
            output.write(b"(");
            if let Some(octets) = self.max_size {
                output.write(b"MAXSIZE ");
                output.write_number(octets);
                output.write(if depth.is_empty() { b"" } else { b" " });
            }
            output.write(depth);
            output.write(b") ");
        }
        self.mailbox.encode(output);
        output.write(b" ");
        write_entries(&self.entries, output);
    }
}

/// One as it is, several in parentheses.
pub(crate) fn write_entries(entries: &[Bytes], output: &mut Output) {
    match entries {
        [one] => write_astring(one, output),
        all => write_list(all, output, |entry, output| write_astring(entry, output)),
    }
}

/// `(entry value ..)`
pub(crate) fn write_values(values: &[(Bytes, Option<Bytes>)], output: &mut Output) {
    write_list(values, output, |(entry, value), output| {
        write_astring(entry, output);
        output.write(b" ");
        write_nstring8(value.as_deref(), output);
    });
}

impl Metadata {
    /// Appends what follows the mailbox in `* METADATA`.
    pub(crate) fn encode(&self, output: &mut Output) {
        match self {
            Self::Values(values) => write_values(values, output),
            Self::Changed(entries) => {
                for (index, entry) in entries.iter().enumerate() {
                    output.write(if index > 0 { b" " } else { b"" });
                    write_astring(entry, output);
                }
            }
        }
    }
}

impl MetadataCode {
    /// Appends what follows `METADATA `.
    pub(crate) fn encode(self, output: &mut Output) {
        let (name, number) = match self {
            Self::LongEntries(octets) => (&b"LONGENTRIES "[..], Some(octets)),
            Self::MaxSize(octets) => (&b"MAXSIZE "[..], Some(octets)),
            Self::TooMany => (&b"TOOMANY"[..], None),
            Self::NoPrivate => (&b"NOPRIVATE"[..], None),
        };
        output.write(name);
        if let Some(number) = number {
            output.write_number(number);
        }
    }
}

/// What follows `METADATA ` in a response code.
pub(crate) fn metadata_code(cursor: &mut Cursor<'_>) -> Result<MetadataCode> {
    if cursor.eat_word("TOOMANY") {
        return Ok(MetadataCode::TooMany);
    }
    if cursor.eat_word("NOPRIVATE") {
        return Ok(MetadataCode::NoPrivate);
    }
    if cursor.eat_word("LONGENTRIES") {
        cursor.sp()?;
        return cursor.number64().map(MetadataCode::LongEntries);
    }
    if cursor.eat_word("MAXSIZE") {
        cursor.sp()?;
        return cursor.number64().map(MetadataCode::MaxSize);
    }
    cursor.fail("what METADATA says")
}

/// Behind `GETMETADATA `. The options stand before the mailbox in the grammar, behind it in the examples.
pub(crate) fn get_metadata(cursor: &mut Cursor<'_>) -> Result<GetMetadata> {
    let (mut max_size, mut depth) = (None, MetadataDepth::Zero);
    let mut options = |cursor: &mut Cursor<'_>| {
        cursor.list(false, |cursor| {
            if cursor.eat_word("MAXSIZE") {
                cursor.sp()?;
                max_size = Some(cursor.number64()?);
            } else if cursor.eat_word("DEPTH") {
                cursor.sp()?;
                depth = match () {
                    () if cursor.eat_word("0") => MetadataDepth::Zero,
                    () if cursor.eat_word("1") => MetadataDepth::One,
                    () if cursor.eat_word("infinity") => MetadataDepth::Infinity,
                    () => return cursor.fail("0, 1 or infinity"),
                };
            } else {
                return cursor.fail("MAXSIZE or DEPTH");
            }
            Ok(())
        })
    };
    if cursor.peek() == Some(b'(') {
        options(cursor)?;
        cursor.sp()?;
    }
    let mailbox = mailbox(cursor)?;
    cursor.sp()?;
    let is_option = ["(MAXSIZE ", "(DEPTH "]
        .iter()
        .any(|option| cursor.clone().eat_prefix(option));
    if is_option {
        options(cursor)?;
        cursor.sp()?;
    }
    let entries = if cursor.peek() == Some(b'(') {
        cursor.list(false, entry)?
    } else {
        // RFC 5464 §4.4.1 leaves out the parentheses that §5 wants.
        let mut entries = Vec::from([entry(cursor)?]);
        while cursor.eat(b' ') {
            entries.push(entry(cursor)?);
        }
        entries
    };
    Ok(GetMetadata {
        mailbox,
        entries,
        max_size,
        depth,
    })
}

/// The name of an entry: no wildcards in it.
pub(crate) fn entry(cursor: &mut Cursor<'_>) -> Result<Bytes> {
    let start = cursor.clone();
    let entry = cursor.astring()?;
    let levels = entry.starts_with(b"/") && !entry.ends_with(b"/");
    let double = entry.windows(2).any(|pair| pair == b"//");
    let plain = entry
        .iter()
        .all(|&o| (32..127).contains(&o) && !matches!(o, b'*' | b'%'));
    if levels && plain && !double {
        return Ok(entry);
    }
    start.fail("the name of an entry")
}

/// `(entry value ..)`
pub(crate) fn values(cursor: &mut Cursor<'_>) -> Result<Vec<(Bytes, Option<Bytes>)>> {
    cursor.list(false, |cursor| {
        let entry = entry(cursor)?;
        cursor.sp()?;
        Ok((entry, cursor.any_nstring()?))
    })
}

/// Behind the mailbox in `* METADATA`.
pub(crate) fn metadata(cursor: &mut Cursor<'_>) -> Result<Metadata> {
    if cursor.peek() == Some(b'(') {
        return values(cursor).map(Metadata::Values);
    }
    let mut entries = Vec::from([entry(cursor)?]);
    while cursor.eat(b' ') && !cursor.is_at_end() {
        entries.push(entry(cursor)?);
    }
    Ok(Metadata::Changed(entries))
}
