//! Who is logged in. Sessions are kept here; the browser has a token and nothing else.

mod kept;
mod sessions;

pub(crate) use sessions::Sessions;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::words::{Language, Words};
use crate::{Admitted, Shared, User};
use kept::Kept;

/// What the names of sessions begin with that the application around it vouches for.
const VOUCHED: &str = "signed in: ";
const COOKIE: &str = "hikyaku-session";

/// Put into a request's extensions by the application around the webmail: that person is logged in.
#[derive(Debug, Clone)]
pub struct SignedIn(pub String);

/// One person in one browser.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) user: User,
    /// What each form must have.
    pub(crate) csrf: String,
    language: Mutex<Option<Language>>,
    /// When it was used last, and when that was written down; in seconds since 1970.
    used: AtomicI64,
    written: AtomicI64,
    ended: AtomicBool,
    token: String,
    /// What the password was when it began, as the backend says it.
    stamp: String,
    /// Name and password, encrypted with the token, where the backend needs them.
    sealed: String,
}

impl Session {
    fn new(token: String, user: User) -> Self {
        Self {
            user,
            csrf: kept::csrf_of(&token),
            language: Mutex::default(),
            used: AtomicI64::new(sessions::now()),
            written: AtomicI64::new(0),
            ended: AtomicBool::new(false),
            token,
            stamp: String::new(),
            sealed: String::new(),
        }
    }

    fn continued(token: String, user: User, kept: &Kept) -> Self {
        let language = (!kept.language.is_empty()).then(|| Language::named(&kept.language));
        Self {
            language: Mutex::new(language),
            stamp: kept.stamp.clone(),
            sealed: kept.sealed.clone(),
            ..Self::new(token, user)
        }
    }

    /// What is kept of it.
    fn kept(&self, now: i64) -> Kept {
        self.written.store(now, Ordering::Relaxed);
        let ended = self.ended.load(Ordering::Relaxed);
        let language = *self.language.lock().unwrap_or_else(PoisonError::into_inner);
        Kept {
            form: kept::form_of(&self.csrf),
            used: self.used(),
            ended,
            language: language.map_or("", |one| one.words().code).into(),
            stamp: self.stamp.clone(),
            sealed: if ended {
                String::new()
            } else {
                self.sealed.clone()
            },
        }
    }

    fn used(&self) -> i64 {
        self.used.load(Ordering::Relaxed)
    }

    fn touch(&self, now: i64) {
        self.used.store(now, Ordering::Relaxed);
    }

    fn kept_at(&self) -> i64 {
        self.written.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Whether it began with a login here, and not with one of the application around it.
    fn is_own_login(&self) -> bool {
        !self.token.starts_with(VOUCHED)
    }

    /// Whether a form was made for this session. Compared without a hint of where it differs.
    pub(crate) fn is_own(&self, token: &str) -> bool {
        let (a, b) = (self.csrf.as_bytes(), token.as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
    }

    pub(crate) fn language(&self, headers: &HeaderMap) -> Language {
        let chosen = *self.language.lock().unwrap_or_else(PoisonError::into_inner);
        chosen.unwrap_or_else(|| Language::of(headers))
    }

    /// Has the pages in the other language from now on.
    pub(crate) fn other_language(&self, w: &Words) {
        let other = Language::named(if w.code == "en" { "ja" } else { "en" });
        *self.language.lock().unwrap_or_else(PoisonError::into_inner) = Some(other);
    }
}

/// A word that nobody can guess.
pub(crate) fn random() -> String {
    use std::fmt::Write as _;
    let mut octets = [0; 32];
    // Without randomness nobody may log in.
    getrandom::fill(&mut octets).expect("the system's randomness");
    octets.iter().fold(String::new(), |mut word, octet| {
        let _ = write!(word, "{octet:02x}");
        word
    })
}

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
