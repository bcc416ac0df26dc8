//! How keys are read.

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;

use super::key::SearchKey;
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::{is_atom_char, nz_number};
use crate::value::date::date;
use crate::value::object_id::object_id;
use crate::value::sequence_set::sequence_set;
use crate::{Date, Flag, Limits, SyntaxError};

impl SearchKey {
    /// Reads keys as SEARCH has them: what a stored filter holds (RFC 5466 §3.2).
    ///
    /// ```
    /// use hikyaku_imap_proto::{Limits, SearchKey};
    /// let key = SearchKey::parse(&"OR SMALLER 5000 ALL".into(), &Limits::default()).unwrap();
    /// assert!(matches!(key, SearchKey::Or(_)));
    /// ```
    ///
    /// # Errors
    /// [`SyntaxError`], also when something follows them.
    pub fn parse(criteria: &Bytes, limits: &Limits) -> core::result::Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(criteria);
        let key = keys(&mut cursor, limits.nesting).and_then(|key| cursor.end().map(|()| key));
        key.map_err(|fault| fault.of(criteria))
    }
}

/// What is begun and not ended: the parser's own stack, so that nesting costs none of the thread's.
enum Open {
    And {
        keys: Vec<SearchKey>,
        parenthesis: bool,
    },
    Not,
    Fuzzy,
    Or(Option<SearchKey>),
}

/// `search-key *(SP search-key)`, all of which must hold.
pub(crate) fn keys(cursor: &mut Cursor<'_>, nesting: usize) -> Result<SearchKey> {
    let mut stack = Vec::from([Open::And {
        keys: Vec::new(),
        parenthesis: false,
    }]);
    'next: loop {
        if stack.len() > nesting {
            return cursor.fail("less nesting");
        }
        let mut key = if cursor.eat(b'(') {
            stack.push(Open::And {
                keys: Vec::new(),
                parenthesis: true,
            });
            continue;
        } else if cursor.eat_prefix("NOT ") {
            stack.push(Open::Not);
            continue;
        } else if cursor.eat_prefix("FUZZY ") {
            stack.push(Open::Fuzzy);
            continue;
        } else if cursor.eat_prefix("OR ") {
            stack.push(Open::Or(None));
            continue;
        } else {
            simple(cursor)?
        };
        // A key is whole: it may make what it is in whole, too.
        loop {
            match stack.pop() {
                Some(Open::Not) => key = SearchKey::Not(Box::new(key)),
                Some(Open::Fuzzy) => key = SearchKey::Fuzzy(Box::new(key)),
                Some(Open::Or(None)) => {
                    cursor.sp()?;
                    stack.push(Open::Or(Some(key)));
                    continue 'next;
                }
                Some(Open::Or(Some(first))) => key = SearchKey::Or(Box::new((first, key))),
                Some(Open::And {
                    mut keys,
                    parenthesis,
                }) => {
                    keys.push(key);
                    if cursor.eat(b' ') {
                        stack.push(Open::And { keys, parenthesis });
                        continue 'next;
                    }
                    if parenthesis {
                        cursor.expect(b')', "\")\"")?;
                    }
                    key = match keys.len() {
                        1 => keys.pop().unwrap_or(SearchKey::All),
                        _ => SearchKey::And(keys),
                    };
                }
                None => return Ok(key),
            }
        }
    }
}

fn simple(cursor: &mut Cursor<'_>) -> Result<SearchKey> {
    use SearchKey as K;
    if cursor
        .peek()
        .is_some_and(|o| o.is_ascii_digit() || matches!(o, b'*' | b'$'))
    {
        return sequence_set(cursor).map(K::Sequence);
    }
    let start = cursor.clone();
    let word = cursor.word(|o| o.is_ascii_alphabetic() || o == b'-', "a search key")?;
    let mut upper = [0_u8; 17];
    let Some(upper) = upper.get_mut(..word.len()) else {
        return start.fail("a search key");
    };
    upper.copy_from_slice(word);
    upper.make_ascii_uppercase();
    let field = |cursor: &mut Cursor<'_>, name: &'static str| {
        cursor.sp()?;
        Ok(K::Header(
            Bytes::from_static(name.as_bytes()),
            cursor.astring()?,
        ))
    };
    let day = |cursor: &mut Cursor<'_>, key: fn(Date) -> K| {
        cursor.sp()?;
        date(cursor).map(key)
    };
    Ok(match &*upper {
        b"ALL" => K::All,
        b"ANSWERED" => K::Flag(Flag::Answered, true),
        b"DELETED" => K::Flag(Flag::Deleted, true),
        b"DRAFT" => K::Flag(Flag::Draft, true),
        b"FLAGGED" => K::Flag(Flag::Flagged, true),
        b"RECENT" => K::Flag(Flag::Recent, true),
        b"SEEN" => K::Flag(Flag::Seen, true),
        b"UNANSWERED" => K::Flag(Flag::Answered, false),
        b"UNDELETED" => K::Flag(Flag::Deleted, false),
        b"UNDRAFT" => K::Flag(Flag::Draft, false),
        b"UNFLAGGED" => K::Flag(Flag::Flagged, false),
        b"UNSEEN" => K::Flag(Flag::Seen, false),
        b"OLD" => K::Flag(Flag::Recent, false),
        b"NEW" => K::New,
        b"KEYWORD" | b"UNKEYWORD" => {
            cursor.sp()?;
            K::Flag(Flag::Keyword(cursor.atom()?), upper.len() == 7)
        }
        b"BCC" => field(cursor, "Bcc")?,
        b"CC" => field(cursor, "Cc")?,
        b"FROM" => field(cursor, "From")?,
        b"SUBJECT" => field(cursor, "Subject")?,
        b"TO" => field(cursor, "To")?,
        b"HEADER" => {
            cursor.sp()?;
            let name = cursor.astring()?;
            cursor.sp()?;
            K::Header(name, cursor.astring()?)
        }
        b"BODY" => {
            cursor.sp()?;
            K::Body(cursor.astring()?)
        }
        b"TEXT" => {
            cursor.sp()?;
            K::Text(cursor.astring()?)
        }
        b"BEFORE" => day(cursor, K::Before)?,
        b"ON" => day(cursor, K::On)?,
        b"SINCE" => day(cursor, K::Since)?,
        b"SENTBEFORE" => day(cursor, K::SentBefore)?,
        b"SENTON" => day(cursor, K::SentOn)?,
        b"SENTSINCE" => day(cursor, K::SentSince)?,
        b"LARGER" => {
            cursor.sp()?;
            K::Larger(cursor.number64()?)
        }
        b"SMALLER" => {
            cursor.sp()?;
            K::Smaller(cursor.number64()?)
        }
        b"UID" => {
            cursor.sp()?;
            K::Uid(sequence_set(cursor)?)
        }
        b"MODSEQ" => {
            cursor.sp()?;
            if cursor.peek() == Some(b'"') {
                let entry = cursor.string()?;
                cursor.sp()?;
                let start = cursor.clone();
                let kind = cursor.atom()?;
                if !["priv", "shared", "all"]
                    .iter()
                    .any(|k| kind.eq_ignore_ascii_case(k.as_bytes()))
                {
                    return start.fail("priv, shared or all");
                }
                cursor.sp()?;
                return Ok(K::ModSeqOf(Box::new((entry, kind, cursor.number64()?))));
            }
            K::ModSeq(cursor.number64()?)
        }
        b"OLDER" => {
            cursor.sp()?;
            K::Older(cursor.take(nz_number)?)
        }
        b"UIDAFTER" => {
            cursor.sp()?;
            K::UidAfter(cursor.take(nz_number)?)
        }
        b"UIDBEFORE" => {
            cursor.sp()?;
            K::UidBefore(cursor.take(nz_number)?)
        }
        b"YOUNGER" => {
            cursor.sp()?;
            K::Younger(cursor.take(nz_number)?)
        }
        b"EMAILID" => {
            cursor.sp()?;
            K::EmailId(object_id(cursor)?)
        }
        b"THREADID" => {
            cursor.sp()?;
            K::ThreadId(object_id(cursor)?)
        }
        b"SAVEDBEFORE" => day(cursor, K::SavedBefore)?,
        b"SAVEDON" => day(cursor, K::SavedOn)?,
        b"SAVEDSINCE" => day(cursor, K::SavedSince)?,
        b"SAVEDATESUPPORTED" => K::SaveDateSupported,
        b"FILTER" => {
            cursor.sp()?;
            let is = |o: u8| is_atom_char(o) && o != b'/';
            let name = cursor.word(is, "the name of a filter")?;
            K::Filter(cursor.unit().slice_ref(name))
        }
        b"X-GM-RAW" => {
            cursor.sp()?;
            K::GmailRaw(cursor.astring()?)
        }
        b"X-GM-MSGID" => {
            cursor.sp()?;
            K::GmailMessageId(cursor.number64()?)
        }
        b"X-GM-THRID" => {
            cursor.sp()?;
            K::GmailThreadId(cursor.number64()?)
        }
        b"X-GM-LABELS" => {
            cursor.sp()?;
            K::GmailLabel(cursor.astring()?)
        }
        _ => return start.fail("a search key"),
    })
}
