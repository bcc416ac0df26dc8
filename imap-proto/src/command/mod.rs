//! Commands: what a client sends (RFC 9051 §6 and the extensions).

mod encode;

pub(crate) use encode::write_id;

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::{SaslLine, Secret, decode_sasl};

use crate::cursor::{Cursor, Result};
use crate::fetch::{Fetch, fetch};
use crate::frame::is_tag_char;
use crate::list::{List, Pattern, list, lsub};
use crate::mailbox::{MailboxName, mailbox};
use crate::search::{Search, search};
use crate::sequence_set::sequence_set;
use crate::sort::{Sort, sort};
use crate::status::{StatusAttribute, attributes};
use crate::store::{Store, store};
use crate::text::nz_number;
use crate::thread::{Thread, thread};
use crate::{Limits, SequenceSet, SyntaxError};

/// A command with its tag.
#[derive(Debug)]
pub struct Tagged {
    /// What its end will be told under.
    pub tag: Bytes,
    /// The command.
    pub command: Command,
}

/// AUTHENTICATE.
#[derive(Debug)]
pub struct Authenticate {
    /// In upper case.
    pub mechanism: Bytes,
    /// SASL-IR (RFC 4959), decoded; `=` is an empty one.
    pub initial: Option<Secret>,
}

/// The QRESYNC parameter of SELECT (RFC 7162 §3.2.5): tell what changed since.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// A command. APPEND is not among them: its message streams (see `server`).
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
    Create(MailboxName, Vec<Bytes>),
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
    Status(MailboxName, Vec<StatusAttribute>),
    Idle,
    GetQuota(Bytes),
    GetQuotaRoot(MailboxName),
    /// The root, and each resource with its limit.
    SetQuota(Bytes, Vec<(Bytes, u64)>),
    Check,
    Close,
    Unselect,
    /// All, or those UIDs (RFC 4315).
    Expunge(Option<SequenceSet>),
    Search {
        search: Search,
        uid: bool,
    },
    Sort {
        sort: Sort,
        uid: bool,
    },
    Thread {
        thread: Thread,
        uid: bool,
    },
    Fetch {
        fetch: Fetch,
        uid: bool,
    },
    Store {
        store: Store,
        uid: bool,
    },
    Copy {
        set: SequenceSet,
        mailbox: MailboxName,
        uid: bool,
    },
    Move {
        set: SequenceSet,
        mailbox: MailboxName,
        uid: bool,
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

    /// UID FETCH.
    #[must_use]
    pub fn uid_fetch(
        set: SequenceSet,
        attributes: impl IntoIterator<Item = crate::FetchAttribute>,
    ) -> Self {
        let fetch = Fetch::new(set, attributes);
        Self::Fetch { fetch, uid: true }
    }
}

impl Tagged {
    /// Reads a whole command, given without its last CRLF, literals inside.
    ///
    /// # Errors
    /// [`SyntaxError`] has the tag, when that could be read.
    pub fn parse(unit: &Bytes, limits: &Limits) -> core::result::Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(unit);
        let tag = cursor.word(is_tag_char, "a tag")?;
        let tag = unit.slice_ref(tag);
        let parsed = cursor.sp().and_then(|()| {
            let command = command(&mut cursor, limits)?;
            cursor.end()?;
            Ok(command)
        });
        match parsed {
            Ok(command) => Ok(Self { tag, command }),
            Err(error) => Err(SyntaxError {
                tag: Some(tag),
                ..error
            }),
        }
    }
}

fn command(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<Command> {
    let start = cursor.clone();
    let mut upper = [0_u8; 12];
    let word = cursor.word(|o| o.is_ascii_alphabetic(), "a command")?;
    let Some(upper) = upper.get_mut(..word.len()) else {
        return start.fail("a command");
    };
    upper.copy_from_slice(word);
    upper.make_ascii_uppercase();
    let alone: Option<Command> = match &*upper {
        b"CAPABILITY" => Some(Command::Capability),
        b"NOOP" => Some(Command::Noop),
        b"LOGOUT" => Some(Command::Logout),
        b"STARTTLS" => Some(Command::StartTls),
        b"NAMESPACE" => Some(Command::Namespace),
        b"IDLE" => Some(Command::Idle),
        b"CHECK" => Some(Command::Check),
        b"CLOSE" => Some(Command::Close),
        b"UNSELECT" => Some(Command::Unselect),
        b"EXPUNGE" => Some(Command::Expunge(None)),
        _ => None,
    };
    if let Some(command) = alone {
        return Ok(command);
    }
    let known: &[&[u8]] = &[
        b"ID",
        b"LOGIN",
        b"AUTHENTICATE",
        b"ENABLE",
        b"SELECT",
        b"EXAMINE",
        b"CREATE",
        b"DELETE",
        b"RENAME",
        b"SUBSCRIBE",
        b"UNSUBSCRIBE",
        b"LIST",
        b"LSUB",
        b"STATUS",
        b"GETQUOTA",
        b"GETQUOTAROOT",
        b"SETQUOTA",
        b"UID",
        b"SEARCH",
        b"FETCH",
        b"STORE",
        b"COPY",
        b"MOVE",
        b"SORT",
        b"THREAD",
    ];
    if !known.contains(&&*upper) {
        return start.fail("a command");
    }
    cursor.sp()?;
    match &*upper {
        b"UID" => uid(cursor, limits),
        b"SEARCH" | b"SORT" | b"THREAD" | b"FETCH" | b"STORE" | b"COPY" | b"MOVE" => {
            numbered(cursor, upper, false, limits)
        }
        b"ID" => id(cursor),
        b"LOGIN" => {
            let name = cursor.astring()?;
            cursor.sp()?;
            let password = Secret::from(cursor.astring()?.to_vec());
            Ok(Command::Login { name, password })
        }
        b"AUTHENTICATE" => authenticate(cursor),
        b"ENABLE" => {
            let mut names = Vec::from([cursor.atom()?]);
            while cursor.eat(b' ') {
                names.push(cursor.atom()?);
            }
            Ok(Command::Enable(names))
        }
        b"SELECT" => select(cursor, false),
        b"EXAMINE" => select(cursor, true),
        b"CREATE" => create(cursor),
        b"DELETE" => mailbox(cursor).map(Command::Delete),
        b"RENAME" => {
            let from = mailbox(cursor)?;
            cursor.sp()?;
            let to = mailbox(cursor)?;
            Ok(Command::Rename { from, to })
        }
        b"SUBSCRIBE" => mailbox(cursor).map(Command::Subscribe),
        b"UNSUBSCRIBE" => mailbox(cursor).map(Command::Unsubscribe),
        b"LIST" => list(cursor, limits).map(Command::List),
        b"LSUB" => {
            lsub(cursor, limits).map(|(reference, pattern)| Command::Lsub { reference, pattern })
        }
        b"STATUS" => {
            let mailbox = mailbox(cursor)?;
            cursor.sp()?;
            Ok(Command::Status(mailbox, attributes(cursor)?))
        }
        b"GETQUOTA" => cursor.astring().map(Command::GetQuota),
        b"GETQUOTAROOT" => mailbox(cursor).map(Command::GetQuotaRoot),
        _ => {
            let root = cursor.astring()?;
            cursor.sp()?;
            let limits = cursor.list(true, |cursor| {
                let name = cursor.atom()?;
                cursor.sp()?;
                Ok((name, cursor.number64()?))
            })?;
            Ok(Command::SetQuota(root, limits))
        }
    }
}

fn uid(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<Command> {
    for name in [
        "SEARCH", "SORT", "THREAD", "FETCH", "STORE", "COPY", "MOVE", "EXPUNGE",
    ] {
        if cursor.eat_word(name) {
            cursor.sp()?;
            if name == "EXPUNGE" {
                return sequence_set(cursor).map(|set| Command::Expunge(Some(set)));
            }
            return numbered(cursor, name.as_bytes(), true, limits);
        }
    }
    cursor.fail("a command that UID goes with")
}

/// The commands that UID goes with.
fn numbered(cursor: &mut Cursor<'_>, name: &[u8], uid: bool, limits: &Limits) -> Result<Command> {
    match name {
        b"SEARCH" => search(cursor, limits.nesting).map(|search| Command::Search { search, uid }),
        b"SORT" => sort(cursor, limits.nesting).map(|sort| Command::Sort { sort, uid }),
        b"THREAD" => thread(cursor, limits.nesting).map(|thread| Command::Thread { thread, uid }),
        b"FETCH" => fetch(cursor).map(|fetch| Command::Fetch { fetch, uid }),
        b"STORE" => store(cursor).map(|store| Command::Store { store, uid }),
        name => {
            let set = sequence_set(cursor)?;
            cursor.sp()?;
            let mailbox = mailbox(cursor)?;
            Ok(match name {
                b"COPY" => Command::Copy { set, mailbox, uid },
                _ => Command::Move { set, mailbox, uid },
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
        qresync.known_uids = Some(sequence_set(cursor)?);
    }
    if cursor.eat(b' ') {
        cursor.expect(b'(', "\"(\"")?;
        let sequences = sequence_set(cursor)?;
        cursor.sp()?;
        qresync.sequence_match = Some((sequences, sequence_set(cursor)?));
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
    Ok(Command::Create(mailbox, uses))
}
