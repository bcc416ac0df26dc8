//! The page of a folder: its newest messages, or those that contain a text.

use askama::Template;
use axum::extract::Query;
use axum::http::HeaderMap;
use axum::response::Response;
use hikyaku_client::{Error, Message, visible};
use hikyaku_mailstore::Flags;
use serde::Deserialize;

use super::people::People;
use super::{Shell, moment, page, problem, state, words};
use crate::session::{Session, Signed};
use crate::words::Words;
use crate::{Shared, State, aside};

/// So many are on a page.
const PAGE: usize = 50;
/// The most characters of a subject: a field may have 64 KiB of them.
const SUBJECT: usize = 300;
/// So many are found at most.
const FOUND: usize = 200;

#[derive(Template)]
#[template(path = "list.html")]
struct Page<'a> {
    w: &'static Words,
    base: &'a str,
    title: &'a str,
    shell: Shell,
    heading: String,
    said: Option<&'a str>,
    messages: Vec<Line>,
    paged: bool,
    older: Option<u32>,
    /// Whether the page keeps itself up to date.
    live: bool,
    /// The state of the account that it shows.
    at: u64,
}

struct Line {
    name: String,
    from: String,
    subject: String,
    date: String,
    iso: String,
    unread: bool,
    flagged: bool,
    answered: bool,
    mixed: bool,
}

impl Line {
    fn of(message: &Message, w: &'static Words, outgoing: bool) -> Self {
        let has = |flag: &Flags| message.flags.contains(flag);
        let (date, iso) = moment(message.date());
        let subject = message.subject();
        let people = if outgoing {
            &message.envelope.to
        } else {
            &message.envelope.from
        };
        let subject: String = visible::line(&subject).chars().take(SUBJECT).collect();
        Self {
            name: message.name.clone(),
            from: People::short(people),
            subject: if subject.trim().is_empty() {
                w.no_subject.into()
            } else {
                subject
            },
            date,
            iso,
            unread: !has(&Flags::SEEN),
            flagged: has(&Flags::FLAGGED),
            answered: has(&Flags::ANSWERED),
            mixed: message.mixed,
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default = "inbox")]
    name: String,
    before: Option<u32>,
    #[serde(default)]
    q: String,
    /// What was done before.
    #[serde(default)]
    said: String,
}

fn inbox() -> String {
    "INBOX".into()
}

pub(crate) async fn show(
    axum::extract::State(shared): State,
    Signed(session): Signed,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let w = words(&session, &headers);
    match shown(&shared, &session, w, asked).await {
        Ok(response) => response,
        Err(error) => problem(&shared, w, &error),
    }
}

async fn shown(
    shared: &Shared,
    session: &Session,
    w: &'static Words,
    asked: Asked,
) -> Result<Response, Error> {
    let local = &session.user.local;
    let at = state(session).await?;
    let folder = local.folder(&asked.name).await?;
    let query = asked.q.trim();
    let (mut messages, mut older) = (Vec::new(), None);
    if query.is_empty() {
        messages = local
            .list_before(&folder.name, asked.before, PAGE + 1)
            .await?;
        if messages.len() > PAGE {
            messages.truncate(PAGE);
            older = messages
                .iter()
                .filter(|one| one.mailbox == folder.name)
                .filter_map(Message::number)
                .min();
        }
    } else {
        messages.extend(local.search(query, Some(&folder.name)).await?);
        messages.truncate(FOUND);
    }
    let outgoing = matches!(folder.special_use.as_deref(), Some("\\Sent" | "\\Drafts"));
    let lines = move || {
        messages
            .iter()
            .map(|message| Line::of(message, w, outgoing))
            .collect()
    };
    let lines = aside::run(lines).await;
    let lines = lines.map_err(|_| Error::Usage(w.too_slow.into()))?;
    let shell = Shell::new(session, w, &folder.name, query).await?;
    let heading = w
        .folder(&folder.name, folder.special_use.as_deref())
        .to_owned();
    Ok(page(&Page {
        w,
        base: &shared.options.base,
        title: &shared.options.title,
        shell,
        heading,
        said: match asked.said.as_str() {
            "sent" => Some(w.sent_to_all),
            "kept" => Some(w.kept),
            "sent-without-copy" => Some(w.sent_without_copy),
            "discarded" => Some(w.discarded),
            _ => None,
        },
        messages: lines,
        paged: asked.before.is_some(),
        older,
        live: asked.before.is_none() && query.is_empty(),
        at,
    }))
}
