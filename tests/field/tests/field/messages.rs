//! Messages: appended, then looked at by IMAP, by `mailclient` and in the webmail.
//!
//! The rows lie in `messages/*.toml`. The next report is one more `[[row]]`: the message, and what a person
//! must get of it. In `message` a line feed goes out as CRLF; `\xHH` is one octet, `\r`, `\n` and `\\` are
//! themselves.

use hikyaku_client::imap::Session;
use hikyaku_client::{Security, Server, Tcp};
use hikyaku_field::message::{Row, rows};
use hikyaku_imap_proto::client::Event;
use hikyaku_imap_proto::{
    Body, BodyStructure, Command, Envelope, FetchAttribute, FetchItem, MailboxName, SequenceSet,
};
use hikyaku_message::decode_header;
use hikyaku_mission::{Device, House, PASSWORD};
use hikyaku_wire::Secret;
use mailserver::Protocol;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// Messages whose number is their place in the table, since the mailbox was empty before.
fn uid(at: usize) -> usize {
    at + 1
}

/// A client of IMAP for what needs octets as they are.
struct Raw {
    stream: BufReader<TcpStream>,
    tag: u32,
}

impl Raw {
    async fn log_in(house: &House) -> Self {
        let stream = TcpStream::connect(house.at(Protocol::Imap)).await.unwrap();
        let mut raw = Self {
            stream: BufReader::new(stream),
            tag: 0,
        };
        let mut greeting = Vec::new();
        raw.stream.read_until(b'\n', &mut greeting).await.unwrap();
        let login = format!("LOGIN bob@example.test \"{PASSWORD}\"");
        raw.ok(login.as_bytes()).await;
        raw
    }

    /// Sends a command; the lines of its answer.
    async fn say(&mut self, command: &[u8]) -> String {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        let line = [tag.as_bytes(), b" ", command, b"\r\n"].concat();
        self.stream.get_mut().write_all(&line).await.unwrap();
        let mut all = Vec::new();
        loop {
            let start = all.len();
            let read = self.stream.read_until(b'\n', &mut all).await.unwrap();
            assert!(
                read > 0,
                "closed: {:?}",
                String::from_utf8_lossy(&all[start..])
            );
            if all[start..].starts_with(tag.as_bytes()) {
                return String::from_utf8_lossy(&all).into_owned();
            }
        }
    }

    async fn ok(&mut self, command: &[u8]) -> String {
        let said = self.say(command).await;
        let last = said.lines().last().unwrap_or("");
        assert!(last.contains(" OK "), "{}: {said}", command.escape_ascii());
        said
    }

    async fn append(&mut self, message: &[u8]) {
        // NULs go in the form that RFC 3516 gives to octets of any kind.
        let kind = if message.contains(&0) { "~" } else { "" };
        let head = format!("APPEND INBOX {kind}{{{}+}}\r\n", message.len());
        self.ok(&[head.as_bytes(), message].concat()).await;
    }

    async fn search(&mut self, text: &str) -> Vec<usize> {
        let head = format!("UID SEARCH CHARSET UTF-8 TEXT {{{}+}}\r\n", text.len());
        let said = self.ok(&[head.as_bytes(), text.as_bytes()].concat()).await;
        let found = said.lines().filter_map(|l| l.strip_prefix("* SEARCH"));
        found
            .flat_map(str::split_whitespace)
            .filter_map(|number| number.parse().ok())
            .collect()
    }
}

/// ENVELOPE and BODYSTRUCTURE of each message, by UID.
async fn fetched(house: &House) -> BTreeMap<usize, (Envelope, BodyStructure)> {
    let server = Server {
        host: "localhost".into(),
        port: house.at(Protocol::Imaps).port(),
        security: Security::Tls,
    };
    let dial = Tcp {
        ca: Some(house.data.path().join("tls/ca.pem")),
        ..Tcp::default()
    };
    let password = Secret::from(PASSWORD.as_bytes().to_vec());
    let session = Session::open(&dial, &server, "bob@example.test", password);
    let mut session = session.await.unwrap();
    let select = Command::examine(MailboxName::new("INBOX"));
    session.run(select, |_| {}).await.unwrap();
    let wanted = [
        FetchAttribute::Uid,
        FetchAttribute::Envelope,
        FetchAttribute::BodyStructure,
    ];
    let mut all = BTreeMap::new();
    let fetch = Command::uid_fetch(SequenceSet::all(), wanted);
    let take = |event| {
        if let Event::Fetch {
            uid: Some(uid),
            items,
            ..
        } = event
        {
            let (mut envelope, mut structure) = (None, None);
            for item in items {
                match item {
                    FetchItem::Envelope(one) => envelope = Some(one),
                    FetchItem::BodyStructure(one) => structure = Some(one),
                    _ => {}
                }
            }
            all.extend(
                envelope
                    .zip(structure)
                    .map(|both| (uid.get() as usize, both)),
            );
        }
    };
    session.run(fetch, take).await.unwrap();
    session.log_out().await;
    all
}

/// The media types of a structure's leaves, in their order.
fn leaves(body: &Body<'_>, all: &mut Vec<String>) {
    match body {
        Body::Multipart(multipart) => {
            multipart.parts.iter().for_each(|part| leaves(&part, all));
        }
        Body::Part(part) => {
            let text = |octets: &[u8]| String::from_utf8_lossy(octets).to_lowercase();
            all.push(format!("{}/{}", text(part.kind), text(part.subtype)));
        }
    }
}

/// The webmail as curl sees it.
struct Pages {
    origin: String,
    folder: tempfile::TempDir,
}

impl Pages {
    async fn log_in(house: &House) -> Self {
        let origin = format!("https://localhost:{}", house.at(Protocol::Https).port());
        let pages = Self {
            origin,
            folder: tempfile::tempdir().unwrap(),
        };
        let form = format!(
            "name=bob@example.test&password={}",
            PASSWORD.replace(' ', "+")
        );
        let login = format!("{}/login", pages.origin);
        let jar = pages.folder.path().join("jar");
        let jar = jar.to_str().unwrap();
        pages.curl(&["-c", jar, "-d", &form, &login]).await;
        pages
    }

    async fn curl(&self, arguments: &[&str]) {
        let done = tokio::process::Command::new("curl")
            .args(["-s", "-S", "-k", "-m", "120"])
            .args(arguments)
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "curl: {said}");
    }

    /// Each message's page and its frame.
    async fn of(&self, count: usize) -> Vec<(String, String)> {
        let mut config = String::new();
        for at in 0..count {
            let id = format!("INBOX%2F{}", uid(at));
            for page in ["message", "message/frame"] {
                let file = self
                    .folder
                    .path()
                    .join(format!("{at}.{}", page.replace('/', ".")));
                let _ = write!(
                    config,
                    "url = \"{}/{page}?id={id}\"\noutput = \"{}\"\n",
                    self.origin,
                    file.display()
                );
            }
        }
        let list = self.folder.path().join("pages");
        std::fs::write(&list, config).unwrap();
        let jar = self.folder.path().join("jar");
        let (jar, list) = (jar.to_str().unwrap(), list.to_str().unwrap());
        self.curl(&["-b", jar, "-K", list]).await;
        let read = |at: usize, page: &str| {
            let file = self.folder.path().join(format!("{at}.{page}"));
            std::fs::read_to_string(file).unwrap_or_default()
        };
        let both = |at| (read(at, "message"), read(at, "message.frame"));
        (0..count).map(both).collect()
    }
}

/// Elements that stand within a line of text.
const INLINE: [&str; 14] = [
    "a", "b", "bdi", "bdo", "code", "em", "font", "i", "mark", "small", "span", "strong", "sub",
    "u",
];

/// The text of a page: without tags, styles and comments, with entities as characters.
fn text_of_page(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        text += &rest[..at];
        let tag = &rest[at..];
        let hidden = [
            ("<style", "</style>"),
            ("<script", "</script>"),
            ("<!--", "-->"),
        ];
        let end = hidden.iter().find(|(start, _)| tag.starts_with(start));
        let end = end.map_or(">", |(_, end)| end);
        // What is a block stands apart from what is beside it.
        let name = tag.trim_start_matches(['<', '/']);
        let name = name.split(|c: char| !c.is_ascii_alphanumeric()).next();
        if !INLINE.contains(&name.unwrap_or("")) {
            text.push('\n');
        }
        rest = tag.find(end).map_or("", |at| &tag[at + end.len()..]);
    }
    text += rest;
    let mut decoded = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find('&') {
        decoded += &rest[..at];
        let entity = rest[at..].find(';').filter(|end| *end < 10);
        let name = entity.map_or("", |end| &rest[at + 1..at + end]);
        let number = name.strip_prefix('#').and_then(|number| {
            let hex = number.strip_prefix(['x', 'X']);
            hex.map_or_else(
                || number.parse().ok(),
                |hex| u32::from_str_radix(hex, 16).ok(),
            )
        });
        let character = match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "nbsp" => Some(' '),
            _ => number.and_then(char::from_u32),
        };
        match (character, entity) {
            (Some(character), Some(end)) => {
                decoded.push(character);
                rest = &rest[at + end + 1..];
            }
            _ => {
                decoded.push('&');
                rest = &rest[at + 1..];
            }
        }
    }
    decoded + rest
}

/// With one blank for each run of white space.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is inside of the page's `<pre class="text">`, where the text of a message without HTML is.
fn body_of_page(page: &str) -> &str {
    let from = page.find("<pre class=\"text\"").map_or(page.len(), |at| at);
    let rest = &page[from..];
    &rest[..rest.find("</pre>").unwrap_or(rest.len())]
}

/// What was seen of one message.
struct Seen {
    list: Value,
    read: Value,
    shown: String,
    envelope: Option<(Envelope, BodyStructure)>,
    page: String,
    frame: String,
    found: Vec<(String, bool)>,
}

/// What is otherwise than the row says.
fn differences(row: &Row, seen: &Seen) -> Vec<String> {
    let mut all = Vec::new();
    let mut differs = |what: &str, wanted: &str, got: &str| {
        let got: String = got.chars().take(600).collect();
        all.push(format!("{what}: wanted {wanted:?}, got {got:?}"));
    };
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let page = plain(&text_of_page(&seen.page));
    let (body, frame) = (
        plain(&text_of_page(body_of_page(&seen.page))),
        plain(&text_of_page(&seen.frame)),
    );
    if let Some(subject) = &row.subject {
        let listed = text(&seen.list["subject"]);
        if listed != *subject {
            differs("subject in list", subject, &listed);
        }
        if !page.contains(&plain(subject)) {
            differs("subject in webmail", subject, &page);
        }
        let envelope = seen.envelope.as_ref();
        let raw = envelope.and_then(|(envelope, _)| envelope.subject());
        let decoded = decode_header(raw.unwrap_or(b""));
        if plain(&decoded) != plain(subject) {
            differs("subject in ENVELOPE", subject, &decoded);
        }
    }
    if let Some(from) = &row.from {
        let (name, address) = (text(&seen.list["from"]), text(&seen.list["address"]));
        let listed = match name.is_empty() || name == address {
            true => address,
            false if address.is_empty() => name,
            false => format!("{name} <{address}>"),
        };
        if listed != *from {
            differs("from in list", from, &listed);
        }
        if !page.contains(&plain(from)) {
            differs("from in webmail", from, &page);
        }
    }
    for to in &row.to {
        for (what, shown) in [
            ("to in mailclient read", &plain(&seen.shown)),
            ("to in webmail", &page),
        ] {
            if !shown.contains(&plain(to)) {
                differs(what, to, shown);
            }
        }
    }
    if let Some(date) = &row.date {
        let wanted = date.seconds();
        let listed = seen.list["date"].as_i64();
        if listed != Some(wanted) {
            differs("date", &wanted.to_string(), &format!("{listed:?}"));
        }
    }
    let read = plain(&text(&seen.read["text"]));
    for wanted in &row.text {
        let wanted = plain(wanted);
        if !read.contains(&wanted) {
            differs("text in mailclient", &wanted, &read);
        }
        if !body.contains(&wanted) && !frame.contains(&wanted) {
            differs("text in webmail", &wanted, &format!("{body} | {frame}"));
        }
    }
    let as_it_is = text(&seen.read["text"]);
    for wanted in &row.lines {
        if !as_it_is.lines().any(|line| line.trim_end() == wanted) {
            differs("line in mailclient", wanted, &as_it_is);
        }
    }
    for unwanted in &row.not_text {
        let unwanted = plain(unwanted);
        for (what, shown) in [("mailclient", &read), ("page", &body), ("frame", &frame)] {
            if shown.contains(&unwanted) {
                differs(&format!("not in {what}"), &unwanted, shown);
            }
        }
    }
    if let Some(attachments) = &row.attachments {
        let empty = Vec::new();
        let listed = seen.read["attachments"].as_array().unwrap_or(&empty);
        let names: Vec<_> = listed.iter().map(|one| text(&one["name"])).collect();
        if names != *attachments {
            differs("attachments", &attachments.join(" | "), &names.join(" | "));
        }
        for name in attachments {
            if !page.contains(&plain(name)) {
                differs("attachment in webmail", name, &page);
            }
        }
    }
    for wanted in &row.html {
        if !seen.frame.contains(wanted) {
            differs("html", wanted, &seen.frame);
        }
    }
    for unwanted in &row.not_html {
        if seen.frame.contains(unwanted) {
            differs("not in html", unwanted, &seen.frame);
        }
    }
    for (text, found) in &seen.found {
        if !found {
            differs("search", text, "not found");
        }
    }
    if let Some(parts) = &row.parts {
        let mut got = Vec::new();
        if let Some((_, structure)) = &seen.envelope {
            leaves(&structure.root(), &mut got);
        }
        if got != *parts {
            differs("parts", &parts.join(" "), &got.join(" "));
        }
    }
    all
}

async fn seen(house: &House, device: &Device, rows: &[Row]) -> Vec<Seen> {
    let mut raw = Raw::log_in(house).await;
    for row in rows {
        raw.append(&row.octets()).await;
    }
    let mut envelopes = fetched(house).await;
    let pages = Pages::log_in(house).await.of(rows.len()).await;
    device.ok(&["sync"]).await;
    let count = (rows.len() + 1).to_string();
    let list = device.json(&["list", "INBOX", "-n", &count]).await;
    let empty = Vec::new();
    let list: BTreeMap<_, _> = list
        .as_array()
        .unwrap_or(&empty)
        .iter()
        .filter_map(|one| Some((one["message"].as_str()?.to_owned(), one.clone())))
        .collect();
    raw.ok(b"SELECT INBOX").await;
    let mut all = Vec::new();
    for ((at, row), (page, frame)) in rows.iter().enumerate().zip(pages) {
        let name = format!("INBOX/{}", uid(at));
        let mut found = Vec::new();
        for text in &row.search {
            let hit = raw.search(text).await.contains(&uid(at));
            found.push((text.clone(), hit));
        }
        all.push(Seen {
            list: list.get(&name).cloned().unwrap_or_default(),
            read: device.json(&["read", &name]).await,
            shown: device.ok(&["read", &name]).await,
            envelope: envelopes.remove(&uid(at)),
            page,
            frame,
            found,
        });
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_is_read_as_a_person_must_get_it() {
    let rows = rows();
    assert!(!rows.is_empty());
    let house = House::new().await;
    let device = house.device("imap", &[]).await;
    let seen = seen(&house, &device, &rows).await;
    let mut wrong = Vec::new();
    for (row, seen) in rows.iter().zip(&seen) {
        for difference in differences(row, seen) {
            wrong.push(format!("{} ({}): {difference}", row.id, row.known));
        }
    }
    let report = wrong.join("\n");
    assert!(wrong.is_empty(), "{} differences:\n{report}", wrong.len());
}
