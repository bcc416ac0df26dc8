//! The form: what its fields hold, and the page that shows it.

use askama::Template;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hikyaku_client::Error;
use serde::{Deserialize, Serialize};

use super::draft::Writing;
use super::sending::Attempt;
use crate::outside;
use crate::pages::{Shell, page, size};
use crate::session::Session;
use crate::words::Words;
use crate::{Shared, User};

/// What the fields hold, as it was typed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Written {
    /// What names it in every form, draft and attempt.
    pub(super) key: String,
    /// How often it had been tried to be sent when the form was made.
    #[serde(skip)]
    pub(super) attempt: u32,
    /// How many attachments lay on the server when the form was made.
    #[serde(skip)]
    pub(super) attached: usize,
    /// The address of whom the form was made for.
    #[serde(skip)]
    pub(super) owner: String,
    /// The message that is answered.
    pub(super) reply: String,
    /// The message that is passed on.
    pub(super) forward: String,
    /// The draft that it began with, when that was another program's.
    #[serde(skip)]
    pub(super) draft: String,
    /// Message-IDs.
    #[serde(skip)]
    pub(super) in_reply_to: String,
    #[serde(skip)]
    pub(super) references: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) cc: String,
    pub(super) bcc: String,
    pub(super) subject: String,
    #[serde(skip)]
    pub(super) text: String,
}

/// On one line, as fields of a header are.
fn one_line(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).collect()
}

impl Written {
    /// Sets the field of that name; others are passed over.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        let place = match name {
            "key" => &mut self.key,
            "owner" => &mut self.owner,
            "reply" => &mut self.reply,
            "forward" => &mut self.forward,
            "draft" => &mut self.draft,
            "in_reply_to" => &mut self.in_reply_to,
            "references" => &mut self.references,
            "from" => &mut self.from,
            "to" => &mut self.to,
            "cc" => &mut self.cc,
            "bcc" => &mut self.bcc,
            "subject" => &mut self.subject,
            "text" => {
                self.text = value.replace("\r\n", "\n");
                return;
            }
            "attempt" => return self.attempt = value.parse().unwrap_or(0),
            "attached" => return self.attached = value.parse().unwrap_or(0),
            _ => return,
        };
        *place = one_line(value);
    }

    /// What [`set`](Self::set) sets, but for the text and whose it is.
    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        let all = [
            ("key", &self.key),
            ("reply", &self.reply),
            ("forward", &self.forward),
            ("draft", &self.draft),
            ("in_reply_to", &self.in_reply_to),
            ("references", &self.references),
            ("from", &self.from),
            ("to", &self.to),
            ("cc", &self.cc),
            ("bcc", &self.bcc),
            ("subject", &self.subject),
        ];
        let mut all: Vec<_> = all.map(|(name, value)| (name, value.clone())).into();
        all.push(("attempt", self.attempt.to_string()));
        all.push(("attached", self.attached.to_string()));
        all
    }

    /// Whether it was made for that person.
    pub(super) fn is_of(&self, user: &User) -> bool {
        self.owner.is_empty() || self.owner.eq_ignore_ascii_case(&user.address)
    }

    /// Whether it can be looked for by its name.
    pub(super) fn is_named(&self) -> bool {
        is_key(&self.key)
    }

    /// Whether somebody wrote something.
    pub(super) fn is_empty(&self) -> bool {
        let fields = [&self.to, &self.cc, &self.bcc, &self.subject, &self.text];
        fields.iter().all(|field| field.trim().is_empty())
    }
}

/// Whether a word is one of [`new_key`].
pub(super) fn is_key(word: &str) -> bool {
    word.len() == 32 && word.bytes().all(|octet| octet.is_ascii_hexdigit())
}

/// A name for what is begun to be written.
pub(super) fn new_key() -> String {
    let mut word = crate::session::random();
    word.truncate(32);
    word
}

/// What is said above the fields.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// What went wrong.
    pub(super) problems: Vec<String>,
    /// What is good to know.
    pub(super) notes: Vec<String>,
    /// The field that it is about.
    pub(super) bad: &'static str,
}

impl Notes {
    pub(super) fn problem(why: impl Into<String>) -> Self {
        Self {
            problems: vec![why.into()],
            ..Self::default()
        }
    }
}

struct Shown {
    number: usize,
    name: String,
    size: String,
}

#[derive(Template)]
#[template(path = "compose.html")]
struct Page<'a> {
    w: &'static Words,
    base: &'a str,
    title: &'a str,
    shell: Shell,
    problems: Vec<String>,
    notes: Vec<String>,
    bad: &'static str,
    /// Addresses that can be sent as.
    senders: Vec<String>,
    written: &'a Written,
    files: Vec<Shown>,
    /// Octets of what is attached, and of what may be.
    octets: usize,
    most: usize,
    limit: String,
    /// Whether there is a draft of it.
    kept: bool,
}

/// The addresses of a person: the own, then those elsewhere.
pub(super) async fn senders(user: &User) -> Result<Vec<String>, Error> {
    let local = &user.local;
    let elsewhere = outside::all(&**local.store(), local.account_id()).await?;
    let own = std::iter::once(user.address.clone());
    Ok(own
        .chain(elsewhere.into_iter().map(|one| one.address))
        .collect())
}

/// The form, with all that is in it. What was tried before is said with it.
pub(super) async fn form(
    shared: &Shared,
    session: &Session,
    w: &'static Words,
    writing: &Writing,
    mut notes: Notes,
) -> Result<Response, Error> {
    let user = &session.user;
    let mut shell = Shell::new(session, w, "", "").await?;
    shell.writing = true;
    let attempt = Attempt::of(user, &writing.written.key).await?;
    attempt.explain(w, &mut notes);
    let written = Written {
        attempt: attempt.number,
        attached: writing.files.len(),
        owner: user.address.clone(),
        ..writing.written.clone()
    };
    let files = writing.files.iter().enumerate();
    let files = files
        .map(|(number, (name, _, octets))| Shown {
            number,
            name: name.clone(),
            size: size(octets.len() as u64),
        })
        .collect();
    let mut response = page(&Page {
        w,
        base: &shared.options.base,
        title: &shared.options.title,
        shell,
        problems: notes.problems,
        notes: notes.notes,
        bad: notes.bad,
        senders: senders(user).await?,
        written: &written,
        files,
        octets: writing.octets(),
        most: shared.options.message,
        limit: size(shared.options.message as u64),
        kept: !writing.drafts.is_empty(),
    });
    // Going back to it in the browser finds what was typed, also without scripts; logging out ends that.
    let cache = HeaderValue::from_static("private, no-cache");
    response.headers_mut().insert(header::CACHE_CONTROL, cache);
    Ok(response)
}
