//! Logging in and out.

use askama::Template;
use axum::extract::{ConnectInfo, Form, Request};
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use hikyaku_client::Error;
use hikyaku_wire::Secret;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::act::fields;
use super::carried::Carried;
use super::compose::rescue::{carried, is_kept};
use super::compose::upload;
use super::{own, page, problem, words};
use crate::room::Taken;
use crate::session::{Session, Signed, cookie};
use crate::spool::Owner;
use crate::words::{Language, Words};
use crate::{Peer, Shared, State, User, network};

/// Octets of a login: name and password, and what was written in a form that came too late.
pub(crate) const FORM: usize = 4 * 1024 * 1024;

#[derive(Template)]
#[template(path = "login.html")]
struct Page<'a> {
    w: &'static Words,
    base: &'a str,
    title: &'a str,
    name: &'a str,
    problem: Option<&'a str>,
    notes: Vec<String>,
    carried: &'a Carried,
    /// Whether what is carried may be left behind.
    another: bool,
}

fn shown(
    shared: &Shared,
    w: &'static Words,
    name: &str,
    problem: Option<&str>,
    carried: &Carried,
    another: bool,
) -> Response {
    let (base, title) = (&shared.options.base, &shared.options.title);
    let mut notes = Vec::new();
    if !carried.kept.is_empty() {
        notes.push(w.over_kept.to_owned());
    } else if !carried.owner.is_empty() {
        notes.push(w.over_carried.to_owned());
    }
    page(&Page {
        w,
        base,
        title,
        name,
        problem,
        notes,
        carried,
        another,
    })
}

/// The login, for going on with what was written.
pub(crate) fn over(
    shared: &Shared,
    headers: &HeaderMap,
    carried: &Carried,
    lost: &[String],
    another: bool,
) -> Response {
    let w = Language::of(headers).words();
    let mut problem = match another {
        true => vec![format!("{} {}", w.written_as, carried.owner)],
        false => vec![w.over.to_owned()],
    };
    if !lost.is_empty() {
        problem.push(format!("{} {}", w.attach_again, lost.join(", ")));
    }
    let problem = problem.join(" ");
    let page = shown(shared, w, &carried.owner, Some(&problem), carried, another);
    (StatusCode::UNAUTHORIZED, page).into_response()
}

pub(crate) async fn show(
    axum::extract::State(shared): State,
    signed: Option<Signed>,
    headers: HeaderMap,
) -> Response {
    if signed.is_some() {
        return Redirect::to(&format!("{}/folder", shared.options.base)).into_response();
    }
    let w = Language::of(&headers).words();
    shown(&shared, w, "", None, &Carried::default(), false)
}

/// The network that a request came from, when the server around says so.
pub(crate) fn network_of(extensions: &Extensions) -> Option<IpAddr> {
    peer_of(extensions).map(network)
}

/// The address that a request came from, when the server around says so.
fn peer_of(extensions: &Extensions) -> Option<IpAddr> {
    let own = extensions.get::<ConnectInfo<Peer>>();
    let own = own.map(|ConnectInfo(Peer(peer))| peer.ip());
    let plain = extensions.get::<ConnectInfo<SocketAddr>>();
    own.or_else(|| plain.map(|ConnectInfo(peer)| peer.ip()))
}

/// The fields of a login, and the room for them: what was written in a form that came too late may be long.
async fn received(
    shared: &Shared,
    request: Request,
) -> Result<(Vec<(String, String)>, Option<Taken>), StatusCode> {
    let owner = Owner::Stranger(network_of(request.extensions()));
    let form = upload::small(request, &shared.spools, owner, FORM).await?;
    let weight = usize::try_from(form.len()).unwrap_or(usize::MAX);
    let room = shared.room.take(owner, weight.saturating_mul(6)).await;
    let room = room.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let form = form.read().await;
    let form = form.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok((fields(&form), room))
}

/// The person of that name and password, or what the answer says.
async fn verified(
    shared: &Shared,
    w: &'static Words,
    peer: Option<IpAddr>,
    name: &str,
    password: &Secret,
) -> Result<User, (StatusCode, String)> {
    let account = shared.backend.login_name(name);
    let Ok(turn) = shared.options.throttle.turn(peer, &account).await else {
        return Err((StatusCode::TOO_MANY_REQUESTS, w.too_often.into()));
    };
    match shared.backend.log_in(name, password.clone()).await {
        Ok(user) => {
            turn.succeeded();
            Ok(user)
        }
        Err(Error::Login(_)) => {
            turn.failed().await;
            Err((StatusCode::UNAUTHORIZED, w.wrong.into()))
        }
        Err(Error::Network(_) | Error::Tls { .. } | Error::Untrusted { .. }) => {
            turn.undecided();
            Err((StatusCode::BAD_GATEWAY, w.unreachable.into()))
        }
        Err(error) => {
            turn.undecided();
            let why = format!("{} {error}", w.failed);
            Err((StatusCode::INTERNAL_SERVER_ERROR, why))
        }
    }
}

pub(crate) async fn log_in(
    axum::extract::State(shared): State,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let peer = peer_of(request.extensions());
    let (fields, _room) = match received(&shared, request).await {
        Ok(received) => received,
        Err(status) => return status.into_response(),
    };
    let w = Language::of(&headers).words();
    let of = |name: &str| {
        let found = fields.iter().find(|(field, _)| field == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let (name, password) = (of("name").trim(), of("password"));
    let written = carried(&fields);
    let carried = match of("without") {
        "" => written.carried(of("kept")),
        _ => Carried::default(),
    };
    let again = |status: StatusCode, problem: &str| {
        let page = shown(&shared, w, name, Some(problem), &carried, false);
        let later = status == StatusCode::TOO_MANY_REQUESTS;
        let later = later.then_some([(header::RETRY_AFTER, "60")]);
        (status, later, page).into_response()
    };
    let password = Secret::from(password.as_bytes().to_vec());
    let user = match verified(&shared, w, peer, name, &password).await {
        Ok(user) => user,
        Err((status, why)) => return again(status, &why),
    };
    let is_carried = !carried.fields.is_empty();
    if is_carried && !user.address.eq_ignore_ascii_case(&carried.owner) {
        // Nothing that one person wrote comes into another's account.
        return over(&shared, &headers, &carried, &[], true);
    }
    let kept = match is_carried {
        true => match written.keep(&user).await {
            Ok(key) => Some(key),
            Err(error) => {
                let why = format!("{} {error}", w.not_kept);
                return again(StatusCode::INTERNAL_SERVER_ERROR, &why);
            }
        },
        false => is_kept(&user, &carried.kept).await,
    };
    let session = shared.sessions.begin(user, name, &password).await;
    let cookie = cookie(&shared, Some(&session));
    let base = &shared.options.base;
    let to = match kept {
        Some(key) => Redirect::to(&format!("{base}/compose?kept={key}")),
        None => Redirect::to(&format!("{base}/folder")),
    };
    ([(header::SET_COOKIE, cookie)], to).into_response()
}

#[derive(Deserialize)]
pub(crate) struct Token {
    csrf: String,
}

pub(crate) async fn log_out(
    axum::extract::State(shared): State,
    Signed(session): Signed,
    headers: HeaderMap,
    Form(form): Form<Token>,
) -> Response {
    if let Err(error) = own(&session, &form.csrf) {
        return problem(&shared, words(&session, &headers), &error);
    }
    ended(&shared, &session).await
}

/// Ends a session.
pub(crate) async fn ended(shared: &Shared, session: &Arc<Session>) -> Response {
    shared.sessions.end(session).await;
    let to = Redirect::to(&format!("{}/login", shared.options.base));
    let headers = [
        (header::SET_COOKIE, cookie(shared, None)),
        // Also what the browser would show when one goes back.
        (
            header::HeaderName::from_static("clear-site-data"),
            "\"cache\"".into(),
        ),
    ];
    (headers, to).into_response()
}

pub(crate) async fn language(
    axum::extract::State(shared): State,
    Signed(session): Signed,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let form = <Form<Token> as axum::extract::FromRequest<()>>::from_request(request, &()).await;
    let w = words(&session, &headers);
    let token = form.map(|Form(form)| form.csrf).unwrap_or_default();
    if let Err(error) = own(&session, &token) {
        return problem(&shared, w, &error);
    }
    session.other_language(w);
    shared.sessions.keep(&session).await;
    Redirect::to(&format!("{}/folder", shared.options.base)).into_response()
}
