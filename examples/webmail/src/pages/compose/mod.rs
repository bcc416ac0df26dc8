//! Writing: new messages, replies, what is passed on, drafts. What somebody wrote is saved before every answer that
//! is not "sent".

mod asked;
mod attempt;
mod draft;
mod file;
mod form;
pub(crate) mod in_turn;
mod notes;
mod recipients;
pub(crate) mod rescue;
mod senders;
mod sending;
pub(crate) mod upload;
pub(crate) mod written;

use axum::extract::{Query, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use hikyaku_client::Error;
use std::sync::Arc;
use std::time::Duration;

use super::carried::Carried;
use super::login;
use super::{problem, words};
use crate::session::{Session, Signed};
use crate::spool::Owner;
use crate::words::{Language, Words};
use crate::{Shared, State, User};
use asked::Asked;
use attempt::Attempt;
use draft::Writing;
use form::form;
use notes::Notes;
use rescue::{keep, rescue};
use sending::Sending;
use upload::{Bounds, Place, Sent};
use written::new_key;

/// How long an answer waits until the server behind this one has the draft, too.
const REFRESH: Duration = Duration::from_secs(5);

/// What the page's script asks for by itself.
const AUTOSAVE: &str = "autosave";

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
    signed: Option<Signed>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let session = signed.map(|Signed(session)| session);
    let w = match &session {
        Some(session) => words(session, &headers),
        None => Language::of(&headers).words(),
    };
    let most = Bounds::of(shared.options.message);
    // Of a stranger as much is read as a text needs; a form that was made for somebody may bring files.
    let bounds = match session {
        Some(_) => most,
        None => Bounds::STRANGER,
    };
    let owner = match &session {
        Some(session) => Owner::Person(session.user.local.account_id()),
        None => Owner::Stranger(login::network_of(request.extensions())),
    };
    let place = Place {
        spools: &shared.spools,
        owner,
        sessions: &shared.sessions,
        most,
    };
    let received = match upload::read(request, bounds, place).await {
        Ok(received) => received,
        Err(error) => return problem(&shared, w, &error),
    };
    // By itself: a browser that goes away in the middle, as by a second click, stops nothing half-way.
    let doing = Arc::clone(&shared);
    let done = tokio::spawn(async move {
        let weight = received.weight(doing.options.message);
        let _room = doing.room.take(owner, weight).await.map_err(|_| busy())?;
        let sent = received.open().await?;
        // A form without a name waits for no other.
        let name = match sent.written.is_named() {
            true => format!("{}/{}", sent.written.owner, sent.written.key),
            false => new_key(),
        };
        let turn = doing.in_turn.of(&name);
        let _turn = turn.lock().await;
        match session {
            Some(session) if sent.written.is_of(&session.user) => {
                answer(&doing, &session, w, sent).await
            }
            session => Ok(too_late(&doing, session.is_some(), &headers, sent).await),
        }
    });
    let failed = |error: &Error| problem(&shared, w, error);
    match done.await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&Error::Partly(error.to_string())),
    }
}

/// A form of a session that is over, or of somebody else's than the browser has by now. What was written is kept for
/// whom it was made for, or where that is not known, carried through the login.
async fn too_late(shared: &Shared, another: bool, headers: &HeaderMap, mut sent: Sent) -> Response {
    if sent.action == "logout" && sent.written.is_empty() && sent.files.is_empty() {
        return Redirect::to(&format!("{}/login", shared.options.base)).into_response();
    }
    let mut lost = std::mem::take(&mut sent.too_large);
    let files: Vec<_> = sent.files.iter().map(|file| file.0.clone()).collect();
    let written = sent.written.clone();
    if let Some(author) = shared.sessions.author(&sent.csrf).await {
        sent.written.owner.clone_from(&author.address);
        match rescue(&author, sent, shared.options.message).await {
            Ok((key, mut too_large)) => {
                lost.append(&mut too_large);
                let carried = Carried {
                    kept: key,
                    owner: author.address,
                    ..Carried::default()
                };
                return login::over(shared, headers, &carried, &lost, another);
            }
            Err(_) => lost.extend(files),
        }
    } else {
        lost.extend(files);
    }
    login::over(shared, headers, &written.carried(""), &lost, another)
}

fn busy() -> Error {
    Error::Usage("the server is busy; try again in a minute".into())
}

/// Does what the form asks for.
async fn answer(
    shared: &Shared,
    session: &Arc<Session>,
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
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    if attempt.is_finished() {
        if sent.action == "send" && attempt.is_of(&digest) {
            // A second click, or back and forth.
            return Ok(to("/folder?name=INBOX&said=sent"));
        }
        // What was sent is one thing, what is here by now another.
        sent.written.key = new_key();
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
                let _ = writing.clear(user, true).await;
                refresh_without(user, writing, true).await;
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
            shared.sessions.keep(session).await;
            return Ok(to(&kept));
        }
        "logout" if session.is_own(&sent.csrf) => return Ok(login::ended(shared, session).await),
        _ if !notes.problems.is_empty() => {}
        "draft" => {
            refresh(user).await;
            return Ok(to("/folder?name=INBOX&said=kept"));
        }
        "discard" => {
            writing.clear(user, false).await?;
            refresh_without(user, writing, false).await;
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

/// Has the server behind this one know of it, for a while: what cannot be done now is done later.
async fn refresh(user: &User) {
    let user = user.clone();
    let refreshing = tokio::spawn(async move { user.post.refresh(&user).await });
    let _ = tokio::time::timeout(REFRESH, refreshing).await;
}

/// The same, for a draft that is no more: what was on its way to the server when it was removed is known here only once
/// the server has it, and is removed then.
async fn refresh_without(user: &User, mut writing: Writing, for_good: bool) {
    let user = user.clone();
    let refreshing = tokio::spawn(async move {
        user.post.refresh(&user).await?;
        match writing.clear(&user, for_good).await? {
            true => user.post.refresh(&user).await,
            false => Ok(()),
        }
    });
    let _ = tokio::time::timeout(REFRESH, refreshing).await;
}
