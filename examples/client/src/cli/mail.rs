//! Reading and sorting mail. All of it works offline, but for a body that was never brought.

use bytes::Bytes;
use mailstore::Flags;
use serde_json::{Value, json};
use std::path::Path;

use super::{Context, Marks, dial};
use crate::{Account, Error, Kind, Local, Message, Result, show};

fn day(seconds: i64) -> String {
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]");
    let moment = time::OffsetDateTime::from_unix_timestamp(seconds);
    moment
        .ok()
        .and_then(|moment| moment.format(format).ok())
        .unwrap_or_default()
}

fn described(message: &Message) -> (Value, String) {
    let has = |flag: &Flags| message.flags.contains(flag);
    let (seen, flagged, answered) = (
        has(&Flags::SEEN),
        has(&Flags::FLAGGED),
        has(&Flags::ANSWERED),
    );
    let address = message
        .envelope
        .from
        .first()
        .and_then(mailstore::message::Address::addr_spec);
    let value = json!({
        "message": message.name, "folder": message.mailbox, "from": message.from(),
        "address": address.map(|a| String::from_utf8_lossy(&a).into_owned()),
        "subject": message.subject(), "date": message.date(), "octets": message.octets,
        "read": seen, "flagged": flagged, "answered": answered, "attachments": message.mixed,
    });
    let mark = |is: bool, mark: char| if is { mark } else { ' ' };
    let marks: String = [
        mark(!seen, 'N'),
        mark(flagged, '*'),
        mark(answered, 'r'),
        mark(message.mixed, '@'),
    ]
    .iter()
    .collect();
    let from: String = show::harmless(&message.from()).chars().take(24).collect();
    let line = format!(
        "{:<12} {marks} {}  {from:<24}  {}",
        message.name,
        day(message.date()),
        show::harmless(&message.subject()),
    );
    (value, line)
}

pub(super) async fn folders(context: &mut Context<'_>) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    let folders = local.folders().await?.into_iter().map(|folder| {
        let value = json!({
            "folder": folder.name, "messages": folder.messages, "unread": folder.unseen,
            "use": folder.special_use,
        });
        (
            value,
            format!(
                "{:<24} {:>6} messages, {} unread",
                folder.name, folder.messages, folder.unseen
            ),
        )
    });
    let folders = folders.collect();
    context.list(folders)
}

pub(super) async fn list(context: &mut Context<'_>, folder: &str, count: usize) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    let messages = local.list(folder, count).await?;
    context.list(messages.iter().map(described).collect())
}

pub(super) async fn search(
    context: &mut Context<'_>,
    text: &str,
    folder: Option<&str>,
) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    let found = local.search(text, folder).await?;
    context.list(found.iter().map(described).collect())
}

/// All of a message: from here, or from the server, when it was never brought.
pub(super) async fn whole(local: &Local, account: &Account, message: &Message) -> Result<Bytes> {
    if let Some(whole) = local.whole(message).await? {
        return Ok(whole);
    }
    crate::fetch_whole(&dial(account), local, account, message).await
}

pub(super) async fn read(context: &mut Context<'_>, name: &str, source: bool) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    let message = local.find(name).await?;
    let octets = whole(&local, &account, &message).await?;
    if !message.flags.contains(&Flags::SEEN) {
        local.mark(&message, &Flags::SEEN, &Flags::NONE).await?;
    }
    if source {
        let written = context.out.write_all(&octets);
        return written.map_err(|error| Error::File("standard output".into(), error));
    }
    let attachments = show::attachments(&octets);
    if context.json {
        let (mut value, _) = described(&message);
        let attachments: Vec<_> = attachments
            .iter()
            .map(|one| json!({"number": one.number, "name": one.name, "type": one.media_type}))
            .collect();
        value["text"] = json!(show::text(&octets));
        value["attachments"] = json!(attachments);
        return context.say(value);
    }
    let people = |all: &[mailstore::message::Address]| {
        all.iter().map(show::person).collect::<Vec<_>>().join(", ")
    };
    context.say(format_args!(
        "From:     {}",
        show::harmless(&message.from())
    ))?;
    context.say(format_args!(
        "To:       {}",
        show::harmless(&people(&message.envelope.to))
    ))?;
    if !message.envelope.cc.is_empty() {
        context.say(format_args!(
            "Cc:       {}",
            show::harmless(&people(&message.envelope.cc))
        ))?;
    }
    context.say(format_args!("Date:     {}", day(message.date())))?;
    context.say(format_args!(
        "Subject:  {}\n",
        show::harmless(&message.subject())
    ))?;
    context.say(show::text(&octets).trim_end())?;
    for one in attachments {
        context.say(format_args!(
            "\n[{}] {} ({})",
            one.number, one.name, one.media_type
        ))?;
    }
    Ok(())
}

pub(super) async fn save(
    context: &mut Context<'_>,
    name: &str,
    numbers: &[usize],
    to: &Path,
) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    let message = local.find(name).await?;
    let octets = whole(&local, &account, &message).await?;
    let wanted = |number: usize| numbers.is_empty() || numbers.contains(&number);
    let all: Vec<_> = show::attachments(&octets)
        .into_iter()
        .filter(|one| wanted(one.number))
        .collect();
    if all.is_empty() {
        return Err(Error::NotFound(format!("attachment of {name}")));
    }
    for one in all {
        let path = free(to, &one.name);
        // What is there already is never written over.
        let mut options = std::fs::OpenOptions::new();
        let written = options.write(true).create_new(true).open(&path);
        let written =
            written.and_then(|mut file| std::io::Write::write_all(&mut file, &one.octets(&octets)));
        written.map_err(|error| Error::File(path.display().to_string(), error))?;
        context.say(path.display())?;
    }
    Ok(())
}

/// A file name that is not taken.
fn free(folder: &Path, name: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    if !path.exists() {
        return path;
    }
    let (stem, end) = match name.rsplit_once('.') {
        Some((stem, end)) => (stem, format!(".{end}")),
        None => (name, String::new()),
    };
    let others = (2..10_000).map(|n| folder.join(format!("{stem} ({n}){end}")));
    others
        .into_iter()
        .find(|path| !path.exists())
        .unwrap_or(path)
}

pub(super) async fn mark(context: &mut Context<'_>, names: &[String], marks: &Marks) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    let (mut add, mut remove) = (Flags::NONE, Flags::NONE);
    for (is, flag) in [
        (marks.read, Flags::SEEN),
        (marks.flagged, Flags::FLAGGED),
        (marks.answered, Flags::ANSWERED),
    ] {
        if is {
            add.add(&flag);
        }
    }
    for (is, flag) in [
        (marks.unread, Flags::SEEN),
        (marks.unflagged, Flags::FLAGGED),
    ] {
        if is {
            remove.add(&flag);
        }
    }
    for name in names {
        let message = local.find(name).await?;
        local.mark(&message, &add, &remove).await?;
    }
    Ok(())
}

pub(super) async fn move_to(context: &mut Context<'_>, names: &[String], to: &str) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    for name in names {
        let message = local.find(name).await?;
        local.move_to(&message, to).await?;
    }
    later(context, &account)
}

pub(super) async fn delete(
    context: &mut Context<'_>,
    names: &[String],
    for_good: bool,
) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    for name in names {
        let message = local.find(name).await?;
        local.delete(&message, for_good).await?;
    }
    later(context, &account)
}

fn later(context: &mut Context<'_>, account: &Account) -> Result<()> {
    match account.kind {
        Kind::Imap if !context.json => context.say("on the server with the next sync"),
        _ => Ok(()),
    }
}
