//! Rows of messages, from `messages/*.toml`.

use serde::Deserialize;
use std::path::Path;

/// A message, and what a person must get of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Names the case; unique.
    pub id: String,
    /// Who sends such a thing, or where it was reported.
    pub known: String,
    message: String,
    /// The subject, decoded.
    pub subject: Option<String>,
    /// The first author: `name <address>`, or the address.
    pub from: Option<String>,
    /// All in To, as they are shown.
    #[serde(default)]
    pub to: Vec<String>,
    /// The moment that Date means.
    pub date: Option<Moment>,
    /// Texts that are read.
    #[serde(default)]
    pub text: Vec<String>,
    /// Texts that are not.
    #[serde(default)]
    pub not_text: Vec<String>,
    /// Whole lines of the text that `mailclient` reads: what is joined, and what is not.
    #[serde(default)]
    pub lines: Vec<String>,
    /// The names that are offered for saving, in their order.
    pub attachments: Option<Vec<String>>,
    /// Pieces of the document that the webmail shows HTML in.
    #[serde(default)]
    pub html: Vec<String>,
    /// What that document has not.
    #[serde(default)]
    pub not_html: Vec<String>,
    /// Texts by which SEARCH finds it.
    #[serde(default)]
    pub search: Vec<String>,
    /// The media types of the leaves, as BODYSTRUCTURE orders them.
    pub parts: Option<Vec<String>>,
}

/// A moment in the form of RFC 3339, as a text or as TOML's own type.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Moment {
    /// TOML's.
    Toml(toml::value::Datetime),
    /// A text.
    Text(String),
}

impl Moment {
    /// Seconds since 1970.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        let text = match self {
            Self::Toml(moment) => moment.to_string(),
            Self::Text(text) => text.clone(),
        };
        let format = &time::format_description::well_known::Rfc3339;
        let moment = time::OffsetDateTime::parse(&text, format);
        moment
            .unwrap_or_else(|error| panic!("{text}: {error}"))
            .unix_timestamp()
    }
}

impl Row {
    /// The message as it goes over the wire.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        unescaped(&self.message)
    }

    /// Whether it says anything that a test can look at.
    #[must_use]
    pub fn asks(&self) -> bool {
        let texts = [&self.to, &self.text, &self.not_text, &self.html];
        let more = [&self.not_html, &self.search, &self.lines];
        self.subject.is_some()
            || self.from.is_some()
            || self.date.is_some()
            || self.attachments.is_some()
            || self.parts.is_some()
            || texts.into_iter().chain(more).any(|all| !all.is_empty())
    }
}

/// `\xHH`, `\r`, `\n`, `\\`; a line feed of the file is a CRLF.
fn unescaped(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        match octet {
            b'\n' => octets.extend(b"\r\n"),
            b'\\' => match rest.next() {
                Some(b'r') => octets.push(b'\r'),
                Some(b'n') => octets.push(b'\n'),
                Some(b'x') => {
                    let digits = [rest.next().unwrap_or(b'?'), rest.next().unwrap_or(b'?')];
                    let digits = String::from_utf8_lossy(&digits).into_owned();
                    let octet = u8::from_str_radix(&digits, 16);
                    octets.push(octet.unwrap_or_else(|_| panic!("\\x{digits} in {text}")));
                }
                Some(b'\\') => octets.push(b'\\'),
                other => panic!("an escape that there is not: {other:?} in {text}"),
            },
            _ => octets.push(octet),
        }
    }
    octets
}

/// All rows, file by file.
///
/// # Panics
/// When a file cannot be read, an id is there twice, or a row asks nothing.
#[must_use]
pub fn rows() -> Vec<Row> {
    #[derive(Deserialize)]
    struct File {
        row: Vec<Row>,
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("messages");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    let mut all: Vec<Row> = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let file: File =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for row in file.row {
            assert!(row.asks(), "{} asks nothing", row.id);
            assert!(all.iter().all(|other| other.id != row.id), "{}", row.id);
            all.push(row);
        }
    }
    all
}
