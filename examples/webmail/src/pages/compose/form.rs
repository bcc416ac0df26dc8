//! The page with the form.

use askama::Template;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hikyaku_client::Error;

use super::attempt::Attempt;
use super::draft::Writing;
use super::notes::Notes;
use super::written::Written;
use crate::outside;
use crate::pages::{Shell, page, size};
use crate::session::Session;
use crate::words::Words;
use crate::{Shared, User};

struct Shown {
    number: usize,
    name: String,
    size: String,
}

#[derive(Template)]
#[template(path = "compose.html")]
struct Page<'a> {
    w: &'static Words,
    base: &'a str,
    title: &'a str,
    shell: Shell,
    problems: Vec<String>,
    notes: Vec<String>,
    bad: &'static str,
    /// Addresses that can be sent as.
    senders: Vec<String>,
    written: &'a Written,
    files: Vec<Shown>,
    /// Octets of what is attached, and of what may be.
    octets: usize,
    most: usize,
    limit: String,
    /// Whether there is a draft of it.
    kept: bool,
}

/// The addresses of a person: the own, then those elsewhere.
pub(super) async fn senders(user: &User) -> Result<Vec<String>, Error> {
    let local = &user.local;
    let elsewhere = outside::all(&**local.store(), local.account_id()).await?;
    let own = std::iter::once(user.address.clone());
    Ok(own
        .chain(elsewhere.into_iter().map(|one| one.address))
        .collect())
}

/// The form, with all that is in it. What was tried before is said with it.
pub(super) async fn form(
    shared: &Shared,
    session: &Session,
    w: &'static Words,
    writing: &Writing,
    mut notes: Notes,
) -> Result<Response, Error> {
    let user = &session.user;
    let mut shell = Shell::new(session, w, "", "").await?;
    shell.writing = true;
    let attempt = Attempt::of(user, &writing.written.key).await?;
    attempt.explain(w, &mut notes);
    let written = Written {
        attempt: attempt.number,
        attached: writing.files.len(),
        owner: user.address.clone(),
        ..writing.written.clone()
    };
    let files = writing.files.iter().enumerate();
    let files = files
        .map(|(number, (name, _, octets))| Shown {
            number,
            name: name.clone(),
            size: size(octets.len() as u64),
        })
        .collect();
    let mut response = page(&Page {
        w,
        base: &shared.options.base,
        title: &shared.options.title,
        shell,
        problems: notes.problems,
        notes: notes.notes,
        bad: notes.bad,
        senders: senders(user).await?,
        written: &written,
        files,
        octets: writing.octets(),
        most: shared.options.message,
        limit: size(shared.options.message as u64),
        kept: !writing.drafts.is_empty(),
    });
    // Going back to it in the browser finds what was typed, also without scripts; logging out ends that.
    let cache = HeaderValue::from_static("private, no-cache");
    response.headers_mut().insert(header::CACHE_CONTROL, cache);
    Ok(response)
}
