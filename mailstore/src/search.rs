//! Search: which messages of a mailbox have what a [`Key`] asks for (RFC 9051 §6.4.4).
//!
//! A message is judged by the cheapest that decides: its row, then its summary, then its header
//! section, and only then its body, which is read once for all strings looked for. Text is decoded
//! (encoded words, transfer encodings, charsets) and compared without regard to case.
//!
//! ```
//! use hikyaku_mailstore::{Memory, Store as _, block_on, search::{Key, search}};
//! let store = Memory::new();
//! let account = block_on(store.create_account("alice@example.test")).unwrap();
//! let inbox = block_on(store.mailboxes(account, None)).unwrap().mailboxes[0].id;
//! let found = block_on(search(&store, inbox, &Key::Text("tea".into()))).unwrap();
//! assert!(found.is_empty());
//! ```

use memchr::memmem;

use crate::casemap::{casemap, push_casemapped};
use crate::message::{
    Address, Encoding, Envelope, Kind, Part, Structure, TextDecoder, TransferDecoder,
    decode_header, fields, parse_date,
};
use crate::{
    EmailId, Flags, MailboxId, ModSeq, Result, Row, Store, ThreadId, Uid, UidSet, Want, Which,
};

/// What a message must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Nothing.
    All,
    /// All of these flags; with `false`, none of them.
    Flags(Flags, bool),
    /// One of these UIDs.
    Uids(UidSet),
    /// More octets than.
    Larger(u64),
    /// Fewer octets than.
    Smaller(u64),
    /// When it was received: the day of INTERNALDATE in its own zone, in days since 1970.
    Received(When, i64),
    /// What its Date field says.
    Sent(When, i64),
    /// Received at that moment or earlier, in seconds since 1970.
    ReceivedUntil(i64),
    /// When it was put into the mailbox, in UTC; what does not say so has none.
    Saved(When, i64),
    /// Changed at this mod-sequence or later.
    Modified(ModSeq),
    /// Of that identity.
    Email(EmailId),
    /// Of that thread.
    Thread(ThreadId),
    /// A header field of that name that holds the text; an empty one: that there is such a field.
    Header(String, String),
    /// The text in the body.
    Body(String),
    /// The text in the header section or the body.
    Text(String),
    /// Not.
    Not(Box<Self>),
    /// All of them.
    And(Vec<Self>),
    /// One of them at least.
    Or(Vec<Self>),
}

/// How a day compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Earlier.
    Before,
    /// That day.
    On,
    /// That day or later.
    Since,
}

impl When {
    fn holds(self, day: i64, than: i64) -> bool {
        match self {
            Self::Before => day < than,
            Self::On => day == than,
            Self::Since => day >= than,
        }
    }
}

/// So many rows are read at a time.
const PAGE: usize = 500;
/// So many octets of a body are read at a time.
const PIECE: u64 = 64 * 1024;

/// The messages that have it, ascending by UID, with their mod-sequences.
///
/// # Errors
/// What the store says. A message that cannot be read is not found.
pub async fn search(
    store: &dyn Store,
    mailbox: MailboxId,
    key: &Key,
) -> Result<Vec<(Uid, ModSeq)>> {
    let mut plan = Plan::default();
    let key = plan.prepare(key);
    let want = if plan.needs_summary {
        Want::SUMMARY
    } else {
        Want::ROW
    };
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = store
            .messages(mailbox, &Which::After(after), want, PAGE)
            .await?;
        after = page.rows.last().map(|row| row.uid);
        for row in &page.rows {
            if matches(store, &plan, &key, row).await? {
                found.push((row.uid, row.modified));
            }
        }
        if !page.more {
            return Ok(found);
        }
    }
}

/// A key whose texts are numbered, so that one reading of a body answers them all.
#[derive(Debug)]
enum Prepared<'a> {
    Plain(&'a Key),
    /// Name in lower case, and the number of its text.
    Header(String, usize),
    Content(usize),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

#[derive(Debug, Default)]
struct Plan {
    terms: Vec<Term>,
    needs_summary: bool,
}

/// A text to look for, as it compares.
#[derive(Debug)]
struct Term {
    needle: String,
    in_header: bool,
    in_body: bool,
}

impl Plan {
    fn prepare<'a>(&mut self, key: &'a Key) -> Prepared<'a> {
        let mut all = |keys: &'a [Key]| keys.iter().map(|key| self.prepare(key)).collect();
        match key {
            Key::And(keys) => return Prepared::And(all(keys)),
            Key::Or(keys) => return Prepared::Or(all(keys)),
            Key::Not(key) => return Prepared::Not(Box::new(self.prepare(key))),
            _ => {}
        }
        self.needs_summary |= matches!(
            key,
            Key::Header(..) | Key::Body(_) | Key::Text(_) | Key::Sent(..)
        );
        match key {
            Key::Header(name, text) => {
                Prepared::Header(name.to_ascii_lowercase(), self.term(text, false, false))
            }
            Key::Body(text) => Prepared::Content(self.term(text, false, true)),
            Key::Text(text) => Prepared::Content(self.term(text, true, true)),
            key => Prepared::Plain(key),
        }
    }

    fn term(&mut self, text: &str, in_header: bool, in_body: bool) -> usize {
        self.terms.push(Term {
            needle: casemap(text).into_owned(),
            in_header,
            in_body,
        });
        self.terms.len() - 1
    }

    fn needle(&self, number: usize) -> &str {
        self.terms.get(number).map_or("", |term| &term.needle)
    }
}

/// What is known of a message so far.
struct Known<'a> {
    row: &'a Row,
    structure: Option<Structure>,
    header: Option<Vec<u8>>,
    /// Which terms its content has; unknown until it was read.
    content: Option<Vec<bool>>,
}

async fn matches(store: &dyn Store, plan: &Plan, key: &Prepared<'_>, row: &Row) -> Result<bool> {
    let mut known = Known {
        row,
        structure: None,
        header: None,
        content: None,
    };
    if let Some(decided) = known.judge(plan, key) {
        return Ok(decided);
    }
    let structure = structure(store, row).await?;
    let header_range = structure.root().header.clone();
    known.structure = Some(structure);
    if let Some(decided) = known.judge(plan, key) {
        return Ok(decided);
    }
    known.header = Some(read(store, row, header_range).await?);
    if let Some(decided) = known.judge(plan, key) {
        return Ok(decided);
    }
    known.content = Some(content(store, plan, &known).await?);
    Ok(known.judge(plan, key) == Some(true))
}

/// The structure of a message: the one that was kept with it, or, where there is none (of this
/// version), computed anew from its octets. The row has to be read with [`Want::SUMMARY`].
///
/// # Errors
/// What the store says.
pub async fn structure(store: &dyn Store, row: &Row) -> Result<Structure> {
    if let Some(structure) = Structure::decode(&row.summary) {
        return Ok(structure);
    }
    let mut scanner = crate::message::Scanner::default();
    let mut at = 0;
    while at < row.body.octets {
        let piece = store.read(&row.body, at..at + PIECE).await?;
        if piece.is_empty() {
            break;
        }
        at += piece.len() as u64;
        scanner.feed(&piece);
    }
    Ok(scanner.finish())
}

async fn read(store: &dyn Store, row: &Row, range: std::ops::Range<u64>) -> Result<Vec<u8>> {
    let mut octets = Vec::new();
    let mut at = range.start;
    // A header section of more than this is cut: it is no header.
    let end = range.end.min(range.start + 4 * 1024 * 1024);
    while at < end {
        let piece = store.read(&row.body, at..end).await?;
        if piece.is_empty() {
            break;
        }
        at += piece.len() as u64;
        octets.extend_from_slice(&piece);
    }
    Ok(octets)
}

impl Known<'_> {
    /// `None`: more has to be read.
    fn judge(&self, plan: &Plan, key: &Prepared<'_>) -> Option<bool> {
        match key {
            Prepared::Plain(key) => self.plain(key),
            Prepared::Header(name, number) => self.header(name, plan.needle(*number)),
            Prepared::Content(number) => {
                let content = self.content.as_ref()?;
                content.get(*number).copied()
            }
            Prepared::Not(key) => self.judge(plan, key).map(|holds| !holds),
            Prepared::And(keys) => {
                let mut all = Some(true);
                for key in keys {
                    match self.judge(plan, key) {
                        Some(false) => return Some(false),
                        Some(true) => {}
                        None => all = None,
                    }
                }
                all
            }
            Prepared::Or(keys) => {
                let mut any = Some(false);
                for key in keys {
                    match self.judge(plan, key) {
                        Some(true) => return Some(true),
                        Some(false) => {}
                        None => any = None,
                    }
                }
                any
            }
        }
    }

    fn plain(&self, key: &Key) -> Option<bool> {
        let row = self.row;
        Some(match key {
            Key::All => true,
            Key::Flags(flags, true) => row.flags.contains(flags),
            Key::Flags(flags, false) => !row.flags.contains(flags),
            Key::Uids(uids) => uids.contains(row.uid),
            Key::Larger(octets) => row.body.octets > *octets,
            Key::Smaller(octets) => row.body.octets < *octets,
            Key::Modified(since) => row.modified >= *since,
            Key::Received(when, day) => {
                let (seconds, zone) = row.received;
                let local = seconds.saturating_add(i64::from(zone) * 60);
                when.holds(local.div_euclid(86_400), *day)
            }
            Key::ReceivedUntil(moment) => row.received.0 <= *moment,
            Key::Saved(when, day) => row
                .saved
                .is_some_and(|saved| when.holds(saved.div_euclid(86_400), *day)),
            Key::Email(email) => row.email == *email,
            Key::Thread(thread) => row.thread == *thread,
            Key::Sent(when, day) => {
                let date = self.envelope()?.date.as_deref();
                let date = date.and_then(parse_date);
                date.is_some_and(|date| when.holds(date.day(), *day))
            }
            _ => return None,
        })
    }

    fn envelope(&self) -> Option<&Envelope> {
        self.structure.as_ref()?.root().envelope.as_deref()
    }

    fn header(&self, name: &str, needle: &str) -> Option<bool> {
        let envelope = self.envelope()?;
        let text = |value: &Option<Vec<u8>>| {
            let value = value.as_deref();
            Some(value.is_some_and(|value| holds(&decode_header(value), needle)))
        };
        let people = |all: &[Address]| Some(all.iter().any(|one| holds(&person(one), needle)));
        match name {
            "subject" => return text(&envelope.subject),
            "message-id" => return text(&envelope.message_id),
            "in-reply-to" => return text(&envelope.in_reply_to),
            "from" if !needle.is_empty() => return people(&envelope.from),
            "to" if !needle.is_empty() => return people(&envelope.to),
            "cc" if !needle.is_empty() => return people(&envelope.cc),
            "bcc" if !needle.is_empty() => return people(&envelope.bcc),
            _ => {}
        }
        let header = self.header.as_deref()?;
        Some(fields(header).any(|(field, value, _)| {
            field.eq_ignore_ascii_case(name.as_bytes()) && holds(&decode_header(value), needle)
        }))
    }
}

fn holds(text: &str, needle: &str) -> bool {
    memmem::find(casemap(text).as_bytes(), needle.as_bytes()).is_some()
}

/// As it would stand in a header: `name <mailbox@host>`.
fn person(address: &Address) -> String {
    let text = |octets: &Option<Vec<u8>>| {
        octets
            .as_deref()
            .map(|octets| String::from_utf8_lossy(octets).into_owned())
    };
    let name = address
        .name
        .as_deref()
        .map(decode_header)
        .unwrap_or_default();
    let mailbox = text(&address.mailbox).unwrap_or_default();
    match text(&address.host) {
        Some(host) => format!("{name} <{mailbox}@{host}>"),
        None => format!("{name} {mailbox}"),
    }
}

/// Looks for all terms in a text that comes in pieces.
struct Finder<'a> {
    plan: &'a Plan,
    found: Vec<bool>,
    /// The end of what came, as it compares: a needle may lie across pieces.
    window: String,
    longest: usize,
}

impl Finder<'_> {
    fn feed(&mut self, text: &str, in_header: bool) {
        push_casemapped(text, &mut self.window);
        for (found, term) in self.found.iter_mut().zip(&self.plan.terms) {
            let looks = if in_header {
                term.in_header
            } else {
                term.in_body
            };
            if looks && !*found {
                *found = memmem::find(self.window.as_bytes(), term.needle.as_bytes()).is_some();
            }
        }
        let mut keep = self.window.len().saturating_sub(self.longest);
        while !self.window.is_char_boundary(keep) {
            keep += 1;
        }
        self.window.drain(..keep);
    }

    /// What comes next does not go on with what came.
    fn cut(&mut self) {
        self.window.clear();
    }

    fn is_done(&self) -> bool {
        let mut pairs = self.found.iter().zip(&self.plan.terms);
        pairs.all(|(found, term)| *found || !(term.in_body || term.in_header))
    }
}

/// Which terms the message's content has.
async fn content(store: &dyn Store, plan: &Plan, known: &Known<'_>) -> Result<Vec<bool>> {
    let mut finder = Finder {
        plan,
        found: vec![false; plan.terms.len()],
        window: String::new(),
        longest: plan
            .terms
            .iter()
            .map(|term| term.needle.len())
            .max()
            .unwrap_or(0),
    };
    if let Some(header) = &known.header {
        header_text(header, |field| finder.feed(field, true));
        finder.cut();
    }
    let Some(structure) = &known.structure else {
        return Ok(finder.found);
    };
    for (index, part) in structure.parts().iter().enumerate() {
        if finder.is_done() {
            break;
        }
        // The header section of a part, or of a message within, is in the body of the whole.
        if index > 0 && part.header.end > part.header.start {
            let header = read(store, known.row, part.header.clone()).await?;
            header_text(&header, |field| finder.feed(field, false));
            finder.cut();
        }
        if part.kind == Kind::Leaf && is_text(part) {
            part_text(store, known.row, part, &mut finder).await?;
            finder.cut();
        }
    }
    Ok(finder.found)
}

fn is_text(part: &Part) -> bool {
    ["text", "message", "multipart"]
        .iter()
        .any(|kind| part.content.is(kind, "*"))
}

fn header_text(header: &[u8], mut feed: impl FnMut(&str)) {
    for (name, value, _) in fields(header) {
        let name = String::from_utf8_lossy(name);
        feed(&format!("{name}: {}\n", decode_header(value)));
    }
}

async fn part_text(
    store: &dyn Store,
    row: &Row,
    part: &Part,
    finder: &mut Finder<'_>,
) -> Result<()> {
    let encoding = part.content.encoding.as_deref().unwrap_or(b"7bit");
    let mut transfer = TransferDecoder::new(Encoding::named(encoding));
    let mut charset = TextDecoder::new(part.content.parameter("charset"));
    let (mut octets, mut text) = (Vec::new(), String::new());
    let mut at = part.body.start;
    while at < part.body.end && !finder.is_done() {
        let piece = store
            .read(&row.body, at..part.body.end.min(at + PIECE))
            .await?;
        if piece.is_empty() {
            break;
        }
        at += piece.len() as u64;
        octets.clear();
        text.clear();
        transfer.decode(&piece, &mut octets);
        charset.decode(&octets, false, &mut text);
        finder.feed(&text, false);
    }
    octets.clear();
    text.clear();
    transfer.finish(&mut octets);
    charset.decode(&octets, true, &mut text);
    finder.feed(&text, false);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Append, Memory, Operation, Transaction, block_on};
    use bytes::Bytes;
    use std::sync::Arc;

    fn store_of(messages: &[&[u8]]) -> (Arc<dyn Store>, MailboxId) {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let account = block_on(store.create_account("a")).unwrap();
        let inbox = block_on(store.mailboxes(account, None)).unwrap().mailboxes[0].id;
        for (index, message) in messages.iter().enumerate() {
            let mut stage = block_on(store.stage()).unwrap();
            block_on(stage.write(Bytes::copy_from_slice(message))).unwrap();
            let body = block_on(stage.finish()).unwrap();
            let mut append = Append::new(inbox, body, (86_400 * index as i64, 0));
            // The first one without a summary, as after an upgrade.
            if index > 0 {
                append.summary = Structure::of(message).encode();
            }
            let append = Operation::Append(Box::new(append));
            block_on(store.commit(Transaction::new(account).with(append))).unwrap();
        }
        (store, inbox)
    }

    fn found(store: &Arc<dyn Store>, inbox: MailboxId, key: &Key) -> Vec<u32> {
        let all = block_on(search(&**store, inbox, key)).unwrap();
        all.into_iter().map(|(uid, _)| uid.get()).collect()
    }

    #[test]
    fn text_is_found_as_it_reads_not_as_it_is_encoded() {
        let long = format!(
            "Subject: long\r\n\r\n{}need\u{e9}le{}",
            "x".repeat(65_533),
            "y".repeat(100)
        );
        let (store, inbox) = store_of(&[
            b"Subject: =?utf-8?b?44GC44GE?=\r\nFrom: \"Joe\" <joe@a.test>\r\nDate: Thu, 1 Jan 1970 23:00:00 -0500\r\n\r\nplain TEA\r\n",
            b"Subject: two\r\nX-Odd: yes\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B$*Cc\x1b(B\r\n",
            b"Subject: three\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nna=C3=AFve te=\r\na\r\n",
            long.as_bytes(),
        ]);
        let text = |text: &str| found(&store, inbox, &Key::Text(text.into()));
        assert_eq!(text("tea"), [1, 3]);
        assert_eq!(text("お茶"), [2]);
        assert_eq!(text("NAÏVE"), [3]);
        assert_eq!(text("あい"), [1]);
        assert_eq!(text("needéle"), [4]);
        assert_eq!(
            found(&store, inbox, &Key::Body("subject".into())),
            [0_u32; 0]
        );
        let header =
            |name: &str, text: &str| found(&store, inbox, &Key::Header(name.into(), text.into()));
        assert_eq!(header("X-ODD", ""), [2]);
        assert_eq!(header("From", "JOE@A"), [1]);
        assert_eq!(header("subject", "い"), [1]);
        let tea = Key::Text("tea".into());
        let not_joe = Key::Not(Box::new(Key::Header("from".into(), "joe".into())));
        assert_eq!(
            found(&store, inbox, &Key::And(vec![tea.clone(), not_joe])),
            [3]
        );
        assert_eq!(
            found(&store, inbox, &Key::Or(vec![tea, Key::Larger(60_000)])),
            [1, 3, 4]
        );
        assert_eq!(found(&store, inbox, &Key::Sent(When::On, 0)), [1]);
        assert_eq!(found(&store, inbox, &Key::Received(When::Since, 2)), [3, 4]);
    }
}
