//! Logging in and out.

use askama::Template;
use axum::extract::{ConnectInfo, Form, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use hikyaku_client::Error;
use hikyaku_wire::Secret;
use serde::Deserialize;
use std::net::SocketAddr;

use super::{own, page, problem, words};
use crate::session::{Session, Signed, cookie};
use crate::words::{Language, Words};
use crate::{Peer, Shared, State};

#[derive(Template)]
#[template(path = "login.html")]
struct Page<'a> {
    w: &'static Words,
    base: &'a str,
    title: &'a str,
    name: &'a str,
    problem: Option<&'a str>,
}

fn shown(shared: &Shared, w: &'static Words, name: &str, problem: Option<&str>) -> Response {
    let (base, title) = (&shared.options.base, &shared.options.title);
    page(&Page {
        w,
        base,
        title,
        name,
        problem,
    })
}

pub(crate) async fn show(
    axum::extract::State(shared): State,
    signed: Option<Signed>,
    headers: HeaderMap,
) -> Response {
    if signed.is_some() {
        return Redirect::to(&format!("{}/folder", shared.options.base)).into_response();
    }
    shown(&shared, Language::of(&headers).words(), "", None)
}

#[derive(Deserialize)]
pub(crate) struct Login {
    name: String,
    password: String,
}

/// From where a request came, when the server around says so.
pub(crate) struct From(Option<String>);

impl<S: Sync> axum::extract::FromRequestParts<S> for From {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        let own = parts
            .extensions
            .get::<ConnectInfo<Peer>>()
            .map(|ConnectInfo(Peer(peer))| peer.ip());
        let plain = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = own.or_else(|| plain.map(|ConnectInfo(peer)| peer.ip()));
        Ok(Self(peer.map(|peer| peer.to_string())))
    }
}

pub(crate) async fn log_in(
    axum::extract::State(shared): State,
    From(peer): From,
    headers: HeaderMap,
    Form(login): Form<Login>,
) -> Response {
    let w = Language::of(&headers).words();
    let name = login.name.trim();
    let again = |status: StatusCode, problem: &str| {
        (status, shown(&shared, w, name, Some(problem))).into_response()
    };
    if !shared.attempts.may(name, peer.as_deref()) {
        let mut response = again(StatusCode::TOO_MANY_REQUESTS, w.too_often);
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, header::HeaderValue::from_static("600"));
        return response;
    }
    // Counted before the answer is known, so that many at once are no more than many in a row.
    shared.attempts.failed(name, peer.as_deref());
    let user = shared
        .backend
        .log_in(name, Secret::from(login.password.into_bytes()))
        .await;
    match user {
        Ok(user) => {
            shared.attempts.succeeded(name, peer.as_deref());
            let session = shared.sessions.begin(user);
            let cookie = cookie(&shared, Some(&session));
            let to = Redirect::to(&format!("{}/folder", shared.options.base));
            ([(header::SET_COOKIE, cookie)], to).into_response()
        }
        Err(Error::Login(_)) => again(StatusCode::UNAUTHORIZED, w.wrong),
        Err(Error::Network(_) | Error::Tls { .. }) => {
            shared.attempts.succeeded(name, peer.as_deref());
            again(StatusCode::BAD_GATEWAY, w.unreachable)
        }
        Err(error) => again(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("{} {error}", w.failed),
        ),
    }
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
    ended(&shared, &session)
}

/// Ends a session.
pub(crate) fn ended(shared: &Shared, session: &Session) -> Response {
    shared.sessions.end(session);
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
    Redirect::to(&format!("{}/folder", shared.options.base)).into_response()
}
