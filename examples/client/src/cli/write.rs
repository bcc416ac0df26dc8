//! Writing mail. Recipients and files are looked at before anything is written, and what somebody wrote in an
//! editor stays in its file until it is in the outbox or among the drafts.

use clap::Args;
use hikyaku_mailstore::Flags;
use hikyaku_message::{Envelope, Structure, decode_header};
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::arguments::{Compose, Text};
use super::context::Context;
use super::mail;
use hikyaku_client::compose::{Draft, recipients};
use hikyaku_client::{Account, Error, Local, Message, Result, queue, show};

/// What becomes of a message that was written before.
#[derive(Debug, Args)]
pub(super) struct Changes {
    /// A recipient, instead of those named before; may be given several times.
    #[arg(long, value_name = "ADDRESS")]
    to: Vec<String>,
    /// A recipient of a copy, instead of those named before.
    #[arg(long, value_name = "ADDRESS")]
    cc: Vec<String>,
    /// A recipient of a copy whom the others do not see, instead of those named before.
    #[arg(long, value_name = "ADDRESS")]
    bcc: Vec<String>,
    /// The subject.
    #[arg(long)]
    subject: Option<String>,
    #[command(flatten)]
    text: Text,
}

impl Changes {
    pub(super) fn names_recipients(&self) -> bool {
        !(self.to.is_empty() && self.cc.is_empty() && self.bcc.is_empty())
    }

    /// Whether anything is given, so that no editor is wanted for it.
    fn is_given(&self) -> bool {
        let text = &self.text;
        self.names_recipients()
            || self.subject.is_some()
            || text.text.is_some()
            || !text.attach.is_empty()
    }
}

/// A message as it was written, and the file it was written in.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) draft: Draft,
    pub(super) text: Typed,
}

/// Where the text was typed, when that was an editor.
#[derive(Debug)]
pub(super) struct Typed(Option<PathBuf>);

impl Typed {
    /// Removes the file when all went well; else says where it is.
    pub(super) fn kept_unless<T>(self, done: Result<T>) -> Result<T> {
        let Some(path) = self.0 else { return done };
        match done {
            Ok(done) => {
                let _ = std::fs::remove_file(path);
                Ok(done)
            }
            Err(error) => Err(Error::Usage(format!(
                "{error}; nothing was sent, the text is kept in {}",
                path.display()
            ))),
        }
    }
}

/// The subject of a message, decoded.
pub(super) fn subject(envelope: &Envelope) -> String {
    decode_header(envelope.subject.as_deref().unwrap_or(b""))
}

/// The recipients of an option, each one an address.
fn addressed(option: &str, given: &[String]) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for text in given {
        let read = recipients(text).map_err(|error| {
            Error::Usage(format!("{option}: {error}: write it as name@example.org"))
        })?;
        if read.is_empty() {
            return Err(Error::Usage(format!("{option}: the address is missing")));
        }
        all.extend(read);
    }
    Ok(all)
}

pub(super) async fn compose(context: &mut Context<'_>, compose: Compose) -> Result<()> {
    let draft = Draft {
        to: addressed("--to", &compose.to)?,
        cc: addressed("--cc", &compose.cc)?,
        bcc: addressed("--bcc", &compose.bcc)?,
        subject: compose.subject,
        ..Draft::default()
    };
    let account = context.account()?;
    finish(context, &account, draft, compose.text).await
}

pub(super) async fn reply(
    context: &mut Context<'_>,
    name: &str,
    all: bool,
    text: Text,
) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    let message = local.find(name).await?;
    let octets = mail::whole(&local, &account, &message).await?;
    drop(local);
    let mut draft = Draft::reply(
        &message.envelope,
        &show::text(&octets),
        &account.address,
        all,
    );
    // A stranger's field may name what is none.
    let mut left_out = Vec::new();
    for people in [&mut draft.to, &mut draft.cc] {
        people.retain(|one| {
            let is = recipients(one).is_ok_and(|read| !read.is_empty());
            if !is {
                left_out.push(one.clone());
            }
            is
        });
    }
    if draft.to.is_empty() && draft.cc.is_empty() {
        return Err(Error::Usage(format!(
            "{name} has no address to reply to: `mailclient compose --to ADDRESS` writes to somebody else"
        )));
    }
    for one in left_out {
        context.say(format_args!(
            "left out, because it is not an e-mail address: {one}"
        ))?;
    }
    finish(context, &account, draft, text).await?;
    let local = context.local(&account).await?;
    local.mark(&message, &Flags::ANSWERED, &Flags::NONE).await
}

pub(super) async fn forward(
    context: &mut Context<'_>,
    name: &str,
    to: Vec<String>,
    text: Text,
) -> Result<()> {
    let to = addressed("--to", &to)?;
    let account = context.account()?;
    let local = context.local(&account).await?;
    let message = local.find(name).await?;
    let octets = mail::whole(&local, &account, &message).await?;
    drop(local);
    let draft = Draft {
        to,
        ..Draft::forward(&message.envelope, octets)
    };
    finish(context, &account, draft, text).await
}

/// A draft that is here, and what is in it.
async fn draft_named(
    context: &Context<'_>,
    account: &Account,
    name: &str,
) -> Result<(Message, Draft)> {
    let local = context.local(account).await?;
    let message = local.find(name).await?;
    if message.mailbox != drafts(&local).await? && !message.flags.contains(&Flags::DRAFT) {
        return Err(Error::Usage(format!(
            "{name} is not a draft: `mailclient reply {name}` replies to it, `mailclient forward {name} --to ADDRESS` forwards it"
        )));
    }
    let octets = mail::whole(&local, account, &message).await?;
    // Bcc is not among the fields of a list.
    let structure = Structure::of(&octets);
    let envelope = structure.root().envelope.as_deref().cloned();
    let draft = Draft::again(&envelope.unwrap_or_default(), show::text(&octets), &octets);
    Ok((message, draft))
}

/// Continues a draft: into the outbox, or among the drafts again.
pub(super) async fn edit(context: &mut Context<'_>, name: &str, changes: Changes) -> Result<()> {
    let account = context.account()?;
    let (message, draft) = draft_named(context, &account, name).await?;
    let as_draft = changes.text.draft;
    let Some(written) = changed(context, draft, changes)? else {
        return Err(Error::Usage(format!(
            "nothing was changed, so nothing was sent: `mailclient send {name}` sends the draft as it is"
        )));
    };
    store(context, &account, written, as_draft).await?;
    let local = context.local(&account).await?;
    local.delete(&message, true).await
}

/// Puts a draft into the outbox as it is. Returns its number there.
pub(super) async fn queue_draft(context: &mut Context<'_>, name: &str) -> Result<u64> {
    let account = context.account()?;
    let (message, draft) = draft_named(context, &account, name).await?;
    let local = context.local(&account).await?;
    let octets = draft.message(&account, false)?;
    let number = queue(&local, &account.address, draft.recipients(), octets).await?;
    local.delete(&message, true).await?;
    Ok(number)
}

/// A message with what was changed in it; `None` when nothing was.
pub(super) fn changed(
    context: &Context<'_>,
    mut draft: Draft,
    changes: Changes,
) -> Result<Option<Written>> {
    let is_given = changes.is_given();
    for (all, option, given) in [
        (&mut draft.to, "--to", &changes.to),
        (&mut draft.cc, "--cc", &changes.cc),
        (&mut draft.bcc, "--bcc", &changes.bcc),
    ] {
        if !given.is_empty() {
            *all = addressed(option, given)?;
        }
    }
    if let Some(subject) = changes.subject {
        draft.subject = subject;
    }
    for path in &changes.text.attach {
        draft.attach(path)?;
    }
    if let Some(text) = changes.text.text {
        draft.text = text;
    }
    if is_given && !changes.text.edit {
        let text = Typed(None);
        return Ok(Some(Written { draft, text }));
    }
    if !changes.text.edit && !std::io::stdin().is_terminal() {
        let why =
            "nothing to change: give --to, --cc, --bcc, --subject, --text, --attach or --edit";
        return Err(Error::Usage(why.into()));
    }
    let (text, path) = edited(&draft.text, &editor(), &context.folder)?;
    if is_unchanged(&draft.text, &text) {
        let _ = std::fs::remove_file(path);
        draft.text = text;
        let text = Typed(None);
        return Ok(is_given.then_some(Written { draft, text }));
    }
    draft.text = text;
    let text = Typed(Some(path));
    Ok(Some(Written { draft, text }))
}

async fn finish(
    context: &mut Context<'_>,
    account: &Account,
    mut draft: Draft,
    text: Text,
) -> Result<()> {
    if !text.draft && draft.recipients().is_empty() {
        let why = "no recipient: give --to ADDRESS, or --draft to save a draft";
        return Err(Error::Usage(why.into()));
    }
    for path in &text.attach {
        draft.attach(path)?;
    }
    let edit = text.edit || (text.text.is_none() && std::io::stdin().is_terminal());
    let typed = match text.text {
        Some(typed) => typed,
        None if edit => String::new(),
        None => {
            let mut typed = String::new();
            let read = std::io::stdin().read_to_string(&mut typed);
            read.map_err(|error| Error::File("standard input".into(), error))?;
            typed
        }
    };
    draft.text = above(&typed, &draft.text);
    let mut place = Typed(None);
    if edit {
        let (edited, path) = edited(&draft.text, &editor(), &context.folder)?;
        if is_unchanged(&draft.text, &edited) {
            let _ = std::fs::remove_file(path);
            let why = "nothing was changed in the editor, so nothing was sent: --text '' sends the message without a text";
            return Err(Error::Usage(why.into()));
        }
        draft.text = edited;
        place = Typed(Some(path));
    }
    let written = Written { draft, text: place };
    store(context, account, written, text.draft).await
}

/// A text above what it answers, with an empty line between them.
fn above(typed: &str, quoted: &str) -> String {
    match quoted.trim_start_matches('\n') {
        "" => typed.to_owned(),
        _ if typed.trim().is_empty() => quoted.to_owned(),
        quote => format!("{}\n\n{quote}", typed.trim_end()),
    }
}

/// Puts a message into the outbox, or among the drafts.
async fn store(
    context: &mut Context<'_>,
    account: &Account,
    written: Written,
    as_draft: bool,
) -> Result<()> {
    let stored = stored(context, account, &written.draft, as_draft).await;
    let said = written.text.kept_unless(stored)?;
    context.say(said)
}

async fn stored(
    context: &Context<'_>,
    account: &Account,
    draft: &Draft,
    as_draft: bool,
) -> Result<String> {
    let local = context.local(account).await?;
    if as_draft {
        let drafts = drafts(&local).await?;
        let mut flags = Flags::SEEN;
        flags.add(&Flags::DRAFT);
        let message = draft.message(account, true)?;
        local.add(&drafts, message, flags).await?;
        return Ok(format!("saved to {drafts}"));
    }
    let message = draft.message(account, false)?;
    queue(&local, &account.address, draft.recipients(), message).await?;
    Ok("in the outbox; `mailclient send` sends it".into())
}

async fn drafts(local: &Local) -> Result<String> {
    let special = local.special("\\Drafts").await?;
    Ok(special.map_or_else(|| "Drafts".into(), |folder| folder.name))
}

fn editor() -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let editor = named("VISUAL").or_else(|| named("EDITOR"));
    editor.unwrap_or_else(|| "vi".into())
}

/// Whether somebody left the editor as they came: a line end at the end is put there by editors.
fn is_unchanged(before: &str, after: &str) -> bool {
    before.trim_end() == after.replace("\r\n", "\n").trim_end()
}

/// The text from the person's editor, and the file that it is in.
fn edited(text: &str, editor: &str, folder: &Path) -> Result<(String, PathBuf)> {
    let wrong = |error: std::io::Error| Error::File("a file for the editor".into(), error);
    let mut file = tempfile::Builder::new()
        .prefix("unsent-")
        .suffix(".txt")
        .tempfile_in(folder)
        .map_err(wrong)?;
    file.write_all(text.as_bytes()).map_err(wrong)?;
    let kept = file.into_temp_path().keep();
    let path = kept.map_err(|error| wrong(error.error))?;
    let status = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("sh")
        .arg(&path)
        .status();
    let unsent = |why: String| {
        Error::Usage(format!(
            "{why}: nothing was sent, the text is kept in {}",
            path.display()
        ))
    };
    let status =
        status.map_err(|error| unsent(format!("the editor could not be started ({error})")))?;
    if !status.success() {
        return Err(unsent(format!(
            "the editor `{editor}` failed ({status}); set $VISUAL or $EDITOR to use another"
        )));
    }
    let text = std::fs::read_to_string(&path);
    let text = text.map_err(|error| unsent(format!("the text cannot be read ({error})")))?;
    Ok((text, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_editor_that_changes_nothing_or_fails_sends_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let edit = |text: &str, editor: &str| edited(text, editor, folder.path());
        for (editor, changes) in [
            ("true", false),
            ("sh -c 'echo >> \"$0\"'", false),
            ("sh -c 'echo more >> \"$0\"'", true),
            ("sh -c ': > \"$0\"'", true),
        ] {
            let (text, path) = edit("\n> quoted\n", editor).unwrap();
            assert_eq!(!is_unchanged("\n> quoted\n", &text), changes, "{editor}");
            Typed(Some(path.clone())).kept_unless(Ok(())).unwrap();
            assert!(!path.exists());
        }
        for editor in [
            "false",
            "sh -c 'echo more >> \"$0\"; exit 3'",
            "/no/such/editor",
            "kill -9 $$;",
        ] {
            let error = edit("precious", editor).unwrap_err().to_string();
            let (_, path) = error.split_once("kept in ").unwrap();
            assert!(
                std::fs::read_to_string(path)
                    .unwrap()
                    .starts_with("precious"),
                "{error}"
            );
        }
        let error = edit("precious", "sh -c 'printf \"\\377\" > \"$0\"'")
            .unwrap_err()
            .to_string();
        let (_, path) = error.split_once("kept in ").unwrap();
        assert_eq!(std::fs::read(path).unwrap(), b"\xff");
        // What cannot be put into the outbox is kept too.
        let (_, path) = edit("x", "sh -c 'echo precious > \"$0\"'").unwrap();
        let failed = Typed(Some(path.clone())).kept_unless::<()>(Err(Error::Usage("full".into())));
        assert!(
            failed
                .unwrap_err()
                .to_string()
                .contains(&path.display().to_string())
        );
        assert_eq!(std::fs::read_to_string(path).unwrap(), "precious\n");
    }

    #[test]
    fn an_empty_line_stands_before_a_quote() {
        for (typed, quoted, all) in [
            ("yes", "\nBob:\n> tea?\n", "yes\n\nBob:\n> tea?\n"),
            ("yes\n", "\nBob:\n> tea?\n", "yes\n\nBob:\n> tea?\n"),
            ("yes\n\n\n", "Bob:\n> tea?\n", "yes\n\nBob:\n> tea?\n"),
            ("", "\nBob:\n> tea?\n", "\nBob:\n> tea?\n"),
            ("a\n", "", "a\n"),
        ] {
            assert_eq!(above(typed, quoted), all);
        }
    }

    #[test]
    fn what_cannot_be_an_address_is_refused() {
        for wrong in [
            "eva",
            "eva@",
            "@x.test",
            "a b@x.test",
            "max@x.test, eva",
            "",
            " , ",
        ] {
            let error = addressed("--cc", &["good@x.test".into(), wrong.into()]).unwrap_err();
            assert!(error.to_string().starts_with("--cc: "), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
        let good = addressed("--to", &["Max <max@x.test>, eva@x.test".into()]).unwrap();
        assert_eq!(good, ["Max <max@x.test>", "eva@x.test"]);
    }
}
