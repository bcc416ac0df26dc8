//! The sync of a POP account: what is new is brought and put on the disk; only then is deleted, by the
//! account's rule, what lies there as the same octets. A connection that is cut deletes nothing (RFC 1939 §6).

use bytes::Bytes;
use hikyaku_wire::Secret;
use mailstore::message::Scanner;
use mailstore::{
    Append, BodyRef, EmailId, MailboxId, Operation, Stage, Staged, Transaction, Want, Which,
};
use pop3_proto::client::{Event, Handle};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use super::record::{Doubt, Hash, Print, Printer, Record, hash, is_of_number, key, origin};
use super::{Manner, Session, said};
use crate::error::out_of_turn;
use crate::local::now;
use crate::{Account, Deletion, Dial, Error, Local, Progress, Report, Result};

/// RETRs that are under way at once, where the server has PIPELINING.
const AHEAD: usize = 8;
/// What was downloaded is put on the disk together, up to this many messages and octets.
const BATCH: (usize, u64) = (32, 8 * 1024 * 1024);
/// A message of more octets is not brought: whatever sends it does not end.
const LARGEST: u64 = 1024 * 1024 * 1024;
/// How many connections one sync may take, when the server breaks them off.
const ROUNDS: usize = 9;
/// A maildrop of at most this many messages that stay is looked at closely in every sync.
const FEW: usize = 16;
/// How long a message that is listed no more is remembered, in seconds: servers list less by mistake.
const REMEMBERED: i64 = 30 * 86_400;
/// Records with the same octets or header section that are looked at for one message.
const ALIKE: usize = 64;
/// The messages most of a listing that was refused, by STAT.
const COUNTED: u32 = 1_000_000;
/// The property with the ids of messages over which the server broke off: they come last.
const LAST: &str = "pop-last";

/// A message of the session, as far as it is known without its octets.
type Name = (u32, Option<Hash>);

/// Downloads what is new, and deletes by the account's rule.
pub(crate) async fn sync(
    dial: &dyn Dial,
    local: &Local,
    account: &Account,
    password: &Secret,
    progress: &Progress,
) -> Result<Report> {
    let mut report = Report::default();
    let mut trouble = Trouble::default();
    let mut manner = Manner::default();
    let mut before: Option<Error> = None;
    let properties = local.properties(local.account).await?;
    if let Some(value) = properties.get(LAST) {
        trouble.last = postcard::from_bytes(value).unwrap_or_default();
    }
    let outcome = loop {
        let server = &account.incoming;
        let session = Session::open_in(dial, server, account.login(), password, &mut manner).await;
        let session = match session {
            Ok(session) => session,
            // Why the last session ended says more.
            Err(error) => break Err(before.unwrap_or(error)),
        };
        let mut run = Run::begin(session, local, account, &mut report, &mut trouble).await?;
        let Err(error) = run.all(progress).await else {
            break Ok(());
        };
        progress.end();
        if !matches!(error, Error::Network(_) | Error::Protocol(_)) {
            break Err(error);
        }
        let last = run
            .waiting
            .last()
            .and_then(|one| run.listed.get(one.listed));
        let at = match (run.at, &error, last) {
            // What came instead of an answer may be the rest of the message before.
            (At::Message(_), Error::Protocol(_), Some(one)) => At::Message((one.number, one.id)),
            (at, ..) => at,
        };
        run.flush(Flush::BrokenOff).await?;
        let pipelining = run.session.capabilities.as_ref();
        let pipelining = pipelining.is_some_and(|all| all.pipelining);
        trouble.rounds += 1;
        let goes_on = match at {
            _ if trouble.rounds >= ROUNDS => false,
            At::Listing | At::Deleting => false,
            // Servers announce PIPELINING and have it not.
            At::Header | At::Message(_) if pipelining && !manner.one_by_one => {
                manner.one_by_one = true;
                true
            }
            At::Ids => !std::mem::replace(&mut manner.no_uidl, true),
            At::Header => !std::mem::replace(&mut manner.no_top, true),
            At::Message(name) => {
                if trouble.once.insert(name) {
                    trouble.last.extend(name.1);
                } else {
                    trouble.given_up.insert(name);
                    report.warnings.push(format!(
                        "message {}: the server broke off ({error}); it is tried again at the next sync",
                        name.0
                    ));
                }
                true
            }
        };
        if !goes_on {
            break Err(error);
        }
        before = Some(error);
    };
    trouble.keep(local, properties.get(LAST)).await?;
    outcome.map(|()| report)
}

/// Messages over which the server broke off.
#[derive(Debug, Default)]
struct Trouble {
    rounds: usize,
    /// In this sync: they come last.
    once: HashSet<Name>,
    /// In this sync, twice: they are left for the next.
    given_up: HashSet<Name>,
    /// By id, at any time.
    last: BTreeSet<Hash>,
}

impl Trouble {
    async fn keep(&mut self, local: &Local, before: Option<&Bytes>) -> Result<()> {
        while self.last.len() > 100 {
            self.last.pop_first();
        }
        let value = match self.last.is_empty() {
            true => None,
            false => postcard::to_allocvec(&self.last).ok().map(Bytes::from),
        };
        if value.as_ref() != before {
            let key = LAST.to_owned();
            let set = Operation::SetProperty { key, value };
            let transaction = Transaction::new(local.account).with(set);
            local.commit(transaction).await?;
        }
        Ok(())
    }
}

/// What a session is at, for when it breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Listing,
    Ids,
    Header,
    Message(Name),
    Deleting,
}

/// A message on the server.
#[derive(Debug)]
struct Listed {
    number: u32,
    octets: Option<u64>,
    id: Option<Hash>,
    /// The id is another message's too, or may be made of the number.
    is_weak: bool,
    /// Its record, and whether its octets were looked at in this session.
    claim: Option<(usize, bool)>,
}

/// How the session goes on after what is put on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flush {
    /// The last message may not be whole until the server has answered something after it.
    AllButLast,
    All,
    /// The last message may not be whole.
    BrokenOff,
}

/// A message that came, and is not on the disk.
struct Waiting {
    listed: usize,
    body: Staged,
    summary: Bytes,
    print: Print,
}

/// A message that is coming.
struct Coming {
    stage: Box<dyn Stage>,
    scanner: Scanner,
    printer: Printer,
    octets: u64,
}

/// One session.
struct Run<'a> {
    session: Session,
    local: &'a Local,
    account: &'a Account,
    report: &'a mut Report,
    trouble: &'a mut Trouble,
    at: At,
    inbox: MailboxId,
    listed: Vec<Listed>,
    /// With the origins under which they are kept.
    records: Vec<(Bytes, Record)>,
    claimed: HashSet<usize>,
    /// Ids of messages that are listed.
    ids: HashSet<Hash>,
    waiting: Vec<Waiting>,
    octets: u64,
    by_header: HashMap<Hash, Vec<usize>>,
    by_content: HashMap<Hash, Vec<usize>>,
    /// Where messages lie that are not in INBOX by their origin, once somebody asked.
    bodies: Option<HashMap<EmailId, BodyRef>>,
    /// What is here and not in the trash, where that decides what is deleted.
    here: BTreeSet<EmailId>,
}

impl<'a> Run<'a> {
    async fn begin(
        session: Session,
        local: &'a Local,
        account: &'a Account,
        report: &'a mut Report,
        trouble: &'a mut Trouble,
    ) -> Result<Self> {
        let properties = local.properties(local.account).await?;
        let records = properties.iter();
        let records = records.filter_map(|(key, value)| Record::read(key, value));
        let mut run = Self {
            session,
            local,
            account,
            report,
            trouble,
            at: At::Listing,
            inbox: local.folder("INBOX").await?.id,
            listed: Vec::new(),
            records: records.collect(),
            claimed: HashSet::new(),
            ids: HashSet::new(),
            waiting: Vec::new(),
            octets: 0,
            by_header: HashMap::new(),
            by_content: HashMap::new(),
            bodies: None,
            here: BTreeSet::new(),
        };
        if account.delete == Deletion::WhenDeletedHere {
            run.here = emails(local).await?;
        }
        for index in 0..run.records.len() {
            run.complete(index).await?;
            run.index(index);
        }
        Ok(run)
    }

    /// Looks at what is here of a message that was brought before its octets were remembered.
    async fn complete(&mut self, index: usize) -> Result<()> {
        let Some((origin, record)) = self.records.get(index) else {
            return Ok(());
        };
        if record.print.is_none() {
            let (origin, email) = (origin.clone(), record.email);
            let body = self.body(&origin, email).await?;
            let print = match body {
                Some(body) => self.print(&body).await.ok(),
                None => None,
            };
            if let Some((_, record)) = self.records.get_mut(index) {
                record.print = print;
            }
        }
        Ok(())
    }

    fn index(&mut self, index: usize) {
        if let Some(print) = self.records.get(index).and_then(|(_, r)| r.print) {
            self.by_header.entry(print.header).or_default().push(index);
            self.by_content
                .entry(print.content)
                .or_default()
                .push(index);
        }
    }

    async fn all(&mut self, progress: &Progress) -> Result<()> {
        self.list().await?;
        let mut new = self.recognise().await?;
        new.sort_by_key(|&index| self.comes_last(index));
        progress.begin(&self.account.address, new.len() as u64);
        self.fetch(&new, progress).await?;
        progress.end();
        self.at = At::Deleting;
        let marked = self.mark().await?;
        self.end(marked).await
    }

    fn comes_last(&self, index: usize) -> bool {
        self.listed.get(index).is_some_and(|one| {
            let by_id = one.id.is_some_and(|id| self.trouble.last.contains(&id));
            by_id || self.trouble.once.contains(&(one.number, one.id))
        })
    }

    /// What LIST and UIDL say together: each may lack what the other has.
    async fn list(&mut self) -> Result<()> {
        let sizes = self.session.sizes().await?;
        self.at = At::Ids;
        let ids = self.session.unique_ids().await?;
        self.at = At::Listing;
        let mut numbers: BTreeSet<u32> = sizes
            .lines
            .keys()
            .chain(ids.lines.keys())
            .copied()
            .collect();
        if !sizes.is_ok && !ids.is_ok {
            let count = self.session.count().await?;
            numbers.extend(1..=count.min(COUNTED));
        }
        let mut of: HashMap<Hash, usize> = HashMap::new();
        for id in ids.lines.values() {
            *of.entry(hash(id)).or_default() += 1;
        }
        for number in numbers {
            let id = ids
                .lines
                .get(&number)
                .filter(|_| !ids.twice.contains(&number));
            let octets = sizes
                .lines
                .get(&number)
                .filter(|_| !sizes.twice.contains(&number));
            let hashed = id.map(|id| hash(id));
            let is_shared = hashed.is_some_and(|id| of.get(&id).is_some_and(|&count| count > 1));
            self.listed.push(Listed {
                number,
                octets: octets.copied(),
                id: hashed,
                is_weak: is_shared || id.is_some_and(|id| is_of_number(id, number)),
                claim: None,
            });
            self.ids.extend(hashed);
        }
        Ok(())
    }

    /// Finds the records of what is listed, and returns the indices of what must be fetched: what has none, and
    /// what cannot be told otherwise.
    async fn recognise(&mut self) -> Result<Vec<usize>> {
        let mut by_id: HashMap<Hash, Vec<usize>> = HashMap::new();
        for (index, (_, record)) in self.records.iter().enumerate() {
            if let Some(id) = record.id {
                by_id.entry(id).or_default().push(index);
            }
        }
        for one in &mut self.listed {
            let same = one.id.and_then(|id| by_id.get(&id));
            if let Some(&[index]) = same.map(Vec::as_slice)
                && let Some((_, record)) = self.records.get(index)
                && is_trusted(record, one)
            {
                one.claim = Some((index, false));
                self.claimed.insert(index);
            }
        }
        let looks_closely = self.claimed.len() <= FEW;
        let sizes: HashSet<Option<u64>> =
            self.unclaimed().map(|(_, record)| record.octets).collect();
        let mut fetch = Vec::new();
        for at in 0..self.listed.len() {
            let Some(one) = self.listed.get(at) else {
                break;
            };
            let (number, id, claim) = (one.number, one.id, one.claim);
            match claim {
                Some((index, _)) => {
                    let is_due = self.is_due(index);
                    if !is_due && !looks_closely {
                        continue;
                    }
                    match self.looks(number, index).await? {
                        Looks::Same => self.claim(at, index, true),
                        Looks::Unknown if !is_due => {}
                        Looks::Unknown | Looks::Other => {
                            self.claimed.remove(&index);
                            if let Some(one) = self.listed.get_mut(at) {
                                one.claim = None;
                            }
                            fetch.push(at);
                        }
                    }
                }
                None => {
                    let has_record = id.is_some_and(|id| by_id.contains_key(&id));
                    let may_be = has_record
                        || sizes.contains(&None)
                        || (one.octets.is_some() && sizes.contains(&one.octets));
                    let header = match may_be {
                        true => self.header(number).await?,
                        false => None,
                    };
                    let found = header.and_then(|header| self.by_header(at, &header));
                    match found {
                        Some(index) => self.claim(at, index, true),
                        None => fetch.push(at),
                    }
                }
            }
        }
        fetch.retain(|&at| {
            let one = self.listed.get(at);
            !one.is_some_and(|one| self.trouble.given_up.contains(&(one.number, one.id)))
        });
        Ok(fetch)
    }

    fn unclaimed(&self) -> impl Iterator<Item = &(Bytes, Record)> {
        let all = self.records.iter().enumerate();
        all.filter(|(index, _)| !self.claimed.contains(index))
            .map(|(_, record)| record)
    }

    fn claim(&mut self, at: usize, index: usize, seen: bool) {
        self.claimed.insert(index);
        if let Some(one) = self.listed.get_mut(at) {
            one.claim = Some((index, seen));
        }
    }

    /// The print of a message's header section, by TOP.
    async fn header(&mut self, number: u32) -> Result<Option<Print>> {
        if !self.session.may_have_top() {
            return Ok(None);
        }
        self.at = At::Header;
        let header = self.session.header(number).await?;
        self.at = At::Listing;
        Ok(header.map(|header| {
            let mut printer = Printer::default();
            printer.feed(&header);
            printer.finish()
        }))
    }

    /// Whether a message that has a record's id is the record's, by its header section.
    async fn looks(&mut self, number: u32, index: usize) -> Result<Looks> {
        let print = self.records.get(index).and_then(|(_, record)| record.print);
        let Some(print) = print else {
            return Ok(Looks::Unknown);
        };
        Ok(match self.header(number).await? {
            None => Looks::Unknown,
            Some(header) if header.header != print.header => Looks::Other,
            Some(_) if print.is_distinct => Looks::Same,
            Some(_) => Looks::Unknown,
        })
    }

    /// The first of `alike` that is no other message's and passes; one with the message's id before all others,
    /// but any of them counts: ids that are numbers move on when a message goes.
    fn free(&self, at: usize, alike: &[usize], passes: impl Fn(&Record) -> bool) -> Option<usize> {
        let id = self.listed.get(at)?.id;
        let record = |index: &usize| self.records.get(*index).map(|(_, record)| record);
        let free = alike
            .iter()
            .copied()
            .filter(|index| !self.claimed.contains(index) && record(index).is_some_and(&passes));
        let mut first = free.clone().take(ALIKE);
        first
            .find(|index| record(index).is_some_and(|record| record.id == id))
            .or_else(|| free.clone().next())
    }

    /// The record of a message of that header section and of that size.
    fn by_header(&self, at: usize, header: &Print) -> Option<usize> {
        let octets = self.listed.get(at)?.octets;
        let alike = self.by_header.get(&header.header)?;
        self.free(at, alike, |record| {
            let doubt = matches!(record.doubt, Doubt::None | Doubt::Unsure | Doubt::Kept);
            let size = record.octets.is_none() || record.octets == octets;
            doubt && size && record.print.is_some_and(|print| print.is_distinct)
        })
    }

    /// The record of a message of those octets.
    fn by_content(&self, at: usize, print: &Print) -> Option<usize> {
        self.free(at, self.by_content.get(&print.content)?, |_| true)
    }

    async fn fetch(&mut self, new: &[usize], progress: &Progress) -> Result<()> {
        let mut next = new.iter();
        let mut under_way: VecDeque<(Handle, usize)> = VecDeque::new();
        let mut coming: Option<Coming> = None;
        loop {
            while under_way.len() < AHEAD {
                let Some(&at) = next.next() else { break };
                let Some(number) = self.listed.get(at).map(|one| one.number) else {
                    break;
                };
                let (machine, output) = self.session.driver.split();
                let handle = machine.retr(number, output).map_err(out_of_turn)?;
                under_way.push_back((handle, at));
            }
            let Some(&(first, at)) = under_way.front() else {
                break;
            };
            let Some(one) = self.listed.get(at) else {
                break;
            };
            self.at = At::Message((one.number, one.id));
            let number = one.number;
            match self.session.next().await? {
                Event::Message { .. } => {
                    coming = Some(Coming {
                        stage: self.local.store.stage().await?,
                        scanner: Scanner::default(),
                        printer: Printer::default(),
                        octets: 0,
                    });
                }
                Event::Chunk(octets) => {
                    let Some(coming) = &mut coming else { continue };
                    coming.octets += octets.len() as u64;
                    if coming.octets > LARGEST {
                        return Err(Error::Protocol("a message without an end".into()));
                    }
                    coming.scanner.feed(&octets);
                    coming.printer.feed(&octets);
                    coming.stage.write(octets).await?;
                }
                Event::Completed { handle, response } if handle == first => {
                    under_way.pop_front();
                    let listed = self.listed.get(at).and_then(|one| one.octets);
                    match coming.take().filter(|_| response.is_ok) {
                        // What the server could not read comes so: nothing to keep, and nothing to delete.
                        Some(coming) if coming.octets == 0 && listed != Some(0) => {
                            self.report.warnings.push(format!(
                                "message {number} came without a single octet; it is tried again at the next sync"
                            ));
                        }
                        Some(coming) => {
                            self.octets += coming.octets;
                            self.waiting.push(Waiting {
                                listed: at,
                                body: coming.stage.finish().await?,
                                summary: coming.scanner.finish().encode(),
                                print: coming.printer.finish(),
                            });
                            progress.step();
                        }
                        None => self.report.warnings.push(format!(
                            "message {number}: {}; it is tried again at the next sync",
                            said(&response)
                        )),
                    }
                    if self.waiting.len() > BATCH.0 || self.octets >= BATCH.1 {
                        self.flush(Flush::AllButLast).await?;
                    }
                }
                _ => {}
            }
        }
        if !self.waiting.is_empty() {
            // The last one was whole if the server goes on with an answer, not with more of it.
            let (machine, output) = self.session.driver.split();
            let handle = machine.noop(output).map_err(out_of_turn)?;
            self.session.end_of(handle, |_| {}).await?;
        }
        self.at = At::Listing;
        self.flush(Flush::All).await
    }

    /// Puts on the disk what came, each together with its record.
    async fn flush(&mut self, how: Flush) -> Result<()> {
        let mut waiting = std::mem::take(&mut self.waiting);
        self.octets = 0;
        if how == Flush::AllButLast {
            self.waiting.extend(waiting.pop());
        }
        if waiting.is_empty() {
            return Ok(());
        }
        let last = waiting.len() - 1;
        let mut each = Vec::new();
        for (nth, one) in waiting.into_iter().enumerate() {
            let is_broken = how == Flush::BrokenOff && nth == last;
            each.push(self.kept(one, is_broken));
        }
        let all = each.iter().flat_map(|(_, operations)| operations.clone());
        let mut transaction = Transaction::new(self.local.account);
        transaction.operations = all.collect();
        let mut done = Vec::new();
        match self.local.commit(transaction).await {
            Ok(_) => done.extend(each.iter().map(|(index, _)| *index)),
            // One of them is what cannot be put there: not the others.
            Err(first) => {
                for (index, operations) in each {
                    let mut transaction = Transaction::new(self.local.account);
                    transaction.operations = operations;
                    match self.local.commit(transaction).await {
                        Ok(_) => done.push(index),
                        Err(error) => self.not_kept(index, &error),
                    }
                }
                if done.is_empty() {
                    return Err(first);
                }
            }
        }
        self.name_emails(&done).await
    }

    /// What puts a message on the disk, and its record's index: the record of the same octets, or a new one.
    fn kept(&mut self, one: Waiting, is_broken: bool) -> (usize, Vec<Operation>) {
        let at = one.listed;
        let known = self.by_content(at, &one.print);
        let (number, octets, id) = match self.listed.get(at) {
            Some(listed) => (listed.number, listed.octets, listed.id),
            None => (0, None, None),
        };
        let doubt = match is_broken {
            true => Doubt::Broken,
            false => Doubt::None,
        };
        if let Some(id) = id.filter(|_| !is_broken) {
            self.trouble.last.remove(&id);
        }
        if let Some((index, (origin, record))) =
            known.and_then(|index| Some((index, self.records.get_mut(index)?)))
        {
            if record.doubt == Doubt::Deleted {
                self.report.warnings.push(format!(
                    "message {number}: the server kept it, although it had said that it is deleted"
                ));
            }
            record.doubt = match record.doubt {
                Doubt::Deleted | Doubt::Kept if !is_broken => Doubt::Kept,
                _ => doubt,
            };
            (record.number, record.octets, record.id, record.missing) = (number, octets, id, 0);
            let operations = vec![record.keep(origin)];
            self.claim(at, index, true);
            return (index, operations);
        }
        let record = Record {
            id,
            octets,
            number,
            print: Some(one.print),
            at: now(),
            email: 0,
            doubt,
            missing: 0,
        };
        let origin = origin(&one.print);
        let mut append = Append::new(self.inbox, one.body, (now(), 0));
        append.summary = one.summary;
        append.origin = Some(origin.clone());
        let operations = vec![Operation::Append(Box::new(append)), record.keep(&origin)];
        let index = self.records.len();
        self.records.push((origin, record));
        self.index(index);
        self.claim(at, index, true);
        self.report.new += 1;
        (index, operations)
    }

    /// Undoes what was noted of a message that could not be put on the disk.
    fn not_kept(&mut self, index: usize, error: &Error) {
        let of = |one: &&mut Listed| one.claim.is_some_and(|(of, _)| of == index);
        if let Some(one) = self.listed.iter_mut().find(of) {
            one.claim = None;
            let number = one.number;
            self.report
                .warnings
                .push(format!("message {number}: {error}; it stays on the server"));
        }
        if self
            .records
            .get(index)
            .is_some_and(|(_, record)| record.email == 0)
        {
            self.report.new = self.report.new.saturating_sub(1);
        }
    }

    /// Notes which messages those of new records became.
    async fn name_emails(&mut self, done: &[usize]) -> Result<()> {
        let mut transaction = Transaction::new(self.local.account);
        for &index in done {
            let Some((origin, record)) = self.records.get_mut(index) else {
                continue;
            };
            if record.email != 0 {
                continue;
            }
            let which = Which::Origin(origin.clone());
            let rows = self.local.store.messages(self.inbox, &which, Want::ROW, 1);
            if let Some(row) = rows.await?.rows.pop() {
                record.email = row.email.0;
                transaction = transaction.with(record.keep(origin));
            }
        }
        if !transaction.operations.is_empty() {
            self.local.commit(transaction).await?;
        }
        Ok(())
    }

    /// Whether the account's rule deletes a message from the server.
    fn is_due(&self, index: usize) -> bool {
        let Some((_, record)) = self.records.get(index) else {
            return false;
        };
        match self.account.delete {
            Deletion::AtOnce => true,
            Deletion::AfterDays(days) => record.at + i64::from(days) * 86_400 <= now(),
            Deletion::WhenDeletedHere => {
                record.email != 0 && !self.here.contains(&EmailId(record.email))
            }
            Deletion::Never => false,
        }
    }

    /// Marks on the server what is due and lies here as the same octets. Returns the records' indices with
    /// what DELE was answered.
    async fn mark(&mut self) -> Result<Vec<usize>> {
        if self.account.delete == Deletion::WhenDeletedHere {
            self.here = emails(self.local).await?;
        }
        let seen = self.listed.iter().filter_map(|one| match one.claim {
            Some((index, true)) => Some((one.number, index)),
            _ => None,
        });
        let seen: Vec<_> = seen.filter(|(_, index)| self.is_due(*index)).collect();
        let mut due = Vec::new();
        let mut transaction = Transaction::new(self.local.account);
        for (number, index) in seen {
            let lies_here = self.lies_here(index).await?;
            let Some((origin, record)) = self.records.get_mut(index) else {
                continue;
            };
            if !lies_here {
                self.report.warnings.push(format!(
                    "message {number} is not deleted from the server: what lies here is not the same; \
                     it is brought again at the next sync"
                ));
                let key = key(origin);
                transaction = transaction.with(Operation::SetProperty { key, value: None });
                continue;
            }
            // Whatever becomes of the connection: from here on the id says nothing.
            if record.doubt != Doubt::Kept {
                record.doubt = Doubt::Unsure;
            }
            transaction = transaction.with(record.keep(origin));
            due.push((number, index));
        }
        if !transaction.operations.is_empty() {
            self.local.commit(transaction).await?;
        }
        let mut asked = Vec::new();
        for (number, index) in due {
            let (machine, output) = self.session.driver.split();
            let handle = machine.dele(number, output).map_err(out_of_turn)?;
            asked.push((handle, number, index));
        }
        let mut marked = Vec::new();
        for (handle, number, index) in asked {
            let response = self.session.end_of(handle, |_| {}).await?;
            if response.is_ok {
                marked.push(index);
            } else {
                self.report.warnings.push(format!(
                    "message {number} is not deleted from the server: {}",
                    said(&response)
                ));
            }
        }
        Ok(marked)
    }

    /// Whether a record's message is on this disk as the octets that came; or was, until the person that
    /// reads it removed it.
    async fn lies_here(&mut self, index: usize) -> Result<bool> {
        let Some((origin, record)) = self.records.get(index) else {
            return Ok(false);
        };
        let (origin, email, print) = (origin.clone(), record.email, record.print);
        if record.doubt == Doubt::Broken {
            return Ok(false);
        }
        match self.body(&origin, email).await? {
            Some(body) => Ok(match self.print(&body).await {
                Ok(here) => Some(here) == print,
                Err(Error::Store(_)) => false,
                Err(error) => return Err(error),
            }),
            None => Ok(email != 0),
        }
    }

    /// Where a message lies, in whatever mailbox.
    async fn body(&mut self, origin: &Bytes, email: u64) -> Result<Option<BodyRef>> {
        let store = &self.local.store;
        let which = Which::Origin(origin.clone());
        let rows = store.messages(self.inbox, &which, Want::ROW, 1).await?.rows;
        if let Some(row) = rows.first() {
            return Ok(Some(row.body));
        }
        if email == 0 {
            return Ok(None);
        }
        if self.bodies.is_none() {
            let mut bodies = HashMap::new();
            for folder in self.local.folders().await? {
                let which = Which::After(None);
                let rows = store.messages(folder.id, &which, Want::ROW, usize::MAX);
                let rows = rows.await?.rows.into_iter();
                bodies.extend(rows.map(|row| (row.email, row.body)));
            }
            self.bodies = Some(bodies);
        }
        let found = self.bodies.as_ref();
        Ok(found.and_then(|bodies| bodies.get(&EmailId(email)).copied()))
    }

    /// What the octets are that lie here.
    async fn print(&self, body: &BodyRef) -> Result<Print> {
        let mut printer = Printer::default();
        let mut at = 0;
        while at < body.octets {
            let piece = self.local.store.read(body, at..at + 65_536).await?;
            if piece.is_empty() {
                return Err(mailstore::Error::Damaged("a body that is too short").into());
            }
            at += piece.len() as u64;
            printer.feed(&piece);
        }
        Ok(printer.finish())
    }

    /// QUIT, and what is remembered from now on.
    async fn end(&mut self, marked: Vec<usize>) -> Result<()> {
        let (machine, output) = self.session.driver.split();
        let handle = machine.quit(output).map_err(out_of_turn)?;
        let response = self.session.end_of(handle, |_| {}).await;
        self.session.driver.shutdown().await;
        if !marked.is_empty() {
            let response = response?;
            if response.is_ok {
                self.report.deleted += marked.len();
            } else {
                // RFC 1939 §6: some may be gone, some not.
                self.report.warnings.push(format!(
                    "the server did not delete all that it was asked to: {}",
                    said(&response)
                ));
            }
            for index in marked.into_iter().filter(|_| response.is_ok) {
                if let Some((_, record)) = self.records.get_mut(index)
                    && record.doubt != Doubt::Kept
                {
                    record.doubt = Doubt::Deleted;
                }
            }
        }
        self.remember().await
    }

    /// Writes down what changed, and forgets what is listed no more.
    async fn remember(&mut self) -> Result<()> {
        self.trouble.last.retain(|id| self.ids.contains(id));
        let properties = self.local.properties(self.local.account).await?;
        let mut transaction = Transaction::new(self.local.account);
        let mut of: HashMap<usize, &Listed> = HashMap::new();
        for one in &self.listed {
            if let Some((index, _)) = one.claim {
                of.insert(index, one);
            }
        }
        for (index, (origin, record)) in self.records.iter_mut().enumerate() {
            let key = key(origin);
            let before = properties.get(&key);
            if before.is_none() {
                continue;
            }
            let forgotten = match of.get(&index) {
                Some(one) => {
                    let is_same = record.id == one.id && record.octets == one.octets;
                    if !is_same || record.missing != 0 {
                        record.number = one.number;
                        (record.id, record.octets, record.missing) = (one.id, one.octets, 0);
                    }
                    false
                }
                None if matches!(record.doubt, Doubt::Deleted | Doubt::Kept) => true,
                None if record.missing == 0 => {
                    record.missing = now();
                    if record.doubt == Doubt::None {
                        record.doubt = Doubt::Unsure;
                    }
                    false
                }
                None => record.missing + REMEMBERED < now(),
            };
            let operation = match forgotten {
                true => Operation::SetProperty { key, value: None },
                false => record.keep(origin),
            };
            let is_new = match &operation {
                Operation::SetProperty { value, .. } => value.as_ref() != before,
                _ => false,
            };
            if is_new {
                transaction = transaction.with(operation);
            }
        }
        if !transaction.operations.is_empty() {
            self.local.commit(transaction).await?;
        }
        Ok(())
    }
}

/// What a look at a header section says.
enum Looks {
    Same,
    Other,
    Unknown,
}

/// Whether id, size and number together say that this is the record's message.
fn is_trusted(record: &Record, one: &Listed) -> bool {
    let is_same = match record.print {
        Some(_) => record.octets.is_some() && record.octets == one.octets,
        None => true,
    };
    let is_plain = record.doubt == Doubt::None && !one.is_weak;
    is_same && is_plain && one.number <= record.number
}

/// Messages that are here and not in the trash.
async fn emails(local: &Local) -> Result<BTreeSet<EmailId>> {
    let mut all = BTreeSet::new();
    for folder in local.folders().await? {
        if folder.special_use.as_deref() == Some("\\Trash") {
            continue;
        }
        let which = Which::After(None);
        let rows = local
            .store
            .messages(folder.id, &which, Want::ROW, usize::MAX)
            .await?
            .rows;
        all.extend(rows.into_iter().map(|row| row.email));
    }
    Ok(all)
}
