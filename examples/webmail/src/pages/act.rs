//! Actions on messages: marking, moving, deleting.

use axum::extract::RawForm;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use hikyaku_client::Error;
use hikyaku_mailstore::Flags;

use super::{own, problem, words};
use crate::State;
use crate::session::{Session, Signed};

/// So many messages are named at most.
const MOST: usize = 1000;

/// The fields of a form, some of which come more than once.
pub(super) fn fields(octets: &[u8]) -> Vec<(String, String)> {
    let decode = |text: &[u8]| {
        let mut decoded = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((&octet, tail)) = rest.split_first() {
            rest = tail;
            match octet {
                b'+' => decoded.push(b' '),
                b'%' => {
                    let hex = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
                    match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                        Some(value) => {
                            decoded.push(value);
                            rest = tail.get(2..).unwrap_or(&[]);
                        }
                        None => decoded.push(octet),
                    }
                }
                octet => decoded.push(octet),
            }
        }
        String::from_utf8_lossy(&decoded).into_owned()
    };
    let pairs = octets.split(|&octet| octet == b'&').take(MOST + 10);
    pairs
        .map(|pair| {
            let end = pair
                .iter()
                .position(|&octet| octet == b'=')
                .unwrap_or(pair.len());
            (
                decode(&pair[..end]),
                decode(pair.get(end + 1..).unwrap_or(&[])),
            )
        })
        .collect()
}

struct Form(Vec<(String, String)>);

impl Form {
    fn one(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(field, _)| field == name);
        found.map_or("", |(_, value)| value)
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    }
}

fn back(base: &str, folder: &str) -> Response {
    let name: String = folder
        .bytes()
        .map(|octet| format!("%{octet:02X}"))
        .collect();
    Redirect::to(&format!("{base}/folder?name={name}")).into_response()
}

pub(crate) async fn act(
    axum::extract::State(shared): State,
    Signed(session): Signed,
    headers: HeaderMap,
    RawForm(form): RawForm,
) -> Response {
    let w = words(&session, &headers);
    let form = Form(fields(&form));
    match done(&session, &form).await {
        Ok(()) => back(&shared.options.base, form.one("folder")),
        Err(error) => problem(&shared, w, &error),
    }
}

async fn done(session: &Session, form: &Form) -> Result<(), Error> {
    own(session, form.one("csrf"))?;
    let local = &session.user.local;
    for name in form.all("message").take(MOST) {
        // What went meanwhile needs nothing done.
        let message = match local.find(name).await {
            Err(Error::NotFound(_)) => continue,
            found => found?,
        };
        let none = Flags::NONE;
        match form.one("action") {
            "read" => local.mark(&message, &Flags::SEEN, &none).await?,
            "unread" => local.mark(&message, &none, &Flags::SEEN).await?,
            "flag" => local.mark(&message, &Flags::FLAGGED, &none).await?,
            "unflag" => local.mark(&message, &none, &Flags::FLAGGED).await?,
            "move" => local.move_to(&message, form.one("to")).await?,
            "delete" => local.delete(&message, false).await?,
            "delete-for-good" => local.delete(&message, true).await?,
            other => return Err(Error::Usage(format!("unknown action {other:?}"))),
        }
    }
    session.user.post.refresh(&session.user).await
}

pub(crate) async fn refresh(
    axum::extract::State(shared): State,
    Signed(session): Signed,
    headers: HeaderMap,
    RawForm(form): RawForm,
) -> Response {
    let w = words(&session, &headers);
    let form = Form(fields(&form));
    let refreshed = async {
        own(&session, form.one("csrf"))?;
        session.user.post.refresh(&session.user).await
    };
    match refreshed.await {
        Ok(()) => back(&shared.options.base, form.one("folder")),
        Err(error) => problem(&shared, w, &error),
    }
}
