//! The pages. Every action works without scripts.

pub(crate) mod act;
pub(crate) mod carried;
pub(crate) mod compose;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod message;
pub(crate) mod outside;
mod people;
pub(crate) mod saving;
pub(crate) mod trust;

use askama::Template;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Redirect, Response};
use futures_util::Stream;
use hikyaku_client::Error;
use hikyaku_mailstore::Scope;
use serde::Deserialize;
use std::convert::Infallible;
use std::time::Duration;

use crate::session::{Session, Signed};
use crate::words::Words;
use crate::{Shared, State};

/// What is around every page of somebody who is logged in.
pub(crate) struct Shell {
    pub(crate) csrf: String,
    pub(crate) address: String,
    /// The folder that is shown.
    pub(crate) folder: String,
    pub(crate) query: String,
    pub(crate) folders: Vec<FolderLink>,
    pub(crate) quota: Option<QuotaBar>,
    /// The code of the language that can be chosen instead.
    pub(crate) other: &'static str,
    /// Something is being written, which the buttons above the page save first.
    pub(crate) writing: bool,
}

pub(crate) struct FolderLink {
    pub(crate) name: String,
    pub(crate) shown: String,
    pub(crate) unseen: u32,
    pub(crate) current: bool,
    pub(crate) special_use: Option<String>,
}

pub(crate) struct QuotaBar {
    pub(crate) used: String,
    pub(crate) limit: String,
    pub(crate) percent: u64,
}

/// Octets, for people.
pub(crate) fn size(octets: u64) -> String {
    let mut value = octets;
    for unit in ["B", "KiB", "MiB"] {
        if value < 1024 {
            return format!("{value} {unit}");
        }
        value = value.div_ceil(1024);
    }
    format!("{value} GiB")
}

impl Shell {
    pub(crate) async fn new(
        session: &Session,
        words: &'static Words,
        folder: &str,
        query: &str,
    ) -> Result<Self, Error> {
        let user = &session.user;
        let mut folders: Vec<_> = user
            .local
            .folders()
            .await?
            .into_iter()
            .map(|one| FolderLink {
                shown: words
                    .folder(&one.name, one.special_use.as_deref())
                    .to_owned(),
                current: one.name == folder,
                unseen: one.unseen,
                special_use: one.special_use,
                name: one.name,
            })
            .collect();
        // INBOX first, then what has a use, then the others.
        folders.sort_by_key(|one| {
            (
                one.name != "INBOX",
                one.special_use.is_none(),
                one.name.clone(),
            )
        });
        let quota = user.post.quota(user).await?.map(|(used, limit)| QuotaBar {
            used: size(used),
            limit: size(limit),
            percent: used.saturating_mul(100) / limit.max(1),
        });
        Ok(Self {
            csrf: session.csrf.clone(),
            address: user.address.clone(),
            folder: folder.to_owned(),
            query: query.to_owned(),
            folders,
            quota,
            other: if words.code == "en" { "ja" } else { "en" },
            writing: false,
        })
    }
}

/// A template as an answer.
pub(crate) fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => Html(html).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Problem<'a> {
    w: &'static Words,
    base: &'a str,
    title: &'a str,
    problem: String,
}

/// What went wrong, as a page.
pub(crate) fn problem(shared: &Shared, w: &'static Words, error: &Error) -> Response {
    let (status, problem) = match error {
        Error::NotFound(_) => (StatusCode::NOT_FOUND, w.not_found.to_owned()),
        Error::Network(_) | Error::Tls { .. } | Error::Untrusted { .. } => {
            (StatusCode::BAD_GATEWAY, w.unreachable.to_owned())
        }
        Error::Usage(said) if said == EXPIRED => (StatusCode::FORBIDDEN, w.expired.to_owned()),
        other => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("{} {other}", w.failed),
        ),
    };
    let (base, title) = (&shared.options.base, &shared.options.title);
    (
        status,
        page(&Problem {
            w,
            base,
            title,
            problem,
        }),
    )
        .into_response()
}

/// What [`problem`] knows a form without its token by.
const EXPIRED: &str = "expired";

/// Fails when a form was not made for this session.
pub(crate) fn own(session: &Session, token: &str) -> Result<(), Error> {
    match session.is_own(token) {
        true => Ok(()),
        false => Err(Error::Usage(EXPIRED.into())),
    }
}

/// When, for people: in UTC, which the browser's script turns into local time no more than it must.
pub(crate) fn moment(seconds: i64) -> (String, String) {
    let short = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]");
    let iso = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    let moment = time::OffsetDateTime::from_unix_timestamp(seconds).ok();
    let with = |format| {
        moment
            .and_then(|moment| moment.format(format).ok())
            .unwrap_or_default()
    };
    (with(short), with(iso))
}

pub(crate) async fn home(axum::extract::State(shared): State, _: Signed) -> Redirect {
    Redirect::to(&format!("{}/folder?name=INBOX", shared.options.base))
}

#[derive(Deserialize)]
pub(crate) struct Since {
    /// The state of the account that the page shows.
    #[serde(default)]
    at: u64,
}

/// The state of the account.
pub(crate) async fn state(session: &Session) -> Result<u64, Error> {
    let local = &session.user.local;
    let account = local.store().account_by_id(local.account_id()).await?;
    Ok(account.map_or(0, |account| account.at.0))
}

/// Sends the page an event when something changes in the account, or has changed since the page was made.
pub(crate) async fn events(
    Signed(session): Signed,
    Query(since): Query<Since>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let local = &session.user.local;
    let watch = local.store().watch(Scope::Account(local.account_id()));
    let first = state(&session).await.is_ok_and(|at| at > since.at);
    let stream = futures_util::stream::unfold(
        (watch, session, first),
        |(mut watch, session, now)| async move {
            if !now {
                watch.changed().await;
                // Many changes are one event.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Some((
                Ok(Event::default().event("changed").data("-")),
                (watch, session, false),
            ))
        },
    );
    Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(20)))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "private, max-age=3600"),
    ];
    (headers, text).into_response()
}

pub(crate) async fn style() -> Response {
    asset(
        "text/css; charset=utf-8",
        include_str!("../../assets/style.css"),
    )
}

pub(crate) async fn script() -> Response {
    asset(
        "text/javascript; charset=utf-8",
        include_str!("../../assets/app.js"),
    )
}

pub(crate) async fn icon() -> Response {
    asset("image/svg+xml", include_str!("../../assets/icon.svg"))
}

/// The words of a page.
pub(crate) fn words(session: &Session, headers: &HeaderMap) -> &'static Words {
    session.language(headers).words()
}
