//! Commands: what a client sends (RFC 9051 §6 and the extensions).

pub(crate) mod append;
pub(crate) mod convert;
mod encode;
pub(crate) mod fetch;
pub(crate) mod language;
pub(crate) mod list;
pub(crate) mod metadata;
mod name;
mod needs;
pub(crate) mod notify;
pub(crate) mod search;
pub(crate) mod sort;
pub(crate) mod store;
pub(crate) mod thread;
pub(crate) mod uid_batches;
pub(crate) mod url_auth;

pub(crate) use encode::write_id;
pub use needs::Needs;

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::{SaslLine, Secret, decode_sasl};

use crate::command::fetch::{Fetch, fetch};
use crate::command::list::{List, Pattern, list, lsub};
use crate::command::search::{Search, search};
use crate::command::sort::{Sort, sort};
use crate::command::store::{Store, Stored, store};
use crate::command::thread::{Thread, thread};
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::is_tag_char;
use crate::plumbing::text::nz_number;
use crate::value::mailbox::{MailboxName, mailbox};
use crate::value::mailbox_filter::mailbox_filter;
use crate::value::sequence_set::{own_set, sequence_set};
use crate::value::status::{StatusAttribute, attributes};
use crate::{
    Convert, GetMetadata, LabelStore, Limits, MailboxFilter, Notify, Numbers, ResetKey,
    SequenceSet, SetAcl, SyntaxError, UidBatches, value::acl,
};

/// A command with its tag.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Tagged {
    /// What its end will be sent under.
    pub tag: Bytes,
    /// The command.
    pub command: Command,
}

/// AUTHENTICATE.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Authenticate {
    /// In upper case.
    pub mechanism: Bytes,
    /// SASL-IR (RFC 4959), decoded; `=` is an empty one.
    pub initial: Option<Secret>,
}

/// The QRESYNC parameter of SELECT (RFC 7162 §3.2.5): send what changed since.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct QResync {
    /// UIDVALIDITY, as it was.
    pub uid_validity: u32,
    /// The mod-sequence since when.
    pub modseq: u64,
    /// UIDs that the client has; all, when it does not say.
    pub known_uids: Option<SequenceSet>,
    /// Sequence numbers and the UIDs they had, for servers that keep no record of what is gone.
    pub sequence_match: Option<(SequenceSet, SequenceSet)>,
}

/// A command. APPEND is not among them: its message streams (see `server`). What has several arguments names them.
#[derive(Debug)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are the RFCs'")]
pub enum Command {
    Capability,
    Noop,
    Logout,
    /// Field names and values (RFC 2971).
    Id(Vec<(Bytes, Option<Bytes>)>),
    StartTls,
    Login {
        name: Bytes,
        password: Secret,
    },
    Authenticate(Authenticate),
    /// Capabilities, as sent (RFC 5161).
    Enable(Vec<Bytes>),
    /// SELECT, or EXAMINE when `read_only`.
    Select {
        mailbox: MailboxName,
        read_only: bool,
        condstore: bool,
        qresync: Option<QResync>,
    },
    /// With the special uses asked for (RFC 6154).
    Create {
        mailbox: MailboxName,
        special_uses: Vec<Bytes>,
    },
    Delete(MailboxName),
    Rename {
        from: MailboxName,
        to: MailboxName,
    },
    Subscribe(MailboxName),
    Unsubscribe(MailboxName),
    List(List),
    Lsub {
        reference: MailboxName,
        pattern: Pattern,
    },
    Namespace,
    Status {
        mailbox: MailboxName,
        attributes: Vec<StatusAttribute>,
    },
    Idle,
    GetQuota(Bytes),
    GetQuotaRoot(MailboxName),
    /// The root, and each resource with its limit.
    SetQuota {
        root: Bytes,
        limits: Vec<(Bytes, u64)>,
    },
    Check,
    Close,
    Unselect,
    /// All, or those UIDs (RFC 4315).
    Expunge(Option<SequenceSet>),
    Search {
        search: Search,
        numbers: Numbers,
    },
    Sort {
        sort: Sort,
        numbers: Numbers,
    },
    Thread {
        thread: Thread,
        numbers: Numbers,
    },
    Fetch {
        fetch: Fetch,
        numbers: Numbers,
    },
    Store {
        store: Store,
        numbers: Numbers,
    },
    Copy {
        set: SequenceSet,
        mailbox: MailboxName,
        numbers: Numbers,
    },
    Move {
        set: SequenceSet,
        mailbox: MailboxName,
        numbers: Numbers,
    },
    /// RFC 8437: logged in no more, the connection stays.
    Unauthenticate,
    /// COMPRESS, and how (RFC 4978).
    Compress(Bytes),
    /// Ranges of languages (RFC 5255); none asks which there are.
    Language(Vec<Bytes>),
    /// Ranges of comparators; none asks for the one in use.
    Comparator(Vec<Bytes>),
    GetAcl(MailboxName),
    SetAcl(SetAcl),
    DeleteAcl {
        mailbox: MailboxName,
        identifier: Bytes,
    },
    ListRights {
        mailbox: MailboxName,
        identifier: Bytes,
    },
    MyRights(MailboxName),
    GetMetadata(GetMetadata),
    /// Entries and their values; `None` removes one. The empty name is the server.
    SetMetadata {
        mailbox: MailboxName,
        entries: Vec<(Bytes, Option<Bytes>)>,
    },
    Notify(Notify),
    /// Tags of searches that were to be reported (RFC 5267).
    CancelUpdate(Vec<Bytes>),
    /// ESEARCH: in several mailboxes, in the selected one when it names none (RFC 7377).
    ESearch {
        sources: Vec<MailboxFilter>,
        search: Search,
    },
    UidBatches(UidBatches),
    GetJmapAccess,
    StoreLabels {
        store: LabelStore,
        numbers: Numbers,
    },
    /// RFC 2193: LIST with mailboxes that are elsewhere.
    RList {
        reference: MailboxName,
        pattern: Pattern,
    },
    RLsub {
        reference: MailboxName,
        pattern: Pattern,
    },
    /// Gmail's LIST of before there were special uses.
    XList {
        reference: MailboxName,
        pattern: Pattern,
    },
    /// URLs and mechanisms (RFC 4467).
    GenUrlAuth(Vec<(Bytes, Bytes)>),
    ResetKey(ResetKey),
    UrlFetch(Vec<Bytes>),
    Convert {
        convert: Convert,
        numbers: Numbers,
    },
    /// From which media type, and to which (RFC 5259).
    Conversions {
        from: Bytes,
        to: Bytes,
    },
}

impl Command {
    /// SELECT.
    #[must_use]
    pub fn select(mailbox: MailboxName) -> Self {
        Self::Select {
            mailbox,
            read_only: false,
            condstore: false,
            qresync: None,
        }
    }

    /// EXAMINE.
    #[must_use]
    pub fn examine(mailbox: MailboxName) -> Self {
        Self::Select {
            mailbox,
            read_only: true,
            condstore: false,
            qresync: None,
        }
    }

    /// CREATE.
    #[must_use]
    pub fn create(mailbox: MailboxName) -> Self {
        let special_uses = Vec::new();
        Self::Create {
            mailbox,
            special_uses,
        }
    }

    /// UID FETCH.
    #[must_use]
    pub fn uid_fetch(
        set: SequenceSet,
        attributes: impl IntoIterator<Item = crate::FetchAttribute>,
    ) -> Self {
        let fetch = Fetch::new(set, attributes);
        Self::Fetch {
            fetch,
            numbers: Numbers::Uid,
        }
    }
}

impl Tagged {
    /// Reads a whole command, given without its last CRLF, literals inside.
    ///
    /// # Errors
    /// [`SyntaxError`] has the tag, when that could be read.
    pub fn parse(unit: &Bytes, limits: &Limits) -> core::result::Result<Self, SyntaxError> {
        Self::parse_as(unit, limits, false)
    }

    /// As [`parse`](Self::parse), from a client that has enabled IMAP4rev2 or UTF8=ACCEPT when `utf8`:
    /// mailbox names are UTF-8.
    ///
    /// # Errors
    /// As `parse`.
    pub fn parse_as(
        unit: &Bytes,
        limits: &Limits,
        utf8: bool,
    ) -> core::result::Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(unit);
        cursor.set_utf8(utf8);
        cursor.set_of_command();
        let tag = cursor.word(is_tag_char, "a tag");
        let tag = tag.map_err(|fault| fault.of_command(None, unit))?;
        let tag = unit.slice_ref(tag);
        let parsed = cursor.sp().and_then(|()| {
            let command = command(&mut cursor, limits)?;
            cursor.end()?;
            Ok(command)
        });
        match parsed {
            Ok(command) => Ok(Self { tag, command }),
            Err(fault) => Err(fault.of_command(Some(tag), unit)),
        }
    }
}

type Arguments = fn(&mut Cursor<'_>, &Limits) -> Result<Command>;

fn command(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<Command> {
    let start = cursor.clone();
    let mut upper = [0_u8; 16];
    let word = cursor.word(|o| o.is_ascii_alphabetic(), "a command")?;
    let Some(upper) = upper.get_mut(..word.len()) else {
        return start.fail("a command");
    };
    upper.copy_from_slice(word);
    upper.make_ascii_uppercase();
    if let Some(command) = alone(upper) {
        return Ok(command);
    }
    match &*upper {
        // What these may have behind them has its blank.
        b"LANGUAGE" => return language::ranges(cursor).map(Command::Language),
        b"COMPARATOR" => return language::ranges(cursor).map(Command::Comparator),
        b"RESETKEY" => return url_auth::reset_key(cursor).map(Command::ResetKey),
        _ => {}
    }
    let Some(arguments) = arguments(upper) else {
        return start.fail("a command");
    };
    cursor.sp()?;
    arguments(cursor, limits)
}

/// A command without arguments.
fn alone(name: &[u8]) -> Option<Command> {
    Some(match name {
        b"CAPABILITY" => Command::Capability,
        b"NOOP" => Command::Noop,
        b"LOGOUT" => Command::Logout,
        b"STARTTLS" => Command::StartTls,
        b"NAMESPACE" => Command::Namespace,
        b"IDLE" => Command::Idle,
        b"CHECK" => Command::Check,
        b"CLOSE" => Command::Close,
        b"UNSELECT" => Command::Unselect,
        b"EXPUNGE" => Command::Expunge(None),
        b"UNAUTHENTICATE" => Command::Unauthenticate,
        b"GETJMAPACCESS" => Command::GetJmapAccess,
        _ => return None,
    })
}

/// Who reads the arguments of a command, behind its blank.
fn arguments(name: &[u8]) -> Option<Arguments> {
    Some(match name {
        b"UID" => uid,
        b"SEARCH" => |c, l| numbered(c, b"SEARCH", Numbers::Sequence, l),
        b"SORT" => |c, l| numbered(c, b"SORT", Numbers::Sequence, l),
        b"THREAD" => |c, l| numbered(c, b"THREAD", Numbers::Sequence, l),
        b"FETCH" => |c, l| numbered(c, b"FETCH", Numbers::Sequence, l),
        b"STORE" => |c, l| numbered(c, b"STORE", Numbers::Sequence, l),
        b"COPY" => |c, l| numbered(c, b"COPY", Numbers::Sequence, l),
        b"MOVE" => |c, l| numbered(c, b"MOVE", Numbers::Sequence, l),
        b"CONVERT" => |c, l| numbered(c, b"CONVERT", Numbers::Sequence, l),
        b"ID" => |c, _| id(c),
        b"LOGIN" => |c, _| login(c),
        b"AUTHENTICATE" => |c, _| authenticate(c),
        b"ENABLE" => |c, _| words(c, Cursor::atom).map(Command::Enable),
        b"COMPRESS" => |c, _| c.atom().map(Command::Compress),
        b"SELECT" => |c, _| select(c, false),
        b"EXAMINE" => |c, _| select(c, true),
        b"CREATE" => |c, _| create(c),
        b"DELETE" => |c, _| mailbox(c).map(Command::Delete),
        b"RENAME" => |c, _| rename(c),
        b"SUBSCRIBE" => |c, _| mailbox(c).map(Command::Subscribe),
        b"UNSUBSCRIBE" => |c, _| mailbox(c).map(Command::Unsubscribe),
        b"LIST" => |c, l| list(c, l).map(Command::List),
        b"LSUB" => {
            |c, l| lsub(c, l).map(|(reference, pattern)| Command::Lsub { reference, pattern })
        }
        b"RLIST" => {
            |c, l| lsub(c, l).map(|(reference, pattern)| Command::RList { reference, pattern })
        }
        b"RLSUB" => {
            |c, l| lsub(c, l).map(|(reference, pattern)| Command::RLsub { reference, pattern })
        }
        b"XLIST" => {
            |c, l| lsub(c, l).map(|(reference, pattern)| Command::XList { reference, pattern })
        }
        b"STATUS" => |c, _| {
            let mailbox = mailbox(c)?;
            c.sp()?;
            let attributes = attributes(c)?;
            Ok(Command::Status {
                mailbox,
                attributes,
            })
        },
        b"GETQUOTA" => |c, _| c.astring().map(Command::GetQuota),
        b"GETQUOTAROOT" => |c, _| mailbox(c).map(Command::GetQuotaRoot),
        b"SETQUOTA" => |c, _| set_quota(c),
        b"GETACL" => |c, _| mailbox(c).map(Command::GetAcl),
        b"SETACL" => |c, _| acl::set_acl(c).map(Command::SetAcl),
        b"DELETEACL" => |c, _| {
            acl::named(c).map(|(mailbox, identifier)| Command::DeleteAcl {
                mailbox,
                identifier,
            })
        },
        b"LISTRIGHTS" => |c, _| {
            acl::named(c).map(|(mailbox, identifier)| Command::ListRights {
                mailbox,
                identifier,
            })
        },
        b"MYRIGHTS" => |c, _| mailbox(c).map(Command::MyRights),
        b"GETMETADATA" => |c, _| metadata::get_metadata(c).map(Command::GetMetadata),
        b"SETMETADATA" => |c, _| {
            let mailbox = mailbox(c)?;
            c.sp()?;
            let entries = metadata::values(c)?;
            Ok(Command::SetMetadata { mailbox, entries })
        },
        b"NOTIFY" => |c, _| notify::notify(c).map(Command::Notify),
        b"CANCELUPDATE" => |c, _| words(c, Cursor::string).map(Command::CancelUpdate),
        b"ESEARCH" => |c, l| multi_search(c, l),
        b"UIDBATCHES" => |c, _| uid_batches::uid_batches(c).map(Command::UidBatches),
        b"GENURLAUTH" => |c, _| url_auth::rumps(c).map(Command::GenUrlAuth),
        b"URLFETCH" => |c, _| url_auth::urls(c).map(Command::UrlFetch),
        b"CONVERSIONS" => |c, _| {
            let from = c.astring()?;
            c.sp()?;
            let to = c.astring()?;
            Ok(Command::Conversions { from, to })
        },
        _ => return None,
    })
}

/// One or more, with a blank between them.
fn words<'a>(
    cursor: &mut Cursor<'a>,
    word: impl Fn(&mut Cursor<'a>) -> Result<Bytes>,
) -> Result<Vec<Bytes>> {
    let mut words = Vec::from([word(cursor)?]);
    while cursor.eat(b' ') {
        words.push(word(cursor)?);
    }
    Ok(words)
}

fn login(cursor: &mut Cursor<'_>) -> Result<Command> {
    let name = cursor.astring()?;
    cursor.sp()?;
    let password = Secret::from(cursor.astring()?.to_vec());
    Ok(Command::Login { name, password })
}

fn rename(cursor: &mut Cursor<'_>) -> Result<Command> {
    let from = mailbox(cursor)?;
    cursor.sp()?;
    let to = mailbox(cursor)?;
    Ok(Command::Rename { from, to })
}

fn set_quota(cursor: &mut Cursor<'_>) -> Result<Command> {
    let root = cursor.astring()?;
    cursor.sp()?;
    let limits = cursor.list(true, |cursor| {
        let name = cursor.atom()?;
        cursor.sp()?;
        Ok((name, cursor.number64()?))
    })?;
    Ok(Command::SetQuota { root, limits })
}

/// Behind `ESEARCH `.
fn multi_search(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<Command> {
    let mut sources = Vec::new();
    if cursor.eat_prefix("IN (") {
        loop {
            sources.push(mailbox_filter(cursor)?);
            if cursor.eat(b')') {
                break;
            }
            cursor.sp()?;
        }
        if sources.contains(&MailboxFilter::SelectedDelayed) {
            // RFC 7377 §4.
            return cursor.fail("no selected-delayed");
        }
        cursor.sp()?;
    }
    let search = search(cursor, limits.nesting)?;
    Ok(Command::ESearch { sources, search })
}

fn uid(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<Command> {
    for name in [
        "SEARCH", "SORT", "THREAD", "FETCH", "STORE", "COPY", "MOVE", "CONVERT", "EXPUNGE",
    ] {
        if cursor.eat_word(name) {
            cursor.sp()?;
            if name == "EXPUNGE" {
                return sequence_set(cursor).map(|set| Command::Expunge(Some(set)));
            }
            return numbered(cursor, name.as_bytes(), Numbers::Uid, limits);
        }
    }
    cursor.fail("a command that UID goes with")
}

/// The commands that UID goes with.
fn numbered(
    cursor: &mut Cursor<'_>,
    name: &[u8],
    numbers: Numbers,
    limits: &Limits,
) -> Result<Command> {
    match name {
        b"SEARCH" => {
            search(cursor, limits.nesting).map(|search| Command::Search { search, numbers })
        }
        b"SORT" => sort(cursor, limits.nesting).map(|sort| Command::Sort { sort, numbers }),
        b"THREAD" => {
            thread(cursor, limits.nesting).map(|thread| Command::Thread { thread, numbers })
        }
        b"FETCH" => fetch(cursor).map(|fetch| Command::Fetch { fetch, numbers }),
        b"STORE" => Ok(match store(cursor)? {
            Stored::Flags(store) => Command::Store { store, numbers },
            Stored::Labels(store) => Command::StoreLabels { store, numbers },
        }),
        b"CONVERT" => convert::convert(cursor).map(|convert| Command::Convert { convert, numbers }),
        name => {
            let set = sequence_set(cursor)?;
            cursor.sp()?;
            let mailbox = mailbox(cursor)?;
            Ok(match name {
                b"COPY" => Command::Copy {
                    set,
                    mailbox,
                    numbers,
                },
                _ => Command::Move {
                    set,
                    mailbox,
                    numbers,
                },
            })
        }
    }
}

fn id(cursor: &mut Cursor<'_>) -> Result<Command> {
    if cursor.eat_word("NIL") {
        return Ok(Command::Id(Vec::new()));
    }
    let fields = cursor.list(true, |cursor| {
        let name = cursor.string()?;
        cursor.sp()?;
        Ok((name, cursor.nstring()?))
    })?;
    if fields.len() > 30 {
        // RFC 2971 §3.3
        return cursor.fail("at most 30 fields");
    }
    Ok(Command::Id(fields))
}

fn authenticate(cursor: &mut Cursor<'_>) -> Result<Command> {
    let name = cursor.atom()?;
    let mechanism = Bytes::from(name.to_ascii_uppercase());
    let mut initial = None;
    if cursor.eat(b' ') {
        let text = cursor.word(|o| o.is_ascii_graphic(), "base64")?;
        initial = match decode_sasl(text) {
            Ok(SaslLine::Response(response)) => Some(response),
            _ => return cursor.fail("base64"),
        };
    }
    Ok(Command::Authenticate(Authenticate { mechanism, initial }))
}

fn select(cursor: &mut Cursor<'_>, read_only: bool) -> Result<Command> {
    let mailbox = mailbox(cursor)?;
    let (mut condstore, mut qresync) = (false, None);
    if cursor.eat(b' ') {
        cursor.list(false, |cursor| {
            if cursor.eat_word("QRESYNC") {
                cursor.sp()?;
                qresync = Some(resync(cursor)?);
            } else if cursor.eat_word("CONDSTORE") {
                condstore = true;
            } else {
                return cursor.fail("CONDSTORE or QRESYNC");
            }
            Ok(())
        })?;
    }
    Ok(Command::Select {
        mailbox,
        read_only,
        condstore,
        qresync,
    })
}

/// Behind `QRESYNC `.
fn resync(cursor: &mut Cursor<'_>) -> Result<QResync> {
    cursor.expect(b'(', "\"(\"")?;
    let uid_validity = cursor.take(nz_number)?;
    cursor.sp()?;
    let modseq = cursor.number64()?;
    let mut qresync = QResync {
        uid_validity,
        modseq,
        known_uids: None,
        sequence_match: None,
    };
    if cursor.rest().starts_with(b" ") && !cursor.rest().starts_with(b" (") {
        cursor.sp()?;
        qresync.known_uids = Some(own_set(cursor)?);
    }
    if cursor.eat(b' ') {
        cursor.expect(b'(', "\"(\"")?;
        let sequences = own_set(cursor)?;
        cursor.sp()?;
        qresync.sequence_match = Some((sequences, own_set(cursor)?));
        cursor.expect(b')', "\")\"")?;
    }
    cursor.expect(b')', "\")\"")?;
    Ok(qresync)
}

fn create(cursor: &mut Cursor<'_>) -> Result<Command> {
    let mailbox = mailbox(cursor)?;
    let mut uses = Vec::new();
    if cursor.eat(b' ') {
        cursor.expect(b'(', "\"(\"")?;
        if !cursor.eat_word("USE") {
            return cursor.fail("USE");
        }
        cursor.sp()?;
        uses = cursor.list(true, |cursor| {
            let start = cursor.rest();
            cursor.expect(b'\\', "a special use")?;
            let name = cursor.atom()?;
            let whole = start.get(..=name.len()).unwrap_or(start);
            Ok(cursor.unit().slice_ref(whole))
        })?;
        cursor.expect(b')', "\")\"")?;
    }
    Ok(Command::Create {
        mailbox,
        special_uses: uses,
    })
}
