//! Accounts at other providers.

use askama::Template;
use axum::extract::Form;
use axum::http::HeaderMap;
use axum::response::Response;
use hikyaku_client::{Error, Fingerprint, Kind, Security, Server};
use serde::Deserialize;

use super::{Shell, own, page, problem, words};
use crate::outside::{Elsewhere, Guarded, MOST, all, fetch, keep};
use crate::session::{Session, Signed};
use crate::words::Words;
use crate::{Shared, State};

#[derive(Template)]
#[template(path = "outside.html")]
struct Page<'a> {
    w: &'static Words,
    base: &'a str,
    title: &'a str,
    shell: Shell,
    said: Option<String>,
    problem: Option<String>,
    accounts: Vec<Elsewhere>,
}

async fn shown(
    shared: &Shared,
    session: &Session,
    w: &'static Words,
    said: Result<Option<String>, String>,
) -> Result<Response, Error> {
    let local = &session.user.local;
    let (said, problem) = match said {
        Ok(said) => (said, None),
        Err(problem) => (None, Some(problem)),
    };
    Ok(page(&Page {
        w,
        base: &shared.options.base,
        title: &shared.options.title,
        shell: Shell::new(session, w, "", "").await?,
        said,
        problem,
        accounts: all(&**local.store(), local.account_id()).await?,
    }))
}

pub(crate) async fn show(
    axum::extract::State(shared): State,
    Signed(session): Signed,
    headers: HeaderMap,
) -> Response {
    let w = words(&session, &headers);
    let shown = shown(&shared, &session, w, Ok(None)).await;
    shown.unwrap_or_else(|error| problem(&shared, w, &error))
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    csrf: String,
    action: String,
    address: String,
    #[serde(default)]
    login: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    incoming: String,
    #[serde(default)]
    outgoing: String,
    #[serde(default)]
    folder: String,
    #[serde(default)]
    delete: String,
    #[serde(default)]
    fingerprint: String,
}

/// Reads `host:port`; the port says whether TLS comes at once or by STARTTLS. Nothing goes without TLS.
fn server(text: &str) -> Result<Server, Error> {
    let wrong = || {
        Error::Usage(format!(
            "{text:?} is not a server: write host:port, such as imap.example.org:993"
        ))
    };
    let (host, port) = text.trim().rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let security = match port {
        110 | 143 | 587 => Security::StartTls,
        _ => Security::Tls,
    };
    Ok(Server {
        host: host.to_owned(),
        port,
        security,
    })
}

/// Fingerprints, with blanks between.
fn fingerprints(text: &str) -> Result<Vec<Fingerprint>, Error> {
    let all = text.split_whitespace().map(str::parse);
    all.collect::<Result<_, _>>().map_err(Error::Usage)
}

pub(crate) async fn act(
    axum::extract::State(shared): State,
    Signed(session): Signed,
    headers: HeaderMap,
    Form(asked): Form<Asked>,
) -> Response {
    let w = words(&session, &headers);
    if let Err(error) = own(&session, &asked.csrf) {
        return problem(&shared, w, &error);
    }
    let said = match done(&shared, &session, w, asked).await {
        Ok(said) => Ok(said),
        Err(error) => Err(format!("{} {error}", w.failed)),
    };
    let shown = shown(&shared, &session, w, said).await;
    shown.unwrap_or_else(|error| problem(&shared, w, &error))
}

async fn done(
    shared: &Shared,
    session: &Session,
    w: &'static Words,
    asked: Asked,
) -> Result<Option<String>, Error> {
    let local = &session.user.local;
    let (store, owner) = (&**local.store(), local.account_id());
    let known = all(store, owner).await?;
    let found = known.iter().find(|one| one.address == asked.address);
    let missing = || Error::NotFound(format!("account: {}", asked.address));
    let mut one = match asked.action.as_str() {
        "remove" => {
            keep(store, owner, &asked.address, None).await?;
            return Ok(None);
        }
        "add" if found.is_none() && known.len() >= MOST => {
            return Err(Error::Usage(w.outside_many.into()));
        }
        "add" => Elsewhere {
            login: if asked.login.is_empty() {
                asked.address.clone()
            } else {
                asked.login.clone()
            },
            address: asked.address.clone(),
            password: asked.password.clone(),
            kind: if asked.kind == "pop" {
                Kind::Pop
            } else {
                Kind::Imap
            },
            incoming: server(&asked.incoming)?,
            outgoing: server(&asked.outgoing)?,
            folder: asked.folder.trim().to_owned(),
            delete: !asked.delete.is_empty(),
            fingerprint: fingerprints(&asked.fingerprint)?,
            fetched: 0,
            failed: None,
        },
        _ => found.ok_or_else(missing)?.clone(),
    };
    // Fetched at once, which also says whether the login works.
    let dial = Guarded::new(&shared.options.outside).to(&one);
    let count = fetch(&dial, local, &mut one).await?;
    one.failed = None;
    keep(store, owner, &one.address, Some(&one)).await?;
    session.user.post.refresh(&session.user).await?;
    Ok(Some(format!("{}: {count} {}", one.address, w.outside_new)))
}
