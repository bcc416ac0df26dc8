//! What a message must have, and how that is written.

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::plumbing::text::{write_astring, write_string};
use crate::plumbing::word::{write_atom, write_flag};
use crate::{Date, Flag, SequenceSet};

/// What a message must have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SearchKey {
    /// Nothing: `ALL`.
    All,
    /// A flag or keyword; with `false`, not.
    Flag(Flag, bool),
    /// `NEW`: `\Recent` and not `\Seen`.
    New,
    /// A header field of that name that holds the string; an empty one: that there is.
    Header(Bytes, Bytes),
    /// The string in the body.
    Body(Bytes),
    /// The string in header or body.
    Text(Bytes),
    /// INTERNALDATE before that day.
    Before(Date),
    /// On that day.
    On(Date),
    /// On that day or later.
    Since(Date),
    /// The Date field, before that day.
    SentBefore(Date),
    /// On that day.
    SentOn(Date),
    /// On that day or later.
    SentSince(Date),
    /// More octets than.
    Larger(u64),
    /// Fewer octets than.
    Smaller(u64),
    /// Sequence numbers.
    Sequence(SequenceSet),
    /// UIDs.
    Uid(SequenceSet),
    /// UIDs past that one (RFC 9738 §3.2).
    UidAfter(u32),
    /// UIDs below that one.
    UidBefore(u32),
    /// Changed at this mod-sequence or later.
    ModSeq(u64),
    /// The same, of one metadata item: its entry name and its kind (RFC 7162 §3.1.5).
    ModSeqOf(Box<(Bytes, Bytes, u64)>),
    /// Received so many seconds ago, or before.
    Older(u32),
    /// Received within so many seconds.
    Younger(u32),
    /// Of that EMAILID.
    EmailId(Bytes),
    /// Of that THREADID.
    ThreadId(Bytes),
    /// Put into the mailbox before that day.
    SavedBefore(Date),
    /// On that day.
    SavedOn(Date),
    /// On that day or later.
    SavedSince(Date),
    /// Whether the mailbox knows when messages were put into it.
    SaveDateSupported,
    /// What the filter of that name has.
    Filter(Bytes),
    /// As Gmail's own search has it.
    GmailRaw(Bytes),
    /// Of that X-GM-MSGID.
    GmailMessageId(u64),
    /// Of that X-GM-THRID.
    GmailThreadId(u64),
    /// With that label.
    GmailLabel(Bytes),
    /// Not exactly: as the server thinks best.
    Fuzzy(Box<Self>),
    /// Not.
    Not(Box<Self>),
    /// One of the two or both.
    Or(Box<(Self, Self)>),
    /// All of them.
    And(Vec<Self>),
}

/// What is still to be written of a key.
enum Todo<'a> {
    Key(&'a SearchKey),
    Octets(&'static [u8]),
}

impl SearchKey {
    /// Appends the key; at the top, all that must hold stand without parentheses. Nesting costs no
    /// stack.
    pub(crate) fn encode(&self, output: &mut Output) {
        let mut todo = Vec::new();
        match self {
            Self::And(keys) if !keys.is_empty() => push_all(keys, &mut todo),
            key => todo.push(Todo::Key(key)),
        }
        while let Some(next) = todo.pop() {
            match next {
                Todo::Octets(octets) => output.write(octets),
                Todo::Key(Self::Not(key)) => {
                    output.write(b"NOT ");
                    todo.push(Todo::Key(key));
                }
                Todo::Key(Self::Fuzzy(key)) => {
                    output.write(b"FUZZY ");
                    todo.push(Todo::Key(key));
                }
                Todo::Key(Self::Or(pair)) => {
                    output.write(b"OR ");
                    todo.push(Todo::Key(&pair.1));
                    todo.push(Todo::Octets(b" "));
                    todo.push(Todo::Key(&pair.0));
                }
                Todo::Key(Self::And(keys)) if !keys.is_empty() => {
                    output.write(b"(");
                    todo.push(Todo::Octets(b")"));
                    push_all(keys, &mut todo);
                }
                Todo::Key(key) => key.encode_simple(output),
            }
        }
    }

    fn encode_simple(&self, output: &mut Output) {
        let text = |name: &[u8], text: &[u8], output: &mut Output| {
            output.write(name);
            write_astring(text, output);
        };
        let day = |name: &[u8], day: &Date, output: &mut Output| {
            output.write(name);
            day.encode(output);
        };
        let number = |name: &[u8], number: u64, output: &mut Output| {
            output.write(name);
            output.write_number(number);
        };
        match self {
            Self::All | Self::Not(_) | Self::Or(_) | Self::And(_) | Self::Fuzzy(_) => {
                output.write(b"ALL");
            }
            Self::Flag(flag, is) => encode_flag(flag, *is, output),
            Self::New => output.write(b"NEW"),
            Self::Header(name, value) => {
                let fields = ["Bcc", "Cc", "From", "Subject", "To"];
                let known = fields.into_iter().find(|field| field.as_bytes() == name);
                match known {
                    Some(name) => output.write(name.to_ascii_uppercase().as_bytes()),
                    None => text(b"HEADER ", name, output),
                }
                text(b" ", value, output);
            }
            Self::Body(value) => text(b"BODY ", value, output),
            Self::Text(value) => text(b"TEXT ", value, output),
            Self::Before(date) => day(b"BEFORE ", date, output),
            Self::On(date) => day(b"ON ", date, output),
            Self::Since(date) => day(b"SINCE ", date, output),
            Self::SentBefore(date) => day(b"SENTBEFORE ", date, output),
            Self::SentOn(date) => day(b"SENTON ", date, output),
            Self::SentSince(date) => day(b"SENTSINCE ", date, output),
            Self::Larger(octets) => number(b"LARGER ", *octets, output),
            Self::Smaller(octets) => number(b"SMALLER ", *octets, output),
            Self::Sequence(set) => set.encode(output),
            Self::Uid(set) => {
                output.write(b"UID ");
                set.encode(output);
            }
            Self::UidAfter(uid) => number(b"UIDAFTER ", u64::from(*uid), output),
            Self::UidBefore(uid) => number(b"UIDBEFORE ", u64::from(*uid), output),
            Self::ModSeq(modseq) => number(b"MODSEQ ", *modseq, output),
            Self::ModSeqOf(of) => {
                let (entry, kind, modseq) = &**of;
                output.write(b"MODSEQ ");
                write_string(entry, output);
                output.write(b" ");
                write_atom(kind, output);
                number(b" ", *modseq, output);
            }
            Self::Older(seconds) => number(b"OLDER ", u64::from(*seconds), output),
            Self::Younger(seconds) => number(b"YOUNGER ", u64::from(*seconds), output),
            Self::EmailId(id) => text(b"EMAILID ", id, output),
            Self::ThreadId(id) => text(b"THREADID ", id, output),
            Self::SavedBefore(date) => day(b"SAVEDBEFORE ", date, output),
            Self::SavedOn(date) => day(b"SAVEDON ", date, output),
            Self::SavedSince(date) => day(b"SAVEDSINCE ", date, output),
            Self::SaveDateSupported => output.write(b"SAVEDATESUPPORTED"),
            Self::Filter(name) => text(b"FILTER ", name, output),
            Self::GmailRaw(query) => text(b"X-GM-RAW ", query, output),
            Self::GmailMessageId(id) => number(b"X-GM-MSGID ", *id, output),
            Self::GmailThreadId(id) => number(b"X-GM-THRID ", *id, output),
            Self::GmailLabel(label) => text(b"X-GM-LABELS ", label, output),
        }
    }

    /// Whether message sequence numbers are in it (RFC 9051 §5.5).
    #[must_use]
    pub fn has_sequence(&self) -> bool {
        let mut todo = Vec::from([self]);
        while let Some(key) = todo.pop() {
            match key {
                Self::Sequence(set) if !set.is_saved() => return true,
                Self::Not(key) | Self::Fuzzy(key) => todo.push(key),
                Self::Or(keys) => todo.extend([&keys.0, &keys.1]),
                Self::And(keys) => todo.extend(keys),
                _ => {}
            }
        }
        false
    }

    /// Whether MODSEQ is in it, so that the result names the highest (RFC 7162 §3.1.5).
    #[must_use]
    pub fn has_modseq(&self) -> bool {
        self.any(&|key| matches!(key, Self::ModSeq(_) | Self::ModSeqOf(_)))
    }

    /// Whether it or any key within it is such a one.
    #[must_use]
    pub fn any(&self, is: &dyn Fn(&Self) -> bool) -> bool {
        let mut todo = Vec::from([self]);
        while let Some(key) = todo.pop() {
            if is(key) {
                return true;
            }
            match key {
                Self::Not(key) | Self::Fuzzy(key) => todo.push(key),
                Self::Or(keys) => todo.extend([&keys.0, &keys.1]),
                Self::And(keys) => todo.extend(keys),
                _ => {}
            }
        }
        false
    }
}

fn push_all<'a>(keys: &'a [SearchKey], todo: &mut Vec<Todo<'a>>) {
    for (index, key) in keys.iter().enumerate().rev() {
        todo.push(Todo::Key(key));
        if index > 0 {
            todo.push(Todo::Octets(b" "));
        }
    }
}

fn encode_flag(flag: &Flag, is: bool, output: &mut Output) {
    let un: &[u8] = if is { b"" } else { b"UN" };
    let name: &[u8] = match flag {
        Flag::Recent if is => return output.write(b"RECENT"),
        Flag::Recent => return output.write(b"OLD"),
        Flag::Answered => b"ANSWERED",
        Flag::Deleted => b"DELETED",
        Flag::Draft => b"DRAFT",
        Flag::Flagged => b"FLAGGED",
        Flag::Seen => b"SEEN",
        Flag::Any | Flag::Extension(_) | Flag::Keyword(_) => b"KEYWORD ",
    };
    output.write(un);
    output.write(name);
    if name.ends_with(b" ") {
        write_flag(flag.as_bytes(), output);
    }
}
