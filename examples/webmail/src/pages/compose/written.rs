//! The fields of the form.

use serde::{Deserialize, Serialize};

use crate::User;

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
