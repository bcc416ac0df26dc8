//! `mailclient send` and `mailclient outbox`: what waits to be sent, and why it still waits.

use clap::Subcommand;
use hikyaku_message::{Envelope, Structure};
use serde_json::{Value, json};

use super::context::{Context, dial};
use super::write::{Changes, Written};
use super::{mail, write};
use hikyaku_client::compose::{Draft, address_of};
use hikyaku_client::visible;
use hikyaku_client::{Error, Fate, Outgoing, Result};
use hikyaku_client::{queued, queued_message, renew, requeue, send_all, send_one, show, unqueue};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Lists the messages in the outbox, and why each still waits.
    List,
    /// Shows a message in the outbox.
    Show {
        /// Its number.
        number: u64,
    },
    /// Changes a message in the outbox: what the options say, or else its text in the editor.
    Edit {
        /// Its number.
        number: u64,
        #[command(flatten)]
        changes: Box<Changes>,
    },
    /// Removes messages from the outbox without sending them.
    Remove {
        /// Their numbers.
        #[arg(required = true)]
        numbers: Vec<u64>,
    },
    /// Tries to send a message now, also to recipients that the server refused.
    Retry {
        /// Its number.
        number: u64,
    },
}

pub(super) async fn run(context: &mut Context<'_>, command: Command) -> Result<()> {
    match command {
        Command::List => list(context).await,
        Command::Show { number } => show(context, number).await,
        Command::Edit { number, changes } => edit(context, number, *changes).await,
        Command::Remove { numbers } => remove(context, &numbers).await,
        Command::Retry { number } => {
            let account = context.account()?;
            renew(&context.local(&account).await?, number).await?;
            send(context, Some(number)).await
        }
    }
}

fn value(number: u64, octets: u64, subject: &str, outgoing: &Outgoing) -> Value {
    let recipients: Vec<_> = outgoing
        .to
        .iter()
        .map(|to| {
            let failure = outgoing.failure(to);
            let fate = match failure {
                Some(failure) if failure.refused => "refused",
                Some(_) => "deferred",
                None => "waiting",
            };
            let said = failure.map(|failure| visible::text(&failure.said));
            json!({"to": to, "fate": fate, "said": said})
        })
        .collect();
    json!({
        "number": number, "octets": octets, "subject": visible::line(subject), "to": outgoing.to,
        "recipients": recipients, "accepted": outgoing.accepted, "said": outgoing.said,
        "tried": outgoing.tried, "queued": (outgoing.queued > 0).then_some(outgoing.queued),
        "failing_since": outgoing.failing_since,
    })
}

/// Why a message still waits, a line for each reason; nothing where it was never tried.
fn reasons(context: &Context<'_>, outgoing: &Outgoing) -> Vec<String> {
    let mut lines = Vec::new();
    if outgoing.tried == 0 {
        return lines;
    }
    let times = match outgoing.tried {
        1 => "tried once".to_owned(),
        more => format!("tried {more} times"),
    };
    let since = outgoing
        .failing_since
        .map(|since| format!(", failing since {}", context.clock.long(since)));
    lines.push(times + &since.unwrap_or_default());
    for failure in &outgoing.failures {
        let word = if failure.refused {
            "refused"
        } else {
            "deferred"
        };
        lines.push(format!(
            "{}: {word}: {}",
            failure.to,
            visible::line(&failure.said)
        ));
    }
    if outgoing.failures.is_empty() {
        lines.extend(
            outgoing
                .said
                .as_ref()
                .map(|said| visible::line(said).into_owned()),
        );
    }
    lines
}

fn envelope(message: &[u8]) -> Envelope {
    let structure = Structure::of(message);
    structure
        .root()
        .envelope
        .as_deref()
        .cloned()
        .unwrap_or_default()
}

async fn list(context: &mut Context<'_>) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    let mut items = Vec::new();
    for (number, octets, outgoing) in queued(&local).await? {
        let (_, message) = queued_message(&local, number).await?;
        let subject = write::subject(&envelope(&message));
        let mut line = format!(
            "{number}  {}  to {}",
            visible::line(&subject),
            outgoing.to.join(", ")
        );
        for reason in reasons(context, &outgoing) {
            line += &format!("\n    {reason}");
        }
        if !outgoing.is_due() {
            line += &format!(
                "\n    not tried again: correct it with `mailclient outbox edit {number} --to ADDRESS`, or retry or remove it"
            );
        }
        items.push((value(number, octets, &subject, &outgoing), line));
    }
    context.list(items)
}

async fn show(context: &mut Context<'_>, number: u64) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    let (outgoing, message) = queued_message(&local, number).await?;
    let mut envelope = envelope(&message);
    if context.json {
        let subject = write::subject(&envelope);
        let mut value = value(number, message.len() as u64, &subject, &outgoing);
        mail::add_content(&mut value, &envelope, &message);
        return context.say(value);
    }
    envelope.bcc.clear();
    mail::header(context, &envelope, outgoing.queued)?;
    let unnamed = outgoing.unnamed(&envelope);
    if !unnamed.is_empty() {
        mail::field(context, "Bcc:", &unnamed)?;
    }
    if !outgoing.accepted.is_empty() {
        mail::field(context, "Sent to:", &outgoing.accepted)?;
        mail::field(context, "Waits for:", &outgoing.to)?;
    }
    for (at, reason) in reasons(context, &outgoing).into_iter().enumerate() {
        let name = if at == 0 { "State:" } else { "" };
        mail::field(context, name, &[reason])?;
    }
    mail::content(context, &message)
}

async fn edit(context: &mut Context<'_>, number: u64, changes: Changes) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    let (outgoing, message) = queued_message(&local, number).await?;
    drop(local);
    let envelope = envelope(&message);
    let mut draft = Draft::again(&envelope, show::text(&message), &message);
    draft.bcc.clear();
    // Who has it already stands in the header, and does not get it again.
    draft.bcc.extend(outgoing.unnamed(&envelope));
    let address = |one: &String| address_of(one).to_lowercase();
    let refused: Vec<_> = outgoing
        .failures
        .iter()
        .filter(|one| one.refused)
        .map(|one| &one.to)
        .collect();
    if changes.names_recipients() {
        // Others take the place of those who refused it.
        let is_refused = |one: &String| refused.iter().any(|to| to.to_lowercase() == address(one));
        for all in [&mut draft.to, &mut draft.cc, &mut draft.bcc] {
            all.retain(|one| !is_refused(one));
        }
    }
    let Some(Written { draft, text }) = write::changed(context, draft, changes)? else {
        return context.say("nothing was changed");
    };
    let done = async {
        let local = context.local(&account).await?;
        let message = draft.message(&account, false)?;
        requeue(&local, number, draft.recipients(), message).await
    };
    let new = text.kept_unless(done.await)?;
    context.say(format_args!(
        "in the outbox as {new}; `mailclient send` sends it"
    ))
}

async fn remove(context: &mut Context<'_>, numbers: &[u64]) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    for number in numbers {
        unqueue(&local, *number).await?;
        if !context.json {
            context.say(format_args!(
                "{number} is removed from the outbox and was not sent"
            ))?;
        }
    }
    Ok(())
}

/// Sends what is in the outbox, or one message of it.
pub(super) async fn send(context: &mut Context<'_>, only: Option<u64>) -> Result<()> {
    let account = context.account()?;
    let local = context.local(&account).await?;
    let fates = match only {
        Some(number) => send_one(&dial(&account), &local, &account, number).await?,
        None => send_all(&dial(&account), &local, &account).await?,
    };
    let mut items = Vec::new();
    let mut wrong = false;
    for (to, fate) in fates {
        let (word, said) = match fate {
            Fate::Accepted => ("accepted", String::new()),
            Fate::Deferred(why) | Fate::Unknown(why) => ("deferred", why),
            Fate::Refused(why) => ("refused", why),
        };
        wrong |= word != "accepted";
        let line = format!("{to}: {word} {said}").trim_end().to_owned();
        items.push((json!({"to": to, "fate": word, "said": said}), line));
    }
    context.list(items)?;
    let left = queued(&local).await?;
    let refused = left
        .iter()
        .filter(|(.., outgoing)| !outgoing.is_due())
        .count();
    match (left.len(), refused) {
        (0, _) if wrong => Err(Error::Partly(
            "the server refused all recipients; the message is back in Drafts: see `mailclient list Drafts`, then correct it with `mailclient edit`".into(),
        )),
        (waiting, 0) if wrong => Err(Error::Partly(format!(
            "not everything was sent; messages waiting in the outbox: {waiting} (`mailclient outbox` says why)"
        ))),
        (_, refused) if wrong || refused > 0 => Err(Error::Partly(format!(
            "not everything was sent; refused messages to edit or remove: {refused} (`mailclient outbox` lists them)"
        ))),
        _ => Ok(()),
    }
}
