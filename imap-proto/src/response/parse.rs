//! Responses as they are read. As lenient as the world needs: what is odd costs itself and no more.

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::Range;

use super::{Completion, Received, Response, Status};
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::is_atom_char;
use crate::plumbing::text::is_tag_char;
use crate::response::response_code::{capabilities, response_code};
use crate::value::flag::response_flags;
use crate::value::mailbox::mailbox;
use crate::{
    FetchItem, Leniency, Limits, SequenceNumber, SyntaxError, Uid, command::convert,
    command::fetch, command::language, command::list, command::metadata, command::search,
    command::thread, command::uid_batches, command::url_auth, value::acl, value::namespace,
    value::sequence_set, value::status,
};

impl Received {
    /// Reads one whole response, given without its last CRLF, literals inside. An untagged response
    /// that is not as the RFC has it is [`Response::Other`].
    ///
    /// ```
    /// use hikyaku_imap_proto::{Limits, Received, Response};
    /// let received = Received::parse(&"* 23 EXISTS".into(), &Limits::default());
    /// assert_eq!(received, Ok(Received::Untagged(Response::Exists(23))));
    /// ```
    ///
    /// # Errors
    /// Where neither `+`, `*` nor a tag with its OK, NO or BAD stands.
    pub fn parse(unit: &Bytes, limits: &Limits) -> core::result::Result<Self, SyntaxError> {
        Self::parse_as(unit, limits, false)
    }

    /// As [`parse`](Self::parse), with mailbox names in UTF-8 when `utf8`: IMAP4rev2 or UTF8=ACCEPT was
    /// enabled.
    ///
    /// # Errors
    /// As `parse`.
    pub fn parse_as(
        unit: &Bytes,
        limits: &Limits,
        utf8: bool,
    ) -> core::result::Result<Self, SyntaxError> {
        Self::read(unit, 0..unit.len(), limits, utf8)
    }

    /// As `parse_as`, what stands there among other octets.
    pub(crate) fn read(
        unit: &Bytes,
        place: Range<usize>,
        limits: &Limits,
        utf8: bool,
    ) -> core::result::Result<Self, SyntaxError> {
        let whole = unit.get(place.clone()).unwrap_or(&[]);
        let mut cursor = Cursor::within(unit, place);
        cursor.set_utf8(utf8);
        cursor.set_leniencies(limits.leniencies);
        Self::of_cursor(&mut cursor, limits).map_err(|fault| fault.of(whole))
    }

    fn of_cursor(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<Self> {
        let unit = cursor.unit();
        if let Some(response) = code_alone(cursor) {
            return Ok(Self::Untagged(response));
        }
        if cursor.eat(b'+') {
            cursor.eat(b' ');
            return Ok(Self::Continuation(unit.slice_ref(cursor.rest())));
        }
        if cursor.eat_prefix("* ") {
            let rest = cursor.rest();
            let parsed = untagged(cursor, limits);
            let raw = |_| Response::Other(unit.slice_ref(rest));
            return Ok(Self::Untagged(parsed.unwrap_or_else(raw)));
        }
        let tag = cursor.word(is_tag_char, "a tag")?;
        let tag = unit.slice_ref(tag);
        cursor.sp()?;
        match status_of(cursor) {
            Some(status @ (Status::Ok | Status::No | Status::Bad)) => {
                let (code, text) = text(cursor)?;
                Ok(Self::Tagged(tag, Completion { status, code, text }))
            }
            _ => cursor.fail("OK, NO or BAD"),
        }
    }
}

/// A line of those that come by the thousand: read as [`Received::read`] reads it, but a value as large as
/// [`Received`] is not moved from hand to hand, which takes as long as reading it.
pub(crate) enum Frequent {
    List(list::ListResponse),
    Fetch(SequenceNumber, Vec<FetchItem>),
}

impl Frequent {
    /// `None` if it is another one, or not quite as the RFC has it.
    #[inline]
    pub(crate) fn read(
        unit: &Bytes,
        place: &Range<usize>,
        limits: &Limits,
        utf8: bool,
    ) -> Option<Self> {
        let mut cursor = Cursor::within(unit, place.clone());
        cursor.set_utf8(utf8);
        cursor.set_leniencies(limits.leniencies);
        if !cursor.eat_prefix("* ") {
            return None;
        }
        let read = if cursor.eat_prefix("LIST ") {
            Self::List(list::list_response(&mut cursor).ok()?)
        } else {
            let sequence = SequenceNumber::new(cursor.number().ok()?)?;
            if !cursor.eat_prefix(" FETCH (") {
                return None;
            }
            Self::Fetch(sequence, fetched(&mut cursor, limits).ok()?)
        };
        cursor.is_at_end().then_some(read)
    }
}

/// Behind `* n FETCH (`.
fn fetched(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<Vec<FetchItem>> {
    // Seven items are in what clients ask for a list, and few where there is little.
    let most = if cursor.rest().len() > 160 { 8 } else { 2 };
    let mut items = Vec::with_capacity(most);
    fetch::items(cursor, limits.nesting, &mut items)?;
    Ok(items)
}

/// Whether the line is one that holds no literal, whatever its text ends with.
pub(crate) fn is_text(line: &[u8]) -> bool {
    let untagged = line.strip_prefix(b"* ");
    if line.starts_with(b"+") {
        return true;
    }
    let Some(rest) = untagged.or_else(|| {
        let end = memchr::memchr(b' ', line)?;
        line.get(end + 1..)
    }) else {
        return true;
    };
    let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    let word = rest.get(..end).unwrap_or(rest);
    STATUSES
        .iter()
        .any(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()))
}

const STATUSES: [(&str, Status); 5] = [
    ("OK", Status::Ok),
    ("NO", Status::No),
    ("BAD", Status::Bad),
    ("BYE", Status::Bye),
    ("PREAUTH", Status::PreAuth),
];

fn status_of(cursor: &mut Cursor<'_>) -> Option<Status> {
    // Most responses are none of them.
    if !matches!(
        cursor.peek()?.to_ascii_uppercase(),
        b'O' | b'N' | b'B' | b'P'
    ) {
        return None;
    }
    STATUSES
        .into_iter()
        .find_map(|(name, status)| cursor.eat_word(name).then_some(status))
}

/// `resp-text`: a code, and what is left.
fn text(cursor: &mut Cursor<'_>) -> Result<(Option<crate::ResponseCode>, Bytes)> {
    cursor.eat(b' ');
    let unit = cursor.unit();
    let rest = cursor.rest();
    let (code, text) = match response_code(unit, rest) {
        Some((code, length)) => {
            let text = rest.get(length..).unwrap_or(&[]);
            (Some(code), text.strip_prefix(b" ").unwrap_or(text))
        }
        None => (None, rest),
    };
    if text.is_empty() && !cursor.lets(Leniency::StatusWithoutText) {
        return cursor.fail("a text");
    }
    Ok((code, unit.slice_ref(text)))
}

/// `[CODE] text` or `* [CODE] text`, as an OK.
fn code_alone(cursor: &mut Cursor<'_>) -> Option<Response> {
    let rest = cursor.rest();
    let begins = rest.strip_prefix(b"* ").unwrap_or(rest).first() == Some(&b'[');
    if !begins || !cursor.lets(Leniency::CodeWithoutStatus) {
        return None;
    }
    let start = cursor.clone();
    cursor.eat_prefix("* ");
    match text(cursor) {
        Ok((Some(code), text)) => Some(Response::Status(Status::Ok, Some(code), text)),
        _ => {
            *cursor = start;
            None
        }
    }
}

fn untagged(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<Response> {
    if let Some(status) = status_of(cursor) {
        let (code, text) = text(cursor)?;
        return Ok(Response::Status(status, code, text));
    }
    let response = if cursor.peek().is_some_and(|o| o.is_ascii_digit()) {
        numbered(cursor, limits)?
    } else {
        named(cursor)?
    };
    while cursor.eat(b' ') {}
    cursor.end()?;
    Ok(response)
}

/// Those that begin with a number.
fn numbered(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<Response> {
    let start = cursor.clone();
    let number = cursor.number()?;
    cursor.sp()?;
    if cursor.eat_word("EXISTS") {
        return Ok(Response::Exists(number));
    }
    if cursor.eat_word("RECENT") {
        return Ok(Response::Recent(number));
    }
    // RFC 9051 §2.3.1: sequence numbers and UIDs begin with 1.
    let Some((sequence, uid)) = SequenceNumber::new(number).zip(Uid::new(number)) else {
        return start.fail("a sequence number");
    };
    for (name, uid) in [("FETCH", None), ("UIDFETCH", Some(uid))] {
        if cursor.eat_word(name) {
            cursor.sp()?;
            cursor.expect(b'(', "\"(\"")?;
            let items = fetched(cursor, limits)?;
            return Ok(match uid {
                Some(uid) => Response::UidFetch(uid, items),
                None => Response::Fetch(sequence, items),
            });
        }
    }
    if cursor.eat_word("CONVERTED") {
        cursor.sp()?;
        return convert::converted(number, cursor, limits.nesting).map(Response::Converted);
    }
    match () {
        () if cursor.eat_word("EXPUNGE") => Ok(Response::Expunge(sequence)),
        () => cursor.fail("what there are so many of"),
    }
}

fn named(cursor: &mut Cursor<'_>) -> Result<Response> {
    if cursor.eat_prefix("LIST ") {
        return list::list_response(cursor).map(Response::List);
    }
    let start = cursor.clone();
    let name = cursor.word(is_atom_char, "an atom")?;
    let mut upper = [0_u8; 16];
    let Some(upper) = upper.get_mut(..name.len()) else {
        return start.fail("a response");
    };
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    Ok(match &*upper {
        b"CAPABILITY" => Response::Capability(capabilities(cursor)),
        b"ENABLED" => Response::Enabled(capabilities(cursor)),
        b"FLAGS" => {
            cursor.sp()?;
            Response::Flags(response_flags(cursor)?)
        }
        // XLIST is what Gmail had before special uses.
        b"LIST" | b"XLIST" => {
            cursor.sp()?;
            Response::List(list::list_response(cursor)?)
        }
        b"LSUB" => {
            cursor.sp()?;
            Response::Lsub(list::list_response(cursor)?)
        }
        b"STATUS" => {
            cursor.sp()?;
            let mailbox = mailbox(cursor)?;
            cursor.sp()?;
            Response::MailboxStatus(mailbox, status::items(cursor)?)
        }
        b"SEARCH" => {
            let (numbers, modseq) = search::numbers(cursor)?;
            Response::Search(numbers, modseq)
        }
        b"SORT" => {
            let (numbers, modseq) = search::numbers(cursor)?;
            Response::Sort(numbers, modseq)
        }
        b"ESEARCH" => Response::ESearch(Box::new(search::esearch(cursor)?)),
        b"THREAD" => Response::Thread(thread::threads(cursor)?),
        b"NAMESPACE" => Response::Namespace(namespace::namespaces(cursor)?),
        b"ID" => {
            cursor.sp()?;
            Response::Id(id(cursor)?)
        }
        b"QUOTA" => {
            cursor.sp()?;
            let root = cursor.astring()?;
            cursor.sp()?;
            Response::Quota(root, cursor.list(true, resource)?)
        }
        b"QUOTAROOT" => {
            cursor.sp()?;
            let mailbox = mailbox(cursor)?;
            let mut roots = Vec::new();
            while cursor.eat(b' ') {
                roots.push(cursor.astring()?);
            }
            Response::QuotaRoot(mailbox, roots)
        }
        b"VANISHED" => {
            let earlier = cursor.eat_prefix(" (EARLIER)");
            cursor.sp()?;
            let uids = sequence_set::ranges(cursor)?;
            Response::Vanished { earlier, uids }
        }
        b"ACL" => {
            cursor.sp()?;
            Response::Acl(acl::acl(cursor)?)
        }
        b"LISTRIGHTS" => {
            cursor.sp()?;
            Response::ListRights(acl::list_rights(cursor)?)
        }
        b"MYRIGHTS" => {
            cursor.sp()?;
            let mailbox = mailbox(cursor)?;
            cursor.sp()?;
            Response::MyRights(mailbox, acl::rights(cursor)?)
        }
        b"METADATA" => {
            cursor.sp()?;
            let mailbox = mailbox(cursor)?;
            cursor.sp()?;
            Response::Metadata(mailbox, metadata::metadata(cursor)?)
        }
        b"LANGUAGE" => {
            cursor.sp()?;
            Response::Language(cursor.list(false, Cursor::astring)?)
        }
        b"COMPARATOR" => {
            cursor.sp()?;
            Response::Comparator(language::comparator(cursor)?)
        }
        b"UIDBATCHES" => Response::UidBatches(uid_batches::batches(cursor)?),
        b"JMAPACCESS" => {
            cursor.sp()?;
            Response::JmapAccess(cursor.string()?)
        }
        b"GENURLAUTH" => {
            cursor.sp()?;
            Response::GenUrlAuth(url_auth::urls(cursor)?)
        }
        b"URLFETCH" => {
            cursor.sp()?;
            Response::UrlFetch(url_auth::fetched(cursor)?)
        }
        b"CONVERSION" => {
            cursor.sp()?;
            Response::Conversion(convert::conversion(cursor)?)
        }
        _ => return cursor.fail("a response"),
    })
}

fn id(cursor: &mut Cursor<'_>) -> Result<Vec<(Bytes, Option<Bytes>)>> {
    if cursor.eat_word("NIL") {
        return Ok(Vec::new());
    }
    cursor.list(true, |cursor| {
        let name = cursor.any_string()?;
        cursor.sp()?;
        Ok((name, cursor.any_nstring()?))
    })
}

/// A resource, its usage and its limit.
fn resource(cursor: &mut Cursor<'_>) -> Result<(Bytes, u64, u64)> {
    let name = cursor.atom()?;
    cursor.sp()?;
    let usage = cursor.number64()?;
    cursor.sp()?;
    Ok((name, usage, cursor.number64()?))
}
