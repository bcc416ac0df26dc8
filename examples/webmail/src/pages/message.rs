//! The page of a message: its text, or its HTML in a frame, and its attachments.

use askama::Template;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hikyaku_client::{Error, Message, show as shows, visible};
use hikyaku_mailstore::Flags;
use serde::Deserialize;
use std::sync::Arc;

use super::people::People;
use super::{Shell, moment, page, problem, size, trust, words};
use crate::aside::{self, Busy};
use crate::session::{Session, Signed};
use crate::words::Words;
use crate::{Shared, State, html};

#[derive(Template)]
#[template(path = "message.html")]
struct Page<'a> {
    w: &'static Words,
    base: &'a str,
    title: &'a str,
    shell: Shell,
    id: String,
    subject: String,
    from: People,
    to: People,
    cc: People,
    /// Where answers go, when that is not From.
    reply_to: Option<People>,
    date: String,
    iso: String,
    /// Whether its HTML is shown.
    html: bool,
    has_html: bool,
    /// Whether images elsewhere could be shown, and are.
    images: Option<bool>,
    /// Whether they always are, of this sender.
    trusted: Option<bool>,
    /// Its text, as HTML.
    text: String,
    /// Whether that is only its beginning.
    is_cut: bool,
    /// Whether it took too long to look at it.
    is_late: bool,
    attachments: Vec<File>,
    flagged: bool,
    draft: bool,
    trash: bool,
}

struct File {
    number: usize,
    name: String,
    media_type: String,
    size: String,
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    id: String,
    #[serde(default)]
    plain: u8,
    #[serde(default)]
    images: u8,
}

/// What is worked out of all of a message.
#[derive(Default)]
struct Looked {
    look: html::Look,
    text: String,
    is_cut: bool,
    attachments: Vec<File>,
}

fn look(whole: &Bytes, plain: bool) -> Looked {
    let look = html::look(whole);
    // Nobody sees the text beside the frame.
    let (text, is_cut) = match plain || !look.has_html {
        true => html::text(whole),
        false => (String::new(), look.is_cut),
    };
    let attachments = shows::attachments(whole);
    let attachments = attachments.iter().map(|one| File {
        number: one.number,
        name: visible::line(&one.name).into_owned(),
        media_type: visible::line(&one.media_type).into_owned(),
        size: size(one.octets(whole).len() as u64),
    });
    Looked {
        attachments: attachments.collect(),
        look,
        text,
        is_cut,
    }
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

pub(super) async fn found(session: &Session, id: &str) -> Result<(Message, Bytes), Error> {
    let message = session.user.local.find(id).await?;
    let whole = session.user.whole(&message).await?;
    Ok((message, whole))
}

async fn shown(
    shared: &Shared,
    session: &Session,
    w: &'static Words,
    asked: Asked,
) -> Result<Response, Error> {
    let (message, whole) = found(session, &asked.id).await?;
    let local = &session.user.local;
    if !message.flags.contains(&Flags::SEEN) {
        local.mark(&message, &Flags::SEEN, &Flags::NONE).await?;
    }
    let special = local
        .folder(&message.mailbox)
        .await
        .ok()
        .and_then(|folder| folder.special_use);
    let shell = Shell::new(session, w, &message.mailbox, "").await?;
    let (date, iso) = moment(message.date());
    let plain = asked.plain > 0;
    let looked = aside::run(move || look(&whole, plain)).await;
    let is_late = looked.is_err();
    let looked = looked.unwrap_or_default();
    let trusted = match looked.look.remote {
        0 => None,
        _ => trust::is_trusted(session, &message).await?,
    };
    let images = asked.images > 0 || trusted == Some(true);
    let subject = visible::line(&message.subject()).into_owned();
    let from = People::of(&message.envelope.from);
    let reply_to = People::of(&message.envelope.reply_to);
    Ok(page(&Page {
        w,
        base: &shared.options.base,
        title: &shared.options.title,
        shell,
        id: message.name.clone(),
        subject: if subject.trim().is_empty() {
            w.no_subject.into()
        } else {
            subject
        },
        reply_to: reply_to.differ_from(&from).then_some(reply_to),
        from,
        to: People::of(&message.envelope.to),
        cc: People::of(&message.envelope.cc),
        date,
        iso,
        html: looked.look.has_html && !plain,
        has_html: looked.look.has_html,
        images: (looked.look.remote > 0).then_some(images),
        trusted,
        text: looked.text,
        is_cut: looked.is_cut,
        is_late,
        attachments: looked.attachments,
        flagged: message.flags.contains(&Flags::FLAGGED),
        draft: message.flags.contains(&Flags::DRAFT),
        trash: special.as_deref() == Some("\\Trash"),
    }))
}

/// The document of the frame.
pub(crate) async fn frame(
    axum::extract::State(shared): State,
    Signed(session): Signed,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let w = words(&session, &headers);
    let whole = match found(&session, &asked.id).await {
        Ok((_, whole)) => whole,
        Err(error) => return problem(&shared, w, &error),
    };
    let (images, base) = (shared.images.clone(), shared.options.base.clone());
    let (remote, policy): (html::Remote, _) = match asked.images {
        0 => (None, html::POLICY),
        _ => (
            Some(Arc::new(move |url: &str| images.link(&base, url, w.code))),
            html::POLICY_WITH_IMAGES,
        ),
    };
    let asked = html::Asked { remote, words: w };
    let document = aside::run(move || html::document(&whole, &asked));
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    match document.await {
        Ok(document) => (headers, document).into_response(),
        Err(Busy) => (
            StatusCode::SERVICE_UNAVAILABLE,
            headers,
            format!("<!doctype html><p>{}</p>", w.too_slow),
        )
            .into_response(),
    }
}
