//! Sending: who has it already is not sent to again, and what became of an attempt is known to the next.

use bytes::Bytes;
use hikyaku_client::compose::address_of;
use hikyaku_client::{Error, Fate};
use hikyaku_mailstore::Flags;
use std::collections::BTreeSet;
use std::time::Duration;

use super::attempt::Attempt;
use super::draft::Writing;
use super::notes::Notes;
use super::recipients;
use super::senders::{sender, sender_of};
use crate::outside::{self, Guarded};
use crate::words::Words;
use crate::{Shared, User};

/// So many of the newest among what was sent are looked through for copies.
const RECENT: usize = 64;
/// How long handing on a message may take; after that it is not known what became of it.
const PATIENCE: Duration = Duration::from_secs(300);

/// What came of it.
pub(super) enum Sending {
    /// Everybody has it. Whether a copy is kept.
    Sent(bool),
    /// Not everybody has it, or nobody.
    Form(Notes),
}

/// Recipients, read; each to be sent to once.
struct Typed {
    to: Vec<String>,
    cc: Vec<String>,
    bcc: Vec<String>,
}

impl Typed {
    /// # Errors
    /// What is no address, and in which field.
    fn read(writing: &Writing) -> Result<Self, (&'static str, String)> {
        let written = &writing.written;
        let field = |name, text| recipients::all(text).map_err(|bad| (name, bad.text));
        Ok(Self {
            to: field("to", &written.to)?,
            cc: field("cc", &written.cc)?,
            bcc: field("bcc", &written.bcc)?,
        })
    }

    fn fields(&mut self) -> [&mut Vec<String>; 3] {
        [&mut self.to, &mut self.cc, &mut self.bcc]
    }

    /// Keeps those of whom that is so; returns the others, by their fields.
    fn keep(&mut self, stays: impl Fn(&str) -> bool) -> [Vec<String>; 3] {
        self.fields().map(|field| {
            let all = std::mem::take(field);
            let (stay, go): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|one| stays(address_of(one)));
            *field = stay;
            go
        })
    }

    fn addresses(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let all = self.to.iter().chain(&self.cc).chain(&self.bcc);
        let all = all.map(|one| address_of(one).to_owned());
        all.filter(|one| seen.insert(one.to_lowercase())).collect()
    }

    /// Puts them into the form.
    fn write(&self, writing: &mut Writing) {
        let written = &mut writing.written;
        written.to = self.to.join(", ");
        written.cc = self.cc.join(", ");
        written.bcc = self.bcc.join(", ");
    }
}

/// Sends what is written to those who do not have it.
pub(super) async fn send(
    shared: &Shared,
    user: &User,
    w: &'static Words,
    writing: &mut Writing,
    digest: String,
) -> Result<Sending, Error> {
    let key = writing.written.key.clone();
    let mut attempt = Attempt::of(user, &key).await?;
    let mut typed = match Typed::read(writing) {
        Ok(typed) => typed,
        Err((bad, text)) => {
            let problem = format!("{} {text}", w.no_address);
            return Ok(Sending::Form(Notes {
                bad,
                ..Notes::problem(problem)
            }));
        }
    };
    if attempt.is_after(&writing.written) {
        // A second click on what failed, or a form from before that.
        typed.keep(|address| !attempt.has(address));
        typed.write(writing);
        let mut notes = Notes {
            problems: attempt.said.clone(),
            ..Notes::default()
        };
        if !attempt.is_of(&digest) || notes.problems.is_empty() {
            notes.problems.push(w.tried_before.into());
        }
        return Ok(Sending::Form(notes));
    }
    typed.keep(|address| !attempt.has(address));
    let addresses = typed.addresses();
    if addresses.is_empty() {
        let nobody = attempt.to.is_empty() && attempt.cc.is_empty() && attempt.bcc.is_empty();
        return Ok(Sending::Form(Notes {
            bad: "to",
            ..Notes::problem(if nobody {
                w.no_recipient
            } else {
                w.all_have_it
            })
        }));
    }
    // Who has it stays named in it, for those who answer to all.
    let named = |known: &[String], new: &[String]| [known, new].concat();
    let elsewhere = sender(user, &writing.written.from).await?;
    let from = sender_of(user, elsewhere.as_ref());
    let (id, message) = writing.as_message(
        &from,
        named(&attempt.to, &typed.to),
        named(&attempt.cc, &typed.cc),
    )?;
    // If this server stops before the end, that is what is known.
    attempt.number += 1;
    attempt.digest = digest;
    attempt.said.clear();
    attempt.unknown.clone_from(&addresses);
    attempt.keep(user, &key).await?;
    let sending = async {
        match &elsewhere {
            Some(one) => {
                let dial = Guarded::new(&shared.options.outside).to(one);
                outside::send(&dial, one, addresses.clone(), message.clone()).await
            }
            None => {
                let (to, message) = (addresses.clone(), message.clone());
                user.post.send(user, to, message).await
            }
        }
    };
    let fates = match tokio::time::timeout(PATIENCE, sending).await {
        Ok(fates) => fates,
        Err(_) => Ok(addresses
            .iter()
            .map(|one| (one.clone(), Fate::Unknown(w.no_answer.into())))
            .collect()),
    };
    let mut notes = Notes::default();
    let fates = fates.unwrap_or_else(|error| {
        notes.problems.push(match &error {
            Error::Network(_) | Error::Tls { .. } | Error::Untrusted { .. } => {
                w.unreachable.to_owned()
            }
            other => format!("{} {other}", w.failed),
        });
        Vec::new()
    });
    let of = |address: &str| {
        let mut fates = fates.iter();
        let found = fates.find(|(to, _)| to.eq_ignore_ascii_case(address));
        found.map(|(_, fate)| fate)
    };
    let [to, cc, bcc] = typed.keep(|address| of(address) != Some(&Fate::Accepted));
    let somebody = [&to, &cc, &bcc].iter().any(|field| !field.is_empty());
    attempt.to.extend(to);
    attempt.cc.extend(cc);
    attempt.bcc.extend(bcc);
    let is_unknown = |address: &String| matches!(of(address), Some(Fate::Unknown(_)));
    attempt.unknown.retain(is_unknown);
    let left = typed.addresses();
    attempt.finished = left.is_empty();
    explain(w, &left, of, &mut notes);
    attempt.said.clone_from(&notes.problems);
    // What was done is done, also when that cannot be written down.
    let _ = attempt.keep(user, &key).await;
    let copied = match somebody {
        true => {
            mark(user, writing).await;
            copy(user, &id, message).await.is_ok()
        }
        false => true,
    };
    if left.is_empty() {
        return Ok(Sending::Sent(copied));
    }
    typed.write(writing);
    if !copied {
        notes.problems.push(w.no_copy.into());
    }
    Ok(Sending::Form(notes))
}

/// Why those do not have it.
fn explain<'a>(
    w: &'static Words,
    left: &[String],
    of: impl Fn(&str) -> Option<&'a Fate>,
    notes: &mut Notes,
) {
    let (mut refused, mut deferred) = (Vec::new(), Vec::new());
    for address in left {
        match of(address) {
            Some(Fate::Refused(why)) => refused.push(format!("{address}: {why}")),
            Some(Fate::Deferred(why)) => deferred.push(format!("{address}: {why}")),
            // Said with what else is known of the attempt.
            Some(Fate::Unknown(_)) => {}
            Some(Fate::Accepted) | None => refused.push(address.clone()),
        }
    }
    for (words, which) in [(w.not_now, deferred), (w.not_sent, refused)] {
        if !which.is_empty() {
            notes
                .problems
                .insert(0, format!("{words} {}", which.join("; ")));
        }
    }
}

/// Marks what it answers, or passes on. It may be gone by now, or be another one.
async fn mark(user: &User, writing: &Writing) {
    let written = &writing.written;
    let mut forwarded = Flags::NONE;
    let _ = forwarded.add_keyword("$Forwarded");
    for (name, flag) in [
        (&written.reply, Flags::ANSWERED),
        (&written.forward, forwarded),
    ] {
        if !name.is_empty()
            && let Ok(message) = user.local.find(name).await
        {
            let _ = user.local.mark(&message, &flag, &Flags::NONE).await;
        }
    }
}

/// Keeps a copy among what was sent: one, of which the last names all whom it went to.
async fn copy(user: &User, id: &str, message: Bytes) -> Result<(), Error> {
    let sent = user.local.special("\\Sent").await?;
    let sent = sent.map_or_else(|| "Sent".to_owned(), |folder| folder.name);
    let before = match user.local.list(&sent, RECENT).await {
        Err(Error::NotFound(_)) => Vec::new(),
        before => before?,
    };
    user.local.add(&sent, message, Flags::SEEN).await?;
    let id = format!("<{id}>");
    for one in before {
        if one.envelope.message_id.as_deref() == Some(id.as_bytes()) {
            user.local.delete(&one, true).await?;
        }
    }
    Ok(())
}
