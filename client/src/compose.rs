//! Writing messages: new ones, replies, and forwarded ones.

use bytes::Bytes;
use hikyaku_message::{Address, Envelope, decode_header};
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address as Written;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::MimePart;
use std::collections::BTreeSet;
use std::path::Path;

use crate::carried::carried;
use crate::recipient::name_of;
use crate::{Account, Error, Result, show};

pub use crate::recipient::{NotAnAddress, address_of, recipients, written};

/// A message being written. [`recipients`](Self::recipients) and [`message`](Self::message) return what
/// [`queue`](crate::queue) takes.
///
/// Addresses are kept as `local@domain` or `Name <local@domain>`; [`recipients`] reads what a person typed.
/// Message-IDs are without angle brackets.
///
/// ```
/// use hikyaku_client::compose::{Draft, recipients};
/// let draft = Draft {
///     to: recipients("Eva <eva@remote.test>, max@remote.test")?,
///     subject: "Saturday".into(),
///     text: "Shall we meet at ten?\n".into(),
///     ..Draft::default()
/// };
/// let message = draft.message_from("alice@example.org", Some("Alice"), false)?;
/// assert!(message.starts_with(b"From: \"Alice\" <alice@example.org>\r\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "programs write it out")]
pub struct Draft {
    /// The recipients of To, each as [`recipients`] returns it.
    pub to: Vec<String>,
    /// The recipients of Cc.
    pub cc: Vec<String>,
    /// The recipients of Bcc, whom the others do not see.
    pub bcc: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The text of the body.
    pub text: String,
    /// The Message-ID of the message that this one answers (In-Reply-To).
    pub in_reply_to: Option<String>,
    /// The Message-IDs of the thread, the oldest first (References).
    pub references: Vec<String>,
    /// File name, media type, octets.
    pub attachments: Vec<(String, String, Bytes)>,
    /// The message's own Message-ID; `None` gives it a new one each time it is written out.
    pub message_id: Option<String>,
}

fn header(all: &[String]) -> Written<'static> {
    let one = |text: &String| Written::new_address(name_of(text), address_of(text).to_owned());
    Written::new_list(all.iter().map(one).collect())
}

impl Draft {
    /// Returns the addresses of To, Cc and Bcc, each once: the forward-paths of the envelope.
    #[must_use]
    pub fn recipients(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let all = self.to.iter().chain(&self.cc).chain(&self.bcc);
        let all = all.map(|text| address_of(text).to_owned());
        all.filter(|address| seen.insert(address.to_lowercase()))
            .collect()
    }

    /// Reads a file and attaches it under its own name, with the media type that its extension suggests.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read.
    pub fn attach(&mut self, path: &Path) -> Result<()> {
        let octets =
            std::fs::read(path).map_err(|error| Error::File(path.display().to_string(), error))?;
        let name = path
            .file_name()
            .map_or_else(|| "file".into(), |name| name.to_string_lossy().into_owned());
        let kind = media_type(&name).to_owned();
        self.attachments.push((name, kind, octets.into()));
        Ok(())
    }

    /// Writes the message out, from the account's address and name.
    ///
    /// Bcc is left out of a message to be sent; `with_bcc` keeps it, for a draft that will be edited again.
    ///
    /// # Errors
    /// [`Error::Usage`] when the message cannot be written out.
    pub fn message(&self, account: &Account, with_bcc: bool) -> Result<Bytes> {
        self.message_from(&account.address, account.name.as_deref(), with_bcc)
    }

    /// Writes the message out, from `address` and `name`. Otherwise as [`message`](Self::message).
    ///
    /// # Errors
    /// [`Error::Usage`] when the message cannot be written out.
    pub fn message_from(&self, address: &str, name: Option<&str>, with_bcc: bool) -> Result<Bytes> {
        let from = Written::new_address(name.map(str::to_owned), address.to_owned());
        let (_, domain) = address.rsplit_once('@').unwrap_or(("", "localhost"));
        let id = self.message_id.clone();
        let id = id.unwrap_or_else(|| format!("{}@{domain}", unique()));
        let mut builder = MessageBuilder::new()
            .from(from)
            .message_id(id)
            .subject(self.subject.clone())
            .text_body(self.text.clone());
        if !self.to.is_empty() {
            builder = builder.to(header(&self.to));
        }
        if !self.cc.is_empty() {
            builder = builder.cc(header(&self.cc));
        }
        if with_bcc && !self.bcc.is_empty() {
            builder = builder.bcc(header(&self.bcc));
        }
        if let Some(id) = &self.in_reply_to {
            builder = builder.in_reply_to(id.clone());
        }
        if !self.references.is_empty() {
            builder = builder.references(self.references.clone());
        }
        let (mut parts, mut eight_bit) = (Vec::new(), false);
        for (name, kind, octets) in &self.attachments {
            let part = attached(name, kind, octets);
            eight_bit |= !octets.is_ascii() && is_message(kind);
            parts.push(part);
        }
        // RFC 2045 §6.4: what contains such a part says so, too.
        if eight_bit {
            builder = builder.header("Content-Transfer-Encoding", Raw::new("8bit"));
        }
        if !parts.is_empty() {
            builder.attachments = Some(parts);
        }
        let octets = builder
            .write_to_vec()
            .map_err(|error| Error::Usage(error.to_string()))?;
        Ok(octets.into())
    }

    /// Creates a reply to a message: to its author, or to all its recipients too.
    #[must_use]
    pub fn reply(envelope: &Envelope, text: &str, own: &str, all: bool) -> Self {
        let is_own = |address: &String| address_of(address).eq_ignore_ascii_case(own);
        let answer_to = match envelope.reply_to.is_empty() {
            true => &envelope.from,
            false => &envelope.reply_to,
        };
        let mut to = shown(answer_to);
        let mut cc = Vec::new();
        if all {
            cc = shown(&envelope.to)
                .into_iter()
                .chain(shown(&envelope.cc))
                .collect();
            let there: BTreeSet<_> = to
                .iter()
                .map(|one| address_of(one).to_lowercase())
                .collect();
            cc.retain(|one| !is_own(one) && !there.contains(&address_of(one).to_lowercase()));
        }
        // A reply to what we wrote ourselves goes to whom that went.
        if !to.is_empty() && to.iter().all(is_own) {
            to = shown(&envelope.to);
        }
        let who = envelope.from.first().map(show::person).unwrap_or_default();
        let when = envelope
            .date
            .as_deref()
            .map(decode_header)
            .unwrap_or_default();
        let quoted = quoted(text);
        Self {
            to,
            cc,
            subject: prefixed("Re:", &subject(envelope)),
            text: format!("\n\n{when}, {who}:\n\n{quoted}"),
            in_reply_to: message_id(envelope),
            references: thread(envelope),
            ..Self::default()
        }
    }

    /// Continues a draft: returns everything that was in it.
    #[must_use]
    pub fn again(envelope: &Envelope, text: String, whole: &[u8]) -> Self {
        let files = show::attachments(whole).into_iter();
        Self {
            to: shown(&envelope.to),
            cc: shown(&envelope.cc),
            bcc: shown(&envelope.bcc),
            subject: subject(envelope),
            text,
            in_reply_to: envelope
                .in_reply_to
                .as_deref()
                .and_then(|field| ids(field).pop()),
            references: ids(envelope.references.as_deref().unwrap_or(b"")),
            attachments: files
                .map(|file| {
                    (
                        file.name.clone(),
                        file.media_type.clone(),
                        file.octets(whole),
                    )
                })
                .collect(),
            message_id: None,
        }
    }

    /// Creates a message that forwards another one, whole, as an attachment.
    #[must_use]
    pub fn forward(envelope: &Envelope, whole: Bytes) -> Self {
        let subject_of = subject(envelope);
        let name = match subject_of.replace(['/', '\\'], "_").trim() {
            "" => "message.eml".to_owned(),
            name => format!("{}.eml", name.chars().take(60).collect::<String>()),
        };
        Self {
            subject: prefixed("Fwd:", &subject(envelope)),
            attachments: vec![(name, "message/rfc822".into(), whole)],
            ..Self::default()
        }
    }
}

fn is_message(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or("").trim();
    kind.eq_ignore_ascii_case("message/rfc822") || kind.eq_ignore_ascii_case("message/global")
}

/// A file. A message is one in which others can look; where no transport would carry it so, it is a file like others.
fn attached(name: &str, kind: &str, octets: &Bytes) -> MimePart<'static> {
    let name = name.to_owned();
    if !is_message(kind) {
        return MimePart::new(kind.to_owned(), octets.to_vec()).attachment(name);
    }
    match carried(octets) {
        Some(carried) => MimePart::new("message/rfc822", carried.octets)
            .attachment(name)
            .transfer_encoding(carried.encoding),
        None => MimePart::new("application/octet-stream", octets.to_vec()).attachment(name),
    }
}

/// Each line behind `> `, or `>` where it is quoted already or empty; without empty lines at the begin and the end.
fn quoted(text: &str) -> String {
    let mut all = String::with_capacity(text.len() + text.len() / 16);
    let text = text.trim_end().trim_start_matches(['\n', '\r']);
    for line in text.lines() {
        let mark = if line.is_empty() || line.starts_with('>') {
            ">"
        } else {
            "> "
        };
        all.extend([mark, line.trim_end(), "\n"]);
    }
    all
}

fn subject(envelope: &Envelope) -> String {
    decode_header(envelope.subject.as_deref().unwrap_or(b""))
}

fn prefixed(prefix: &str, subject: &str) -> String {
    match subject.get(..prefix.len()) {
        Some(head) if head.eq_ignore_ascii_case(prefix) => subject.to_owned(),
        _ => format!("{prefix} {subject}"),
    }
}

fn shown(addresses: &[Address]) -> Vec<String> {
    let whole = |address: &Address| {
        let spec = String::from_utf8_lossy(&address.addr_spec()?).into_owned();
        Some(match &address.name {
            Some(name) => written(Some(&decode_header(name)), &spec),
            None => spec,
        })
    };
    addresses.iter().filter_map(whole).collect()
}

/// Message IDs without their angle brackets; some are written without.
fn ids(field: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(field);
    let clean = |id: &str| -> String {
        let keep = |c: &char| !c.is_control() && !c.is_whitespace() && !matches!(c, '<' | '>');
        id.chars().filter(keep).collect()
    };
    let all: Vec<String> = match text.contains('<') {
        true => {
            let inner = text.split('<').skip(1);
            inner
                .filter_map(|rest| Some(clean(rest.split_once('>')?.0)))
                .collect()
        }
        false => {
            let words = text.split(|c: char| c.is_whitespace() || c == ',');
            words.filter(|word| word.contains('@')).map(clean).collect()
        }
    };
    all.into_iter().filter(|id| !id.is_empty()).collect()
}

/// The message's own ID, even where it is none that RFC 5322 would have.
fn message_id(envelope: &Envelope) -> Option<String> {
    let field = envelope.message_id.as_deref()?;
    let whole = || {
        String::from_utf8_lossy(field)
            .split_whitespace()
            .collect::<String>()
    };
    ids(field)
        .pop()
        .or_else(|| Some(whole()))
        .filter(|id| !id.is_empty())
}

/// RFC 5322 §3.6.4: what the parent refers to, and the parent.
fn thread(envelope: &Envelope) -> Vec<String> {
    let mut all = ids(envelope.references.as_deref().unwrap_or(b""));
    if all.is_empty() {
        all = ids(envelope.in_reply_to.as_deref().unwrap_or(b""));
    }
    all.extend(message_id(envelope));
    all
}

/// A word that no other message has.
fn unique() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let now = std::time::SystemTime::now();
    let half = || RandomState::new().hash_one(now);
    format!("{:016x}{:016x}", half(), half())
}

/// The media type of a file name, as its end says.
fn media_type(name: &str) -> &'static str {
    let end = name.rsplit('.').next().unwrap_or("").to_ascii_lowercase();
    match end.as_str() {
        "txt" | "log" | "md" => "text/plain",
        "htm" | "html" => "text/html",
        "csv" => "text/csv",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "webp" => "image/webp",
        "json" => "application/json",
        "zip" => "application/zip",
        "ics" => "text/calendar",
        "eml" => "message/rfc822",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_message::Structure;

    fn envelope(text: &str) -> Envelope {
        *Structure::of(text.replace('\n', "\r\n").as_bytes())
            .root()
            .envelope
            .clone()
            .unwrap()
    }

    #[test]
    fn a_reply_goes_to_the_right_people() {
        let envelope = envelope(
            "From: =?utf-8?q?Jos=C3=A9?= <jose@a.test>\nTo: me@a.test, Other <other@b.test>\nCc: JOSE@a.test, third@c.test\n\
             Subject: tea\nMessage-ID: <2@a>\nReferences: <0@a> <1@a>\n\n",
        );
        let one = Draft::reply(&envelope, "hot\nor cold", "ME@a.test", false);
        assert_eq!(
            (one.to.as_slice(), one.cc.len()),
            (&["José <jose@a.test>".to_owned()][..], 0)
        );
        assert_eq!(
            (one.subject.as_str(), one.references.join(" ").as_str()),
            ("Re: tea", "0@a 1@a 2@a")
        );
        assert!(one.text.ends_with("> hot\n> or cold\n"));
        let all = Draft::reply(&envelope, "", "me@a.test", true);
        assert_eq!(all.cc, ["Other <other@b.test>", "third@c.test"]);
        assert_eq!(
            all.recipients(),
            ["jose@a.test", "other@b.test", "third@c.test"]
        );
    }

    #[test]
    fn who_has_no_domain_is_in_no_answer() {
        for (from, to) in [
            (
                "support@shop.test <support@shop.test>",
                &["support@shop.test"][..],
            ),
            (
                "HowlRound: A Center <w@b.test>",
                &["\"HowlRound: A Center\" <w@b.test>"],
            ),
            (
                "\"Muster, Max\" <max@b.test>",
                &["\"Muster, Max\" <max@b.test>"],
            ),
            (
                "Muster, Max <max@b.test>",
                &["\"Muster, Max\" <max@b.test>"],
            ),
            ("lonely, max@b.test", &["max@b.test"]),
            (
                "=?utf-8?q?Eve=0D=0ABcc=3A_x=40y.test?= <eve@b.test>",
                &["\"Eve Bcc: x@y.test\" <eve@b.test>"],
            ),
            ("undisclosed-recipients:;", &[]),
        ] {
            let envelope = envelope(&format!("From: {from}\nTo: me@a.test\nSubject: x\n\n"));
            let reply = Draft::reply(&envelope, "", "me@a.test", true);
            assert_eq!(reply.to, to, "{from}");
            let typed = reply.to.join(", ");
            assert_eq!(recipients(&typed).unwrap(), to, "{from}");
        }
    }

    #[test]
    fn an_answer_names_what_it_answers() {
        for (id, expected) in [
            ("<a@b.test>", "a@b.test"),
            (
                "1588999900449-1041#7@remote.lan",
                "1588999900449-1041#7@remote.lan",
            ),
            (" <no-domain> ", "no-domain"),
            ("no-domain", "no-domain"),
            ("<a@b.test> (comment)", "a@b.test"),
        ] {
            let envelope = envelope(&format!(
                "From: a@b.test\nMessage-ID: {id}\nReferences: x@y.test z@y.test\n\n"
            ));
            let reply = Draft::reply(&envelope, "", "me@a.test", false);
            assert_eq!(reply.in_reply_to.as_deref(), Some(expected), "{id}");
            assert_eq!(reply.references, ["x@y.test", "z@y.test", expected], "{id}");
        }
    }

    #[test]
    fn a_quote_has_an_empty_line_before_it() {
        assert_eq!(
            quoted("\n\nhot\n> cold\n\nend \n\n"),
            "> hot\n>> cold\n>\n> end\n"
        );
        let envelope = envelope("From: a@b.test\nDate: Tue, 10 Mar 2026 09:00:00 +0000\n\n");
        let reply = Draft::reply(&envelope, "hot", "me@a.test", false);
        assert_eq!(
            reply.text,
            "\n\nTue, 10 Mar 2026 09:00:00 +0000, a@b.test:\n\n> hot\n"
        );
    }

    #[test]
    fn what_is_passed_on_can_be_looked_into() {
        let long = "x".repeat(2000);
        for (inner, subject, text) in [
            ("Subject: in\r\n\r\nwords\r\n".to_owned(), "in", "words\n"),
            ("Subject: in\n\nbare\n".into(), "in", "bare\n"),
            (
                "Subject: \u{e4}\r\n\r\nGr\u{fc}\u{df}e\r\n".into(),
                "ä",
                "Grüße\n",
            ),
            (format!("Subject: in\r\n\r\n{long}"), "in", &long),
            (
                "Subject: in\r\nContent-Transfer-Encoding: base64\r\n\r\nd29yZHM=\r\n".into(),
                "in",
                "words",
            ),
        ] {
            let envelope = envelope("From: a@b.test\nSubject: a/b\n\n");
            let mut draft = Draft::forward(&envelope, inner.into());
            draft.to = vec!["c@d.test".into()];
            let message = draft.message_from("me@a.test", None, false).unwrap();
            let structure = Structure::of(&message);
            let types: Vec<_> = structure
                .parts()
                .iter()
                .map(|part| part.content.subtype.as_slice())
                .collect();
            assert_eq!(types, [&b"mixed"[..], b"plain", b"rfc822", b"plain"]);
            let within = structure.get(3).unwrap();
            let envelope = within.envelope.as_deref().unwrap();
            assert_eq!(decode_header(envelope.subject.as_deref().unwrap()), subject);
            assert_eq!(within.text(&message), text);
            assert!(
                message
                    .split(|octet| *octet == b'\n')
                    .all(|line| line.len() < 1000)
            );
            let [file] = &show::attachments(&message)[..] else {
                panic!()
            };
            assert_eq!(file.name, "a_b.eml");
            assert!(file.octets(&message).starts_with(b"Subject: "));
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let server = || crate::Server {
            host: "a".into(),
            port: 1,
            security: crate::Security::Tls,
        };
        let password = crate::Password::Keyring;
        let mut account =
            Account::new("me@a.test", crate::Kind::Imap, server(), server(), password);
        account.name = Some("飛脚".into());
        let mut draft = Draft {
            to: vec!["日本 <x@b.test>".into()],
            bcc: vec!["secret@b.test".into()],
            subject: "お茶".into(),
            text: "熱い\n.\n".into(),
            ..Draft::default()
        };
        draft.attachments.push((
            "図.png".into(),
            "image/png".into(),
            Bytes::from_static(b"\x89PNG"),
        ));
        let message = draft.message(&account, false).unwrap();
        let structure = Structure::of(&message);
        let envelope = structure.root().envelope.clone().unwrap();
        assert_eq!(decode_header(envelope.subject.as_deref().unwrap()), "お茶");
        assert!(!String::from_utf8_lossy(&message).contains("secret@"));
        assert_eq!(show::text(&message), "熱い\n.\n");
        let [file] = &show::attachments(&message)[..] else {
            panic!()
        };
        assert_eq!(
            (file.name.as_str(), &file.octets(&message)[..]),
            ("図.png", &b"\x89PNG"[..])
        );
        assert!(
            message
                .windows(2)
                .filter(|two| two[1] == b'\n')
                .all(|two| two[0] == b'\r')
        );
    }
}
