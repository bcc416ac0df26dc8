//! What is looked for, as one reading of a message answers it all.

use super::key::Key;
use crate::caches::text_index::Learner;
use crate::questions::casemap::{casemap, push_casemapped};
use crate::questions::field_text::FieldText;
use hikyaku_message::{decode_header, fields};

/// Longer fields are not kept for the next search.
const FIELD_TEXT: usize = 8 * 1024;

/// Longer names are of no field that anybody searches twice.
const FIELD_NAME: usize = 78;

/// How many names of one question are kept for the next.
const FIELDS: usize = 4;

/// A key whose texts are numbered, so that one reading of a body answers them all.
#[derive(Debug)]
pub(super) enum Prepared {
    Plain(Key),
    /// Name in lower case, and the number of its text.
    Header(String, usize),
    Content(usize),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) terms: Vec<Term>,
    pub(super) needs_summary: bool,
    /// Whether what is read of header fields is of use later.
    pub(super) learns: bool,
    /// The names, in lower case, of fields that no summary has.
    pub(super) fields: Vec<String>,
    /// Takes up the texts that are read.
    pub(super) learner: Option<Learner>,
}

/// A text to look for, as it compares.
#[derive(Debug)]
pub(super) struct Term {
    pub(super) needle: String,
    pub(super) in_header: bool,
    pub(super) in_body: bool,
}

impl Plan {
    pub(super) fn prepare(&mut self, key: &Key) -> Prepared {
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

    pub(super) fn term(&mut self, text: &str, in_header: bool, in_body: bool) -> usize {
        self.terms.push(Term {
            needle: casemap(text).into_owned(),
            in_header,
            in_body,
        });
        self.terms.len() - 1
    }

    /// What the fields say; nothing where one of them says too much.
    pub(super) fn learn(&self, header: &[u8]) -> Vec<FieldText> {
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

    pub(super) fn looks_into_bodies(&self) -> bool {
        self.terms.iter().any(|term| term.in_body)
    }

    pub(super) fn needle(&self, number: usize) -> &str {
        self.terms.get(number).map_or("", |term| &term.needle)
    }
}

/// Returns whether a summary answers that.
fn in_summary(name: &str, text: &str) -> bool {
    match name {
        "subject" | "message-id" | "in-reply-to" => true,
        "from" | "to" | "cc" | "bcc" => !text.is_empty(),
        _ => false,
    }
}
