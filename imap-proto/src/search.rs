//! SEARCH and its results (RFC 9051 §6.4.4, §7.3.4; ESEARCH RFC 4731, SAVE RFC 5182, CONTEXT RFC 5267,
//! PARTIAL RFC 9394, MODSEQ RFC 7162, WITHIN RFC 5032, FILTERS RFC 5466, FUZZY RFC 6203, OBJECTID RFC 8474,
//! SAVEDATE RFC 8514, several mailboxes RFC 7377).

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::cursor::{Cursor, Result};
use crate::date::date;
use crate::fetch::attribute;
use crate::mailbox::mailbox;
use crate::object_id::object_id;
use crate::partial::partial_range;
use crate::sequence_set::{ranges, sequence_set, write_ranges};
use crate::text::{is_atom_char, nz_number, write_astring, write_list, write_string};
use crate::word::{write_atom, write_flag};
use crate::{
    Date, FetchAttribute, Flag, Limits, MailboxName, PartialRange, SequenceSet, SyntaxError,
};

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

/// What of the result to tell, or to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Keep it as `$` (RFC 5182).
    Save,
    /// Some of it (RFC 9394, RFC 5267).
    Partial(PartialRange),
    /// More is going to be asked of this search (RFC 5267).
    Context,
    /// Tell what changes, and of what is new in the selected mailbox this (RFC 5267, RFC 5465 §5.1).
    Update(Vec<FetchAttribute>),
    /// How well each fits (RFC 6203).
    Relevancy,
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
            write_returns(returns, output);
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
    /// Those of one word.
    const ALONE: [Self; 7] = [
        Self::Min,
        Self::Max,
        Self::All,
        Self::Count,
        Self::Save,
        Self::Context,
        Self::Relevancy,
    ];

    fn name(&self) -> &'static str {
        match self {
            Self::Min => "MIN",
            Self::Max => "MAX",
            Self::All => "ALL",
            Self::Count => "COUNT",
            Self::Save => "SAVE",
            Self::Partial(_) => "PARTIAL",
            Self::Context => "CONTEXT",
            Self::Update(_) => "UPDATE",
            Self::Relevancy => "RELEVANCY",
        }
    }

    fn encode(&self, output: &mut Output) {
        output.write(self.name().as_bytes());
        match self {
            Self::Partial(range) => {
                output.write(b" ");
                range.encode(output);
            }
            Self::Update(attributes) if !attributes.is_empty() => {
                output.write(b" ");
                write_list(attributes, output, FetchAttribute::encode);
            }
            _ => {}
        }
    }
}

/// `RETURN (..) `
pub(crate) fn write_returns(returns: &[Return], output: &mut Output) {
    output.write(b"RETURN ");
    write_list(returns, output, Return::encode);
    output.write(b" ");
}

/// What is still to be written of a key.
enum Todo<'a> {
    Key(&'a SearchKey),
    Octets(&'static [u8]),
}

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

    /// Whether MODSEQ is in it, so that the result tells the highest (RFC 7162 §3.1.5).
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
    /// MAILBOX and UIDVALIDITY: which mailbox it is of, when several are searched (RFC 7377).
    pub mailbox: Option<(MailboxName, u32)>,
    /// PARTIAL: which positions were asked for, and what is there, in order (RFC 9394).
    pub partial: Option<(PartialRange, Vec<(u32, u32)>)>,
    /// ADDTO: what is new at which positions; position 0 says nothing (RFC 5267 §4.3.3).
    pub add_to: Vec<(u32, Vec<(u32, u32)>)>,
    /// REMOVEFROM: what is gone from which positions.
    pub remove_from: Vec<(u32, Vec<(u32, u32)>)>,
    /// RELEVANCY: how well each fits, from 1 to 100 (RFC 6203).
    pub relevancy: Vec<u32>,
}

impl ESearch {
    /// Appends what follows `* ESEARCH`.
    pub(crate) fn encode(&self, output: &mut Output) {
        if !self.tag.is_empty() || self.mailbox.is_some() {
            output.write(b" (TAG ");
            write_string(&self.tag, output);
            if let Some((mailbox, validity)) = &self.mailbox {
                output.write(b" MAILBOX ");
                mailbox.encode(output);
                output.write(b" UIDVALIDITY ");
                output.write_number(u64::from(*validity));
            }
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
        if let Some((range, found)) = &self.partial {
            output.write(b" PARTIAL (");
            range.encode(output);
            output.write(b" ");
            match found.is_empty() {
                true => output.write(b"NIL"),
                false => write_ranges(found, output),
            }
            output.write(b")");
        }
        write_positions(b" ADDTO ", &self.add_to, output);
        write_positions(b" REMOVEFROM ", &self.remove_from, output);
        if !self.relevancy.is_empty() {
            output.write(b" RELEVANCY ");
            write_list(&self.relevancy, output, |score, output| {
                output.write_number(u64::from(*score));
            });
        }
    }
}

fn write_positions(name: &[u8], all: &[(u32, Vec<(u32, u32)>)], output: &mut Output) {
    if all.is_empty() {
        return;
    }
    output.write(name);
    write_list(all, output, |(position, found), output| {
        output.write_number(u64::from(*position));
        output.write(b" ");
        write_ranges(found, output);
    });
}

/// Where, and what.
type Positions = Vec<(u32, Vec<(u32, u32)>)>;

fn positions(cursor: &mut Cursor<'_>) -> Result<Positions> {
    cursor.list(false, |cursor| {
        let position = cursor.number()?;
        cursor.sp()?;
        Ok((position, ranges(cursor)?))
    })
}

/// `(TAG "a" MAILBOX x UIDVALIDITY 1)`, in any order.
fn correlators(cursor: &mut Cursor<'_>, result: &mut ESearch) -> Result<()> {
    let (mut name, mut validity) = (None, None);
    cursor.list(false, |cursor| {
        if cursor.eat_word("TAG") {
            cursor.sp()?;
            result.tag = cursor.any_string().or_else(|_| cursor.atom())?;
        } else if cursor.eat_word("MAILBOX") {
            cursor.sp()?;
            name = Some(mailbox(cursor)?);
        } else if cursor.eat_word("UIDVALIDITY") {
            cursor.sp()?;
            validity = Some(cursor.take(nz_number)?);
        } else {
            return cursor.fail("TAG, MAILBOX or UIDVALIDITY");
        }
        Ok(())
    })?;
    result.mailbox = name.zip(validity);
    Ok(())
}

/// Behind `* ESEARCH`. What is told by an extension is passed over.
pub(crate) fn esearch(cursor: &mut Cursor<'_>) -> Result<ESearch> {
    let mut result = ESearch::default();
    if cursor.rest().starts_with(b" (") {
        cursor.sp()?;
        correlators(cursor, &mut result)?;
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
            b"PARTIAL" => {
                cursor.expect(b'(', "\"(\"")?;
                let range = partial_range(cursor)?;
                cursor.sp()?;
                let found = match cursor.eat_word("NIL") {
                    true => Vec::new(),
                    false => ranges(cursor)?,
                };
                cursor.expect(b')', "\")\"")?;
                result.partial = Some((range, found));
            }
            b"ADDTO" => result.add_to.extend(positions(cursor)?),
            b"REMOVEFROM" => result.remove_from.extend(positions(cursor)?),
            b"RELEVANCY" => result.relevancy = cursor.list(true, Cursor::number)?,
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
    let returns = returns(cursor)?;
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

/// `RETURN (..) `, when it is there.
pub(crate) fn returns(cursor: &mut Cursor<'_>) -> Result<Option<Vec<Return>>> {
    if !cursor.eat_word("RETURN") {
        return Ok(None);
    }
    cursor.sp()?;
    let mut all = cursor.list(true, |cursor| {
        for option in Return::ALONE {
            if cursor.eat_word(option.name()) {
                return Ok(option);
            }
        }
        if cursor.eat_word("PARTIAL") {
            cursor.sp()?;
            return partial_range(cursor).map(Return::Partial);
        }
        if cursor.eat_word("UPDATE") {
            let mut attributes = Vec::new();
            if cursor.rest().starts_with(b" (") {
                cursor.sp()?;
                attributes = cursor.list(false, attribute)?;
            }
            return Ok(Return::Update(attributes));
        }
        cursor.fail("a SEARCH return option")
    })?;
    if all.is_empty() {
        all.push(Return::All);
    }
    let partial = |option: &&Return| matches!(option, Return::Partial(_));
    let partials = all.iter().filter(partial).count();
    if partials > 1 || (partials == 1 && all.contains(&Return::All)) {
        // RFC 9394 §3.1, RFC 5267 §4.4.
        return cursor.fail("one PARTIAL, and no ALL beside it");
    }
    cursor.sp()?;
    Ok(Some(all))
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
