//! Responses: what a server sends (RFC 9051 §7).

mod parse;
pub(crate) mod response_code;

pub(crate) use parse::{Frequent, is_text};

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::command::write_id;
use crate::plumbing::text::{write_astring, write_list, write_string};
use crate::plumbing::word::{write_rest, write_tag, write_word};
use crate::value::flag::write_flags;
use crate::value::sequence_set::write_ranges;
use crate::value::status::write_items;
use crate::{
    Acl, Batches, Comparator, Conversion, Converted, ESearch, FetchItem, Flag, ListResponse,
    ListRights, MailboxName, Metadata, Namespaces, ResponseCode, Rights, SequenceNumber,
    StatusItem, Threads, Uid, command::language, command::url_auth,
};

/// How a command ended, or what is said beside one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "its parts are the grammar's")]
pub enum Status {
    /// Done.
    Ok,
    /// Not done.
    No,
    /// Not understood.
    Bad,
    /// The server closes.
    Bye,
    /// A greeting: the client is logged in already.
    PreAuth,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Completion {
    /// OK, NO or BAD.
    pub status: Status,
    /// What it says to programs.
    pub code: Option<ResponseCode>,
    /// What it says to people.
    pub text: Bytes,
}

/// What a server sends: one response with its CRLF, literals inside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "its parts are the grammar's")]
pub enum Received {
    /// `+`: the client may go on with its command.
    Continuation(Bytes),
    /// `*`: beside commands.
    Untagged(Response),
    /// The end of the command with that tag.
    Tagged(Bytes, Completion),
}

/// An untagged response, without the `* ` before it. In the server those with sequence numbers are
/// the machine's to send, which knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response {
    /// `OK`, `NO`, `BAD`, `BYE`
    Status(Status, Option<ResponseCode>, Bytes),
    /// `CAPABILITY`
    Capability(Vec<Bytes>),
    /// `ENABLED`
    Enabled(Vec<Bytes>),
    /// `FLAGS`
    Flags(Vec<Flag>),
    /// `LIST`
    List(ListResponse),
    /// `LSUB`
    Lsub(ListResponse),
    /// `STATUS`
    MailboxStatus(MailboxName, Vec<StatusItem>),
    /// `SEARCH`: numbers, and the highest mod-sequence among them.
    Search(Vec<u32>, Option<u64>),
    /// `ESEARCH`
    ESearch(Box<ESearch>),
    /// `SORT`: numbers in their order, and the highest mod-sequence among them.
    Sort(Vec<u32>, Option<u64>),
    /// `THREAD`
    Thread(Threads),
    /// `NAMESPACE`
    Namespace(Namespaces),
    /// `ID`
    Id(Vec<(Bytes, Option<Bytes>)>),
    /// `QUOTA`: the root, and each resource with its usage and its limit.
    Quota(Bytes, Vec<(Bytes, u64, u64)>),
    /// `QUOTAROOT`: a mailbox and its roots.
    QuotaRoot(MailboxName, Vec<Bytes>),
    /// `EXISTS`: so many messages there are.
    Exists(u32),
    /// `RECENT` (RFC 3501)
    Recent(u32),
    /// `EXPUNGE`: that sequence number is gone, and all above it are one lower.
    Expunge(SequenceNumber),
    /// `VANISHED` (RFC 7162): UIDs that are gone, as ranges; `earlier` ones before this SELECT or
    /// FETCH.
    Vanished {
        /// Not from the messages that are counted now.
        earlier: bool,
        /// Both ends inclusive.
        uids: Vec<(u32, u32)>,
    },
    /// `FETCH`: a sequence number, and data of the message.
    Fetch(SequenceNumber, Vec<FetchItem>),
    /// `UIDFETCH`: the same by its UID, where only UIDs are used (RFC 9586).
    UidFetch(Uid, Vec<FetchItem>),
    /// `ACL` (RFC 4314)
    Acl(Acl),
    /// `LISTRIGHTS`
    ListRights(ListRights),
    /// `MYRIGHTS`
    MyRights(MailboxName, Rights),
    /// `METADATA` (RFC 5464); the empty name is the server.
    Metadata(MailboxName, Metadata),
    /// `LANGUAGE` (RFC 5255): the one in use, or all there are.
    Language(Vec<Bytes>),
    /// `COMPARATOR`
    Comparator(Comparator),
    /// `UIDBATCHES` (RFC 10022)
    UidBatches(Batches),
    /// `JMAPACCESS` (RFC 9698): where the same mail is.
    JmapAccess(Bytes),
    /// `GENURLAUTH` (RFC 4467)
    GenUrlAuth(Vec<Bytes>),
    /// `URLFETCH`: URLs and what they lead to.
    UrlFetch(Vec<(Bytes, Option<Bytes>)>),
    /// `CONVERTED` (RFC 5259)
    Converted(Converted),
    /// `CONVERSION`
    Conversion(Conversion),
    /// Another one, or one that is not as the RFC has it, as it was sent, without `* ` and CRLF.
    Other(Bytes),
}

/// Appends `OK [CODE] text`.
pub(crate) fn write_status(
    status: Status,
    code: Option<&ResponseCode>,
    text: &[u8],
    output: &mut Output,
) {
    output.write(match status {
        Status::Ok => b"OK ",
        Status::No => b"NO ",
        Status::Bad => b"BAD ",
        Status::Bye => b"BYE ",
        Status::PreAuth => b"PREAUTH ",
    });
    if let Some(code) = code {
        code.encode(output);
        output.write(b" ");
    }
    if text.is_empty() {
        // RFC 9051 §7.1: a text is not optional.
        output.write(b"-");
    }
    // A text that begins as a code does would be one.
    let text = match text.split_first() {
        Some((b'[', rest)) if code.is_none() && memchr::memchr(b']', rest).is_some() => {
            output.note_replaced();
            output.write(b"(");
            rest
        }
        _ => text,
    };
    output.write_only(text, |octet| !octet.is_ascii_control(), b' ');
    output.write(b"\r\n");
}

impl Response {
    /// The same with its mailbox names in UTF-8, for a client that has enabled IMAP4rev2 or UTF8=ACCEPT.
    #[must_use]
    pub fn in_utf8(mut self) -> Self {
        let name = match &mut self {
            Self::List(list) | Self::Lsub(list) => {
                if let Some(name) = list.old_name.as_deref_mut() {
                    *name = name.clone().in_utf8();
                }
                &mut list.name
            }
            Self::MailboxStatus(name, _)
            | Self::QuotaRoot(name, _)
            | Self::MyRights(name, _)
            | Self::Metadata(name, _) => name,
            Self::Acl(acl) => &mut acl.mailbox,
            Self::ListRights(rights) => &mut rights.mailbox,
            Self::ESearch(esearch) => match &mut esearch.mailbox {
                Some((name, _)) => name,
                None => return self,
            },
            Self::Namespace(all) => {
                let kinds = [&mut all.personal, &mut all.other_users, &mut all.shared];
                for one in kinds.into_iter().flatten() {
                    one.prefix = one.prefix.clone().in_utf8();
                }
                return self;
            }
            _ => return self,
        };
        *name = name.clone().in_utf8();
        self
    }

    /// Appends the whole line with its CRLF.
    pub fn encode(&self, output: &mut Output) {
        use core::fmt::Write as _;
        let words = |name: &[u8], words: &[Bytes], output: &mut Output| {
            output.write(name);
            for word in words {
                output.write(b" ");
                write_word(word, output);
            }
        };
        output.write(b"* ");
        match self {
            Self::Status(status, code, text) => {
                return write_status(*status, code.as_ref(), text, output);
            }
            Self::Capability(all) => words(b"CAPABILITY", all, output),
            Self::Enabled(all) => words(b"ENABLED", all, output),
            Self::Flags(flags) => {
                output.write(b"FLAGS ");
                write_flags(flags, output);
            }
            Self::List(list) => {
                output.write(b"LIST ");
                list.encode(output);
            }
            Self::Lsub(list) => {
                output.write(b"LSUB ");
                list.encode(output);
            }
            Self::MailboxStatus(mailbox, items) => {
                output.write(b"STATUS ");
                mailbox.encode(output);
                output.write(b" ");
                write_items(items, output);
            }
            Self::Search(numbers, modseq) | Self::Sort(numbers, modseq) => {
                let sorted = matches!(self, Self::Sort(..));
                output.write(if sorted { b"SORT" } else { b"SEARCH" });
                for &number in numbers {
                    output.write(b" ");
                    output.write_number(u64::from(number));
                }
                if let Some(modseq) = modseq {
                    let _ = write!(output, " (MODSEQ {modseq})");
                }
            }
            Self::ESearch(esearch) => {
                output.write(b"ESEARCH");
                esearch.encode(output);
            }
            Self::Thread(threads) => {
                output.write(b"THREAD");
                threads.encode(output);
            }
            Self::Namespace(all) => {
                output.write(b"NAMESPACE");
                all.encode(output);
            }
            Self::Id(fields) => {
                output.write(b"ID ");
                write_id(fields, output);
            }
            Self::Quota(root, resources) => {
                output.write(b"QUOTA ");
                write_string(root, output);
                output.write(b" ");
                write_list(resources, output, |(name, usage, limit), output| {
                    write_word(name, output);
                    let _ = write!(output, " {usage} {limit}");
                });
            }
            Self::QuotaRoot(mailbox, roots) => {
                output.write(b"QUOTAROOT ");
                mailbox.encode(output);
                for root in roots {
                    output.write(b" ");
                    // `""` is the usual root: quoted, always.
                    if root.is_empty() {
                        output.write(b"\"\"");
                    } else {
                        write_astring(root, output);
                    }
                }
            }
            Self::Exists(count) => _ = write!(output, "{count} EXISTS"),
            Self::Recent(count) => _ = write!(output, "{count} RECENT"),
            Self::Expunge(sequence) => _ = write!(output, "{sequence} EXPUNGE"),
            Self::Vanished { earlier, uids } => {
                output.write(if *earlier {
                    b"VANISHED (EARLIER) "
                } else {
                    b"VANISHED "
                });
                write_ranges(uids, output);
            }
            Self::Fetch(sequence, items) => {
                let _ = write!(output, "{sequence} FETCH ");
                write_list(items, output, FetchItem::encode);
            }
            Self::UidFetch(uid, items) => {
                let _ = write!(output, "{uid} UIDFETCH ");
                write_list(items, output, FetchItem::encode);
            }
            Self::Acl(acl) => {
                output.write(b"ACL ");
                acl.encode(output);
            }
            Self::ListRights(rights) => {
                output.write(b"LISTRIGHTS ");
                rights.encode(output);
            }
            Self::MyRights(mailbox, rights) => {
                output.write(b"MYRIGHTS ");
                mailbox.encode(output);
                output.write(b" ");
                rights.encode(output);
            }
            Self::Metadata(mailbox, metadata) => {
                output.write(b"METADATA ");
                mailbox.encode(output);
                output.write(b" ");
                metadata.encode(output);
            }
            Self::Language(languages) => {
                output.write(b"LANGUAGE ");
                language::write_languages(languages, output);
            }
            Self::Comparator(comparator) => {
                output.write(b"COMPARATOR ");
                comparator.encode(output);
            }
            Self::UidBatches(batches) => {
                output.write(b"UIDBATCHES");
                batches.encode(output);
            }
            Self::JmapAccess(url) => {
                output.write(b"JMAPACCESS ");
                write_string(url, output);
            }
            Self::GenUrlAuth(urls) => {
                output.write(b"GENURLAUTH");
                url_auth::write_urls(urls, output);
            }
            Self::UrlFetch(fetched) => {
                output.write(b"URLFETCH");
                url_auth::write_fetched(fetched, output);
            }
            Self::Converted(converted) => converted.encode(output),
            Self::Conversion(conversion) => {
                output.write(b"CONVERSION ");
                conversion.encode(output);
            }
            Self::Other(text) => write_rest(text, output),
        }
        output.write(b"\r\n");
    }
}

impl Received {
    /// Appends the whole line with its CRLF.
    pub fn encode(&self, output: &mut Output) {
        match self {
            Self::Continuation(text) => {
                output.write(b"+ ");
                output.write_only(text, |octet| !octet.is_ascii_control(), b' ');
                output.write(b"\r\n");
            }
            Self::Untagged(response) => response.encode(output),
            Self::Tagged(tag, end) => {
                write_tag(tag, output);
                output.write(b" ");
                write_status(end.status, end.code.as_ref(), &end.text, output);
            }
        }
    }
}
