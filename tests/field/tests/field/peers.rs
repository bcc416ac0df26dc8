//! Peers: what mail-parser, Python's email and Thunderbird make of each message of the field and of the corpus,
//! held against what this house makes of it.
//!
//! mail-parser is asked here. What the others answered lies in `peers/python.json` and `peers/thunderbird.json`,
//! written by the scripts beside them; Python is asked once more where the same version is at hand. The corpus is
//! where `HIKYAKU_CORPUS` says. Each difference stands in `peers/differences.toml` with who is right.
//!
//! To ask them again, in `tests/field` (Thunderbird takes ten seconds, and needs no display):
//!
//! ```text
//! corpus=$HIKYAKU_CORPUS/messages
//! for peer in python thunderbird; do
//!     python3 peers/$peer.py --digest --root $corpus messages/*.toml $(find $corpus -name '*.eml') > answers
//!     mv answers peers/$peer.json
//! done
//! ```

use hikyaku_client::show;
use hikyaku_field::message::rows;
use hikyaku_message::{Kind, Structure, decode_header, parse_date};
use mail_parser::decoders::html::html_to_text;
use mail_parser::{MessageParser, MimeHeaders as _, PartType};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How many letters of a text are compared.
const LETTERS: usize = 200;

/// A recorded text of so many characters was cut there.
const CUT: usize = 200;

/// What a program makes of a message.
#[derive(Debug, Default, Deserialize)]
struct Answer {
    subject: String,
    from: String,
    date: Option<i64>,
    text: String,
    attachments: Vec<String>,
    parts: Vec<String>,
}

/// What a script wrote.
#[derive(Debug, Deserialize)]
struct Record {
    version: String,
    answers: BTreeMap<String, Answer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Right {
    Ours,
    Theirs,
    Both,
}

/// A difference that is known.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    message: String,
    field: String,
    peers: Vec<String>,
    right: Right,
    why: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

fn record(peer: &str) -> Record {
    let path = folder().join(format!("{peer}.json"));
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// With one blank for each run of white space.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What of a text does not depend on how it is laid out.
fn letters(text: &str) -> String {
    let letters = text
        .chars()
        .filter(|c| c.is_alphanumeric() || *c == '\u{fffd}');
    letters.take(LETTERS).collect()
}

fn person(name: &str, address: &str) -> String {
    let (name, address) = (plain(name), plain(address));
    match (name.is_empty() || name == address, address.is_empty()) {
        (true, _) => address,
        (false, true) => name,
        (false, false) => format!("{name} <{address}>"),
    }
}

/// Names that a program makes up for a part without one.
fn is_made_up(name: &str) -> bool {
    let number = name.strip_prefix("part-").or(name.strip_prefix("Part "));
    name.is_empty()
        || name == "ForwardedMessage.eml"
        || number.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn ours(message: &[u8]) -> Answer {
    let structure = Structure::of(message);
    let envelope = structure.root().envelope.clone().unwrap_or_default();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let from = envelope.from.iter().find(|one| one.mailbox.is_some());
    let mut parts = Vec::new();
    let mut skip = 0;
    for (index, part) in structure.parts().iter().enumerate() {
        // What lies in a message within is no part of this one.
        if index < skip || part.kind == Kind::Multipart {
            continue;
        }
        if part.kind == Kind::Message {
            skip = part.end;
        }
        let (kind, subtype) = (text(&part.content.kind), text(&part.content.subtype));
        parts.push(format!("{kind}/{subtype}").to_lowercase());
    }
    Answer {
        subject: decode_header(envelope.subject.as_deref().unwrap_or(b"")),
        from: from.map_or(String::new(), |one| {
            let spec = one.addr_spec().unwrap_or_default();
            person(&show::person(one), &decode_header(&spec))
        }),
        date: envelope
            .date
            .as_deref()
            .and_then(parse_date)
            .map(|date| date.seconds),
        text: show::text(message),
        // What has no name gets one of each program's own making.
        attachments: structure
            .attachments()
            .into_iter()
            .filter_map(|index| structure.get(index)?.content.file_name())
            .collect(),
        parts,
    }
}

fn mail_parser(message: &[u8]) -> Answer {
    let Some(message) = MessageParser::default().parse(message) else {
        return Answer::default();
    };
    let from = message.from().and_then(|from| from.first());
    let text: Vec<_> = message
        .text_bodies()
        .map(|part| match &part.body {
            PartType::Text(text) => text.to_string(),
            PartType::Html(html) => html_to_text(html),
            _ => String::new(),
        })
        .collect();
    let kind = |part: &mail_parser::MessagePart<'_>| match part.content_type() {
        Some(said) => {
            let subtype = said.subtype().unwrap_or("");
            format!("{}/{subtype}", said.ctype()).to_lowercase()
        }
        None if part.is_message() => "message/rfc822".to_owned(),
        None => "text/plain".to_owned(),
    };
    let leaves = message.parts.iter().filter(|part| !part.is_multipart());
    let names = message
        .attachments()
        .filter_map(|part| part.attachment_name());
    Answer {
        subject: message.subject().unwrap_or("").to_owned(),
        from: from.map_or(String::new(), |one| {
            person(one.name().unwrap_or(""), one.address().unwrap_or(""))
        }),
        date: message.date().map(mail_parser::DateTime::to_timestamp),
        text: text.join("\n"),
        attachments: names.map(str::to_owned).collect(),
        parts: leaves.map(kind).collect(),
    }
}

/// The fields in which two answers differ, and what each says.
fn differences(ours: &Answer, theirs: &Answer) -> Vec<(&'static str, String, String)> {
    let mut all = Vec::new();
    let mut compare = |field, ours: String, theirs: String| {
        if ours != theirs {
            all.push((field, ours, theirs));
        }
    };
    compare("subject", plain(&ours.subject), plain(&theirs.subject));
    compare("from", ours.from.clone(), person("", &theirs.from));
    let date = |date: Option<i64>| date.map_or(String::new(), |date| date.to_string());
    compare("date", date(ours.date), date(theirs.date));
    let (mut text, their_text) = (letters(&ours.text), letters(&theirs.text));
    if theirs.text.chars().count() >= CUT {
        text = text.chars().take(their_text.chars().count()).collect();
    }
    compare("text", text, their_text);
    let names = |all: &[String]| {
        let names = all.iter().map(|name| plain(name));
        names
            .filter(|name| !is_made_up(name))
            .collect::<Vec<_>>()
            .join(" | ")
    };
    compare(
        "attachments",
        names(&ours.attachments),
        names(&theirs.attachments),
    );
    compare("parts", ours.parts.join(" "), theirs.parts.join(" "));
    all
}

/// Messages by the name that the records know them by: a row's id, or a path in the corpus.
fn messages() -> BTreeMap<String, Vec<u8>> {
    let mut all: BTreeMap<_, _> = rows()
        .iter()
        .map(|row| (row.id.clone(), row.octets()))
        .collect();
    let Some(corpus) = std::env::var_os("HIKYAKU_CORPUS") else {
        return all;
    };
    let root = PathBuf::from(corpus).join("messages");
    let mut todo = vec![root.clone()];
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|end| end == "eml") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
                all.insert(name.to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    all
}

/// What is found, by message, field and peer.
type Found = BTreeMap<(String, String, String), (String, String)>;

fn found(messages: &BTreeMap<String, Vec<u8>>) -> Found {
    let (python, thunderbird) = (record("python"), record("thunderbird"));
    let mut all = Found::new();
    for (name, octets) in messages {
        let ours = ours(octets);
        let parsed = mail_parser(octets);
        let peers = [
            ("mail-parser", Some(&parsed)),
            ("python", python.answers.get(name)),
            ("thunderbird", thunderbird.answers.get(name)),
        ];
        for (peer, theirs) in peers {
            let Some(theirs) = theirs else { continue };
            for (field, ours, theirs) in differences(&ours, theirs) {
                let key = (name.clone(), field.to_owned(), peer.to_owned());
                all.insert(key, (ours, theirs));
            }
        }
    }
    all
}

#[test]
fn each_difference_from_a_peer_is_listed_with_who_is_right() {
    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        difference: Vec<Difference>,
    }
    let text = std::fs::read_to_string(folder().join("differences.toml")).unwrap();
    let listed: File = toml::from_str(&text).unwrap();
    let messages = messages();
    let mut found = found(&messages);
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for difference in &listed.difference {
        let Difference { message, field, .. } = difference;
        assert!(!difference.why.is_empty(), "{message} {field}: no reason");
        // A message of the corpus has a slash in its name, and may not be at hand.
        let is_known = message.contains('/') || messages.contains_key(message);
        assert!(is_known, "{message} is no row");
        for peer in &difference.peers {
            let key = (message.clone(), field.clone(), peer.clone());
            assert!(seen.insert(key.clone()), "{key:?} is listed twice");
            let differs = found.remove(&key).is_some();
            if !differs && messages.contains_key(message) {
                wrong.push(format!("# no longer differs: {message} {field} {peer}"));
            }
            if difference.right == Right::Theirs {
                println!("to be mended: {message}, {field}, as {peer} has it");
            }
        }
    }
    for ((message, field, peer), (ours, theirs)) in &found {
        wrong.push(format!(
            "[[difference]]\nmessage = {message:?}\nfield = {field:?}\npeers = [{peer:?}]\nright = \"\"\nwhy = \"\"\n# ours: {ours:?}\n# theirs: {theirs:?}\n"
        ));
    }
    let report = wrong.join("\n");
    assert!(wrong.is_empty(), "{} differences:\n{report}", wrong.len());
}

#[test]
fn python_answers_what_is_recorded() {
    let recorded = record("python");
    let version = std::process::Command::new("python3")
        .arg("--version")
        .output();
    let version = version.map_or(String::new(), |said| {
        String::from_utf8_lossy(&said.stdout).trim().to_owned()
    });
    // Another version may answer otherwise; it is then the record that is compared.
    if version != recorded.version {
        return;
    }
    let tables = std::fs::read_dir(folder().with_file_name("messages")).unwrap();
    let tables = tables.map(|entry| entry.unwrap().path());
    let tables = tables.filter(|path| path.extension().is_some_and(|end| end == "toml"));
    let said = std::process::Command::new("python3")
        .arg(folder().join("python.py"))
        .arg("--digest")
        .args(tables)
        .output()
        .unwrap();
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let live: Record = serde_json::from_slice(&said.stdout).unwrap();
    let mut wrong = Vec::new();
    for (name, answer) in &live.answers {
        // A row that is new is compared with mail-parser at once, with the others when they are asked again.
        let Some(recorded) = recorded.answers.get(name) else {
            println!("{name} is not recorded");
            continue;
        };
        let differences = differences(answer, recorded);
        wrong.extend(
            differences
                .into_iter()
                .map(|what| format!("{name}: {what:?}")),
        );
    }
    let report = wrong.join("\n");
    assert!(
        wrong.is_empty(),
        "run peers/python.py --digest anew:\n{report}"
    );
}
