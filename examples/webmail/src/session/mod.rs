//! Sessions of users who are logged in. They are kept here; the browser has only a token.

mod kept;
mod one;
mod random;
mod sessions;

pub(crate) use one::Session;
pub(crate) use random::random;
pub(crate) use sessions::Sessions;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Redirect, Response};
use std::sync::Arc;

use crate::{Admitted, Shared};
use one::VOUCHED;

const COOKIE: &str = "hikyaku-session";

/// A user whom the application around the webmail has logged in; put it into the extensions of a request.
#[derive(Debug, Clone)]
pub struct SignedIn(pub String);

/// The cookie that begins a session, or, without one, ends it.
pub(crate) fn cookie(shared: &Shared, session: Option<&Session>) -> String {
    let path = if shared.options.base.is_empty() {
        "/"
    } else {
        &shared.options.base
    };
    let secure = if shared.options.secure {
        "; Secure"
    } else {
        ""
    };
    let token = session.map_or("", |session| &session.token);
    let end = if session.is_none() { "; Max-Age=0" } else { "" };
    format!("{COOKIE}={token}; Path={path}; HttpOnly; SameSite=Strict{secure}{end}")
}

async fn of(parts: &Parts, shared: &Arc<Shared>) -> Option<Arc<Session>> {
    let session = found(parts, shared).await?;
    // The connection is somebody's who is logged in: no stranger displaces it.
    if let Some(admitted) = parts.extensions.get::<Arc<Admitted>>() {
        admitted.settle();
    }
    Some(session)
}

async fn found(parts: &Parts, shared: &Arc<Shared>) -> Option<Arc<Session>> {
    if let Some(SignedIn(name)) = parts.extensions.get() {
        // The application around it vouches for who that is: one session a name.
        let token = format!("{VOUCHED}{name}");
        if let Some(session) = shared.sessions.get(&token).await {
            return Some(session);
        }
        let user = shared.backend.admit(name).await.ok()?;
        return Some(shared.sessions.vouched(token, user));
    }
    let cookies = parts.headers.get_all(header::COOKIE).iter();
    let cookies = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    let tokens = cookies.filter_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    // Names of the other kind of session are never taken from a cookie, and no long list is looked up.
    for token in tokens
        .filter(|token| sessions::account_of(token).is_some())
        .take(4)
    {
        if let Some(session) = shared.sessions.get(token).await {
            return Some(session);
        }
    }
    None
}

impl FromRequestParts<Arc<Shared>> for Signed {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Response> {
        match of(parts, shared).await {
            Some(session) => Ok(Self(session)),
            None => Err(Redirect::to(&format!("{}/login", shared.options.base)).into_response()),
        }
    }
}

impl OptionalFromRequestParts<Arc<Shared>> for Signed {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        shared: &Arc<Shared>,
    ) -> Result<Option<Self>, Response> {
        Ok(of(parts, shared).await.map(Self))
    }
}

/// A request of somebody who is logged in; others are led to the login.
pub(crate) struct Signed(pub(crate) Arc<Session>);
