//! What the RFCs promise, said over the wire: the dialogues in `tests/conformance`, on both backends.
//!
//! A dialogue is read line by line:
//!
//! ```text
//! # RFC and section: what is shown
//! @alice              the connection that speaks from here on; one of that name is made, and logged in
//!                     (@alice2 is another one of alice's, @- one that is not logged in)
//! C: SELECT INBOX     a command; <<text>> is a literal, \r \n \\ and \x00 are escapes
//! S: * 3 EXISTS       among the untagged responses there is one like this; it is taken out
//! T: * 3 EXPUNGE      the same, and it comes behind the one that was taken out last
//! !: * 1 EXPUNGE      among those that are left there is none like this
//! E: OK [READ-WRITE]  the end begins like this; OK, when it is not said
//! L: DONE             a line without a tag; +, when the server asks for more, is waited for before
//! W: * 4 EXISTS       unasked, in good time, comes a response like this; a command goes on
//! R: DONE             ends that command
//! % [imap]            first of all: lines of the server's configuration
//! ```
//!
//! In what is expected `…` is anything, and `$name` one word: the first time any, from then on that one.

use mailserver::Protocol;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::harness::{House, PASSWORD};

struct Connection {
    stream: BufReader<TcpStream>,
    tag: usize,
    /// A command whose end is not there yet.
    waiting: bool,
}

impl Connection {
    async fn response(&mut self) -> Option<String> {
        let mut response = Vec::new();
        loop {
            let start = response.len();
            self.stream.read_until(b'\n', &mut response).await.ok()?;
            if response.len() == start {
                return None;
            }
            let line = String::from_utf8_lossy(&response[start..]).into_owned();
            let line = line.trim_end();
            let literal = line.strip_suffix('}').and_then(|line| {
                let (_, digits) = line.rsplit_once('{')?;
                digits.parse::<usize>().ok()
            });
            let Some(octets) = literal else { break };
            let start = response.len();
            response.resize(start + octets, 0);
            self.stream.read_exact(&mut response[start..]).await.ok()?;
        }
        let text = String::from_utf8_lossy(&response).into_owned();
        Some(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    async fn in_time(&mut self) -> Option<String> {
        let response = tokio::time::timeout(Duration::from_secs(10), self.response());
        response.await.ok().flatten()
    }

    async fn send(&mut self, octets: &[u8]) {
        self.stream.get_mut().write_all(octets).await.unwrap();
    }
}

/// `\r`, `\n`, `\\` and `\x00` as octets.
fn unescape(text: &str) -> Vec<u8> {
    let (mut octets, mut rest) = (Vec::new(), text.chars());
    while let Some(c) = rest.next() {
        if c != '\\' {
            octets.extend(c.to_string().bytes());
            continue;
        }
        match rest.next() {
            Some('r') => octets.push(b'\r'),
            Some('n') => octets.push(b'\n'),
            Some('x') => {
                let digits: String = rest.by_ref().take(2).collect();
                octets.push(u8::from_str_radix(&digits, 16).unwrap());
            }
            // IMAP's own: \Seen.
            Some(other) => {
                if other != '\\' {
                    octets.push(b'\\');
                }
                octets.extend(other.to_string().bytes());
            }
            None => octets.push(b'\\'),
        }
    }
    octets
}

/// With the values of `$name`, and `<<text>>` as a literal.
fn command(text: &str, known: &HashMap<String, String>) -> Vec<u8> {
    let mut named = text.to_owned();
    let mut names: Vec<&String> = known.keys().collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    for name in names {
        named = named.replace(&format!("${name}"), &known[name]);
    }
    let mut octets = Vec::new();
    let mut rest = named.as_str();
    while let Some((before, from)) = rest.split_once("<<") {
        let (literal, after) = from.split_once(">>").expect("<<..>>");
        octets.extend(unescape(before));
        let literal = unescape(literal);
        octets.extend(format!("{{{}+}}\r\n", literal.len()).bytes());
        octets.extend(literal);
        rest = after;
    }
    octets.extend(unescape(rest));
    octets
}

/// Whether the text is like the pattern; what its names stand for.
fn like(
    pattern: &str,
    text: &str,
    known: &HashMap<String, String>,
) -> Option<HashMap<String, String>> {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty().then(|| known.clone()),
        Some('…') => {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            let mut tries = ends.filter_map(|at| like(rest.as_str(), &text[at..], known));
            tries.next()
        }
        Some('$') => {
            let name = rest.as_str();
            let end = name
                .find(|c: char| !c.is_ascii_alphanumeric())
                .unwrap_or(name.len());
            let (name, pattern) = name.split_at(end);
            if let Some(value) = known.get(name) {
                return like(pattern, text.strip_prefix(value.as_str())?, known);
            }
            let word = text.find([' ', ')', ']', ',', ':']).unwrap_or(text.len());
            let mut known = known.clone();
            known.insert(name.to_owned(), text[..word].to_owned());
            (word > 0).then(|| like(pattern, &text[word..], &known))?
        }
        Some(c) => like(rest.as_str(), text.strip_prefix(c)?, known),
    }
}

struct Dialogue<'a> {
    house: &'a House,
    connections: HashMap<String, Connection>,
    speaker: String,
    known: HashMap<String, String>,
    /// What came and was not taken out, with its place.
    came: Vec<(usize, String)>,
    end: Option<String>,
    after: usize,
    held: usize,
    place: String,
}

impl Dialogue<'_> {
    fn speaker(&mut self) -> &mut Connection {
        self.connections.get_mut(&self.speaker).expect("@name")
    }

    async fn connect(&mut self, name: &str) {
        self.speaker = name.to_owned();
        if self.connections.contains_key(name) {
            return;
        }
        let stream = TcpStream::connect(self.house.at(Protocol::Imap))
            .await
            .unwrap();
        let mut connection = Connection {
            stream: BufReader::new(stream),
            tag: 0,
            waiting: false,
        };
        let greeting = connection.in_time().await.unwrap();
        assert!(greeting.starts_with("* OK"), "{greeting}");
        self.connections.insert(name.to_owned(), connection);
        let login = name.trim_end_matches(|c: char| c.is_ascii_digit());
        if login != "-" {
            self.command(&format!("LOGIN {login}@example.test \"{PASSWORD}\""))
                .await;
            self.check_end("OK").await;
        }
    }

    async fn command(&mut self, text: &str) {
        self.finish().await;
        let octets = command(text, &self.known);
        let connection = self.speaker();
        connection.tag += 1;
        connection.waiting = true;
        let tag = format!("t{}", connection.tag);
        connection
            .send(&[format!("{tag} ").as_bytes(), &octets, b"\r\n"].concat())
            .await;
        self.known.insert("tag".into(), tag);
    }

    /// Reads up to the end of the command.
    async fn read(&mut self) {
        if !self.speaker().waiting || self.end.is_some() {
            return;
        }
        let start = format!("t{} ", self.speaker().tag);
        while let Some(response) = self.speaker().in_time().await {
            if let Some(end) = response.strip_prefix(&start) {
                self.end = Some(end.to_owned());
                return;
            }
            self.came.push((self.came.len() + 1, response));
        }
        self.end = Some("nothing".into());
    }

    /// What was not said of a command: that its end is OK.
    async fn finish(&mut self) {
        if !self.speaker.is_empty() && self.speaker().waiting {
            self.check_end("OK").await;
        }
        self.came.clear();
        (self.end, self.after) = (None, 0);
    }

    async fn check_end(&mut self, expected: &str) {
        self.read().await;
        let end = self.end.clone().unwrap_or_default();
        let found = like(&format!("{expected}…"), &end, &self.known);
        self.known = found.unwrap_or_else(|| panic!("{}: {expected:?}, but {end:?}", self.place));
        self.speaker().waiting = false;
        self.held += 1;
    }

    async fn check(&mut self, expected: &str, then: bool) {
        self.read().await;
        let pattern = String::from_utf8(unescape(expected)).unwrap();
        let after = if then { self.after } else { 0 };
        let found = self
            .came
            .iter()
            .enumerate()
            .find_map(|(at, (place, response))| {
                let found = like(&pattern, response, &self.known)?;
                (*place > after).then_some((at, *place, found))
            });
        let Some((at, place, known)) = found else {
            panic!(
                "{}: {expected}\nin {:#?}\n{:?}",
                self.place, self.came, self.end
            );
        };
        self.came.remove(at);
        (self.known, self.after) = (known, place);
        self.held += 1;
    }

    async fn line(&mut self, kind: &str, text: &str) {
        match kind {
            "C" => self.command(text).await,
            "S" => self.check(text, false).await,
            "T" => self.check(text, true).await,
            "E" => self.check_end(text).await,
            "!" => {
                self.read().await;
                let pattern = String::from_utf8(unescape(text)).unwrap();
                let none = |(_, one): &(usize, String)| like(&pattern, one, &self.known).is_none();
                assert!(
                    self.came.iter().all(none),
                    "{}: {:#?}",
                    self.place,
                    self.came
                );
                self.held += 1;
            }
            "L" => {
                let octets = command(text, &self.known);
                let connection = self.speaker();
                let plus = connection.in_time().await.unwrap();
                assert!(plus.starts_with('+'), "{}: {plus}", self.place);
                self.speaker().send(&[&octets[..], b"\r\n"].concat()).await;
            }
            "R" => {
                let octets = command(text, &self.known);
                self.speaker().waiting = true;
                self.speaker().send(&[&octets[..], b"\r\n"].concat()).await;
            }
            "W" => {
                let pattern = String::from_utf8(unescape(text)).unwrap();
                let mut came = Vec::new();
                loop {
                    let Some(response) = self.speaker().in_time().await else {
                        panic!("{}: {text}\nin {came:#?}", self.place);
                    };
                    if let Some(known) = like(&pattern, &response, &self.known) {
                        self.known = known;
                        break;
                    }
                    came.push(response);
                }
                // The command goes on: others may speak in between.
                self.speaker().waiting = false;
                self.held += 1;
            }
            other => panic!("{}: {other}", self.place),
        }
    }
}

async fn dialogue(house: &House, name: &str, text: &str) -> usize {
    let mut dialogue = Dialogue {
        house,
        connections: HashMap::new(),
        speaker: String::new(),
        known: HashMap::new(),
        came: Vec::new(),
        end: None,
        after: 0,
        held: 0,
        place: String::new(),
    };
    let mut section = "";
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('%') {
            continue;
        }
        if let Some(text) = line.strip_prefix('#') {
            section = text.trim();
            continue;
        }
        dialogue.place = format!("{name}:{} ({section}): {line}", number + 1);
        if let Some(speaker) = line.strip_prefix('@') {
            if !dialogue.speaker.is_empty() {
                dialogue.finish().await;
            }
            dialogue.connect(speaker.trim()).await;
        } else if let Some((kind, text)) = line.split_once(": ") {
            dialogue.line(kind, text).await;
        } else {
            assert!(line.trim().is_empty(), "{}", dialogue.place);
        }
    }
    dialogue.finish().await;
    dialogue.held
}

async fn all(store: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|one| one.unwrap().path())
        .collect();
    files.sort();
    let only = std::env::var("HIKYAKU_DIALOGUE").unwrap_or_default();
    let mut held = 0;
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        if !name.contains(&only) {
            continue;
        }
        let mut more = format!("[auth]\nplaintext = \"always\"\n[store]\nkind = \"{store}\"\n");
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("% ")) {
            more += &format!("{line}\n");
        }
        let house = House::with(&more).await;
        held += dialogue(&house, &name, &text).await;
        house.server.stop().await;
    }
    println!("{held} assertions held");
    assert!(held >= 200 || !only.is_empty(), "only {held} assertions");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rfcs_hold_on_disk() {
    all("disk").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rfcs_hold_in_memory() {
    all("memory").await;
}

#[test]
fn a_pattern_is_matched_as_it_says() {
    let mut known = HashMap::new();
    known.insert("a".to_owned(), "7".to_owned());
    let found = like(
        "* $n FETCH (UID $a…)",
        "* 12 FETCH (UID 7 FLAGS ())",
        &known,
    )
    .unwrap();
    assert_eq!(found["n"], "12");
    assert!(like("* $n FETCH (UID $a)", "* 12 FETCH (UID 8)", &known).is_none());
    assert!(like("* OK", "* OKAY", &known).is_none());
}
