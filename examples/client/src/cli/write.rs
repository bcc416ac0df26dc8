//! Writing mail.

use mailstore::Flags;
use serde_json::json;
use std::io::{IsTerminal as _, Read as _};

use super::{Compose, Context, Text, mail};
use crate::compose::Draft;
use crate::{Account, Error, Local, Result, queue, queued, show};

pub(super) async fn compose(context: &mut Context<'_>, compose: Compose) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    let draft = Draft {
        to: compose.to,
        cc: compose.cc,
        bcc: compose.bcc,
        subject: compose.subject,
        ..Draft::default()
    };
    finish(context, &local, &account, draft, compose.text).await
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
    let draft = Draft::reply(
        &message.envelope,
        &show::text(&octets),
        &account.address,
        all,
    );
    finish(context, &local, &account, draft, text).await?;
    local.mark(&message, &Flags::ANSWERED, &Flags::NONE).await
}

pub(super) async fn forward(
    context: &mut Context<'_>,
    name: &str,
    to: Vec<String>,
    text: Text,
) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    let message = local.find(name).await?;
    let octets = mail::whole(&local, &account, &message).await?;
    let draft = Draft {
        to,
        ..Draft::forward(&message.envelope, octets)
    };
    finish(context, &local, &account, draft, text).await
}

async fn finish(
    context: &mut Context<'_>,
    local: &Local,
    account: &Account,
    mut draft: Draft,
    text: Text,
) -> Result<()> {
    let quoted = std::mem::take(&mut draft.text);
    draft.text = match text.text {
        Some(text) => text + &quoted,
        None if std::io::stdin().is_terminal() => edited(&quoted)?,
        None => {
            let mut typed = String::new();
            let read = std::io::stdin().read_to_string(&mut typed);
            read.map_err(|error| Error::File("standard input".into(), error))?;
            typed + &quoted
        }
    };
    for path in &text.attach {
        draft.attach(path)?;
    }
    if text.draft {
        let drafts = local
            .special("\\Drafts")
            .await?
            .map_or_else(|| "Drafts".into(), |folder| folder.name);
        let mut flags = Flags::SEEN;
        flags.add(&Flags::DRAFT);
        local
            .add(&drafts, draft.message(account, true)?, flags)
            .await?;
        return context.say(format_args!("kept in {drafts}"));
    }
    let message = draft.message(account, false)?;
    queue(local, &account.address, draft.recipients(), message).await?;
    context.say("in the outbox; `mailclient send` sends it")
}

/// The text, from the person's editor.
fn edited(text: &str) -> Result<String> {
    let wrong = |error| Error::File("the editor".into(), error);
    let editor = std::env::var("VISUAL")
        .or_else(|_| std::env::var("EDITOR"))
        .unwrap_or_else(|_| "vi".into());
    let name = format!("mailclient-{}.txt", std::process::id());
    let path = std::env::temp_dir().join(name);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).map_err(wrong)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(wrong)?;
    drop(file);
    let line = format!("{editor} \"$1\"");
    let status = std::process::Command::new("sh")
        .arg("-c")
        .arg(line)
        .arg("sh")
        .arg(&path)
        .status();
    let edited = std::fs::read_to_string(&path);
    let _ = std::fs::remove_file(&path);
    match status.map_err(wrong)?.success() {
        true => edited.map_err(wrong),
        false => Err(Error::Usage(
            "the editor was left without success: nothing is kept".into(),
        )),
    }
}

pub(super) async fn outbox(context: &mut Context<'_>) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    let items = queued(&local).await?.into_iter().map(|(number, octets, outgoing)| {
        let value = json!({"number": number, "octets": octets, "to": outgoing.to, "said": outgoing.said});
        let said = outgoing.said.map(|said| format!(" ({said})")).unwrap_or_default();
        (value, format!("{number}  {} octets  {}{said}", octets, outgoing.to.join(", ")))
    });
    let items = items.collect();
    context.list(items)
}
