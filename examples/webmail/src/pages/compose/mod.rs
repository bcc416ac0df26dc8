//! Writing: new messages, replies, what is passed on, drafts. What somebody wrote is saved before every answer that
//! is not "sent".

mod draft;
mod form;
mod recipients;
mod sending;
mod upload;

use axum::extract::{Query, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use hikyaku_client::Error;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::{problem, words};
use crate::session::{Session, Signed};
use crate::words::Words;
use crate::{Shared, State, User};
use draft::Writing;
use form::{Notes, form};
use sending::{Attempt, Sending};
use upload::{Bounds, Sent};

/// So long an answer waits for the server behind this one to have the draft, too.
const REFRESH: Duration = Duration::from_secs(5);

/// What the page's script asks for by itself.
const AUTOSAVE: &str = "autosave";

/// What is sent and saved one after the other: forms of the same name.
#[derive(Default)]
pub(crate) struct InTurn(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl InTurn {
    fn of(&self, key: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = all.get(key).and_then(Weak::upgrade) {
            return one;
        }
        all.retain(|_, one| one.strong_count() > 0);
        let one = Arc::default();
        all.insert(key.to_owned(), Arc::downgrade(&one));
        one
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    reply: String,
    forward: String,
    draft: String,
    all: u8,
    /// The name of something that is kept as a draft.
    kept: String,
}

pub(crate) async fn show(
    axum::extract::State(shared): State,
    Signed(session): Signed,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let w = words(&session, &headers);
    let shown = async {
        let user = &session.user;
        let writing = match asked.kept.as_str() {
            "" => Writing::begun(user, &asked).await?,
            key => Writing::kept(user, key)
                .await?
                .ok_or_else(|| Error::NotFound("draft".into()))?,
        };
        form(&shared, &session, w, &writing, Notes::default()).await
    };
    shown
        .await
        .unwrap_or_else(|error| problem(&shared, w, &error))
}

pub(crate) async fn write(
    axum::extract::State(shared): State,
    Signed(session): Signed,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let w = words(&session, &headers);
    let bounds = Bounds::of(shared.options.message);
    let sent = match upload::read(request, bounds, async |_: &str| None).await {
        Ok(sent) => sent,
        Err(error) => return problem(&shared, w, &error),
    };
    // By itself: a browser that goes away in the middle, as by a second click, stops nothing half-way.
    let doing = Arc::clone(&shared);
    let done = tokio::spawn(async move {
        let name = format!("{}/{}", session.user.address, sent.written.key);
        let turn = doing.in_turn.of(&name);
        let _turn = turn.lock().await;
        answer(&doing, &session, w, sent).await
    });
    let failed = |error: &Error| problem(&shared, w, error);
    match done.await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&Error::Partly(error.to_string())),
    }
}

/// Does what the form asks for.
async fn answer(
    shared: &Shared,
    session: &Session,
    w: &'static Words,
    mut sent: Sent,
) -> Result<Response, Error> {
    let user = &session.user;
    let base = &shared.options.base;
    let to = |path: &str| Redirect::to(&format!("{base}{path}")).into_response();
    let digest = sent.digest();
    let mut notes = Notes::default();
    let attempt = Attempt::of(user, &sent.written.key).await?;
    if sent.action == AUTOSAVE && attempt.is_after(&sent.written) {
        // It was overtaken on its way by sending.
        return Ok(StatusCode::CONFLICT.into_response());
    }
    if attempt.is_finished() {
        if sent.action == "send" && attempt.is_of(&digest) {
            // A second click, or back and forth.
            return Ok(to("/folder?name=INBOX&said=sent"));
        }
        // What was sent is one thing, what is here by now another.
        sent.written.key = form::new_key();
        sent.written.attempt = 0;
        if sent.action == "send" {
            notes.problems.push(w.sent_before.into());
        }
    }
    let mut writing = match Writing::of(user, sent.written.clone()).await {
        Ok(writing) => writing,
        Err(error) => {
            let writing = Writing {
                written: sent.written,
                ..Writing::default()
            };
            let notes = Notes::problem(format!("{} {error}", w.not_kept));
            return form(shared, session, w, &writing, notes).await;
        }
    };
    if writing.files.len() < sent.written.attached {
        notes.problems.push(w.attachments_gone.into());
    }
    writing.detach(&sent.remove);
    let mut too_large = sent.too_large;
    too_large.extend(writing.attach(sent.files, shared.options.message));
    if !too_large.is_empty() {
        let most = super::size(shared.options.message as u64);
        let names = too_large.join(", ");
        let why = format!("{} {names} ({} {most})", w.too_large, w.at_most);
        notes.problems.push(why);
    }
    if sent.broken {
        notes.problems.push(w.broken_off.into());
    }
    if !session.is_own(&sent.csrf) {
        notes.problems.push(w.not_sent_yet.into());
    }
    if sent.action == "send" && notes.problems.is_empty() {
        // So that it is there when this server stops in the middle. Without room for a draft it can still be sent.
        let _ = keep(user, &mut writing).await;
        match sending::send(shared, user, w, &mut writing, digest).await {
            Ok(Sending::Sent(copied)) => {
                // It is sent, whatever becomes of the draft.
                let _ = writing.forget(user).await;
                refresh(user).await;
                let said = if copied { "sent" } else { "sent-without-copy" };
                return Ok(to(&format!("/folder?name=INBOX&said={said}")));
            }
            Ok(Sending::Form(why)) => notes = why,
            Err(error) => notes.problems.push(format!("{} {error}", w.failed)),
        }
    }
    let nothing = writing.written.is_empty() && writing.files.is_empty();
    if !(nothing && writing.drafts.is_empty())
        && let Err(error) = keep(user, &mut writing).await
    {
        notes.problems.push(format!("{} {error}", w.not_kept));
        let there = Writing::of(user, writing.written.clone()).await;
        let there = there.map(|there| there.files).unwrap_or_default();
        let lost = writing.files.iter().filter(|file| !there.contains(file));
        let lost: Vec<_> = lost.map(|file| file.0.as_str()).collect();
        if !lost.is_empty() {
            let why = format!("{} {}", w.attach_again, lost.join(", "));
            notes.problems.push(why);
        }
        writing.files = there;
        return form(shared, session, w, &writing, notes).await;
    }
    let is_kept = !writing.drafts.is_empty();
    let kept = match is_kept {
        true => format!("/compose?kept={}", writing.written.key),
        false => "/compose".into(),
    };
    match sent.action.as_str() {
        "language" => {
            session.other_language(w);
            return Ok(to(&kept));
        }
        "logout" if session.is_own(&sent.csrf) => return Ok(super::login::ended(shared, session)),
        _ if !notes.problems.is_empty() => {}
        "draft" => {
            refresh(user).await;
            return Ok(to("/folder?name=INBOX&said=kept"));
        }
        "discard" => {
            writing.discard(user).await?;
            refresh(user).await;
            return Ok(to("/folder?name=INBOX&said=discarded"));
        }
        AUTOSAVE => {}
        _ => return Ok(to(&kept)),
    }
    if is_kept && !notes.problems.is_empty() {
        notes.notes.push(w.draft_kept.into());
    }
    form(shared, session, w, &writing, notes).await
}

/// Saves it as a draft.
async fn keep(user: &User, writing: &mut Writing) -> Result<(), Error> {
    let elsewhere = sending::sender(user, &writing.written.from).await?;
    let from = sending::sender_of(user, elsewhere.as_ref());
    writing.keep(user, &from).await
}

/// Has the server behind this one know of it, for a while: what cannot be done now is done later.
async fn refresh(user: &User) {
    let user = user.clone();
    let refreshing = tokio::spawn(async move { user.post.refresh(&user).await });
    let _ = tokio::time::timeout(REFRESH, refreshing).await;
}
