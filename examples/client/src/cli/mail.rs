//! Reading and sorting mail. All of it works offline, except for a body that was never fetched.

use bytes::Bytes;
use hikyaku_mailstore::Flags;
use hikyaku_message::{Address, Envelope, Structure, decode_header, parse_date};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::arguments::Marks;
use super::context::{Context, dial, unwritten};
use hikyaku_client::visible::{self, Person};
use hikyaku_client::{Account, Error, Kind, Local, Message, Result, file_name, show};

use crate::terminal;

/// Columns for names of messages, and for people, in a list that is as wide as it likes.
const NAME: usize = 12;
const PERSON: usize = 24;
/// Columns between them: marks, the time, and blanks.
const BETWEEN: usize = 1 + 4 + 1 + 16 + 2 + 2;
/// The most people of a field that are printed.
const PEOPLE: usize = 200;

fn author(message: &Message) -> Person {
    let first = message.envelope.from.first();
    first.map_or_else(|| Person::new("", ""), Person::of)
}

/// What a list says of a message, as JSON.
fn value(message: &Message) -> Value {
    let has = |flag: &Flags| message.flags.contains(flag);
    let author = author(message);
    let name = match author.name.is_empty() {
        true => &author.address,
        false => &author.name,
    };
    json!({
        "message": message.name, "folder": message.mailbox, "from": name,
        "address": (!author.address.is_empty()).then_some(&author.address), "misleading": author.misleads,
        "subject": visible::line(&message.subject()), "date": message.date(), "octets": message.octets,
        "read": has(&Flags::SEEN), "flagged": has(&Flags::FLAGGED), "answered": has(&Flags::ANSWERED),
        "attachments": message.mixed,
    })
}

/// A list of messages: JSON where that is asked for, else a line each.
fn listed(context: &mut Context<'_>, messages: &[Message]) -> Result<()> {
    let longest = messages.iter().map(|one| terminal::width(&one.name)).max();
    let name = longest.unwrap_or(0).max(NAME);
    // Where there is little room, the subject has the most of it.
    let person = context
        .columns
        .map_or(PERSON, |columns| (columns / 5).min(PERSON));
    let before = name + BETWEEN + person;
    let mut items = Vec::new();
    for message in messages {
        let has = |flag: &Flags| message.flags.contains(flag);
        let mark = |is: bool, mark: char| if is { mark } else { ' ' };
        let marks: String = [
            mark(!has(&Flags::SEEN), 'N'),
            mark(has(&Flags::FLAGGED), '*'),
            mark(has(&Flags::ANSWERED), 'r'),
            mark(message.mixed, '@'),
        ]
        .iter()
        .collect();
        let author = author(message);
        let who = match author.misleads {
            true => format!("! {}", author.short()),
            false => author.short().to_owned(),
        };
        let subject = message.subject();
        let subject = match context.columns {
            Some(columns) => terminal::fitted(&subject, columns.saturating_sub(before).max(8)),
            None => visible::line(&subject).into_owned(),
        };
        let line = format!(
            "{} {marks} {}  {}  {subject}",
            terminal::column(&message.name, name),
            context.clock.short(message.date()),
            terminal::column(&who, person),
        );
        items.push((value(message), line));
    }
    context.list(items)
}

pub(super) async fn folders(context: &mut Context<'_>) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    let folders = local.folders().await?;
    let longest = folders.iter().map(|one| terminal::width(&one.name)).max();
    let name = longest.unwrap_or(0).max(24);
    let folders = folders.into_iter().map(|folder| {
        let value = json!({
            "folder": folder.name, "messages": folder.messages, "unread": folder.unseen,
            "use": folder.special_use,
        });
        (
            value,
            format!(
                "{} {:>6} messages, {} unread",
                terminal::column(&folder.name, name),
                folder.messages,
                folder.unseen
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
    listed(context, &messages)
}

pub(super) async fn search(
    context: &mut Context<'_>,
    text: &str,
    folder: Option<&str>,
) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    let found = local.search(text, folder).await?;
    listed(context, &found)
}

/// All of a message: from here, or from the server, when it was never brought.
pub(super) async fn whole(local: &Local, account: &Account, message: &Message) -> Result<Bytes> {
    if let Some(whole) = local.whole(message).await? {
        return Ok(whole);
    }
    hikyaku_client::fetch_whole(&dial(account), local, account, message).await
}

pub(super) async fn read(context: &mut Context<'_>, name: &str, source: bool) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    let message = local.find(name).await?;
    let octets = whole(&local, &account, &message).await?;
    if !message.flags.contains(&Flags::SEEN) {
        local.mark(&message, &Flags::SEEN, &Flags::NONE).await?;
    }
    if source && context.columns.is_none() {
        return context.out.write_all(&octets).map_err(unwritten);
    }
    if source {
        // A terminal is not given what would steer it.
        return context.say(String::from_utf8_lossy(&octets));
    }
    if context.json {
        let mut value = value(&message);
        add_content(&mut value, &message.envelope, &octets);
        return context.say(value);
    }
    header(context, &message.envelope, message.received)?;
    content(context, &octets)
}

/// What is in a message, as JSON.
pub(super) fn add_content(value: &mut Value, envelope: &Envelope, octets: &Bytes) {
    let attachments: Vec<_> = show::attachments(octets)
        .iter()
        .map(|one| json!({"number": one.number, "name": visible::line(&one.name), "type": one.media_type}))
        .collect();
    if value.get("to").is_none() {
        value["to"] = people_as_json(&envelope.to);
    }
    value["cc"] = people_as_json(&envelope.cc);
    value["reply_to"] = people_as_json(&envelope.reply_to);
    value["text"] = json!(visible::text(&show::text(octets)));
    value["attachments"] = json!(attachments);
}

/// Prints who a message is from and for, when it was written, and its subject.
pub(super) fn header(context: &mut Context<'_>, envelope: &Envelope, received: i64) -> Result<()> {
    people(context, "From:", &envelope.from)?;
    if answers_elsewhere(envelope) {
        people(context, "Reply-To:", &envelope.reply_to)?;
    }
    people(context, "To:", &envelope.to)?;
    people(context, "Cc:", &envelope.cc)?;
    people(context, "Bcc:", &envelope.bcc)?;
    let written = envelope.date.as_deref().and_then(parse_date);
    let date = match written {
        Some(date) => context.clock.written(date.seconds, date.zone),
        None => format!("{} (when it was received)", context.clock.long(received)),
    };
    field(context, "Date:", &[date])?;
    let subject = decode_header(envelope.subject.as_deref().unwrap_or(b""));
    let subject = match visible::line(subject.trim()) {
        subject if subject.is_empty() => "(none)".into(),
        subject => subject.into_owned(),
    };
    field(context, "Subject:", &[subject])
}

/// Prints the text of a message, and what is attached to it.
pub(super) fn content(context: &mut Context<'_>, octets: &Bytes) -> Result<()> {
    context.say("")?;
    let text = show::text(octets);
    let text = visible::text(text.trim_end());
    match context.columns {
        Some(columns) => context.say(terminal::wrapped(&text, columns))?,
        None => context.say(text)?,
    }
    for one in show::attachments(octets) {
        context.say(format_args!(
            "\n[{}] {} ({})",
            one.number,
            visible::line(&one.name),
            visible::line(&one.media_type)
        ))?;
    }
    Ok(())
}

/// Whether answers go to somebody else than the message came from.
fn answers_elsewhere(envelope: &Envelope) -> bool {
    let specs = |all: &[Address]| -> BTreeSet<String> {
        let specs = all.iter().filter_map(Address::addr_spec);
        specs
            .map(|one| String::from_utf8_lossy(&one).to_lowercase())
            .collect()
    };
    !envelope.reply_to.is_empty() && specs(&envelope.reply_to) != specs(&envelope.from)
}

fn people_as_json(all: &[Address]) -> Value {
    let one = |address: &Address| {
        let person = Person::of(address);
        json!({"name": person.name, "address": person.address, "misleading": person.misleads})
    };
    all.iter()
        .filter(|one| one.addr_spec().is_some())
        .map(one)
        .collect()
}

/// Prints the people of a field, each with the address.
fn people(context: &mut Context<'_>, name: &str, all: &[Address]) -> Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    // Where a group begins and ends stands an address without a domain.
    let all: Vec<_> = all.iter().map(Person::of).collect();
    let mut shown: Vec<_> = all
        .iter()
        .take(PEOPLE)
        .map(|one| match one.misleads {
            true => format!("{one} [!]"),
            false => one.to_string(),
        })
        .filter(|one| !one.is_empty())
        .collect();
    if all.len() > PEOPLE {
        shown.push(format!("and {} more", all.len() - PEOPLE));
    }
    field(context, name, &shown)?;
    for one in all.iter().take(PEOPLE).filter(|one| one.misleads) {
        field(
            context,
            "",
            &[format!(
                "[!] the name looks like an address, but the real address is {}",
                one.address
            )],
        )?;
    }
    Ok(())
}

/// Prints a field of the header. On a terminal, what does not fit stands below what does.
pub(super) fn field(context: &mut Context<'_>, name: &str, values: &[String]) -> Result<()> {
    const INDENT: usize = 10;
    let room = context.columns.unwrap_or(usize::MAX).max(INDENT * 3) - INDENT;
    let (mut line, mut taken) = (String::new(), 0);
    let mut lines = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let comma = if at + 1 < values.len() { "," } else { "" };
        let wide = terminal::width(value) + comma.len();
        if taken > 0 && taken + 1 + wide > room {
            lines.push(std::mem::take(&mut line));
            taken = 0;
        }
        if taken > 0 {
            line.push(' ');
        }
        line.push_str(value);
        line.push_str(comma);
        taken += 1 + wide;
    }
    lines.push(line);
    for (at, line) in lines.iter().enumerate() {
        let wrapped = match context.columns {
            Some(_) => terminal::wrapped(line, room),
            None => line.clone(),
        };
        for (below, line) in wrapped.lines().enumerate() {
            let name = if at + below == 0 { name } else { "" };
            context.say(format_args!("{name:<INDENT$}{line}"))?;
        }
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
    if let Some(missing) = numbers
        .iter()
        .find(|&&number| all.iter().all(|one| one.number != number))
    {
        return Err(Error::NotFound(format!(
            "attachment of {name}: {missing} (`mailclient read {name}` lists them)"
        )));
    }
    if all.is_empty() {
        return Err(Error::NotFound(format!("attachment: {name} has none")));
    }
    if !to.is_dir() {
        return Err(Error::Usage(format!(
            "{} is not a folder: create it first",
            to.display()
        )));
    }
    let mut items = Vec::new();
    for one in all {
        let part = one.octets(&octets);
        let mut name = one.name.clone();
        if name == format!("part-{}", one.number) {
            // A message is best known by its subject.
            name = match one.media_type == "message/rfc822" {
                true => subject_of(&part).replace(['/', '\\'], "_"),
                false => String::new(),
            };
        }
        let name = file_name::on_disk(&name, &one.media_type, one.number);
        let path = written(to, &name, &part)?;
        let shown = path.display().to_string();
        items.push((json!({"number": one.number, "path": shown}), shown));
    }
    context.list(items)
}

/// The subject of a whole message, decoded.
fn subject_of(message: &[u8]) -> String {
    let structure = Structure::of(message);
    let envelope = structure.root().envelope.as_deref();
    let subject = envelope.and_then(|envelope| envelope.subject.as_deref());
    decode_header(subject.unwrap_or(b""))
}

/// Writes a new file, under another name where that one is taken: what is there already is never written over.
fn written(folder: &Path, name: &str, octets: &[u8]) -> Result<PathBuf> {
    let mut names = std::iter::once(name.to_owned())
        .chain((2..10_000).map(|number| file_name::numbered(name, number)));
    loop {
        let Some(name) = names.next() else {
            return Err(Error::Usage(format!(
                "{} has too many files named {name}",
                folder.display()
            )));
        };
        let path = folder.join(name);
        let mut options = std::fs::OpenOptions::new();
        let opened = options.write(true).create_new(true).open(&path);
        let mut file = match opened {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
            opened => opened.map_err(|error| Error::File(path.display().to_string(), error))?,
        };
        if let Err(error) = file.write_all(octets) {
            // Half a file would pass for the whole.
            let _ = std::fs::remove_file(&path);
            return Err(Error::File(path.display().to_string(), error));
        }
        return Ok(path);
    }
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
        Kind::Imap if !context.json => {
            context.say("the next `mailclient sync` does this on the server")
        }
        _ => Ok(()),
    }
}
