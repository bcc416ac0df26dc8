//! SEARCH and its results (RFC 9051 §6.4.4, §7.3.4; ESEARCH RFC 4731, MODSEQ RFC 7162).

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::cursor::{Cursor, Result};
use crate::date::date;
use crate::sequence_set::{ranges, sequence_set, write_ranges};
use crate::text::{write_astring, write_list, write_string};
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

impl Search {
    /// Looks for that, and tells the result in the old form.
    #[must_use]
    pub fn new(key: SearchKey) -> Self {
        Self {
            returns: None,
            charset: None,
            key,
        }
    }

    /// Appends what follows `SEARCH `.
    pub(crate) fn encode(&self, output: &mut Output) {
        if let Some(returns) = &self.returns {
            output.write(b"RETURN ");
            write_list(returns, output, |option, output| {
                output.write(option.name().as_bytes());
            });
            output.write(b" ");
        }
        if let Some(charset) = &self.charset {
            output.write(b"CHARSET ");
            write_astring(charset, output);
            output.write(b" ");
        }
        self.key.encode(output);
    }
}

impl Return {
    const ALL: [Self; 4] = [Self::Min, Self::Max, Self::All, Self::Count];

    fn name(self) -> &'static str {
        match self {
            Self::Min => "MIN",
            Self::Max => "MAX",
            Self::All => "ALL",
            Self::Count => "COUNT",
        }
    }
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
            Self::All | Self::Not(_) | Self::Or(_) | Self::And(_) => output.write(b"ALL"),
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
            Self::ModSeq(modseq) => number(b"MODSEQ ", *modseq, output),
        }
    }

    /// Whether message sequence numbers are in it (RFC 9051 §5.5).
    #[must_use]
    pub fn has_sequence(&self) -> bool {
        let mut todo = Vec::from([self]);
        while let Some(key) = todo.pop() {
            match key {
                Self::Sequence(_) => return true,
                Self::Not(key) => todo.push(key),
                Self::Or(keys) => todo.extend([&keys.0, &keys.1]),
                Self::And(keys) => todo.extend(keys),
                _ => {}
            }
        }
        false
    }

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
        output.write(flag.as_bytes());
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
        if !self.tag.is_empty() {
            output.write(b" (TAG ");
            write_string(&self.tag, output);
            output.write(b")");
        }
        output.write(if self.uid { b" UID" } else { b"" });
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

/// Behind `* ESEARCH`. What is told by an extension is passed over.
pub(crate) fn esearch(cursor: &mut Cursor<'_>) -> Result<ESearch> {
    let mut result = ESearch::default();
    if cursor.eat_prefix(" (TAG ") {
        result.tag = cursor.any_string().or_else(|_| cursor.atom())?;
        cursor.expect(b')', "\")\"")?;
    }
    result.uid = cursor.eat_prefix(" UID");
    while cursor.eat(b' ') && !cursor.is_at_end() {
        let name = cursor.atom()?;
        cursor.sp()?;
        match &*name.to_ascii_uppercase() {
            b"MIN" => result.min = Some(cursor.number()?),
            b"MAX" => result.max = Some(cursor.number()?),
            b"COUNT" => result.count = Some(cursor.number()?),
            b"ALL" => result.all = ranges(cursor)?,
            b"MODSEQ" => result.modseq = Some(cursor.number64()?),
            _ => drop(cursor.value()?),
        }
    }
    Ok(result)
}

/// Behind `* SEARCH` or `* SORT`: numbers, and the highest mod-sequence among them.
pub(crate) fn numbers(cursor: &mut Cursor<'_>) -> Result<(Vec<u32>, Option<u64>)> {
    let (mut numbers, mut modseq) = (Vec::new(), None);
    while cursor.eat(b' ') && !cursor.is_at_end() {
        if cursor.eat_prefix("(MODSEQ ") {
            modseq = Some(cursor.number64()?);
            cursor.expect(b')', "\")\"")?;
        } else {
            numbers.push(cursor.number()?);
        }
    }
    Ok((numbers, modseq))
}

/// Behind `SEARCH `.
pub(crate) fn search(cursor: &mut Cursor<'_>, nesting: usize) -> Result<Search> {
    let mut returns = None;
    if cursor.eat_word("RETURN") {
        cursor.sp()?;
        let mut all = cursor.list(true, |cursor| {
            for option in Return::ALL {
                if cursor.eat_word(option.name()) {
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
