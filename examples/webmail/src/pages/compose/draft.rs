//! What is being written, as a draft: one message among the drafts, replaced each time it is saved.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hikyaku_client::compose::Draft;
use hikyaku_client::{Error, Message, show};
use hikyaku_mailstore::Flags;
use hikyaku_message::{Structure, fields};

use super::asked::Asked;
use super::file::{File, digest};
use super::recipients;
use super::written::{Written, is_key, new_key};
use crate::{User, aside};

/// How many of the newest drafts are looked through for one.
const FOUND: usize = 500;
/// How often what is left of a draft is looked for.
const PASSES: usize = 5;
/// What a draft's own Message-ID begins with; its name follows.
const ID: &str = "draft.";
/// The field of a draft with what was typed, which a header could not say: half an address, a reply to what.
const FIELD: &str = "X-Hikyaku-Draft";

/// What is being written.
#[derive(Debug, Clone, Default)]
pub(super) struct Writing {
    /// The fields of the form.
    pub(super) written: Written,
    /// What is attached.
    pub(super) files: Vec<File>,
    /// The messages that it is kept as: one, or more for a moment.
    pub(super) drafts: Vec<Message>,
}

/// Who it is from.
pub(super) struct Sender<'a> {
    pub(super) address: &'a str,
    pub(super) name: Option<&'a str>,
}

impl Writing {
    /// Something new.
    pub(super) fn new(draft: &Draft) -> Self {
        let written = Written {
            key: new_key(),
            in_reply_to: draft.in_reply_to.clone().unwrap_or_default(),
            references: draft.references.join(" "),
            to: draft.to.join(", "),
            cc: draft.cc.join(", "),
            bcc: draft.bcc.join(", "),
            subject: draft.subject.clone(),
            text: draft.text.clone(),
            ..Written::default()
        };
        Self {
            written,
            files: draft.attachments.clone(),
            drafts: Vec::new(),
        }
    }

    /// What a link asks for.
    pub(super) async fn begun(user: &User, asked: &Asked) -> Result<Self, Error> {
        let asked_for = [&asked.draft, &asked.reply, &asked.forward];
        let Some(id) = asked_for.into_iter().find(|id| !id.is_empty()) else {
            return Ok(Self::new(&Draft::default()));
        };
        let message = user.local.find(id).await?;
        let whole = user.whole(&message).await?;
        if !asked.draft.is_empty() {
            return Ok(Self::again(message, &whole));
        }
        if !asked.reply.is_empty() {
            let (own, all) = (user.address.clone(), asked.all > 0);
            // Quoting a stranger's message takes a while, when that is what the stranger wants.
            let quoted = aside::run(move || {
                let text = show::text(&whole);
                Self::new(&Draft::reply(&message.envelope, &text, &own, all))
            });
            let mut this = quoted.await.map_err(|_| busy())?;
            this.written.reply.clone_from(id);
            return Ok(this);
        }
        let forwarded = move || Self::new(&Draft::forward(&message.envelope, whole));
        let mut this = aside::run(forwarded).await.map_err(|_| busy())?;
        this.written.forward.clone_from(id);
        Ok(this)
    }

    /// A draft that is continued.
    fn again(message: Message, whole: &Bytes) -> Self {
        let mut this = Self::new(&Draft::again(&message.envelope, show::text(whole), whole));
        let from = message.envelope.from.first();
        let from = from.and_then(hikyaku_message::Address::addr_spec);
        this.written.from = from
            .map(|from| String::from_utf8_lossy(&from).into_owned())
            .unwrap_or_default();
        match key_of(&message) {
            Some(key) => this.written.key = key,
            // Another program's: it is replaced when it is saved.
            None => this.written.draft.clone_from(&message.name),
        }
        if let Some(typed) = typed(whole) {
            this.written = Written {
                key: this.written.key,
                draft: this.written.draft,
                in_reply_to: this.written.in_reply_to,
                references: this.written.references,
                text: exact_text(whole).unwrap_or(this.written.text),
                ..typed
            };
        }
        this.drafts = vec![message];
        this
    }

    /// The draft of that name.
    pub(super) async fn kept(user: &User, key: &str) -> Result<Option<Self>, Error> {
        let mut drafts = drafts_of(user, key).await?;
        if drafts.is_empty() {
            return Ok(None);
        }
        let newest = drafts.remove(0);
        let whole = user.whole(&newest).await?;
        let mut this = Self::again(newest, &whole);
        this.drafts.extend(drafts);
        Ok(Some(this))
    }

    /// What a form is about: its fields, and what was attached before, which lies in the draft, or in the message
    /// that it began with.
    pub(super) async fn of(user: &User, mut written: Written) -> Result<Self, Error> {
        let kept = match written.is_named() {
            true => match Self::kept(user, &written.key).await {
                // Without attachments nothing of it is needed but its place.
                Err(_) if written.attached == 0 => Some(Self {
                    drafts: drafts_of(user, &written.key).await?,
                    ..Self::default()
                }),
                kept => kept?,
            },
            false => None,
        };
        if !written.is_named() {
            written.key = new_key();
        }
        let asked = Asked {
            draft: written.draft.clone(),
            forward: written.forward.clone(),
            ..Asked::default()
        };
        let before = match kept {
            Some(kept) => kept,
            None if written.draft.is_empty() && written.forward.is_empty() => Self::default(),
            // That may be gone by now; the text is here, and what was attached is missed by its count.
            None => Self::begun(user, &asked).await.unwrap_or_default(),
        };
        let drafts = before.drafts;
        let files = before.files;
        Ok(Self {
            written,
            files,
            drafts,
        })
    }

    /// Octets of what is attached.
    pub(super) fn octets(&self) -> usize {
        self.files.iter().map(|(_, _, octets)| octets.len()).sum()
    }

    /// Adds files that came with a form, as far as there is room; the names of the others. A form that came twice
    /// adds them once.
    pub(super) fn attach(&mut self, files: Vec<File>, most: usize) -> Vec<String> {
        let mut too_large = Vec::new();
        let known = self.written.attached.min(self.files.len());
        let mut came = self.files.split_off(known);
        let mut octets =
            self.octets() + came.iter().map(|(.., octets)| octets.len()).sum::<usize>();
        let mut new = Vec::new();
        let mut left = came.clone();
        for file in files {
            if let Some(at) = left.iter().position(|one| *one == file) {
                left.remove(at);
            } else if octets + file.2.len() <= most {
                octets += file.2.len();
                new.push(file);
            } else {
                too_large.push(file.0);
            }
        }
        self.files.append(&mut came);
        self.files.append(&mut new);
        too_large
    }

    /// Takes an attachment off: `number:name`, as the form had it.
    pub(super) fn detach(&mut self, which: &str) {
        let Some((number, name)) = which.split_once(':') else {
            return;
        };
        let is = |file: &File| file.0 == name;
        let number = number.parse().ok();
        let there = number.filter(|&number| self.files.get(number).is_some_and(is));
        if let Some(at) = there.or_else(|| self.files.iter().position(is)) {
            self.files.remove(at);
        }
    }

    /// As a message is made of it, to those.
    fn draft(&self, to: Vec<String>, cc: Vec<String>, bcc: Vec<String>) -> Draft {
        let ids = |text: &str| -> Vec<String> {
            let ids = text.split_whitespace().take(100);
            ids.filter(|id| !id.contains(['<', '>', ',']))
                .map(Into::into)
                .collect()
        };
        Draft {
            to,
            cc,
            bcc,
            subject: self.written.subject.clone(),
            text: self.written.text.clone(),
            in_reply_to: ids(&self.written.in_reply_to).pop(),
            references: ids(&self.written.references),
            attachments: self.files.clone(),
            message_id: None,
        }
    }

    /// The message that is kept among the drafts.
    fn as_draft(&self, from: &Sender<'_>) -> Result<Bytes, Error> {
        let some = |text: &str| recipients::those_that_are(text);
        let written = &self.written;
        let mut draft = self.draft(some(&written.to), some(&written.cc), some(&written.bcc));
        draft.message_id = Some(format!("{ID}{}@{}", written.key, domain(from.address)));
        let message = draft.message_from(from.address, from.name, true)?;
        let typed = toml::to_string(written).map_err(|error| Error::Usage(error.to_string()))?;
        let typed = STANDARD.encode(typed);
        let mut octets = Vec::with_capacity(message.len() + typed.len() * 2);
        octets.extend_from_slice(FIELD.as_bytes());
        octets.push(b':');
        for line in typed.as_bytes().chunks(72) {
            octets.extend_from_slice(b"\r\n ");
            octets.extend_from_slice(line);
        }
        octets.extend_from_slice(b"\r\n");
        octets.extend_from_slice(&message);
        Ok(octets.into())
    }

    /// The message that is sent. As long as nothing else is written in it it keeps its Message-ID, so that who gets
    /// it twice after all sees it once.
    pub(super) fn as_message(
        &self,
        from: &Sender<'_>,
        to: Vec<String>,
        cc: Vec<String>,
    ) -> Result<(String, Bytes), Error> {
        let mut draft = self.draft(to, cc, Vec::new());
        let id = format!(
            "{}.{}@{}",
            self.written.key,
            &self.digest()[..16],
            domain(from.address)
        );
        draft.message_id = Some(id.clone());
        Ok((id, draft.message_from(from.address, from.name, false)?))
    }

    /// What makes one content differ from another, whomever it goes to.
    fn digest(&self) -> String {
        let written = &self.written;
        let texts = [&written.from, &written.subject, &written.text];
        digest(texts.into_iter().map(String::as_str), &self.files)
    }

    /// Saves it as a draft instead of what was saved before.
    pub(super) async fn keep(&mut self, user: &User, from: &Sender<'_>) -> Result<(), Error> {
        let message = self.as_draft(from)?;
        let folder = folder(user).await?;
        let mut flags = Flags::SEEN;
        flags.add(&Flags::DRAFT);
        user.local.add(&folder, message, flags).await?;
        self.forget(user).await?;
        self.drafts = drafts_of(user, &self.written.key).await?;
        Ok(())
    }

    /// Removes the drafts that this was kept as when it was read.
    pub(super) async fn forget(&mut self, user: &User) -> Result<(), Error> {
        for message in std::mem::take(&mut self.drafts) {
            // A draft, whatever a form names.
            if message.flags.contains(&Flags::DRAFT) || message.mailbox == folder(user).await? {
                user.local.delete(&message, true).await?;
            }
        }
        Ok(())
    }

    /// Removes all that it is kept as, for good or into the trash, also what became of it since it was read: a draft that
    /// waited here is another message once the server behind this one has it. Returns whether there was anything.
    pub(super) async fn clear(&mut self, user: &User, for_good: bool) -> Result<bool, Error> {
        let mut any = false;
        for _ in 0..PASSES {
            any |= !self.drafts.is_empty();
            if for_good {
                self.forget(user).await?;
            }
            for message in std::mem::take(&mut self.drafts) {
                user.local.delete(&message, false).await?;
            }
            self.drafts = drafts_of(user, &self.written.key).await?;
            if self.drafts.is_empty() {
                break;
            }
        }
        Ok(any)
    }
}

fn domain(address: &str) -> &str {
    address
        .rsplit_once('@')
        .map_or("localhost", |(_, domain)| domain)
}

/// Where drafts are.
async fn folder(user: &User) -> Result<String, Error> {
    let drafts = user.local.special("\\Drafts").await?;
    Ok(drafts.map_or_else(|| "Drafts".to_owned(), |folder| folder.name))
}

/// The name that a draft of ours has.
fn key_of(message: &Message) -> Option<String> {
    let id = message.envelope.message_id.as_deref()?;
    let id = std::str::from_utf8(id).ok()?.trim().strip_prefix('<')?;
    let (key, _) = id.strip_prefix(ID)?.split_once('@')?;
    is_key(key).then(|| key.to_owned())
}

/// The drafts of that name, the newest first.
async fn drafts_of(user: &User, key: &str) -> Result<Vec<Message>, Error> {
    let folder = folder(user).await?;
    let listed = match user.local.list(&folder, FOUND).await {
        // The first draft makes it.
        Err(Error::NotFound(_)) => Vec::new(),
        listed => listed?,
    };
    let is = |message: &Message| key_of(message).as_deref() == Some(key);
    Ok(listed.into_iter().filter(is).collect())
}

fn busy() -> Error {
    Error::Usage("the message took too long to read; try again".into())
}

/// What a draft of ours says was typed.
fn typed(whole: &[u8]) -> Option<Written> {
    let (_, value, _) =
        fields(whole).find(|(name, ..)| name.eq_ignore_ascii_case(FIELD.as_bytes()))?;
    let value: Vec<u8> = value
        .iter()
        .copied()
        .filter(|octet| !octet.is_ascii_whitespace())
        .collect();
    toml::from_slice(&STANDARD.decode(value).ok()?).ok()
}

/// The text as it was typed, with all that a reader would not be shown.
fn exact_text(whole: &[u8]) -> Option<String> {
    let structure = Structure::of(whole);
    let index = *show::shown_parts(&structure, false).first()?;
    let part = structure.get(index)?;
    part.content
        .is("text", "plain")
        .then(|| show::text_of(whole, part))
}
