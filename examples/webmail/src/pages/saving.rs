//! Downloads: attachments and whole messages.

use axum::body::Body;
use axum::extract::Query;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hikyaku_client::{Error, show as shows};
use serde::Deserialize;
use std::io;
use std::sync::Arc;

use super::{message, problem, words};
use crate::session::{Session, Signed};
use crate::spool::{Owner, Spool, Spools};
use crate::{Shared, State, aside};

/// Octets that are sent out of memory. What is larger lies in a file meanwhile: a browser may take its time.
const SMALL: usize = 64 * 1024;

#[derive(Deserialize)]
pub(crate) struct Asked {
    id: String,
    #[serde(default)]
    n: usize,
}

/// An attachment, to be saved and never to be shown here; number 0 is the whole message.
pub(crate) async fn part(
    axum::extract::State(shared): State,
    Signed(session): Signed,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let w = words(&session, &headers);
    match saved(&shared, &session, asked).await {
        Ok(response) => response,
        Err(error) => problem(&shared, w, &error),
    }
}

async fn saved(shared: &Shared, session: &Session, asked: Asked) -> Result<Response, Error> {
    let (octets, name) = found(session, asked).await?;
    let owner = Owner::Person(session.user.local.account_id());
    let body = body(&shared.spools, owner, octets).await;
    let body = body.map_err(|error| Error::File(name.clone(), error))?;
    let named = format!("attachment; filename*=UTF-8''{}", percent(&name));
    let named = HeaderValue::from_str(&named).unwrap_or(HeaderValue::from_static("attachment"));
    let fixed = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; sandbox",
        ),
        (HeaderName::from_static("x-download-options"), "noopen"),
    ];
    Ok((fixed, [(header::CONTENT_DISPOSITION, named)], body).into_response())
}

/// The octets, and the name of their file.
async fn found(session: &Session, asked: Asked) -> Result<(Bytes, String), Error> {
    let (message, whole) = message::found(session, &asked.id).await?;
    if asked.n == 0 {
        let name = message.name.replace(|c: char| !c.is_alphanumeric(), "-");
        return Ok((whole, format!("{name}.eml")));
    }
    let decoded = aside::run(move || {
        let mut all = shows::attachments(&whole).into_iter();
        let one = all.find(|one| one.number == asked.n)?;
        Some((one.octets(&whole), one.name))
    });
    let decoded = decoded.await.ok().flatten();
    decoded.ok_or_else(|| Error::NotFound("attachment".into()))
}

/// A body that holds little in memory, however slowly it is read.
async fn body(spools: &Arc<Spools>, owner: Owner, octets: Bytes) -> io::Result<Response> {
    if octets.len() <= SMALL {
        return Ok(octets.into_response());
    }
    let mut spool = Spool::new(spools, owner);
    spool.write(&octets).await?;
    let length = [(header::CONTENT_LENGTH, octets.len())];
    Ok((length, Body::from_stream(spool.stream())).into_response())
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

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_mailstore::AccountId;

    #[tokio::test]
    async fn what_waits_for_a_slow_browser_lies_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let spools = Spools::new(folder.path().to_owned(), 1 << 20);
        let owner = Owner::Person(AccountId(1));
        for size in [0, 1, SMALL, SMALL + 1, 1 << 20] {
            let octets: Bytes = (0..size).map(|n| (n % 251) as u8).collect();
            let response = body(&spools, owner, octets.clone()).await.unwrap();
            let in_files = spools.taken(owner);
            match size > SMALL {
                true => assert!(in_files > size as u64 - SMALL as u64, "{size}: {in_files}"),
                false => assert_eq!(in_files, 0, "{size}"),
            }
            let length = response.headers().get(header::CONTENT_LENGTH);
            assert!(length.is_none_or(|length| *length == *size.to_string()));
            let body = response.into_body();
            let read = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            assert!(read == octets, "{size}");
            assert_eq!(spools.taken(owner), 0, "{size}: it is given back");
        }
    }
}
