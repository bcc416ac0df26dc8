//! SEARCH and its results (RFC 9051 §6.4.4, §7.3.4; ESEARCH RFC 4731, MODSEQ RFC 7162).

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::cursor::{Cursor, Result};
use crate::date::date;
use crate::sequence_set::{sequence_set, write_ranges};
use crate::text::write_string;
use crate::{Date, Flag, SequenceSet};

/// The SEARCH command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// RETURN (..): tell the result as ESEARCH; `ALL` when nothing was named.
    pub returns: Option<Vec<Return>>,
    /// CHARSET of the strings.
    pub charset: Option<Bytes>,
    /// What to look for.
    pub key: SearchKey,
}

/// What of the result to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Return {
    /// The lowest.
    Min,
    /// The highest.
    Max,
    /// All of them.
    All,
    /// How many.
    Count,
}

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
    /// Changed at this mod-sequence or later.
    ModSeq(u64),
    /// Not.
    Not(Box<Self>),
    /// One of the two or both.
    Or(Box<(Self, Self)>),
    /// All of them.
    And(Vec<Self>),
}

impl SearchKey {
    /// Whether MODSEQ is in it, so that the result tells the highest (RFC 7162 §3.1.5).
    #[must_use]
    pub fn has_modseq(&self) -> bool {
        match self {
            Self::ModSeq(_) => true,
            Self::Not(key) => key.has_modseq(),
            Self::Or(keys) => keys.0.has_modseq() || keys.1.has_modseq(),
            Self::And(keys) => keys.iter().any(Self::has_modseq),
            _ => false,
        }
    }
}

/// The result of a SEARCH with RETURN.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ESearch {
    /// The command it answers.
    pub tag: Bytes,
    /// Whether the numbers are UIDs.
    pub uid: bool,
    /// MIN
    pub min: Option<u32>,
    /// MAX
    pub max: Option<u32>,
    /// ALL, as ascending ranges.
    pub all: Vec<(u32, u32)>,
    /// COUNT
    pub count: Option<u32>,
    /// MODSEQ
    pub modseq: Option<u64>,
}

impl ESearch {
    /// Appends what follows `* ESEARCH`.
    pub(crate) fn encode(&self, output: &mut Output) {
        output.write(b" (TAG ");
        write_string(&self.tag, output);
        output.write(if self.uid { b") UID" } else { b")" });
        let number = |name: &[u8], value: Option<u64>, output: &mut Output| {
            if let Some(value) = value {
                output.write(name);
                output.write_number(value);
            }
        };
        number(b" MIN ", self.min.map(u64::from), output);
        number(b" MAX ", self.max.map(u64::from), output);
        number(b" COUNT ", self.count.map(u64::from), output);
        if !self.all.is_empty() {
            output.write(b" ALL ");
            write_ranges(&self.all, output);
        }
        number(b" MODSEQ ", self.modseq, output);
    }
}

/// Behind `SEARCH `.
pub(crate) fn search(cursor: &mut Cursor<'_>, nesting: usize) -> Result<Search> {
    let mut returns = None;
    if cursor.eat_word("RETURN") {
        cursor.sp()?;
        let mut all = cursor.list(true, |cursor| {
            for (name, option) in [
                ("MIN", Return::Min),
                ("MAX", Return::Max),
                ("ALL", Return::All),
                ("COUNT", Return::Count),
            ] {
                if cursor.eat_word(name) {
                    return Ok(option);
                }
            }
            cursor.fail("a SEARCH return option")
        })?;
        if all.is_empty() {
            all.push(Return::All);
        }
        returns = Some(all);
        cursor.sp()?;
    }
    let mut charset = None;
    if cursor.eat_word("CHARSET") {
        cursor.sp()?;
        charset = Some(cursor.astring()?);
        cursor.sp()?;
    }
    let key = keys(cursor, nesting)?;
    Ok(Search {
        returns,
        charset,
        key,
    })
}

/// What is begun and not ended: the parser's own stack, so that nesting costs none of the thread's.
enum Open {
    And {
        keys: Vec<SearchKey>,
        parenthesis: bool,
    },
    Not,
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
        .is_some_and(|o| o.is_ascii_digit() || o == b'*')
    {
        return sequence_set(cursor).map(K::Sequence);
    }
    let start = cursor.clone();
    let word = cursor.word(|o| o.is_ascii_alphabetic(), "a search key")?;
    let mut upper = [0_u8; 10];
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
                // RFC 7162 §3.1.5: an entry name and its kind; all metadata share one mod-sequence.
                cursor.string()?;
                cursor.sp()?;
                cursor.atom()?;
                cursor.sp()?;
            }
            K::ModSeq(cursor.number64()?)
        }
        _ => return start.fail("a search key"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Search> {
        let unit = Bytes::copy_from_slice(text.as_bytes());
        let mut cursor = Cursor::new(&unit);
        let search = search(&mut cursor, 64)?;
        cursor.end()?;
        Ok(search)
    }

    #[test]
    fn keys_bind_as_written() {
        let key = parse("OR NOT SEEN (FLAGGED 1:2) FROM \"x\"").unwrap().key;
        let SearchKey::And(all) = key else { panic!() };
        assert!(matches!(&all[0], SearchKey::Or(pair) if matches!(pair.0, SearchKey::Not(_))));
        assert_eq!(all.len(), 2);
        assert!(
            parse("CHARSET UTF-8 TEXT {3+}\r\nabc")
                .unwrap()
                .charset
                .is_some()
        );
        for bad in [
            "",
            "()",
            "(SEEN",
            "OR SEEN",
            "NOT",
            "SEEN)",
            "KEYWORD \\Seen",
            "XSEEN",
            "SEEN  SEEN",
            "BODYX a",
            "LARGER 99999999999999999999",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        for open in ["(", "NOT ", "OR ALL ", "OR (", "NOT ("] {
            assert!(parse(&open.repeat(100_000)).is_err());
            let some = std::format!("{}ALL", "NOT ".repeat(60));
            assert!(parse(&some).is_ok());
        }
    }
}
