//! A session on a POP3 server, and what an account's sync does with it: download, put on the disk, and
//! only then delete, by the account's rule. A connection that is cut deletes nothing (RFC 1939 §6).

use bytes::{Bytes, BytesMut};
use hikyaku_wire::Secret;
use hikyaku_wire::drive::{Driver, Next};
use mailstore::{Append, EmailId, Operation, Transaction, Want, Which};
use pop3_proto::client::{Connection, Event, Handle, Options};
use pop3_proto::{Capabilities, Response};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::error::out_of_turn;
use crate::local::now;
use crate::{
    Account, Deletion, Dial, Error, Local, Progress, Report, Result, Security, Server, Wire,
    connect,
};

/// So many RETRs are under way at once, where the server has PIPELINING.
const AHEAD: usize = 8;
/// What was downloaded is put on the disk together, up to so many messages and octets.
const BATCH: (usize, usize) = (32, 8 * 1024 * 1024);
const PREFIX: &str = "pop/";

/// A connection with an open maildrop.
pub struct Session {
    driver: Driver<Connection, Box<dyn Wire>>,
    capabilities: Capabilities,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

fn said(response: &Response) -> String {
    String::from_utf8_lossy(&response.text).into_owned()
}

impl Session {
    /// Connects, begins TLS as the server's entry says, and logs in.
    ///
    /// # Errors
    /// [`Error::Login`] when name or password are wrong; the network's and TLS's.
    pub async fn open(
        dial: &dyn Dial,
        server: &Server,
        name: &str,
        password: Secret,
    ) -> Result<Self> {
        let stream = connect::open(dial, server).await?;
        let driver = Driver::new(Connection::new(Options::default()), stream);
        let mut session = Self {
            driver,
            capabilities: Capabilities::default(),
        };
        match session.next().await? {
            Event::Connected { response, .. } if response.is_ok => {}
            Event::Connected { response, .. } => return Err(Error::Refused(said(&response))),
            other => return Err(Error::Protocol(format!("{other:?} for a greeting"))),
        }
        session.ask_capabilities().await?;
        if server.security == Security::StartTls {
            if !session.capabilities.stls {
                return Err(connect::no_starttls(server));
            }
            session = session.start_tls(dial, server).await?;
            session.ask_capabilities().await?;
        }
        session.log_in(name, password).await?;
        // What comes after the login may be more (RFC 2449 §5).
        session.ask_capabilities().await?;
        Ok(session)
    }

    async fn next(&mut self) -> Result<Event> {
        match self.driver.next_async().await? {
            Next::Event(Event::Farewell(response)) => Err(Error::Network(format!(
                "the server closes: {}",
                said(&response)
            ))),
            Next::Event(event) => Ok(event),
            Next::Closed | Next::NeedAnswer | Next::StartTls | Next::Compress => {
                Err(Error::Network("the connection is closed".into()))
            }
        }
    }

    async fn end_of(&mut self, handle: Handle, mut on: impl FnMut(Event)) -> Result<Response> {
        loop {
            match self.next().await? {
                Event::Completed {
                    handle: of,
                    response,
                } if of == handle => return Ok(response),
                event => on(event),
            }
        }
    }

    async fn ask_capabilities(&mut self) -> Result<()> {
        let (machine, output) = self.driver.split();
        let handle = machine.capa(output).map_err(out_of_turn)?;
        let mut told = None;
        // A server without CAPA is one without any.
        let response = self.end_of(handle, |event| {
            if let Event::Capabilities(all) = event {
                told = Some(all);
            }
        });
        response.await?;
        if let Some(told) = told {
            self.capabilities = told;
        }
        Ok(())
    }

    async fn start_tls(mut self, dial: &dyn Dial, server: &Server) -> Result<Self> {
        let (machine, output) = self.driver.split();
        machine.stls(output).map_err(out_of_turn)?;
        loop {
            match self.driver.next_async().await? {
                Next::StartTls => break,
                Next::Event(Event::Completed { response, .. }) if !response.is_ok => {
                    return Err(Error::Tls {
                        host: server.host.clone(),
                        why: said(&response),
                    });
                }
                _ => {}
            }
        }
        let (machine, stream) = self.driver.into_parts();
        let stream = dial.encrypt(stream, server).await?;
        self.driver = Driver::new(machine, stream);
        self.driver.machine.tls_established();
        Ok(self)
    }

    async fn log_in(&mut self, name: &str, password: Secret) -> Result<()> {
        let plain = self
            .capabilities
            .mechanisms
            .iter()
            .any(|m| m.eq_ignore_ascii_case(b"PLAIN"));
        let (machine, output) = self.driver.split();
        let handle = if plain {
            let message = [b"\0", name.as_bytes(), b"\0", password.expose()].concat();
            machine.auth("PLAIN", Some(Secret::from(message)), output)
        } else {
            machine.login(name.to_owned(), password, output)
        };
        let handle = handle.map_err(out_of_turn)?;
        let response = self.end_of(handle, |_| {}).await?;
        match response.is_ok {
            true => Ok(()),
            false => Err(Error::Login(said(&response))),
        }
    }

    /// Numbers and octets of all messages.
    async fn listing(&mut self) -> Result<BTreeMap<u32, u64>> {
        let (machine, output) = self.driver.split();
        let handle = machine.list(None, output).map_err(out_of_turn)?;
        let mut all = BTreeMap::new();
        let response = self.end_of(handle, |event| {
            if let Event::Size { number, octets } = event {
                all.insert(number, octets);
            }
        });
        accepted(&response.await?)?;
        Ok(all)
    }

    /// Unique-ids of all messages; `None` from a server that has none.
    async fn unique_ids(&mut self) -> Result<Option<BTreeMap<u32, Bytes>>> {
        let (machine, output) = self.driver.split();
        let handle = machine.uidl(None, output).map_err(out_of_turn)?;
        let mut all = BTreeMap::new();
        let response = self.end_of(handle, |event| {
            if let Event::UniqueId { number, unique_id } = event {
                all.insert(number, unique_id);
            }
        });
        let is_ok = response.await?.is_ok;
        Ok(is_ok.then_some(all))
    }

    /// The header section of a message; `None` from a server without TOP.
    async fn header(&mut self, number: u32) -> Result<Option<Bytes>> {
        let (machine, output) = self.driver.split();
        let handle = machine.top(number, 0, output).map_err(out_of_turn)?;
        let mut header = BytesMut::new();
        let response = self.end_of(handle, |event| {
            if let Event::Chunk(octets) = event {
                header.extend_from_slice(&octets);
            }
        });
        let is_ok = response.await?.is_ok;
        Ok(is_ok.then(|| header.freeze()))
    }

    /// QUIT: what was marked is deleted, when the server says so.
    async fn quit(mut self) -> Result<()> {
        let (machine, output) = self.driver.split();
        let handle = machine.quit(output).map_err(out_of_turn)?;
        let response = self.end_of(handle, |_| {}).await?;
        self.driver.shutdown().await;
        accepted(&response)
    }
}

fn accepted(response: &Response) -> Result<()> {
    match response.is_ok {
        true => Ok(()),
        false => Err(Error::Refused(said(response))),
    }
}

/// A name for a message of at most 64 octets.
fn name(of: &[u8]) -> Bytes {
    use std::fmt::Write as _;
    let hex = Sha256::digest(of)
        .iter()
        .fold(String::new(), |mut hex, octet| {
            let _ = write!(hex, "{octet:02x}");
            hex
        });
    hex.into()
}

/// What was downloaded once: when, and which message it became.
#[derive(Debug, Clone, Copy)]
struct Downloaded {
    at: i64,
    email: u64,
}

impl Downloaded {
    fn keep(self, name: &Bytes) -> Operation {
        let value = postcard::to_allocvec(&(self.at, self.email))
            .ok()
            .map(Bytes::from);
        Operation::SetProperty {
            key: key(name),
            value,
        }
    }
}

fn key(name: &Bytes) -> String {
    format!("{PREFIX}{}", String::from_utf8_lossy(name))
}

/// Downloads what is new, and deletes by the account's rule.
pub(crate) async fn sync(
    mut session: Session,
    local: &Local,
    account: &Account,
    progress: &Progress,
) -> Result<Report> {
    let mut report = Report::default();
    let listing = session.listing().await?;
    let names = names(&mut session, &listing).await?;
    let properties = local.properties(local.account).await?;
    let mut downloaded: HashMap<Bytes, Downloaded> = HashMap::new();
    for (key, value) in &properties {
        if let Some(name) = key.strip_prefix(PREFIX)
            && let Ok((at, email)) = postcard::from_bytes(value)
        {
            let name = Bytes::copy_from_slice(name.as_bytes());
            downloaded.insert(name, Downloaded { at, email });
        }
    }
    let new = |number: &u32| {
        names
            .get(number)
            .is_none_or(|name| !downloaded.contains_key(name))
    };
    let new: Vec<u32> = listing.keys().copied().filter(new).collect();
    let mut fetched = Fetch {
        session: &mut session,
        local,
        names,
        downloaded,
        waiting: Vec::new(),
        octets: 0,
        same: HashMap::new(),
        report: &mut report,
    };
    progress.begin(&account.address, new.len() as u64);
    fetched.run(&new, progress).await?;
    progress.end();
    let Fetch {
        names, downloaded, ..
    } = fetched;

    let here = match account.delete {
        Deletion::WhenDeletedHere => emails(local).await?,
        _ => BTreeSet::new(),
    };
    let due = |one: &Downloaded| match account.delete {
        Deletion::AtOnce => true,
        Deletion::AfterDays(days) => one.at + i64::from(days) * 86_400 <= now(),
        Deletion::WhenDeletedHere => one.email != 0 && !here.contains(&EmailId(one.email)),
        Deletion::Never => false,
    };
    let mut marked = Vec::new();
    for (number, name) in &names {
        if downloaded.get(name).is_some_and(due) {
            let (machine, output) = session.driver.split();
            marked.push(machine.dele(*number, output).map_err(out_of_turn)?);
        }
    }
    for _ in &marked {
        loop {
            if let Event::Completed { response, .. } = session.next().await? {
                report.deleted += usize::from(response.is_ok);
                break;
            }
        }
    }
    session.quit().await?;
    // What the server has no more need not be remembered.
    let there: BTreeSet<&Bytes> = names.values().collect();
    let mut transaction = Transaction::new(local.account);
    for name in downloaded.keys().filter(|name| !there.contains(name)) {
        let key = key(name);
        transaction = transaction.with(Operation::SetProperty { key, value: None });
    }
    if !transaction.operations.is_empty() {
        local.commit(transaction).await?;
    }
    Ok(report)
}

/// What each message on the server is called: by its unique-id; by its header section, and how many
/// have the same, where the server has no UIDL; not yet known, where it has no TOP either.
async fn names(
    session: &mut Session,
    listing: &BTreeMap<u32, u64>,
) -> Result<BTreeMap<u32, Bytes>> {
    if let Some(ids) = session.unique_ids().await? {
        return Ok(ids.iter().map(|(number, id)| (*number, name(id))).collect());
    }
    let (mut names, mut same) = (BTreeMap::new(), HashMap::new());
    for number in listing.keys() {
        let Some(header) = session.header(*number).await? else {
            return Ok(BTreeMap::new());
        };
        names.insert(*number, by_header(&header, &mut same));
    }
    Ok(names)
}

fn by_header(message: &[u8], same: &mut HashMap<Bytes, u32>) -> Bytes {
    let end = memchr_header(message);
    let header = name(message.get(..end).unwrap_or(message));
    let count = same.entry(header.clone()).or_insert(0);
    *count += 1;
    name(&[&header[..], b" ", count.to_string().as_bytes()].concat())
}

/// Where the header section ends.
fn memchr_header(message: &[u8]) -> usize {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n");
    end.map_or(message.len(), |at| at + 2)
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

/// Messages on their way to the disk.
struct Fetch<'a> {
    session: &'a mut Session,
    local: &'a Local,
    names: BTreeMap<u32, Bytes>,
    downloaded: HashMap<Bytes, Downloaded>,
    /// Whole, and not on the disk.
    waiting: Vec<(u32, Bytes)>,
    octets: usize,
    /// How many messages had the same header section so far.
    same: HashMap<Bytes, u32>,
    report: &'a mut Report,
}

impl Fetch<'_> {
    async fn run(&mut self, new: &[u32], progress: &Progress) -> Result<()> {
        let mut next = new.iter();
        let mut under_way: VecDeque<(Handle, u32)> = VecDeque::new();
        let mut body = BytesMut::new();
        loop {
            while under_way.len() < AHEAD {
                let Some(number) = next.next() else { break };
                let (machine, output) = self.session.driver.split();
                let handle = machine.retr(*number, output).map_err(out_of_turn)?;
                under_way.push_back((handle, *number));
            }
            let Some(&(first, number)) = under_way.front() else {
                return self.flush().await;
            };
            match self.session.next().await? {
                Event::Message { .. } => body.clear(),
                Event::Chunk(octets) => body.extend_from_slice(&octets),
                Event::Completed { handle, response } if handle == first => {
                    under_way.pop_front();
                    if response.is_ok {
                        let octets = body.split().freeze();
                        self.octets += octets.len();
                        self.waiting.push((number, octets));
                        progress.step();
                    } else {
                        self.report
                            .warnings
                            .push(format!("message {number}: {}", said(&response)));
                    }
                    if self.waiting.len() >= BATCH.0 || self.octets >= BATCH.1 {
                        self.flush().await?;
                    }
                }
                _ => {}
            }
        }
    }

    /// Puts on the disk what is whole, and notes what it was.
    async fn flush(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        self.octets = 0;
        let inbox = self.local.folder("INBOX").await?.id;
        let mut transaction = Transaction::new(self.local.account);
        for (number, octets) in waiting.iter().cloned() {
            if let std::collections::btree_map::Entry::Vacant(entry) = self.names.entry(number) {
                entry.insert(by_header(&octets, &mut self.same));
            }
            let (body, summary) = self.local.stage(octets).await?;
            let mut append = Append::new(inbox, body, (now(), 0));
            append.summary = summary;
            append.origin = self.names.get(&number).cloned();
            transaction = transaction.with(Operation::Append(Box::new(append)));
        }
        if transaction.operations.is_empty() {
            return Ok(());
        }
        let committed = self.local.commit(transaction).await?;
        let appended =
            |outcome: &&mailstore::Outcome| matches!(outcome, mailstore::Outcome::Appended { .. });
        self.report.new += committed.outcomes.iter().filter(appended).count();
        let mut transaction = Transaction::new(self.local.account);
        for (number, _) in waiting {
            let name = self.names.get(&number).cloned();
            let Some(name) = name.filter(|name| !self.downloaded.contains_key(name)) else {
                continue;
            };
            let which = Which::Origin(name.clone());
            let row = self
                .local
                .store
                .messages(inbox, &which, Want::ROW, 1)
                .await?
                .rows
                .pop();
            let email = row.map_or(0, |row| row.email.0);
            let one = Downloaded { at: now(), email };
            transaction = transaction.with(one.keep(&name));
            self.downloaded.insert(name, one);
        }
        self.local.commit(transaction).await?;
        Ok(())
    }
}
