//! A message: its text, or its HTML in a frame, and what is attached.

use askama::Template;
use axum::extract::Query;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hikyaku_client::{Error, Message, show as shows};
use mailstore::Flags;
use serde::Deserialize;
use std::sync::Arc;

use super::{Shell, moment, page, problem, size, words};
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
    from: String,
    to: String,
    cc: String,
    date: String,
    iso: String,
    /// Whether its HTML is shown.
    html: bool,
    has_html: bool,
    /// Whether images elsewhere could be shown, and are.
    images: Option<bool>,
    text: String,
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
    #[serde(default)]
    n: usize,
}

fn people(all: &[mailstore::message::Address]) -> String {
    let one = |address: &mailstore::message::Address| {
        let spec = address
            .addr_spec()
            .map(|spec| String::from_utf8_lossy(&spec).into_owned());
        let name = shows::person(address);
        match spec {
            Some(spec) if spec != name => format!("{name} <{spec}>"),
            Some(spec) => spec,
            None => name,
        }
    };
    all.iter().map(one).collect::<Vec<_>>().join(", ")
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

async fn found(session: &Session, id: &str) -> Result<(Message, Bytes), Error> {
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
    let has_html = html::has_html(&whole);
    let attachments = shows::attachments(&whole);
    let attachments = attachments.iter().map(|one| File {
        number: one.number,
        name: one.name.clone(),
        media_type: one.media_type.clone(),
        size: size(one.octets(&whole).len() as u64),
    });
    let subject = message.subject();
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
        from: people(&message.envelope.from),
        to: people(&message.envelope.to),
        cc: people(&message.envelope.cc),
        date,
        iso,
        html: has_html && asked.plain == 0,
        has_html,
        images: html::has_remote_images(&whole).then_some(asked.images > 0),
        text: shows::text(&whole),
        attachments: attachments.collect(),
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
    match found(&session, &asked.id).await {
        Ok((_, whole)) => {
            let (images, base) = (shared.images.clone(), shared.options.base.clone());
            let (remote, policy): (html::Remote, _) = match asked.images {
                0 => (None, html::POLICY),
                _ => (
                    Some(Arc::new(move |url: &str| images.link(&base, url))),
                    html::POLICY_WITH_IMAGES,
                ),
            };
            let headers = [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                (header::CONTENT_SECURITY_POLICY, policy),
            ];
            (headers, html::document(&whole, &remote)).into_response()
        }
        Err(error) => problem(&shared, words(&session, &headers), &error),
    }
}

/// An attachment, to be saved and never to be shown here.
pub(crate) async fn part(
    axum::extract::State(shared): State,
    Signed(session): Signed,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let w = words(&session, &headers);
    let missing = || Error::NotFound("attachment".into());
    let part = async {
        let (_, whole) = found(&session, &asked.id).await?;
        let mut all = shows::attachments(&whole).into_iter();
        let one = all.find(|one| one.number == asked.n).ok_or_else(missing)?;
        Ok((one.octets(&whole), one.name))
    };
    match part.await {
        Ok((octets, name)) => {
            let mut response = octets.into_response();
            let headers = response.headers_mut();
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/octet-stream"),
            );
            headers.insert(
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static("default-src 'none'; sandbox"),
            );
            let named = format!("attachment; filename*=UTF-8''{}", percent(&name));
            let named =
                HeaderValue::from_str(&named).unwrap_or(HeaderValue::from_static("attachment"));
            headers.insert(header::CONTENT_DISPOSITION, named);
            headers.insert(
                HeaderName::from_static("x-download-options"),
                HeaderValue::from_static("noopen"),
            );
            response
        }
        Err(error) => problem(&shared, w, &error),
    }
}

/// RFC 8187
fn percent(name: &str) -> String {
    let mut all = String::new();
    for octet in name.bytes() {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_') {
            all.push(char::from(octet));
        } else {
            all += &format!("%{octet:02X}");
        }
    }
    all
}
