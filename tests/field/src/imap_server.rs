//! An IMAP server whose every answer can be overridden, and the rows that do so, from `imap_servers/*.toml`.
//!
//! It keeps a small model of mailboxes and answers a client as the RFCs have it. A row says what is different:
//! by a pattern of commands the lines that are sent instead, or what is done to those that would be sent.

use hikyaku_client::{Dial, Error, Result, Server, Wire};
use hikyaku_mailstore::BoxFuture;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::io::{DuplexStream, duplex};

/// A server that does something else than the RFCs, and what must come of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Names the case; unique.
    pub id: String,
    /// Which server does so, or where it was reported.
    pub known: String,
    /// What it announces.
    #[serde(default = "usual")]
    pub capabilities: String,
    /// What it announces before a login, where that is something else.
    pub before_login: Option<String>,
    /// Mailboxes by name, with UIDs: `1-5 7\Seen\Deleted`.
    #[serde(default = "five")]
    pub mailboxes: BTreeMap<String, String>,
    /// What separates levels of names.
    #[serde(default = "slash")]
    pub delimiter: String,
    /// The account wants no whole messages.
    #[serde(default)]
    pub headers: bool,
    /// How many messages there is room for, in all mailboxes together.
    pub room: Option<usize>,
    /// The syncs, in their order.
    pub sync: Vec<Sync>,
}

/// One sync, or several alike.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sync {
    /// What others do on the server before: `arrive INBOX 6`, `expunge INBOX 2`, `mark INBOX 3 \Deleted`,
    /// `unmark ..`, `create NAME`, `drop NAME`, `validity INBOX 9`, `size INBOX 3 100000`.
    #[serde(default)]
    pub before: Vec<String>,
    /// What the user does on the device before: `delete INBOX/1`, `trash INBOX/1`, `mark INBOX/1 \Seen`,
    /// `unmark ..`, `move INBOX/1 Archive`, `add Sent text`.
    #[serde(default)]
    pub offline: Vec<String>,
    /// What the server answers instead.
    #[serde(default)]
    pub script: Vec<Script>,
    /// What the user does on the device while the server has paused.
    #[serde(default)]
    pub meanwhile: Vec<String>,
    /// How often it is done; the expectations are those after the last.
    #[serde(default = "once")]
    pub repeat: usize,
    /// The sync ends with an error that says this.
    pub fails: Option<String>,
    /// UIDs here, of mailboxes: exactly these.
    #[serde(default)]
    pub here: BTreeMap<String, String>,
    /// Mailboxes here: exactly these.
    pub mailboxes: Option<Vec<String>>,
    /// Flags here, of messages: exactly these.
    #[serde(default)]
    pub flags: BTreeMap<String, String>,
    /// UIDs whose whole messages are here, of mailboxes: exactly these.
    #[serde(default)]
    pub whole: BTreeMap<String, String>,
    /// UIDs on the server, with their flags: exactly these.
    #[serde(default)]
    pub there: BTreeMap<String, String>,
    /// Patterns of commands that it must have been sent.
    #[serde(default)]
    pub seen: Vec<String>,
    /// Patterns of commands that it must not have been sent.
    #[serde(default)]
    pub never: Vec<String>,
    /// Texts of the report's warnings; without any, there are none.
    #[serde(default)]
    pub warns: Vec<String>,
    /// How many changes wait still.
    pub waiting: Option<usize>,
}

/// An answer that is something else.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The command without its tag; `*` stands for anything. `GREETING` is one.
    pub on: String,
    /// For how many commands; all, where it is not said.
    pub times: Option<usize>,
    /// Lines as they are sent. One that begins with a status gets the tag. `=` stands for the usual untagged
    /// lines, `==` for all of the usual answer; behind `=` stands what is done to them, see [`changed`]. `CLOSE`
    /// closes the connection, `HANG` says nothing any more, `PAUSE` waits for what happens `meanwhile`. `\r\n` within
    /// stands for itself.
    pub lines: Vec<String>,
}

fn usual() -> String {
    "IMAP4rev1 UIDPLUS MOVE".into()
}

fn five() -> BTreeMap<String, String> {
    [("INBOX".into(), "1-5".into())].into()
}

fn slash() -> String {
    "/".into()
}

fn once() -> usize {
    1
}

/// The rows of a file in that folder.
///
/// # Panics
/// When it cannot be read, or two rows have one name.
#[must_use]
pub fn rows(file: &Path) -> Vec<Row> {
    #[derive(Deserialize)]
    struct Table {
        row: Vec<Row>,
    }
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let table: Table = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let names: BTreeSet<_> = table.row.iter().map(|row| row.id.clone()).collect();
    assert_eq!(names.len(), table.row.len(), "two rows of one name");
    table.row
}

/// Whether a text is as a pattern has it, in any case.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_uppercase(), text.to_ascii_uppercase());
    let mut pieces = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(pieces.next().unwrap_or("")) else {
        return false;
    };
    let mut last = None;
    for piece in pieces {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
        last = Some(piece);
    }
    last.map_or(rest.is_empty(), |last| {
        last.is_empty() || text.ends_with(last)
    })
}

/// UIDs and flags of `1-5 7\Seen`.
#[must_use]
pub fn listed(text: &str) -> BTreeMap<u32, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    for word in text.split_whitespace() {
        let (range, flags) = word.split_at(word.find('\\').unwrap_or(word.len()));
        let flags: BTreeSet<String> = flags
            .split('\\')
            .filter(|flag| !flag.is_empty())
            .map(|flag| format!("\\{flag}"))
            .collect();
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| -> u32 { text.parse().unwrap_or_else(|_| panic!("{word}")) };
        for uid in number(low)..=number(high) {
            all.insert(uid, flags.clone());
        }
    }
    all
}

#[derive(Debug, Clone)]
struct Message {
    uid: u32,
    flags: BTreeSet<String>,
    octets: Vec<u8>,
    modseq: u64,
}

#[derive(Debug, Clone)]
struct Mailbox {
    validity: u32,
    next: u32,
    messages: Vec<Message>,
    gone: Vec<(u32, u64)>,
}

/// The model, what is different, and what was said.
#[derive(Debug)]
struct World {
    capabilities: String,
    before_login: String,
    delimiter: String,
    mailboxes: BTreeMap<String, Mailbox>,
    modseq: u64,
    room: usize,
    script: Vec<Script>,
    log: Vec<String>,
}

impl World {
    fn is_full(&self) -> bool {
        let all = self.mailboxes.values().map(|one| one.messages.len());
        all.sum::<usize>() >= self.room
    }
}

/// The server.
#[derive(Debug, Clone)]
pub struct Scripted(Arc<Mutex<World>>);

/// A message as it lies on the server.
#[must_use]
pub fn message(uid: u32) -> Vec<u8> {
    format!(
        "From: Friend <friend@elsewhere.test>\r\nTo: bob@example.test\r\nSubject: message {uid}\r\n\
         Message-ID: <{uid}@elsewhere.test>\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\n\
         The body of {uid}.\r\n"
    )
    .into_bytes()
}

impl Mailbox {
    fn new(validity: u32) -> Self {
        Self {
            validity,
            next: 1,
            messages: Vec::new(),
            gone: Vec::new(),
        }
    }

    fn put(&mut self, uid: u32, flags: BTreeSet<String>, octets: Vec<u8>, modseq: u64) {
        self.messages.push(Message {
            uid,
            flags,
            octets,
            modseq,
        });
        self.messages.sort_by_key(|message| message.uid);
        self.next = self.next.max(uid + 1);
    }

    fn number(&self, uid: u32) -> usize {
        let at = self.messages.iter().position(|one| one.uid == uid);
        at.map_or(0, |at| at + 1)
    }

    /// UIDs of a set of UIDs.
    fn of(&self, set: &str) -> Vec<u32> {
        let largest = self.messages.last().map_or(0, |message| message.uid);
        let number = |text: &str| match text {
            "*" => largest,
            text => text.parse().unwrap_or(0),
        };
        let ranges: Vec<(u32, u32)> = set
            .split(',')
            .map(|part| {
                let (a, b) = part.split_once(':').unwrap_or((part, part));
                (number(a).min(number(b)), number(a).max(number(b)))
            })
            .collect();
        let within = |uid: u32| ranges.iter().any(|&(low, high)| low <= uid && uid <= high);
        let uids = self.messages.iter().map(|message| message.uid);
        uids.filter(|&uid| within(uid)).collect()
    }
}

/// One connection.
#[derive(Default)]
struct Session {
    in_: bool,
    selected: Option<String>,
    qresync: bool,
    /// The message of an APPEND had no room.
    refused: bool,
}

/// What the model answers: untagged lines, and the end.
#[derive(Debug)]
struct Answer {
    lines: Vec<Vec<u8>>,
    end: String,
}

impl Answer {
    fn ok(lines: Vec<Vec<u8>>) -> Self {
        Self {
            lines,
            end: "OK done".into(),
        }
    }

    fn end(end: &str) -> Self {
        Self {
            lines: Vec::new(),
            end: end.into(),
        }
    }
}

impl Scripted {
    /// The server of a row.
    #[must_use]
    pub fn new(row: &Row) -> Self {
        let mut world = World {
            capabilities: row.capabilities.clone(),
            before_login: row
                .before_login
                .clone()
                .unwrap_or_else(|| row.capabilities.clone()),
            delimiter: row.delimiter.clone(),
            mailboxes: BTreeMap::new(),
            modseq: 10,
            room: row.room.unwrap_or(usize::MAX),
            script: Vec::new(),
            log: Vec::new(),
        };
        for (name, messages) in &row.mailboxes {
            let mut mailbox = Mailbox::new(7);
            for (uid, flags) in listed(messages) {
                mailbox.put(uid, flags, message(uid), 10);
            }
            world.mailboxes.insert(name.clone(), mailbox);
        }
        Self(Arc::new(Mutex::new(world)))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is different from now on. Forgets what was said.
    pub fn begin(&self, script: &[Script]) {
        let mut world = self.world();
        world.script = script.to_vec();
        world.log.clear();
    }

    /// The commands that came since.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.world().log.clone()
    }

    /// Waits in the middle of an answer until [`resume`](Self::resume).
    async fn pause(&self) {
        self.world().log.push("PAUSE".into());
        while self.is_paused() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Whether it waits.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        let world = self.world();
        let last = world
            .log
            .iter()
            .rfind(|line| matches!(line.as_str(), "PAUSE" | "RESUME"));
        last.is_some_and(|line| line == "PAUSE")
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.world().log.push("RESUME".into());
    }

    /// UIDs and flags of a mailbox.
    #[must_use]
    pub fn messages(&self, mailbox: &str) -> BTreeMap<u32, BTreeSet<String>> {
        let world = self.world();
        let mailbox = world.mailboxes.get(mailbox);
        mailbox.map_or_else(BTreeMap::new, |mailbox| {
            let all = mailbox.messages.iter();
            all.map(|message| (message.uid, message.flags.clone()))
                .collect()
        })
    }

    /// Something that others do.
    ///
    /// # Panics
    /// When it is nothing that can be done.
    pub fn happens(&self, what: &str) {
        let mut world = self.world();
        world.modseq += 1;
        let modseq = world.modseq;
        let words: Vec<&str> = what.split(' ').collect();
        let verb = words[0];
        let name = words[1].replace('_', " ");
        match verb {
            "create" => drop(world.mailboxes.insert(name, Mailbox::new(7))),
            "drop" => drop(world.mailboxes.remove(&name)),
            _ => {
                let mailbox = world.mailboxes.get_mut(&name).unwrap();
                let rest = words[2..].join(" ");
                let uid = || -> u32 { words[2].parse().unwrap() };
                match verb {
                    "arrive" => {
                        for (uid, flags) in listed(&rest) {
                            mailbox.put(uid, flags, message(uid), modseq);
                        }
                    }
                    "expunge" => {
                        let gone = listed(&rest);
                        mailbox.messages.retain(|one| !gone.contains_key(&one.uid));
                        mailbox.gone.extend(gone.keys().map(|&uid| (uid, modseq)));
                    }
                    "mark" | "unmark" => {
                        let uid = uid();
                        let one = mailbox.messages.iter_mut().find(|one| one.uid == uid);
                        let one = one.unwrap();
                        one.modseq = modseq;
                        match verb {
                            "mark" => drop(one.flags.insert(words[3].into())),
                            _ => drop(one.flags.remove(words[3])),
                        }
                    }
                    "validity" => mailbox.validity = uid(),
                    "header" => {
                        let uid = uid();
                        let one = mailbox.messages.iter_mut().find(|one| one.uid == uid);
                        one.unwrap().octets = b"\r\nNo header.\r\n".to_vec();
                    }
                    other => panic!("{other}"),
                }
            }
        }
    }

    /// What is different about a command, when something is.
    fn different(&self, command: &str) -> Option<Vec<String>> {
        let mut world = self.world();
        let found = world
            .script
            .iter_mut()
            .find(|script| script.times != Some(0) && matches(&script.on, command))?;
        if let Some(times) = &mut found.times {
            *times -= 1;
        }
        Some(found.lines.clone())
    }

    async fn serve(self, stream: DuplexStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut session = Session::default();
        let greeting = {
            let world = self.world();
            format!("* OK [CAPABILITY {}] ready", world.before_login)
        };
        let greeting = match self.different("GREETING") {
            Some(lines) => lines,
            None => vec![greeting],
        };
        for line in greeting {
            stream.write_all(&octets_of(&line)).await?;
            stream.write_all(b"\r\n").await?;
        }
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim_end_matches(['\r', '\n']);
            let (tag, command) = line.split_once(' ').unwrap_or((line, ""));
            let command = self.whole(command, &mut stream).await?;
            self.world().log.push(command.text.clone());
            let different = self.different(&command.text);
            if let Some(octets) = command.literal {
                let goes_on = different.as_ref().is_none_or(|lines| {
                    lines
                        .iter()
                        .any(|line| line.starts_with('=') || line.starts_with('+'))
                });
                if goes_on {
                    stream.write_all(b"+ go on\r\n").await?;
                    let mut message = vec![0; octets];
                    stream.read_exact(&mut message).await?;
                    let mut end = String::new();
                    stream.read_line(&mut end).await?;
                    session.append(&self, &command.text, message, different.as_deref());
                }
            }
            let Some(lines) = different else {
                if command
                    .text
                    .to_ascii_uppercase()
                    .starts_with("AUTHENTICATE")
                {
                    self.authenticate(&mut session, tag, &command.text, &mut stream)
                        .await?;
                    continue;
                }
                let answer = session.answer(&self, &command.text);
                write(&mut stream, &answer.lines).await?;
                stream
                    .write_all(format!("{tag} {}\r\n", answer.end).as_bytes())
                    .await?;
                continue;
            };
            let mut usual = None;
            for line in lines.iter().filter(|line| !line.starts_with("+ go on")) {
                match line.as_str() {
                    "CLOSE" => return Ok(()),
                    "HANG" => std::future::pending().await,
                    "PAUSE" => self.pause().await,
                    "READ" => {
                        let mut line = String::new();
                        stream.read_line(&mut line).await?;
                        self.world().log.push(line.trim_end().to_owned());
                    }
                    line if line.starts_with('=') => {
                        let answer =
                            usual.get_or_insert_with(|| session.answer(&self, &command.text));
                        write(&mut stream, &changed(&answer.lines, &line[1..])).await?;
                        if line.starts_with("==") {
                            let end = format!("{tag} {}\r\n", answer.end);
                            stream.write_all(end.as_bytes()).await?;
                        }
                    }
                    line => {
                        let status = ["OK ", "NO ", "BAD ", "NO\r", "BAD\r"];
                        let status = status.iter().any(|word| line.starts_with(word));
                        if status {
                            stream.write_all(format!("{tag} ").as_bytes()).await?;
                        }
                        if line.starts_with("OK ") {
                            session.logged_in(&command.text);
                        }
                        stream.write_all(&octets_of(line)).await?;
                        stream.write_all(b"\r\n").await?;
                    }
                }
            }
        }
    }

    /// A command with its literals but the last one of APPEND, which is a message.
    async fn whole(
        &self,
        line: &str,
        stream: &mut BufReader<DuplexStream>,
    ) -> std::io::Result<Whole> {
        let mut text = line.to_owned();
        loop {
            let Some((head, octets)) = text.rsplit_once('{').and_then(|(head, rest)| {
                let octets = rest.strip_suffix('}')?.parse::<usize>().ok()?;
                Some((head.to_owned(), octets))
            }) else {
                let literal = None;
                return Ok(Whole { text, literal });
            };
            if head.to_ascii_uppercase().starts_with("APPEND") && head.trim_end().contains(' ') {
                let words = head.split_whitespace().count();
                if words >= 2 {
                    let text = head.trim_end().to_owned();
                    let literal = Some(octets);
                    return Ok(Whole { text, literal });
                }
            }
            stream.write_all(b"+ go on\r\n").await?;
            let mut literal = vec![0; octets];
            stream.read_exact(&mut literal).await?;
            let mut rest = String::new();
            stream.read_line(&mut rest).await?;
            text = format!(
                "{head}{}{}",
                String::from_utf8_lossy(&literal),
                rest.trim_end_matches(['\r', '\n'])
            );
        }
    }

    async fn authenticate(
        &self,
        session: &mut Session,
        tag: &str,
        command: &str,
        stream: &mut BufReader<DuplexStream>,
    ) -> std::io::Result<()> {
        let words: Vec<&str> = command.split(' ').collect();
        let prompts: &[&str] = match (words.get(1).copied(), words.len()) {
            (Some("PLAIN"), 2) => &["+ "],
            (Some("LOGIN"), _) => &["+ VXNlcm5hbWU6", "+ UGFzc3dvcmQ6"],
            _ => &[],
        };
        for prompt in prompts {
            stream.write_all(format!("{prompt}\r\n").as_bytes()).await?;
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            self.world().log.push(line.trim_end().to_owned());
        }
        session.in_ = true;
        let capabilities = self.world().capabilities.clone();
        let end = format!("{tag} OK [CAPABILITY {capabilities}] in\r\n");
        stream.write_all(end.as_bytes()).await
    }
}

struct Whole {
    text: String,
    /// Octets of a message that follows.
    literal: Option<usize>,
}

async fn write(stream: &mut BufReader<DuplexStream>, lines: &[Vec<u8>]) -> std::io::Result<()> {
    for line in lines {
        stream.write_all(line).await?;
        stream.write_all(b"\r\n").await?;
    }
    Ok(())
}

/// `\xHH` and `\r\n` in a line of a row.
fn octets_of(line: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find("\\x") {
        octets.extend_from_slice(&rest.as_bytes()[..at]);
        match u8::from_str_radix(rest.get(at + 2..at + 4).unwrap_or(""), 16) {
            Ok(octet) => octets.push(octet),
            Err(_) => octets.extend_from_slice(b"\\x"),
        }
        rest = rest.get(at + 4..).unwrap_or("");
    }
    octets.extend_from_slice(rest.as_bytes());
    octets
}

/// The usual lines, changed: `split N` cuts SEARCH into lines of N; `esearch`; `reverse`; `twice`; `blank` puts
/// empty lines between; `without UID ..` leaves messages out; `minus TEXT` leaves lines out that hold it; `swap A|B`
/// writes B for A; `first N` lines; `parts` sends flags and size of a message apart from its section,
/// `uidlast` without the UID in the first part.
#[must_use]
pub fn changed(lines: &[Vec<u8>], how: &str) -> Vec<Vec<u8>> {
    let mut lines = lines.to_vec();
    for one in how.trim_start_matches('=').split(" =") {
        let (verb, rest) = one.trim().split_once(' ').unwrap_or((one.trim(), ""));
        lines = match verb {
            "" => lines,
            "reverse" => lines.into_iter().rev().collect(),
            "twice" => lines.into_iter().flat_map(|l| [l.clone(), l]).collect(),
            "blank" => lines.into_iter().flat_map(|l| [Vec::new(), l]).collect(),
            "first" => lines.into_iter().take(rest.parse().unwrap()).collect(),
            "minus" => {
                let holds = |line: &Vec<u8>| String::from_utf8_lossy(line).contains(rest);
                lines.into_iter().filter(|line| !holds(line)).collect()
            }
            "swap" => {
                let (a, b) = rest.split_once('|').unwrap();
                let swap =
                    |line: Vec<u8>| String::from_utf8_lossy(&line).replace(a, b).into_bytes();
                lines.into_iter().map(swap).collect()
            }
            "without" => {
                let gone = listed(rest);
                lines
                    .into_iter()
                    .filter_map(|line| without(line, &gone))
                    .collect()
            }
            "split" => {
                let many = rest.parse().unwrap();
                lines
                    .into_iter()
                    .flat_map(|line| split(line, many))
                    .collect()
            }
            "esearch" => lines.into_iter().map(esearch).collect(),
            "parts" | "uidlast" => {
                let last = verb == "uidlast";
                lines
                    .into_iter()
                    .flat_map(|line| parts(line, last))
                    .collect()
            }
            other => panic!("{other}"),
        };
    }
    lines
}

fn searched(line: &[u8]) -> Option<Vec<u32>> {
    let text = std::str::from_utf8(line).ok()?;
    let rest = text.strip_prefix("* SEARCH")?;
    rest.split_whitespace()
        .map(|word| word.parse().ok())
        .collect()
}

fn search_line(uids: &[u32]) -> Vec<u8> {
    let mut line = "* SEARCH".to_owned();
    for uid in uids {
        line += &format!(" {uid}");
    }
    line.into_bytes()
}

fn split(line: Vec<u8>, many: usize) -> Vec<Vec<u8>> {
    match searched(&line) {
        Some(uids) if !uids.is_empty() => uids.chunks(many).map(search_line).collect(),
        _ => vec![line],
    }
}

fn esearch(line: Vec<u8>) -> Vec<u8> {
    match searched(&line) {
        Some(uids) if !uids.is_empty() => {
            let all: Vec<_> = uids.iter().map(u32::to_string).collect();
            format!("* ESEARCH (TAG \"x\") UID ALL {}", all.join(",")).into_bytes()
        }
        _ => line,
    }
}

fn without(line: Vec<u8>, gone: &BTreeMap<u32, BTreeSet<String>>) -> Option<Vec<u8>> {
    if let Some(mut uids) = searched(&line) {
        uids.retain(|uid| !gone.contains_key(uid));
        return Some(search_line(&uids));
    }
    let text = String::from_utf8_lossy(&line);
    let fetch = text.starts_with("* ") && text.contains(" FETCH (");
    let of =
        |uid: &u32| text.contains(&format!("UID {uid} ")) || text.contains(&format!("UID {uid})"));
    (!fetch || !gone.keys().any(of)).then_some(line)
}

fn parts(line: Vec<u8>, uid_last: bool) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(&line).into_owned();
    let (Some((head, items)), Some(at)) = (text.split_once(" FETCH ("), text.find(" BODY[")) else {
        return vec![line];
    };
    let uid = items.split(' ').nth(1).unwrap_or("");
    let section = &text[at + 1..];
    let mut first = text[..at].to_owned();
    if uid_last {
        first = first.replace(&format!("UID {uid} "), "");
    }
    if first.ends_with('(') || first.ends_with(&format!("(UID {uid}")) {
        return vec![format!("{head} FETCH (UID {uid} {section}").into_bytes()];
    }
    vec![
        format!("{first})").into_bytes(),
        format!("{head} FETCH (UID {uid} {section}").into_bytes(),
    ]
}

fn unquoted(name: &str) -> String {
    let name = name.trim();
    let name = name
        .strip_prefix('"')
        .and_then(|n| n.strip_suffix('"'))
        .unwrap_or(name);
    let name = name.replace("\\\\", "\\").replace("\\\"", "\"");
    match name.eq_ignore_ascii_case("INBOX") {
        true => "INBOX".into(),
        false => name,
    }
}

/// The first word, which may be quoted, and the rest.
fn word(text: &str) -> (String, &str) {
    let text = text.trim_start();
    if text.starts_with('"') {
        let mut escaped = false;
        let end = text.char_indices().skip(1).find(|&(_, c)| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let end = end.map_or(text.len(), |(at, _)| at + 1);
        return (unquoted(&text[..end]), &text[end..]);
    }
    let end = text.find(' ').unwrap_or(text.len());
    (unquoted(&text[..end]), &text[end..])
}

fn flags_in(text: &str) -> BTreeSet<String> {
    let inner = text.split_once('(').map_or(text, |(_, rest)| rest);
    let inner = inner.split_once(')').map_or(inner, |(inner, _)| inner);
    inner.split_whitespace().map(str::to_owned).collect()
}

impl Session {
    /// A command that was answered with OK by the script may have been a login.
    fn logged_in(&mut self, command: &str) {
        let command = command.to_ascii_uppercase();
        self.in_ |= command.starts_with("LOGIN") || command.starts_with("AUTHENTICATE");
    }

    fn append(
        &mut self,
        server: &Scripted,
        command: &str,
        octets: Vec<u8>,
        different: Option<&[String]>,
    ) {
        if different.is_some_and(|lines| !lines.iter().any(|line| line.starts_with('='))) {
            return;
        }
        let (name, rest) = word(&command["APPEND".len()..]);
        let mut world = server.world();
        self.refused = world.is_full();
        if self.refused {
            return;
        }
        world.modseq += 1;
        let modseq = world.modseq;
        if let Some(mailbox) = world.mailboxes.get_mut(&name) {
            let flags = if rest.contains('(') {
                flags_in(rest)
            } else {
                BTreeSet::new()
            };
            let uid = mailbox.next;
            mailbox.put(uid, flags, octets, modseq);
        }
    }

    fn answer(&mut self, server: &Scripted, command: &str) -> Answer {
        let mut world = server.world();
        let upper = command.to_ascii_uppercase();
        let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
        match verb.to_ascii_uppercase().as_str() {
            "CAPABILITY" => {
                let all = if self.in_ {
                    &world.capabilities
                } else {
                    &world.before_login
                };
                Answer::ok(vec![format!("* CAPABILITY {all}").into_bytes()])
            }
            "LOGIN" => {
                self.in_ = true;
                Answer::end(&format!("OK [CAPABILITY {}] in", world.capabilities))
            }
            "AUTHENTICATE" => {
                self.in_ = true;
                Answer::end(&format!("OK [CAPABILITY {}] in", world.capabilities))
            }
            "LOGOUT" => Answer::ok(vec![b"* BYE bye".to_vec()]),
            _ if !self.in_ => Answer::end("BAD log in first"),
            "NOOP" => Answer::ok(Vec::new()),
            "ENABLE" => {
                self.qresync |= upper.contains("QRESYNC");
                Answer::ok(vec![format!("* ENABLED {rest}").into_bytes()])
            }
            "LIST" => {
                let (_, rest) = word(rest);
                let (pattern, _) = word(rest);
                let line = |name: &String| {
                    let delimiter = match world.delimiter.as_str() {
                        "NIL" => "NIL".to_owned(),
                        other => format!("\"{}\"", other.replace('\\', "\\\\")),
                    };
                    let name = name.replace('\\', "\\\\").replace('"', "\\\"");
                    format!("* LIST () {delimiter} \"{name}\"").into_bytes()
                };
                let named = |name: &&String| pattern == "*" || **name == pattern;
                Answer::ok(world.mailboxes.keys().filter(named).map(line).collect())
            }
            "CREATE" => {
                let (name, _) = word(rest);
                if world.mailboxes.contains_key(&name) {
                    return Answer::end("NO [ALREADYEXISTS] there is one");
                }
                world.mailboxes.insert(name, Mailbox::new(7));
                Answer::ok(Vec::new())
            }
            "STATUS" => {
                let (name, _) = word(rest);
                match world.mailboxes.get(&name) {
                    None => Answer::end("NO [NONEXISTENT] no such mailbox"),
                    Some(mailbox) => Answer::ok(vec![
                        format!("* STATUS \"{name}\" (UIDVALIDITY {})", mailbox.validity).into(),
                    ]),
                }
            }
            "GETQUOTAROOT" => Answer::ok(vec![
                b"* QUOTAROOT INBOX \"\"".to_vec(),
                b"* QUOTA \"\" (STORAGE 10 512)".to_vec(),
            ]),
            "SELECT" | "EXAMINE" => self.select(&world, verb, rest),
            "APPEND" if std::mem::take(&mut self.refused) => {
                Answer::end("NO [OVERQUOTA] there is no room")
            }
            "APPEND" => {
                let (name, _) = word(rest);
                match world.mailboxes.contains_key(&name) {
                    true => Answer::end("OK appended"),
                    false => Answer::end("NO [TRYCREATE] no such mailbox"),
                }
            }
            _ => {
                let Some(selected) = self.selected.clone() else {
                    return Answer::end("BAD nothing is selected");
                };
                if !world.mailboxes.contains_key(&selected) {
                    return Answer::end("NO it is gone");
                }
                world.selected(&selected, command, self.qresync)
            }
        }
    }

    fn select(&mut self, world: &World, verb: &str, rest: &str) -> Answer {
        let (name, rest) = word(rest);
        let Some(mailbox) = world.mailboxes.get(&name) else {
            self.selected = None;
            return Answer::end("NO [NONEXISTENT] no such mailbox");
        };
        let mut lines: Vec<Vec<u8>> = Vec::new();
        if self.selected.is_some() && self.qresync {
            lines.push(b"* OK [CLOSED] closed".to_vec());
        }
        self.selected = Some(name);
        lines.push(b"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)".to_vec());
        lines.push(
            b"* OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft \\*)] all"
                .to_vec(),
        );
        lines.push(format!("* {} EXISTS", mailbox.messages.len()).into());
        lines.push(b"* 0 RECENT".to_vec());
        lines.push(format!("* OK [UIDVALIDITY {}] is", mailbox.validity).into());
        lines.push(format!("* OK [UIDNEXT {}] next", mailbox.next).into());
        let upper = rest.to_ascii_uppercase();
        if world.capabilities.contains("CONDSTORE") || world.capabilities.contains("QRESYNC") {
            lines.push(format!("* OK [HIGHESTMODSEQ {}] highest", world.modseq).into());
        }
        if let Some((_, given)) = upper.split_once("(QRESYNC (") {
            let mut numbers = given.split(|c: char| !c.is_ascii_digit());
            let validity: u32 = numbers.next().and_then(|n| n.parse().ok()).unwrap_or(0);
            let since: u64 = numbers.next().and_then(|n| n.parse().ok()).unwrap_or(0);
            if validity == mailbox.validity {
                let gone = mailbox.gone.iter().filter(|(_, at)| *at > since);
                let gone: Vec<_> = gone.map(|(uid, _)| uid.to_string()).collect();
                if !gone.is_empty() {
                    lines.push(format!("* VANISHED (EARLIER) {}", gone.join(",")).into());
                }
                for one in mailbox.messages.iter().filter(|one| one.modseq > since) {
                    lines.push(one.line(mailbox, "UID FLAGS MODSEQ"));
                }
            }
        }
        let access = if verb.eq_ignore_ascii_case("SELECT") {
            "READ-WRITE"
        } else {
            "READ-ONLY"
        };
        Answer {
            lines,
            end: format!("OK [{access}] open"),
        }
    }
}

impl Message {
    /// `* n FETCH (..)` with those of its items that are asked for.
    fn line(&self, mailbox: &Mailbox, asked: &str) -> Vec<u8> {
        let asked = asked.to_ascii_uppercase();
        let mut items = vec![format!("UID {}", self.uid)];
        let flags: Vec<_> = self.flags.iter().cloned().collect();
        if asked.contains("FLAGS") {
            items.push(format!("FLAGS ({})", flags.join(" ")));
        }
        if asked.contains("MODSEQ") || asked.contains("CHANGEDSINCE") {
            items.push(format!("MODSEQ ({})", self.modseq));
        }
        if asked.contains("INTERNALDATE") {
            items.push("INTERNALDATE \"24-Nov-2026 10:00:00 +0000\"".into());
        }
        if asked.contains("RFC822.SIZE") {
            items.push(format!("RFC822.SIZE {}", self.octets.len()));
        }
        let text = String::from_utf8_lossy(&self.octets);
        let (header, _) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        if let Some((_, fields)) = asked.split_once("BODY.PEEK[HEADER.FIELDS (") {
            let names = fields.split_once(')').map_or(fields, |(names, _)| names);
            let wanted: Vec<&str> = names.split(' ').collect();
            let mut section = String::new();
            for line in header.split("\r\n").filter(|line| !line.is_empty()) {
                let name = line.split(':').next().unwrap_or("").to_ascii_uppercase();
                if wanted.contains(&name.as_str()) {
                    section += line;
                    section += "\r\n";
                }
            }
            section += "\r\n";
            let length = section.len();
            items.push(format!(
                "BODY[HEADER.FIELDS ({names})] {{{length}}}\r\n{section}"
            ));
        }
        if asked.contains("BODY.PEEK[]") {
            items.push(format!("BODY[] {{{}}}\r\n{text}", self.octets.len()));
        }
        let number = mailbox.number(self.uid);
        format!("* {number} FETCH ({})", items.join(" ")).into_bytes()
    }
}

impl World {
    fn selected(&mut self, name: &str, command: &str, qresync: bool) -> Answer {
        self.modseq += 1;
        let modseq = self.modseq;
        let upper = command.to_ascii_uppercase();
        let words: Vec<&str> = command.split(' ').collect();
        let given = |at: usize| words.get(at).copied().unwrap_or("");
        let Some(mailbox) = self.mailboxes.get_mut(name) else {
            return Answer::end("NO it is gone");
        };
        if upper.starts_with("UID SEARCH") {
            self.modseq -= 1;
            return Answer::ok(vec![search_line(&mailbox.search(&upper))]);
        }
        if upper.starts_with("UID FETCH") {
            self.modseq -= 1;
            let uids = mailbox.of(given(2));
            let since = upper.split_once("CHANGEDSINCE ").map_or(0, |(_, rest)| {
                let digits = rest.trim_end_matches(')');
                digits.parse::<u64>().unwrap_or(0)
            });
            let asked = words.get(3..).unwrap_or(&[]).join(" ");
            let all = mailbox.messages.iter();
            let all = all.filter(|one| uids.contains(&one.uid) && one.modseq > since);
            return Answer::ok(all.map(|one| one.line(mailbox, &asked)).collect());
        }
        if upper.starts_with("UID STORE") {
            let uids = mailbox.of(given(2));
            let flags = flags_in(command.split_once("FLAGS").map_or("", |(_, rest)| rest));
            for one in mailbox
                .messages
                .iter_mut()
                .filter(|one| uids.contains(&one.uid))
            {
                one.modseq = modseq;
                match given(3).as_bytes().first() {
                    Some(b'+') => one.flags.extend(flags.iter().cloned()),
                    Some(b'-') => one.flags.retain(|flag| !flags.contains(flag)),
                    _ => one.flags.clone_from(&flags),
                }
            }
            return Answer::ok(Vec::new());
        }
        if upper.starts_with("UID EXPUNGE") || upper == "EXPUNGE" {
            let uids = match given(2) {
                "" => mailbox.of("1:*"),
                set => mailbox.of(set),
            };
            let marked = |one: &Message| one.flags.contains("\\Deleted") && uids.contains(&one.uid);
            let gone: Vec<u32> = mailbox
                .messages
                .iter()
                .filter(|one| marked(one))
                .map(|one| one.uid)
                .collect();
            return Answer::ok(mailbox.remove(&gone, modseq, qresync));
        }
        if upper.starts_with("UID COPY") || upper.starts_with("UID MOVE") {
            let uids = mailbox.of(given(2));
            let (to, _) = word(&words.get(3..).unwrap_or(&[]).join(" "));
            let found = mailbox
                .messages
                .iter()
                .filter(|one| uids.contains(&one.uid));
            let moved: Vec<Message> = found.cloned().collect();
            let Some(target) = self.mailboxes.get_mut(&to) else {
                return Answer::end("NO [TRYCREATE] no such mailbox");
            };
            for one in moved {
                let uid = target.next;
                target.put(uid, one.flags, one.octets, modseq);
            }
            if upper.starts_with("UID COPY") {
                return Answer::ok(Vec::new());
            }
            let mailbox = self.mailboxes.get_mut(name);
            let lines = mailbox.map(|mailbox| mailbox.remove(&uids, modseq, qresync));
            return Answer::ok(lines.unwrap_or_default());
        }
        Answer::end("BAD unknown")
    }
}

impl Mailbox {
    fn remove(&mut self, gone: &[u32], modseq: u64, qresync: bool) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for &uid in gone {
            let number = self.number(uid);
            if number > 0 {
                self.messages.remove(number - 1);
                self.gone.push((uid, modseq));
                lines.push(match qresync {
                    true => format!("* VANISHED {uid}").into(),
                    false => format!("* {number} EXPUNGE").into(),
                });
            }
        }
        lines
    }

    fn search(&self, upper: &str) -> Vec<u32> {
        let mut words = upper.split(' ').skip(2);
        let mut uids: Vec<u32> = self.messages.iter().map(|message| message.uid).collect();
        let has = |uid: &u32, flag: &str| {
            let one = self.messages.iter().find(|one| one.uid == *uid);
            one.is_some_and(|one| one.flags.iter().any(|f| f.eq_ignore_ascii_case(flag)))
        };
        while let Some(word) = words.next() {
            match word {
                "UID" => {
                    let set = self.of(words.next().unwrap_or(""));
                    uids.retain(|uid| set.contains(uid));
                }
                "DELETED" => uids.retain(|uid| has(uid, "\\Deleted")),
                "UNDELETED" => uids.retain(|uid| !has(uid, "\\Deleted")),
                "HEADER" => {
                    let _ = words.next();
                    let text = words.next().unwrap_or("").trim_matches('"').to_owned();
                    uids.retain(|uid| {
                        let one = self.messages.iter().find(|one| one.uid == *uid);
                        one.is_some_and(|one| {
                            let octets = String::from_utf8_lossy(&one.octets).to_ascii_uppercase();
                            octets.contains(&text)
                        })
                    });
                }
                _ => {}
            }
        }
        uids
    }
}

impl Dial for Scripted {
    fn dial<'a>(&'a self, _: &'a Server) -> BoxFuture<'a, Result<Box<dyn Wire>>> {
        let (ours, theirs) = duplex(1 << 20);
        tokio::spawn(self.clone().serve(theirs));
        Box::pin(async move { Ok(Box::new(ours) as Box<dyn Wire>) })
    }

    fn encrypt<'a>(
        &'a self,
        _: Box<dyn Wire>,
        server: &'a Server,
    ) -> BoxFuture<'a, Result<Box<dyn Wire>>> {
        let host = server.host.clone();
        Box::pin(async move {
            let why = "there is no TLS here".to_owned();
            Err(Error::Tls { host, why })
        })
    }
}
