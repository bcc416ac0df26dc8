//! NAMESPACE (RFC 2342, RFC 9051 §6.3.10).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::MailboxName;
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::{any_string, write_string};
use crate::plumbing::word::write_value;

/// Where mailboxes are: the user's own, those of other users, and those that all share. Each kind may have none, one, or
/// several places (RFC 9051 §6.3.10).
///
/// ```
/// use hikyaku_imap_proto::{Limits, Received, Response};
/// let line = "* NAMESPACE ((\"INBOX.\" \".\")) NIL ((\"Public/\" \"/\"))".into();
/// let received = Received::parse(&line, &Limits::default())?;
/// let Received::Untagged(Response::Namespace(all)) = received else {
///     panic!("another response");
/// };
/// assert_eq!(all.personal[0].delimiter, Some('.'));
/// assert!(all.other_users.is_empty());
/// # Ok::<(), hikyaku_imap_proto::SyntaxError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Namespaces {
    /// Where the user's own mailboxes are.
    pub personal: Vec<Namespace>,
    /// Where those of other users are.
    pub other_users: Vec<Namespace>,
    /// Where those are that all share.
    pub shared: Vec<Namespace>,
}

/// A namespace: what the names of mailboxes of one kind begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Namespace {
    /// What its names begin with, the separator included; empty where they are the names themselves.
    pub prefix: MailboxName,
    /// What separates the levels of a name; `None` where there is one level alone.
    pub delimiter: Option<char>,
    /// Extensions: names, and their values as they were sent, in parentheses.
    pub extensions: Vec<(Bytes, Bytes)>,
}

impl Namespaces {
    /// Creates an answer with one namespace, which is the user's own.
    #[must_use]
    pub fn personal(prefix: &str, delimiter: char) -> Self {
        let namespace = Namespace {
            prefix: MailboxName::new(prefix),
            delimiter: Some(delimiter),
            extensions: Vec::new(),
        };
        Self {
            personal: [namespace].into(),
            ..Self::default()
        }
    }

    /// Appends what follows `NAMESPACE`.
    pub(crate) fn encode(&self, output: &mut Output) {
        for all in [&self.personal, &self.other_users, &self.shared] {
            if all.is_empty() {
                output.write(b" NIL");
                continue;
            }
            output.write(b" (");
            for one in all {
                output.write(b"(");
                write_string(one.prefix.wire().as_bytes(), output);
                output.write(b" ");
                write_delimiter(one.delimiter, output);
                for (name, value) in &one.extensions {
                    output.write(b" ");
                    write_string(name, output);
                    output.write(b" ");
                    write_value(value, output);
                }
                output.write(b")");
            }
            output.write(b")");
        }
    }
}

/// Behind `* NAMESPACE`.
pub(crate) fn namespaces(cursor: &mut Cursor<'_>) -> Result<Namespaces> {
    // RFC 2342 §5 and RFC 9051 §6.3.10 themselves have blanks too many, and too few.
    let blanks = |cursor: &mut Cursor<'_>| while cursor.eat(b' ') {};
    let mut of = || {
        blanks(cursor);
        if cursor.eat_word("NIL") {
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        cursor.expect(b'(', "\"(\"")?;
        while !cursor.eat(b')') {
            all.push(namespace(cursor)?);
            blanks(cursor);
        }
        Ok(all)
    };
    Ok(Namespaces {
        personal: of()?,
        other_users: of()?,
        shared: of()?,
    })
}

fn namespace(cursor: &mut Cursor<'_>) -> Result<Namespace> {
    cursor.expect(b'(', "\"(\"")?;
    let prefix = cursor.any_string()?;
    let prefix = crate::value::mailbox::read(cursor, prefix);
    cursor.sp()?;
    let delimiter = delimiter(cursor)?;
    let mut extensions = Vec::new();
    while cursor.eat(b' ') {
        let name = cursor.any_string()?;
        cursor.sp()?;
        extensions.push((name, cursor.value()?));
    }
    cursor.expect(b')', "\")\"")?;
    Ok(Namespace {
        prefix,
        delimiter,
        extensions,
    })
}

/// A delimiter in quotes, or NIL.
pub(crate) fn delimiter(cursor: &mut Cursor<'_>) -> Result<Option<char>> {
    let start = cursor.clone();
    for (usual, delimiter) in [("\"/\"", '/'), ("\".\"", '.')] {
        if cursor.eat_prefix(usual) {
            return Ok(Some(delimiter));
        }
    }
    if cursor.eat_word("NIL") {
        return Ok(None);
    }
    let text = cursor.take(any_string)?;
    let mut chars = core::str::from_utf8(&text).unwrap_or("").chars();
    match (chars.next(), chars.next()) {
        (only, None) => Ok(only),
        _ => start.fail("one character"),
    }
}

pub(crate) fn write_delimiter(delimiter: Option<char>, output: &mut Output) {
    match delimiter {
        Some(c) => write_string(c.encode_utf8(&mut [0; 4]).as_bytes(), output),
        None => output.write(b"NIL"),
    }
}
