//! Response codes: what a status response says to programs (RFC 9051 §7.1, RFC 5530 and the extensions).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::command::metadata::metadata_code;
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::{is_atom_char, nz_number, write_list};
use crate::plumbing::word::{write_code_string, write_code_word};
use crate::value::flag::{response_flags, write_flags};
use crate::value::numbers::uid;
use crate::value::object_id::object_id;
use crate::value::sequence_set::{ranges, write_ranges};
use crate::{Flag, MetadataCode, SequenceNumber, Uid};

/// A response code. Sets of UIDs are ranges, both ends inclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are the RFCs'")]
pub enum ResponseCode {
    Alert,
    AlreadyExists,
    /// UIDVALIDITY, and the UIDs of what was appended.
    AppendUid(u32, Vec<(u32, u32)>),
    AuthenticationFailed,
    AuthorizationFailed,
    /// The charsets that are known.
    BadCharset(Vec<Bytes>),
    Cannot,
    /// What the server can do now.
    Capability(Vec<Bytes>),
    Closed,
    /// UIDVALIDITY, then the old and the new UIDs in the same order.
    CopyUid(u32, Vec<(u32, u32)>, Vec<(u32, u32)>),
    HasChildren,
    HighestModSeq(u64),
    InUse,
    Limit,
    /// Numbers that UNCHANGEDSINCE kept from being changed.
    Modified(Vec<(u32, u32)>),
    NonExistent,
    NoModSeq,
    NoPerm,
    OverQuota,
    Parse,
    PermanentFlags(Vec<Flag>),
    PrivacyRequired,
    ReadOnly,
    ReadWrite,
    ServerBug,
    TooBig,
    TryCreate,
    UidNext(Uid),
    UidValidity(u32),
    Unavailable,
    Unseen(SequenceNumber),
    UseAttr,
    BadComparator,
    ClientBug,
    CompressionActive,
    ContactAdmin,
    Corruption,
    Expired,
    ExpungeIssued,
    NotificationOverflow,
    NotSaved,
    TempFail,
    /// UIDBATCHES: batches of more messages, please (RFC 10022).
    TooFew,
    /// UIDBATCHES: fewer of them (RFC 10022).
    TooMany,
    UidNotSticky,
    UidRequired,
    UnknownCte,
    /// Events that the server does not know (RFC 5465 §5).
    BadEvent(Vec<Bytes>),
    /// Of CATENATE or URLFETCH: that URL (RFC 4469).
    BadUrl(Bytes),
    /// A long command goes on (RFC 9585); without anything, that it does.
    InProgress(Option<Progress>),
    /// What the mailbox is called whatever its name is (RFC 8474).
    MailboxId(Bytes),
    /// CONVERT takes no more messages at once.
    MaxConvertMessages(u32),
    /// CONVERT takes no more parts at once.
    MaxConvertParts(u32),
    /// No more messages at once, and the lowest UID that was reached (RFC 9738).
    MessageLimit(u32, Option<Uid>),
    Metadata(MetadataCode),
    /// The search of that tag is reported no more (RFC 5267).
    NoUpdate(Bytes),
    /// It is elsewhere (RFC 2193, 2221).
    Referral(Vec<Bytes>),
    /// There is no such filter (RFC 5466).
    UndefinedFilter(Bytes),
    /// Mechanisms that RESETKEY and GENURLAUTH know (RFC 4467).
    UrlMech(Vec<Bytes>),
    /// Another one, or one that is not as the RFC has it: its name, and what follows, as it was sent.
    Other(Bytes, Option<Bytes>),
}

/// How far a long command has come (RFC 9585).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Progress {
    /// The tag of the command whose progress it is; `None` where the server does not say.
    pub tag: Option<Bytes>,
    /// How much is done.
    pub done: Option<u32>,
    /// How much there is to do.
    pub goal: Option<u32>,
}

impl ResponseCode {
    /// Appends it with its brackets.
    pub fn encode(&self, output: &mut Output) {
        let number = |name: &[u8], value: u64, output: &mut Output| {
            output.write(name);
            output.write_number(value);
        };
        output.write(b"[");
        match self {
            Self::AppendUid(validity, uids) => {
                number(b"APPENDUID ", u64::from(*validity), output);
                output.write(b" ");
                write_ranges(uids, output);
            }
            Self::BadCharset(known) if !known.is_empty() => {
                output.write(b"BADCHARSET ");
                write_list(known, output, |name, output| {
                    write_code_astring(name, output);
                });
            }
            Self::Capability(all) => {
                output.write(b"CAPABILITY");
                words(all, output);
            }
            Self::CopyUid(validity, from, to) => {
                number(b"COPYUID ", u64::from(*validity), output);
                output.write(b" ");
                write_ranges(from, output);
                output.write(b" ");
                write_ranges(to, output);
            }
            Self::HighestModSeq(value) => number(b"HIGHESTMODSEQ ", *value, output),
            Self::Modified(numbers) => {
                output.write(b"MODIFIED ");
                write_ranges(numbers, output);
            }
            Self::PermanentFlags(flags) => {
                output.write(b"PERMANENTFLAGS ");
                write_flags(flags, output);
            }
            Self::UidNext(uid) => number(b"UIDNEXT ", u64::from(uid.get()), output),
            Self::UidValidity(value) => number(b"UIDVALIDITY ", u64::from(*value), output),
            Self::Unseen(sequence) => number(b"UNSEEN ", u64::from(sequence.get()), output),
            Self::BadEvent(names) => {
                output.write(b"BADEVENT ");
                write_list(names, output, |name, output| write_code_word(name, output));
            }
            Self::BadUrl(url) => {
                output.write(b"BADURL ");
                write_code_string(url, output);
            }
            Self::InProgress(Some(progress)) => progress.encode(output),
            Self::MailboxId(id) => {
                output.write(b"MAILBOXID (");
                write_code_word(id, output);
                output.write(b")");
            }
            Self::MaxConvertMessages(most) => {
                number(b"MAXCONVERTMESSAGES ", u64::from(*most), output);
            }
            Self::MaxConvertParts(most) => number(b"MAXCONVERTPARTS ", u64::from(*most), output),
            Self::MessageLimit(most, uid) => {
                number(b"MESSAGELIMIT ", u64::from(*most), output);
                if let Some(uid) = uid {
                    number(b" ", u64::from(uid.get()), output);
                }
            }
            Self::Metadata(code) => {
                output.write(b"METADATA ");
                code.encode(output);
            }
            Self::NoUpdate(tag) => {
                output.write(b"NOUPDATE ");
                write_code_string(tag, output);
            }
            Self::Referral(urls) => {
                output.write(b"REFERRAL");
                words(urls, output);
            }
            Self::UndefinedFilter(name) => {
                output.write(b"UNDEFINED-FILTER ");
                write_code_word(name, output);
            }
            Self::UrlMech(names) => {
                output.write(b"URLMECH INTERNAL");
                words(names, output);
            }
            Self::Other(name, rest) => {
                write_other(name, rest.as_deref(), output);
            }
            alone => output.write(alone.alone().as_bytes()),
        }
        output.write(b"]");
    }

    /// The name of one that stands alone.
    fn alone(&self) -> &'static str {
        match self {
            Self::Alert => "ALERT",
            Self::AlreadyExists => "ALREADYEXISTS",
            Self::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Self::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Self::Cannot => "CANNOT",
            Self::Closed => "CLOSED",
            Self::HasChildren => "HASCHILDREN",
            Self::InUse => "INUSE",
            Self::Limit => "LIMIT",
            Self::NonExistent => "NONEXISTENT",
            Self::NoModSeq => "NOMODSEQ",
            Self::NoPerm => "NOPERM",
            Self::OverQuota => "OVERQUOTA",
            Self::Parse => "PARSE",
            Self::PrivacyRequired => "PRIVACYREQUIRED",
            Self::ReadOnly => "READ-ONLY",
            Self::ReadWrite => "READ-WRITE",
            Self::ServerBug => "SERVERBUG",
            Self::TooBig => "TOOBIG",
            Self::TryCreate => "TRYCREATE",
            Self::Unavailable => "UNAVAILABLE",
            Self::UseAttr => "USEATTR",
            Self::BadComparator => "BADCOMPARATOR",
            Self::ClientBug => "CLIENTBUG",
            Self::CompressionActive => "COMPRESSIONACTIVE",
            Self::ContactAdmin => "CONTACTADMIN",
            Self::Corruption => "CORRUPTION",
            Self::Expired => "EXPIRED",
            Self::ExpungeIssued => "EXPUNGEISSUED",
            Self::NotificationOverflow => "NOTIFICATIONOVERFLOW",
            Self::NotSaved => "NOTSAVED",
            Self::TempFail => "TEMPFAIL",
            Self::TooFew => "TOOFEW",
            Self::TooMany => "TOOMANY",
            Self::UidNotSticky => "UIDNOTSTICKY",
            Self::UidRequired => "UIDREQUIRED",
            Self::UnknownCte => "UNKNOWN-CTE",
            Self::BadCharset(_) => "BADCHARSET",
            Self::InProgress(None) => "INPROGRESS",
            _ => "",
        }
    }
}

fn words(words: &[Bytes], output: &mut Output) {
    for word in words {
        output.write(b" ");
        write_code_word(word, output);
    }
}

/// An astring that is text: an atom, or in quotes.
fn write_code_astring(text: &[u8], output: &mut Output) {
    match !text.is_empty() && text.iter().all(|&octet| is_atom_char(octet)) {
        true => output.write(text),
        false => write_code_string(text, output),
    }
}

/// A code as it was sent. What would end it early is replaced.
fn write_other(name: &[u8], rest: Option<&[u8]>, output: &mut Output) {
    write_code_word(name, output);
    let Some(rest) = rest else { return };
    output.write(b" ");
    let whole = [rest, b"]"].concat();
    let is_text = |octet: u8| !octet.is_ascii_control();
    match end_of_code(&whole) == Some(rest.len()) {
        true => output.write_only(rest, is_text, b' '),
        false => output.write_only(rest, |o| is_text(o) && !matches!(o, b']' | b'"'), b' '),
    }
}

impl Progress {
    fn encode(&self, output: &mut Output) {
        output.write(b"INPROGRESS (");
        match &self.tag {
            Some(tag) => write_code_string(tag, output),
            None => output.write(b"NIL"),
        }
        for number in [self.done, self.goal] {
            output.write(b" ");
            match number {
                Some(number) => output.write_number(u64::from(number)),
                None => output.write(b"NIL"),
            }
        }
        output.write(b")");
    }
}

fn progress(cursor: &mut Cursor<'_>) -> Result<Progress> {
    cursor.expect(b'(', "\"(\"")?;
    let tag = cursor.any_nstring()?;
    let mut number = || {
        cursor.sp()?;
        match cursor.eat_word("NIL") {
            true => Ok(None),
            false => cursor.number().map(Some),
        }
    };
    let (done, goal) = (number()?, number()?);
    cursor.expect(b')', "\")\"")?;
    Ok(Progress { tag, done, goal })
}

/// `[CODE]` at the beginning of a text. `None` where there is none, or its bracket does not close.
pub(crate) fn response_code(unit: &Bytes, text: &[u8]) -> Option<(ResponseCode, usize)> {
    let inner = text.strip_prefix(b"[")?;
    let end = end_of_code(inner)?;
    let inner = unit.slice_ref(inner.get(..end)?);
    let name = memchr::memchr(b' ', &inner).unwrap_or(inner.len());
    let (name, rest) = (inner.slice(..name), inner.get(name + 1..));
    let rest = rest.map(|rest| inner.slice_ref(rest));
    let code = known(&name, rest.as_ref()).unwrap_or(ResponseCode::Other(name, rest));
    Some((code, end + 2))
}

/// Where the bracket closes: not within quotes, which a flag or a charset may have.
fn end_of_code(inner: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut octets = inner.iter().enumerate();
    while let Some((at, octet)) = octets.next() {
        match octet {
            b'"' => quoted = !quoted,
            b'\\' if quoted => drop(octets.next()),
            b']' if !quoted => return Some(at),
            _ => {}
        }
    }
    // Quotes that do not match are text.
    memchr::memchr(b']', inner)
}

fn known(name: &Bytes, rest: Option<&Bytes>) -> Option<ResponseCode> {
    use ResponseCode as C;
    let name = name.to_ascii_uppercase();
    let Some(rest) = rest else {
        let all = [
            C::Alert,
            C::AlreadyExists,
            C::AuthenticationFailed,
            C::AuthorizationFailed,
            C::Cannot,
            C::Closed,
            C::HasChildren,
            C::InUse,
            C::Limit,
            C::NonExistent,
            C::NoModSeq,
            C::NoPerm,
            C::OverQuota,
            C::Parse,
            C::PrivacyRequired,
            C::ReadOnly,
            C::ReadWrite,
            C::ServerBug,
            C::TooBig,
            C::TryCreate,
            C::Unavailable,
            C::UseAttr,
            C::BadComparator,
            C::ClientBug,
            C::CompressionActive,
            C::ContactAdmin,
            C::Corruption,
            C::Expired,
            C::ExpungeIssued,
            C::NotificationOverflow,
            C::NotSaved,
            C::TempFail,
            C::TooFew,
            C::TooMany,
            C::UidNotSticky,
            C::UidRequired,
            C::UnknownCte,
            C::BadCharset(Vec::new()),
            C::InProgress(None),
        ];
        let named = |code: &C| code.alone().as_bytes() == name;
        return all.into_iter().find(named);
    };
    let mut cursor = Cursor::new(rest);
    let code = with_data(&name, &mut cursor).ok()?;
    cursor.end().ok()?;
    Some(code)
}

fn with_data(name: &[u8], cursor: &mut Cursor<'_>) -> Result<ResponseCode> {
    use ResponseCode as C;
    Ok(match name {
        b"APPENDUID" => {
            let validity = cursor.take(nz_number)?;
            cursor.sp()?;
            C::AppendUid(validity, ranges(cursor)?)
        }
        b"BADCHARSET" => C::BadCharset(cursor.list(true, Cursor::astring)?),
        b"CAPABILITY" => C::Capability(capabilities(cursor)),
        b"COPYUID" => {
            let validity = cursor.take(nz_number)?;
            cursor.sp()?;
            let from = ranges(cursor)?;
            cursor.sp()?;
            C::CopyUid(validity, from, ranges(cursor)?)
        }
        b"HIGHESTMODSEQ" => C::HighestModSeq(cursor.number64()?),
        b"MODIFIED" => C::Modified(ranges(cursor)?),
        b"PERMANENTFLAGS" => C::PermanentFlags(response_flags(cursor)?),
        b"UIDNEXT" => C::UidNext(some(cursor.number()?, Uid::new, cursor)?),
        b"UIDVALIDITY" => C::UidValidity(cursor.number()?),
        b"UNSEEN" => C::Unseen(some(cursor.number()?, SequenceNumber::new, cursor)?),
        b"BADEVENT" => C::BadEvent(cursor.list(false, Cursor::atom)?),
        b"BADURL" => C::BadUrl(cursor.astring()?),
        b"INPROGRESS" => C::InProgress(Some(progress(cursor)?)),
        b"MAILBOXID" => {
            cursor.expect(b'(', "\"(\"")?;
            let id = object_id(cursor)?;
            cursor.expect(b')', "\")\"")?;
            C::MailboxId(id)
        }
        b"MAXCONVERTMESSAGES" => C::MaxConvertMessages(cursor.take(nz_number)?),
        b"MAXCONVERTPARTS" => C::MaxConvertParts(cursor.take(nz_number)?),
        b"MESSAGELIMIT" => {
            let most = cursor.take(nz_number)?;
            let uid = match cursor.eat(b' ') {
                true => Some(uid(cursor)?),
                false => None,
            };
            C::MessageLimit(most, uid)
        }
        b"METADATA" => C::Metadata(metadata_code(cursor)?),
        b"NOUPDATE" => C::NoUpdate(cursor.string()?),
        b"REFERRAL" => C::Referral(capabilities(cursor)),
        b"UNDEFINED-FILTER" => C::UndefinedFilter(cursor.atom()?),
        b"URLMECH" => {
            let mut names = capabilities(cursor);
            if names
                .first()
                .is_none_or(|name| !name.eq_ignore_ascii_case(b"INTERNAL"))
            {
                return cursor.fail("INTERNAL");
            }
            names.remove(0);
            C::UrlMech(names)
        }
        _ => return cursor.fail("a response code"),
    })
}

/// A number that is not 0, however many zeros stand before it.
fn some<T>(number: u32, new: fn(u32) -> Option<T>, cursor: &Cursor<'_>) -> Result<T> {
    new(number).map_or_else(|| cursor.fail("a number that is not zero"), Ok)
}

/// Names with blanks between them, and perhaps behind them.
pub(crate) fn capabilities(cursor: &mut Cursor<'_>) -> Vec<Bytes> {
    let words = cursor
        .rest()
        .split(|&o| o == b' ')
        .filter(|word| !word.is_empty());
    let all = words.map(|word| cursor.unit().slice_ref(word)).collect();
    while cursor.word(|_| true, "anything").is_ok() {}
    all
}
