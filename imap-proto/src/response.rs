//! Responses: what a server sends (RFC 9051 §7).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::flag::write_flags;
use crate::status::write_items;
use crate::text::{write_astring, write_list, write_nstring, write_string};
use crate::{ESearch, Flag, ListResponse, MailboxName, ResponseCode, StatusItem, Threads};

/// How a command ended, or what is told beside one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok,
    /// Not done.
    No,
    /// Not understood.
    Bad,
    /// The server closes.
    Bye,
}

/// An untagged response, without the `* ` before it. Those with sequence numbers are the server
/// machine's, which knows them.
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
    ESearch(ESearch),
    /// `SORT`
    Sort(Vec<u32>),
    /// `THREAD`
    Thread(Threads),
    /// `NAMESPACE` of one personal namespace: its prefix and its delimiter.
    Namespace(Bytes, char),
    /// `ID`
    Id(Vec<(Bytes, Option<Bytes>)>),
    /// `QUOTA`: the root, and each resource with its usage and its limit.
    Quota(Bytes, Vec<(Bytes, u64, u64)>),
    /// `QUOTAROOT`: a mailbox and its roots.
    QuotaRoot(MailboxName, Vec<Bytes>),
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
    });
    if let Some(code) = code {
        code.encode(output);
        output.write(b" ");
    }
    if text.is_empty() {
        // RFC 9051 §7.1: a text is not optional.
        output.write(b"-");
    }
    for octet in text {
        output.write(&[if octet.is_ascii_control() {
            b' '
        } else {
            *octet
        }]);
    }
    output.write(b"\r\n");
}

impl Response {
    /// Appends the whole line with its CRLF.
    pub fn encode(&self, output: &mut Output) {
        use core::fmt::Write as _;
        let words = |name: &[u8], words: &[Bytes], output: &mut Output| {
            output.write(name);
            for word in words {
                output.write(b" ");
                output.write(word);
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
            Self::Search(numbers, modseq) => {
                output.write(b"SEARCH");
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
            Self::Sort(numbers) => {
                output.write(b"SORT");
                for &number in numbers {
                    output.write(b" ");
                    output.write_number(u64::from(number));
                }
            }
            Self::Thread(threads) => {
                output.write(b"THREAD");
                threads.encode(output);
            }
            Self::Namespace(prefix, delimiter) => {
                output.write(b"NAMESPACE ((");
                write_string(prefix, output);
                let _ = write!(output, " \"{delimiter}\")) NIL NIL");
            }
            Self::Id(fields) => {
                output.write(b"ID ");
                if fields.is_empty() {
                    output.write(b"NIL");
                } else {
                    write_list(fields, output, |(name, value), output| {
                        write_string(name, output);
                        output.write(b" ");
                        write_nstring(value.as_deref(), output);
                    });
                }
            }
            Self::Quota(root, resources) => {
                output.write(b"QUOTA ");
                write_string(root, output);
                output.write(b" ");
                write_list(resources, output, |(name, usage, limit), output| {
                    output.write(name);
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
        }
        output.write(b"\r\n");
    }
}
