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
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::casemap::{casemap, push_casemapped};
use crate::columns::{Walk, Weigh};
use crate::message::{
    AddressView, AddressesView, EnvelopeView, Kind, Part, Structure, TextDecoder, TransferDecoder,
    decode_header, fields, parse_date,
};
use crate::text_index::{Collector, Learner};
use crate::visit::visit_all;
use crate::{
    Bodies, EmailId, Error, Flags, MailboxId, MessageCache, ModSeq, Result, Row, Rows, Store,
    ThreadId, Uid, UidSet, Want,
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

/// So many octets of a body are read at a time.
const PIECE: u64 = 64 * 1024;

/// So much text, at least, is looked through at once.
const LOOK: usize = 4096;

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
    let prepared = Arc::new(plan.prepare(key));
    let judged = judge_all(store, mailbox, &key.bounds(), Arc::new(plan), prepared).await?;
    let found = judged.into_iter().filter(|one| one.found);
    Ok(found.map(|one| (one.uid, one.modified)).collect())
}

/// The same: what memory decides is not read, and what is read of header fields is kept.
pub(crate) async fn search_with(
    cache: &MessageCache,
    store: &dyn Store,
    mailbox: MailboxId,
    key: &Key,
) -> Result<Vec<(Uid, ModSeq)>> {
    let mut plan = Plan {
        learns: true,
        ..Plan::default()
    };
    let prepared = Arc::new(plan.prepare(key));
    let rows = cache.rows(store, mailbox).await?.rows;
    let columns: Vec<_> = plan
        .fields
        .iter()
        .map(|name| cache.fields.get(mailbox, name))
        .collect();
    let mut walks: Vec<_> = columns.iter().map(|column| Walk::new(column)).collect();
    let mut fields = vec![None; plan.fields.len()];
    let (mut found, mut undecided) = (Vec::new(), UidSet::new());
    for row in rows.iter() {
        for (field, walk) in fields.iter_mut().zip(&mut walks) {
            *field = walk.get(row.uid);
        }
        let known = Known {
            fields: &fields,
            ..Known::of(row)
        };
        match known.judge(&plan, &prepared) {
            Some(true) => found.push((row.uid, row.modified)),
            Some(false) => {}
            None => undecided.insert(row.uid),
        }
    }
    if undecided.is_empty() {
        return Ok(found);
    }
    if let Some(index) = cache.text.as_ref().filter(|_| plan.looks_into_bodies()) {
        let needles: Vec<&str> = plan.terms.iter().map(|term| &*term.needle).collect();
        let rows = cache.rows(store, mailbox).await?;
        let knowledge = index.ask(mailbox, &rows, &undecided, &needles).await;
        let ruled_out = |uid: Uid| {
            let absent = knowledge.absent(uid);
            absent.is_some_and(|absent| plan.is_ruled_out(&prepared, &rows, uid, absent))
        };
        undecided = undecided.iter().filter(|uid| !ruled_out(*uid)).collect();
        if undecided.is_empty() {
            return Ok(found);
        }
        plan.learner = Some(Learner::new(index.clone(), mailbox, knowledge));
    }
    if plan.looks_into_bodies() {
        cache
            .looked_into
            .fetch_add(undecided.iter().count() as u64, Ordering::Relaxed);
    }
    let plan = Arc::new(plan);
    let judged = judge_all(store, mailbox, &undecided, Arc::clone(&plan), prepared).await?;
    if let Some(learner) = &plan.learner {
        learner.finish();
    }
    let there = |uid: Uid| rows.binary_search_by_key(&uid, |row| row.uid).is_ok();
    let mut learned: Vec<Vec<_>> = plan.fields.iter().map(|_| Vec::new()).collect();
    let decided = found.len();
    for one in judged {
        if one.found {
            found.push((one.uid, one.modified));
        }
        for (column, text) in learned.iter_mut().zip(one.learned) {
            column.push((one.uid, text));
        }
    }
    for (name, new) in plan.fields.iter().zip(learned) {
        if !new.is_empty() {
            cache.fields.add(mailbox, name, new, there);
        }
    }
    if decided > 0 {
        found.sort_unstable_by_key(|(uid, _)| *uid);
    }
    Ok(found)
}

/// All fields of a name in a message, as they compare, a NUL between them; `None` where there is none.
/// What is too long to keep is not kept.
pub(crate) type FieldText = Option<Box<str>>;

impl Weigh for FieldText {
    fn octets(&self) -> usize {
        self.as_ref().map_or(0, |text| text.len())
    }
}

/// Longer fields are not kept for the next search.
const FIELD_TEXT: usize = 8 * 1024;

/// Longer names are of no field that anybody searches twice.
const FIELD_NAME: usize = 78;

/// More names than so many in one question are not kept for the next.
const FIELDS: usize = 4;

/// Whether a message is it, and what was learned of it on the way.
struct Judged {
    uid: Uid,
    modified: ModSeq,
    found: bool,
    /// In the order of [`Plan::fields`], or nothing.
    learned: Vec<FieldText>,
}

async fn judge_all(
    store: &dyn Store,
    mailbox: MailboxId,
    uids: &UidSet,
    plan: Arc<Plan>,
    prepared: Arc<Prepared>,
) -> Result<Vec<Judged>> {
    let want = match plan.needs_summary {
        true => Want::SUMMARY,
        false => Want::ROW,
    };
    visit_all(store, mailbox, uids, want, move || {
        let (plan, key) = (Arc::clone(&plan), Arc::clone(&prepared));
        move |row: &Row, bodies: &mut dyn Bodies| judge(bodies, &plan, &key, row)
    })
    .await
}

/// Nothing where there is nothing to say of it. One that cannot be read fails no search.
fn judge(
    bodies: &mut dyn Bodies,
    plan: &Plan,
    key: &Prepared,
    row: &Row,
) -> Result<Option<Judged>> {
    let (found, learned) = match matches(bodies, plan, key, row) {
        Err(Error::Damaged(_)) => return Ok(None),
        judged => judged?,
    };
    let judged = Judged {
        uid: row.uid,
        modified: row.modified,
        found,
        learned,
    };
    Ok((found || !judged.learned.is_empty()).then_some(judged))
}

impl Key {
    /// No message outside of these has it.
    fn bounds(&self) -> UidSet {
        match self {
            Self::Uids(uids) => uids.clone(),
            Self::And(keys) => {
                let bounds = keys.iter().map(Self::bounds);
                bounds.fold(UidSet::all(), |all, one| all.intersection(&one))
            }
            _ => UidSet::all(),
        }
    }
}

/// A key whose texts are numbered, so that one reading of a body answers them all.
#[derive(Debug)]
enum Prepared {
    Plain(Key),
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
    /// Whether what is read of header fields is of use later.
    learns: bool,
    /// The names, in lower case, of fields that no summary has.
    fields: Vec<String>,
    /// Takes up the texts that are read.
    learner: Option<Learner>,
}

/// A text to look for, as it compares.
#[derive(Debug)]
struct Term {
    needle: String,
    in_header: bool,
    in_body: bool,
}

impl Plan {
    fn prepare(&mut self, key: &Key) -> Prepared {
        let mut all = |keys: &[Key]| keys.iter().map(|key| self.prepare(key)).collect();
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
                let name = name.to_ascii_lowercase();
                let new = !in_summary(&name, text) && !self.fields.contains(&name);
                let keeps = self.fields.len() < FIELDS && name.len() <= FIELD_NAME;
                if self.learns && new && keeps && !text.contains('\0') {
                    self.fields.push(name.clone());
                }
                Prepared::Header(name, self.term(text, false, false))
            }
            Key::Body(text) => Prepared::Content(self.term(text, false, true)),
            Key::Text(text) => Prepared::Content(self.term(text, true, true)),
            key => Prepared::Plain(key.clone()),
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

    /// What the fields say; nothing where one of them says too much.
    fn learn(&self, header: &[u8]) -> Vec<FieldText> {
        let mut all: Vec<Option<String>> = vec![None; self.fields.len()];
        if all.is_empty() {
            return Vec::new();
        }
        for (field, value, _) in fields(header) {
            for (name, text) in self.fields.iter().zip(&mut all) {
                if !field.eq_ignore_ascii_case(name.as_bytes()) {
                    continue;
                }
                match text {
                    Some(text) => text.push('\0'),
                    None => *text = Some(String::new()),
                }
                push_casemapped(&decode_header(value), text.get_or_insert_default());
            }
        }
        let long = |text: &Option<String>| text.as_ref().is_some_and(|t| t.len() > FIELD_TEXT);
        match all.iter().any(long) {
            true => Vec::new(),
            false => all.into_iter().map(|text| text.map(Into::into)).collect(),
        }
    }

    fn looks_into_bodies(&self) -> bool {
        self.terms.iter().any(|term| term.in_body)
    }

    /// Whether it is enough to know that a message lacks those texts, a bit each.
    fn is_ruled_out(&self, key: &Prepared, rows: &Rows, uid: Uid, absent: u64) -> bool {
        let at = rows.rows.binary_search_by_key(&uid, |row| row.uid);
        let Some(row) = at.ok().and_then(|at| rows.rows.get(at)) else {
            return false;
        };
        let lacks = |at: usize| at < 64 && absent & 1 << at != 0;
        let known = Known {
            content: (0..self.terms.len())
                .map(|at| lacks(at).then_some(false))
                .collect(),
            ..Known::of(row)
        };
        known.judge(self, key) == Some(false)
    }

    fn needle(&self, number: usize) -> &str {
        self.terms.get(number).map_or("", |term| &term.needle)
    }
}

/// Whether a summary answers that.
fn in_summary(name: &str, text: &str) -> bool {
    match name {
        "subject" | "message-id" | "in-reply-to" => true,
        "from" | "to" | "cc" | "bcc" => !text.is_empty(),
        _ => false,
    }
}

/// What is known of a message so far.
struct Known<'a> {
    row: &'a Row,
    envelope: Option<EnvelopeView<'a>>,
    structure: Option<&'a Structure>,
    /// In the order of [`Plan::fields`]; nothing for what is not known.
    fields: &'a [Option<&'a FieldText>],
    header: Option<Vec<u8>>,
    /// Which terms its content has, as far as that is known.
    content: Vec<Option<bool>>,
}

impl<'a> Known<'a> {
    /// What the row says.
    fn of(row: &'a Row) -> Self {
        Self {
            row,
            envelope: None,
            structure: None,
            fields: &[],
            header: None,
            content: Vec::new(),
        }
    }
}

fn matches(
    bodies: &mut dyn Bodies,
    plan: &Plan,
    key: &Prepared,
    row: &Row,
) -> Result<(bool, Vec<FieldText>)> {
    let known = Known {
        envelope: EnvelopeView::of(&row.summary),
        ..Known::of(row)
    };
    if let Some(decided) = known.judge(plan, key) {
        return Ok((decided, Vec::new()));
    }
    let structure = structure_of(bodies, row)?;
    // A summary of another version is made anew.
    let anew = known.envelope.is_none().then(|| structure.encode());
    let mut known = match &anew {
        Some(summary) => Known {
            envelope: EnvelopeView::of(summary),
            ..known
        },
        None => known,
    };
    let header_range = structure.root().header.clone();
    known.structure = Some(&structure);
    if let Some(decided) = known.judge(plan, key) {
        return Ok((decided, Vec::new()));
    }
    let header = read(bodies, row, header_range)?;
    let learned = plan.learn(&header);
    known.header = Some(header);
    if let Some(decided) = known.judge(plan, key) {
        return Ok((decided, learned));
    }
    let content = content(bodies, plan, &known)?;
    known.content = content.into_iter().map(Some).collect();
    Ok((known.judge(plan, key) == Some(true), learned))
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

/// The message itself, without its parts: as [`structure`], at a cost that does not depend on how many parts there are.
///
/// # Errors
/// What the store says.
pub async fn root(store: &dyn Store, row: &Row) -> Result<Part> {
    match Structure::decode_root(&row.summary) {
        Some(root) => Ok(root),
        None => Ok(structure(store, row).await?.root().clone()),
    }
}

/// The same where rows are visited.
pub(crate) fn structure_of(bodies: &mut dyn Bodies, row: &Row) -> Result<Structure> {
    if let Some(structure) = Structure::decode(&row.summary) {
        return Ok(structure);
    }
    let mut scanner = crate::message::Scanner::default();
    let mut at = 0;
    while at < row.body.octets {
        let piece = bodies.read(&row.body, at..at + PIECE)?;
        if piece.is_empty() {
            break;
        }
        at += piece.len() as u64;
        scanner.feed(&piece);
    }
    Ok(scanner.finish())
}

fn read(bodies: &mut dyn Bodies, row: &Row, range: Range<u64>) -> Result<Vec<u8>> {
    let mut octets = Vec::new();
    let mut at = range.start;
    // A header section of more than this is cut: it is no header.
    let end = range.end.min(range.start + 4 * 1024 * 1024);
    while at < end {
        let piece = bodies.read(&row.body, at..end)?;
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
    fn judge(&self, plan: &Plan, key: &Prepared) -> Option<bool> {
        match key {
            Prepared::Plain(key) => self.plain(key),
            Prepared::Header(name, number) => self.header(plan, name, plan.needle(*number)),
            Prepared::Content(number) => self.content.get(*number).copied().flatten(),
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
                let date = self.envelope?.date.and_then(parse_date);
                date.is_some_and(|date| when.holds(date.day(), *day))
            }
            _ => return None,
        })
    }

    fn header(&self, plan: &Plan, name: &str, needle: &str) -> Option<bool> {
        let mut fields_known = plan.fields.iter().zip(self.fields);
        if let Some((_, Some(text))) = fields_known.find(|(field, _)| *field == name) {
            let has = |text: &str| memmem::find(text.as_bytes(), needle.as_bytes()).is_some();
            return Some(text.as_deref().is_some_and(has));
        }
        let envelope = self.envelope.as_ref()?;
        let text = |value: Option<&[u8]>| {
            Some(value.is_some_and(|value| holds(&decode_header(value), needle)))
        };
        let people =
            |all: AddressesView<'_>| Some(all.iter().any(|one| holds(&person(one), needle)));
        match name {
            "subject" => return text(envelope.subject),
            "message-id" => return text(envelope.message_id),
            "in-reply-to" => return text(envelope.in_reply_to),
            "from" if !needle.is_empty() => return people(envelope.from),
            "to" if !needle.is_empty() => return people(envelope.to),
            "cc" if !needle.is_empty() => return people(envelope.cc),
            "bcc" if !needle.is_empty() => return people(envelope.bcc),
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
fn person(address: AddressView<'_>) -> String {
    let name = address.name.map(decode_header).unwrap_or_default();
    let mailbox = String::from_utf8_lossy(address.mailbox.unwrap_or_default());
    match address.host.map(String::from_utf8_lossy) {
        Some(host) => format!("{name} <{mailbox}@{host}>"),
        None => format!("{name} {mailbox}"),
    }
}

/// Looks for all terms in a text that comes in pieces.
struct Finder<'a> {
    plan: &'a Plan,
    found: Vec<bool>,
    /// What came and was not looked through, and the end of what was, as it compares: a needle may lie across
    /// pieces.
    window: String,
    /// So much of it was looked through.
    looked: usize,
    /// Whether what came is of the message's header section.
    in_header: bool,
    longest: usize,
    /// For the text index.
    collector: Option<Collector>,
    /// Up to here the window was collected.
    collected: usize,
}

impl Finder<'_> {
    fn feed(&mut self, text: &str, in_header: bool) {
        push_casemapped(text, &mut self.window);
        self.in_header = in_header;
        // As much as is kept of what was looked through before: pieces may be small, and needles long.
        if self.window.len().saturating_sub(self.looked) >= self.longest.max(LOOK) {
            self.look();
        }
    }

    /// Looks through what came.
    fn look(&mut self) {
        // The last character may still be composed with what comes.
        let last = self.window.char_indices().next_back();
        self.collect(last.map_or(0, |(at, _)| at));
        for (found, term) in self.found.iter_mut().zip(&self.plan.terms) {
            let looks = if self.in_header {
                term.in_header
            } else {
                term.in_body
            };
            if looks && !*found {
                *found = memmem::find(self.window.as_bytes(), term.needle.as_bytes()).is_some();
            }
        }
        let mut keep = self.window.len().saturating_sub(self.longest);
        if self.collector.is_some() {
            keep = keep.min(self.collected);
        }
        while !self.window.is_char_boundary(keep) {
            keep += 1;
        }
        self.window.drain(..keep);
        self.collected = self.collected.saturating_sub(keep);
        self.looked = self.window.len();
    }

    fn collect(&mut self, end: usize) {
        if let Some(collector) = &mut self.collector {
            collector.add(self.window.get(self.collected..end).unwrap_or(""));
            self.collected = end;
        }
    }

    /// What comes next does not go on with what came.
    fn cut(&mut self) {
        self.look();
        self.collect(self.window.len());
        self.window.clear();
        (self.collected, self.looked) = (0, 0);
    }

    fn is_done(&self) -> bool {
        if self.collector.is_some() {
            return false;
        }
        let mut pairs = self.found.iter().zip(&self.plan.terms);
        pairs.all(|(found, term)| *found || !(term.in_body || term.in_header))
    }
}

/// Which terms the message's content has.
fn content(bodies: &mut dyn Bodies, plan: &Plan, known: &Known<'_>) -> Result<Vec<bool>> {
    let learner = plan.learner.as_ref();
    let learner = learner.filter(|learner| learner.wants(known.row.uid));
    let mut finder = Finder {
        plan,
        found: vec![false; plan.terms.len()],
        window: String::new(),
        looked: 0,
        in_header: true,
        longest: plan
            .terms
            .iter()
            .map(|term| term.needle.len())
            .max()
            .unwrap_or(0),
        collector: learner.map(|_| Collector::default()),
        collected: 0,
    };
    if let Some(header) = &known.header {
        header_text(header, |field| finder.feed(field, true));
        finder.cut();
    }
    let Some(structure) = known.structure else {
        return Ok(finder.found);
    };
    for (index, part) in structure.parts().iter().enumerate() {
        if finder.is_done() {
            break;
        }
        // The header section of a part, or of a message within, is in the body of the whole.
        if index > 0 && part.header.end > part.header.start {
            let header = read(bodies, known.row, part.header.clone())?;
            header_text(&header, |field| finder.feed(field, false));
            finder.cut();
        }
        // What it is called, however that was encoded: the field's text has it as it was sent.
        if let Some(name) = part.content.file_name() {
            finder.feed(&name, index == 0);
            finder.cut();
        }
        // A multipart in which no part begins is text.
        let is_whole =
            part.kind == Kind::Leaf || part.kind == Kind::Multipart && part.end == index + 1;
        if is_whole && is_text(part) {
            part_text(bodies, known.row, part, &mut finder)?;
            finder.cut();
        }
    }
    if let Some((learner, collector)) = learner.zip(finder.collector.as_ref()) {
        learner.learn(known.row, collector);
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

fn part_text(
    bodies: &mut dyn Bodies,
    row: &Row,
    part: &Part,
    finder: &mut Finder<'_>,
) -> Result<()> {
    let mut transfer = TransferDecoder::new(part.transfer_encoding());
    let mut charset = TextDecoder::of(&part.content);
    let (mut octets, mut text) = (Vec::new(), String::new());
    let mut at = part.body.start;
    while at < part.body.end && !finder.is_done() {
        let piece = bodies.read(&row.body, at..part.body.end.min(at + PIECE))?;
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
pub(crate) mod tests {
    use super::*;
    use crate::{Append, Memory, Operation, Transaction, Which, block_on};
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

    /// Bodies none of which can be read.
    pub(crate) struct Gone;

    impl Bodies for Gone {
        fn read(&mut self, _: &crate::BodyRef, _: Range<u64>) -> Result<Bytes> {
            Err(Error::Damaged("gone"))
        }
    }

    /// The row of a message that has no summary.
    pub(crate) fn row_without_summary() -> Row {
        let (store, inbox) = store_of(&[b"Subject: a\r\n\r\ntea\r\n"]);
        let all = Which::After(None);
        let page = block_on(store.messages(inbox, &all, Want::SUMMARY, 1));
        page.unwrap().rows.remove(0)
    }

    #[test]
    fn what_cannot_be_read_is_not_found_and_fails_nothing() {
        let mut plan = Plan::default();
        let key = plan.prepare(&Key::Not(Box::new(Key::Text("coffee".into()))));
        let judged = judge(&mut Gone, &plan, &key, &row_without_summary()).unwrap();
        assert!(judged.is_none());
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
            b"Subject: =?ISO-2022-JP?B?GyRCJE5PMxsoQg==?=\r\n =?ISO-2022-JP?B?GyRCJGwkcktJJDAbKEI=?=\r\nFrom: =?cp932?B?jvOSjYLMjI8=?= <a@b.test>\r\n\
              Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\n\x8b\x8c\x82\xa2\x8e\xe8\x8e\x86\x82\xf0\x93\xc7\x82\xde\r\n--q\r\n\
              Content-Type: application/pdf; name*0*=utf-8''%E9%A3%9B; name*1*=%E8%84%9A.pdf\r\n\r\nx\r\n--q--\r\n",
            b"Content-Type: multipart/mixed; boundary=never\r\n\r\nThe whole text is here.\r\n",
        ]);
        let text = |text: &str| found(&store, inbox, &Key::Text(text.into()));
        assert_eq!(text("tea"), [1, 3]);
        assert_eq!(text("お茶"), [2]);
        assert_eq!(text("NAÏVE"), [3]);
        assert_eq!(text("あい"), [1]);
        assert_eq!(text("needéle"), [4]);
        assert_eq!(text("飛脚.pdf"), [5]);
        assert_eq!(text("漏れを防ぐ"), [5]);
        assert_eq!(text("受注の件"), [5]);
        assert_eq!(text("旧い手紙"), [5]);
        assert_eq!(text("whole text"), [6]);
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
        assert_eq!(
            found(&store, inbox, &Key::Received(When::Since, 2)),
            [3, 4, 5, 6]
        );
    }
}
